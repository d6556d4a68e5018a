-- One row per reporting day and scope: the support desk. A scope is everything
-- (`scope_type` all), one channel, one group, one priority, or the tickets of
-- one channel, group and priority together; columns that do not tell the scope
-- apart say `all`. Rows of one scope type add up, those of several do not: sum
-- over scope_type = 'channel_group_priority'. Medians cannot be added up, so
-- every scope is counted anew. A ticket stands in the channel, group and
-- priority that it has now. Replies and the service level stand on the day of
-- creation, solves and their times on the day of the solve, whatever comes
-- later, ratings on the day of the answer that counts. Deleted tickets count
-- nowhere but in `deleted`. Backlog of a day = unfinished tickets at its end =
-- backlog of the day before + created + reopened - solved; backlog_utc_eod
-- looks at the end of the same day in UTC. A day is final when the feed is so
-- far past it that neither late rows nor answers, repeats or first replies can
-- change it: by $late_days, $first_contact_days and $csat_answer_days, and when
-- every ticket created up to it was closed or deleted, and that more than
-- $late_days ago. As a row that lands in a year would still restate the day, no
-- day is final unless the contracts set late rows aside
-- ($late_tickets_are_set_aside).
with

feed as (

    select * from dim_ticket_feed

),

desk_tickets as (

    select * from fct_ticket

    where is_astray is not true

),

tickets as (

    select * from desk_tickets

    where not is_deleted

),

status_intervals as (

    select
        intervals.*,
        feed.first_day

    from fct_ticket_status_interval as intervals

    cross join feed

    where not is_deleted

),

days as (

    select
        unnest(
            generate_series(first_day, last_day, interval '1 day')
        ) as day

    from feed

),

-- What can happen to a ticket on a day. A branch has the columns that its kind
-- of happening knows, and the others are null.
happenings as (

    -- Nothing at all: one ticket of each combination gives it every day.
    select
        days.day,
        combinations.ticket_id,
        'nothing' as kind
    from days
    cross join (
        select min(ticket_id) as ticket_id
        from desk_tickets
        group by channel, group_id, priority
    ) as combinations

    union all by name

    select
        created_day as day,
        ticket_id,
        'deleted' as kind
    from desk_tickets
    where is_deleted

    union all by name

    select
        created_day as day,
        ticket_id,
        'created' as kind,
        first_reply_minutes,
        sla_first_reply_state
    from tickets

    union all by name

    select
        csat_answered_day as day,
        ticket_id,
        'rated' as kind,
        csat_rating
    from tickets
    where csat_answered_day is not null

    union all by name

    select
        local_day(csat_offered_at, $reporting_zone) as day,
        ticket_id,
        'offered' as kind,
        is_csat_in_time
    from tickets
    where csat_offered_at is not null

    union all by name

    select
        solved_day as day,
        ticket_id,
        'resolved' as kind,
        resolution_minutes,
        is_one_touch,
        is_first_contact_resolved
    from fct_ticket_solve
    where not is_deleted

    union all by name

    select
        -- A history can begin before its ticket says that it was created.
        greatest(started_day, first_day) as day,
        ticket_id,
        'moved' as kind,
        is_solve,
        is_reopen,
        backlog_change
    from status_intervals

    union all by name

    select
        -- The first reporting day may begin on the day before in UTC.
        greatest(local_day(started_at, 'UTC'), first_day) as day,
        ticket_id,
        'moved in UTC' as kind,
        backlog_change as backlog_utc_change
    from status_intervals

),

scopes as (

    select
        ticket_id,
        channel,
        group_id,
        priority

    from desk_tickets

),

