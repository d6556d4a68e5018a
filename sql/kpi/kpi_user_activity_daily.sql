-- One row per reporting day, platform and channel: active users and sessions.
-- scope_type says what a row stands for: `all` for everything, a dimension or
-- both for one value of each; what it does not name is `all` in the row.
-- Distinct users cannot be added up, so totals are counted anew. Platform and
-- channel are those of the session in which an event happened, for users as for
-- sessions. New, returning, resurrected and dormant compare a day with the day
-- before and with the row's own history (growth accounting as in PostHog): new
-- + returning + resurrected = dau. A user is active on day t over n days
-- exactly when the latest active day d has t - n < d <= t, so each active day
-- adds one user at d and takes it away at d + n or at the next active day. wau,
-- mau and stickiness of the first days rest on as many days as there are:
-- window_days. A row is final when nothing that may still land can change it:
-- its sessions are over, and later events are quarantined as late, as the
-- contract of user_events must say where $late_events_are_set_aside does.
with

feed as (

    select * from dim_event_feed

),

events as (

    select events.*

    from fct_event as events

    inner join feed
        on events.event_day between feed.first_day and feed.last_day

),

sessions as (

    select sessions.*

    from fct_session as sessions

    inner join feed
        on sessions.session_day between feed.first_day and feed.last_day

),

user_days as (

    select
        event_day as day,
        user_id,
        -- One bit, from the right, for each column that a total goes over.
        case grouping(session_platform, session_acquisition_channel)
            when 0 then 'platform_acquisition_channel'
            when 1 then 'platform'
            when 2 then 'acquisition_channel'
            else 'all'
        end as scope_type,
        case grouping(session_platform)
            when 1 then 'all' else session_platform
        end as platform,
        case grouping(session_acquisition_channel)
            when 1 then 'all' else session_acquisition_channel
        end as acquisition_channel,
        count(*) as events,
        count(*) filter (where is_page_view) as page_views

    from events

    group by grouping sets (
        (event_day, user_id, session_platform, session_acquisition_channel),
        (event_day, user_id, session_platform),
        (event_day, user_id, session_acquisition_channel),
        (event_day, user_id)
    )

),

session_days as (

    select
        session_day as day,
        case grouping(platform, acquisition_channel)
            when 0 then 'platform_acquisition_channel'
            when 1 then 'platform'
            when 2 then 'acquisition_channel'
            else 'all'
        end as scope_type,
        case grouping(platform) when 1 then 'all' else platform end
            as platform,
        case grouping(acquisition_channel)
            when 1 then 'all' else acquisition_channel
        end as acquisition_channel,
        count(*) as sessions,
        count(*) filter (where is_engaged) as engaged_sessions,
        count(*) filter (where is_converting) as converting_sessions,
        count(*) filter (where has_problem) as problem_sessions,
        sum(cast(duration_seconds as decimal(18, 3)))
            as engaged_seconds_total

    from sessions

    group by grouping sets (
        (session_day, platform, acquisition_channel),
        (session_day, platform),
        (session_day, acquisition_channel),
        (session_day)
    )

),

user_days_with_neighbours as (

    select
        *,
        lag(day) over days_of_user as previous_day,
        lead(day) over days_of_user as next_day

    from user_days

    window days_of_user as (
        partition by scope_type, platform, acquisition_channel, user_id
        order by day
    )

),

-- What one day of a user changes, on that day and after it.
user_day_changes as (

    select
        *,
        unnest(make_array(
            named_struct('kind', 'active', 'day', day),
            named_struct(
                'kind', 'out of week', 'day', least(day + 7, next_day)
            ),
            named_struct(
                'kind', 'out of month', 'day', least(day + $mau_days, next_day)
            ),
            named_struct('kind', 'out of window', 'day', day + $mau_days),
            named_struct('kind', 'dormant', 'day', nullif(day + 1, next_day))
        )) as change

    from user_days_with_neighbours

),

days as (

    select
        unnest(
            generate_series(first_day, last_day, interval '1 day')
        ) as day

    from feed

),

changes as (

    -- None at all, so that each scope has a row for every day.
    select
        days.day,
        scopes.*
    from days
    cross join (
        select distinct scope_type, platform, acquisition_channel
        from user_days
    ) as scopes

    union all by name

    select
        change['day'] as day,
        change['kind'] as kind,
        scope_type,
        platform,
        acquisition_channel,
        previous_day,
        events,
        page_views
    from user_day_changes

    union all by name

    select * from session_days

),

days_counted as (

    select
        day,
        scope_type,
        platform,
        acquisition_channel,
        count(*) filter (where kind = 'active') as dau,
        count(*) filter (where kind = 'out of week') as out_of_week,
        count(*) filter (where kind = 'out of month') as out_of_month,
        count(*) filter (where kind = 'out of window') as out_of_window,
        count(*) filter (where kind = 'active' and previous_day is null)
            as new_users,
        count(*) filter (where kind = 'active' and previous_day = day - 1)
            as returning_users,
        count(*) filter (where kind = 'active' and previous_day < day - 1)
            as resurrected_users,
        count(*) filter (where kind = 'dormant') as dormant_users,
        coalesce(sum(events) filter (where kind = 'active'), 0) as events,
        coalesce(sum(page_views) filter (where kind = 'active'), 0)
            as page_views,
        coalesce(sum(sessions), 0) as sessions,
        coalesce(sum(engaged_sessions), 0) as engaged_sessions,
        coalesce(sum(converting_sessions), 0) as converting_sessions,
        coalesce(sum(problem_sessions), 0) as problem_sessions,
        cast(coalesce(sum(engaged_seconds_total), 0) as decimal(18, 3))
            as engaged_seconds_total

    from changes

    group by
        day,
        scope_type,
        platform,
        acquisition_channel

),

days_with_windows as (

    select
        days_counted.*,
        sum(dau - out_of_week) over so_far as wau,
        sum(dau - out_of_month) over so_far as mau,
        sum(dau - out_of_window) over so_far as active_user_days,
        least(day - feed.first_day + 1, $mau_days) as window_days,
        feed.last_day,
        feed.complete_until

    from days_counted

    cross join feed

    window so_far as (
        partition by scope_type, platform, acquisition_channel
        order by day
        rows between unbounded preceding and current row
    )

),

final as (

    select
        ---------- ids
        day,
        scope_type,
        platform,
        acquisition_channel,

        ---------- numbers
        dau,
        wau,
        mau,
        new_users,
        returning_users,
        resurrected_users,
        dormant_users,
        active_user_days,
        mau * window_days as possible_user_days,
        ratio(active_user_days, mau * window_days) as stickiness,
        sessions,
        engaged_sessions,
        ratio(engaged_sessions, sessions) as engagement_rate,
        converting_sessions,
        ratio(converting_sessions, sessions) as conversion_rate,
        problem_sessions,
        ratio(problem_sessions, sessions) as problem_session_rate,
        events,
        page_views,
        engaged_seconds_total,
        cast(window_days as bigint) as window_days,

        ---------- booleans
        day < complete_until as is_complete,
        $late_events_are_set_aside
            and day
                + $late_days
                + ($session_max_seconds + 86399) / 86400
                < complete_until as is_final

    from days_with_windows

    -- Users leave windows after the last day, too.
    where day <= last_day

)

select * from final
