-- One row per reporting day, platform and channel: active users and sessions.
-- scope_type says what a row stands for: `all` for everything, a dimension or both
-- for one value of each; what it does not name is `all` in the row. Distinct users
-- cannot be added up, so totals are counted anew. Platform and channel are those
-- of the session in which an event happened, for users as for sessions.
-- New, returning, resurrected and dormant compare a day with the day before
-- and with the row's own history (growth accounting as in PostHog): new +
-- returning + resurrected = dau. A user is active on day t over n days exactly
-- when the latest active day d has t - n < d <= t, so each active day adds one
-- user at d and takes it away at d + n or at the next active day.
-- wau, mau and stickiness of the first days rest on as many days as there are:
-- window_days. A row is final when nothing that may still land can change it: its
-- sessions are over, and later events are set aside as late, as the contract of
-- user_events must say where $late_events_are_set_aside does.
with

feed as (

    select * from dim_event_feed

),

events as (

    select
        events.event_day as day,
        events.session_platform as platform,
        events.session_acquisition_channel as acquisition_channel,
        events.user_id,
        events.is_page_view

    from fct_event as events

    inner join feed
        on events.event_day >= feed.first_day
        and events.event_day <= feed.last_day

),

sessions as (

    select * from fct_session

),

scopes as (

    select * from (
        values
            ('platform_acquisition_channel', true, true),
            ('platform', true, false),
            ('acquisition_channel', false, true),
            ('all', false, false)
    ) as scopes (scope_type, by_platform, by_channel)

),

events_summed_to_users as (

    select
        day,
        platform,
        acquisition_channel,
        user_id,
        count(*) as events,
        count(*) filter (where is_page_view) as page_views

    from events

    group by
        day,
        platform,
        acquisition_channel,
        user_id

),

users_scoped as (

    select
        users.day,
        scopes.scope_type,
        case when scopes.by_platform then users.platform else 'all' end
            as platform,
        case
            when scopes.by_channel then users.acquisition_channel else 'all'
        end as acquisition_channel,
        users.user_id,
        users.events,
        users.page_views

    from events_summed_to_users as users

    cross join scopes

),

user_days as (

    select
        day,
        scope_type,
        platform,
        acquisition_channel,
        user_id,
        sum(events) as events,
        sum(page_views) as page_views

    from users_scoped

    group by
        day,
        scope_type,
        platform,
        acquisition_channel,
        user_id

),

user_days_with_neighbours as (

    select
        day,
        scope_type,
        platform,
        acquisition_channel,
        events,
        page_views,
        lag(day) over (
            partition by scope_type, platform, acquisition_channel, user_id
            order by day
        ) as previous_day,
        lead(day) over (
            partition by scope_type, platform, acquisition_channel, user_id
            order by day
        ) as next_day

    from user_days

),

changes as (

    select
        day,
        scope_type,
        platform,
        acquisition_channel,
        1 as dau,
        1 as wau_change,
        1 as mau_change,
        case when previous_day is null then 1 else 0 end as new_users,
        case when previous_day = day - 1 then 1 else 0 end as returning_users,
        case when previous_day < day - 1 then 1 else 0 end
            as resurrected_users,
        0 as dormant_users,
        events,
        page_views

    from user_days_with_neighbours

    union all

    select
        least(day + 7, next_day) as day,
        scope_type,
        platform,
        acquisition_channel,
        0 as dau,
        -1 as wau_change,
        0 as mau_change,
        0 as new_users,
        0 as returning_users,
        0 as resurrected_users,
        0 as dormant_users,
        0 as events,
        0 as page_views

    from user_days_with_neighbours

    union all

    select
        least(day + $mau_days, next_day) as day,
        scope_type,
        platform,
        acquisition_channel,
        0 as dau,
        0 as wau_change,
        -1 as mau_change,
        0 as new_users,
        0 as returning_users,
        0 as resurrected_users,
        0 as dormant_users,
        0 as events,
        0 as page_views

    from user_days_with_neighbours

    union all

    select
        day + 1 as day,
        scope_type,
        platform,
        acquisition_channel,
        0 as dau,
        0 as wau_change,
        0 as mau_change,
        0 as new_users,
        0 as returning_users,
        0 as resurrected_users,
        1 as dormant_users,
        0 as events,
        0 as page_views

    from user_days_with_neighbours

    where next_day is null
        or next_day > day + 1

),

changes_summed_to_days as (

    select
        day,
        scope_type,
        platform,
        acquisition_channel,
        sum(dau) as dau,
        sum(wau_change) as wau_change,
        sum(mau_change) as mau_change,
        sum(new_users) as new_users,
        sum(returning_users) as returning_users,
        sum(resurrected_users) as resurrected_users,
        sum(dormant_users) as dormant_users,
        sum(events) as events,
        sum(page_views) as page_views

    from changes

    group by
        day,
        scope_type,
        platform,
        acquisition_channel

),

sessions_counted as (

    select
        session_day as day,
        platform,
        acquisition_channel,
        count(*) as sessions,
        count(*) filter (where is_engaged) as engaged_sessions,
        count(*) filter (where is_converting) as converting_sessions,
        count(*) filter (where has_problem) as problem_sessions,
        sum(cast(duration_seconds as decimal(18, 3)))
            as engaged_seconds_total

    from sessions

    group by
        session_day,
        platform,
        acquisition_channel

),

