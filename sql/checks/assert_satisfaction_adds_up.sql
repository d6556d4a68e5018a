-- Channels and groups each add up to the whole of a survey's month, and the
-- answers to an NPS survey are promoters, passives and detractors.
with

scopes_summed as (

    select
        month,
        survey_type,
        scope_type,
        sum(offered) as offered,
        sum(answered) as answered,
        sum(n) as n,
        sum(promoters + passives + detractors) as answers_classed

    from kpi_satisfaction

    group by
        month,
        survey_type,
        scope_type

),

mismatches as (

    select
        totals.month,
        totals.survey_type,
        parts.scope_type,
        totals.offered,
        parts.offered as offered_in_parts,
        totals.n,
        parts.n as n_in_parts

    from scopes_summed as totals

    inner join scopes_summed as parts
        on totals.month = parts.month
        and totals.survey_type = parts.survey_type
        and totals.scope_type = 'all'

    where totals.offered <> parts.offered
        or totals.answered <> parts.answered
        or totals.n <> parts.n
        or parts.answers_classed <> parts.n

)

select * from mismatches
