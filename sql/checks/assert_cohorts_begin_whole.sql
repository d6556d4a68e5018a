-- In its own period every cohort is there as a whole, and later never more.
with

cells as (

    select * from kpi_retention_cohort

)

select * from cells

where (period_number = 0 and is_complete and retained <> cohort_size)
    or retained > cohort_size
    or (retained is null) = is_complete
