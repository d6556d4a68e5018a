select * from (
    values
        ('backlog_days', date '2024-06-20', null, 'red', 11, 7.5, date '2024-06-25'),
        ('<svg onload=window.hostile=10>', date '2024-05-02', date '2024-05-09', 'amber', 7, 3.5, date '2024-05-05')
) as events (kri_id, opened_on, closed_on, worst_state, days, peak_value, peak_on)
