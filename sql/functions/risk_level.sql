-- How high a risk is, by the scores from which it is medium, high and extreme.
create function risk_level(
    score double,
    medium_from double,
    high_from double,
    extreme_from double
) returns varchar
return case
    when score >= extreme_from then 'extreme'
    when score >= high_from then 'high'
    when score >= medium_from then 'medium'
    else 'low'
end
