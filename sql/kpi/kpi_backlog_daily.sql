-- One row per reporting day, status and group: tickets that wait, by age.
-- The backlog of a day is every ticket whose last status of that day is not
-- solved, closed or deleted, as in kpi_support_daily; a change at midnight belongs to the day that
-- begins. Deleted tickets count on no day, not even before they were deleted,
-- and a ticket stands in the group that it has now. Age runs from creation to
-- the end of the day: at most 1 day old, over 1 and at most 3, and so on.
-- Statuses and groups that ever waited together have a row on every day.
with

tickets as (

    select
        ticket_id,
        group_id,
        created_day

    from fct_ticket

    where is_astray is not true

),

clock as (

    select
        first_day,
        last_day,
        complete_until

    from dim_ticket_feed

),

unfinished as (

    select
        ticket_id,
        status,
        local_day(started_at, $reporting_zone) as began_day,
        local_day(ended_at, $reporting_zone) - 1 as done_day

    from fct_ticket_status_interval

    where not is_finished
        and not is_deleted

),

-- What begins and ends on one day is no day's last status.
unfinished_with_group as (

    select
        unfinished.status,
        tickets.group_id,
        tickets.created_day,
        greatest(unfinished.began_day, clock.first_day) as began_day,
        -- `least` passes over nulls: what is not over lasts as long as the feed.
        least(unfinished.done_day, clock.last_day) as done_day

    from unfinished

    inner join tickets
        on unfinished.ticket_id = tickets.ticket_id

    cross join clock

    where least(unfinished.done_day, clock.last_day)
        >= greatest(unfinished.began_day, clock.first_day)

),

waiting_tickets_of_days as (

    select
        status,
        group_id,
        created_day,
        unnest(
            generate_series(began_day, done_day, interval '1 day')
        ) as day

    from unfinished_with_group

),

-- A ticket created on the day is at most one day old when the day ends.
waiting_tickets_aged as (

    select
        day,
        status,
        group_id,
        day - created_day + 1 as age_days

    from waiting_tickets_of_days

),

backlog_summed_to_days as (

    select
        day,
        status,
        group_id,
        count(*) as tickets,
        count(*) filter (where age_days <= 1) as age_0_1,
        count(*) filter (where age_days between 2 and 3) as age_1_3,
        count(*) filter (where age_days between 4 and 7) as age_3_7,
        count(*) filter (where age_days between 8 and 14) as age_7_14,
        count(*) filter (where age_days between 15 and 30) as age_14_30,
        count(*) filter (where age_days > 30) as age_over_30

    from waiting_tickets_aged

    group by
        day,
        status,
        group_id

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
        status,
        group_id

    from backlog_summed_to_days

),

final as (

    select
        ---------- ids
        days.day,
        combinations.status,
        combinations.group_id,

        ---------- numbers
        coalesce(backlog_summed_to_days.tickets, 0) as tickets,
        coalesce(backlog_summed_to_days.age_0_1, 0) as age_0_1,
        coalesce(backlog_summed_to_days.age_1_3, 0) as age_1_3,
        coalesce(backlog_summed_to_days.age_3_7, 0) as age_3_7,
        coalesce(backlog_summed_to_days.age_7_14, 0) as age_7_14,
        coalesce(backlog_summed_to_days.age_14_30, 0) as age_14_30,
        coalesce(backlog_summed_to_days.age_over_30, 0) as age_over_30,

        ---------- booleans
        days.day < clock.complete_until as is_complete

    from days

    cross join combinations

    cross join clock

    left join backlog_summed_to_days
        on days.day = backlog_summed_to_days.day
        and combinations.status = backlog_summed_to_days.status
        and combinations.group_id = backlog_summed_to_days.group_id

)

select * from final
