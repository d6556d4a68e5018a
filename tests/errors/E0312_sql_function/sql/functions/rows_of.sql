create function rows_of(a varchar) returns varchar return unnest(string_to_array(a, chr(44)))
