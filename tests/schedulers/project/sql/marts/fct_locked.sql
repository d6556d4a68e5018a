-- One row per number.
select id from stg_locked
