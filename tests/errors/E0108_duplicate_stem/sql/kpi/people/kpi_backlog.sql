-- One row per person.
select 2 as day
