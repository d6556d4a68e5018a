-- One row per metric, scope and first day of a target.
with

targets as (

    select * from kpi_targets

),

renamed as (

    select
        ---------- ids
        metric_id,
        scope_type,
        scope_id,

        ---------- numbers
        target,

        ---------- dates
        valid_from

    from targets

)

select * from renamed
