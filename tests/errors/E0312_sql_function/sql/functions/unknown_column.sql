create function unknown_column(n double) returns double return m + 1
