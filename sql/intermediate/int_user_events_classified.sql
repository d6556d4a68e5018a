-- One row per event, with what kind of event it is and its reporting day.
-- Which name is of which kind is declared, in stg_event_map; a name that is not
-- there is unknown, and counts as no page view, no key event and no problem.
with

events as (

    select * from stg_user_events

),

event_classes as (

    select
        event_name,
        event_class

    from stg_event_map

),

events_classified as (

    select
        ---------- ids
        events.user_id,
        events.tracker_session_id,

        ---------- strings
        events.event_name,
        coalesce(event_classes.event_class, 'unknown') as event_class,
        events.platform,
        events.acquisition_channel,
        events.user_cohort,
        events.user_lifecycle,

        ---------- booleans
        coalesce(event_classes.event_class = 'page_view', false)
            as is_page_view,
        coalesce(event_classes.event_class = 'key_event', false)
            as is_key_event,
        coalesce(event_classes.event_class = 'problem', false) as is_problem,

        ---------- dates
        local_day(events.occurred_at, $reporting_zone) as event_day,

        ---------- timestamps
        events.occurred_at

    from events

    left join event_classes
        on events.event_name = event_classes.event_name

)

select * from events_classified
