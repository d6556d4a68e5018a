-- One row per change of a ticket. For waits, replies, solves and handoffs.
with

events as (

    select * from ticket_events

),

renamed as (

    select
        ---------- ids
        event_id,
        ticket_id,
        actor_id,

        ---------- strings
        field_name,
        value as new_value,
        previous_value,
        actor_role,

        ---------- booleans
        -- Robots answer at once; only what people write counts as a reply.
        coalesce(actor_role in ('agent', 'admin'), false)
            as is_by_person_in_support,

        ---------- timestamps
        occurred_at

    from events

)

select * from renamed
