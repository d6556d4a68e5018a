select customer_id, name, since from customers
