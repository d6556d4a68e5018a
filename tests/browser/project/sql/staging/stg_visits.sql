select id, day, page from visits
