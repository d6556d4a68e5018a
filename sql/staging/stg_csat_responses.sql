-- One row per question asked, its latest version. For satisfaction.
-- A scale that was left out is the usual one of its kind. NPS is only asked
-- from 0 to 10 and CES from 1 to 7; an answer on another scale is off its
-- scale.
with

responses as (

    select
        *,
        coalesce(
            scale_min,
            case survey_type when 'nps' then 0 else 1 end
        ) as known_scale_min,
        coalesce(
            scale_max,
            case survey_type when 'nps' then 10 when 'ces' then 7 else 5 end
        ) as known_scale_max

    from csat_responses

),

renamed as (

    select
        ---------- ids
        response_id,
        object_id as ticket_id,
        user_id as requester_id,
        agent_id,

        ---------- strings
        survey_type,
        channel as survey_channel,
        comment as answer_text,

        ---------- numbers
        score,
        known_scale_min as scale_min,
        known_scale_max as scale_max,

        ---------- booleans
        -- An answer has a score and a time; words alone are none.
        score is not null and answered_at is not null as has_answer,
        coalesce(
            score >= known_scale_min
                and score <= known_scale_max
                and case survey_type
                    when 'nps' then known_scale_min = 0
                        and known_scale_max = 10
                    when 'ces' then known_scale_min = 1
                        and known_scale_max = 7
                    else true
                end,
            false
        ) as is_in_scale,
        -- The two best scores of a scale, 4 and 5 of 5; on scales of two or
        -- three only the best.
        coalesce(
            score >= case
                when known_scale_max - known_scale_min >= 3
                    then known_scale_max - 1
                else known_scale_max
            end,
            false
        ) as is_positive,

        ---------- timestamps
        offered_at,
        answered_at,
        updated_at

    from responses

)

select * from renamed
