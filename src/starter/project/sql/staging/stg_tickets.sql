-- One row per ticket, its latest version.
with

tickets_landed as (

    select * from tickets

),

renamed as (

    select
        ---------- ids
        ticket_id,

        ---------- strings
        channel,
        coalesce(priority, 'none') as priority,
        status,

        ---------- timestamps
        created_at,
        updated_at,
        solved_at

    from tickets_landed

)

select * from renamed
