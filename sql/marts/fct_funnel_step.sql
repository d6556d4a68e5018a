-- One row per funnel, user, day and step reached by the user's best attempt.
-- Each event of the first step begins an attempt. From there the earliest event
-- of each next step counts that is later than the step before and not later than
-- the window after the beginning; what happened at the same moment did not happen
-- after it. Of the attempts that a user began on one day the best is the one that
-- went furthest, then the quickest, then the first. The recursion takes one step
-- more in each round, so a funnel may have any number of steps.
with recursive

steps as (

    select
        funnel_id,
        step,
        platform,
        window_seconds,
        unnest(string_to_array(event_names, '|')) as event_name

    from dim_funnel_step

),

events as (

    select * from fct_event

),

events_matched as (

    select
        steps.funnel_id,
        steps.step,
        steps.window_seconds,
        events.user_id,
        events.platform,
        events.acquisition_channel,
        events.event_day,
        events.occurred_at

    from events

    inner join steps
        on events.event_name = steps.event_name
        and (steps.platform is null or steps.platform = events.platform)

),

attempts as (

    select
        funnel_id,
        user_id,
        window_seconds,
        event_day as entered_day,
        min(platform) as platform,
        min(acquisition_channel) as acquisition_channel,
        occurred_at as started_at

    from events_matched

    where step = 1

    group by
        funnel_id,
        user_id,
        window_seconds,
        event_day,
        occurred_at

),

steps_reached as (

    select
        funnel_id,
        user_id,
        window_seconds,
        cast(1 as bigint) as step,
        started_at,
        started_at as reached_at

    from attempts

    union all

    select
        steps_reached.funnel_id,
        steps_reached.user_id,
        steps_reached.window_seconds,
        steps_reached.step + 1 as step,
        steps_reached.started_at,
        min(events_matched.occurred_at) as reached_at

    from steps_reached

    inner join events_matched
        on steps_reached.funnel_id = events_matched.funnel_id
        and steps_reached.user_id = events_matched.user_id
        and steps_reached.step + 1 = events_matched.step
        and events_matched.occurred_at > steps_reached.reached_at

    where seconds_between(
        steps_reached.started_at, events_matched.occurred_at
    ) <= steps_reached.window_seconds

    group by
        steps_reached.funnel_id,
        steps_reached.user_id,
        steps_reached.window_seconds,
        steps_reached.step,
        steps_reached.started_at

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
        attempts.funnel_id,
        attempts.user_id,
        attempts.entered_day,
        attempts.platform,
        attempts.acquisition_channel,
        attempts.started_at,
        count(*) over (
            partition by
                attempts.funnel_id, attempts.user_id, attempts.entered_day
        ) as attempts,
        row_number() over (
            partition by
                attempts.funnel_id, attempts.user_id, attempts.entered_day
            order by
                attempts_measured.furthest_step desc,
                attempts_measured.last_reached_at - attempts.started_at,
                attempts.started_at
        ) as attempt_rank

    from attempts

    inner join attempts_measured
        on attempts.funnel_id = attempts_measured.funnel_id
        and attempts.user_id = attempts_measured.user_id
        and attempts.started_at = attempts_measured.started_at

),

final as (

    select
        ---------- ids
        attempts_ranked.funnel_id,
        attempts_ranked.user_id,
        attempts_ranked.entered_day,
        steps_reached.step,

        ---------- strings
        attempts_ranked.platform,
        attempts_ranked.acquisition_channel,

        ---------- numbers
        attempts_ranked.attempts,
        round(
            seconds_between(
                attempts_ranked.started_at, steps_reached.reached_at
            ),
            3
        ) as seconds_from_start,

        ---------- timestamps
        attempts_ranked.started_at,
        steps_reached.reached_at

    from attempts_ranked

    inner join steps_reached
        on attempts_ranked.funnel_id = steps_reached.funnel_id
        and attempts_ranked.user_id = steps_reached.user_id
        and attempts_ranked.started_at = steps_reached.started_at

    where attempts_ranked.attempt_rank = 1

)

select * from final
