select day, sum(amount) over (order by day range between interval '6 days' preceding and current row) as amount
from kpi_order_daily
