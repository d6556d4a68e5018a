"""Makes a project of 500 models of 20 columns, six layers deep, over 28 datasets that land one file a day for a year.

usage: python make_project.py FOLDER

Everything follows from the numbers below; nothing is random. Each model joins or aggregates what lies upstream, and
says all of its twenty columns, so that the project costs a binder what a real one of its size does.
"""

import sys
from datetime import date, timedelta
from pathlib import Path

DATASETS = 28
DAYS = 365
ROWS = 20
FIRST_DAY = date(2025, 1, 1)
MEASURES = 17
# Models of each layer; the staging layer has one for each dataset.
LAYERS = [("int", 92), ("fct", 100), ("kpi", 120), ("perf", 80), ("risk", 80)]
FOLDERS = {"stg": "staging", "int": "intermediate", "fct": "marts", "kpi": "kpi", "perf": "performance", "risk": "risk"}
UPSTREAM = {"fct": "int", "kpi": "fct", "perf": "kpi", "risk": "kpi"}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def measures(row: int, day: int) -> list[int]:
    return [(row * 7919 + day * 104729 + number * 1299709) % 1000 for number in range(1, MEASURES + 1)]


def landed_file(dataset: int, day: int, rows: int = ROWS) -> str:
    """Returns the content of the file that a dataset lands on a day."""
    lines = ["id,day,team," + ",".join(f"m{n}" for n in range(1, MEASURES + 1))]
    for row in range(rows):
        values = ",".join(str(value) for value in measures(row + dataset, day))
        lines.append(f"{day * 1000 + row},{FIRST_DAY + timedelta(days=day)},team_{row % 5},{values}")
    return "\n".join(lines) + "\n"


def landed_path(dataset: int, day: int) -> str:
    return f"landing/d{dataset:02}/d{dataset:02}-{FIRST_DAY + timedelta(days=day)}.csv"


def contract(dataset: int) -> str:
    columns = "\n".join(f'm{n} = "int64"' for n in range(1, MEASURES + 1))
    return f"""description = "Generated dataset {dataset}"
from = "{{landing}}/d{dataset:02}/d{dataset:02}-*.csv"
format = {{ type = "csv" }}
key = ["id"]

[columns]
id = "int64!"
day = "date!"
team = "string!"
{columns}
"""


def staging(dataset: int) -> str:
    columns = ",\n        ".join(f"coalesce(m{n}, 0) as m{n}" for n in range(1, MEASURES + 1))
    return f"""with

source as (

    select * from d{dataset:02}

),

renamed as (

    select
        id,
        day,
        team,
        {columns}

    from source

)

select * from renamed
"""


def names(layer: str) -> list[str]:
    if layer == "stg":
        return [f"stg_d{dataset:02}" for dataset in range(DATASETS)]
    return [f"{layer}_m{number:03}" for number in range(dict(LAYERS)[layer])]


def upstream_of(layer: str, number: int) -> list[str]:
    """Returns the models that may be read; the second half of the intermediate models reads the first."""
    if layer == "int":
        half = dict(LAYERS)["int"] // 2
        return names("stg") if number < half else names("int")[:half]
    return names(UPSTREAM[layer])


def model(layer: str, number: int) -> str:
    upstream = upstream_of(layer, number)
    left, right = upstream[number % len(upstream)], upstream[(number * 5 + 3) % len(upstream)]
    joined = ",\n        ".join(
        f"a.m{n} + coalesce(b.m{n}, 0) as m{n}" if n % 3 else f"case when a.m{n} > b.m{n} then a.m{n} else b.m{n} end as m{n}"
        for n in range(1, MEASURES + 1)
    )
    grouped = ",\n        ".join(
        f"cast(sum(m{n}) as bigint) as m{n}" if n % 2 else f"max(m{n}) as m{n}" for n in range(1, MEASURES + 1)
    )
    if layer in ("int", "fct"):
        return f"""with

a as (

    select * from {left}

),

b as (

    select * from {right}

),

joined as (

    select
        a.id,
        a.day,
        a.team,
        {joined}

    from a

    left join b
        on a.id = b.id

)

select * from joined
"""
    return f"""with

source as (

    select * from {left}

),

grouped as (

    select
        min(id) as id,
        day,
        team,
        {grouped}

    from source

    group by
        day,
        team

)

select * from grouped
"""


def main() -> None:
    root = Path(sys.argv[1])
    write(root / "opsmart.toml", '[paths]\nlanding = "landing"\n')
    everything = ", ".join(f'"d{dataset:02}"' for dataset in range(DATASETS))
    write(root / "jobs/all.toml", f'schedule = "0 * * * *"\ningest = [{everything}]\n')
    for dataset in range(DATASETS):
        write(root / f"schemas/sources/d{dataset:02}.toml", contract(dataset))
        write(root / f"sql/staging/stg_d{dataset:02}.sql", staging(dataset))
        for day in range(DAYS):
            write(root / landed_path(dataset, day), landed_file(dataset, day))
    for layer, count in LAYERS:
        for number, name in enumerate(names(layer)):
            assert number < count
            write(root / f"sql/{FOLDERS[layer]}/{name}.sql", model(layer, number))
            write(root / f"schemas/models/{name}.toml", 'description = "Generated"\n' + ('key = ["id"]\n' if layer == "fct" else ""))


if __name__ == "__main__":
    main()
