-- One row per key risk indicator with its amber and red limits.
with

thresholds as (

    select * from stg_kri_thresholds

),

final as (

    select
        ---------- ids
        kri_id,

        ---------- strings
        kri_name,
        category,
        direction,
        owner,

        ---------- numbers
        amber,
        red

    from thresholds

)

select * from final
