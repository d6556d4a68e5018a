"""Times opsmart on work that it makes itself, and prints a table.

usage: python bench.py OPSMART FOLDER [--events N] [--pairs N] [--only project|idle|ingest|tiny|line|year|metrics]

Seven parts. `project`: 500 models over 10,220 landed files of 28 datasets, where what counts is how little is done. `idle`:
500 models over 10,000 landed files of one dataset, and nothing to do. `ingest`: one landed
file to typed rows with the bad ones set aside, and one row per key, beside DuckDB and Polars where this Python has them.
`tiny`: a hundred thousand landed files of one row, and a tenth of them: what each file costs, beside DuckDB, which reads them
as one glob. `line`: landed events to published tables, beside the same work in DuckDB. `year`: a year of days, and one row that comes
late for an old one, beside that day alone and the whole year from nothing. `metrics`: eighteen metrics of events and of
200,000 tickets, by day, week and month in nine kinds of scopes, over tables that are there, beside DuckDB. Pairs take turns. Seconds are
medians; a ratio is the median of the ratios of pairs, because a machine has good and bad minutes. Memory is the most that
the process held (ru_maxrss), bytes are those of the Parquet files that one run left behind.
"""

import argparse
import importlib.util
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import make_project

HERE = Path(__file__).parent


@dataclass
class Took:
    seconds: float
    peak_mib: float
    stdout: str


