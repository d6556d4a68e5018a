"""A landed file to typed rows with the bad ones set aside, in DuckDB; with `keep`, one row per key as well.

usage: python duckdb_ingest.py FILE OUT_FOLDER [keep]

Prints how many rows there are of each kind, to compare with.
"""

import json
import os
import sys

import duckdb

source, out = sys.argv[1], sys.argv[2]
os.makedirs(out, exist_ok=True)
db = duckdb.connect()
db.execute("set threads = 2; set preserve_insertion_order = false")
NAMES = ["event_id", "user_id", "event_time", "event_name", "platform", "amount", "page_url", "country"]
texts = "{" + ", ".join(f"{name}: 'VARCHAR'" for name in NAMES) + "}"
read = (
    f"read_json('{source}', format = 'newline_delimited', columns = {texts})"
    if ".ndjson" in source
    else f"read_csv('{source}', header = true, all_varchar = true)"
)


def write(table, query):
    db.execute(f"copy ({query}) to '{out}/{table}.parquet' (format parquet, compression zstd)")
    with open(f"{out}/{table}.parquet", "rb") as file:
        os.fsync(file.fileno())


typed = f"read_parquet('{out}/typed.parquet', file_row_number = true)"
write("typed", f"""
    select *, coalesce(amount_text, '') <> '' and amount is null as is_bad from (
        select event_id, user_id, try_cast(event_time as timestamptz)::timestamp as event_time, event_name, platform,
            try_cast(nullif(amount, '') as decimal(18,2)) as amount, page_url, country, amount as amount_text,
        from {read})""")
write("quarantine", f"select * exclude (file_row_number) from {typed} where is_bad")
tables = ["typed", "quarantine"]
if sys.argv[3:] == ["keep"]:
    write("events", f"""
        with rows_of_keys as (
            select event_id, arg_max(file_row_number, event_time) as kept from {typed} where not is_bad group by event_id)
        select typed.* exclude (is_bad, amount_text, file_row_number)
        from {typed} as typed join rows_of_keys on typed.file_row_number = rows_of_keys.kept""")
    tables.append("events")
print(json.dumps(
    {table: db.execute(f"select count(*) from '{out}/{table}.parquet'").fetchone()[0] for table in tables}))
