-- One row per day, product and competitor: our list price against theirs.
-- A price that was seen holds until the next one, at most $price_carry_days days
-- after the day it was seen; then nothing is known. Prices are compared in one
-- currency only, and list with list; what a promotion takes off stands apart in
-- promo_depth. Changes are counted on the day on which they were first seen.
with

observations as (

    select * from fct_competitor_price

),

own_prices as (

    select * from dim_own_price

),

feed as (

    select * from dim_competitor_feed

),

observations_spread as (

    select
        unnest(
            generate_series(
                observations.observed_day,
                least(
                    coalesce(observations.next_observed_day - 1, feed.last_day),
                    feed.last_day
                ),
                interval '1 day'
            )
        ) as day,
        observations.competitor,
        observations.sku,
        observations.currency,
        observations.list_price,
        observations.promo_price,
        observations.in_stock,
        observations.is_price_change,
        observations.observed_day,
        feed.complete_until

    from observations

    inner join feed
        on observations.observed_day >= feed.first_day
        and observations.observed_day <= feed.last_day

),

days as (

    select
        day,
        competitor,
        sku,
        currency,
        cast(list_price as double) as list_price,
        cast(promo_price as double) as promo_price,
        in_stock,
        observed_day,
        day - observed_day as carried_days,
        day - observed_day <= $price_carry_days as is_known,
        day < complete_until as is_complete,
        count(*) over last_7 as days_7,
        sum(case when is_price_change and day = observed_day then 1 else 0 end)
            over last_7 as changes_7

    from observations_spread

    window last_7 as (
        partition by competitor, sku
        order by day
        rows between 6 preceding and current row
    )

),

days_with_own_price as (

    select
        days.day,
        days.competitor,
        days.sku,
        own_prices.product_name,
        case when days.is_known then days.currency end as currency,
        cast(own_prices.own_price as double) as own_price,
        own_prices.currency as own_currency,
        case when days.is_known then days.list_price end as their_price,
        case when days.is_known then days.promo_price end
            as their_promo_price,
        case when days.is_known then days.in_stock end as in_stock,
        case when days.days_7 = 7 then days.changes_7 end as change_count_7d,
        coalesce(
            days.is_known
                and days.currency = own_prices.currency
                and days.list_price > 0
                and own_prices.own_price > 0,
            false
        ) as is_comparable,
        days.is_complete,
        days.observed_day,
        days.carried_days

    from days

    left join own_prices
        on days.sku = own_prices.sku
        and days.day >= own_prices.valid_from
        and days.day <= own_prices.valid_to

),

final as (

    select
        ---------- ids
        day,
        sku,
        competitor,

        ---------- strings
        product_name,
        currency,
        own_currency,

        ---------- numbers
        own_price,
        their_price,
        their_promo_price,
        case when is_comparable then round(own_price / their_price, 6) end
            as price_index,
        case
            when is_comparable
                then round((their_price - own_price) / own_price, 6)
        end as gap_pct,
        case
            when their_price > 0
                then round(
                    1 - coalesce(their_promo_price, their_price) / their_price,
                    6
                )
        end as promo_depth,
        change_count_7d,
        carried_days,

        ---------- booleans
        in_stock,
        is_comparable,
        is_complete,

        ---------- dates
        observed_day

    from days_with_own_price

)

select * from final
