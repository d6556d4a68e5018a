"""Makes a project of 500 models of 20 columns, six layers deep, over datasets that land files every day for a year.

usage: python make_project.py FOLDER [DATASETS [FILES [ROWS]]]

Without more it is over 28 datasets, of which each lands one file of 20 rows a day.

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
LAYERS = ["int", "fct", "kpi", "perf", "risk"]
FOLDERS = {"stg": "staging", "int": "intermediate", "fct": "marts", "kpi": "kpi", "perf": "performance", "risk": "risk"}
UPSTREAM = {"fct": "int", "kpi": "fct", "perf": "kpi", "risk": "kpi"}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def measures(row: int, day: int) -> list[int]:
    return [(row * 7919 + day * 104729 + number * 1299709) % 1000 for number in range(1, MEASURES + 1)]


def landed_file(dataset: int, day: int, rows: int = ROWS, first: int = 0) -> str:
    """Returns the content of a file that a dataset lands on a day: so many of its rows from the first on."""
    lines = ["id,day,team," + ",".join(f"m{n}" for n in range(1, MEASURES + 1))]
    for row in range(first, first + rows):
        values = ",".join(str(value) for value in measures(row + dataset, day))
        lines.append(f"{day * 1000 + row},{FIRST_DAY + timedelta(days=day)},team_{row % 5},{values}")
    return "\n".join(lines) + "\n"


def landed_path(dataset: int, day: int, part: int = 0) -> str:
    name = f"d{dataset:02}-{FIRST_DAY + timedelta(days=day)}" + (f"-{part:02}" if part else "")
    return f"landing/d{dataset:02}/{name}.csv"


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


def names(layer: str, datasets: int) -> list[str]:
    """Returns the models of a layer. The staging layer has one for each dataset; all layers together have 500."""
    if layer == "stg":
        return [f"stg_d{dataset:02}" for dataset in range(datasets)]
    count = {"int": 120 - datasets, "fct": 100, "kpi": 120, "perf": 80, "risk": 80}[layer]
    return [f"{layer}_m{number:03}" for number in range(count)]


def upstream_of(layer: str, number: int, datasets: int) -> list[str]:
    """Returns the models that may be read; the second half of the intermediate models reads the first."""
    if layer == "int":
        all_of_them = names("int", datasets)
        half = len(all_of_them) // 2
        return names("stg", datasets) if number < half else all_of_them[:half]
    return names(UPSTREAM[layer], datasets)


def model(layer: str, number: int, datasets: int) -> str:
    upstream = upstream_of(layer, number, datasets)
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
    asked = [int(text) for text in sys.argv[2:]]
    datasets, files, rows = asked + [DATASETS, DAYS, ROWS][len(asked) :]
    write(root / "opsmart.toml", '[paths]\nlanding = "landing"\n')
    everything = ", ".join(f'"d{dataset:02}"' for dataset in range(datasets))
    write(root / "jobs/all.toml", f'schedule = "0 * * * *"\ningest = [{everything}]\n')
    for dataset in range(datasets):
        write(root / f"schemas/sources/d{dataset:02}.toml", contract(dataset))
        write(root / f"sql/staging/stg_d{dataset:02}.sql", staging(dataset))
        for file in range(files):
            part, day = divmod(file, DAYS)
            # Every file has keys of its own, and the day that its name tells.
            write(root / landed_path(dataset, day, part), landed_file(dataset, day, rows, first=part * rows))
    for layer in LAYERS:
        for number, name in enumerate(names(layer, datasets)):
            write(root / f"sql/{FOLDERS[layer]}/{name}.sql", model(layer, number, datasets))
            write(root / f"schemas/models/{name}.toml", 'description = "Generated"\n' + ('key = ["id"]\n' if layer == "fct" else ""))


if __name__ == "__main__":
    main()
