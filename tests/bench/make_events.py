"""Writes user events as CSV, or as NDJSON where the file's name says so.

Every 97th row repeats the id of the row before, and one amount in 500 is no number.

usage: python make_events.py COUNT FILE

Nothing is random: the n-th row is a function of n, by multiplicative hashing (Knuth, The Art of Computer Programming,
volume 3, section 6.4).
"""

import sys
from datetime import date, timedelta

DAYS = [str(date(2026, 1, 1) + timedelta(days=day)) for day in range(91)]
TIMES = [f"T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z" for second in range(86400)]
NAMES = (
    ["page_view"] * 55 + ["search"] * 15 + ["add_to_cart"] * 12 + ["checkout"] * 6 + ["purchase"] * 4 + ["login"] * 5
    + ["support_click"] * 3
)
PLATFORMS = ["web", "ios", "android", "mini_program"]
COUNTRIES = ["CN", "US", "DE", "JP", "BR", "IN"]
MASK = 0xFFFFFFFF
COLUMNS = ["event_id", "user_id", "event_time", "event_name", "platform", "amount", "page_url", "country"]


def as_json(line: str) -> str:
    pairs = zip(COLUMNS, line[:-1].split(","))
    return "{" + ",".join(f'"{name}":"{value}"' for name, value in pairs) + "}\n"


def main() -> None:
    count = int(sys.argv[1])
    users = max(count // 50, 1)
    is_json = ".ndjson" in sys.argv[2]
    with open(sys.argv[2], "w", encoding="ascii", buffering=1 << 22) as out:
        if not is_json:
            out.write(f"{','.join(COLUMNS)}\n")
        lines = []
        second = 0
        for n in range(1, count + 1):
            visit = n // 7
            h = n * 2654435761 & MASK
            h ^= h >> 15
            h = h * 2246822519 & MASK
            h ^= h >> 13
            v = visit * 2654435761 & MASK
            v ^= v >> 16
            v = v * 3266489917 & MASK
            v ^= v >> 15
            # A repeated id is a later version of its row, so that which of the two stays is never a matter of taste.
            second = second + 1 if n % 97 == 0 else v % 7776000 + n % 7 * (h % 90)
            name = NAMES[(h >> 7) % 100]
            amount = "not-a-number" if h % 500 == 0 else f"{(h >> 3) % 50000 / 100}" if name == "purchase" else ""
            line = (
                f"e{n - (n % 97 == 0):012},u{v * 31 % users:08},{DAYS[second // 86400]}{TIMES[second % 86400]},{name},"
                f"{PLATFORMS[h >> 5 & 3]},{amount},/product/{(h >> 9) % 20000},{COUNTRIES[(h >> 11) % 6]}\n"
            )
            lines.append(as_json(line) if is_json else line)
            if len(lines) == 50000:
                out.write("".join(lines))
                lines.clear()
        out.write("".join(lines))


if __name__ == "__main__":
    main()
