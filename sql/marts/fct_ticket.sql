-- One row per ticket: waits, replies, routing, service level and rating. All
-- minutes are calendar minutes. Status, priority, group and assignee are the
-- newest that the ticket's row and its history know, and updated_at is the
-- newest time in either. Closing a ticket that was never solved (merged, spam,
-- a rule) counts as its solve. A reply is a public comment by a person in
-- support that does not open the ticket; robots never count. The first public
-- comment opens it if it was written within a second of its creation: the
-- request itself, or what an agent wrote who created the ticket for somebody.
-- Where the request is no comment, or the ticket began with a private note, the
-- first public comment by support is the reply; after the ticket was closed
-- none is. The first priority is that of the creation; if the history has only
-- changes, what the first of them names as the value before (previous_value),
-- or what the ticket's row says if that is older; else nobody knows it. The
-- service level of the first reply holds the target that was valid on the day
-- of creation for the first priority, and none where that is not known; its
-- clock ends at the first reply, the first solve or the closing, whichever
-- comes first. The rating is the one given in the help desk: the latest within
-- $csat_answer_days of the offer, else the first one after it;
-- fct_ticket_rating has surveys as well. A ticket created on a day that
-- dim_ticket_feed does not reach is astray, and counts in no KPI.
with

tickets as (

    select * from stg_tickets

),

resolved as (

    select * from int_tickets_resolved

),

replied as (

    select * from int_tickets_replied

),

routed as (

    select * from int_tickets_routed

),

rated as (

    select * from int_tickets_rated

),

first_reply_targets as (

    select
        scope_id as priority,
        target,
        valid_from,
        valid_to

    from dim_kpi_target

    where metric_id = 'sla_first_reply_minutes'
        and scope_type = 'priority'

),

first_solves as (

    select
        ticket_id,
        is_first_contact_resolved

    from fct_ticket_solve

    where solve_number = 1

),

feed as (

    select * from dim_ticket_feed

),

events_summed_to_tickets as (

    select
        ticket_id,
        max(occurred_at) as last_event_at

    from stg_ticket_events

    group by ticket_id

),

tickets_joined as (

    select
        tickets.* except (assignee_id, group_id, status, priority),
        resolved.* except (ticket_id),
        replied.* except (ticket_id),
        routed.* except (ticket_id, first_priority),
        rated.* except (ticket_id),
        first_solves.is_first_contact_resolved,
        events_summed_to_tickets.last_event_at,
        case
            when routed.has_newer_assignee then routed.newer_assignee_id
            else tickets.assignee_id
        end as assignee_id,
        case
            when routed.has_newer_group then routed.newer_group_id
            else tickets.group_id
        end as group_id,
        coalesce(resolved.last_status, tickets.status) as status,
        case
            when routed.has_newer_priority then routed.newer_priority
            else tickets.priority
        end as priority,
        case
            when routed.has_priority_events then routed.first_priority
            else tickets.priority
        end as first_priority,
        local_day(tickets.created_at, $reporting_zone) as created_day,
        -- A solve or a closing without a reply ends the wait, too.
        least(replied.first_replied_at, resolved.first_solved_at)
            as sla_ended_at

    from tickets

    left join resolved
        on tickets.ticket_id = resolved.ticket_id

    left join replied
        on tickets.ticket_id = replied.ticket_id

    left join routed
        on tickets.ticket_id = routed.ticket_id

    left join rated
        on tickets.ticket_id = rated.ticket_id

    left join first_solves
        on tickets.ticket_id = first_solves.ticket_id

    left join events_summed_to_tickets
        on tickets.ticket_id = events_summed_to_tickets.ticket_id

),

tickets_with_target as (

    select
        tickets_joined.*,
        -- A date that the feed does not reach is a wrong one.
        coalesce(
            created_day not between feed.first_day and feed.last_day, false
        ) as is_astray,
        first_reply_targets.target as sla_first_reply_target_minutes,
        seconds_between(
            created_at, coalesce(sla_ended_at, greatest($as_of, created_at))
        ) / 60 as sla_elapsed_minutes

    from tickets_joined

    cross join feed

    left join first_reply_targets
        on tickets_joined.first_priority = first_reply_targets.priority
        and tickets_joined.created_day
            between first_reply_targets.valid_from
            and first_reply_targets.valid_to

),

final as (

    select
        ---------- ids
        ticket_id,
        requester_id,
        assignee_id,
        coalesce(group_id, 'none') as group_id,
        solver_id,
        first_reply_agent_id,

        ---------- strings
        status,
        coalesce(priority, 'none') as priority,
        first_priority,
        ticket_type,
        channel,
        category,
        case
            when sla_first_reply_target_minutes is null then 'none'
            when sla_elapsed_minutes > sla_first_reply_target_minutes
                then 'breached'
            when sla_ended_at is null then 'active'
            else 'met'
        end as sla_first_reply_state,
        case
            when coalesce(solves, 0) = 0 then 'unsolved'
            when touches = 1 then 'one'
            when touches = 2 then 'two'
            when touches > 2 then 'more'
            else 'none'
        end as touch_class,
        csat_first_rating,
        csat_rating,

        ---------- numbers
        minutes_of(seconds_between(created_at, first_replied_at))
            as first_reply_minutes,
        minutes_of(seconds_between(created_at, first_solved_at))
            as first_resolution_minutes,
        minutes_of(seconds_between(created_at, last_solved_at))
            as full_resolution_minutes,
        requester_wait_minutes,
        agent_work_minutes,
        agent_wait_minutes,
        on_hold_minutes,
        sla_first_reply_target_minutes,
        coalesce(comments, 0) as comments,
        coalesce(public_comments, 0) as public_comments,
        coalesce(private_comments, 0) as private_comments,
        coalesce(agent_replies, 0) as agent_replies,
        coalesce(touches, 0) as touches,
        coalesce(assignees, 0) as assignees,
        coalesce(handoffs, 0) as handoffs,
        coalesce(group_hops, 0) as group_hops,
        coalesce(priority_changes, 0) as priority_changes,
        coalesce(solves, 0) as solves,
        coalesce(reopens, 0) as reopens,
        coalesce(csat_answers, 0) as csat_answers,

        ---------- booleans
        status = 'deleted' as is_deleted,
        is_astray,
        status in ('solved', 'closed') as is_solved,
        coalesce(reopens > 0, false) as is_reopened,
        status in ('solved', 'closed') and coalesce(touches, 0) = 1
            as is_one_touch,
        coalesce(is_first_contact_resolved, false) as is_first_contact_resolved,
        coalesce(is_csat_in_time, false) as is_csat_in_time,

        ---------- dates
        created_day,
        local_day(last_solved_at, $reporting_zone) as solved_day,
        local_day(csat_answered_at, $reporting_zone) as csat_answered_day,

        ---------- timestamps
        created_at,
        -- `greatest` passes over nulls.
        greatest(updated_at, last_event_at) as updated_at,
        first_replied_at,
        first_solved_at,
        last_solved_at,
        first_closed_at,
        csat_offered_at,
        csat_answered_at

    from tickets_with_target

)

select * from final
