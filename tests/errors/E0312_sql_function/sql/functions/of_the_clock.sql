create function of_the_clock(n double) returns double return n + $min_sample
