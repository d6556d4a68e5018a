select id, day, page from stg_visits
