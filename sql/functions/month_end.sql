-- The last day of the month in which a day lies.
create function month_end(day date) returns date
return cast(month_start(day) + interval '1 month' as date) - 1
