-- One row per breach of a risk indicator: opened, worst, closed. A breach opens
-- on the first day in amber or red and closes on the first green day after it,
-- so amber that turns red and back is one breach. A day without a value neither
-- opens nor closes one, and counts in no number; a breach lasts through it. The
-- peak is the worst value, by the indicator's direction, on the first day that
-- had it. Escalation starts at 1, and is one higher for red, and one more for
-- more than $escalation_days days in amber or red. Only complete days count:
-- half a day of users looks like a drop, and would be red each morning.
with

known_days as (

    select
        *,
        state in ('amber', 'red') as is_breach,
        coalesce(
            lag(state in ('amber', 'red')) over (
                partition by kri_id
                order by day
            ),
            false
        ) as was_breach

    from risk_kri_daily

    where state <> 'unknown'
        and is_complete

),

days_numbered as (

    select
        *,
        sum(case when is_breach and not was_breach then 1 else 0 end) over (
            partition by kri_id
            order by day
            rows between unbounded preceding and current row
        ) as breach_number

    from known_days

),

breach_days as (

    select
        *,
        -- The worst first.
        row_number() over (
            partition by kri_id, breach_number, is_breach
            order by
                case direction when 'higher' then -kri_value else kri_value end,
                day
        ) as place,
        min(case when not is_breach then day end) over (
            partition by kri_id, breach_number
        ) as closed_on

    from days_numbered

),

breaches as (

    select
        kri_id,
        min(day) as opened_on,
        max(category) as category,
        max(direction) as direction,
        max(state) filter (where not was_breach) as opened_state,
        max(amber) as amber,
        max(red) as red,
        count(*) as days,
        count(*) filter (where state = 'red') as red_days,
        max(kri_value) filter (where place = 1) as peak_value,
        max(day) filter (where place = 1) as peak_on,
        max(day) as last_breach_on,
        max(closed_on) as closed_on

    from breach_days

    where is_breach

    group by
        kri_id,
        breach_number

),

final as (

    select
        ---------- ids
        kri_id,
        opened_on,

        ---------- strings
        category,
        direction,
        opened_state,
        case when red_days > 0 then 'red' else 'amber' end as worst_state,

        ---------- numbers
        days,
        red_days,
        amber,
        red,
        peak_value,
        1
            + case when red_days > 0 then 1 else 0 end
            + case when days > $escalation_days then 1 else 0 end
            as escalation_level,

        ---------- booleans
        closed_on is null as is_open,

        ---------- dates
        peak_on,
        last_breach_on,
        closed_on

    from breaches

)

select * from final
