create function quoted_name("N" bigint) returns bigint return 1
