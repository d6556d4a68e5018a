-- A rarer loss is a larger one: cvar95 and var99 are never below var95.
with

market_days as (

    select
        symbol,
        day,
        var95,
        var99,
        cvar95

    from risk_market_daily

)

select * from market_days

where cvar95 < var95
    or var99 < var95
