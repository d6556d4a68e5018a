create function ping(n double) returns double return pong(n)
