create function wrong_cast(n date) returns double return n