def timed(command: list[str]) -> Took:
    """Runs a command that must succeed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=errors, env={**os.environ, "NO_COLOR": "1"})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"{' '.join(command)}: exit {process.returncode}\n{errors.read()}")
        return Took(seconds, usage.ru_maxrss / 1024, out.read())


def median(times: list[Took]) -> str:
    seconds = statistics.median(took.seconds for took in times)
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def peak(times: list[Took]) -> str:
    return f"{max(took.peak_mib for took in times):.0f} MiB"


def parquet_mib(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*.parquet")) / 2**20


def settle() -> None:
    """Waits until files are old enough to be believed by their time stamps."""
    os.sync()
    time.sleep(2.2)


def project(opsmart: str, folder: Path, repeats: int) -> None:
    root = folder / "project"
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run([sys.executable, HERE / "make_project.py", root], check=True)
    command = [opsmart, "-C", str(root), "--quiet"]
    settle()
    rows = [("`--version`", [timed([opsmart, "--version"]) for _ in range(repeats)])]
    cold = []
    for number in range(repeats):
        # Another comment: nothing that was remembered of the project holds any longer.
        (root / "sql/staging/stg_d00.sql").write_text(f"-- {number}\n{make_project.staging(0)}")
        settle()
        cold.append(timed([*command, "check"]))
    rows.append(("`check` after a change, 500 models", cold))
    rows.append(("`run`, everything new", [timed([*command, "run"])]))
    settle()
    timed([*command, "check"])
    rows.append(("`check` again", [timed([*command, "check"]) for _ in range(repeats)]))
    timed([*command, "run"])
    rows.append(("`run`, nothing new", [timed([*command, "run"]) for _ in range(repeats)]))
    late = []
    for number in range(repeats):
        path = root / make_project.landed_path(number, 60)
        path.with_name(path.stem + "-late.csv").write_text(make_project.landed_file(number, 400, rows=1))
        settle()
        late.append(timed([*command, "run"]))
    rows.append(("`run`, one late file of one row", late))
    print(f"\n500 models of 20 columns in six layers, {make_project.DATASETS * make_project.DAYS:,} landed files\n")
    print("| what | median | peak memory |\n|---|--:|--:|")
    for what, times in rows:
        print(f"| {what} | {median(times)} | {peak(times)} |")


def idle(opsmart: str, folder: Path, repeats: int) -> None:
    files = 10_000
    root = folder / "idle"
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run([sys.executable, HERE / "make_project.py", root, "1", str(files), "1"], check=True)
    command = [opsmart, "-C", str(root), "--quiet"]
    settle()
    rows = [("`run`, everything new", [timed([*command, "run"])])]
    settle()
    # The first finds that there is nothing to do, and what it finds is remembered.
    rows.append(("`run`, nothing new, for the first time", [timed([*command, "run"])]))
    rows.append(("`run`, nothing new, again", [timed([*command, "run"]) for _ in range(repeats)]))
    rows.append(("`check` for the first time", [timed([*command, "check"])]))
    rows.append(("`check` again", [timed([*command, "check"]) for _ in range(repeats)]))
    print(f"\n500 models of 20 columns in six layers, {files:,} landed files of one dataset, of 365 days\n")
    print("| what | median | peak memory |\n|---|--:|--:|")
    for what, times in rows:
        print(f"| {what} | {median(times)} | {peak(times)} |")


CONTRACT = """description = "Generated user events"
from = "{landing}/events*"
format = { type = "%s" }
%s
[columns]
event_id   = "string!"
user_id    = "string!"
event_time = "timestamp!"
event_name = "string!"
platform   = "string!"
amount     = { type = "decimal(18,2)", null = [""] }
page_url   = "string"
country    = "string"
"""


def events_file(folder: Path, events: int, suffix: str) -> Path:
    """Returns a file of generated events, which is made once."""
    path = folder / f"events-{events}{suffix}"
    if path.exists():
        return path
    draft = folder / f"part-{events}{suffix}"
    if suffix.endswith(".gz"):
        plain = events_file(folder, events, suffix.removesuffix(".gz"))
        with open(draft, "wb") as out:
            subprocess.run(["gzip", "-c", "-6", plain], stdout=out, check=True)
    else:
        subprocess.run([sys.executable, HERE / "make_events.py", str(events), draft], check=True)
    return draft.rename(path)


def ingest(opsmart: str, folder: Path, events: int, pairs: int) -> None:
    print(f"\n{events:,} events, one file, to typed rows with the bad ones set aside\n")
    print("| what | opsmart | memory | written | DuckDB | written | ratio | Polars | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    key = 'key = ["event_id"]\nkeep = { latest = "event_time" }'
    cases = [(suffix, "") for suffix in [".csv", ".ndjson", ".csv.gz", ".ndjson.gz"]] + [(".csv", key)]
    for suffix, keep in cases:
        landed = events_file(folder, events, suffix)
        root = folder / "ingest"
        shutil.rmtree(root, ignore_errors=True)
        for part in ["jobs", "schemas/sources", "sql/staging", "landing"]:
            (root / part).mkdir(parents=True)
        (root / "opsmart.toml").write_text('[paths]\nlanding = "landing"\n')
        (root / "jobs/events.toml").write_text('ingest = ["events"]\n')
        (root / "schemas/sources/events.toml").write_text(CONTRACT % (suffix.split(".")[1], keep))
        (root / "sql/staging/stg_events.sql").write_text("-- Events as they came.\nselect * from events\n")
        os.link(landed, root / f"landing/events{suffix}")
        settle()
        peers = {"duckdb": HERE / "duckdb_ingest.py", "polars": HERE / "polars_ingest.py"}
        peers = {name: script for name, script in peers.items() if importlib.util.find_spec(name) and not (keep and name == "polars")}
        ours, theirs, sizes = [], {name: [] for name in peers}, {}
        for _ in range(pairs):
            shutil.rmtree(root / "warehouse", ignore_errors=True)
            os.sync()
            ours.append(timed([opsmart, "-C", str(root), "--output", "json", "run"]))
            sizes["opsmart"] = parquet_mib(root / "warehouse/data")
            for name, script in peers.items():
                shutil.rmtree(folder / name, ignore_errors=True)
                os.sync()
                command = [sys.executable, str(script), str(landed), str(folder / name)]
                theirs[name].append(timed(command + (["keep"] if keep else [])))
                sizes[name] = parquet_mib(folder / name)
        cells = [f"{suffix[1:]}{', one row per key' if keep else ''}", median(ours), peak(ours), f"{sizes['opsmart']:.0f} MiB"]
        for name in ["duckdb", "polars"]:
            if not theirs.get(name):
                cells += ["", "", ""] if name == "duckdb" else ["", ""]
                continue
            cells.append(median(theirs[name]))
            if name == "duckdb":
                cells.append(f"{sizes[name]:.0f} MiB")
            cells.append(f"{statistics.median(our.seconds / their.seconds for our, their in zip(ours, theirs[name])):.2f}")
        print(f"| {' | '.join(cells)} |", flush=True)
        if theirs.get("duckdb"):
            rows = json.loads(theirs["duckdb"][-1].stdout)
            said = timed([opsmart, "-C", str(root), "show", "--format", "csv", "select accepted, quarantined, clean from dq_ledger"])
            accepted, quarantined, clean = (int(value) for value in said.stdout.splitlines()[1].split(","))
            assert (accepted + quarantined, quarantined) == (rows["typed"], rows["quarantine"]), (said.stdout, rows)
            assert clean == rows.get("events", accepted), (said.stdout, rows)


TINY = {
    "opsmart.toml": '[paths]\nlanding = "landing"\n',
    "jobs/readings.toml": 'ingest = ["readings"]\n',
    "schemas/sources/readings.toml": """from = "{landing}/readings-*.csv"
