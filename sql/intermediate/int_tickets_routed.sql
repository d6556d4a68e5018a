-- One row per ticket with changes of assignee, group or priority.
-- A handoff is a change from one assignee to another; the first one is none.
with

field_events as (

    select
        event_id,
        ticket_id,
        field_name,
        new_value,
        occurred_at

    from stg_ticket_events

    where field_name in ('assignee_id', 'group_id', 'priority')
        and new_value is not null

),

field_events_with_previous as (

    select
        ticket_id,
        field_name,
        new_value,
        lag(new_value) over (
            partition by ticket_id, field_name
            order by occurred_at, event_id
        ) as previous_value

    from field_events

),

tickets_routed as (

    select
        ---------- ids
        ticket_id,

        ---------- strings
        max(new_value) filter (
            where field_name = 'priority' and previous_value is null
        ) as first_priority,

        ---------- numbers
        count(distinct new_value) filter (
            where field_name = 'assignee_id'
        ) as assignees,
        count(*) filter (
            where field_name = 'assignee_id' and previous_value <> new_value
        ) as handoffs,
        count(*) filter (
            where field_name = 'group_id' and previous_value <> new_value
        ) as group_hops,
        count(*) filter (
            where field_name = 'priority' and previous_value <> new_value
        ) as priority_changes

    from field_events_with_previous

    group by ticket_id

)

select * from tickets_routed
