select *, local_day(event_time, $reporting_zone) as day from events
