-- One row per reporting day, status and group: tickets that wait, by age. The
-- backlog of a day is every ticket whose last status of that day is not solved,
-- closed or deleted, as in kpi_support_daily; a change at midnight belongs to
-- the day that begins. Deleted tickets count on no day, not even before they
-- were deleted, and a ticket stands in the group that it has now. Age runs from
-- creation to the end of the day: at most 1 day old, over 1 and at most 3, and
-- so on. Statuses and groups that ever waited together have a row on every day.
with

feed as (

    select * from dim_ticket_feed

),

-- From which to which day a ticket has a status at the end of the day. What
-- begins and ends on one day is no day's last status.
waits as (

    select
        intervals.status,
        tickets.group_id,
        tickets.created_day,
        greatest(
            local_day(intervals.started_at, $reporting_zone), feed.first_day
        ) as began_day,
        -- `least` passes over nulls: what is not over lasts as the feed does.
        least(
            local_day(intervals.ended_at, $reporting_zone) - 1, feed.last_day
        ) as done_day

    from fct_ticket_status_interval as intervals

    inner join fct_ticket as tickets
        on intervals.ticket_id = tickets.ticket_id

    cross join feed

    where not intervals.is_finished
        and not intervals.is_deleted
        and tickets.is_astray is not true

),

waits_of_days as (

    select
        unnest(generate_series(began_day, done_day, interval '1 day')) as day,
        status,
        group_id,
        created_day

    from waits

    where began_day <= done_day

),

days as (

    select
        unnest(
            generate_series(first_day, last_day, interval '1 day')
        ) as day

    from feed

),

tickets_aged as (

    -- A ticket created on the day is at most one day old when the day ends.
    select
        day,
        status,
        group_id,
        day - created_day + 1 as age_days
    from waits_of_days

    union all by name

    -- None, so that statuses and groups have every day.
    select
        days.day,
        combinations.*
    from days
    cross join (
        select distinct
            status,
            group_id
        from waits_of_days
    ) as combinations

),

final as (

    select
        ---------- ids
        day,
        status,
        group_id,

        ---------- numbers
        count(age_days) as tickets,
        count(*) filter (where age_days <= 1) as age_0_1,
        count(*) filter (where age_days between 2 and 3) as age_1_3,
        count(*) filter (where age_days between 4 and 7) as age_3_7,
        count(*) filter (where age_days between 8 and 14) as age_7_14,
        count(*) filter (where age_days between 15 and 30) as age_14_30,
        count(*) filter (where age_days > 30) as age_over_30,

        ---------- booleans
        day < complete_until as is_complete

    from tickets_aged

    cross join feed

    group by
        day,
        status,
        group_id,
        complete_until

)

select * from final
