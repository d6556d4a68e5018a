"""Imports what `opsmart export superset` writes by Superset's own command, and lets Superset query each metric: it must
come to the published values.

usage: read_superset.py OPSMART      needs: superset, initialised; duckdb, duckdb-engine
"""

import logging
import subprocess
import sys
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "readers"))
from sample import compare, sample  # noqa: E402


def main(opsmart):
    with sample(opsmart) as project:
        database = project.root / "opsmart.duckdb"
        with duckdb.connect(str(database)) as views:
            views.execute((project.current / "views.sql").read_text())
        metrics = project.export("superset", "--to", "bundle.zip", "--uri", f"duckdb:///{database}")
        command = [Path(sys.executable).with_name("superset"), "import-datasources", "--path", project.root / "bundle.zip"]
        # A second time it replaces what the first brought.
        for _ in range(2):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                sys.exit(f"{done.stdout}\nerror: Superset refuses the bundle")
        logging.disable(logging.CRITICAL)
        from superset.app import create_app
        with create_app().app_context():
            judge(project, metrics)


def judge(project, metrics):
    from superset import db, security_manager
    from superset.connectors.sqla.models import SqlaTable
    from superset.utils.core import override_user
    tables = {table.table_name: table for table in db.session.query(SqlaTable)}
    if len(tables) != db.session.query(SqlaTable).count():
        sys.exit("error: a second import makes second datasets")
    compared = found = 0
    with override_user(security_manager.find_user("admin")):
        for metric_id, metric in metrics.items():
            name = metric["tables"][0]
            words = next((one for one in tables[name].metrics if one.metric_name == metric_id), None)
            if words is None or not words.verbose_name or not words.description or not words.d3format:
                sys.exit(f"error: {metric_id} is not there, or without words: {words}")
            found += 1
            if metric["from"] == "rows":
                time, scopes = project.scopes(metric_id)
                for scope, columns in scopes.items():
                    theirs = ask(tables[name], metric_id, columns, time, "P1M")
                    member = lambda values: "all" if scope == "total" else " / ".join("none" if value is None else str(value) for value in values)
                    theirs = {(day, member(values)): value for day, values, value in theirs}
                    compared += compare(f"{metric_id} by {scope}", project.monthly(metric_id, scope), theirs)
            else:
                theirs = ask(tables[name], metric_id, ["scope_type", "scope_id"], "day", "P1D")
                theirs = {(day, *values): value for day, values, value in theirs}
                values = project.rows(f"select day, scope_type, scope_id, value from {name} where metric_id = '{metric_id}'")
                compared += compare(metric_id, {(str(day), kind, member): value for day, kind, member, value in values}, theirs)
    print(f"{len(tables)} datasets of Superset, {found} metrics, {compared} values agree")


def ask(table, metric_id, columns, time, grain):
    """Returns day, the values of columns and that of the metric, as a chart with the time on its axis asks for them."""
    axis = {"columnType": "BASE_AXIS", "sqlExpression": time, "label": "axis", "expressionType": "SQL", "timeGrain": grain}
    result = table.query({
        "columns": [axis, *columns], "metrics": [metric_id], "filter": [], "extras": {}, "granularity": None,
        "from_dttm": None, "to_dttm": None, "is_timeseries": False, "row_limit": 1_000_000,
    })
    if result.error_message:
        sys.exit(f"error: Superset cannot query {metric_id}: {result.error_message}")
    plain = lambda value: None if value is None or value != value else value
    rows = result.df.to_dict("records")
    return [(str(row["axis"])[:10], [plain(row[column]) for column in columns], plain(row[metric_id])) for row in rows]


main(sys.argv[1])
