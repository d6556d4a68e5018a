-- One row per number.
select id from stg_every_minute
