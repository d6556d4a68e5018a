-- One row per day, product and competitor: our list price against theirs. A
-- price that was seen holds until the next one, at most $price_carry_days days
-- after the day it was seen; then nothing is known. Prices are compared in one
-- currency only, and list with list; what a promotion takes off stands apart in
-- promo_depth. Changes are counted on the day on which they were first seen.
with

observations_spread as (

    select
        observations.*,
        feed.complete_until,
        unnest(
            generate_series(
                observed_day,
                least(coalesce(next_observed_day - 1, last_day), last_day),
                interval '1 day'
            )
        ) as day

    from fct_competitor_price as observations

    inner join dim_competitor_feed as feed
        on observed_day between first_day and last_day

),

days as (

    select
        *,
        day - observed_day <= $price_carry_days as is_known,
        count(*) over last_7 as days_7,
        count(*) filter (where is_price_change and day = observed_day)
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
        days.* except (currency, list_price, promo_price, in_stock),
        case when is_known then days.currency end as currency,
        case when is_known then cast(list_price as double) end as their_price,
        case when is_known then cast(promo_price as double) end
            as their_promo_price,
        case when is_known then in_stock end as in_stock,
        own_prices.product_name,
        own_prices.currency as own_currency,
        cast(own_prices.own_price as double) as own_price,
        coalesce(
            is_known
                and days.currency = own_prices.currency
                and list_price > 0
                and own_price > 0,
            false
        ) as is_comparable

    from days

    left join dim_own_price as own_prices
        on days.sku = own_prices.sku
        and days.day between own_prices.valid_from and own_prices.valid_to

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
        case when days_7 = 7 then changes_7 end as change_count_7d,
        day - observed_day as carried_days,

        ---------- booleans
        in_stock,
        is_comparable,
        day < complete_until as is_complete,

        ---------- dates
        observed_day

    from days_with_own_price

)

select * from final
