-- One row per agent.
select 1 as id
