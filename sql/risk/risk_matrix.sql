-- One row per basis, probability and impact: the risk matrix, all its cells.
-- Closed risks are left out. A cell's score, level and response are those of
-- its probability and impact; the level of a risk on the residual basis can be
-- lower than that of its cell, as the cell rounds its probability up. Losses
-- that nobody estimated add nothing.
with

risks as (

    select * from risk_register_current

    where status <> 'closed'

),

placed_risks as (

    select
        'inherent' as basis,
        probability,
        impact,
        expected_loss
    from risks

    union all

    select
        'residual' as basis,
        residual_probability as probability,
        residual_impact as impact,
        residual_expected_loss as expected_loss
    from risks

),

risks_summed_to_cells as (

    select
        basis,
        probability,
        impact,
        count(*) as risks,
        sum(expected_loss) as expected_loss

    from placed_risks

    group by
        basis,
        probability,
        impact

),

bases as (

    select * from (
        values ('inherent'), ('residual')
    ) as bases (basis)

),

probabilities as (

    select unnest(generate_series(1, 5)) as probability

),

impacts as (

    select unnest(generate_series(1, 5)) as impact

),

cells as (

    select
        bases.basis,
        probabilities.probability,
        impacts.impact,
        probabilities.probability * impacts.impact as score

    from bases

    cross join probabilities

    cross join impacts

),

final as (

    select
        ---------- ids
        cells.basis,
        cells.probability,
        cells.impact,

        ---------- strings
        case
            when cells.score >= $risk_extreme_from then 'extreme'
            when cells.score >= $risk_high_from then 'high'
            when cells.score >= $risk_medium_from then 'medium'
            else 'low'
        end as level,
        case
            when cells.probability >= 4 and cells.impact >= 4 then 'avoid'
            when cells.probability <= 2 and cells.impact >= 4 then 'transfer'
            when cells.probability >= 3 then 'mitigate'
            else 'accept'
        end as response,

        ---------- numbers
        cells.score,
        coalesce(risks_summed_to_cells.risks, 0) as risks,
        cast(
            coalesce(risks_summed_to_cells.expected_loss, 0)
            as decimal(18, 2)
        ) as expected_loss

    from cells

    left join risks_summed_to_cells
        on cells.basis = risks_summed_to_cells.basis
        and cells.probability = risks_summed_to_cells.probability
        and cells.impact = risks_summed_to_cells.impact

)

select * from final
