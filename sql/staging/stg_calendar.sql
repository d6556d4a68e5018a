-- One row per public holiday or make-up workday. For business days.
with

calendar_landed as (

    select * from calendar

),

renamed as (

    select
        ---------- strings
        kind as day_kind,
        name as holiday_name,
        name_zh as holiday_name_zh,

        ---------- dates
        calendar_date as day

    from calendar_landed

)

select * from renamed
