"""Lets the system refuse or kill opsmart at every call that changes a disk, and judges what is left.

usage: python faults.py OPSMART FOLDER [--short]

strace records which calls a `run` and a `gc` make to change files. Then each is done anew from the same start, once for
every n-th call of each kind and each fault: killed there, or told that the disk is full (ENOSPC) or broken (EIO). strace
counts the calls of each thread by themselves, so that the n-th call is that of the thread that comes to it first, and an
error meets the n-th call of every thread. What was met is read from strace's own log: a call that found no file of the
project, such as the wake-up of a thread, is not the disk's, and then the exit code is not judged.

After each fault `refs/main` and `published/current` must show, whole, the tables of before or those of after; the exit
code must be 0 or 75; and the next run must repair everything: the tables of an undisturbed run, found sound by `verify
--files`, and after `gc` nothing lies there that the snapshot in force does not name.
"""

import argparse
import collections
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Every call that changes a file, a folder or a lock. Of `openat` only what makes a file counts.
CALLS = (
    "openat write pwrite64 writev copy_file_range ftruncate fsync fdatasync flock mkdir mkdirat rename renameat renameat2"
    " link linkat symlink symlinkat unlink unlinkat rmdir fchmod utimensat"
).split()
FAULTS = {"killed": "signal=KILL", "ENOSPC": "error=ENOSPC", "EIO": "error=EIO"}
# Longer than this nothing takes that goes on.
SECONDS = 20
NAMED_FOLDERS = ["snapshots", "tables", "checks", "data"]

PROJECT = {
    "opsmart.toml": '[paths]\nlanding = "landing"\n',
    "jobs/shop.toml": 'ingest = ["orders", "shops"]\n',
    "schemas/sources/orders.toml": """from = "{landing}/orders-*.csv"
format = { type = "csv" }
key = ["id"]
keep = { latest = "at" }
rejected_share = 0.5
[columns]
id = "int64!"
shop = "int64!"
at = "timestamp!"
amount = "int64!"
""",
    "schemas/sources/shops.toml": """from = "{landing}/shops-*.csv"
format = { type = "csv" }
[columns]
id = "int64!"
name = "string!"
""",
    "schemas/models/fct_order.toml": 'key = ["id"]\n[columns]\namount = { min = 0 }\n',
    "sql/staging/stg_orders.sql": "select id, shop, at, amount from orders\n",
    "sql/staging/stg_shops.sql": "select id, name from shops\n",
    "sql/marts/fct_order.sql": "select o.id, s.name as shop, o.amount from stg_orders o join stg_shops s on s.id = o.shop\n",
    "sql/kpi/kpi_shop.sql": "select shop, count(*) as orders, sum(amount) as amount from fct_order group by shop\n",
    "landing/shops-1.csv": "id,name\n1,north\n2,south\n",
}


def orders(number: int) -> str:
    """Returns a file in which every order has another amount than in the file before."""
    rows = "".join(f"{order},{order % 2 + 1},2024-03-01T10:00:0{number}Z,{number}\n" for order in range(9))
    return f"id,shop,at,amount\n{rows}broken\n"


class Wrong(Exception):
    """Something is not as it must be."""


def demand(holds: bool, words: str) -> None:
    if not holds:
        raise Wrong(words)


def digest(file: Path) -> bytes:
    return hashlib.blake2b(file.read_bytes()).digest()


class Warehouse:
    """What lies in a warehouse, told from the files and not by the program under test."""

    def __init__(self, root: Path):
        self.root = root / "warehouse"

    def read(self, path: str) -> dict:
        return json.loads((self.root / path).read_bytes())

    def in_force(self) -> str:
        return self.read("refs/main")["snapshot"]

    def current(self) -> str:
        return os.readlink(self.root / "published/current").removeprefix("gen/")

    def contents(self, snapshot: str) -> dict[str, str]:
        """Returns which rows each table has."""
        tables = self.read(f"snapshots/{snapshot}.json")["tables"]
        return {name: entry["content"] for name, entry in tables.items()}

    def named(self, snapshot: str) -> set[str]:
        """Returns the files that a snapshot needs."""
        told = self.read(f"snapshots/{snapshot}.json")
        found = {f"snapshots/{snapshot}.json", f"checks/{told['outcomes']}.json"}
        for table, entry in told["tables"].items():
            state = f"tables/{table}/{entry['state']}.json"
            found.add(state)
            found |= set(re.findall(r'"(data/[^"]+)"', (self.root / state).read_text()))
        return found

    def lying(self) -> set[str]:
        files = (file for folder in NAMED_FOLDERS for file in (self.root / folder).rglob("*") if file.is_file())
        return {str(file.relative_to(self.root)) for file in files}

    def drafts(self) -> set[str]:
        """Returns what was about to be put under a name, but for what readers of before may still open."""
        files = {str(file.relative_to(self.root)) for file in self.root.rglob(".*") if file.parent.name != "locks"}
        return {file for file in files if not file.startswith(("published/gen/", "published/tables/"))}

    def demand_whole(self, snapshot: str) -> None:
        gone = {path for path in self.named(snapshot) if not (self.root / path).is_file()}
        demand(not gone, f"snapshot {snapshot[:12]} is there without {sorted(gone)}")

    def demand_shown(self) -> None:
        """What readers open are the files of one snapshot."""
        snapshot = self.current()
        self.demand_whole(snapshot)
        generation = self.root / "published/gen" / snapshot
        shown = 0
        for table, entry in self.read(f"snapshots/{snapshot}.json")["tables"].items():
            state = self.read(f"tables/{table}/{entry['state']}.json")
            if not state["is_published"]:
                continue
            files = {digest(self.root / file["path"]) for file in state["files"]}
            found = {digest(file) for file in (generation / table).glob("*.parquet")}
            demand(files == found or not files, f"{table} does not show the files of snapshot {snapshot[:12]}")
            shown += 1
        demand(shown >= 2, "readers find no tables")
        demand((generation / "views.sql").is_file(), "views.sql is missing")


