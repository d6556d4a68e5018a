create function squared(n bigint) returns bigint return n ^ 2
