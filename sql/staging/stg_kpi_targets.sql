-- One row per KPI, scope and first day of validity. For SLA and attainment.
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

        ---------- strings
        direction,

        ---------- numbers
        target,
        floor as floor_value,
        stretch,
        weight,
        band_low,
        band_high,

        ---------- dates
        valid_from,
        valid_to

    from targets

)

select * from renamed
