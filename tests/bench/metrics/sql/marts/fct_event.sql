select event_id, user_id, event_time, day, event_name, platform, country, amount from stg_events
