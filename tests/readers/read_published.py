"""Reads published/current with DuckDB and computes some of its numbers again from the landed files.

usage: read_published.py OPSMART      needs: duckdb, jsonschema
"""

import json
import sys

import jsonschema

from sample import ROOT, sample

passed = 0


def same(what, ours, theirs):
    global passed
    if ours != theirs:
        sys.exit(f"error: {what}: published {ours}, computed {theirs}")
    passed += 1


def main(opsmart):
    with sample(opsmart) as project:
        read(project.root, project.db)
    print(f"{passed} passed, 0 failed")


def read(root, db):
    current = root / "warehouse/published/current"
    one = lambda sql: db.execute(sql).fetchall()

    # The manifest keeps to its schema, and tells of the tables that are there.
    manifest = json.loads((current / "manifest.json").read_text())
    schema = json.loads((ROOT / "docs/manifest.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(manifest)
    published = sorted(node["name"] for node in manifest["nodes"] if node.get("stored") == "published")
    folders = [path.name for path in current.iterdir() if path.is_dir()]
    same("published models", published, sorted(name for name in folders if not name.startswith(("dq_", "ops_", "feed_freshness", "_"))))

    # Every table is there with the columns, rows and words that the metadata tells.
    tables = one("select distinct table_name, table_rows from _metadata order by 1")
    same("tables", sorted(path.name for path in current.iterdir() if path.is_dir()), sorted([name for name, _ in tables] + ["_metadata"]))
    for name, rows in tables:
        same(f"rows of {name}", one(f'select count(*) from "{name}"'), [(rows,)])
        columns = one(f"select column_name from _metadata where table_name = '{name}' order by column_position")
        same(f"columns of {name}", [row[:1] for row in one(f'describe "{name}"')], columns)
    wordless = "select count(*) from duckdb_columns() where table_name like 'kpi_%' and comment is null"
    same("columns without words", one(wordless), [(0,)])

    # The first implementation of these numbers is ours; here is a second, from the landed files themselves.
    clicks = f"""(select distinct user_id, session_id, event, cast(timestamp as timestamp) as stamp
        from read_csv(['{root}/data-samples/behaviour/clickstream-2024-h1.csv.gz'], header = true))"""
    theirs = one(f"""select cast(stamp as date) as day, count(distinct user_id) from {clicks}
        where cast(stamp as date) between '2024-01-10' and '2024-06-20' group by 1 order by 1""")
    ours = one("""select day, dau from kpi_user_activity_daily where platform = 'all' and acquisition_channel = 'all'
        and dau > 0 and day between '2024-01-10' and '2024-06-20' order by 1""")
    same("daily active users", ours, theirs)
    theirs = one(f"""select "Ticker", round(stddev_samp(ret) * sqrt(252), 4) from (
        select "Ticker", "Date", "Adj Close" / lag("Adj Close") over (partition by "Ticker" order by "Date") - 1 as ret
        from read_csv('{root}/data-samples/market/prices-2000-2013.csv.gz', header = true) where "Date" < '2012-01-01')
        group by 1 order by 1""")
    ours = one("""select symbol, round(stddev_samp(adj_close / before - 1) * sqrt(252), 4) from (
        select symbol, adj_close, lag(adj_close) over (partition by symbol order by day) as before
        from kpi_market_daily where day < '2012-01-01') group by 1 order by 1""")
    same("annual volatility", ours, theirs)

    # Nothing has vanished.
    same("ledger", one("select count(*) from dq_ledger where records <> accepted + quarantined + blank"), [(0,)])
    same("rows", one("""select count(*) from dq_ledger
        where rows <> clean + exact_duplicates + superseded + quarantined_in_clean"""), [(0,)])
    same("set aside", one("select count(*) from dq_quarantine"), one("select sum(quarantined) from dq_ledger"))


main(sys.argv[1])
