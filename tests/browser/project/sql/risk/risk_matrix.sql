with cells as (
    select basis, probability, impact
    from (values ('inherent'), ('residual')) as bases (basis)
    cross join (values (1), (2), (3), (4), (5)) as probabilities (probability)
    cross join (values (1), (2), (3), (4), (5)) as impacts (impact)
),

placed as (
    select 'inherent' as basis, probability, impact, expected_loss from risk_register_current
    union all
    select 'residual' as basis, residual_probability, residual_impact, expected_loss from risk_register_current
)

select
    cells.basis,
    cells.probability,
    cells.impact,
    cells.probability * cells.impact as score,
    case
        when cells.probability * cells.impact <= 4 then 'low'
        when cells.probability * cells.impact <= 9 then 'medium'
        when cells.probability * cells.impact <= 16 then 'high'
        else 'extreme'
    end as level,
    count(placed.basis) as risks,
    round(sum(placed.expected_loss), 2) as expected_loss
from cells
left join placed
    on cells.basis = placed.basis
    and cells.probability = placed.probability
    and cells.impact = placed.impact
group by cells.basis, cells.probability, cells.impact
