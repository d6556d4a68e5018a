-- One row per instrument and trading day. For indicators and market risk.
with

prices as (

    select * from market_prices

),

renamed as (

    select
        ---------- ids
        symbol,

        ---------- numbers
        open as open_price,
        high as high_price,
        low as low_price,
        close as close_price,
        adj_close,
        volume,

        ---------- dates
        price_date

    from prices

)

select * from renamed
