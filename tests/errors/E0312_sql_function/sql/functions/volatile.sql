create function volatile() returns double return random()
