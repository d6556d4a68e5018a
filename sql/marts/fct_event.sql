-- One row per event of a user.
-- A session's platform and channel, session_platform and
-- session_acquisition_channel, are those of its first event. event_number tells
-- events apart that are alike in the other columns of the key.
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
        event_class,
        platform,
        acquisition_channel,
        session_platform,
        session_acquisition_channel,
        user_cohort,
        user_lifecycle,

        ---------- numbers
        event_number,

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
