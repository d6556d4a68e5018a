-- One row per key risk indicator. For the limits of risk indicators.
with

thresholds as (

    select * from kri_thresholds

),

renamed as (

    select
        ---------- ids
        kri_id,

        ---------- strings
        name as kri_name,
        category,
        direction,
        owner,

        ---------- numbers
        amber,
        red

    from thresholds

)

select * from renamed
