create function no_return(n double) returns double language sql as 'select n'
