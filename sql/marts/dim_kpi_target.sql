-- One row per KPI, scope and period of validity; periods never overlap.
with

targets_with_next as (

    select
        *,
        lead(valid_from) over (
            partition by metric_id, scope_type, scope_id
            order by valid_from
        ) as next_valid_from

    from stg_kpi_targets

),

final as (

    select
        ---------- ids
        metric_id,
        scope_type,
        scope_id,

        ---------- strings
        direction,

        ---------- numbers
        target,
        floor_value,
        stretch,
        weight,
        band_low,
        band_high,

        ---------- dates
        valid_from,
        -- A newer target ends the older one; without either it holds for ever.
        coalesce(
            least(valid_to, next_valid_from - 1),
            date '9999-12-31'
        ) as valid_to

    from targets_with_next

)

select * from final
