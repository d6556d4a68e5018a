"""The metrics of metrics/ in DuckDB, from the same Parquet files: days, weeks and months of each scope.

usage: python duckdb_metrics.py PUBLISHED_FOLDER OUT_FOLDER

Prints how many values each metric has by each grain, and their sum, as JSON, to compare with. Sums of weeks and months come
from days, users of all periods and windows from one table of the days on which each was active. Writes Parquet with the
codec of the other side and makes it last (fsync) as the other side does.
"""

import json
import os
import sys

import duckdb

published, out = sys.argv[1], sys.argv[2]
os.makedirs(out, exist_ok=True)
db = duckdb.connect()
db.execute("set threads = 2; set preserve_insertion_order = false")
GRAINS = {"day": "day", "week": "date_trunc('week', day)::date", "month": "date_trunc('month', day)::date"}
EVENT_SCOPES = ["platform", "country"]
TICKET_SCOPES = ["channel", "team", "priority"]


def temp(table, query):
    db.execute(f"create temp table {table} as {query}")


def rows(table):
    return f"read_parquet('{published}/{table}/*.parquet')"


def scope(columns):
    kind = " ".join(f"when grouping({column}) = 0 then '{column}'" for column in columns)
    value = " ".join(f"when grouping({column}) = 0 then {column}" for column in columns)
    return f"case {kind} else 'total' end as scope_type, case {value} else 'all' end as scope_id"


def sets(period, columns):
    return f"grouping sets (({period}), {', '.join(f'({period}, {column})' for column in columns)})"


first, last = db.execute(f"select min(day), max(day) from {rows('fct_event')}").fetchone()
temp("days", f"select unnest(generate_series('{first}'::date, '{last}'::date, interval 1 day))::date as day")

# Events: what adds up, in one scan, and one row for each day on which a user was active.
temp("event_day", f"""
    select day, {scope(EVENT_SCOPES)}, count(*) as events, count(*) filter (where event_name = 'page_view') as views,
        count(*) filter (where event_name = 'purchase') as purchases,
        sum(amount) filter (where event_name = 'purchase') as revenue,
        count(amount) filter (where event_name = 'purchase') as amounts
    from {rows('fct_event')} group by {sets('day', EVENT_SCOPES)}""")
temp("active", f"""
    select distinct 'total' as scope_type, 'all' as scope_id, user_id, day from {rows('fct_event')}
    union all select distinct 'platform', platform, user_id, day from {rows('fct_event')}
    union all select distinct 'country', country, user_id, day from {rows('fct_event')}""")
temp("event_series", "select scope_type, scope_id, day from (select distinct scope_type, scope_id from event_day), days")
temp("users_28d", f"""
    with spans as (
        select scope_type, scope_id, day,
            least(day + 28, coalesce(lead(day) over (partition by scope_type, scope_id, user_id order by day), day + 28)) as until
        from active),
    changes as (
        select scope_type, scope_id, day, sum(change) as change from (
            select scope_type, scope_id, day, 1 as change from spans
            union all select scope_type, scope_id, until, -1 from spans) group by all)
    select scope_type, scope_id, day,
        case when day >= '{first}'::date + 27 then sum(coalesce(change, 0)) over series end as users_28d
    from event_series left join changes using (scope_type, scope_id, day)
    window series as (partition by scope_type, scope_id order by day)""")
temp("new_users", """
    select scope_type, scope_id, day, count(*) as new_users from (
        select scope_type, scope_id, user_id, min(day) as day from active group by all) group by all""")

# Tickets: days of creation, days of solves, and what stands at the end of each day.
temp("ticket_day", f"""
    select created_day as day, {scope(TICKET_SCOPES)}, count(*) as created, count(*) filter (where is_in_time) as in_time,
        count(*) filter (where rating = 'good') as good, count(rating) as rated
    from {rows('fct_ticket')} where created_day between '{first}' and '{last}' group by {sets('created_day', TICKET_SCOPES)}""")
temp("solved_day", f"""
    select solved_day as day, {scope(TICKET_SCOPES)}, count(*) as solved
    from {rows('fct_ticket')} where solved_day between '{first}' and '{last}' group by {sets('solved_day', TICKET_SCOPES)}""")
temp("ticket_series", "select scope_type, scope_id, day from (select distinct scope_type, scope_id from ticket_day), days")
temp("backlog_day", f"""
    with changes as (
        select day, {scope(TICKET_SCOPES)}, sum(change) as change from (
            select created_day as day, channel, team, priority, 1 as change from {rows('fct_ticket')}
            union all
            select solved_day, channel, team, priority, -1 from {rows('fct_ticket')} where solved_day is not null)
        group by {sets('day', TICKET_SCOPES)})
    select scope_type, scope_id, day, sum(coalesce(change, 0)) over series as backlog
    from ticket_series left join changes using (scope_type, scope_id, day)
    window series as (partition by scope_type, scope_id order by day)""")

