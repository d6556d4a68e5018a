-- One row per competitor, product of ours and day: what was seen last on the
-- day. Products that are matched to none of ours are left out. A promotion that
-- is not below the list price is none. A price that lies after the clock or
-- astray (dim_competitor_feed) is none before or after the others.
with

prices as (

    select
        *,
        local_day(observed_at, $reporting_zone) as observed_day

    from stg_competitor_prices

    where sku is not null

),

prices_with_feed as (

    select
        prices.*,
        coalesce(observed_day between first_day and last_day, false)
            as is_in_feed

    from prices

    cross join dim_competitor_feed

),

prices_latest_first as (

    select
        *,
        row_number() over (
            partition by competitor, sku, observed_day
            order by observed_at desc, sku_ext
        ) as price_number_from_last

    from prices_with_feed

),

prices_of_days as (

    select
        *,
        lag(list_price) over first_to_last as previous_list_price,
        lag(currency) over first_to_last as previous_currency,
        lead(observed_day) over first_to_last as next_observed_day

    from prices_latest_first

    where price_number_from_last = 1

    window first_to_last as (
        partition by competitor, sku, is_in_feed
        order by observed_day
    )

),

final as (

    select
        ---------- ids
        competitor,
        sku,
        sku_ext,
        observed_day,

        ---------- strings
        currency,

        ---------- numbers
        list_price,
        case when promo_price < list_price then promo_price end as promo_price,
        previous_list_price,

        ---------- booleans
        in_stock,
        coalesce(
            list_price <> previous_list_price
                or currency <> previous_currency,
            false
        ) as is_price_change,

        ---------- dates
        next_observed_day,

        ---------- timestamps
        observed_at

    from prices_of_days

)

select * from final
