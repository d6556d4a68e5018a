select * from stg_tickets
