select day, count(*) as orders, sum(amount) as amount, wilson_lower(cast(count(*) filter (where is_large) as double), cast(count(*) as double)) as large
from fct_order
group by day
