"""Reads what `opsmart export ossie` writes with azem, which validates it against the JSON Schema of the specification and
compiles metrics to SQL; DuckDB runs that over the published tables, and it must come to the published values.

usage: read_ossie.py OPSMART      needs: azem, duckdb
"""

import sys

from azem.model import SemanticModel

from sample import compare, sample


def scope_id(scope, columns):
    return "all" if scope == "total" else " / ".join("none" if value is None else str(value) for value in columns)


def main(opsmart):
    with sample(opsmart) as project:
        metrics = project.export("ossie", "--to", "model")
        # Raises where the document does not fit the schema, names are not unique, or SQL does not parse.
        model = SemanticModel.from_file(project.root / "model/opsmart.yaml")
        compared = 0
        for metric_id, metric in metrics.items():
            if metric["from"] == "rows":
                compared += over_rows(project, model, metric_id, metric["tables"][0])
            else:
                compared += as_values(project, model, metric_id, metric["tables"][0])
        names = {metric.name for metric in model.metrics}
        missing = {f"{metric_id}{period}" for metric_id, metric in metrics.items() for period in (["", "_week", "_month"] if metric["from"] == "values" else [""])} - names
        if missing:
            sys.exit(f"error: metrics are missing: {sorted(missing)}")
        before = (project.root / "model/opsmart.yaml").read_bytes()
        project.export("ossie", "--to", "model")
        if before != (project.root / "model/opsmart.yaml").read_bytes():
            sys.exit("error: the same project gives other bytes")
    print(f"{len(names)} metrics of Ossie, {compared} values agree")


def over_rows(project, model, metric_id, table):
    """The value of every complete month and scope, computed from the rows."""
    time, scopes = project.scopes(metric_id)
    compared = 0
    for scope, columns in scopes.items():
        time_field, fields = f"{table}.{time}", [f"{table}.{column}" for column in columns]
        request = {"metrics": [metric_id], "dimensions": [time_field, *fields], "time_grains": {time_field: "month"}}
        found = project.rows(model.compile(request, db_dialect="duckdb"))
        theirs = {(str(month)[:10], scope_id(scope, values)): value for month, *values, value in found}
        compared += compare(f"{metric_id} by {scope}", project.monthly(metric_id, scope), theirs)
    if not compared:
        sys.exit(f"error: {metric_id} has no value in any complete month")
    return compared


def as_values(project, model, metric_id, table):
    """The value of every day and scope, of the day alone, and of several days together, which have none."""
    day, scope = f"{table}.day", [f"{table}.scope_type", f"{table}.scope_id"]
    sql = model.compile({"metrics": [metric_id], "dimensions": [day, *scope]}, db_dialect="duckdb")
    theirs = {key: value for *key, value in project.rows(sql) for key in [tuple(key)]}
    ours = {key: value for *key, value in project.rows(f"select day, scope_type, scope_id, value from {table} where metric_id = '{metric_id}'") for key in [tuple(key)]}
    compared = compare(metric_id, ours, theirs)
    whole = {key[:1]: value for key, value in ours.items() if key[1] == "total"}
    if whole:
        sql = model.compile({"metrics": [metric_id], "dimensions": [day]}, db_dialect="duckdb")
        compared += compare(f"{metric_id} of the whole", whole, {(key,): value for key, value in project.rows(sql)})
    together = project.rows(model.compile({"metrics": [metric_id]}, db_dialect="duckdb"))
    if together != [(None,)]:
        sys.exit(f"error: {metric_id} of all days together is {together}")
    return compared


main(sys.argv[1])
