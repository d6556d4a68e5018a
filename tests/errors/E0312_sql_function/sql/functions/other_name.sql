create function another(n double) returns double return n
