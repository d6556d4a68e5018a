create function swallowed(a bigint, c boolean) returns boolean return a > 0 is distinct from true and c
