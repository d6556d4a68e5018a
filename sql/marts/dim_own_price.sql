-- One row per product and period of one price of ours; periods never overlap.
with

prices as (

    select * from stg_own_prices

),

prices_with_next as (

    select
        sku,
        product_name,
        currency,
        own_price,
        valid_from,
        valid_to,
        lead(valid_from) over (
            partition by sku
            order by valid_from
        ) as next_valid_from

    from prices

),

final as (

    select
        ---------- ids
        sku,

        ---------- strings
        product_name,
        currency,

        ---------- numbers
        own_price,

        ---------- dates
        valid_from,
        -- A newer price ends the older one; without either it holds for ever.
        coalesce(
            least(valid_to, next_valid_from - 1),
            date '9999-12-31'
        ) as valid_to

    from prices_with_next

)

select * from final
