create function abs(n double) returns double return n
