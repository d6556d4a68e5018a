-- One row per instrument and trading day: trend, volatility and drawdown. All
-- on adjusted close. Volatility is the sample standard deviation of daily
-- returns times the root of $trading_days, as in empyrical. Whatever looks back
-- further than the history goes is null. A variance that moves along can end a
-- hair below zero where the price stands still; it counts as zero. Prices that
-- lie after the clock or astray (dim_price_feed) have no row.
with

prices as (

    select
        fct_price.*,
        cast(adj_close as double) as adj_close_value

    from fct_price

    inner join dim_price_feed
        on price_date between first_day and last_day

),

prices_with_windows as (

    select
        *,
        count(*) over last_20 as prices_of_20,
        avg(adj_close_value) over last_20 as average_of_20,
        ema(adj_close_value, 20) over (
            partition by symbol order by price_date
        ) as ema_of_20,
        count(ret) over last_20 as returns_of_20,
        var_samp(ret) over last_20 as variance_of_20,
        count(ret) over last_60 as returns_of_60,
        var_samp(ret) over last_60 as variance_of_60,
        max(adj_close_value) over so_far as peak_adj_close

    from prices

    window
        last_20 as (
            partition by symbol order by price_date
            rows between 19 preceding and current row
        ),
        last_60 as (
            partition by symbol order by price_date
            rows between 59 preceding and current row
        ),
        so_far as (
            partition by symbol order by price_date
            rows between unbounded preceding and current row
        )

),

final as (

    select
        ---------- ids
        symbol,
        price_date as day,

        ---------- numbers
        close_price,
        adj_close,
        volume,
        ret,
        case when prices_of_20 = 20 then round(average_of_20, 6) end as sma20,
        round(ema_of_20, 6) as ema20,
        case
            when returns_of_20 = 20
                then round(
                    sqrt(greatest(variance_of_20, 0) * $trading_days), 6
                )
        end as vol20,
        case
            when returns_of_60 = 60
                then round(
                    sqrt(greatest(variance_of_60, 0) * $trading_days), 6
                )
        end as vol60,
        round(peak_adj_close, 6) as peak_adj_close,
        round(adj_close_value / nullif(peak_adj_close, 0) - 1, 6) as drawdown,

        ---------- booleans
        is_stale,
        returns_of_60 = 60 as is_complete

    from prices_with_windows

)

select * from final
