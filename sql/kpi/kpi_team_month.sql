-- One row per month and group: what the team did; the rows of `scope_type` all
-- are the whole desk. Everything is counted anew from tickets, never averaged
-- over agents. Created, handled, replied to and rated tickets belong to the group
-- that they have now, as in kpi_support_daily, whoever worked on them: first
-- replies and the service level stand in the month of creation, ratings in that
-- of the answer that counts. Solves are events of their month and belong to the
-- group that had the ticket then; a reopening is charged to the solve that came
-- back. Handled are tickets on which a person in support did anything in the
-- month. A member counts by his share of a full-time job and the days that he was
-- employed; who says nothing of his share works full time.
with

agents as (

    select * from dim_agent

    where not is_bot
        and not is_unknown

),

solves as (

    select
        group_id,
        solver_id,
        resolution_minutes,
        is_reopened,
        is_first_contact_resolved,
        cast(date_trunc('month', solved_day) as date) as solved_month

    from fct_ticket_solve

    where not is_deleted

),

tickets as (

    select
        ticket_id,
        group_id,
        first_reply_minutes,
        sla_first_reply_state,
        created_day,
        cast(date_trunc('month', created_day) as date) as created_month,
        updated_at

    from fct_ticket

    where not is_deleted
        and is_astray is not true

),

ratings as (

    select
        group_id,
        csat_rating,
        cast(date_trunc('month', csat_answered_day) as date)
            as csat_answered_month

    from fct_ticket_rating

    where not is_deleted
        and is_astray is not true

),

ticket_months_handled as (

    select distinct
        ticket_id,
        cast(date_trunc('month', event_day) as date) as month

    from fct_ticket_event

    where is_by_person_in_support

),

clock as (

    select
        first_day,
        last_day,
        complete_until

    from dim_ticket_feed

),

months as (

    select
        unnest(
            generate_series(
                cast(date_trunc('month', first_day) as date),
                last_day,
                interval '1 month'
            )
        ) as month

    from clock

),

months_with_end as (

    select
        month,
        cast(month + interval '1 month' as date) - 1 as month_end

    from months

),

scopes as (

    select * from (
        values ('all', false), ('group', true)
    ) as scopes (scope_type, by_group)

),

groups as (

    select
        'group' as scope_type,
        group_id
    from agents

    union

    select
        'group' as scope_type,
        group_id
    from tickets

    union

    select
        'group' as scope_type,
        group_id
    from solves

    union

    select
        'all' as scope_type,
        'all' as group_id

),

tickets_scoped as (

    select
        scopes.scope_type,
        case when scopes.by_group then tickets.group_id else 'all' end
            as scope_group_id,
        tickets.*

    from tickets

    cross join scopes

),

ratings_scoped as (

    select
        scopes.scope_type,
        case when scopes.by_group then ratings.group_id else 'all' end
            as scope_group_id,
        ratings.*

    from ratings

    cross join scopes

),

solves_scoped as (

    select
        scopes.scope_type,
        case when scopes.by_group then solves.group_id else 'all' end
            as scope_group_id,
        solves.*

    from solves

    cross join scopes

),

handled_summed_to_months as (

    select
        ticket_months_handled.month,
        tickets_scoped.scope_type,
        tickets_scoped.scope_group_id as group_id,
        count(*) as handled

    from ticket_months_handled

    inner join tickets_scoped
        on ticket_months_handled.ticket_id = tickets_scoped.ticket_id

    group by
        ticket_months_handled.month,
        tickets_scoped.scope_type,
        tickets_scoped.scope_group_id

),

created_summed_to_months as (

    select
        created_month as month,
        scope_type,
        scope_group_id as group_id,
        count(*) as created,
        count(first_reply_minutes) as first_reply_tickets,
        median(first_reply_minutes) as first_reply_median_minutes,
        count(*) filter (where sla_first_reply_state = 'met') as sla_met,
        count(*) filter (where sla_first_reply_state in ('met', 'breached'))
            as sla_decided

    from tickets_scoped

    group by
        created_month,
        scope_type,
        scope_group_id

),

solves_summed_to_months as (

    select
        solved_month as month,
        scope_type,
        scope_group_id as group_id,
        count(*) as solved,
        count(*) filter (where is_reopened) as reopened_tickets,
        count(*) filter (where is_first_contact_resolved)
            as first_contact_tickets,
        median(resolution_minutes) as resolution_median_minutes

    from solves_scoped

    group by
        solved_month,
        scope_type,
        scope_group_id

),

solves_summed_to_solvers as (

    select
        solved_month as month,
        scope_type,
        scope_group_id as group_id,
        solver_id,
        count(*) as solved

    from solves_scoped

    where solver_id is not null

    group by
        solved_month,
        scope_type,
        scope_group_id,
        solver_id

),

key_persons as (

    select
        month,
        scope_type,
        group_id,
        max(solved) as key_person_solved,
        sum(solved) as solved_by_known

    from solves_summed_to_solvers

    group by
        month,
        scope_type,
        group_id

),

