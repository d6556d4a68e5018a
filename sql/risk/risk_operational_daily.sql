-- One row per reporting day: what endangers the support desk. Numbers that end
-- in 7 or 28 are sums over so many days up to the day, over fewer at the
-- beginning; rates and means are null until all the days are there, and where
-- there is nothing to divide by. The key person is who solved most in the 28
-- days. Incidents are tickets of that type: they count on the day of creation,
-- and the mean time to repair runs from creation to the solve, on the day of
-- that. Feeds that are late show in the ledger, which models cannot read, so
-- they are not here.
with

support_days as (

    select * from kpi_support_daily

    where scope_type = 'all'

),

solves as (

    select * from fct_ticket_solve

    where not is_deleted

),

incidents as (

    select * from fct_ticket

    where ticket_type = 'incident'
        and not is_deleted

),

solvers as (

    select distinct solver_id from solves

    where solver_id is not null

),

solver_days as (

    select
        support_days.day,
        solvers.solver_id,
        count(solves.ticket_id) as solved

    from support_days

    cross join solvers

    left join solves
        on support_days.day = solves.solved_day
        and solvers.solver_id = solves.solver_id

    group by
        support_days.day,
        solvers.solver_id

),

solver_days_with_window as (

    select
        day,
        sum(solved) over (
            partition by solver_id
            order by day
            rows between 27 preceding and current row
        ) as solved_28

    from solver_days

),

key_person_days as (

    select
        day,
        max(solved_28) as key_person_solved_28,
        sum(solved_28) as solved_by_known_28

    from solver_days_with_window

    group by day

),

incident_days as (

    select
        day,
        count(*) filter (where kind = 'incident') as incidents,
        count(*) filter (where kind = 'repair') as incidents_repaired,
        -- A window adds and takes away, which only decimals do exactly.
        sum(cast(resolution_minutes as decimal(18, 2))) as repair_minutes

    from (
        select
            created_day as day,
            'incident' as kind
        from incidents

        union all by name

        select
            solves.solved_day as day,
            'repair' as kind,
            solves.resolution_minutes
        from solves
        inner join incidents using (ticket_id)
    ) as happenings

    group by day

),

days_with_windows as (

    select
        support_days.day,
        is_complete,
        backlog_eod,
        coalesce(key_person_solved_28, 0) as key_person_solved_28,
        coalesce(solved_by_known_28, 0) as solved_by_known_28,
        count(*) over last_7 as days_7,
        count(*) over last_28 as days_28,
        sum(sla_breached) over last_7 as sla_breached_7,
        sum(sla_decided) over last_7 as sla_decided_7,
        sum(solved) over last_28 as solved_28,
        sum(reopened) over last_28 as reopened_28,
        sum(csat_pos) over last_28 as csat_pos_28,
        sum(csat_answered) over last_28 as csat_answered_28,
        sum(coalesce(incidents, 0)) over last_7 as incidents_7,
        sum(coalesce(incidents_repaired, 0)) over last_28
            as incidents_repaired_28,
        sum(coalesce(repair_minutes, 0)) over last_28 as repair_minutes_28

    from support_days

    left join incident_days using (day)

    left join key_person_days using (day)

    window
        last_7 as (
            order by support_days.day
            rows between 6 preceding and current row
        ),
        last_28 as (
            order by support_days.day
            rows between 27 preceding and current row
        )

),

final as (

    select
        ---------- ids
        day,

        ---------- numbers
        sla_breached_7,
        sla_decided_7,
        case when days_7 = 7 then ratio(sla_breached_7, sla_decided_7) end
            as sla_breach_rate_7,
        backlog_eod,
        solved_28,
        case when days_28 = 28 then ratio(solved_28, 28) end
            as solved_per_day_28,
        case when days_28 = 28 then ratio(backlog_eod, ratio(solved_28, 28)) end
            as backlog_days,
        key_person_solved_28,
        solved_by_known_28,
        case
            when days_28 = 28
                then ratio(key_person_solved_28, solved_by_known_28)
        end as key_person_share_28,
        reopened_28,
        case when days_28 = 28 then ratio(reopened_28, solved_28) end
            as reopen_rate_28,
        csat_pos_28,
        csat_answered_28,
        case when days_28 = 28 then ratio(csat_pos_28, csat_answered_28) end
            as csat_rate_28,
        incidents_7,
        incidents_repaired_28,
        cast(repair_minutes_28 as double) as repair_minutes_28,
        case
            when days_28 = 28
                then round(
                    cast(repair_minutes_28 as double)
                        / nullif(incidents_repaired_28, 0),
                    2
                )
        end as incident_mttr_minutes_28,

        ---------- booleans
        is_complete

    from days_with_windows

)

select * from final
