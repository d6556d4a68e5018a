-- One row per event, in our words. For everything about user behaviour.
-- The tracker gives events no id, so rows that are alike in every column of the
-- contract are one event that was sent twice. What differs in any of them is
-- another event, in the same second or not.
with

events as (

    select distinct * from user_events

),

renamed as (

    select
        ---------- ids
        user_id,
        session_id as tracker_session_id,

        ---------- strings
        event_name,
        platform,
        acquisition_channel,
        user_cohort,
        user_lifecycle,

        ---------- timestamps
        occurred_at

    from events

)

select * from renamed