ratings_summed_to_months as (

    select
        csat_answered_month as month,
        scope_type,
        scope_group_id as group_id,
        count(*) filter (where csat_rating = 'good') as csat_pos,
        count(*) as csat_answered

    from ratings_scoped

    group by
        csat_answered_month,
        scope_type,
        scope_group_id

),

members_summed_to_months as (

    select
        months_with_end.month,
        scopes.scope_type,
        case when scopes.by_group then agents.group_id else 'all' end
            as group_id,
        count(*) as members,
        sum(
            cast(coalesce(agents.fte, 1) as double)
                -- Without a last day, `least` takes the month's end.
                * (
                    least(months_with_end.month_end, agents.left_date)
                        - greatest(months_with_end.month, agents.hired_date)
                        + 1
                )
                / (months_with_end.month_end - months_with_end.month + 1)
        ) as full_time_members

    from months_with_end

    inner join agents
        on agents.hired_date <= months_with_end.month_end
        and (
            agents.left_date is null
            or agents.left_date >= months_with_end.month
        )

    cross join scopes

    group by
        months_with_end.month,
        scopes.scope_type,
        case when scopes.by_group then agents.group_id else 'all' end

),

group_months as (

    select
        months_with_end.month,
        groups.scope_type,
        groups.group_id,
        months_with_end.month_end < clock.complete_until as is_complete

    from months_with_end

    cross join groups

    cross join clock

),

final as (

    select
        ---------- ids
        group_months.month,
        group_months.scope_type,
        group_months.group_id,

        ---------- numbers
        coalesce(members_summed_to_months.members, 0) as members,
        round(coalesce(members_summed_to_months.full_time_members, 0), 6)
            as full_time_members,
        coalesce(created_summed_to_months.created, 0) as created,
        coalesce(handled_summed_to_months.handled, 0) as handled,
        coalesce(solves_summed_to_months.solved, 0) as solved,
        ratio(
            coalesce(solves_summed_to_months.solved, 0),
            members_summed_to_months.full_time_members
        ) as solved_per_member,
        coalesce(created_summed_to_months.first_reply_tickets, 0)
            as first_reply_tickets,
        case
            when created_summed_to_months.first_reply_tickets >= $min_sample
                then round(
                    created_summed_to_months.first_reply_median_minutes, 6
                )
        end as first_reply_median_minutes,
        case
            when solves_summed_to_months.solved >= $min_sample
                then round(
                    solves_summed_to_months.resolution_median_minutes, 6
                )
        end as resolution_median_minutes,
        coalesce(created_summed_to_months.sla_met, 0) as sla_met,
        coalesce(created_summed_to_months.sla_decided, 0) as sla_decided,
        ratio(
            created_summed_to_months.sla_met,
            created_summed_to_months.sla_decided
        ) as sla_rate,
        coalesce(ratings_summed_to_months.csat_pos, 0) as csat_pos,
        coalesce(ratings_summed_to_months.csat_answered, 0) as csat_answered,
        ratio(
            ratings_summed_to_months.csat_pos,
            ratings_summed_to_months.csat_answered
        ) as csat_rate,
        round(
            wilson_lower(
                ratings_summed_to_months.csat_pos,
                ratings_summed_to_months.csat_answered
            ),
            6
        ) as csat_wilson_lower,
        coalesce(solves_summed_to_months.first_contact_tickets, 0)
            as first_contact_tickets,
        ratio(
            solves_summed_to_months.first_contact_tickets,
            solves_summed_to_months.solved
        ) as first_contact_rate,
        coalesce(solves_summed_to_months.reopened_tickets, 0)
            as reopened_tickets,
        ratio(
            solves_summed_to_months.reopened_tickets,
            solves_summed_to_months.solved
        ) as reopen_rate,
        coalesce(key_persons.key_person_solved, 0) as key_person_solved,
        ratio(key_persons.key_person_solved, key_persons.solved_by_known)
            as key_person_share,

        ---------- booleans
        group_months.is_complete

    from group_months

    left join members_summed_to_months
        on group_months.month = members_summed_to_months.month
        and group_months.scope_type = members_summed_to_months.scope_type
        and group_months.group_id = members_summed_to_months.group_id

    left join created_summed_to_months
        on group_months.month = created_summed_to_months.month
        and group_months.scope_type = created_summed_to_months.scope_type
        and group_months.group_id = created_summed_to_months.group_id

    left join handled_summed_to_months
        on group_months.month = handled_summed_to_months.month
        and group_months.scope_type = handled_summed_to_months.scope_type
        and group_months.group_id = handled_summed_to_months.group_id

    left join solves_summed_to_months
        on group_months.month = solves_summed_to_months.month
        and group_months.scope_type = solves_summed_to_months.scope_type
        and group_months.group_id = solves_summed_to_months.group_id

    left join key_persons
        on group_months.month = key_persons.month
        and group_months.scope_type = key_persons.scope_type
        and group_months.group_id = key_persons.group_id

    left join ratings_summed_to_months
        on group_months.month = ratings_summed_to_months.month
        and group_months.scope_type = ratings_summed_to_months.scope_type
        and group_months.group_id = ratings_summed_to_months.group_id

)

select * from final
