select call_id, started_at, local_day(started_at, $reporting_zone) as day from calls
