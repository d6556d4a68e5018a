create function pong(n double) returns double return ping(n)
