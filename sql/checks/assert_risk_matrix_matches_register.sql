-- Each matrix has 25 cells, which together hold every risk that is not closed
-- and what it may cost.
with

cells_summed as (

    select
        basis,
        count(*) as cells,
        sum(risks) as risks,
        sum(expected_loss) as expected_loss

    from risk_matrix

    group by basis

),

register as (

    select
        count(*) as risks,
        coalesce(sum(expected_loss), 0) as expected_loss,
        coalesce(sum(residual_expected_loss), 0) as residual_expected_loss

    from risk_register_current

    where status <> 'closed'

),

mismatches as (

    select
        cells_summed.basis,
        cells_summed.cells,
        cells_summed.risks as risks_in_cells,
        register.risks,
        cells_summed.expected_loss as loss_in_cells,
        case
            when cells_summed.basis = 'inherent' then register.expected_loss
            else register.residual_expected_loss
        end as loss

    from cells_summed

    cross join register

)

select * from mismatches

where cells <> 25
    or risks_in_cells <> risks
    or loss_in_cells <> loss
