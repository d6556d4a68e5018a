create function twice(n double, N bigint) returns double return n
