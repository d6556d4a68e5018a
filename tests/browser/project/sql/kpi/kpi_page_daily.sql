select day, page, count(*) as visits from fct_visit group by day, page
