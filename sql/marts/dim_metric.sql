-- One row per metric: its names, formula, direction and roll-up to months.
with

metrics as (

    select * from stg_kpi_catalog

),

final as (

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

    from metrics

)

select * from final