WIDE = "select * from (unpivot ({wide}) on columns(* exclude (scope_type, scope_id, period)) into name metric_id value value)"
ROLLING = "partition by scope_type, scope_id order by day rows 27 preceding"
sums = {}
for grain, period in GRAINS.items():
    temp(f"users_{grain}", f"""
        select scope_type, scope_id, period, count(*) as users from (
            select distinct scope_type, scope_id, user_id, {period} as period from active) group by all""")
    temp(f"reply_{grain}", f"""
        select {period.replace('day', 'created_day', 1) if grain == 'day' else period.replace(', day)', ', created_day)')} as period,
            {scope(TICKET_SCOPES)}, median(reply_minutes) as reply_minutes
        from {rows('fct_ticket')} where created_day between '{first}' and '{last}' group by {sets('period', TICKET_SCOPES)}""")
    events = f"""
        with days_of as (
            select scope_type, scope_id, day, {period} as period, coalesce(events, 0) as events, coalesce(views, 0) as views,
                coalesce(purchases, 0) as purchases, coalesce(revenue, 0) as revenue, coalesce(amounts, 0) as amounts,
                coalesce(new_users, 0) as new_users, users_28d,
                case when day >= '{first}'::date + 27 then sum(coalesce(purchases, 0)) over last_28 end as purchases_28d,
                sum(coalesce(views, 0)) over last_28 as views_28d
            from event_series left join event_day using (scope_type, scope_id, day)
                left join new_users using (scope_type, scope_id, day) left join users_28d using (scope_type, scope_id, day)
            window last_28 as ({ROLLING}))
        select scope_type, scope_id, period, sum(events)::double as behaviour_events, sum(views)::double as behaviour_views,
            sum(purchases)::double as behaviour_purchases, sum(revenue)::double as behaviour_revenue,
            round(sum(revenue)::double / nullif(sum(amounts), 0), 6) as behaviour_order_value,
            round(sum(purchases) / nullif(sum(views), 0), 6) as behaviour_purchase_rate,
            round(arg_max(purchases_28d, day) / nullif(arg_max(views_28d, day), 0), 6) as behaviour_purchase_rate_28d,
            coalesce(any_value(users), 0)::double as behaviour_users, arg_max(users_28d, day)::double as behaviour_users_28d,
            sum(new_users)::double as behaviour_new_users,
            round(sum(revenue)::double / nullif(any_value(users), 0), 6) as behaviour_revenue_per_user
        from days_of left join users_{grain} using (scope_type, scope_id, period) group by all"""
    tickets = f"""
        with days_of as (
            select scope_type, scope_id, day, {period} as period, coalesce(created, 0) as created, coalesce(solved, 0) as solved,
                coalesce(in_time, 0) as in_time, backlog,
                case when day >= '{first}'::date + 27 then sum(coalesce(good, 0)) over last_28 end as good_28d,
                sum(coalesce(rated, 0)) over last_28 as rated_28d,
                case when day >= '{first}'::date + 27 then sum(coalesce(solved, 0)) over last_28 end as solved_28d
            from ticket_series left join ticket_day using (scope_type, scope_id, day)
                left join solved_day using (scope_type, scope_id, day) left join backlog_day using (scope_type, scope_id, day)
            window last_28 as ({ROLLING}))
        select scope_type, scope_id, period, sum(created)::double as support_created, sum(solved)::double as support_solved,
            round(any_value(reply_minutes), 6) as support_reply_minutes,
            round(sum(in_time) / nullif(sum(created), 0), 6) as support_in_time_rate,
            round(arg_max(good_28d, day) / nullif(arg_max(rated_28d, day), 0), 6) as support_good_rate_28d,
            arg_max(backlog, day)::double as support_backlog,
            round(arg_max(backlog, day) / (nullif(arg_max(solved_28d, day), 0) / 28), 6) as support_backlog_days
        from days_of left join reply_{grain} using (scope_type, scope_id, period) group by all"""
    file = f"{out}/metric_{grain}.parquet"
    both = " union all ".join(WIDE.format(wide=wide) for wide in (events, tickets))
    db.execute(f"copy ({both}) to '{file}' (format parquet, compression zstd)")
    with open(file, "rb") as written:
        os.fsync(written.fileno())
    for metric, count, total in db.execute(
            f"select metric_id, count(value), sum(value) from '{file}' group by metric_id").fetchall():
        sums[f"{metric} by {grain}"] = [count, total]
print(json.dumps(sums))
