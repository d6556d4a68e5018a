select *
from (select id, status from stg_orders) pivot (count(*) for status in ('open', 'closed'))
