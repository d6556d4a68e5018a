-- Two rows of one day and page: a table that no line can be drawn of.
select day, page, id as visits from fct_visit
union all
select day, page, id + 1 as visits from fct_visit