class Trial:
    def __init__(self, opsmart: str, folder: Path):
        self.opsmart = opsmart
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("OPSMART_")}
        self.environment |= {"NO_COLOR": "1"}

    def command(self, root: Path, arguments: list[str]) -> list[str]:
        as_of = ["--as-of", "2024-07-01"] if arguments[0] == "run" else []
        return [self.opsmart, "-C", str(root), *arguments, *as_of]

    def ran(self, root: Path, arguments: list[str]) -> None:
        """Runs a command that must succeed."""
        said = subprocess.run(self.command(root, arguments), env=self.environment, capture_output=True, text=True)
        demand(said.returncode == 0, f"`{' '.join(arguments)}` ended with {said.returncode}: {said.stderr}")

    def traced(self, root: Path, arguments: list[str], options: list[str]) -> tuple[int | None, str, list[str]]:
        """Runs a command under strace; returns its exit code, if it came to an end, what it said, and the log."""
        log = root.parent / f"{root.name}.strace"
        tracer = ["strace", "-f", "-y", "-qq", "-s", "0", "-o", str(log), *options]
        process = subprocess.Popen(
            [*tracer, *self.command(root, arguments)], env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )
        try:
            _, said = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            # All of its group, because a tracer that dies leaves what it traces alone.
            os.killpg(process.pid, signal.SIGKILL)
            _, said = process.communicate()
            process.returncode = None
        lines = log.read_text(errors="replace").splitlines()
        log.unlink()
        return process.returncode, said, lines

    def start(self) -> Path:
        """Makes the project that every trial is a copy of: published twice, and a third file of orders landed."""
        root = self.folder / "start"
        for path, text in PROJECT.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        for number in (1, 2):
            (root / f"landing/orders-{number}.csv").write_text(orders(number))
            self.ran(root, ["run", "--quiet"])
        (root / "landing/orders-3.csv").write_text(orders(3))
        return root

    def copy(self, of: Path, name: str) -> Path:
        root = self.folder / name
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "-a", of, root], check=True)
        return root


def is_of(root: Path, line: str) -> bool:
    """Returns whether a line of strace's log is about a file of the project."""
    line = re.sub(r"AT_FDCWD<[^>]*>", "", line)
    return f'"{root}/' in line or f"<{root}/" in line


def is_change(line: str) -> bool:
    return "openat(" not in line or "O_CREAT" in line or "O_TMPFILE" in line


def places(root: Path, log: list[str]) -> tuple[list[tuple[str, int]], collections.Counter]:
    """Returns which n-th calls of which kind change the project in some thread, and how many calls do."""
    counts, found, calls = collections.Counter(), set(), collections.Counter()
    for line in log:
        match = re.match(r"(\d+) +(\w+)\(", line)
        if match and match[2] in CALLS:
            counts[match.groups()] += 1
            if is_of(root, line) and is_change(line):
                found.add((match[2], counts[match.groups()]))
                calls[match[2]] += 1
    return sorted(found), calls


