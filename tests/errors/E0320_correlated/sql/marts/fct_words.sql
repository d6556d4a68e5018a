select id, word
from stg_orders, unnest(string_to_array(status, ' ')) as words(word)
