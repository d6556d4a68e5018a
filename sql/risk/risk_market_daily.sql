-- One row per instrument and trading day: value at risk and unusual returns.
-- Historical simulation over the trailing 250 returns, one day ahead. A value
-- at risk is a loss, so 0.03 means that 3 % are lost: var95 is minus the 5 %
-- quantile (linear interpolation), cvar95 minus the mean of the returns at or
-- below it. ret_z compares the return with the 250 before it, and is null where
-- those were all the same. All are null until 250 returns are there.
with

indicators as (

    select * from kpi_market_daily

),

returns as (

    select
        symbol,
        price_date,
        ret,
        row_number() over (
            partition by symbol order by price_date
        ) as return_number

    from fct_price

    where ret is not null

),

returns_with_windows as (

    select
        symbol,
        price_date,
        ret,
        return_number,
        percentile_cont(ret, 0.05) over last_250 as quantile_05,
        percentile_cont(ret, 0.01) over last_250 as quantile_01,
        avg(ret) over before_250 as mean_before,
        sqrt(greatest(var_samp(ret) over before_250, 0)) as deviation_before

    from returns

    window
        last_250 as (
            partition by symbol order by price_date
            rows between 249 preceding and current row
        ),
        before_250 as (
            partition by symbol order by price_date
            rows between 250 preceding and 1 preceding
        )

),

days_back as (

    select unnest(range(0, 250)) as days_back

),

return_windows as (

    select
        returns_with_windows.symbol,
        returns_with_windows.price_date,
        returns_with_windows.quantile_05,
        returns_with_windows.return_number - days_back.days_back
            as return_number

    from returns_with_windows

    cross join days_back

    where returns_with_windows.return_number >= 250

),

tail_losses as (

    select
        return_windows.symbol,
        return_windows.price_date,
        0 - avg(returns.ret) as cvar95

    from return_windows

    inner join returns
        on return_windows.symbol = returns.symbol
        and return_windows.return_number = returns.return_number

    where returns.ret <= return_windows.quantile_05

    group by
        return_windows.symbol,
        return_windows.price_date

),

risks as (

    select
        returns_with_windows.symbol,
        returns_with_windows.price_date,
        case
            when returns_with_windows.return_number >= 250
                then round(0 - returns_with_windows.quantile_05, 6)
        end as var95,
        case
            when returns_with_windows.return_number >= 250
                then round(0 - returns_with_windows.quantile_01, 6)
        end as var99,
        round(tail_losses.cvar95, 6) as cvar95,
        case
            -- A deviation that moves along can leave dust behind.
            when returns_with_windows.return_number > 250
                and returns_with_windows.deviation_before > 0.00000001
                then round(
                    (
                        returns_with_windows.ret
                        - returns_with_windows.mean_before
                    ) / returns_with_windows.deviation_before,
                    4
                )
        end as ret_z

    from returns_with_windows

    left join tail_losses
        on returns_with_windows.symbol = tail_losses.symbol
        and returns_with_windows.price_date = tail_losses.price_date

),

risks_with_yesterday as (

    select
        symbol,
        price_date,
        var95,
        var99,
        cvar95,
        ret_z,
        lag(var95) over (
            partition by symbol order by price_date
        ) as var95_of_yesterday

    from risks

),

final as (

    select
        ---------- ids
        indicators.symbol,
        indicators.day,

        ---------- numbers
        indicators.ret,
        indicators.vol20,
        indicators.vol60,
        risks_with_yesterday.var95,
        risks_with_yesterday.var99,
        risks_with_yesterday.cvar95,
        indicators.drawdown,
        risks_with_yesterday.ret_z,

        ---------- booleans
        -- The loss was larger than yesterday's value at risk had allowed for.
        -indicators.ret > risks_with_yesterday.var95_of_yesterday
            as is_var95_breach,
        risks_with_yesterday.var95 is not null as is_complete

    from indicators

    left join risks_with_yesterday
        on indicators.symbol = risks_with_yesterday.symbol
        and indicators.day = risks_with_yesterday.price_date

)

select * from final
