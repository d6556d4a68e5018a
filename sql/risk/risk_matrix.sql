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

cells as (

    select
        basis,
        probability,
        impact

    from unnest(make_array('inherent', 'residual')) as bases (basis)

    cross join unnest(generate_series(1, 5)) as probabilities (probability)

    cross join unnest(generate_series(1, 5)) as impacts (impact)

),

final as (

    select
        ---------- ids
        basis,
        probability,
        impact,

        ---------- strings
        risk_level(
            probability * impact,
            $risk_medium_from,
            $risk_high_from,
            $risk_extreme_from
        ) as level,
        risk_response(probability, impact) as response,

        ---------- numbers
        probability * impact as score,
        coalesce(risks, 0) as risks,
        cast(coalesce(expected_loss, 0) as decimal(18, 2)) as expected_loss

    from cells

    left join risks_summed_to_cells using (basis, probability, impact)

)

select * from final
