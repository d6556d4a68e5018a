-- One row per event, in our words. For everything about user behaviour.
with

events as (

    select * from user_events

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
