-- One row: users who viewed, then put into the cart, then bought, within seven days of the first view.
with

viewed as (

    select
        user_id,
        min(event_time) as viewed_at

    from stg_events

    where event_name = 'page_view'

    group by user_id

),

carted as (

    select
        events.user_id,
        viewed.viewed_at,
        min(events.event_time) as carted_at

    from stg_events as events

    inner join viewed
        on events.user_id = viewed.user_id

    where events.event_name = 'add_to_cart'
        and events.event_time > viewed.viewed_at
        and events.event_time <= viewed.viewed_at + interval '7 days'

    group by
        events.user_id,
        viewed.viewed_at

),

bought as (

    select distinct events.user_id

    from stg_events as events

    inner join carted
        on events.user_id = carted.user_id

    where events.event_name = 'purchase'
        and events.event_time > carted.carted_at
        and events.event_time <= carted.viewed_at + interval '7 days'

)

select
    (select count(*) from viewed) as viewed,
    (select count(*) from carted) as carted,
    (select count(*) from bought) as bought
