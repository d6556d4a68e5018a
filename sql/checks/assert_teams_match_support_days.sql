-- The months of the whole desk are the sums of its days, up to the last that is
-- over, and teams add up to it. Ratings are those of surveys and of the help desk in
-- one table, and of the help desk alone in the other.
with

support_days_summed_to_months as (

    select
        month_start(day) as month,
        sum(created) as created,
        sum(resolved_tickets) as solved,
        sum(first_contact_tickets) as first_contact_tickets,
        sum(sla_met) as sla_met,
        sum(sla_decided) as sla_decided

    from kpi_support_daily

    where scope_type = 'all'
        -- The days of a month end with the feed; what teams did is counted whole.
        and month_end(day) < (select complete_until from dim_ticket_feed)

    group by month_start(day)

),

teams_summed_to_months as (

    select
        month,
        scope_type = 'all' as is_total,
        sum(members) as members,
        sum(created) as created,
        sum(handled) as handled,
        sum(solved) as solved,
        sum(first_contact_tickets) as first_contact_tickets,
        sum(sla_met) as sla_met,
        sum(sla_decided) as sla_decided

    from kpi_team_month

    group by
        month,
        scope_type = 'all'

),

mismatches as (

    select
        support_days_summed_to_months.month,
        teams_summed_to_months.is_total,
        support_days_summed_to_months.created,
        teams_summed_to_months.created as created_by_teams,
        support_days_summed_to_months.solved,
        teams_summed_to_months.solved as solved_by_teams

    from support_days_summed_to_months

    left join teams_summed_to_months
        on support_days_summed_to_months.month = teams_summed_to_months.month

    left join teams_summed_to_months as totals
        on support_days_summed_to_months.month = totals.month
        and totals.is_total

    where teams_summed_to_months.month is null
        or teams_summed_to_months.members <> totals.members
        or teams_summed_to_months.handled <> totals.handled
        or teams_summed_to_months.created
            <> support_days_summed_to_months.created
        or teams_summed_to_months.solved
            <> support_days_summed_to_months.solved
        or teams_summed_to_months.first_contact_tickets
            <> support_days_summed_to_months.first_contact_tickets
        or teams_summed_to_months.sla_met
            <> support_days_summed_to_months.sla_met
        or teams_summed_to_months.sla_decided
            <> support_days_summed_to_months.sla_decided

)

select * from mismatches
