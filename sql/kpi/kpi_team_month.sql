-- One row per month and scope: what the team did; the rows of `scope_type` all
-- are the whole desk. Everything is counted anew from tickets, never averaged
-- over agents. Created, handled, replied to and rated tickets belong to the
-- group that they have now, as in kpi_support_daily, whoever worked on them:
-- first replies and the service level stand in the month of creation, ratings
-- in that of the answer that counts. Solves are events of their month and
-- belong to the group that had the ticket then; a reopening is charged to the
-- solve that came back. Handled are tickets on which a person in support did
-- anything in the month. A member counts by his share of a full-time job and
-- the days that he was employed; who says nothing of his share works full time.
with

feed as (

    select * from dim_ticket_feed

),

agents as (

    select * from dim_agent

    where not is_bot
        and not is_unknown

),

tickets as (

    select * from fct_ticket

    where not is_deleted
        and is_astray is not true

),

solves as (

    select
        *,
        month_start(solved_day) as month

    from fct_ticket_solve

    where not is_deleted

),

months as (

    select
        unnest(
            generate_series(
                month_start(first_day), last_day, interval '1 month'
            )
        ) as month

    from feed

),

groups as (

    select group_id from agents

    union

    select group_id from tickets

    union

    select group_id from solves

),

-- What counts for a group in a month. A branch has the columns that its kind
-- of happening knows, and the others are null.
happenings as (

    -- Nothing at all: every group has every month.
    select
        month,
        group_id
    from months
    cross join groups

    union all by name

    select
        month,
        group_id,
        'employed' as kind,
        cast(coalesce(fte, 1) as double)
            -- Without a last day, `least` takes the month's end.
            * (
                least(month_end(month), left_date)
                    - greatest(month, hired_date) + 1
            )
            / (month_end(month) - month + 1) as full_time_share
    from months
    inner join agents
        on hired_date <= month_end(month)
        and (left_date is null or left_date >= month)

    union all by name

    select
        month_start(created_day) as month,
        group_id,
        'created' as kind,
        first_reply_minutes,
        sla_first_reply_state
    from tickets

    union all by name

    select distinct
        month_start(event_day) as month,
        group_id,
        'handled' as kind,
        ticket_id
    from fct_ticket_event
    inner join tickets using (ticket_id)
    where is_by_person_in_support

    union all by name

    select
        month,
        group_id,
        'solved' as kind,
        resolution_minutes,
        is_reopened,
        is_first_contact_resolved
    from solves

    union all by name

    select
        month_start(csat_answered_day) as month,
        group_id,
        'rated' as kind,
        csat_rating
    from fct_ticket_rating
    where not is_deleted
        and is_astray is not true

),

months_counted as (

    select
        month,
        case grouping(group_id) when 1 then 'all' else 'group' end
            as scope_type,
        case grouping(group_id) when 1 then 'all' else group_id end
            as scope_id,
        count(*) filter (where kind = 'employed') as members,
        coalesce(sum(full_time_share), 0) as full_time_members,
        count(*) filter (where kind = 'created') as created,
        count(*) filter (where kind = 'handled') as handled,
        count(first_reply_minutes) as first_reply_tickets,
        median(first_reply_minutes) as first_reply_median_minutes,
        count(*) filter (where sla_first_reply_state = 'met') as sla_met,
        count(*) filter (where sla_first_reply_state in ('met', 'breached'))
            as sla_decided,
        count(*) filter (where kind = 'solved') as solved,
        median(resolution_minutes) as resolution_median_minutes,
        count(*) filter (where is_reopened) as reopened_tickets,
        count(*) filter (where is_first_contact_resolved)
            as first_contact_tickets,
        count(*) filter (where kind = 'rated') as csat_answered,
        count(*) filter (where csat_rating = 'good') as csat_pos

    from happenings

    inner join months using (month)

    group by grouping sets ((month, group_id), (month))

),

solver_months as (

    select
        month,
        case grouping(group_id) when 1 then 'all' else 'group' end
            as scope_type,
        case grouping(group_id) when 1 then 'all' else group_id end
            as scope_id,
        count(*) as solved

    from solves

    where solver_id is not null

    group by grouping sets ((month, group_id, solver_id), (month, solver_id))

),

key_persons as (

    select
        month,
        scope_type,
        scope_id,
        max(solved) as key_person_solved,
        sum(solved) as solved_by_known

    from solver_months

    group by
        month,
        scope_type,
        scope_id

),

final as (

    select
        ---------- ids
        month,
        scope_type,
        scope_id,

        ---------- numbers
        members,
        round(full_time_members, 6) as full_time_members,
        created,
        handled,
        solved,
        ratio(solved, full_time_members) as solved_per_member,
        first_reply_tickets,
        case
            when first_reply_tickets >= $min_sample
                then round(first_reply_median_minutes, 6)
        end as first_reply_median_minutes,
        case
            when solved >= $min_sample
                then round(resolution_median_minutes, 6)
        end as resolution_median_minutes,
        sla_met,
        sla_decided,
        ratio(sla_met, sla_decided) as sla_rate,
        csat_pos,
        csat_answered,
        ratio(csat_pos, csat_answered) as csat_rate,
        round(wilson_lower(csat_pos, csat_answered), 6) as csat_wilson_lower,
        first_contact_tickets,
        ratio(first_contact_tickets, solved) as first_contact_rate,
        reopened_tickets,
        ratio(reopened_tickets, solved) as reopen_rate,
        coalesce(key_person_solved, 0) as key_person_solved,
        ratio(key_person_solved, solved_by_known) as key_person_share,

        ---------- booleans
        month_end(month) < complete_until as is_complete

    from months_counted

    left join key_persons using (month, scope_type, scope_id)

    cross join feed

)

select * from final
