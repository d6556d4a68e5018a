-- One row per metric, scope and period in which a target holds.
with

targets as (

    select * from stg_kpi_targets

),

final as (

    select
        ---------- ids
        metric_id,
        scope_type,
        scope_id,

        ---------- numbers
        target,

        ---------- dates
        valid_from,
        -- A newer target ends the older one; the newest holds for ever.
        coalesce(
            lead(valid_from) over (
                partition by metric_id, scope_type, scope_id
                order by valid_from
            ) - 1,
            date '9999-12-31'
        ) as valid_to

    from targets

)

select * from final
