-- A number, or the nearest one from `low` to `high`; null where there is none.
create function clamp(n double, low double, high double) returns double
return case when n is not null then least(greatest(n, low), high) end
