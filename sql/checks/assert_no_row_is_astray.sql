-- Rows that make no day, because they lie after the clock, or there are few of them
-- far from all others or at the end (dim_event_feed, dim_ticket_feed,
-- dim_price_feed, dim_competitor_feed). A clock that is wrong, or a date that was misread, is told
-- here with its record, and moves no number.
with

rows_with_feed as (

    select
        'fct_event' as table_name,
        concat(
            events.user_id, ', ', events.tracker_session_id, ', ',
            events.event_name, ' at ', cast(events.occurred_at as varchar)
        ) as record,
        events.event_day as day,
        feed.first_day,
        feed.last_day
    from fct_event as events
    cross join dim_event_feed as feed

    union all

    select
        'fct_price' as table_name,
        prices.symbol as record,
        prices.price_date as day,
        feed.first_day,
        feed.last_day
    from fct_price as prices
    cross join dim_price_feed as feed

    union all

    select
        'fct_competitor_price' as table_name,
        concat(prices.competitor, ', ', prices.sku) as record,
        prices.observed_day as day,
        feed.first_day,
        feed.last_day
    from fct_competitor_price as prices
    cross join dim_competitor_feed as feed

    union all

    select
        'fct_ticket' as table_name,
        concat('ticket ', cast(tickets.ticket_id as varchar)) as record,
        tickets.created_day as day,
        feed.first_day,
        feed.last_day
    from fct_ticket as tickets
    cross join dim_ticket_feed as feed

    union all

    select
        'fct_ticket_event' as table_name,
        concat(
            'event ', cast(changes.event_id as varchar),
            ' of ticket ', cast(changes.ticket_id as varchar)
        ) as record,
        changes.event_day as day,
        feed.first_day,
        feed.last_day
    from fct_ticket_event as changes
    cross join dim_ticket_feed as feed

),

findings as (

    select
        table_name,
        day,
        record,
        case
            when day > local_day($as_of, $reporting_zone)
                then 'lies after the clock'
            when day < first_day
                then 'lies long before all others'
            else 'lies after all others, with few beside it'
        end as finding

    from rows_with_feed

    where day < first_day
        or day > last_day

)

select * from findings
