-- Whoever is active on a day has a session that reaches into it: a day never has
-- more active users than users with sessions.
with

active_users as (

    select
        event_day as day,
        count(distinct user_id) as users

    from fct_event

    group by event_day

),

session_days as (

    select
        user_id,
        unnest(
            generate_series(
                session_day,
                local_day(ended_at, $reporting_zone),
                interval '1 day'
            )
        ) as day

    from fct_session

),

users_with_sessions as (

    select
        day,
        count(distinct user_id) as users

    from session_days

    group by day

),

mismatches as (

    select
        active_users.day,
        active_users.users as active_users,
        coalesce(users_with_sessions.users, 0) as users_with_sessions

    from active_users

    left join users_with_sessions
        on active_users.day = users_with_sessions.day

    where active_users.users > coalesce(users_with_sessions.users, 0)

)

select * from mismatches
