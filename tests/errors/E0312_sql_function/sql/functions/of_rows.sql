create function of_rows(n double) returns double return sum(n)