sessions_scoped as (

    select
        counted.day,
        scopes.scope_type,
        case when scopes.by_platform then counted.platform else 'all' end
            as platform,
        case
            when scopes.by_channel then counted.acquisition_channel
            else 'all'
        end as acquisition_channel,
        counted.sessions,
        counted.engaged_sessions,
        counted.converting_sessions,
        counted.problem_sessions,
        counted.engaged_seconds_total

    from sessions_counted as counted

    cross join scopes

),

sessions_summed_to_days as (

    select
        day,
        scope_type,
        platform,
        acquisition_channel,
        sum(sessions) as sessions,
        sum(engaged_sessions) as engaged_sessions,
        sum(converting_sessions) as converting_sessions,
        sum(problem_sessions) as problem_sessions,
        sum(engaged_seconds_total) as engaged_seconds_total

    from sessions_scoped

    group by
        day,
        scope_type,
        platform,
        acquisition_channel

),

days as (

    select
        unnest(
            generate_series(first_day, last_day, interval '1 day')
        ) as day

    from feed

),

combinations as (

    select distinct
        scope_type,
        platform,
        acquisition_channel

    from user_days

),

spine as (

    select
        days.day,
        combinations.scope_type,
        combinations.platform,
        combinations.acquisition_channel

    from days

    cross join combinations

),

days_joined as (

    select
        spine.day,
        spine.scope_type,
        spine.platform,
        spine.acquisition_channel,
        coalesce(changes_summed_to_days.dau, 0) as dau,
        coalesce(changes_summed_to_days.wau_change, 0) as wau_change,
        coalesce(changes_summed_to_days.mau_change, 0) as mau_change,
        coalesce(changes_summed_to_days.new_users, 0) as new_users,
        coalesce(changes_summed_to_days.returning_users, 0)
            as returning_users,
        coalesce(changes_summed_to_days.resurrected_users, 0)
            as resurrected_users,
        coalesce(changes_summed_to_days.dormant_users, 0) as dormant_users,
        coalesce(changes_summed_to_days.events, 0) as events,
        coalesce(changes_summed_to_days.page_views, 0) as page_views,
        coalesce(sessions_summed_to_days.sessions, 0) as sessions,
        coalesce(sessions_summed_to_days.engaged_sessions, 0)
            as engaged_sessions,
        coalesce(sessions_summed_to_days.converting_sessions, 0)
            as converting_sessions,
        coalesce(sessions_summed_to_days.problem_sessions, 0)
            as problem_sessions,
        cast(
            coalesce(sessions_summed_to_days.engaged_seconds_total, 0)
            as decimal(18, 3)
        ) as engaged_seconds_total

    from spine

    left join changes_summed_to_days
        on spine.day = changes_summed_to_days.day
        and spine.scope_type = changes_summed_to_days.scope_type
        and spine.platform = changes_summed_to_days.platform
        and spine.acquisition_channel
            = changes_summed_to_days.acquisition_channel

    left join sessions_summed_to_days
        on spine.day = sessions_summed_to_days.day
        and spine.scope_type = sessions_summed_to_days.scope_type
        and spine.platform = sessions_summed_to_days.platform
        and spine.acquisition_channel
            = sessions_summed_to_days.acquisition_channel

),

days_with_windows as (

    select
        day,
        scope_type,
        platform,
        acquisition_channel,
        dau,
        wau_change,
        mau_change,
        new_users,
        returning_users,
        resurrected_users,
        dormant_users,
        events,
        page_views,
        sessions,
        engaged_sessions,
        converting_sessions,
        problem_sessions,
        engaged_seconds_total,
        sum(wau_change) over (
            partition by scope_type, platform, acquisition_channel
            order by day
            rows between unbounded preceding and current row
        ) as wau,
        sum(mau_change) over (
            partition by scope_type, platform, acquisition_channel
            order by day
            rows between unbounded preceding and current row
        ) as mau,
        sum(dau) over (
            partition by scope_type, platform, acquisition_channel
            order by day
            rows between unbounded preceding and current row
        ) as user_days_so_far

    from days_joined

),

days_with_activity as (

    select
        days_with_windows.day,
        days_with_windows.scope_type,
        days_with_windows.platform,
        days_with_windows.acquisition_channel,
        days_with_windows.dau,
        days_with_windows.new_users,
        days_with_windows.returning_users,
        days_with_windows.resurrected_users,
        days_with_windows.dormant_users,
        days_with_windows.events,
        days_with_windows.page_views,
        days_with_windows.sessions,
        days_with_windows.engaged_sessions,
        days_with_windows.converting_sessions,
        days_with_windows.problem_sessions,
        days_with_windows.engaged_seconds_total,
        days_with_windows.wau,
        days_with_windows.mau,
        days_with_windows.user_days_so_far - coalesce(
            lag(days_with_windows.user_days_so_far, $mau_days) over (
                partition by
                    days_with_windows.scope_type,
                    days_with_windows.platform,
                    days_with_windows.acquisition_channel
                order by days_with_windows.day
            ),
            0
        ) as active_user_days,
        least(days_with_windows.day - feed.first_day + 1, $mau_days)
            as window_days,
        days_with_windows.day < feed.complete_until as is_complete,
        $late_events_are_set_aside
            and days_with_windows.day
                + $late_days
                + ($session_max_seconds + 86399) / 86400
                < feed.complete_until as is_final

    from days_with_windows

    cross join feed

),

days_with_possible_activity as (

    select
        *,
        mau * window_days as possible_user_days

    from days_with_activity

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
        possible_user_days,
        ratio(active_user_days, possible_user_days) as stickiness,
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
        is_complete,
        is_final

    from days_with_possible_activity

)

select * from final
