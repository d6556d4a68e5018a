create function no_type(n money) returns double return 1
