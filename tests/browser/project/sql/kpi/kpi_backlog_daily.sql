select * from (
    values
        (date '2024-06-28', 'open', 'chat', 9, 4, 2, 1, 1, 1, 0),
        (date '2024-06-28', 'hold', 'email', 3, 1, 1, 1, 0, 0, 0),
        (date '2024-06-29', 'open', 'chat', 12, 5, 3, 2, 1, 0, 1),
        (date '2024-06-30', 'open', 'chat', 8, 3, 2, 1, 1, 1, 0)
) as backlog (day, status, group_id, tickets, age_0_1, age_1_3, age_3_7, age_7_14, age_14_30, age_over_30)
