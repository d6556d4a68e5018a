-- One row per month, kind of survey and segment: satisfaction, recommendation
-- and effort. `answered` and the response rate are those of the surveys offered
-- in the month, whenever the answer came; `n` and all scores rest on the
-- answers given in the month. NPS is in points: % promoters - % detractors. Its
-- margin at 95 %, with p and d as their shares, is
--     100 * 1.96 * sqrt((p + d - (p - d)^2) / n).
-- Deleted tickets are left out. Measures of other kinds of survey are null. Few
-- answers are not hidden: the margins say how few they are.
with

surveys as (

    select
        survey_type,
        channel,
        group_id,
        answer_class,
        cast(survey_score as double) as survey_score,
        is_answered,
        cast(date_trunc('month', offered_day) as date) as offered_month,
        cast(date_trunc('month', answered_day) as date) as answered_month

    from fct_csat

    where not is_deleted

),

clock as (

    select
        least(
            local_day(max(updated_at), $reporting_zone),
            local_day($as_of, $reporting_zone)
        ) as open_day

    from fct_csat

),

segment_types as (

    select * from (
        values ('all'), ('channel'), ('group')
    ) as segment_types (segment_type)

),

offers_and_answers as (

    select
        offered_month as month,
        survey_type,
        channel,
        group_id,
        true as is_offer,
        is_answered,
        cast(null as varchar) as answer_class,
        cast(null as double) as survey_score
    from surveys

    union all

    select
        answered_month as month,
        survey_type,
        channel,
        group_id,
        false as is_offer,
        is_answered,
        answer_class,
        survey_score
    from surveys
    where is_answered

),

offers_and_answers_scoped as (

    select
        offers_and_answers.month,
        offers_and_answers.survey_type,
        segment_types.segment_type,
        case segment_types.segment_type
            when 'channel' then offers_and_answers.channel
            when 'group' then offers_and_answers.group_id
            else 'all'
        end as segment,
        offers_and_answers.is_offer,
        offers_and_answers.is_answered,
        offers_and_answers.answer_class,
        offers_and_answers.survey_score

    from offers_and_answers

    cross join segment_types

),

segments_summed_to_months as (

    select
        month,
        survey_type,
        segment_type,
        segment,
        count(*) filter (where is_offer) as offered,
        count(*) filter (where is_offer and is_answered) as answered,
        count(*) filter (where not is_offer) as n,
        count(*) filter (where answer_class = 'positive') as positives,
        count(*) filter (where answer_class = 'promoter') as promoters,
        count(*) filter (where answer_class = 'passive') as passives,
        count(*) filter (where answer_class = 'detractor') as detractors,
        sum(survey_score) as score_total

    from offers_and_answers_scoped

    group by
        month,
        survey_type,
        segment_type,
        segment

),

segments_with_shares as (

    select
        month,
        survey_type,
        segment_type,
        segment,
        offered,
        answered,
        n,
        positives,
        promoters,
        passives,
        detractors,
        score_total,
        survey_type = 'csat' as is_csat,
        survey_type = 'nps' as is_nps,
        survey_type = 'ces' as is_ces,
        cast(promoters as double) / nullif(n, 0) as promoter_share,
        cast(detractors as double) / nullif(n, 0) as detractor_share

    from segments_summed_to_months

),

final as (

    select
        ---------- ids
        segments_with_shares.month,
        segments_with_shares.survey_type,
        segments_with_shares.segment_type,
        segments_with_shares.segment,
        -- The same under the names that other tables have for them.
        segments_with_shares.segment_type as scope_type,
        segments_with_shares.segment as scope_id,

        ---------- numbers
        segments_with_shares.offered,
        segments_with_shares.answered,
        ratio(segments_with_shares.answered, segments_with_shares.offered)
            as response_rate,
        segments_with_shares.n,
        ratio(segments_with_shares.score_total, segments_with_shares.n)
            as score_mean,
        case when is_csat then segments_with_shares.positives end as csat_pos,
        case
            when is_csat
                then ratio(
                    segments_with_shares.positives, segments_with_shares.n
                )
        end as csat_rate,
        case
            when is_csat
                then round(
                    wilson_lower(
                        segments_with_shares.positives,
                        segments_with_shares.n
                    ),
                    6
                )
        end as csat_wilson_lower,
        case when is_nps then segments_with_shares.promoters end as promoters,
        case when is_nps then segments_with_shares.passives end as passives,
        case when is_nps then segments_with_shares.detractors end
            as detractors,
        case
            when is_nps
                then round(
                    100 * cast(
                        segments_with_shares.promoters
                            - segments_with_shares.detractors
                        as double
                    ) / nullif(segments_with_shares.n, 0),
                    6
                )
        end as nps,
        -- Rounding can leave a hair below zero where everybody agrees.
        case
            when is_nps and segments_with_shares.n > 0
                then round(
                    100 * 1.96 * sqrt(
                        greatest(
                            promoter_share + detractor_share
                                - power(promoter_share - detractor_share, 2),
                            0
                        ) / segments_with_shares.n
                    ),
                    6
                )
        end as nps_margin,
        case when is_ces then segments_with_shares.positives end as ces_pos,
        case
            when is_ces
                then ratio(
                    segments_with_shares.positives, segments_with_shares.n
                )
        end as ces_rate,

        ---------- booleans
        cast(segments_with_shares.month + interval '1 month' as date)
            <= clock.open_day as is_complete

    from segments_with_shares

    cross join clock

)

select * from final
