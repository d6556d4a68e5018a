"""Asks systemd when the timers of many schedules elapse, and holds that against what the fields of cron mean.

A clock that is set forward leaves times out, and one that is set back brings some twice; systemd runs none and one.
"""

import datetime
import pathlib
import subprocess
import sys
import zoneinfo

SCHEDULES = [
    "15 * * * *",
    "*/20 9-11,14 * * 1-5",
    "0 2 1 * *",
    "30 2 * * *",
    "0 12 1,15 * 0",
    "5 4 29-31 1,2,12 *",
    "0 6 */10 * 6",
    "59 23 * 3,10 7",
    "0 7 * * 2-6",
    "0 0 13 * fri",
    "10 3 28 2 *",
]
ZONES = ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
START = datetime.datetime(2027, 1, 1, tzinfo=datetime.timezone.utc)
DAYS = 430
MOST = 400
NAMES = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def numbers(field, first, last):
    found = set()
    for part in field.split(","):
        part, _, step = part.partition("/")
        part = str(NAMES.index(part)) if part in NAMES else part
        if part == "*":
            low, high = first, last
        elif "-" in part:
            low, high = map(int, part.split("-"))
        else:
            low = high = int(part)
        found.update(range(low, high + 1, int(step or 1)))
    return found


def meant(text, zone):
    minute, hour, day, month, weekday = text.split()
    minutes, hours, months = numbers(minute, 0, 59), numbers(hour, 0, 23), numbers(month, 1, 12)
    days, weekdays = numbers(day, 1, 31), {number % 7 for number in numbers(weekday, 0, 7)}
    zone = zoneinfo.ZoneInfo(zone)
    found = []
    for number in range(-1, DAYS + 1):
        date = (START + datetime.timedelta(days=number)).date()
        is_day, is_weekday = date.day in days, date.isoweekday() % 7 in weekdays
        either = day != "*" and weekday != "*"
        if date.month not in months or not ((is_day or is_weekday) if either else (is_day and is_weekday)):
            continue
        for at in sorted((hour, minute) for hour in hours for minute in minutes):
            local = datetime.datetime.combine(date, datetime.time(*at), zone)
            instant = local.astimezone(datetime.timezone.utc)
            if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                found.append(instant)
    return sorted(instant for instant in set(found) if START < instant)


def elapses(calendar):
    command = ["systemd-analyze", "calendar", f"--base-time={START:%Y-%m-%d %H:%M:%S} UTC", f"--iterations={MOST}", calendar]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={"TZ": "UTC", "LANG": "C"}).stdout
    times = [line.split(": ", 1)[1] for line in said.splitlines() if "Next elapse" in line or "Iter. #" in line]
    read = [datetime.datetime.strptime(time, "%a %Y-%m-%d %H:%M:%S UTC") for time in times if time != "never"]
    return [time.replace(tzinfo=datetime.timezone.utc) for time in read]


def main(opsmart, scratch):
    project = pathlib.Path(scratch) / "times"
    for folder in ["jobs", "schemas/sources"]:
        (project / folder).mkdir(parents=True, exist_ok=True)
    (project / "opsmart.toml").write_text('[paths]\nlanding = "landing"\n')
    (project / "schemas/sources/a.toml").write_text(
        'from = "{landing}/*.csv"\nformat = { type = "csv" }\n[columns]\nid = "int64!"\n'
    )
    cases = {f"j{number}_{place}": (text, zone) for number, text in enumerate(SCHEDULES) for place, zone in enumerate(ZONES)}
    for name, (text, zone) in cases.items():
        (project / f"jobs/{name}.toml").write_text(f'schedule = "{text}"\nschedule_zone = "{zone}"\ningest = ["a"]\n')
    units = project / "units"
    subprocess.run([opsmart, "--quiet", "-C", project, "generate", "systemd", "--to", units], check=True)
    wrong = 0
    for name, (text, zone) in cases.items():
        lines = (units / f"opsmart-{name}.timer").read_text().splitlines()
        calendars = [line.removeprefix("OnCalendar=") for line in lines if line.startswith("OnCalendar=")]
        each = [elapses(calendar) for calendar in calendars]
        # As far as all of its lines were asked.
        end = min([times[-1] for times in each if len(times) == MOST] + [START + datetime.timedelta(days=DAYS)])
        said = sorted({time for times in each for time in times if time <= end})
        expected = [time for time in meant(text, zone) if time <= end]
        if said != expected or not expected:
            wrong += 1
            strange = sorted(set(said) ^ set(expected))[:3]
            print(f"{text} in {zone}: {calendars} differs at {[str(time) for time in strange]}", file=sys.stderr)
    if wrong:
        sys.exit(1)
    print(f"ok: {len(cases)} timers elapse when their schedules say")


main(*sys.argv[1:])
