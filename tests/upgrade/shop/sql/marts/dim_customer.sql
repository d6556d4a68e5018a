select customer_id, name, since from stg_customers
