-- One row per name of an event that is declared. For the kinds of events.
with

event_map_landed as (

    select * from event_map

),

renamed as (

    select
        ---------- strings
        event_name,
        event_class,
        name_en as event_label,
        name_zh as event_label_zh

    from event_map_landed

)

select * from renamed
