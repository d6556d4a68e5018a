select call_id, started_at, day from stg_calls
