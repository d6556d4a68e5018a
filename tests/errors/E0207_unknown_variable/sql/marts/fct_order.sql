select id
from stg_orders
where id > $min_sampel
