select * from fct_order where amount < 0
