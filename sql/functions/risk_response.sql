-- What to do about a risk, by its probability and impact, each from 1 to 5.
create function risk_response(probability bigint, impact bigint) returns varchar
return case
    when probability >= 4 and impact >= 4 then 'avoid'
    when probability <= 2 and impact >= 4 then 'transfer'
    when probability >= 3 then 'mitigate'
    else 'accept'
end
