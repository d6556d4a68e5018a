-- One row per risk: its latest assessment at the run's clock, $as_of.
-- An assessment that is dated later does not count yet. A risk that is not
-- closed is overdue from the day after its review was due.
with

clock as (

    select local_day($as_of, $reporting_zone) as today

),

assessments_in_force as (

    select
        fct_risk_assessment.*,
        clock.today,
        row_number() over (
            partition by fct_risk_assessment.risk_id
            order by fct_risk_assessment.assessed_date desc
        ) as assessment_number_from_last

    from fct_risk_assessment

    inner join clock
        on fct_risk_assessment.assessed_date <= clock.today

),

final as (

    select
        ---------- ids
        risk_id,

        ---------- strings
        title,
        category,
        owner,
        risk_status as status,
        control_name,
        response,
        suggested_response,
        inherent_level,
        residual_level,

        ---------- numbers
        probability,
        impact,
        inherent_score,
        control_effectiveness,
        residual_probability,
        residual_impact,
        residual_score,
        expected_loss,
        residual_expected_loss,
        case
            when risk_status = 'closed' then 0
            when review_due_date is not null
                then greatest(today - review_due_date, 0)
        end as overdue_days,

        ---------- dates
        identified_date,
        assessed_date,
        review_due_date as review_due

    from assessments_in_force

    where assessment_number_from_last = 1

)

select * from final
