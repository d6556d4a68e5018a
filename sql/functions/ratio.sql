-- What share `part` is of `whole`, on six digits; null where there is no
-- whole, or it is zero.
create function ratio(part double, whole double) returns double
return round(part / nullif(whole, 0), 6)
