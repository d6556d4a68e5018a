-- Prices are compared in one currency, and not with what was seen long ago.
with

price_days as (

    select * from kpi_competitor_price

)

select * from price_days

where price_index is not null
    and (
        carried_days > $price_carry_days
        or currency <> own_currency
        or own_price is null
        or their_price is null
    )
