-- One row per reporting day: what endangers the support desk.
-- Numbers that end in 7 or 28 are sums over so many days up to the day, over
-- fewer at the beginning; rates and means are null until all the days are
-- there, and where there is nothing to divide by. The key person is who solved
-- most in the 28 days. Incidents are tickets of that type: they count on the
-- day of creation, and the mean time to repair runs from creation to the solve,
-- on the day of that. Feeds that are late show in the ledger, which
-- models cannot read, so they are not here.
with

support_days as (

    select * from kpi_support_daily

    where scope_type = 'all'

),

solves as (

    select
        ticket_id,
        solver_id,
        resolution_minutes,
        solved_day

    from fct_ticket_solve

    where not is_deleted

),

incidents as (

    select
        ticket_id,
        created_day

    from fct_ticket

    where ticket_type = 'incident'
        and not is_deleted

),

solvers as (

    select distinct solver_id from solves

    where solver_id is not null

),

solves_of_days as (

    select
        solved_day as day,
        solver_id,
        count(*) as solved

    from solves

    group by
        solved_day,
        solver_id

),

solver_days as (

    select
        support_days.day,
        solvers.solver_id,
        coalesce(solves_of_days.solved, 0) as solved

    from support_days

    cross join solvers

    left join solves_of_days
        on support_days.day = solves_of_days.day
        and solvers.solver_id = solves_of_days.solver_id

),

solver_days_with_window as (

    select
        day,
        sum(solved) over (
            partition by solver_id order by day
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

incidents_created_of_days as (

    select
        created_day as day,
        count(*) as incidents

    from incidents

    group by created_day

),

incidents_repaired_of_days as (

    select
        solves.solved_day as day,
        count(*) as incidents_repaired,
        -- A window adds and takes away, which only decimals do exactly.
        sum(cast(solves.resolution_minutes as decimal(18, 2)))
            as repair_minutes

    from solves

    inner join incidents
        on solves.ticket_id = incidents.ticket_id

    group by solves.solved_day

),

days_joined as (

    select
        support_days.day,
        support_days.backlog_eod,
        support_days.sla_breached,
        support_days.sla_decided,
        support_days.solved,
        support_days.reopened,
        support_days.csat_pos,
        support_days.csat_answered,
        key_person_days.key_person_solved_28,
        key_person_days.solved_by_known_28,
        coalesce(incidents_created_of_days.incidents, 0) as incidents,
        coalesce(incidents_repaired_of_days.incidents_repaired, 0)
            as incidents_repaired,
        coalesce(incidents_repaired_of_days.repair_minutes, 0)
            as repair_minutes,
        support_days.is_complete

    from support_days

    left join key_person_days
        on support_days.day = key_person_days.day

    left join incidents_created_of_days
        on support_days.day = incidents_created_of_days.day

    left join incidents_repaired_of_days
        on support_days.day = incidents_repaired_of_days.day

),

days_with_windows as (

    select
        day,
        is_complete,
        backlog_eod,
        key_person_solved_28,
        solved_by_known_28,
        count(*) over last_7 as days_7,
        count(*) over last_28 as days_28,
        sum(sla_breached) over last_7 as sla_breached_7,
        sum(sla_decided) over last_7 as sla_decided_7,
        sum(solved) over last_28 as solved_28,
        sum(reopened) over last_28 as reopened_28,
        sum(csat_pos) over last_28 as csat_pos_28,
        sum(csat_answered) over last_28 as csat_answered_28,
        sum(incidents) over last_7 as incidents_7,
        sum(incidents_repaired) over last_28 as incidents_repaired_28,
        sum(repair_minutes) over last_28 as repair_minutes_28

    from days_joined

    window
        last_7 as (
            order by day rows between 6 preceding and current row
        ),
        last_28 as (
            order by day rows between 27 preceding and current row
        )

),

final as (

    select
        ---------- ids
        day,

        ---------- numbers
        sla_breached_7,
        sla_decided_7,
        case
            when days_7 = 7
                then ratio(sla_breached_7, sla_decided_7)
        end as sla_breach_rate_7,
        backlog_eod,
        solved_28,
        case
            when days_28 = 28 then ratio(solved_28, 28)
        end as solved_per_day_28,
        case
            when days_28 = 28
                then ratio(backlog_eod, ratio(solved_28, 28))
        end as backlog_days,
        coalesce(key_person_solved_28, 0) as key_person_solved_28,
        coalesce(solved_by_known_28, 0) as solved_by_known_28,
        case
            when days_28 = 28
                then ratio(key_person_solved_28, solved_by_known_28)
        end as key_person_share_28,
        reopened_28,
        case
            when days_28 = 28
                then ratio(reopened_28, solved_28)
        end as reopen_rate_28,
        csat_pos_28,
        csat_answered_28,
        case
            when days_28 = 28
                then ratio(csat_pos_28, csat_answered_28)
        end as csat_rate_28,
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
