-- One row per competitor, product and moment. For comparison with our prices.
with

prices as (

    select * from competitor_prices

),

renamed as (

    select
        ---------- ids
        competitor,
        sku_ext,
        sku,

        ---------- strings
        currency,

        ---------- numbers
        list_price,
        promo_price,

        ---------- booleans
        in_stock,

        ---------- timestamps
        observed_at

    from prices

)

select * from renamed
