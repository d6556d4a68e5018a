-- One row per product and first day of its price. For comparison with others.
with

prices as (

    select * from own_prices

),

renamed as (

    select
        ---------- ids
        sku,

        ---------- strings
        product_name,
        currency,

        ---------- numbers
        list_price as own_price,

        ---------- dates
        valid_from,
        valid_to

    from prices

)

select * from renamed
