-- One row per event of a user.
with

events as (

    select * from int_user_events_sessionized

),

final as (

    select
        ---------- ids
        user_id,
        session_id,
        tracker_session_id,

        ---------- strings
        event_name,
        platform,
        acquisition_channel,
        user_cohort,
        user_lifecycle,

        ---------- booleans
        is_page_view,
        is_key_event,
        is_problem,

        ---------- dates
        event_day,

        ---------- timestamps
        occurred_at

    from events

)

select * from final