format = { type = "csv" }
[columns]
id   = "int64!"
name = "string"
at   = "timestamp!"
""",
    "sql/staging/stg_readings.sql": "-- Readings as they came.\nselect * from readings\n",
}


def tiny(opsmart: str, folder: Path, pairs: int) -> None:
    has_peer = importlib.util.find_spec("duckdb") is not None
    print("\nLanded files of one row each\n")
    print("| files | opsmart | memory | nothing new, for the first time | memory | again | DuckDB | memory | ratio |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    peaks = {}
    for files in [10_000, 100_000]:
        root, out = folder / f"tiny-{files}", folder / "tiny.parquet"
        if not (root / "landing").exists():
            draft = folder / "tiny-draft"
            shutil.rmtree(draft, ignore_errors=True)
            for path, text in TINY.items():
                (draft / path).parent.mkdir(parents=True, exist_ok=True)
                (draft / path).write_text(text)
            (draft / "landing").mkdir()
            for number in range(files):
                row = f"{number},name-{number % 97},2026-{1 + number % 12:02}-{1 + number % 28:02}T{number % 24:02}:00:00Z"
                (draft / f"landing/readings-{number:06}.csv").write_text(f"id,name,at\n{row}\n")
            draft.rename(root)
        command = [opsmart, "-C", str(root), "--quiet", "run"]
        ours, first, again, theirs = [], [], [], []
        for _ in range(pairs):
            shutil.rmtree(root / "warehouse", ignore_errors=True)
            settle()
            ours.append(timed(command))
            first.append(timed(command))
            again.append(timed(command))
            if has_peer:
                theirs.append(timed([sys.executable, str(HERE / "duckdb_tiny.py"), str(root / "landing"), str(out)]))
        said = timed([opsmart, "-C", str(root), "show", "--format", "csv", "select count(*), sum(id) from readings"])
        assert said.stdout.splitlines()[1] == f"{files},{files * (files - 1) // 2}", said.stdout
        cells = [f"{files:,}", median(ours), peak(ours), median(first), peak(first), median(again)]
        if has_peer:
            assert json.loads(theirs[-1].stdout) == [files, files * (files - 1) // 2], theirs[-1].stdout
            ratio = statistics.median(our.seconds / their.seconds for our, their in zip(ours, theirs))
            cells += [median(theirs), peak(theirs), f"{ratio:.2f}"]
        else:
            cells += ["", "", ""]
        print(f"| {' | '.join(cells)} |", flush=True)
        peaks[files] = max(took.peak_mib for took in ours)
    few, many = sorted(peaks)
    print(f"\nEach further file takes {(peaks[many] - peaks[few]) * 2**20 / (many - few):,.0f} bytes of memory.")


def line(opsmart: str, folder: Path, events: int, pairs: int) -> None:
    landed = events_file(folder, events, ".csv")
    root = folder / "line"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(HERE / "line", root)
    (root / "landing").mkdir()
    os.link(landed, root / "landing/events.csv")
    peer = folder / "duckdb"
    has_peer = importlib.util.find_spec("duckdb") is not None
    settle()
    ours, theirs, sizes = [], [], {}
    for _ in range(pairs):
        shutil.rmtree(root / "warehouse", ignore_errors=True)
        os.sync()
        ours.append(timed([opsmart, "-C", str(root), "--output", "json", "run"]))
        sizes["opsmart"] = parquet_mib(root / "warehouse/data")
        if has_peer:
            shutil.rmtree(peer, ignore_errors=True)
            os.sync()
            theirs.append(timed([sys.executable, str(HERE / "duckdb_line.py"), str(landed), str(peer)]))
            sizes["duckdb"] = parquet_mib(peer)
    print(f"\n{events:,} events, {landed.stat().st_size / 1e6:,.0f} MB of CSV, to published tables\n")
    print("| what | median | peak memory | Parquet written |\n|---|--:|--:|--:|")
    print(f"| opsmart | {median(ours)} | {peak(ours)} | {sizes['opsmart']:.0f} MiB |")
    if not has_peer:
        print("\nDuckDB is not installed for this Python, so there is nothing to compare with.")
        return
    print(f"| DuckDB | {median(theirs)} | {peak(theirs)} | {sizes['duckdb']:.0f} MiB |")
    ratio = statistics.median(our.seconds / their.seconds for our, their in zip(ours, theirs))
    print(f"\nopsmart takes {ratio:.2f} of DuckDB's time (median of {pairs} pairs).")
    report = json.loads(ours[-1].stdout.splitlines()[-1])
    print("Seconds of each step: " + ", ".join(
        f"{step.get('dataset') or step['table']} {step['seconds']:.2f}" for step in report["datasets"] + report["tables"]))
    compare(json.loads(theirs[-1].stdout), opsmart, root)


YEAR = {
    "opsmart.toml": '[paths]\nlanding = "landing"\n',
    "jobs/events.toml": 'ingest = ["events"]\n',
    "schemas/sources/events.toml": CONTRACT % (
        "csv", 'key = ["event_id"]\nkeep = { latest = "event_time" }\npartition = { day = "event_time" }\n'),
    "schemas/models/fct_user_day.toml": 'key = ["day", "user_id"]\npartition = { day = "day" }\n',
    "schemas/models/kpi_day.toml": 'key = ["day"]\npartition = { day = "day" }\n',
    "sql/staging/stg_events.sql": "select *, local_day(event_time, $reporting_zone) as day from events\n",
    "sql/marts/fct_user_day.sql": """select day, user_id, count(*) as events, max(event_time) as last_at, sum(amount) as revenue
        from stg_events group by day, user_id""",
    "sql/kpi/kpi_day.sql": """select day, count(*) as users, sum(events) as events, sum(revenue) as revenue
        from fct_user_day group by day""",
}


def year(opsmart: str, folder: Path, events: int, repeats: int) -> None:
    landed = folder / f"year-{events}"
    if not landed.exists():
        draft = folder / f"part-year-{events}"
        shutil.rmtree(draft, ignore_errors=True)
        subprocess.run([sys.executable, HERE / "make_year.py", str(events), draft], check=True)
        draft.rename(landed)

    def project(name: str, files: list[Path]) -> Path:
        root = folder / name
        shutil.rmtree(root, ignore_errors=True)
        for path, text in YEAR.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        (root / "landing").mkdir()
        for file in files:
            os.link(file, root / "landing" / file.name)
        return root

    def run(root: Path) -> Took:
        settle()
        return timed([opsmart, "-C", str(root), "--output", "json", "run"])

    late = "event_id,user_id,event_time,event_name,platform,amount,page_url,country\n"
    old_day = sorted(landed.iterdir())[100]
    day = old_day.stem.removeprefix("events-")
    rows, made = [], []
    alone = []
    for number in range(repeats):
        root = project("year-alone", [old_day])
        (root / "landing/events-late.csv").write_text(f"{late}late{number},u1,{day}T12:00:00Z,search,web,,/,CN\n")
        alone.append(run(root))
    root = project("year", sorted(landed.iterdir()))
    rows.append(("the whole year, from nothing", [run(root)]))
    run(root)
    rows.append(("nothing new", [run(root) for _ in range(repeats)]))
    lates = []
    for number in range(repeats):
        (root / f"landing/events-late-{number}.csv").write_text(f"{late}late{number},u1,{day}T12:00:00Z,search,web,,/,CN\n")
        lates.append(run(root))
        made.append(json.loads(lates[-1].stdout.splitlines()[-1])["tables"])
    rows.append((f"one row that comes late for {day}", lates))
    rows.append((f"{day} alone, from nothing", alone))
    print(f"\nA year of days, {events:,} events, in 365 files\n")
    print("| what | median | peak memory |\n|---|--:|--:|")
    for what, times in rows:
        print(f"| {what} | {median(times)} | {peak(times)} |")
    ratio = statistics.median(one.seconds for one in lates) / statistics.median(one.seconds for one in alone)
    print(f"\nThe late row takes {ratio:.2f} of what its day alone takes. It made: " + ", ".join(
        f"{table['table']} {table['partitions']['made']} of {table['partitions']['all']} days" for table in made[-1]))

    def read(took: Took) -> str:
        tables = json.loads(took.stdout.splitlines()[-1])["tables"]
        return ", ".join(f"{table['rows_read']:,} for {table['table']}" for table in tables)

    print(f"Rows read: {read(lates[-1])}; of the day alone {read(alone[-1])}; of the whole year {read(rows[0][1][0])}.")
    ask = [opsmart, "-C", str(root), "show", "--format", "csv"]
    sums = "select sum(events), sum(users) from kpi_day"
    before = timed([*ask, sums]).stdout
    shutil.rmtree(root / "warehouse")
    run(root)
    assert timed([*ask, sums]).stdout == before, "the year from nothing is another one"
    print("The year from nothing has the same sums.")


AS_OF = ["--as-of", "2026-04-02T00:00:00Z"]


def metrics(opsmart: str, folder: Path, events: int, pairs: int) -> None:
    tickets = folder / "tickets.csv"
    subprocess.run([sys.executable, HERE / "make_tickets.py", "200000", tickets], check=True)
    root, tables, declared = folder / "metrics", folder / "metrics-tables", folder / "metrics-declared"
    for old in (root, tables, declared):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(HERE / "metrics", root)
    shutil.move(root / "schemas/metrics", declared)
    (root / "landing").mkdir()
    os.link(events_file(folder, events, ".csv"), root / "landing/events.csv")
    os.link(tickets, root / "landing/tickets.csv")
    run = [opsmart, "-C", str(root), "--output", "json", "run", *AS_OF]
    timed(run)
    # The tables are there, and then metrics of them are declared.
    shutil.move(root / "warehouse", tables)
    shutil.copytree(declared, root / "schemas/metrics")
    published = root / "warehouse/published/current"
    has_peer = importlib.util.find_spec("duckdb") is not None
    ours, theirs = [], []
    for _ in range(pairs):
        shutil.rmtree(root / "warehouse", ignore_errors=True)
        shutil.copytree(tables, root / "warehouse", copy_function=os.link, symlinks=True)
        settle()
        ours.append(timed(run))
        if has_peer:
            shutil.rmtree(folder / "duckdb", ignore_errors=True)
            settle()
            theirs.append(timed([
                sys.executable, str(HERE / "duckdb_metrics.py"), str(published), str(folder / "duckdb")]))
    print(f"\nMetrics of {events:,} events and 200,000 tickets, by day, week and month\n")
    print("| what | median | peak memory |\n|---|--:|--:|")
    print(f"| opsmart | {median(ours)} | {peak(ours)} |")
    report = json.loads(ours[-1].stdout.splitlines()[-1])
    steps = ", ".join(f"{step['table']} {step['seconds']:.2f}" for step in report["tables"])
    if has_peer:
        print(f"| DuckDB | {median(theirs)} | {peak(theirs)} |")
        ratio = statistics.median(our.seconds / their.seconds for our, their in zip(ours, theirs))
        print(f"\nopsmart takes {ratio:.2f} of DuckDB's time (median of {pairs} pairs).")
        compare_metrics(json.loads(theirs[-1].stdout), opsmart, root)
    print(f"Seconds of each step: {steps}")
    # One event comes late, for a day in the middle.
    with open(root / "landing/events-late.csv", "w", encoding="ascii") as late:
        late.write("event_id,user_id,event_time,event_name,platform,amount,page_url,country\n")
        late.write("late,u00000001,2026-02-11T12:00:00Z,purchase,web,10,,CN\n")
    took = timed(run)
    report = json.loads(took.stdout.splitlines()[-1])
    print(f"\nOne late event: {took.seconds:.2f} s. Tables and rows that were computed: " + ", ".join(
        f"{step['table']} {step['rows_computed']}" if "rows_computed" in step else step["table"] for step in report["tables"]))


def compare_metrics(theirs: dict, opsmart: str, root: Path) -> None:
    """Both must have come to the same values."""
    for grain in ["day", "week", "month"]:
        sql = f"select metric_id, count(value) as n, sum(value) as total from metric_{grain} group by metric_id"
        for line in timed([opsmart, "-C", str(root), "show", "--output", "json", "--limit", "0", sql]).stdout.splitlines():
            ours = json.loads(line)
            count, total = theirs.pop(f"{ours['metric_id']} by {grain}")
            assert ours["n"] == count and math.isclose(ours["total"], total, rel_tol=1e-9, abs_tol=1e-3), line
    assert not theirs, theirs
    print("Both came to the same values.")


def compare(theirs: dict, opsmart: str, root: Path) -> None:
    """Both must have done the same work."""
    def ask(sql: str) -> list[str]:
        return timed([opsmart, "-C", str(root), "show", "--format", "csv", sql]).stdout.splitlines()[1].split(",")

    for table in ["fct_session", "fct_event_day", "fct_retention", "kpi_daily"]:
        assert int(ask(f"select count(*) from {table}")[0]) == theirs[table], table
    assert int(ask("select quarantined from dq_ledger")[0]) == theirs["quarantine"]
    assert [int(value) for value in ask("select viewed, carted, bought from fct_funnel")] == theirs["funnel"]
    assert ask("select sum(revenue) from kpi_daily")[0] == theirs["revenue"]
    print("Both made the same rows.")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("opsmart")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--events", type=int, default=10_000_000)
    arguments.add_argument("--pairs", type=int, default=7)
    arguments.add_argument("--only", choices=["project", "idle", "ingest", "tiny", "line", "year", "metrics"])
    chosen = arguments.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    if chosen.only in (None, "project"):
        project(chosen.opsmart, chosen.folder, chosen.pairs)
    if chosen.only in (None, "idle"):
        idle(chosen.opsmart, chosen.folder, chosen.pairs)
    if chosen.only in (None, "ingest"):
        ingest(chosen.opsmart, chosen.folder, chosen.events, chosen.pairs)
    if chosen.only in (None, "tiny"):
        tiny(chosen.opsmart, chosen.folder, chosen.pairs)
    if chosen.only in (None, "line"):
        line(chosen.opsmart, chosen.folder, chosen.events, chosen.pairs)
    if chosen.only in (None, "year"):
        year(chosen.opsmart, chosen.folder, chosen.events, chosen.pairs)
    if chosen.only in (None, "metrics"):
        metrics(chosen.opsmart, chosen.folder, chosen.events, chosen.pairs)


if __name__ == "__main__":
    main()
