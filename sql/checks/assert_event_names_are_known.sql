-- Events whose names event_map.csv does not declare are no page views, no key
-- events and no problems; so many events have them, and such a share of all. A line
-- in event_map.csv for each of them says what they are.
with

events as (

    select
        event_name,
        event_class,
        event_day

    from fct_event

),

totals as (

    select count(*) as events from events

),

unknown_names as (

    select
        event_name,
        count(*) as events,
        min(event_day) as first_day,
        max(event_day) as last_day

    from events

    where event_class = 'unknown'

    group by event_name

),

findings as (

    select
        unknown_names.event_name,
        unknown_names.events,
        round(cast(unknown_names.events as double) / totals.events, 6)
            as share_of_events,
        unknown_names.first_day,
        unknown_names.last_day

    from unknown_names

    cross join totals

)

select * from findings
