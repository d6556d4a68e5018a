-- Every target speaks of a metric that the catalogue knows.
with

targets as (

    select * from dim_kpi_target

),

metrics as (

    select * from dim_metric

),

unknown as (

    select
        targets.metric_id,
        targets.scope_type,
        targets.scope_id

    from targets

    left join metrics
        on targets.metric_id = metrics.metric_id

    where metrics.metric_id is null

)

select * from unknown
