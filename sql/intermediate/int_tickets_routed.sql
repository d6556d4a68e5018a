-- One row per ticket with changes of assignee, group or priority. A handoff is
-- a change from one assignee to another; the first one is none. What a field
-- was before its first change is what that change names as the one before. The
-- first priority is that of the creation if the history has it. If it has only
-- changes, it is what the first change names as the one before, or what the
-- ticket's own row says if that is older than the change; else nobody knows it,
-- and it stays empty.
with

-- Tickets whose history begins with them: a field that has no value then was
-- empty until its first change.
creations as (

    select distinct stg_ticket_events.ticket_id

    from stg_ticket_events

    inner join stg_tickets using (ticket_id)

    where field_name in ('status', 'assignee_id', 'group_id', 'priority')
        and occurred_at < created_at + interval '1 second'

),

events as (

    select
        *,
        lag(new_value) ignore nulls over first_to_last as last_value,
        lead(event_id) over first_to_last is null as is_last

    from stg_ticket_events

    where field_name in ('assignee_id', 'group_id', 'priority')

    window first_to_last as (
        partition by ticket_id, field_name
        order by occurred_at, event_id
    )

),

events_of_tickets as (

    select
        events.*,
        new_value is not null as is_change,
        new_value is not null and last_value is null as is_first_change,
        coalesce(last_value, previous_value) as value_before,
        -- The ticket's own row has not heard of it.
        is_last and occurred_at > tickets.updated_at as is_news,
        case
            when previous_value is not null then previous_value
            when creations.ticket_id is not null then new_value
            when tickets.updated_at < occurred_at then tickets.priority
        end as priority_before

    from events

    inner join stg_tickets as tickets
        on events.ticket_id = tickets.ticket_id

    left join creations
        on events.ticket_id = creations.ticket_id

),

assignees_of_tickets as (

    select
        ticket_id,
        unnest(make_array(value_before, new_value)) as assignee_id

    from events_of_tickets

    where field_name = 'assignee_id'
        and is_change

),

assignees_counted_to_tickets as (

    select
        ticket_id,
        count(distinct assignee_id) as assignees

    from assignees_of_tickets

    group by ticket_id

),

events_summed_to_tickets as (

    select
        ticket_id,
        max(new_value) filter (where field_name = 'assignee_id' and is_news)
            as newer_assignee_id,
        max(new_value) filter (where field_name = 'group_id' and is_news)
            as newer_group_id,
        max(new_value) filter (where field_name = 'priority' and is_news)
            as newer_priority,
        max(priority_before) filter (
            where field_name = 'priority' and is_first_change
        ) as first_priority,
        count(*) filter (
            where field_name = 'assignee_id' and value_before <> new_value
        ) as handoffs,
        count(*) filter (
            where field_name = 'group_id' and value_before <> new_value
        ) as group_hops,
        count(*) filter (
            where field_name = 'priority' and value_before <> new_value
        ) as priority_changes,
        bool_or(field_name = 'priority' and is_change) as has_priority_events,
        bool_or(field_name = 'assignee_id' and is_news) as has_newer_assignee,
        bool_or(field_name = 'group_id' and is_news) as has_newer_group,
        bool_or(field_name = 'priority' and is_news) as has_newer_priority

    from events_of_tickets

    group by ticket_id

),

tickets_routed as (

    select
        ---------- ids
        events_summed_to_tickets.ticket_id,
        newer_assignee_id,
        newer_group_id,

        ---------- strings
        first_priority,
        newer_priority,

        ---------- numbers
        coalesce(assignees, 0) as assignees,
        handoffs,
        group_hops,
        priority_changes,

        ---------- booleans
        has_priority_events,
        coalesce(has_newer_assignee, false) as has_newer_assignee,
        coalesce(has_newer_group, false) as has_newer_group,
        coalesce(has_newer_priority, false) as has_newer_priority

    from events_summed_to_tickets

    left join assignees_counted_to_tickets
        on events_summed_to_tickets.ticket_id
            = assignees_counted_to_tickets.ticket_id

)

select * from tickets_routed
