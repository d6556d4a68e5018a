select * from (
    values
        ('R-1', 'The supplier fails <script>window.hostile = 9</script>', 'operational', 3, 4, 12.0, 'high', 2, 3, 6.0, 'medium', 50000.0),
        ('R-2', 'Prices fall', 'market', 5, 5, 25.0, 'extreme', 5, 5, 25.0, 'extreme', 900000.0)
) as register (risk_id, title, category, probability, impact, inherent_score, inherent_level,
    residual_probability, residual_impact, residual_score, residual_level, expected_loss)
