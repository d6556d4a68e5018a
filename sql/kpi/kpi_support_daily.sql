-- One row per reporting day and scope: the support desk. A scope is everything
-- (`scope_type` all), one channel, one group, one priority, or the tickets of one
-- channel, group and priority together; columns that do not tell the scope apart
-- say `all`. Rows of one scope type add up, those of several do not: sum over
-- scope_type = 'channel_group_priority'. Medians and distinct things cannot be
-- added up, so every scope is counted anew. A ticket stands in the channel, group
-- and priority that it has now. Replies and the service level stand on the day
-- of creation, solves and their times on the day of the solve, whatever comes
-- later, ratings on the day of the answer that counts. Deleted tickets count
-- nowhere but in `deleted`. Backlog of a day = unfinished tickets at its end =
-- backlog of the day before + created + reopened - solved; backlog_utc_eod looks
-- at the end of the same day in UTC. A day is final when the feed is so far past
-- it that neither late rows nor answers, repeats or first replies can change it:
-- by $late_days, $first_contact_days and $csat_answer_days, and when every ticket
-- created up to it was closed or deleted, and that more than $late_days ago. As a
-- row that lands in a year would still restate the day, no day is final unless
-- the contracts set late rows aside ($late_tickets_are_set_aside).
with

tickets as (

    select * from fct_ticket

    where is_astray is not true

),

status_intervals as (

    select * from fct_ticket_status_interval

    where not is_deleted

),

solves as (

    select * from fct_ticket_solve

    where not is_deleted

),

clock as (

    select
        first_day,
        last_day,
        complete_until

    from dim_ticket_feed

),

-- The first day on which a ticket was created that may still change.
settling as (

    select
        min(tickets.created_day) filter (
            where not tickets.is_deleted
                and (
                    tickets.first_closed_at is null
                    or local_day(tickets.first_closed_at, $reporting_zone)
                        + $late_days >= clock.complete_until
                )
        ) as unsettled_day

    from tickets

    cross join clock

),

scopes as (

    select * from (
        values
            ('channel_group_priority', true, true, true),
            ('all', false, false, false),
            ('channel', true, false, false),
            ('group', false, true, false),
            ('priority', false, false, true)
    ) as scopes (scope_type, by_channel, by_group, by_priority)

),

tickets_scoped as (

    select
        tickets.ticket_id,
        scopes.scope_type,
        case when scopes.by_channel then tickets.channel else 'all' end
            as channel,
        case when scopes.by_group then tickets.group_id else 'all' end
            as group_id,
        case when scopes.by_priority then tickets.priority else 'all' end
            as priority,
        tickets.first_reply_minutes,
        tickets.sla_first_reply_state,
        tickets.csat_rating,
        tickets.is_deleted,
        tickets.is_csat_in_time,
        tickets.created_day,
        tickets.csat_answered_day,
        local_day(tickets.csat_offered_at, $reporting_zone)
            as csat_offered_day

    from tickets

    cross join scopes

),

created_summed_to_days as (

    select
        created_day as day,
        scope_type,
        channel,
        group_id,
        priority,
        count(*) filter (where not is_deleted) as created,
        count(*) filter (where is_deleted) as deleted,
        count(first_reply_minutes) filter (where not is_deleted)
            as first_reply_tickets,
        median(first_reply_minutes) filter (where not is_deleted)
            as first_reply_median_minutes,
        percentile_cont(first_reply_minutes, 0.9)
            filter (where not is_deleted) as first_reply_p90_minutes,
        count(*) filter (
            where not is_deleted and sla_first_reply_state = 'met'
        ) as sla_met,
        count(*) filter (
            where not is_deleted and sla_first_reply_state = 'breached'
        ) as sla_breached,
        count(*) filter (
            where not is_deleted and sla_first_reply_state = 'active'
        ) as sla_active

    from tickets_scoped

    group by
        created_day,
        scope_type,
        channel,
        group_id,
        priority

),

resolved_summed_to_days as (

    select
        solves.solved_day as day,
        tickets_scoped.scope_type,
        tickets_scoped.channel,
        tickets_scoped.group_id,
        tickets_scoped.priority,
        count(*) as resolved_tickets,
        median(solves.resolution_minutes) as full_resolution_median_minutes,
        percentile_cont(solves.resolution_minutes, 0.9)
            as full_resolution_p90_minutes,
        count(*) filter (where solves.is_one_touch) as one_touch_tickets,
        count(*) filter (where solves.is_first_contact_resolved)
            as first_contact_tickets

    from solves

    inner join tickets_scoped
        on solves.ticket_id = tickets_scoped.ticket_id

    group by
        solves.solved_day,
        tickets_scoped.scope_type,
        tickets_scoped.channel,
        tickets_scoped.group_id,
        tickets_scoped.priority

),

ratings_summed_to_days as (

    select
        csat_answered_day as day,
        scope_type,
        channel,
        group_id,
        priority,
        count(*) filter (where csat_rating = 'good') as csat_pos,
        count(*) as csat_answered

    from tickets_scoped

    where csat_answered_day is not null
        and not is_deleted

    group by
        csat_answered_day,
        scope_type,
        channel,
        group_id,
        priority

),

