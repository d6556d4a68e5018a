-- One row per event.
select event_id, user_id, event_time, event_name, platform, amount, page_url, country from events
