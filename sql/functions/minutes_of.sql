-- Seconds as minutes, on two digits. Where clocks disagree about what came
-- first, no time has passed.
create function minutes_of(seconds double) returns double
return case
    when seconds is not null then round(greatest(seconds, 0) / 60, 2)
end