offers_summed_to_days as (

    select
        csat_offered_day as day,
        scope_type,
        channel,
        group_id,
        priority,
        count(*) as csat_offered,
        count(*) filter (where is_csat_in_time) as csat_offers_answered

    from tickets_scoped

    where csat_offered_day is not null
        and not is_deleted

    group by
        csat_offered_day,
        scope_type,
        channel,
        group_id,
        priority

),

moves_summed_to_days as (

    select
        -- A history can begin before its ticket says that it was created.
        greatest(status_intervals.started_day, clock.first_day) as day,
        tickets_scoped.scope_type,
        tickets_scoped.channel,
        tickets_scoped.group_id,
        tickets_scoped.priority,
        count(*) filter (where status_intervals.is_solve) as solved,
        count(*) filter (where status_intervals.is_reopen) as reopened,
        sum(status_intervals.backlog_change) as backlog_change

    from status_intervals

    inner join tickets_scoped
        on status_intervals.ticket_id = tickets_scoped.ticket_id

    cross join clock

    group by
        greatest(status_intervals.started_day, clock.first_day),
        tickets_scoped.scope_type,
        tickets_scoped.channel,
        tickets_scoped.group_id,
        tickets_scoped.priority

),

moves_summed_to_utc_days as (

    select
        -- The first reporting day may begin on the day before in UTC.
        greatest(
            local_day(status_intervals.started_at, 'UTC'), clock.first_day
        ) as day,
        tickets_scoped.scope_type,
        tickets_scoped.channel,
        tickets_scoped.group_id,
        tickets_scoped.priority,
        sum(status_intervals.backlog_change) as backlog_utc_change

    from status_intervals

    inner join tickets_scoped
        on status_intervals.ticket_id = tickets_scoped.ticket_id

    cross join clock

    group by
        greatest(
            local_day(status_intervals.started_at, 'UTC'), clock.first_day
        ),
        tickets_scoped.scope_type,
        tickets_scoped.channel,
        tickets_scoped.group_id,
        tickets_scoped.priority

),

days as (

    select
        unnest(
            generate_series(first_day, last_day, interval '1 day')
        ) as day

    from clock

),

combinations as (

    select distinct
        scope_type,
        channel,
        group_id,
        priority

    from tickets_scoped

),

spine as (

    select
        days.day,
        combinations.scope_type,
        combinations.channel,
        combinations.group_id,
        combinations.priority

    from days

    cross join combinations

),

days_joined as (

    select
        spine.day,
        spine.scope_type,
        spine.channel,
        spine.group_id,
        spine.priority,
        coalesce(created_summed_to_days.created, 0) as created,
        coalesce(created_summed_to_days.deleted, 0) as deleted,
        coalesce(moves_summed_to_days.solved, 0) as solved,
        coalesce(moves_summed_to_days.reopened, 0) as reopened,
        coalesce(moves_summed_to_days.backlog_change, 0) as backlog_change,
        coalesce(moves_summed_to_utc_days.backlog_utc_change, 0)
            as backlog_utc_change,
        coalesce(created_summed_to_days.first_reply_tickets, 0)
            as first_reply_tickets,
        created_summed_to_days.first_reply_median_minutes,
        created_summed_to_days.first_reply_p90_minutes,
        coalesce(created_summed_to_days.sla_met, 0) as sla_met,
        coalesce(created_summed_to_days.sla_breached, 0) as sla_breached,
        coalesce(created_summed_to_days.sla_active, 0) as sla_active,
        coalesce(resolved_summed_to_days.resolved_tickets, 0)
            as resolved_tickets,
        resolved_summed_to_days.full_resolution_median_minutes,
        resolved_summed_to_days.full_resolution_p90_minutes,
        coalesce(resolved_summed_to_days.one_touch_tickets, 0)
            as one_touch_tickets,
        coalesce(resolved_summed_to_days.first_contact_tickets, 0)
            as first_contact_tickets,
        coalesce(ratings_summed_to_days.csat_pos, 0) as csat_pos,
        coalesce(ratings_summed_to_days.csat_answered, 0) as csat_answered,
        coalesce(offers_summed_to_days.csat_offered, 0) as csat_offered,
        coalesce(offers_summed_to_days.csat_offers_answered, 0)
            as csat_offers_answered

    from spine

    left join created_summed_to_days
        on spine.day = created_summed_to_days.day
        and spine.scope_type = created_summed_to_days.scope_type
        and spine.channel = created_summed_to_days.channel
        and spine.group_id = created_summed_to_days.group_id
        and spine.priority = created_summed_to_days.priority

    left join moves_summed_to_days
        on spine.day = moves_summed_to_days.day
        and spine.scope_type = moves_summed_to_days.scope_type
        and spine.channel = moves_summed_to_days.channel
        and spine.group_id = moves_summed_to_days.group_id
        and spine.priority = moves_summed_to_days.priority

    left join moves_summed_to_utc_days
        on spine.day = moves_summed_to_utc_days.day
        and spine.scope_type = moves_summed_to_utc_days.scope_type
        and spine.channel = moves_summed_to_utc_days.channel
        and spine.group_id = moves_summed_to_utc_days.group_id
        and spine.priority = moves_summed_to_utc_days.priority

    left join resolved_summed_to_days
        on spine.day = resolved_summed_to_days.day
        and spine.scope_type = resolved_summed_to_days.scope_type
        and spine.channel = resolved_summed_to_days.channel
        and spine.group_id = resolved_summed_to_days.group_id
        and spine.priority = resolved_summed_to_days.priority

    left join ratings_summed_to_days
        on spine.day = ratings_summed_to_days.day
        and spine.scope_type = ratings_summed_to_days.scope_type
        and spine.channel = ratings_summed_to_days.channel
        and spine.group_id = ratings_summed_to_days.group_id
        and spine.priority = ratings_summed_to_days.priority

    left join offers_summed_to_days
        on spine.day = offers_summed_to_days.day
        and spine.scope_type = offers_summed_to_days.scope_type
        and spine.channel = offers_summed_to_days.channel
        and spine.group_id = offers_summed_to_days.group_id
        and spine.priority = offers_summed_to_days.priority

),

