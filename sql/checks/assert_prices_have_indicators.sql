-- Every price between the first and the last day of the feed has its row of
-- indicators, and every row its price.
with

prices as (

    select
        fct_price.symbol,
        fct_price.price_date as day

    from fct_price

    inner join dim_price_feed
        on fct_price.price_date >= dim_price_feed.first_day
        and fct_price.price_date <= dim_price_feed.last_day

),

indicators as (

    select
        symbol,
        day

    from kpi_market_daily

),

mismatches as (

    select
        coalesce(prices.symbol, indicators.symbol) as symbol,
        coalesce(prices.day, indicators.day) as day,
        prices.symbol is null as is_without_price

    from prices

    full join indicators
        on prices.symbol = indicators.symbol
        and prices.day = indicators.day

    where prices.symbol is null
        or indicators.symbol is null

)

select * from mismatches
