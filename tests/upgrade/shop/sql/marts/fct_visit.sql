select user_id, at, lag(at) over (partition by user_id order by at, page) as before, page from stg_visits