days_with_backlog as (

    select
        day,
        scope_type,
        channel,
        group_id,
        priority,
        created,
        deleted,
        solved,
        reopened,
        first_reply_tickets,
        first_reply_median_minutes,
        first_reply_p90_minutes,
        sla_met,
        sla_breached,
        sla_active,
        resolved_tickets,
        full_resolution_median_minutes,
        full_resolution_p90_minutes,
        one_touch_tickets,
        first_contact_tickets,
        csat_pos,
        csat_answered,
        csat_offered,
        csat_offers_answered,
        sum(backlog_change) over (
            partition by scope_type, channel, group_id, priority
            order by day
            rows between unbounded preceding and current row
        ) as backlog_eod,
        sum(backlog_utc_change) over (
            partition by scope_type, channel, group_id, priority
            order by day
            rows between unbounded preceding and current row
        ) as backlog_utc_eod

    from days_joined

),

final as (

    select
        ---------- ids
        days_with_backlog.day,
        days_with_backlog.scope_type,
        days_with_backlog.channel,
        days_with_backlog.group_id,
        days_with_backlog.priority,

        ---------- numbers
        days_with_backlog.created,
        days_with_backlog.solved,
        days_with_backlog.reopened,
        days_with_backlog.deleted,
        days_with_backlog.backlog_eod,
        days_with_backlog.backlog_utc_eod,
        days_with_backlog.first_reply_tickets,
        case
            when days_with_backlog.first_reply_tickets >= $min_sample
                then round(days_with_backlog.first_reply_median_minutes, 2)
        end as first_reply_median_minutes,
        case
            when days_with_backlog.first_reply_tickets >= $min_sample
                then round(days_with_backlog.first_reply_p90_minutes, 2)
        end as first_reply_p90_minutes,
        days_with_backlog.sla_met,
        days_with_backlog.sla_breached,
        days_with_backlog.sla_active,
        days_with_backlog.sla_met + days_with_backlog.sla_breached
            as sla_decided,
        ratio(
            days_with_backlog.sla_met,
            days_with_backlog.sla_met + days_with_backlog.sla_breached
        ) as sla_rate,
        days_with_backlog.resolved_tickets,
        case
            when days_with_backlog.resolved_tickets >= $min_sample
                then round(
                    days_with_backlog.full_resolution_median_minutes, 2
                )
        end as full_resolution_median_minutes,
        case
            when days_with_backlog.resolved_tickets >= $min_sample
                then round(days_with_backlog.full_resolution_p90_minutes, 2)
        end as full_resolution_p90_minutes,
        days_with_backlog.one_touch_tickets,
        ratio(
            days_with_backlog.one_touch_tickets,
            days_with_backlog.resolved_tickets
        ) as one_touch_rate,
        days_with_backlog.first_contact_tickets,
        ratio(
            days_with_backlog.first_contact_tickets,
            days_with_backlog.resolved_tickets
        ) as first_contact_rate,
        days_with_backlog.csat_pos,
        days_with_backlog.csat_answered,
        ratio(days_with_backlog.csat_pos, days_with_backlog.csat_answered)
            as csat_rate,
        days_with_backlog.csat_offered,
        days_with_backlog.csat_offers_answered,
        ratio(
            days_with_backlog.csat_offers_answered,
            days_with_backlog.csat_offered
        ) as csat_response_rate,

        ---------- booleans
        days_with_backlog.day < clock.complete_until as is_complete,
        $late_tickets_are_set_aside
            and days_with_backlog.day
            + greatest($late_days, $first_contact_days, $csat_answer_days)
            < clock.complete_until
            and coalesce(
                days_with_backlog.day < settling.unsettled_day, true
            ) as is_final

    from days_with_backlog

    cross join clock

    cross join settling

)

select * from final
