-- How many deviations a value lies from the median of its baseline, by the
-- median absolute deviation, or by the mean one where that is zero (Iglewicz
-- and Hoaglin, How to Detect and Handle Outliers, 1993). Beyond 3.5 it stands
-- out.
create function robust_z(
    value double,
    baseline_median double,
    median_deviation double,
    mean_deviation double
) returns double
return round(
    case
        when median_deviation > 0
            then 0.6745 * (value - baseline_median) / median_deviation
        else (value - baseline_median) / nullif(1.253314 * mean_deviation, 0)
    end,
    4
)
