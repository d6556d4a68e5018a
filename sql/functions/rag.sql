-- Red, amber or green, by how far a target is attained: amber from 90 % on.
create function rag(attainment double) returns varchar
return case
    when attainment is null then 'unknown'
    when attainment >= 1 then 'green'
    when attainment >= 0.9 then 'amber'
    else 'red'
end
