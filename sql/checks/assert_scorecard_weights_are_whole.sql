-- The weights of a scorecard add up to 1, over all KPIs that have one.
with

weights as (

    select
        month,
        scope_type,
        scope_id,
        round(sum(weight), 4) as weight

    from perf_scorecard

    where weight is not null

    group by
        month,
        scope_type,
        scope_id

)

select * from weights

where weight <> 1
