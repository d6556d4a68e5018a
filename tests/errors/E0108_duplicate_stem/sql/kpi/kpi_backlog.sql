-- One row per day.
select 1 as day
