-- One row per metric. For names, units and roll-ups.
with

catalog as (

    select * from kpi_catalog

),

renamed as (

    select
        ---------- ids
        metric_id,

        ---------- strings
        area,
        name_en,
        name_zh,
        unit,
        formula,
        direction,
        month_rule,

        ---------- numbers
        decimals,

        ---------- booleans
        is_ratio

    from catalog

)

select * from renamed
