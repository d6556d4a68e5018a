-- One row per instrument and trading day: value at risk and unusual returns.
-- Historical simulation over the trailing 250 returns, one day ahead. A value
-- at risk is a loss, so 0.03 means that 3 % are lost: var95 is minus the 5 %
-- quantile (linear interpolation), cvar95 minus the mean of the returns at or
-- below it. ret_z compares the return with the 250 before it, and is null where
-- those were all the same. All are null until 250 returns are there.
with

returns as (

    select
        symbol,
        price_date as day,
        ret,
        cast(
            row_number() over (partition by symbol order by price_date)
            as bigint
        ) as return_number

    from fct_price

    where ret is not null

),

returns_with_windows as (

    select
        *,
        percentile_cont(ret, 0.05) over last_250 as quantile_05,
        percentile_cont(ret, 0.01) over last_250 as quantile_01,
        avg(ret) over before_250 as mean_before,
        sqrt(greatest(var_samp(ret) over before_250, 0)) as deviation_before

    from returns

    window
        last_250 as (
            partition by symbol order by day
            rows between 249 preceding and current row
        ),
        before_250 as (
            partition by symbol order by day
            rows between 250 preceding and 1 preceding
        )

),

-- Each day with the returns of its window.
windows as (

    select
        symbol,
        day,
        quantile_05,
        unnest(range(return_number - 249, return_number + 1)) as return_number

    from returns_with_windows

    where return_number >= 250

),

tail_losses as (

    select
        windows.symbol,
        windows.day,
        0 - avg(returns.ret) as cvar95

    from windows

    inner join returns
        on windows.symbol = returns.symbol
        and windows.return_number = returns.return_number

    where returns.ret <= windows.quantile_05

    group by
        windows.symbol,
        windows.day

),

risks as (

    select
        symbol,
        day,
        case when return_number >= 250 then round(0 - quantile_05, 6) end
            as var95,
        case when return_number >= 250 then round(0 - quantile_01, 6) end
            as var99,
        round(cvar95, 6) as cvar95,
        case
            -- A deviation that moves along can leave dust behind.
            when return_number > 250 and deviation_before > 0.00000001
                then round((ret - mean_before) / deviation_before, 4)
        end as ret_z

    from returns_with_windows

    left join tail_losses using (symbol, day)

),

risks_with_yesterday as (

    select
        *,
        lag(var95) over (partition by symbol order by day)
            as var95_of_yesterday

    from risks

),

final as (

    select
        ---------- ids
        symbol,
        day,

        ---------- numbers
        ret,
        vol20,
        vol60,
        var95,
        var99,
        cvar95,
        drawdown,
        ret_z,

        ---------- booleans
        -- The loss was larger than yesterday's value at risk had allowed for.
        -ret > var95_of_yesterday as is_var95_breach,
        var95 is not null as is_complete

    from kpi_market_daily

    left join risks_with_yesterday using (symbol, day)

)

select * from final
