-- One row per number.
select id from broken
