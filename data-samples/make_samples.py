#!/usr/bin/env python3
"""Writes every made-up sample file next to this script, the same bytes each time.

Nothing but the standard library is needed:

    python3 data-samples/make_samples.py

It reads the shipped clickstream and invents a help desk around it. People who
hit a `support_chat`, `error_page`, `payment_error` or `checkout_bug` often open
a ticket minutes later; on the days in BAD_DAYS nearly all of them do. Agents
answer in working hours, hand over, solve, reopen and get rated. Each month the
help desk exports every ticket that changed, as it stood at the month's end, so
a ticket appears in several files and the latest version counts.

On purpose some lines are broken. The script prints how many of each kind;
README.md in this folder lists them.
"""

import csv
import gzip
import io
import json
import math
import random
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHANGHAI = timezone(timedelta(hours=8))  # no daylight saving in 2024
EXPORT_END = datetime(2024, 6, 30, 16, tzinfo=timezone.utc)
dirt = Counter()

# ---------------------------------------------------------------- small tools


class Dice:
    """Seeded chance that uses only `random()`, which no Python release changed."""

    def __init__(self, seed):
        self.source = random.Random(seed)

    def chance(self, share):
        return self.source.random() < share

    def between(self, low, high):
        return low + (high - low) * self.source.random()

    def pick(self, items):
        return items[int(self.source.random() * len(items))]

    def weighted(self, weights):
        mark = self.source.random() * sum(weights.values())
        for item, weight in weights.items():
            mark -= weight
            if mark < 0:
                return item
        return item

    def skewed_minutes(self, median, spread):
        """Log-normal: most waits are short, some are very long."""
        normal = sum(self.source.random() for _ in range(12)) - 6
        return median * math.exp(spread * normal)


