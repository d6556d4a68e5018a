-- One row per ticket with changes of assignee, group or priority.
-- A handoff is a change from one assignee to another; the first one is none.
-- What a field was before its first change is what that change names as the one
-- before. The first priority is that of the creation if the history has it. If
-- it has only changes, it is what the first change names as the one before, or
-- what the ticket's own row says if that is older than the change; else nobody
-- knows it, and it stays empty.
with

tickets as (

    select
        ticket_id,
        priority,
        created_at,
        updated_at

    from stg_tickets

),

field_events as (

    select
        event_id,
        ticket_id,
        field_name,
        new_value,
        previous_value,
        occurred_at

    from stg_ticket_events

    where field_name in ('assignee_id', 'group_id', 'priority')
        and new_value is not null

),

-- Tickets whose history begins with them: a field that has no value then was
-- empty until its first change.
creations as (

    select distinct stg_ticket_events.ticket_id

    from stg_ticket_events

    inner join tickets
        on stg_ticket_events.ticket_id = tickets.ticket_id
        and stg_ticket_events.occurred_at
            < tickets.created_at + interval '1 second'

    where stg_ticket_events.field_name
        in ('status', 'assignee_id', 'group_id', 'priority')

),

field_events_numbered as (

    select
        ticket_id,
        field_name,
        new_value,
        previous_value,
        coalesce(
            lag(new_value) over (
                partition by ticket_id, field_name
                order by occurred_at, event_id
            ),
            previous_value
        ) as value_before,
        row_number() over (
            partition by ticket_id, field_name
            order by occurred_at, event_id
        ) as event_number,
        occurred_at

    from field_events

),

first_priorities as (

    select
        field_events_numbered.ticket_id,
        case
            when field_events_numbered.previous_value is not null
                then field_events_numbered.previous_value
            when creations.ticket_id is not null
                then field_events_numbered.new_value
            when tickets.updated_at < field_events_numbered.occurred_at
                then tickets.priority
        end as first_priority

    from field_events_numbered

    inner join tickets
        on field_events_numbered.ticket_id = tickets.ticket_id

    left join creations
        on field_events_numbered.ticket_id = creations.ticket_id

    where field_events_numbered.field_name = 'priority'
        and field_events_numbered.event_number = 1

),

assignees_of_tickets as (

    select
        ticket_id,
        new_value as assignee_id
    from field_events_numbered
    where field_name = 'assignee_id'

    union all

    select
        ticket_id,
        value_before as assignee_id
    from field_events_numbered
    where field_name = 'assignee_id'
        and event_number = 1
        and value_before is not null

),

assignees_counted_to_tickets as (

    select
        ticket_id,
        count(distinct assignee_id) as assignees

    from assignees_of_tickets

    group by ticket_id

),

-- Changes that the ticket's own row has not heard of.
newer_events as (

    select
        stg_ticket_events.ticket_id,
        stg_ticket_events.field_name,
        stg_ticket_events.new_value,
        row_number() over (
            partition by
                stg_ticket_events.ticket_id, stg_ticket_events.field_name
            order by
                stg_ticket_events.occurred_at desc,
                stg_ticket_events.event_id desc
        ) as event_number_from_last

    from stg_ticket_events

    inner join tickets
        on stg_ticket_events.ticket_id = tickets.ticket_id
        and stg_ticket_events.occurred_at > tickets.updated_at

    where stg_ticket_events.field_name
        in ('assignee_id', 'group_id', 'priority')

),

newer_values_summed_to_tickets as (

    select
        ticket_id,
        bool_or(field_name = 'assignee_id') as has_newer_assignee,
        bool_or(field_name = 'group_id') as has_newer_group,
        bool_or(field_name = 'priority') as has_newer_priority,
        max(new_value) filter (where field_name = 'assignee_id')
            as newer_assignee_id,
        max(new_value) filter (where field_name = 'group_id')
            as newer_group_id,
        max(new_value) filter (where field_name = 'priority')
            as newer_priority

    from newer_events

    where event_number_from_last = 1

    group by ticket_id

),

tickets_with_events as (

    select ticket_id from field_events_numbered

    union

    select ticket_id from newer_events

),

routes_summed_to_tickets as (

    select
        ticket_id,
        count(*) filter (
            where field_name = 'assignee_id' and value_before <> new_value
        ) as handoffs,
        count(*) filter (
            where field_name = 'group_id' and value_before <> new_value
        ) as group_hops,
        count(*) filter (
            where field_name = 'priority' and value_before <> new_value
        ) as priority_changes

    from field_events_numbered

    group by ticket_id

),

tickets_routed as (

    select
        ---------- ids
        tickets_with_events.ticket_id,
        newer_values_summed_to_tickets.newer_assignee_id,
        newer_values_summed_to_tickets.newer_group_id,

        ---------- strings
        first_priorities.first_priority,
        newer_values_summed_to_tickets.newer_priority,

        ---------- numbers
        coalesce(assignees_counted_to_tickets.assignees, 0) as assignees,
        coalesce(routes_summed_to_tickets.handoffs, 0) as handoffs,
        coalesce(routes_summed_to_tickets.group_hops, 0) as group_hops,
        coalesce(routes_summed_to_tickets.priority_changes, 0)
            as priority_changes,

        ---------- booleans
        first_priorities.ticket_id is not null as has_priority_events,
        coalesce(newer_values_summed_to_tickets.has_newer_assignee, false)
            as has_newer_assignee,
        coalesce(newer_values_summed_to_tickets.has_newer_group, false)
            as has_newer_group,
        coalesce(newer_values_summed_to_tickets.has_newer_priority, false)
            as has_newer_priority

    from tickets_with_events

    left join routes_summed_to_tickets
        on tickets_with_events.ticket_id = routes_summed_to_tickets.ticket_id

    left join assignees_counted_to_tickets
        on tickets_with_events.ticket_id
            = assignees_counted_to_tickets.ticket_id

    left join first_priorities
        on tickets_with_events.ticket_id = first_priorities.ticket_id

    left join newer_values_summed_to_tickets
        on tickets_with_events.ticket_id
            = newer_values_summed_to_tickets.ticket_id

)

select * from tickets_routed
