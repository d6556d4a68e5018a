-- One row per breach of a risk indicator: opened, worst, closed.
-- A breach opens on the first day in amber or red and closes on the first green
-- day after it, so amber that turns red and back is one breach. A day without a
-- value neither opens nor closes one, and counts in no number; a breach lasts
-- through it. The peak is the worst value, by the indicator's direction, on the
-- first day that had it. Escalation starts at 1, and is one higher for red, and
-- one more for more than $escalation_days days in amber or red. Only complete days
-- count: half a day of users looks like a drop, and would be red each morning.
with

known_days as (

    select
        kri_id,
        day,
        category,
        direction,
        state,
        amber,
        red,
        kri_value,
        state in ('amber', 'red') as is_breach,
        lag(state in ('amber', 'red')) over (
            partition by kri_id order by day
        ) as was_breach

    from risk_kri_daily

    where state <> 'unknown'
        and is_complete

),

known_days_numbered as (

    select
        kri_id,
        day,
        category,
        direction,
        state,
        amber,
        red,
        kri_value,
        is_breach,
        is_breach and not coalesce(was_breach, false) as is_opening,
        not is_breach and coalesce(was_breach, false) as is_closing,
        sum(
            case
                when is_breach and not coalesce(was_breach, false) then 1
                else 0
            end
        ) over (
            partition by kri_id order by day
            rows between unbounded preceding and current row
        ) as breach_number

    from known_days

),

breach_days_ranked as (

    select
        kri_id,
        breach_number,
        day,
        state,
        is_opening,
        category,
        direction,
        amber,
        red,
        kri_value,
        row_number() over (
            partition by kri_id, breach_number
            order by
                case
                    when direction = 'higher' then -kri_value
                    else kri_value
                end,
                day
        ) as place

    from known_days_numbered

    where is_breach

),

closings as (

    select
        kri_id,
        breach_number,
        day as closed_on

    from known_days_numbered

    where is_closing

),

breaches_summed as (

    select
        kri_id,
        breach_number,
        max(category) as category,
        max(direction) as direction,
        max(amber) as amber,
        max(red) as red,
        min(day) as opened_on,
        max(state) filter (where is_opening) as opened_state,
        max(day) as last_breach_on,
        max(case when state = 'red' then 1 else 0 end) as red_points,
        count(*) as days,
        count(*) filter (where state = 'red') as red_days,
        max(kri_value) filter (where place = 1) as peak_value,
        max(day) filter (where place = 1) as peak_on

    from breach_days_ranked

    group by
        kri_id,
        breach_number

),

final as (

    select
        ---------- ids
        breaches_summed.kri_id,
        breaches_summed.opened_on,

        ---------- strings
        breaches_summed.category,
        breaches_summed.direction,
        breaches_summed.opened_state,
        case when breaches_summed.red_points = 1 then 'red' else 'amber' end
            as worst_state,

        ---------- numbers
        breaches_summed.days,
        breaches_summed.red_days,
        breaches_summed.amber,
        breaches_summed.red,
        breaches_summed.peak_value,
        1
            + breaches_summed.red_points
            + case
                when breaches_summed.days > $escalation_days then 1
                else 0
            end as escalation_level,

        ---------- booleans
        closings.closed_on is null as is_open,

        ---------- dates
        breaches_summed.peak_on,
        breaches_summed.last_breach_on,
        closings.closed_on

    from breaches_summed

    left join closings
        on breaches_summed.kri_id = closings.kri_id
        and breaches_summed.breach_number = closings.breach_number

)

select * from final