def stamp(moment):
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def local_stamp(moment):
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def write_bytes(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        content = gzip.compress(content, 9, mtime=0)
    path.write_bytes(content)


def json_line(record):
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def csv_text(header, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


# ------------------------------------------------------------------ clickstream


def read_clickstream():
    path = HERE / "behaviour" / "clickstream-2024-h1.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


CLICK_HEADER = [
    "user_id", "session_id", "event", "timestamp", "platform",
    "acquisition_channel", "user_cohort", "user_lifecycle",
]


def write_late_clicks(clicks):
    """A small file that arrives late: new sessions, re-sent rows, broken rows."""
    dice = Dice(20240630)
    last_seen = {}
    for click in clicks:
        last_seen[click["user_id"]] = click
    users = sorted(last_seen)
    rows = []
    for number in range(1, 41):
        known = last_seen[dice.pick(users)]
        day = dice.weighted({28: 2, 29: 4, 30: 3})
        moment = datetime(2024, 6, day, int(dice.between(8, 23)), int(dice.between(0, 60)),
                          int(dice.between(0, 60)), tzinfo=SHANGHAI)
        for event in ["home", "catalog", "search", "product_view", "add_to_cart", "cart"][:int(dice.between(2, 7))]:
            rows.append([known["user_id"], f"sess_late_{number:03d}", event, local_stamp(moment),
                         known["platform"], known["acquisition_channel"], known["user_cohort"],
                         known["user_lifecycle"]])
            moment += timedelta(seconds=int(dice.between(8, 200)))
    for click in clicks[200:205]:
        rows.append([click[name] for name in CLICK_HEADER])
        dirt["clickstream late: row sent before"] += 1
    good = rows[0]
    rows.insert(20, good[:3] + ["2024-06-31 10:00:00"] + good[4:])
    dirt["clickstream late: day that does not exist"] += 1
    rows.insert(45, [""] + good[1:])
    dirt["clickstream late: empty user id"] += 1
    rows.insert(70, good[:4] + ["smart fridge"] + good[5:])
    dirt["clickstream late: unknown platform"] += 1
    text = csv_text(CLICK_HEADER, rows)
    text += ",".join(good[:3]) + "\n"
    dirt["clickstream late: truncated line"] += 1
    write_bytes(HERE / "behaviour" / "clickstream-2024-06-30-late.csv", text.encode())


# ----------------------------------------------------------------------- market


def write_price_corrections():
    """Made-up prices for March 2013, and two restated days. Not market data."""
    dice = Dice(201303)
    with gzip.open(HERE / "market" / "prices-2000-2013.csv.gz", "rt", newline="") as lines:
        reader = csv.DictReader(lines)
        header = reader.fieldnames
        known = {(row["Ticker"], row["Date"]): row for row in reader}
    rows = []
    for symbol in ["AAPL", "FB", "GOOG", "IBM", "MSFT"]:
        last = known[(symbol, "2013-03-01")]
        restated = dict(last, Close=f"{float(last['Close']) * 1.002:.2f}")
        restated["High"] = f"{max(float(last['High']), float(restated['Close'])):.4f}"
        restated["Adj Close"] = f"{float(last['Adj Close']) * 1.002:.6f}"
        rows.append([restated[name] for name in header])
        dirt["prices corrections: restated day"] += 1
        rows.append([known[(symbol, "2013-02-28")][name] for name in header])
        dirt["prices corrections: row sent before"] += 1
        close, adjusted = float(restated["Close"]), float(restated["Adj Close"])
        for day in range(4, 29):
            date = datetime(2013, 3, day)
            if date.weekday() > 4:
                continue
            move = dice.between(-0.02, 0.02)
            opening, close, adjusted = close, close * (1 + move), adjusted * (1 + move)
            top, bottom = max(opening, close) * 1.004, min(opening, close) * 0.996
            rows.append([symbol, date.strftime("%Y-%m-%d"), f"{opening:.2f}", f"{top:.2f}", f"{bottom:.2f}",
                         f"{close:.2f}", str(int(dice.between(2e6, 4e7))), f"{adjusted:.6f}"])
    rows.insert(30, ["IBM", "2013-03-29", "-207.11", "209.00", "206.50", "208.40", "3100000", "180.01"])
    dirt["prices corrections: negative price"] += 1
    rows.insert(60, ["MSFT", "2013-03-29", "28.60", "28.70", "28.30", "28.61", "31,250,900", "25.26"])
    dirt["prices corrections: thousands separators"] += 1
    rows.insert(90, ["GOOG", "29/03/2013", "800.00", "806.00", "795.00", "801.20", "2100000", "401.84"])
    dirt["prices corrections: date in another order"] += 1
    write_bytes(HERE / "market" / "prices-2013-03-corrections.csv", csv_text(header, rows).encode())


# ------------------------------------------------------------------ competitors

PRODUCTS = [  # sku, name, our list price in yuan
    ("sku_01", "Running shoes", 469), ("sku_02", "Rain jacket", 389), ("sku_03", "Backpack 30 l", 299),
    ("sku_04", "Trekking poles", 219), ("sku_05", "Head lamp", 129), ("sku_06", "Sleeping bag", 559),
    ("sku_07", "Water bottle", 79), ("sku_08", "Wool socks", 59), ("sku_09", "Two-person tent", 899),
    ("sku_10", "Camping stove", 249),
]
COMPETITORS = {"hypercart": 0.97, "northmart": 1.06, "silkroad": 0.92}  # their price level against ours
SILENT = {"northmart": (datetime(2024, 5, 6), datetime(2024, 5, 17))}   # the crawler was locked out


def write_own_prices():
    header = ["sku", "product_name", "valid_from", "valid_to", "list_price", "currency"]
    rows = []
    for sku, name, price in PRODUCTS:
        # The stove is new in May; the socks are given up at the end of May.
        begin = "2024-05-01" if sku == "sku_10" else "2024-01-01"
        end = "2024-05-31" if sku == "sku_08" else ""
        rows.append([sku, name, begin, end, f"{price}.00", "CNY"])
        if sku in ("sku_02", "sku_05", "sku_09"):
            rows.append([sku, name, "2024-05-20", "", f"{round(price * 0.92)}.00", "CNY"])
    rows.append(rows[0])
    dirt["own prices: line sent twice"] += 1
    rows.append(["sku_03", "Backpack 30 l", "2024-06-01", "", "-299.00", "CNY"])
    dirt["own prices: negative price"] += 1
    write_bytes(HERE / "market" / "own_prices.csv", csv_text(header, rows).encode())


def write_competitor_prices():
    """What a crawler saw in three invented shops, from April to June 2024."""
    header = ["observed_at", "competitor", "sku_ext", "sku", "list_price", "promo_price", "currency", "in_stock"]
    dice = Dice(202404)
    rows = []
    for competitor, level in COMPETITORS.items():
        for number, (sku, _, price) in enumerate(PRODUCTS, start=1):
            dollars = competitor == "silkroad" and number in (4, 9)
            theirs = round(price * level * dice.between(0.94, 1.06) * (0.14 if dollars else 1.0))
            day, promo_until = datetime(2024, 4, 1), None
            while day <= datetime(2024, 6, 30):
                first, last = SILENT.get(competitor, (datetime.max, datetime.min))
                if not first <= day <= last:
                    if dice.chance(0.06):
                        theirs = max(1, round(theirs * dice.between(0.9, 1.1)))
                    if promo_until is None and dice.chance(0.05):
                        promo_until = day + timedelta(days=int(dice.between(3, 11)))
                    if promo_until is not None and day > promo_until:
                        promo_until = None
                    promo = f"{theirs * 0.85:.2f}" if promo_until else ""
                    seen = day + timedelta(hours=6, minutes=int(dice.between(0, 60)))
                    rows.append([seen.strftime("%Y-%m-%d %H:%M:%S"), competitor, f"{competitor[:2].upper()}-{number:03d}",
                                 sku, f"{theirs}.00", promo, "USD" if dollars else "CNY",
                                 "no" if dice.chance(0.05) else "yes"])
                day += timedelta(days=1 + int(dice.between(0, 3)))
        rows.append(["2024-06-03 06:30:00", competitor, f"{competitor[:2].upper()}-900", "", "45.00", "", "CNY", "yes"])
        dirt["competitor prices: product that is not ours"] += 1
    rows.sort()
    good = rows[100]
    rows.insert(120, good)
    dirt["competitor prices: line sent twice"] += 1
    rows.insert(200, rows[199][:4] + ["0.00"] + rows[199][5:])
    dirt["competitor prices: price of nothing"] += 1
    rows.insert(300, rows[299][:4] + ["\u00a5129.00"] + rows[299][5:])
    dirt["competitor prices: currency sign in a number"] += 1
    rows.insert(400, ["2024-05-32 06:10:00"] + rows[399][1:])
    dirt["competitor prices: day that does not exist"] += 1
    rows.insert(500, rows[499][:6] + ["yuan"] + rows[499][7:])
    dirt["competitor prices: unknown currency"] += 1
    rows.insert(600, rows[599][:7] + ["perhaps"])
    dirt["competitor prices: neither yes nor no"] += 1
    write_bytes(HERE / "market" / "competitor_prices-2024-q2.csv.gz", csv_text(header, rows).encode())


# ----------------------------------------------------------------------- people

GROUPS = {"chat": "Live chat", "email": "E-mail and web", "payments": "Payments", "technical": "Technical"}
AGENTS = [  # id, name, role, group, hired, left, skill (1 = average speed)
    ("agent_01", "Lin Xiaoyu", "agent", "chat", "2022-03-01", "", 0.7),
    ("agent_02", "Chen Wei", "agent", "chat", "2023-06-15", "", 0.9),
    ("agent_03", "Maria Santos", "agent", "chat", "2023-11-01", "", 1.0),
    ("agent_04", "Zhao Min", "agent", "chat", "2024-05-20", "", 1.5),
    ("agent_05", "Tom Becker", "agent", "email", "2021-09-01", "", 0.8),
    ("agent_06", "Huang Lei", "agent", "email", "2023-02-10", "", 1.0),
    ("agent_07", "Aisha Khan", "agent", "email", "2024-01-08", "", 1.2),
    ("agent_08", "Wu Fang", "agent", "email", "2022-07-04", "2024-04-30", 1.1),
    ("agent_09", "Li Na", "admin", "payments", "2020-05-06", "", 0.8),
    ("agent_10", "Peter Novak", "agent", "payments", "2023-08-21", "", 1.0),
    ("agent_11", "Sun Jie", "agent", "payments", "2024-03-18", "", 1.3),
    ("agent_12", "Olga Petrova", "agent", "technical", "2021-01-11", "", 0.9),
    ("agent_13", "Guo Tao", "agent", "technical", "2022-10-17", "", 1.0),
    ("agent_14", "Sam Okafor", "admin", "technical", "2020-02-03", "", 1.1),
    ("bot_01", "Helper Bot", "bot", "chat", "2023-01-01", "", 1.0),
]
MANAGERS = {"chat": "agent_01", "email": "agent_05", "payments": "agent_09", "technical": "agent_14"}


def write_agents():
    header = ["agent_id", "name", "email", "role", "group_id", "group_name", "manager_id",
              "hired_at", "left_at", "time_zone", "fte"]
    rows = []
    for agent_id, name, role, group, hired, left, _ in AGENTS:
        manager = MANAGERS[group] if MANAGERS[group] != agent_id else ""
        email = "" if role == "bot" else name.lower().replace(" ", ".") + "@example.com"
        rows.append([agent_id, name, email, role, group, GROUPS[group], manager, hired, left,
                     "Asia/Shanghai", "0.8" if agent_id == "agent_07" else "1.0"])
    rows.append(["agent_15", "Nina Roth", "nina.roth@example.com", "agent", "email", GROUPS["email"],
                 "agent_05", "2024-06-24", "", "Europe/Berlin", "8.0"])
    dirt["agents: full-time share out of range"] += 1
    write_bytes(HERE / "governance" / "agents.csv", csv_text(header, rows).encode())


def write_targets_and_thresholds():
    header = ["metric_id", "scope_type", "scope_id", "valid_from", "valid_to", "direction", "target",
              "floor", "stretch", "weight", "band_low", "band_high"]
    rows = []

    def add(kpi, scope_type, scope, start, end, direction, target, floor="", stretch="", weight="", low="", high=""):
        rows.append([kpi, scope_type, scope, start, end, direction, target, floor, stretch, weight, low, high])

    for priority, first_half, from_april in [("urgent", "30", "20"), ("high", "90", "60"),
                                             ("normal", "300", "240"), ("low", "960", "720")]:
        add("sla_first_reply_minutes", "priority", priority, "2023-01-01", "2024-03-31", "lower", first_half)
        add("sla_first_reply_minutes", "priority", priority, "2024-04-01", "", "lower", from_april)
    for kpi, direction, target, floor, stretch, weight in [
            ("agent_solved", "higher", "20", "10", "30", "0.25"),
            ("agent_first_reply_minutes", "lower", "60", "240", "20", "0.20"),
            ("agent_sla_rate", "higher", "0.85", "0.6", "0.95", "0.25"),
            ("agent_csat_rate", "higher", "0.85", "0.6", "0.95", "0.20"),
            ("agent_reopen_rate", "lower", "0.08", "0.2", "0.03", "0.10")]:
        add(kpi, "total", "all", "2024-01-01", "", direction, target, floor, stretch, weight)
    add("agent_first_reply_minutes", "group", "chat", "2024-01-01", "", "lower", "15", "60", "5", "0.20")
    add("agent_first_reply_minutes", "group", "technical", "2024-01-01", "", "lower", "120", "480", "60", "0.20")
    add("agent_solved", "group", "technical", "2024-01-01", "", "higher", "12", "6", "20", "0.25")
    add("agent_solved", "group", "email", "2024-01-01", "2024-03-31", "higher", "15", "8", "25", "0.25")
    for kpi, scope_type, scope, direction, target in [
            ("support_sla_rate", "total", "all", "higher", "0.85"),
            ("support_sla_rate", "priority", "urgent", "higher", "0.8"),
            ("support_csat_rate", "total", "all", "higher", "0.85"),
            ("support_csat_response_rate", "total", "all", "higher", "0.4"),
            ("support_first_contact_rate", "total", "all", "higher", "0.55"),
            ("support_one_touch_rate", "total", "all", "higher", "0.5"),
            ("support_first_reply_minutes", "total", "all", "lower", "45"),
            ("support_first_reply_minutes", "channel", "chat", "lower", "10"),
            ("support_full_resolution_minutes", "total", "all", "lower", "720"),
            ("support_backlog", "total", "all", "lower", "12"),
            ("behaviour_dau", "total", "all", "higher", "30"),
            ("behaviour_mau", "total", "all", "higher", "400"),
            ("behaviour_engagement_rate", "total", "all", "higher", "0.9"),
            ("behaviour_conversion_rate", "total", "all", "higher", "0.12"),
            ("behaviour_conversion_rate", "platform", "mobile", "higher", "0.1"),
            ("behaviour_conversion_rate", "acquisition_channel", "email", "higher", "0.15"),
            ("behaviour_problem_session_rate", "total", "all", "lower", "0.2"),
            ("behaviour_stickiness", "total", "all", "higher", "0.1")]:
        add(kpi, scope_type, scope, "2024-01-01", "", direction, target)
    add("support_backlog_days", "total", "all", "2024-01-01", "", "band", "2", "", "", "", "1", "4")
    add("market_price_index", "total", "all", "2024-01-01", "", "band", "1", "", "", "", "0.95", "1.05")
    add("sla_first_reply_minutes", "priority", "low", "2025-01-01", "", "lower", "1,440")
    dirt["kpi targets: thousands separator"] += 1
    rows += team_targets()
    write_bytes(HERE / "governance" / "kpi_targets.csv", csv_text(header, rows).encode())

    header = ["kri_id", "name", "category", "direction", "amber", "red", "owner"]
    rows = [
        ["support_sla_breach_rate_7d", "SLA breaches, last 7 days", "operational", "higher", "0.25", "0.40", "support"],
        ["support_backlog_days", "Days of work in the backlog", "operational", "higher", "3", "6", "support"],
        ["support_reopen_rate_28d", "Reopened among solved, last 28 days", "operational", "higher", "0.10", "0.15", "support"],
        ["support_key_person_share_28d", "Share of solves by the busiest agent, last 28 days", "people", "higher", "0.20", "0.30", "support"],
        ["support_csat_rate_28d", "Good ratings, last 28 days", "operational", "lower", "0.80", "0.70", "support"],
        ["behaviour_problem_session_rate_7d", "Sessions with a problem, last 7 days", "technology", "higher", "0.20", "0.25", "product"],
        ["behaviour_conversion_rate_7d", "Sessions with a purchase, last 7 days", "market", "lower", "0.12", "0.08", "product"],
        ["behaviour_dau_drop_28d", "Daily users against their 28-day mean", "market", "lower", "0.70", "0.50", "product"],
        ["market_drawdown_worst", "Deepest drawdown of any instrument", "financial", "lower", "-0.30", "-0.50", "treasury"],
        ["market_vol20_worst", "Highest 20-day volatility of any instrument", "financial", "higher", "0.50", "0.80", "treasury"],
    ]
    write_bytes(HERE / "governance" / "kri_thresholds.csv", csv_text(header, rows).encode())


# ---------------------------------------------------------------------- tickets

BAD_DAYS = {"2024-04-17", "2024-05-08", "2024-05-09", "2024-05-29", "2024-06-12", "2024-06-18"}
TRIGGERS = {  # event: chance of a ticket, minutes until it is opened, channels, categories
    "support_chat": (0.90, 3, {"chat": 9, "mobile": 1}, {"product": 4, "delivery": 3, "account": 2, "refund": 1}),
    "payment_error": (0.85, 8, {"chat": 5, "web": 3, "voice": 2}, {"payment": 1}),
    "checkout_bug": (0.85, 12, {"web": 5, "chat": 3, "email": 2}, {"checkout": 1}),
    "error_page": (0.55, 15, {"web": 5, "email": 4, "mobile": 1}, {"site_error": 1}),
    "purchase": (0.55, 1500, {"email": 6, "web": 3, "wechat": 2}, {"delivery": 5, "refund": 3, "product": 2}),
    "account_page": (0.28, 40, {"email": 5, "web": 3, "wechat": 2}, {"account": 1}),
}
SUBJECTS = {
    "product": ["Question about a product", "Which size should I take?", "商品咨询"],
    "delivery": ["Where is my order?", "Parcel not delivered", "快递还没到"],
    "account": ["Cannot change my address", "Login does not work", "无法登录账号"],
    "refund": ["I want to send it back", "Refund not received", "申请退款"],
    "payment": ["Payment failed twice", "Charged but no order", "付款失败"],
    "checkout": ["Checkout button does nothing", "Basket is empty at checkout", "结算页面报错"],
    "site_error": ["Error page all the time", "Site is down?", "页面打不开"],
}
FIRST_WORDS = ["Hello, can you help me?", "您好，请帮忙看一下。", "It still does not work, please look.", "急，请尽快处理！"]
AGENT_WORDS = ["Thanks for writing, I am looking into it.", "您好，正在为您查询。", "We found the cause and fixed it.", "已为您处理，请再试一次。"]
GOOD_WORDS = ["Fast and friendly, thank you!", "很满意，回复很快。", "", "Solved at once.", "客服很耐心", ""]
BAD_WORDS = ["Waited far too long.", "等太久了，问题还在。", "Nobody read what I wrote.", "", "回答不对题"]
PRIORITIES = {
    "payment": {"urgent": 5, "high": 5}, "checkout": {"urgent": 2, "high": 6, "normal": 2},
    "site_error": {"high": 4, "normal": 6}, "refund": {"high": 2, "normal": 6, "low": 2},
    "delivery": {"normal": 7, "low": 3}, "account": {"normal": 6, "low": 4}, "product": {"normal": 4, "low": 6},
}
HOME_GROUP = {"payment": "payments", "refund": "payments", "checkout": "technical", "site_error": "technical"}
TYPES = {"payment": "incident", "checkout": "problem", "site_error": "incident"}


def in_working_hours(moment):
    """Agents work from 9 to 21 in Shanghai; what comes later waits for the morning."""
    local = moment.astimezone(SHANGHAI)
    if local.hour < 9:
        return local.replace(hour=9, minute=0, second=0) + (moment - moment.replace(minute=0, second=0)) / 6
    if local.hour >= 21:
        morning = (local + timedelta(days=1)).replace(hour=9, minute=0, second=0)
        return morning + (moment - moment.replace(minute=0, second=0)) / 6
    return moment


class Ticket:
    """One request and all that happens to it, event by event."""

    def __init__(self, dice, number, opened, user, channel, category, bad_day):
        self.dice, self.number, self.now = dice, number, opened
        self.events = []
        self.fields = {
            "id": number, "created_at": stamp(opened), "updated_at": stamp(opened), "status": "new",
            "priority": None, "type": TYPES.get(category, "question"), "subject": dice.pick(SUBJECTS[category]),
            "via_channel": channel, "requester_id": user, "assignee_id": None, "group_id": None,
            "due_at": None, "tags": category if not bad_day else category + ",incident_day",
            "category": category, "satisfaction_rating": "unoffered", "satisfaction_comment": None,
        }
        self.versions = []
        self.category, self.bad_day = category, bad_day
        self.wait = 0.0

    def happen(self, field, value, who, role):
        if self.now >= EXPORT_END:
            return False
        self.events.append((self.now, self.number, field, value, who, role))
        if field in self.fields:
            self.fields[field] = value
        self.fields["updated_at"] = stamp(self.now)
        self.versions.append((self.now, dict(self.fields)))
        return True

    def wait_for(self, minutes, working=False):
        self.now += timedelta(seconds=max(1, int(minutes * 60)))
        if working:
            self.now = in_working_hours(self.now)
            self.now = self.now.replace(microsecond=0)

    def agent_of(self, group):
        day = self.now.astimezone(SHANGHAI).strftime("%Y-%m-%d")
        return self.dice.pick([agent for agent in AGENTS
                               if agent[3] == group and agent[2] != "bot" and agent[4] <= day
                               and (not agent[5] or day <= agent[5])])

    def live(self):
        dice, user, channel = self.dice, self.fields["requester_id"], self.fields["via_channel"]
        priority = dice.weighted(PRIORITIES[self.category])
        group = "chat" if channel == "chat" else HOME_GROUP.get(self.category, "email")
        # One ticket in fifty comes without its creation row, as real exports do.
        if not dice.chance(0.02):
            self.happen("status", "new", user, "end-user")
        else:
            self.happen("type", self.fields["type"], user, "end-user")
            self.events.pop()
            dirt["ticket events: creation row missing"] += 1
        if dice.chance(0.75):
            self.happen("priority", priority, "system", "system")
        self.happen("group_id", group, "system", "system")
        self.happen("comment_public", dice.pick(FIRST_WORDS), user, "end-user")
        if dice.chance(0.1):
            self.fields["due_at"] = local_stamp(self.now + timedelta(days=2))
        if channel == "chat" and dice.chance(0.8):
            self.wait_for(0.1)
            self.happen("comment_public", "I am a bot. A person will be with you soon.", "bot_01", "bot")
        elif channel in ("email", "web") and dice.chance(0.9):
            self.wait_for(0.05)
            self.happen("comment_public", "We have received your request.", "system", "system")
        if dice.chance(0.015):
            self.wait_for(dice.between(30, 600), working=True)
            self.happen("status", "deleted", self.agent_of(group)[0], "agent")
            return
        median = {"chat": 6, "voice": 4, "wechat": 25}.get(channel, 70)
        median *= {"urgent": 0.4, "high": 0.6, "normal": 1.0, "low": 1.6}[priority]
        median *= 3.0 if self.bad_day else 1.0
        agent = self.agent_of(group)
        self.wait = dice.skewed_minutes(median * agent[6], 0.9)
        opened = self.now
        self.wait_for(self.wait * 0.7, working=True)
        self.happen("assignee_id", agent[0], agent[0], agent[2])
        if self.fields["priority"] is None:
            self.happen("priority", priority, agent[0], agent[2])
        self.happen("status", "open", agent[0], agent[2])
        if dice.chance(0.16) and group in ("chat", "email"):
            group = dice.pick(["payments", "technical"])
            self.happen("comment_private", "Handing over: " + self.category, agent[0], agent[2])
            self.happen("group_id", group, agent[0], agent[2])
            agent = self.agent_of(group)
            self.wait_for(dice.skewed_minutes(25, 0.8), working=True)
            self.happen("assignee_id", agent[0], agent[0], agent[2])
        if dice.chance(0.06):
            priority = {"low": "normal", "normal": "high", "high": "urgent", "urgent": "high"}[priority]
            self.happen("priority", priority, agent[0], agent[2])
        self.wait_for(self.wait * 0.3, working=True)
        self.wait = (self.now - opened).total_seconds() / 60
        rounds = dice.weighted({1: 55, 2: 28, 3: 12, 4: 5})
        for turn in range(1, rounds + 1):
            self.happen("comment_public", dice.pick(AGENT_WORDS), agent[0], agent[2])
            if turn == rounds:
                break
            if dice.chance(0.15):
                self.happen("status", "hold", agent[0], agent[2])
                self.wait_for(dice.skewed_minutes(600, 0.7), working=True)
            else:
                self.happen("status", "pending", agent[0], agent[2])
                self.wait_for(dice.skewed_minutes(90, 1.0))
                self.happen("comment_public", dice.pick(FIRST_WORDS), user, "end-user")
            self.happen("status", "open", agent[0], agent[2])
            self.wait_for(dice.skewed_minutes(median * agent[6], 0.8), working=True)
        self.solve_and_rate(agent, user)
        while dice.chance(0.09):
            self.wait_for(dice.skewed_minutes(900, 0.6))
            self.happen("status", "open", user, "end-user")
            self.happen("comment_public", dice.pick(FIRST_WORDS), user, "end-user")
            self.wait += 400
            self.wait_for(dice.skewed_minutes(120, 0.8), working=True)
            self.happen("comment_public", dice.pick(AGENT_WORDS), agent[0], agent[2])
            self.solve_and_rate(agent, user)
        self.now = self.now + timedelta(days=4)
        self.happen("status", "closed", "system", "system")

    def solve_and_rate(self, agent, user):
        dice = self.dice
        self.wait_for(dice.skewed_minutes(8 if self.fields["via_channel"] == "chat" else 40, 1.0), working=True)
        self.happen("status", "solved", agent[0], agent[2])
        solved = self.now
        if dice.chance(0.6):
            self.wait_for(60)
            self.happen("satisfaction_rating", "offered", "system", "system")
            if dice.chance(0.45):
                self.wait_for(dice.skewed_minutes(120, 1.0))
                unhappy = 0.08 + min(0.6, self.wait / 1500) + (0.25 if self.bad_day else 0)
                rating = "bad" if dice.chance(unhappy) else "good"
                self.happen("satisfaction_rating", rating, user, "end-user")
                words = dice.pick(BAD_WORDS if rating == "bad" else GOOD_WORDS)
                if words:
                    self.happen("satisfaction_comment", words, user, "end-user")
                if rating == "bad" and dice.chance(0.15):
                    self.wait_for(300)
                    self.happen("satisfaction_rating", "good", user, "end-user")
        if self.now < solved + timedelta(minutes=30):
            self.wait_for(30)


def open_tickets(clicks):
    dice = Dice(42)
    requests = []
    seen = set()
    for click in clicks:
        rule = TRIGGERS.get(click["event"])
        key = (click["user_id"], click["session_id"], click["event"], click["timestamp"])
        if rule is None or key in seen:
            continue
        seen.add(key)
        chance, median, channels, categories = rule
        moment = datetime.strptime(click["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI)
        bad_day = moment.strftime("%Y-%m-%d") in BAD_DAYS and click["event"] not in ("purchase", "account_page")
        if not dice.chance(min(1.0, chance * (1.3 if bad_day else 1.0))):
            continue
        repeats = 2 if bad_day and dice.chance(0.6) else 1
        for _ in range(repeats):
            opened = moment + timedelta(seconds=int(60 * dice.skewed_minutes(median, 0.5)))
            if opened < EXPORT_END - timedelta(hours=1):
                requests.append((opened, click["user_id"], dice.weighted(channels), dice.weighted(categories), bad_day))
    requests.sort(key=lambda request: (request[0], request[1]))
    tickets = []
    for number, (opened, user, channel, category, bad_day) in enumerate(requests, start=10001):
        ticket = Ticket(dice, number, opened, user, channel, category, bad_day)
        ticket.live()
        tickets.append(ticket)
    return tickets


def write_tickets(tickets):
    for month in range(1, 7):
        start = datetime(2024, month, 1, tzinfo=timezone.utc)
        end = datetime(2024, month + 1, 1, tzinfo=timezone.utc)
        lines = []
        for ticket in tickets:
            versions = [fields for moment, fields in ticket.versions if start <= moment < end]
            if versions:
                lines.append(json_line(versions[-1]))
        lines = add_ticket_dirt(month, lines)
        write_bytes(HERE / "tickets" / f"tickets-2024-{month:02d}.ndjson.gz", b"\n".join(lines) + b"\n")
    events = sorted((event for ticket in tickets for event in ticket.events), key=lambda event: (event[0], event[1]))
    by_month = {month: [] for month in range(1, 7)}
    for number, (moment, ticket_id, field, value, who, role) in enumerate(events, start=500001):
        by_month[moment.astimezone(timezone.utc).month].append(json_line({
            "event_id": number, "ticket_id": ticket_id, "updated": stamp(moment),
            "field_name": field, "value": value, "user_id": who, "user_role": role,
        }))
    for month, lines in by_month.items():
        lines = add_event_dirt(month, lines)
        write_bytes(HERE / "tickets" / f"ticket_events-2024-{month:02d}.ndjson.gz", b"\n".join(lines) + b"\n")


def broken(line, **changes):
    record = json.loads(line)
    for name, value in changes.items():
        if value is None:
            del record[name]
        else:
            record[name] = value
    return json_line(record)


def add_ticket_dirt(month, lines):
    """Extra broken copies of good lines; the good line is always there too."""
    lines = list(lines)
    if month == 4:
        lines.insert(12, broken(lines[10], created_at="2024-04-31T25:61:00Z"))
        dirt["tickets: bad timestamp"] += 1
        lines.insert(90, broken(lines[40], status="escalated"))
        dirt["tickets: unknown status"] += 1
    if month == 5:
        lines.insert(33, broken(lines[30], id=None))
        dirt["tickets: no id"] += 1
        lines.insert(77, lines[70][: len(lines[70]) // 2])
        dirt["tickets: broken JSON"] += 1
        lines.insert(150, lines[100])
        lines.insert(151, lines[101])
        dirt["tickets: line sent twice"] += 2
    if month == 6:
        lines.insert(5, broken(lines[4], priority="P1"))
        dirt["tickets: unknown priority"] += 1
        lines.insert(64, broken(lines[60], subject="@@").replace(b"@@", b"caf\xe9"))
        dirt["tickets: bytes that are not UTF-8"] += 1
        lines.insert(120, b"")
        dirt["tickets: blank line"] += 1
    return lines


def add_event_dirt(month, lines):
    lines = list(lines)
    if month == 3:
        lines.insert(50, broken(lines[44], ticket_id="not a number"))
        dirt["ticket events: text for a number"] += 1
    if month == 4:
        lines.insert(120, broken(lines[100], updated="yesterday"))
        dirt["ticket events: bad timestamp"] += 1
        for line in lines[200:212]:
            lines.append(line)
            dirt["ticket events: line sent twice"] += 1
    if month == 5:
        lines.insert(400, broken(lines[390], value="@@").replace(b"@@", b"\xc4\xfa\xba\xc3"))
        dirt["ticket events: bytes that are not UTF-8"] += 1
        lines.insert(500, broken(lines[480], event_id=None))
        dirt["ticket events: no id"] += 1
        lines[700], lines[701] = lines[701], lines[700]
        dirt["ticket events: lines out of order"] += 2
    if month == 6:
        lines.insert(300, lines[280][:-20])
        dirt["ticket events: broken JSON"] += 1
        lines.insert(600, broken(lines[590], field_name="mood"))
        dirt["ticket events: unknown field"] += 1
    return lines

def team_targets():
    """What teams are measured by; the weights of a group add up to 1. The total is not scored."""
    rows = []
    for metric, direction, target, weight in [
            ("support_solved_per_member", "higher", "15", "0.20"),
            ("support_first_reply_minutes", "lower", "60", "0.20"),
            ("support_sla_rate", "higher", "0.85", "0.20"),
            ("support_csat_rate", "higher", "0.85", "0.20"),
            ("support_first_contact_rate", "higher", "0.50", "0.10"),
            ("support_reopen_rate", "lower", "0.08", "0.10")]:
        for group in GROUPS:
            own = {("support_first_reply_minutes", "chat"): "15", ("support_first_reply_minutes", "technical"): "120",
                   ("support_solved_per_member", "technical"): "10"}.get((metric, group), target)
            rows.append([metric, "group", group, "2024-01-01", "", direction, own, "", "", weight, "", ""])
    for metric, direction, target in [("support_solved_per_member", "higher", "15"),
                                      ("support_reopen_rate", "lower", "0.08")]:
        rows.append([metric, "total", "all", "2024-01-01", "", direction, target, "", "", "", "", ""])
    return rows


# ---------------------------------------------------------------------- surveys

SCALES = {"csat": (1, 5), "nps": (0, 10), "ces": (1, 7)}
SURVEY_HEADER = ["response_id", "survey_type", "object_type", "object_id", "user_id", "offered_at", "answered_at",
                 "score", "scale_min", "scale_max", "channel", "agent_id", "comment", "updated_at"]
SURVEY_WORDS = {True: ["Quick, and it works again.", "很满意，谢谢！", "", "", "Friendly, even twice \"friendly\"."],
                False: ["Took too long,\nand nobody said why.", "等了很久", "", "Still broken, I fear.", ""]}


class Survey:
    """One question to one user about one ticket, and perhaps an answer."""

    def __init__(self, ticket, kind, offered, agent):
        self.ticket, self.kind, self.offered, self.agent = ticket, kind, offered, agent
        self.answered = self.score = None
        self.comment = ""

    def answer(self, moment, score, comment):
        if moment < EXPORT_END:
            self.answered, self.score, self.comment = moment, score, comment

    def row(self, number, until):
        """As the survey tool knew it at the end of a month."""
        fields = self.ticket.fields
        known = self.answered is not None and self.answered < until
        return [number, self.kind, "ticket", self.ticket.number, fields["requester_id"], stamp(self.offered),
                stamp(self.answered) if known else "", self.score if known else "", *SCALES[self.kind],
                "chat" if fields["via_channel"] == "chat" else "email", self.agent,
                self.comment if known else "", stamp(self.answered if known else self.offered)]


def ask_for_opinions(tickets):
    """CSAT follows the rating in the help desk; NPS and CES go to some of the solved."""
    dice = Dice(20240101)
    surveys = []
    for ticket in tickets:
        solved = solver = offered = None
        rating, rated_at = None, None
        for moment, _, field, value, who, _ in ticket.events:
            if field == "status" and value == "solved":
                solved, solver = moment, who
            if field == "satisfaction_rating" and value == "offered":
                offered = moment
            if field == "satisfaction_rating" and value in ("good", "bad"):
                rating, rated_at = value, moment
        if solved is None:
            continue
        happy = rating == "good" or (rating is None and dice.chance(0.72))
        if offered is not None:
            survey = Survey(ticket, "csat", offered, solver)
            if rating is not None:
                score = dice.weighted({5: 6, 4: 4} if happy else {1: 4, 2: 4, 3: 2})
                survey.answer(rated_at + timedelta(seconds=40), score, dice.pick(SURVEY_WORDS[happy]))
            surveys.append(survey)
        for kind, chance, good, bad in [
                ("nps", 0.30, {10: 5, 9: 5, 8: 3, 7: 2, 6: 1}, {0: 2, 3: 2, 5: 2, 6: 2, 7: 2, 8: 1}),
                ("ces", 0.35, {7: 4, 6: 4, 5: 2, 4: 1}, {1: 2, 2: 3, 3: 3, 4: 2, 5: 1})]:
            asked = solved + timedelta(hours=24 if kind == "nps" else 1)
            if not dice.chance(chance) or asked >= EXPORT_END:
                continue
            survey = Survey(ticket, kind, asked, solver)
            if dice.chance(0.4):
                survey.answer((asked + timedelta(minutes=dice.skewed_minutes(300, 1.2))).replace(microsecond=0),
                              dice.weighted(good if happy else bad), dice.pick(SURVEY_WORDS[happy]))
            surveys.append(survey)
    surveys.sort(key=lambda survey: (survey.offered, survey.ticket.number, survey.kind))
    return surveys


def write_surveys(surveys):
    """Each month's offers and answers, as they stood at its end (in UTC)."""
    numbered = list(enumerate(surveys, start=900001))
    again = 990001
    for month in range(1, 7):
        start = datetime(2024, month, 1, tzinfo=timezone.utc)
        end = datetime(2024, month + 1, 1, tzinfo=timezone.utc)
        rows = [survey.row(number, end) for number, survey in numbered
                if start <= survey.offered < end or (survey.answered and start <= survey.answered < end)]
        answered = [row for row in rows if row[6]]
        if month == 3:
            for row in answered[5:8]:  # a second answer to the same question, with an id of its own
                later = stamp(datetime.strptime(row[6], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
                              + timedelta(hours=5))
                worse = row[8] if row[7] > row[8] else row[9]
                rows.append([again] + row[1:6] + [later, worse] + row[8:12] + ["Changed my mind.", later])
                again += 1
                dirt["surveys: second answer to one question"] += 1
            rows.append(answered[2])
            dirt["surveys: row sent twice"] += 1
        if month == 4:
            for row in answered[3:5]:
                rows.insert(20, row[:7] + [row[9] + 4] + row[8:])
                rows.remove(row)
                dirt["surveys: score above its scale"] += 1
            rows.append(answered[6][:7] + ["five"] + answered[6][8:])
            dirt["surveys: score in words"] += 1
            rows.append(answered[7][:1] + ["mood"] + answered[7][2:])
            dirt["surveys: unknown kind"] += 1
        if month == 5:
            for row in answered[8:10]:  # rated while the ticket was still being worked on
                opened = next(survey for number, survey in numbered if number == row[0]).ticket.fields["created_at"]
                changed = row[:5] + [opened, opened] + row[7:]  # its version stays the latest
                rows[rows.index(row)] = changed
                dirt["surveys: answered before the ticket was solved"] += 1
            for row in answered[11:14]:
                rows[rows.index(row)] = row[:7] + [""] + row[8:]
                dirt["surveys: answer without a score"] += 1
            for row in answered[15:17]:
                rows[rows.index(row)] = row[:8] + ["", ""] + row[10:]
                dirt["surveys: scale left out"] += 1
            rows.insert(10, [""] + answered[0][1:])
            dirt["surveys: no id"] += 1
        if month == 6:
            rows.append([again, "csat", "ticket", 99999, "u_unknown", rows[0][5], rows[0][5], 3, 1, 5, "email",
                         "agent_05", "", rows[0][5]])
            dirt["surveys: ticket that does not exist"] += 1
        write_bytes(HERE / "tickets" / f"csat_responses-2024-{month:02d}.csv", csv_text(SURVEY_HEADER, rows).encode())


# ---------------------------------------------------------------- risk register

RISK_HEADER = ["risk_id", "title", "category", "owner", "identified_on", "updated_on", "probability", "impact",
               "probability_pct", "impact_amount", "response", "control", "control_effectiveness",
               "residual_probability", "residual_impact", "status", "review_due"]
RISKS = [  # id, title, category, owner, identified; then versions: updated, P, I, %, amount, response, control, e, P, I, status, review
    ("R-001", "Competitor undercuts our ten best sellers", "market", "pricing", "2023-11-02",
     ("2023-11-02", 3, 4, 30, 900000, "mitigate", "", "", "", "", "open", "2024-03-31"),
     ("2024-04-02", 4, 4, 50, 900000, "mitigate", "Weekly price watch", 0.4, "", "", "open", "2024-07-31")),
    ("R-002", "Demand falls after the summer campaign", "market", "marketing", "2024-02-12",
     ("2024-02-12", 3, 3, 25, 400000, "accept", "", "", "", "", "open", "2024-06-15")),
    ("R-003", "A market place changes its commission", "market", "sales", "2024-01-08",
     ("2024-01-08", 2, 4, 10, 650000, "transfer", "Contract until 2025", 0.5, "", "", "open", "2024-09-30")),
    ("R-004", "Share prices of the treasury fund fall by a third", "financial", "treasury", "2023-09-20",
     ("2023-09-20", 2, 5, 8, 2500000, "transfer", "Limits by instrument", 0.6, "", "", "open", "2024-03-20"),
     ("2024-03-18", 2, 5, 8, 2500000, "transfer", "Limits and stop orders", 0.75, "", "", "open", "2024-09-20")),
    ("R-005", "Refunds grow faster than sales", "financial", "finance", "2024-03-05",
     ("2024-03-05", 4, 3, 45, 300000, "mitigate", "Approval above 500", 0.3, "", "", "open", "2024-06-05")),
    ("R-006", "The largest customer pays late", "financial", "finance", "2023-12-01",
     ("2023-12-01", 3, 2, 20, 120000, "accept", "Credit limit", 0.5, 2, 2, "open", "2024-12-01")),
    ("R-007", "First replies break their promise on bad days", "operational", "support", "2024-01-15",
     ("2024-01-15", 4, 3, 60, 150000, "mitigate", "", "", "", "", "open", "2024-04-15"),
     ("2024-04-16", 5, 3, 80, 150000, "mitigate", "Standby shift", 0.25, "", "", "open", "2024-05-31"),
     ("2024-06-03", 5, 4, 80, 220000, "mitigate", "Standby shift", 0.25, "", "", "open", "2024-07-15")),
    ("R-008", "A warehouse cannot deliver for a week", "operational", "logistics", "2023-10-10",
     ("2023-10-10", 2, 4, 6, 1200000, "transfer", "Insurance, second warehouse", 0.7, 1, 3, "open", "2024-10-10")),
    ("R-009", "Wrong answers by the robot reach customers", "operational", "support", "2024-02-01",
     ("2024-02-01", 3, 2, 30, 40000, "mitigate", "Weekly sample of answers", 0.5, "", "", "open", "2024-08-01")),
    ("R-010", "Backlog after a public holiday", "operational", "support", "2023-12-20",
     ("2023-12-20", 3, 2, 50, 20000, "mitigate", "Holiday rota", 0.8, "", "", "open", "2024-02-28"),
     ("2024-02-20", 2, 2, 20, 20000, "accept", "Holiday rota", 0.8, "", "", "closed", "2024-02-28")),
    ("R-011", "Personal data kept longer than allowed", "compliance", "legal", "2023-08-01",
     ("2023-08-01", 3, 5, 15, 3000000, "mitigate", "Quarterly deletion", 0.5, "", "", "open", "2024-02-01"),
     ("2024-05-06", 3, 5, 15, 3000000, "mitigate", "Deletion by machine", 0.9, "", "", "open", "2024-11-06")),
    ("R-012", "Consent to marketing is not recorded", "compliance", "legal", "2024-03-11",
     ("2024-03-11", 4, 4, 40, 800000, "avoid", "", "", "", "", "open", "2024-05-11")),
    ("R-013", "Export licence expires unnoticed", "compliance", "logistics", "2024-01-22",
     ("2024-01-22", 1, 4, 3, 500000, "transfer", "Calendar of licences", 0.9, "", "", "open", "2025-01-22")),
    ("R-014", "One agent knows the payment system", "people", "support", "2023-11-15",
     ("2023-11-15", 4, 4, 35, 250000, "mitigate", "", "", "", "", "open", "2024-03-15"),
     ("2024-03-18", 3, 4, 25, 250000, "mitigate", "Second agent trained", 0.5, 2, 4, "open", "2024-09-15")),
    ("R-015", "Too few people in the evening", "people", "hr", "2024-04-08",
     ("2024-04-08", 3, 3, 40, 60000, "mitigate", "", "", "", "", "open", "2024-07-08")),
    ("R-016", "Pay below the market, leavers", "people", "", "2024-02-26",
     ("2024-02-26", 3, 3, 30, 180000, "accept", "Yearly comparison", 0.2, "", "", "open", "2024-05-26")),
    ("R-017", "Checkout fails after a release", "technology", "product", "2023-10-02",
     ("2023-10-02", 4, 5, 45, 1000000, "mitigate", "Tests before release", 0.5, "", "", "open", "2024-04-02"),
     ("2024-05-30", 5, 5, 70, 1000000, "avoid", "Tests, slow roll-out", 0.6, "", "", "open", "2024-06-30")),
    ("R-018", "The payment provider is down for a day", "technology", "product", "2023-10-02",
     ("2023-10-02", 2, 5, 10, 700000, "transfer", "Second provider", 0.8, "", "", "open", "2024-10-02")),
    ("R-019", "A feed arrives late and nobody notices", "technology", "data", "2024-01-30",
     ("2024-01-30", 3, 2, "", 30000, "mitigate", "Freshness on the dashboard", 0.7, "", "", "open", "2024-07-30")),
    ("R-020", "Lost backups of the help desk", "technology", "data", "2024-02-05",
     ("2024-02-05", 1, 3, 2, "", "accept", "Restore test each quarter", 0.5, "", "", "open", "")),
]


def write_risk_register():
    """Every version of every risk, newest first, as the register's own export has them."""
    rows = [[*risk[:5], *version] for risk in RISKS for version in risk[5:]]
    rows.sort(key=lambda row: (row[5], row[0]), reverse=True)
    good = next(row for row in rows if row[0] == "R-005")
    rows.insert(4, good)
    dirt["risk register: row sent twice"] += 1
    rows.insert(9, ["R-021", "Strike at the port", "operational", "logistics", "2024-05-02", "2024-05-02", 6, 4, 20,
                    300000, "transfer", "", "", "", "", "open", "2024-08-02"])
    dirt["risk register: probability of 6"] += 1
    rows.insert(15, good[:5] + ["2024-06-05"] + good[6:9] + ["310,000"] + good[10:])
    dirt["risk register: thousands separator"] += 1
    rows.insert(20, ["R-022", "Somebody else's risk", "weather", "", "2024-05-02", "2024-05-02", 1, 1, 1, 1, "accept",
                     "", "", "", "", "open", ""])
    dirt["risk register: unknown category"] += 1
    rows.append(["R-015", "Too few people in the evening", "people", "hr", "2024-04-08", "2042-06-20", 1, 1, 1, 0,
                 "accept", "", "", "", "", "closed", ""])
    dirt["risk register: version from the future"] += 1
    write_bytes(HERE / "governance" / "risk_register.csv", csv_text(RISK_HEADER, rows).encode())


def main():
    clicks = read_clickstream()
    write_late_clicks(clicks)
    write_price_corrections()
    write_own_prices()
    write_competitor_prices()
    write_agents()
    write_targets_and_thresholds()
    tickets = open_tickets(clicks)
    write_tickets(tickets)
    surveys = ask_for_opinions(tickets)
    write_surveys(surveys)
    write_risk_register()
    print(f"{len(surveys)} surveys")
    print(f"{len(tickets)} tickets, {sum(len(ticket.events) for ticket in tickets)} ticket events")
    for kind in sorted(dirt):
        print(f"{dirt[kind]:5d}  {kind}")


if __name__ == "__main__":
    main()
