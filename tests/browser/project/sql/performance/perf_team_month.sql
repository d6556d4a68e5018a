select date '2024-05-01' as month, 'chat' as group_id, 4 as members, 120 as solved, 0.9 as sla_rate