days_counted as (

    select
        day,
        -- One bit, from the right, for each column that a total goes over.
        case grouping(channel, group_id, priority)
            when 0 then 'channel_group_priority'
            when 3 then 'channel'
            when 5 then 'group'
            when 6 then 'priority'
            else 'all'
        end as scope_type,
        case grouping(channel) when 1 then 'all' else channel end as channel,
        case grouping(group_id) when 1 then 'all' else group_id end
            as group_id,
        case grouping(priority) when 1 then 'all' else priority end
            as priority,
        count(*) filter (where kind = 'created') as created,
        count(*) filter (where kind = 'deleted') as deleted,
        count(first_reply_minutes) as first_reply_tickets,
        median(first_reply_minutes) as first_reply_median_minutes,
        percentile_cont(first_reply_minutes, 0.9) as first_reply_p90_minutes,
        count(*) filter (where sla_first_reply_state = 'met') as sla_met,
        count(*) filter (where sla_first_reply_state = 'breached')
            as sla_breached,
        count(*) filter (where sla_first_reply_state = 'active')
            as sla_active,
        count(*) filter (where kind = 'resolved') as resolved_tickets,
        median(resolution_minutes) as full_resolution_median_minutes,
        percentile_cont(resolution_minutes, 0.9) as full_resolution_p90_minutes,
        count(*) filter (where is_one_touch) as one_touch_tickets,
        count(*) filter (where is_first_contact_resolved)
            as first_contact_tickets,
        count(*) filter (where kind = 'rated') as csat_answered,
        count(*) filter (where csat_rating = 'good') as csat_pos,
        count(*) filter (where kind = 'offered') as csat_offered,
        count(*) filter (where is_csat_in_time) as csat_offers_answered,
        count(*) filter (where is_solve) as solved,
        count(*) filter (where is_reopen) as reopened,
        coalesce(sum(backlog_change), 0) as backlog_change,
        coalesce(sum(backlog_utc_change), 0) as backlog_utc_change

    from happenings

    inner join scopes using (ticket_id)

    group by grouping sets (
        (day, channel, group_id, priority),
        (day, channel),
        (day, group_id),
        (day, priority),
        (day)
    )

),

days_with_backlog as (

    select
        *,
        sla_met + sla_breached as sla_decided,
        sum(backlog_change) over so_far as backlog_eod,
        sum(backlog_utc_change) over so_far as backlog_utc_eod

    from days_counted

    window so_far as (
        partition by scope_type, channel, group_id, priority
        order by day
        rows between unbounded preceding and current row
    )

),

clock as (

    select
        feed.complete_until,
        -- The first day on which a ticket was created that may still change.
        min(tickets.created_day) filter (
            where tickets.first_closed_at is null
                or local_day(tickets.first_closed_at, $reporting_zone)
                    + $late_days >= feed.complete_until
        ) as unsettled_day

    from feed

    left join tickets
        on true

    group by feed.complete_until

),

final as (

    select
        ---------- ids
        day,
        scope_type,
        channel,
        group_id,
        priority,

        ---------- numbers
        created,
        solved,
        reopened,
        deleted,
        backlog_eod,
        backlog_utc_eod,
        first_reply_tickets,
        case
            when first_reply_tickets >= $min_sample
                then round(first_reply_median_minutes, 2)
        end as first_reply_median_minutes,
        case
            when first_reply_tickets >= $min_sample
                then round(first_reply_p90_minutes, 2)
        end as first_reply_p90_minutes,
        sla_met,
        sla_breached,
        sla_active,
        sla_decided,
        ratio(sla_met, sla_decided) as sla_rate,
        resolved_tickets,
        case
            when resolved_tickets >= $min_sample
                then round(full_resolution_median_minutes, 2)
        end as full_resolution_median_minutes,
        case
            when resolved_tickets >= $min_sample
                then round(full_resolution_p90_minutes, 2)
        end as full_resolution_p90_minutes,
        one_touch_tickets,
        ratio(one_touch_tickets, resolved_tickets) as one_touch_rate,
        first_contact_tickets,
        ratio(first_contact_tickets, resolved_tickets) as first_contact_rate,
        csat_pos,
        csat_answered,
        ratio(csat_pos, csat_answered) as csat_rate,
        csat_offered,
        csat_offers_answered,
        ratio(csat_offers_answered, csat_offered) as csat_response_rate,

        ---------- booleans
        day < complete_until as is_complete,
        $late_tickets_are_set_aside
            and day
                + greatest($late_days, $first_contact_days, $csat_answer_days)
                < complete_until
            and coalesce(day < unsettled_day, true) as is_final

    from days_with_backlog

    cross join clock

)

select * from final
