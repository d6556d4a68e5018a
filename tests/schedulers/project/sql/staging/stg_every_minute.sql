-- One row per number.
select id from every_minute
