-- One row per instrument and trading day, with the return on adjusted close. A
-- price that lies after the clock or astray (dim_price_feed) has no return, and
-- none has a return against it.
with

prices as (

    select
        stg_market_prices.*,
        coalesce(price_date between first_day and last_day, false)
            as is_in_feed

    from stg_market_prices

    cross join dim_price_feed

),

prices_with_history as (

    select
        *,
        row_number() over first_to_last as trading_day_number,
        lag(adj_close) over first_to_last as previous_adj_close,
        lag(price_date) over first_to_last as previous_price_date,
        count(*) over five_days as prices_of_five_days,
        min(close_price) over five_days as lowest_close_of_five_days,
        max(close_price) over five_days as highest_close_of_five_days

    from prices

    window
        first_to_last as (
            partition by symbol, is_in_feed
            order by price_date
        ),
        five_days as (
            partition by symbol, is_in_feed
            order by price_date
            rows between 4 preceding and current row
        )

),

final as (

    select
        ---------- ids
        symbol,

        ---------- numbers
        cast(trading_day_number as bigint) as trading_day_number,
        open_price,
        high_price,
        low_price,
        close_price,
        adj_close,
        volume,
        case
            when is_in_feed and adj_close > 0 then round(
                cast(adj_close as double)
                    / nullif(cast(previous_adj_close as double), 0) - 1,
                10
            )
        end as ret,

        ---------- booleans
        high_price >= greatest(open_price, close_price)
            and low_price <= least(open_price, close_price) as is_ohlc_valid,
        prices_of_five_days = 5
            and lowest_close_of_five_days = highest_close_of_five_days
            as is_stale,

        ---------- dates
        price_date,
        previous_price_date

    from prices_with_history

)

select * from final
