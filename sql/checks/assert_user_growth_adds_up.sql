-- Users of a day are new, returning or resurrected, and those of the day before
-- are returning today or dormant.
with

activity_days as (

    select
        day,
        scope_type,
        platform,
        acquisition_channel,
        dau,
        new_users,
        returning_users,
        resurrected_users,
        dormant_users,
        lag(dau) over (
            partition by scope_type, platform, acquisition_channel
            order by day
        ) as dau_of_yesterday

    from kpi_user_activity_daily

)

select * from activity_days

where dau <> new_users + returning_users + resurrected_users
    or coalesce(dau_of_yesterday, 0) <> returning_users + dormant_users
