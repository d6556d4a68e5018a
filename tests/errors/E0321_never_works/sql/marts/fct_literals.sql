select
    id,
    coalesce(amount, 'none') as amount,
    at = 'heute' as is_today,
    case when status = 'none' then 1 / 0 else 1 end as one
from stg_orders
where id not in ('a', '2')
