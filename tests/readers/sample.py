"""The shipped project, run in a folder of its own, and what its published tables say of metrics: the tests of what other
programs read begin here."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["jobs", "sql", "schemas", "data-samples"]
# Decimals that values are rounded to when they are stored, and a hair.
TOLERANCE = 1.01e-6


class Sample:
    """A project with a published snapshot, and a connection to it."""

    def __init__(self, opsmart, root):
        self.opsmart, self.root = Path(opsmart).resolve(), root
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("OPSMART_")}
        self.run("run", "--quiet", "--as-of", "2024-07-01")
        self.db = duckdb.connect()
        self.db.execute("set timezone = 'UTC'")
        self.db.execute((self.current / "views.sql").read_text())

    @property
    def current(self):
        return self.root / "warehouse/published/current"

    def run(self, *arguments):
        done = subprocess.run([self.opsmart, *arguments], cwd=self.root, env=self.environment, check=True, stdout=subprocess.PIPE)
        return done.stdout.decode()

    def rows(self, sql):
        return self.db.execute(sql).fetchall()

    def export(self, *arguments):
        """Exports, and returns of each metric how it went: from rows or from values, and of which tables."""
        told = json.loads(self.run("export", *arguments, "--quiet", "--output", "json"))
        if told["left_out"]:
            raise SystemExit(f"error: left out: {told['left_out']}")
        return {metric["metric_id"]: metric for metric in told["metrics"]}

    def scopes(self, metric_id):
        """The columns of each kind of scope of a metric, read off its declaration."""
        for path in sorted((self.root / "schemas/metrics").glob("*.toml")):
            area = tomllib.loads(path.read_text())
            key = metric_id.removeprefix(path.stem + "_")
            if key == metric_id or not isinstance(area.get(key), dict):
                continue
            metric = area | area[key]
            scopes = {"total": []} if metric.get("total", True) else {}
            for scope in metric.get("by", []):
                name, columns = (scope, scope) if isinstance(scope, str) else next(iter(scope.items()))
                scopes[name] = [columns] if isinstance(columns, str) else columns
            return metric["time"], scopes
        raise SystemExit(f"error: {metric_id} is not declared")

    def monthly(self, metric_id, scope_type):
        """The values of the complete months: by month and scope."""
        found = self.rows(f"""select month, scope_id, value from kpi_monthly where is_complete
            and metric_id = '{metric_id}' and scope_type = '{scope_type}'""")
        return {(str(month), scope): value for month, scope, value in found}


@contextlib.contextmanager
def sample(opsmart):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in FOLDERS:
            shutil.copytree(ROOT / name, root / name)
        shutil.copy(ROOT / "opsmart.toml", root)
        yield Sample(opsmart, root)


def compare(what, ours, theirs):
    """Ends the test where another program comes to other values; returns how many values it compared. Groups without
    rows are not there for the other program, and have no value or 0 for us."""
    for key, value in ours.items():
        other = theirs.get(key)
        if other is None and value in (None, 0):
            continue
        if value is None or other is None or abs(float(value) - float(other)) > TOLERANCE * max(1, abs(float(value))):
            raise SystemExit(f"error: {what} of {key}: published {value}, computed {other}")
    return sum(1 for value in ours.values() if value is not None)
