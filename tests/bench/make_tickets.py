"""Writes tickets as CSV, of the same 91 days as make_events.py.

usage: python make_tickets.py COUNT FILE

Nothing is random: the n-th row is a function of n. One ticket in eight is not solved, one in sixteen has no reply, and
one in three is rated.
"""

import sys
from datetime import datetime, timedelta

START = datetime(2026, 1, 1)
SECONDS = 91 * 86400
COLUMNS = [
    "ticket_id", "created_at", "reply_minutes", "solved_at", "channel", "team", "priority", "is_in_time", "rating"
]
CHANNELS = ["web", "email", "chat", "phone"]
PRIORITIES = ["low", "normal", "normal", "normal", "high", "urgent"]
MASK = 0xFFFFFFFF


def main() -> None:
    count = int(sys.argv[1])
    with open(sys.argv[2], "w", encoding="ascii") as out:
        out.write(f"{','.join(COLUMNS)}\n")
        for n in range(1, count + 1):
            h = n * 2654435761 & MASK
            h ^= h >> 15
            h = h * 2246822519 & MASK
            h ^= h >> 13
            created = START + timedelta(seconds=h % SECONDS)
            minutes = "" if h % 16 == 0 else f"{(h >> 4) % 60000 / 100}"
            solved = created + timedelta(minutes=(h >> 7) % 20000)
            is_solved = (h >> 3) % 8 != 0 and solved < START + timedelta(seconds=SECONDS)
            in_time = "true" if (h >> 9) % 10 < 8 else "false"
            rating = ("good" if (h >> 11) % 5 else "bad") if h % 3 == 0 else ""
            out.write(
                f"t{n:09},{created:%Y-%m-%dT%H:%M:%SZ},{minutes},{f'{solved:%Y-%m-%dT%H:%M:%SZ}' if is_solved else ''},"
                f"{CHANNELS[(h >> 5) % 4]},team_{(h >> 8) % 12:02},{PRIORITIES[(h >> 10) % 6]},{in_time},{rating}\n"
            )


if __name__ == "__main__":
    main()
