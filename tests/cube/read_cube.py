"""Compiles what `opsmart export cube` writes with Cube's own compiler, lets it write queries, runs them with DuckDB over
the published tables, and holds what comes out against the published values.

usage: read_cube.py OPSMART NODE_FOLDER      needs: duckdb, node, @cubejs-backend/schema-compiler
"""

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "readers"))
from sample import compare, sample  # noqa: E402

COMPILE = Path(__file__).resolve().with_name("compile.js")


def compile_model(model, queries, modules):
    environment = os.environ | {"NODE_PATH": str(modules), "TZ": "UTC"}
    done = subprocess.run(["node", COMPILE, model], input=json.dumps(queries), text=True, stdout=subprocess.PIPE, env=environment)
    if done.returncode != 0:
        sys.exit("error: Cube refuses the model")
    return json.loads(done.stdout)


def main(opsmart, folder):
    modules = Path(folder).resolve() / "node_modules"
    with sample(opsmart) as project:
        metrics = project.export("cube", "--to", "model")
        queries, about = [], []
        for metric_id, metric in metrics.items():
            table = metric["tables"][0]
            measure = f"{table}.{metric_id}"
            if metric["from"] == "rows":
                time, scopes = project.scopes(metric_id)
                for scope, columns in scopes.items():
                    queries.append({"measures": [measure], "dimensions": [f"{table}.{column}" for column in columns],
                                    "timeDimensions": [{"dimension": f"{table}.{time}", "granularity": "month"}]})
                    about.append((metric_id, scope, len(columns)))
            else:
                queries.append({"measures": [measure], "dimensions": [f"{table}.scope_type", f"{table}.scope_id"],
                                "timeDimensions": [{"dimension": f"{table}.day", "granularity": "day"}]})
                about.append((metric_id, None, 2))
        # A view has the measures of its area, and the same values.
        queries.append({"measures": ["support_of_fct_ticket_activity.support_sla_rate"], "dimensions": ["support_of_fct_ticket_activity.channel"],
                        "timeDimensions": [{"dimension": "support_of_fct_ticket_activity.day", "granularity": "month"}]})
        about.append(("support_sla_rate", "channel", 1))
        compiled = compile_model(project.root / "model", queries, modules)
        compared = 0
        for (metric_id, scope, width), (sql, parameters) in zip(about, compiled["sql"]):
            compared += run(project, metric_id, scope, width, (sql, parameters))
        shown = {measure["name"] for measure in compiled["measures"]}
        for metric_id, metric in metrics.items():
            suffixes = ["", "_week", "_month"] if metric["from"] == "values" else [""]
            for table, suffix in zip(metric["tables"], suffixes):
                if f"{table}.{metric_id}{suffix}" not in shown:
                    sys.exit(f"error: {table}.{metric_id}{suffix} is no measure")
        backlog = next(measure for measure in compiled["measures"] if measure["name"] == "kpi_daily.support_backlog")
        if (backlog["shortTitle"], backlog["meta"]["title_zh"]) != ("Backlog", "积压工单"):
            sys.exit(f"error: the words of a measure are {backlog}")
        if any("__numerator" in name or "__denominator" in name for name in shown):
            sys.exit("error: parts of ratios are shown")
    print(f"{len(compiled['cubes'])} cubes and views of Cube, {len(shown)} measures, {compared} values agree")


def run(project, metric_id, scope, width, query):
    sql, parameters = query
    cursor = project.db.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    # Cube puts dimensions first, then the time, then measures.
    if len(names) != width + 2:
        sys.exit(f"error: {metric_id}: Cube asks for {names}")
    found = cursor.fetchall()
    if scope is None:
        theirs = {(str(row[width])[:10], row[0], row[1]): row[-1] for row in found}
        values = project.rows(f"select day, scope_type, scope_id, value from kpi_daily where metric_id = '{metric_id}'")
        ours = {(str(day), kind, member): value for day, kind, member, value in values}
    else:
        member = lambda row: "all" if scope == "total" else " / ".join("none" if value is None else str(value) for value in row[:width])
        theirs = {(str(row[width])[:10], member(row)): row[-1] for row in found}
        ours = project.monthly(metric_id, scope)
    return compare(f"{metric_id} by {scope}", ours, theirs)


main(*sys.argv[1:])
