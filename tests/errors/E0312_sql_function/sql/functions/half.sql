create function half(n double) returns double return n / 2
