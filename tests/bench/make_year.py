"""Writes a year of user events, a file for each day, into a folder.

usage: python make_year.py COUNT FOLDER

The n-th event is a function of n, as in make_events.py; its id grows with time, and every 97th repeats the id before.
"""

import sys
from datetime import date, timedelta
from pathlib import Path

from make_events import COLUMNS, COUNTRIES, MASK, NAMES, PLATFORMS, TIMES

DAYS = 365
FIRST = date(2026, 1, 1)


def event(n: int, day: str, users: int, second: int) -> str:
    h = n * 2654435761 & MASK
    h ^= h >> 15
    h = h * 2246822519 & MASK
    h ^= h >> 13
    name = NAMES[(h >> 7) % 100]
    amount = f"{(h >> 3) % 50000 / 100}" if name == "purchase" else ""
    return (
        f"e{n - (n % 97 == 0):012},u{(h >> 4) % users:08},{day}{TIMES[second % 86400]},{name},{PLATFORMS[h >> 5 & 3]},"
        f"{amount},/product/{(h >> 9) % 20000},{COUNTRIES[(h >> 11) % 6]}\n"
    )


def path(folder: Path, day: int) -> Path:
    return folder / f"events-{FIRST + timedelta(days=day)}.csv"


def main() -> None:
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    per_day, users = count // DAYS, max(count // 50, 1)
    for number in range(DAYS):
        day = str(FIRST + timedelta(days=number))
        first = number * per_day
        lines = [event(first + n, day, users, n * 86400 // per_day) for n in range(per_day)]
        path(folder, number).write_text(f"{','.join(COLUMNS)}\n{''.join(lines)}", encoding="ascii")


if __name__ == "__main__":
    main()
