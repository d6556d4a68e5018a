-- One row per risk and day on which it was assessed, with scores and levels.
-- Inherent score = probability * impact, each from 1 to 5. The residual score
-- is that of the residual probability and impact, if both were assessed, else
-- the inherent one * (1 - control effectiveness); a control of unknown effect
-- takes nothing off. Levels begin at $risk_medium_from, $risk_high_from and
-- $risk_extreme_from, so with 5, 10 and 17 a score of 4.999 is low and one of
-- 16.5 is high. On the residual matrix a risk without an assessed cell keeps
-- its impact, and its probability shrinks by the control's effect, rounded up.
-- Expected loss = probability in percent * amount; the residual one is the same
-- share of it that the residual score is of the inherent one.
with

versions as (

    select
        *,
        residual_probability is not null
            and residual_impact is not null as is_residual_assessed,
        1 - coalesce(control_effectiveness, 0) as uncontrolled_share

    from stg_risk_register

),

versions_scored as (

    select
        *,
        probability * impact as inherent_score,
        case
            when is_residual_assessed
                then cast(
                    residual_probability * residual_impact as decimal(6, 3)
                )
            else cast(
                probability * impact * uncontrolled_share as decimal(6, 3)
            )
        end as residual_score,
        case
            when is_residual_assessed then residual_probability
            else greatest(
                cast(
                    ceil(cast(probability * uncontrolled_share as double))
                    as bigint
                ),
                1
            )
        end as residual_cell_probability,
        case when is_residual_assessed then residual_impact else impact end
            as residual_cell_impact,
        cast(
            probability_pct * impact_amount / cast(100 as decimal(3, 0))
            as decimal(18, 2)
        ) as expected_loss,
        lead(assessed_date) over (
            partition by risk_id order by assessed_date
        ) as next_assessed_date

    from versions

),

final as (

    select
        ---------- ids
        risk_id,
        assessed_date,

        ---------- strings
        title,
        category,
        owner,
        risk_status,
        control_name,
        response,
        risk_response(probability, impact) as suggested_response,
        risk_level(
            inherent_score,
            $risk_medium_from,
            $risk_high_from,
            $risk_extreme_from
        ) as inherent_level,
        risk_level(
            residual_score,
            $risk_medium_from,
            $risk_high_from,
            $risk_extreme_from
        ) as residual_level,

        ---------- numbers
        probability,
        impact,
        inherent_score,
        control_effectiveness,
        residual_cell_probability as residual_probability,
        residual_cell_impact as residual_impact,
        residual_score,
        probability_pct,
        impact_amount,
        expected_loss,
        cast(
            expected_loss * residual_score
                / cast(inherent_score as decimal(2, 0))
            as decimal(18, 2)
        ) as residual_expected_loss,

        ---------- booleans
        is_residual_assessed,

        ---------- dates
        identified_date,
        next_assessed_date,
        review_due_date

    from versions_scored

)

select * from final
