select * from (
    values
        (date '2024-05-01', 'group', 'chat', 'visits', 220.0, 210.0, 0.5, 1.05, 0.52, 'green', 1),
        (date '2024-05-01', 'group', 'chat', 'conversion_rate', 0.09, 0.12, 0.5, 0.75, 0.37, 'red', 1),
        (date '2024-05-01', 'group', '</td><script>window.hostile = 8</script>', 'visits', 190.0, 210.0, 1.0, 0.90, 0.90, 'amber', 2),
        (date '2024-06-01', 'total', 'all', 'visits', 200.0, 210.0, 1.0, 0.95, 0.95, 'amber', 1)
) as scorecard (month, scope_type, scope_id, metric_id, actual, target, weight, attainment, points, rag, rank_in_month)
