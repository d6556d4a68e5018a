select user_id, at, page from visits
