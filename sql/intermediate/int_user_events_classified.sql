-- One row per event, with what kind of event it is and its reporting day.
-- The only place that knows the tracker's event names.
with

events as (

    select * from stg_user_events

),

events_classified as (

    select
        ---------- ids
        user_id,
        tracker_session_id,

        ---------- strings
        event_name,
        platform,
        acquisition_channel,
        user_cohort,
        user_lifecycle,

        ---------- booleans
        event_name in (
            'home', 'catalog', 'search', 'product_view', 'promo_page',
            'compare', 'cart', 'shipping_details', 'payment_details',
            'account_page', 'review_page'
        ) as is_page_view,
        event_name = 'purchase' as is_key_event,
        event_name in (
            'support_chat', 'error_page', 'payment_error', 'checkout_bug'
        ) as is_problem,

        ---------- dates
        local_day(occurred_at, $reporting_zone) as event_day,

        ---------- timestamps
        occurred_at

    from events

)

select * from events_classified
