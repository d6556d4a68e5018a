-- Lines of kpi_targets.csv and kri_thresholds.csv that say something of nothing: a
-- metric that is not declared, a scope that no row has, an indicator that
-- nothing measures; and targets that stand in the wrong order. Of a scope
-- nothing is said while its feed has no rows.
with

files as (

    select
        dataset,
        max(file) as file

    from dq_ledger

    where dataset in ('kpi_targets', 'kri_thresholds')
        and clean > 0

    group by dataset

),

members as (

    select distinct 'group' as scope_type, group_id as scope_id from dim_agent
    union all
    select distinct 'agent' as scope_type, agent_id as scope_id from dim_agent
    union all
    select distinct 'group' as scope_type, group_id as scope_id from fct_ticket
    union all
    select distinct 'priority' as scope_type, priority as scope_id
    from fct_ticket
    union all
    select distinct 'channel' as scope_type, channel as scope_id from fct_ticket
    union all
    select distinct 'platform' as scope_type, session_platform as scope_id
    from fct_event
    union all
    select distinct
        'acquisition_channel' as scope_type,
        session_acquisition_channel as scope_id
    from fct_event
    union all
    select distinct 'instrument' as scope_type, symbol as scope_id
    from fct_price
    union all
    select distinct 'competitor' as scope_type, competitor as scope_id
    from fct_competitor_price
    union all
    select * from (values ('total', 'all')) as company (scope_type, scope_id)

),

member_names as (

    select distinct
        scope_type,
        scope_id
    from members
    where scope_id is not null

),

scope_types as (

    select distinct scope_type from member_names

),

targets_of_strangers as (

    select
        targets.metric_id,
        targets.scope_type,
        targets.scope_id,
        targets.valid_from,
        metrics.metric_id is null as is_unknown_metric,
        scope_types.scope_type is not null
            and member_names.scope_id is null as is_unknown_scope

    from dim_kpi_target as targets

    left join dim_metric as metrics
        on targets.metric_id = metrics.metric_id

    left join scope_types
        on targets.scope_type = scope_types.scope_type

    left join member_names
        on targets.scope_type = member_names.scope_type
        and targets.scope_id = member_names.scope_id

),

lines as (

    select
        'kpi_targets' as dataset,
        concat(
            metric_id, ', ', scope_type, ', ', scope_id, ', ',
            cast(valid_from as varchar)
        ) as line,
        case
            when is_unknown_metric
                then concat('there is no metric `', metric_id, '`')
            else concat('there is no ', scope_type, ' `', scope_id, '`')
        end as finding
    from targets_of_strangers
    where is_unknown_metric
        or is_unknown_scope

    union all

    select
        'kri_thresholds' as dataset,
        thresholds.kri_id as line,
        concat('nothing measures `', thresholds.kri_id, '`') as finding
    from dim_kri_threshold as thresholds
    left join dim_metric as metrics
        on thresholds.kri_id = metrics.metric_id
    where metrics.metric_id is null

    union all

    select
        'kpi_targets' as dataset,
        concat(
            metric_id, ', ', scope_type, ', ', scope_id, ', ',
            cast(valid_from as varchar)
        ) as line,
        concat(
            'floor ', coalesce(cast(floor_value as varchar), 'none'),
            ', target ', cast(target as varchar),
            ' and stretch ', coalesce(cast(stretch as varchar), 'none'),
            ' are out of order where ', direction, ' is better'
        ) as finding
    from dim_kpi_target
    where (
        direction = 'higher'
        and (floor_value > target or target > stretch)
    )
    or (
        direction = 'lower'
        and (floor_value < target or target < stretch)
    )

),

findings as (

    select
        lines.dataset,
        files.file,
        lines.line,
        lines.finding

    from lines

    left join files
        on lines.dataset = files.dataset

)

select * from findings
