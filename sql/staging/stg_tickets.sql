-- One row per ticket, its latest version. For everything about support.
with

tickets_landed as (

    select * from tickets

),

renamed as (

    select
        ---------- ids
        ticket_id,
        requester_id,
        assignee_id,
        group_id,

        ---------- strings
        status,
        priority,
        ticket_type,
        subject,
        via_channel as channel,
        category,
        tags,
        satisfaction_rating,
        satisfaction_comment,

        ---------- timestamps
        created_at,
        updated_at,
        due_at

    from tickets_landed

)

select * from renamed
