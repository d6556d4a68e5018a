select * from (
    values
        ('backlog_days', date '2024-06-28', 'red', 7.5, 3.0, 6.0, true),
        ('backlog_days', date '2024-06-29', 'red', 6.5, 3.0, 6.0, true),
        ('backlog_days', date '2024-06-30', 'unknown', null, 3.0, 6.0, false),
        ('churn', date '2024-06-30', 'green', 0.02, 0.05, 0.1, true)
) as indicators (kri_id, day, state, kri_value, amber, red, is_complete)
