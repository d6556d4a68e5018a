-- One row per ticket: waits, replies, routing, service level and rating.
-- All minutes are calendar minutes. The service level of the first reply holds
-- the target that was valid on the day of creation for the first priority; its
-- clock ends at the first reply or the first solve, whichever comes first.
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

next_requests as (

    select
        ticket_id,
        lead(created_at) over (
            partition by requester_id, category
            order by created_at, ticket_id
        ) as next_created_at

    from tickets

    where status <> 'deleted'

),

tickets_joined as (

    select
        tickets.ticket_id,
        tickets.requester_id,
        tickets.assignee_id,
        coalesce(tickets.group_id, 'none') as group_id,
        -- Solves by robots and rules are credited to the assignee.
        case
            when resolved.solves > 0
                then coalesce(resolved.solver_id, tickets.assignee_id)
        end as solver_id,
        replied.first_reply_agent_id,
        tickets.status,
        coalesce(tickets.priority, 'none') as priority,
        coalesce(routed.first_priority, tickets.priority) as first_priority,
        tickets.ticket_type,
        tickets.channel,
        tickets.category,
        rated.csat_first_rating,
        rated.csat_rating,
        resolved.solves,
        resolved.requester_wait_minutes,
        resolved.agent_work_minutes,
        resolved.agent_wait_minutes,
        resolved.on_hold_minutes,
        coalesce(replied.comments, 0) as comments,
        coalesce(replied.public_comments, 0) as public_comments,
        coalesce(replied.private_comments, 0) as private_comments,
        coalesce(replied.agent_replies, 0) as agent_replies,
        coalesce(replied.touches, 0) as touches,
        coalesce(routed.assignees, 0) as assignees,
        coalesce(routed.handoffs, 0) as handoffs,
        coalesce(routed.group_hops, 0) as group_hops,
        coalesce(routed.priority_changes, 0) as priority_changes,
        coalesce(rated.csat_answers, 0) as csat_answers,
        local_day(tickets.created_at, $reporting_zone) as created_day,
        tickets.created_at,
        tickets.updated_at,
        replied.first_replied_at,
        resolved.first_solved_at,
        resolved.last_solved_at,
        least(
            replied.first_replied_at,
            resolved.first_solved_at
        ) as sla_ended_at,
        next_requests.next_created_at,
        rated.csat_offered_at,
        rated.csat_answered_at

    from tickets

    left join resolved
        on tickets.ticket_id = resolved.ticket_id

    left join replied
        on tickets.ticket_id = replied.ticket_id

    left join routed
        on tickets.ticket_id = routed.ticket_id

    left join rated
        on tickets.ticket_id = rated.ticket_id

    left join next_requests
        on tickets.ticket_id = next_requests.ticket_id

),

tickets_with_target as (

    select
        tickets_joined.ticket_id,
        tickets_joined.requester_id,
        tickets_joined.assignee_id,
        tickets_joined.group_id,
        tickets_joined.solver_id,
        tickets_joined.first_reply_agent_id,
        tickets_joined.status,
        tickets_joined.priority,
        tickets_joined.first_priority,
        tickets_joined.ticket_type,
        tickets_joined.channel,
        tickets_joined.category,
        tickets_joined.csat_first_rating,
        tickets_joined.csat_rating,
        tickets_joined.solves,
        tickets_joined.requester_wait_minutes,
        tickets_joined.agent_work_minutes,
        tickets_joined.agent_wait_minutes,
        tickets_joined.on_hold_minutes,
        tickets_joined.comments,
        tickets_joined.public_comments,
        tickets_joined.private_comments,
        tickets_joined.agent_replies,
        tickets_joined.touches,
        tickets_joined.assignees,
        tickets_joined.handoffs,
        tickets_joined.group_hops,
        tickets_joined.priority_changes,
        tickets_joined.csat_answers,
        tickets_joined.created_day,
        tickets_joined.created_at,
        tickets_joined.updated_at,
        tickets_joined.first_replied_at,
        tickets_joined.first_solved_at,
        tickets_joined.last_solved_at,
        tickets_joined.sla_ended_at,
        tickets_joined.next_created_at,
        tickets_joined.csat_offered_at,
        tickets_joined.csat_answered_at,
        first_reply_targets.target as sla_first_reply_target_minutes,
        extract(epoch from (
            coalesce(
                tickets_joined.sla_ended_at,
                greatest($as_of, tickets_joined.created_at)
            ) - tickets_joined.created_at
        )) / 60 as sla_elapsed_minutes

    from tickets_joined

    left join first_reply_targets
        on tickets_joined.first_priority = first_reply_targets.priority
        and tickets_joined.created_day >= first_reply_targets.valid_from
        and tickets_joined.created_day <= first_reply_targets.valid_to

),

final as (

    select
        ---------- ids
        ticket_id,
        requester_id,
        assignee_id,
        group_id,
        solver_id,
        first_reply_agent_id,

        ---------- strings
        status,
        priority,
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
            when solves = 0 then 'unsolved'
            when touches = 0 then 'none'
            when touches = 1 then 'one'
            when touches = 2 then 'two'
            else 'more'
        end as touch_class,
        csat_first_rating,
        csat_rating,

        ---------- numbers
        round(
            extract(epoch from (first_replied_at - created_at)) / 60, 2
        ) as first_reply_minutes,
        round(
            extract(epoch from (first_solved_at - created_at)) / 60, 2
        ) as first_resolution_minutes,
        round(
            extract(epoch from (last_solved_at - created_at)) / 60, 2
        ) as full_resolution_minutes,
        requester_wait_minutes,
        agent_work_minutes,
        agent_wait_minutes,
        on_hold_minutes,
        sla_first_reply_target_minutes,
        comments,
        public_comments,
        private_comments,
        agent_replies,
        touches,
        assignees,
        handoffs,
        group_hops,
        priority_changes,
        solves,
        greatest(solves - 1, 0) as reopens,
        csat_answers,

        ---------- booleans
        status = 'deleted' as is_deleted,
        status in ('solved', 'closed') as is_solved,
        solves > 1 as is_reopened,
        status in ('solved', 'closed') and touches = 1 as is_one_touch,
        -- First contact resolution: one answer was enough, and the requester
        -- did not come back on the same topic.
        touches = 1
            and solves = 1
            and status in ('solved', 'closed')
            and (
                next_created_at is null
                or extract(epoch from (next_created_at - last_solved_at))
                    > $first_contact_days * 86400
            ) as is_first_contact_resolved,

        ---------- dates
        created_day,
        local_day(last_solved_at, $reporting_zone) as solved_day,
        local_day(csat_answered_at, $reporting_zone) as csat_answered_day,

        ---------- timestamps
        created_at,
        updated_at,
        first_replied_at,
        first_solved_at,
        last_solved_at,
        csat_offered_at,
        csat_answered_at

    from tickets_with_target

)

select * from final
