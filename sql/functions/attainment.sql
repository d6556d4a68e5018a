-- How far a value attains its target: 1 is all of it, and `cap` the most that
-- counts. Where lower is better, none at all attains the most. Inside a band
-- everything is attained, and outside of it less the farther away.
create function attainment(
    value double,
    direction varchar,
    target double,
    band_low double,
    band_high double,
    cap double
) returns double
return round(
    clamp(
        case
            when value is null or direction is null then null
            when direction = 'higher' then value / nullif(target, 0)
            when direction = 'lower' and value = 0 then cap
            when direction = 'lower' then target / value
            when value < band_low then value / nullif(band_low, 0)
            when value > band_high then 2 - value / nullif(band_high, 0)
            else 1
        end,
        0,
        cap
    ),
    6
)
