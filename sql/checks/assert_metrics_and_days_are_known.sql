-- Every metric that has values or targets is declared, and every day that
-- has values is in the calendar.
with

days as (

    select
        metric_id,
        day

    from kpi_daily

),

targets as (

    select * from dim_kpi_target

),

calendar_days as (

    select day from dim_date

),

metrics as (

    select * from dim_metric

),

metrics_used as (

    select
        'kpi_daily' as table_name,
        metric_id
    from days

    union

    select
        'dim_kpi_target' as table_name,
        metric_id
    from targets

),

strangers as (

    select
        metrics_used.table_name,
        metrics_used.metric_id,
        cast(null as date) as day

    from metrics_used

    left join metrics
        on metrics_used.metric_id = metrics.metric_id

    where metrics.metric_id is null

    union all

    select distinct
        'kpi_daily' as table_name,
        days.metric_id,
        days.day

    from days

    left join calendar_days
        on days.day = calendar_days.day

    where calendar_days.day is null

)

select * from strangers
