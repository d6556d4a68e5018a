-- One row per month, kind of survey and scope: satisfaction, recommendation and
-- effort. `answered` and the response rate are those of the surveys offered in
-- the month, whenever the answer came; `n` and all scores rest on the answers
-- given in the month. NPS is in points: % promoters - % detractors. Its margin
-- at 95 %, with p and d as their shares, is 100 * 1.96 * sqrt((p + d - (p -
-- d)^2) / n). Deleted tickets are left out. Measures of other kinds of survey
-- are null. Few answers are not hidden: the margins say how few they are.
with

surveys as (

    select * from fct_csat

    where not is_deleted

),

offers_and_answers as (

    select
        month_start(offered_day) as month,
        survey_type,
        channel,
        group_id,
        'offer' as kind,
        is_answered
    from surveys

    union all by name

    select
        month_start(answered_day) as month,
        survey_type,
        channel,
        group_id,
        'answer' as kind,
        answer_class,
        cast(survey_score as double) as survey_score
    from surveys
    where is_answered

),

months_counted as (

    select
        month,
        survey_type,
        -- One bit, from the right, for each column that a total goes over.
        case grouping(channel, group_id)
            when 1 then 'channel'
            when 2 then 'group'
            else 'all'
        end as scope_type,
        case grouping(channel, group_id)
            when 1 then channel
            when 2 then group_id
            else 'all'
        end as scope_id,
        count(*) filter (where kind = 'offer') as offered,
        count(*) filter (where is_answered) as answered,
        count(*) filter (where kind = 'answer') as n,
        count(*) filter (where answer_class = 'positive') as positives,
        count(*) filter (where answer_class = 'promoter') as promoters,
        count(*) filter (where answer_class = 'passive') as passives,
        count(*) filter (where answer_class = 'detractor') as detractors,
        sum(survey_score) as score_total

    from offers_and_answers

    group by grouping sets (
        (month, survey_type),
        (month, survey_type, channel),
        (month, survey_type, group_id)
    )

),

months_with_shares as (

    select
        *,
        survey_type = 'csat' as is_csat,
        survey_type = 'nps' as is_nps,
        survey_type = 'ces' as is_ces,
        cast(promoters as double) / nullif(n, 0) as promoter_share,
        cast(detractors as double) / nullif(n, 0) as detractor_share

    from months_counted

),

clock as (

    select
        least(
            local_day(max(updated_at), $reporting_zone),
            local_day($as_of, $reporting_zone)
        ) as complete_until

    from fct_csat

),

final as (

    select
        ---------- ids
        month,
        survey_type,
        scope_type,
        scope_id,

        ---------- numbers
        offered,
        answered,
        ratio(answered, offered) as response_rate,
        n,
        ratio(score_total, n) as score_mean,
        case when is_csat then positives end as csat_pos,
        case when is_csat then ratio(positives, n) end as csat_rate,
        case when is_csat then round(wilson_lower(positives, n), 6) end
            as csat_wilson_lower,
        case when is_nps then promoters end as promoters,
        case when is_nps then passives end as passives,
        case when is_nps then detractors end as detractors,
        case
            when is_nps
                then round(100.0 * (promoters - detractors) / nullif(n, 0), 6)
        end as nps,
        -- Rounding can leave a hair below zero where everybody agrees.
        case
            when is_nps and n > 0
                then round(
                    100 * 1.96 * sqrt(
                        greatest(
                            promoter_share + detractor_share
                                - power(promoter_share - detractor_share, 2),
                            0
                        ) / n
                    ),
                    6
                )
        end as nps_margin,
        case when is_ces then positives end as ces_pos,
        case when is_ces then ratio(positives, n) end as ces_rate,

        ---------- booleans
        month_end(month) < complete_until as is_complete

    from months_with_shares

    cross join clock

)

select * from final
