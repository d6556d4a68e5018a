-- One row per change of a ticket, with its reporting day.
with

ticket_changes as (

    select * from stg_ticket_events

),

final as (

    select
        ---------- ids
        event_id,
        ticket_id,
        actor_id,

        ---------- strings
        field_name,
        new_value,
        actor_role,

        ---------- booleans
        is_by_person_in_support,

        ---------- dates
        local_day(occurred_at, $reporting_zone) as event_day,

        ---------- timestamps
        occurred_at

    from ticket_changes

)

select * from final
