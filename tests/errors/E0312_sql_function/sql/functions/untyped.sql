create function untyped(n) returns double return n
