-- One row per ticket.
select 1 as id
