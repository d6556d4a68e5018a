select * from (
    values
        ('visits', 'behaviour', 'Visits <script>window.hostile = 6</script>', '访问 <b>', 'visits', 'higher', false),
        ('conversion_rate', 'behaviour', 'Conversion rate', '转化率', 'share', 'higher', true)
) as metrics (metric_id, area, name_en, name_zh, unit, direction, is_ratio)
