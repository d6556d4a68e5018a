-- One row per funnel, user, day and step reached by the user's best attempt.
-- Each event of the first step begins an attempt. From there the earliest event
-- of each next step counts that is later than the step before and not later
-- than the window after the beginning; what happened at the same moment did not
-- happen after it. Of the attempts that a user began on one day the best is the
-- one that went furthest, then the quickest, then the first. The recursion
-- takes one step more in each round, so a funnel may have any number of steps.
with recursive

steps as (

    select
        * except (event_names),
        unnest(string_to_array(event_names, '|')) as event_name

    from dim_funnel_step

),

events as (

    select
        steps.funnel_id,
        steps.step,
        steps.window_seconds,
        fct_event.*

    from fct_event

    inner join steps
        on fct_event.event_name = steps.event_name
        and (steps.platform is null or steps.platform = fct_event.platform)

),

attempts as (

    select
        funnel_id,
        user_id,
        window_seconds,
        occurred_at as started_at,
        event_day as entered_day,
        min(platform) as platform,
        min(acquisition_channel) as acquisition_channel

    from events

    where step = 1

    group by
        funnel_id,
        user_id,
        window_seconds,
        occurred_at,
        event_day

),

steps_reached as (

    select
        funnel_id,
        user_id,
        window_seconds,
        started_at,
        cast(1 as bigint) as step,
        started_at as reached_at

    from attempts

    union all

    select
        reached.funnel_id,
        reached.user_id,
        reached.window_seconds,
        reached.started_at,
        reached.step + 1 as step,
        min(events.occurred_at) as reached_at

    from steps_reached as reached

    inner join events
        on reached.funnel_id = events.funnel_id
        and reached.user_id = events.user_id
        and reached.step + 1 = events.step
        and reached.reached_at < events.occurred_at

    where seconds_between(reached.started_at, events.occurred_at)
        <= reached.window_seconds

    group by
        reached.funnel_id,
        reached.user_id,
        reached.window_seconds,
        reached.started_at,
        reached.step

),

attempts_measured as (

    select
        funnel_id,
        user_id,
        started_at,
        max(step) as furthest_step,
        max(reached_at) as last_reached_at

    from steps_reached

    group by
        funnel_id,
        user_id,
        started_at

),

attempts_ranked as (

    select
        *,
        count(*) over (partition by funnel_id, user_id, entered_day)
            as attempts,
        row_number() over (
            partition by funnel_id, user_id, entered_day
            order by
                furthest_step desc,
                last_reached_at - started_at,
                started_at
        ) as attempt_rank

    from attempts

    inner join attempts_measured using (funnel_id, user_id, started_at)

),

final as (

    select
        ---------- ids
        funnel_id,
        user_id,
        entered_day,
        step,

        ---------- strings
        platform,
        acquisition_channel,

        ---------- numbers
        attempts,
        round(seconds_between(started_at, reached_at), 3)
            as seconds_from_start,

        ---------- timestamps
        started_at,
        reached_at

    from attempts_ranked

    inner join steps_reached using (funnel_id, user_id, started_at)

    where attempt_rank = 1

)

select * from final
