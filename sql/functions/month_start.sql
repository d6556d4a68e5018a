-- The first day of the month in which a day lies.
create function month_start(day date) returns date
return cast(date_trunc('month', day) as date)
