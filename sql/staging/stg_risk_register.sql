-- One row per risk and day on which it was assessed. For the risk register.
with

versions as (

    select * from risk_register

),

renamed as (

    select
        ---------- ids
        risk_id,

        ---------- strings
        title,
        category,
        owner,
        response,
        control as control_name,
        status as risk_status,

        ---------- numbers
        probability,
        impact,
        probability_pct,
        impact_amount,
        control_effectiveness,
        residual_probability,
        residual_impact,

        ---------- dates
        identified_on as identified_date,
        updated_on as assessed_date,
        review_due as review_due_date

    from versions

)

select * from renamed
