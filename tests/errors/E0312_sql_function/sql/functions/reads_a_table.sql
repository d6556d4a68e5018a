create function reads_a_table(n double) returns double return (select max(amount) from fct_order)
