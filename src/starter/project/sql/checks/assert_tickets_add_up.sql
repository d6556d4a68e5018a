-- Every ticket is created on one day, in the total and in its channel. Days end
-- with the clock of the run.
with

created_in_kpi as (

    select
        scope_type,
        sum(value) as created

    from kpi_daily

    where metric_id = 'support_created'

    group by scope_type

),

tickets as (

    select count(*) as created

    from fct_ticket

    where created_day <= local_day($as_of, $reporting_zone)

)

select
    created_in_kpi.scope_type,
    created_in_kpi.created as created_in_kpi,
    tickets.created

from created_in_kpi

cross join tickets

where created_in_kpi.created <> tickets.created
