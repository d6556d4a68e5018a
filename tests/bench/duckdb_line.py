"""The work of line/ in DuckDB: a landed file to typed rows with the bad ones set aside, one row per key, and tables.

usage: python duckdb_line.py EVENTS_FILE OUT_FOLDER

Prints the rows of each table as one JSON document, to compare with. Writes Parquet with the codec of the other side and
makes it last (fsync) as the other side does. One row per key is an aggregate joined back, the fastest of the four ways
to say it that were tried on DuckDB 2.0 (row_number, max_by, distinct on, aggregate and join back).
"""

import json
import os
import sys

import duckdb

source, out = sys.argv[1], sys.argv[2]
os.makedirs(out, exist_ok=True)
db = duckdb.connect()
db.execute("set threads = 2; set preserve_insertion_order = false")


def path(table):
    return f"'{out}/{table}.parquet'"


def write(table, query):
    db.execute(f"copy ({query}) to {path(table)} (format parquet, compression zstd)")
    with open(f"{out}/{table}.parquet", "rb") as file:
        os.fsync(file.fileno())


write("typed", f"""
    select *, coalesce(amount_text, '') <> '' and amount is null as is_bad from (
        select event_id, user_id, try_cast(event_time as timestamptz)::timestamp as event_time, event_name, platform,
            try_cast(nullif(amount, '') as decimal(18,2)) as amount, page_url, country, amount as amount_text,
        from read_csv('{source}', header = true, all_varchar = true))""")
write("quarantine", f"select * from {path('typed')} where is_bad")
# Ties of event_time within a key are decided by any row: the other side decides them by their place in the file.
write("events", f"""
    with rows_of_keys as (
        select event_id, arg_max(file_row_number, event_time) as kept
        from read_parquet({path('typed')}, file_row_number = true) where not is_bad group by event_id)
    select typed.* exclude (is_bad, amount_text, file_row_number)
    from read_parquet({path('typed')}, file_row_number = true) as typed
    join rows_of_keys on typed.file_row_number = rows_of_keys.kept""")
events = path("events")
write("fct_session", f"""
    with marked as (
        select *, case when event_time - lag(event_time) over (partition by user_id order by event_time, event_id)
            <= interval 30 minute then 0 else 1 end as starts from {events}),
    numbered as (
        select *, sum(starts) over (partition by user_id order by event_time, event_id rows unbounded preceding)
            as session_number from marked)
    select user_id, session_number, min(event_time) as started_at, max(event_time) as ended_at, count(*) as events,
        sum(amount) as revenue, count(*) filter (where event_name = 'purchase') as purchases
    from numbered group by user_id, session_number""")
write("fct_event_day", f"""
    select event_time::date as day, platform, country, count(*) as events, count(distinct user_id) as users,
        sum(amount) as revenue, count(*) filter (where event_name = 'purchase') as purchases
    from {events} group by all""")
write("fct_retention", f"""
    with first_days as (select user_id, min(event_time::date) as cohort from {events} group by user_id),
    active_days as (select distinct user_id, event_time::date as day from {events})
    select cohort, day - cohort as day_number, count(*) as users
    from active_days join first_days using (user_id) group by all""")
write("fct_funnel", f"""
    with viewed as (
        select user_id, min(event_time) as viewed_at from {events} where event_name = 'page_view' group by user_id),
    carted as (
        select user_id, viewed_at, min(event_time) as carted_at from {events} join viewed using (user_id)
        where event_name = 'add_to_cart' and event_time > viewed_at and event_time <= viewed_at + interval 7 day
        group by user_id, viewed_at),
    bought as (
        select distinct user_id from {events} join carted using (user_id)
        where event_name = 'purchase' and event_time > carted_at and event_time <= viewed_at + interval 7 day)
    select (select count(*) from viewed) as viewed, (select count(*) from carted) as carted,
        (select count(*) from bought) as bought""")
write("kpi_daily", f"""
    select day, sum(events) as events, sum(purchases) as purchases, sum(revenue) as revenue
    from {path('fct_event_day')} group by day""")
tables = ["quarantine", "events", "fct_session", "fct_event_day", "fct_retention", "kpi_daily"]
rows = {table: db.execute(f"select count(*) from {path(table)}").fetchone()[0] for table in tables}
rows["funnel"] = list(db.execute(f"select * from {path('fct_funnel')}").fetchone())
rows["revenue"] = str(db.execute(f"select sum(revenue) from {path('kpi_daily')}").fetchone()[0])
print(json.dumps(rows))