def judge(trial: Trial, root: Path, arguments: list[str], fault: str, place: tuple[str, int], before: dict, after: dict) -> str:
    """Does one trial; returns what came of it."""
    call, number = place
    options = ["-e", f"trace={call}", "-e", f"inject={call}:{FAULTS[fault]}:when={number}"]
    code, said, log = trial.traced(root, arguments, options)
    met = [line for line in log if "(INJECTED)" in line]
    is_killed = code == -9
    is_elsewhere = not is_killed and not all(is_of(root, line) for line in met)
    demand(code is not None or is_elsewhere, f"it did not end: {said}")
    warehouse = Warehouse(root)
    in_force, current = (warehouse.contents(snapshot()) for snapshot in (warehouse.in_force, warehouse.current))
    demand(in_force in (before, after), "what is in force is neither what was nor what is to be")
    demand(current in (before, after), "what readers open is neither what was nor what is to be")
    demand(before == after or not (current == after and in_force == before), "readers see what is not in force")
    warehouse.demand_whole(warehouse.in_force())
    warehouse.demand_shown()
    if "gc" in arguments:
        for snapshot in (warehouse.root / "snapshots").glob("[0-9a-f]*.json"):
            warehouse.demand_whole(snapshot.stem)
    if not is_killed and not is_elsewhere:
        demand("panicked" not in said, f"it panicked: {said}")
        # A project that cannot be read is a mistake of the project, whoever is to blame.
        is_project = any(f"{root}/{part}" in line for part in ["schemas", "sql", "jobs", "opsmart.toml"] for line in met)
        may_end = (0, 2, 75) if is_project else (0, 75)
        demand(code in may_end, f"it ended with {code}: {said}")
        demand(code != 0 or in_force == after, "it ended with 0 and published nothing")
        demand(code != 75 or ("error: " in said and "help: " in said), f"it did not say why: {said}")
    state = "new" if in_force == after else "old"
    trial.ran(root, ["run", "--quiet"])
    if "gc" not in arguments:
        demand(warehouse.contents(warehouse.in_force()) == after, "the next run did not repair it")
    demand(warehouse.current() == warehouse.in_force(), "readers do not see what is in force")
    warehouse.demand_shown()
    trial.ran(root, ["verify", "--files", "--quiet"])
    trial.ran(root, ["gc", "--keep", "1", "--quiet"])
    left = warehouse.lying() ^ warehouse.named(warehouse.in_force()) | warehouse.drafts()
    demand(not left, f"after gc there lie or lack: {sorted(left)}")
    if not is_killed and not met:
        return "not reached"
    return "elsewhere" if is_elsewhere else state


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("opsmart")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--short", action="store_true", help="every seventh place")
    chosen = arguments.parse_args()
    began = time.monotonic()
    trial = Trial(str(Path(chosen.opsmart).resolve()), chosen.folder.resolve())
    start = trial.start()
    undisturbed = trial.copy(start, "undisturbed")
    before = Warehouse(start).contents(Warehouse(start).in_force())
    trial.ran(undisturbed, ["run", "--quiet"])
    after = Warehouse(undisturbed).contents(Warehouse(undisturbed).in_force())
    changed = [table for table in after if after[table] != before.get(table)]
    assert {"orders", "fct_order", "kpi_shop"} <= set(changed), changed

    wrong = []
    print("| command | fault | calls met | old tables in force | new | not reached | elsewhere | wrong |")
    print("|---|---|--:|--:|--:|--:|--:|--:|", flush=True)
    told = []
    for command, of, was in [(["run", "--quiet"], start, before), (["gc", "--keep", "1", "--quiet"], undisturbed, after)]:
        root = trial.copy(of, "recorded")
        code, said, log = trial.traced(root, command, ["-e", f"trace={','.join(CALLS)}"])
        assert code == 0, said
        all_places, calls = places(root, log)
        told.append(f"`{command[0]}` makes {sum(calls.values())} calls: " + ", ".join(f"{n} {call}" for call, n in sorted(calls.items())))
        chosen_places = all_places[::7] if chosen.short else all_places
        for fault in FAULTS:
            outcomes: collections.Counter = collections.Counter()

            def one(place: tuple[str, int]) -> None:
                name = f"{command[0]}-{fault}-{place[0]}-{place[1]}"
                root = trial.copy(of, name)
                try:
                    outcomes[judge(trial, root, command, fault, place, was, after)] += 1
                    shutil.rmtree(root)
                except (Wrong, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
                    outcomes["wrong"] += 1
                    wrong.append(f"{name}: {error!r}")

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(one, chosen_places))
            met = outcomes["old"] + outcomes["new"] + outcomes["elsewhere"] + outcomes["wrong"]
            cells = [met, *(outcomes[what] for what in ["old", "new", "not reached", "elsewhere", "wrong"])]
            print(f"| {command[0]} | {fault} | " + " | ".join(map(str, cells)) + " |", flush=True)
    print("\n" + "\n".join(told))
    print(f"{time.monotonic() - began:.0f} s")
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        sys.exit(f"{len(wrong)} faults left something wrong; their folders are in {trial.folder}")


if __name__ == "__main__":
    main()
