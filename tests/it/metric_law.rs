//! Metrics are what their definitions say: every row of `metric_day`, `metric_week` and `metric_month` is held against a
//! naive evaluation over the rows that landed, for random rows and declarations, after each of several runs.
//!
//! The evaluation is written from the definitions, and shares nothing with the SQL that metrics are compiled to: it goes
//! through all rows for every day, metric and scope. `METRIC_HISTORIES` says how many histories are tried, and
//! `METRIC_SEED=7` tries one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float64Type};
use chrono::{Datelike, Days, Months, NaiveDate};
use opsmart::store::{LocalDisk, Store};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::faults::run_on;
use crate::scratch::Scratch;

/// The day of the clock of all runs: nothing after it is known.
const CLOCK: (i32, u32, u32) = (2024, 7, 1);

/// The least sample that gives a value.
const MIN_SAMPLE: i64 = 2;

type Day = NaiveDate;

fn plus(day: Day, days: i64) -> Day {
    let by = Days::new(days.unsigned_abs());
    if days < 0 { day - by } else { day + by }
}

fn between(first: Day, last: Day) -> Vec<Day> {
    first.iter_days().take_while(|day| *day <= last).collect()
}

/// Numbers that look random, the same ones for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to and without `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn is_one_of(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn maybe<T>(&mut self, one_of: usize, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.is_one_of(one_of).then(|| make(self))
    }

    fn days(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(usize::try_from(to - from + 1).unwrap())).unwrap()
    }
}

/// A row of a landed file.
#[derive(Debug, Clone)]
struct Row {
    id: u32,
    shop: Option<&'static str>,
    kind: &'static str,
    buyer: Option<&'static str>,
    cents: Option<i32>,
    day: Option<Day>,
    until: Option<Day>,
}

impl Row {
    fn csv(&self) -> String {
        let text = |day: Option<Day>| day.map(|day| day.to_string()).unwrap_or_default();
        let amount = self.cents.map(|cents| {
            let sign = if cents < 0 { "-" } else { "" };
            format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
        });
        format!(
            "{},{},{},{},{},{},{}\n",
            self.id,
            self.shop.unwrap_or_default(),
            self.kind,
            self.buyer.unwrap_or_default(),
            amount.unwrap_or_default(),
            text(self.day),
            text(self.until),
        )
    }

    fn amount(&self) -> Option<f64> {
        self.cents.map(|cents| f64::from(cents) / 100.0)
    }

    fn column(&self, name: &str) -> String {
        match name {
            "shop" => self.shop.unwrap_or("none").to_owned(),
            _ => self.kind.to_owned(),
        }
    }
}

/// A condition on rows.
#[derive(Debug, Clone, Copy)]
enum Condition {
    IsOpen,
    IsDone,
    IsDear,
    IsOfShop,
    HasNoAmount,
}

impl Condition {
    const ALL: [Self; 5] = [Self::IsOpen, Self::IsDone, Self::IsDear, Self::IsOfShop, Self::HasNoAmount];

    fn sql(self) -> &'static str {
        match self {
            Self::IsOpen => "kind = 'open'",
            Self::IsDone => "kind <> 'open'",
            Self::IsDear => "amount > 2",
            Self::IsOfShop => "shop = 'a'",
            Self::HasNoAmount => "amount is null",
        }
    }

    fn holds(self, row: &Row) -> bool {
        match self {
            Self::IsOpen => row.kind == "open",
            Self::IsDone => row.kind != "open",
            Self::IsDear => row.cents.is_some_and(|cents| cents > 200),
            Self::IsOfShop => row.shop == Some("a"),
            Self::HasNoAmount => row.cents.is_none(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Count,
    Sum,
    /// What was paid less what was not.
    Net,
    /// The number of rows less the sum of amounts.
    Rest,
    Median,
    /// The median, as the place in the middle of an order.
    Middle,
    Distinct,
    Max,
}

impl Function {
    const ADDITIVE: [Self; 4] = [Self::Count, Self::Sum, Self::Net, Self::Rest];
    const MEDIANS: [Self; 2] = [Self::Median, Self::Middle];
}

/// An aggregate over rows.
#[derive(Debug, Clone, Copy)]
struct Aggregate {
    function: Function,
    filter: Option<Condition>,
}

impl Aggregate {
    fn sql(self) -> String {
        let of = |call: &str, more: Option<&str>| {
            let conditions: Vec<&str> = self.filter.map(Condition::sql).into_iter().chain(more).collect();
            match conditions.as_slice() {
                [] => call.to_owned(),
                conditions => format!("{call} filter (where {})", conditions.join(" and ")),
            }
        };
        let call = match self.function {
            Function::Net => {
                let (paid, other) = ("kind = 'paid'", "kind <> 'paid'");
                return format!("{} - {}", of("sum(amount)", Some(paid)), of("sum(amount)", Some(other)));
            }
            Function::Rest => return format!("{} - {}", of("count(*)", None), of("sum(amount)", None)),
            Function::Count => "count(*)",
            Function::Sum => "sum(amount)",
            Function::Median => "median(amount)",
            Function::Middle => "percentile_cont(0.5) within group (order by amount)",
            Function::Distinct => "count(distinct buyer)",
            Function::Max => "max(amount)",
        };
        of(call, None)
    }

    fn adds_up(self) -> bool {
        Function::ADDITIVE.contains(&self.function)
    }

    fn is_median(self) -> bool {
        Function::MEDIANS.contains(&self.function)
    }

    /// Returns its value over some rows, and how many values that rests on.
    fn of(self, rows: &[&Row]) -> (Option<f64>, f64) {
        let rows = rows.iter().filter(|row| self.filter.is_none_or(|filter| filter.holds(row)));
        let mut amounts: Vec<f64> = rows.clone().filter_map(|row| row.amount()).collect();
        amounts.sort_by(f64::total_cmp);
        let values = count(amounts.len());
        match self.function {
            Function::Count => (Some(count(rows.clone().count())), count(rows.count())),
            Function::Distinct => {
                let buyers: BTreeSet<&str> = rows.filter_map(|row| row.buyer).collect();
                (Some(count(buyers.len())), count(buyers.len()))
            }
            Function::Sum => (Some(amounts.iter().sum()), values),
            Function::Net => {
                let signed =
                    rows.filter_map(|row| Some(if row.kind == "paid" { row.amount()? } else { -row.amount()? }));
                (Some(signed.sum()), values)
            }
            Function::Rest => (Some(count(rows.count()) - amounts.iter().sum::<f64>()), values),
            Function::Max => (amounts.last().copied(), values),
            Function::Median | Function::Middle => {
                let middle = amounts.len() / 2;
                let median = match amounts.len() {
                    0 => None,
                    even if even % 2 == 0 => Some(f64::midpoint(amounts[middle - 1], amounts[middle])),
                    _ => Some(amounts[middle]),
                };
                (median, values)
            }
        }
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

/// A type of scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Total,
    Shop,
    Kind,
    ShopKind,
    Store,
    Turned,
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Shop => "shop",
            Self::Kind => "kind",
            Self::ShopKind => "shop_kind",
            Self::Store => "store",
            Self::Turned => "turned",
        }
    }

    fn toml(self) -> &'static str {
        match self {
            Self::Total => "",
            Self::Shop => "\"shop\"",
            Self::Kind => "\"kind\"",
            Self::ShopKind => "[\"shop\", \"kind\"]",
            Self::Store => "{ store = \"shop\" }",
            Self::Turned => "{ turned = [\"kind\", \"shop\"] }",
        }
    }

    /// Returns the scope of this type that a row is in.
    fn of(self, row: &Row) -> String {
        match self {
            Self::Total => "all".to_owned(),
            Self::Shop | Self::Store => row.column("shop"),
            Self::Kind => row.column("kind"),
            Self::ShopKind => format!("{} / {}", row.column("shop"), row.column("kind")),
            Self::Turned => format!("{} / {}", row.column("kind"), row.column("shop")),
        }
    }
}

/// When rows count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// On their day, and a longer period is counted like a day.
    Period,
    /// On their day, and a longer period has the mean of its days.
    PerDay,
    /// In so many days that begin with theirs.
    Over(i64),
    /// On the first day of a value.
    First,
    /// On the days that they hold.
    Stock { is_per_day: bool },
    /// From their day on.
    Balance,
}

/// A metric that is counted from rows.
#[derive(Debug, Clone)]
struct Counted {
    numerator: Aggregate,
    denominator: Option<Aggregate>,
    way: Way,
    scopes: BTreeSet<Scope>,
    filter: Option<Condition>,
    open: Option<Condition>,
    has_sample: bool,
    settle: i64,
}

impl Counted {
    /// Returns whether a row is one of those that count.
    fn counts(&self, row: &Row) -> bool {
        row.day.is_some() && self.filter.is_none_or(|filter| filter.holds(row))
    }

    /// Returns whether a row that counts makes its scope known: where values are looked for it has one, and it is there
    /// at the end of some day.
    fn makes_known(&self, row: &Row) -> bool {
        match self.way {
            Way::First | Way::Over(_) if self.numerator.function == Function::Distinct => {
                row.buyer.is_some() && self.numerator.filter.is_none_or(|filter| filter.holds(row))
            }
            Way::Stock { .. } => row.until.is_none_or(|until| row.day < Some(until)),
            _ => true,
        }
    }
}

/// A metric as arithmetic names it.
#[derive(Debug, Clone)]
struct Operand {
    metric: usize,
    /// So many days, and whether they end the day before.
    over: Option<(i64, bool)>,
    /// The aggregate over all scopes of a type.
    across: Option<(&'static str, Scope)>,
    divisor: Option<i64>,
}

#[derive(Debug, Clone)]
enum Kind {
    Rows(Counted),
    /// `of` another metric, `over` so many days.
    Of(usize, i64),
    Value(Operand),
    Divided(Operand, Operand),
}

#[derive(Debug, Clone)]
struct Metric {
    area: &'static str,
    key: String,
    kind: Kind,
}

impl Metric {
    fn id(&self) -> String {
        format!("{}_{}", self.area, self.key)
    }
}

/// From when and until when a table says that rows are known.
#[derive(Debug, Clone, Copy)]
struct Feed {
    first: Day,
    last: Day,
    complete_until: Day,
}

/// One number of a row of a table; what no definition says is anything.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Any,
    Is(Option<f64>),
}

impl Part {
    fn number(self) -> Option<f64> {
        match self {
            Self::Any => None,
            Self::Is(number) => number,
        }
    }

    fn is(self, found: Option<f64>) -> bool {
        match (self, found) {
            (Self::Any, _) | (Self::Is(None), None) => true,
            (Self::Is(Some(meant)), Some(found)) => (meant - found).abs() < 1e-6 + 1e-12 * meant.abs(),
            _ => false,
        }
    }
}

/// What a row of a table should be.
#[derive(Debug, Clone, Copy)]
struct Cell {
    value: Option<f64>,
    numerator: Part,
    denominator: Part,
    n: Part,
    is_complete: bool,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |part: Part| match part {
            Part::Any => "any".to_owned(),
            Part::Is(number) => format!("{number:?}"),
        };
        let Self { value, numerator, denominator, n, is_complete } = self;
        let parts = [text(*numerator), text(*denominator), text(*n)].join(", ");
        write!(f, "value {value:?}, parts and n {parts}, complete {is_complete}")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grain {
    Day,
    /// From so many days after a Monday on.
    Week(i64),
    Month,
}

impl Grain {
    fn all(week_start: i64) -> [(Self, &'static str); 3] {
        [(Self::Day, "day"), (Self::Week(week_start), "week"), (Self::Month, "month")]
    }

    fn first(self, day: Day) -> Day {
        match self {
            Self::Day => day,
            Self::Week(start) => plus(day, -(i64::from(day.weekday().num_days_from_monday()) - start).rem_euclid(7)),
            Self::Month => day.with_day(1).unwrap(),
        }
    }

    fn last(self, first: Day) -> Day {
        match self {
            Self::Day => first,
            Self::Week(_) => plus(first, 6),
            Self::Month => plus(first + Months::new(1), -1),
        }
    }
}

/// A row of one of the tables, by grain, metric, type and id of its scope, and the first day of its period.
type Key = (Grain, String, &'static str, String, Day);

/// The days and scopes of metrics that share a feed.
struct Series {
    days: Vec<Day>,
    /// Days before this one are over.
    limit: Day,
    scopes: BTreeMap<Scope, BTreeSet<String>>,
    week_start: i64,
}

/// How a longer period follows from its days.
#[derive(Clone, Copy)]
enum Rule {
    Sum,
    Mean,
    Last,
    Recount,
}

/// A period and a scope.
#[derive(Clone, Copy)]
struct At<'a> {
    grain: Grain,
    scope: Scope,
    id: &'a str,
    day: Day,
}

/// The naive evaluation.
struct Evaluation<'a> {
    world: &'a World,
    /// Without a feed, and with one.
    series: [Option<Series>; 2],
    cells: BTreeMap<(usize, Grain, Scope, String, Day), Cell>,
}

impl<'a> Evaluation<'a> {
    fn of(world: &'a World) -> Self {
        let rows: Vec<&Row> = world.landed.values().flatten().collect();
        let series = [false, true].map(|has_feed| series(world, &rows, has_feed));
        let mut all = Self { world, series, cells: BTreeMap::new() };
        for (number, metric) in world.metrics.iter().enumerate() {
            let Some(series) = &all.series[usize::from(world.has_feed(metric))] else { continue };
            let mut made = Vec::new();
            for scope in world.scopes(number) {
                // What looks across scopes is there if one of them is, whether or not anything else has a total.
                let ids: Vec<String> = match world.across(number) {
                    Some(across) => series.scopes.get(&across).map(|_| "all".to_owned()).into_iter().collect(),
                    None => series.scopes.get(&scope).into_iter().flatten().cloned().collect(),
                };
                for id in &ids {
                    let cells = match &metric.kind {
                        Kind::Rows(counted) => rows_of(counted, scope, id, &rows, series),
                        _ => all.arithmetic(number, scope, id, series),
                    };
                    let kept = cells.into_iter().map(|(grain, day, cell)| {
                        let cell = Cell { value: cell.value.map(rounded), ..cell };
                        ((number, grain, scope, id.clone(), day), cell)
                    });
                    made.extend(kept);
                }
            }
            all.cells.extend(made);
        }
        all
    }

    fn rows(&self) -> BTreeMap<Key, Cell> {
        let rows = self.cells.iter().map(|((number, grain, scope, id, day), cell)| {
            ((*grain, self.world.metrics[*number].id(), scope.name(), id.clone(), *day), *cell)
        });
        rows.collect()
    }

    fn arithmetic(&self, number: usize, scope: Scope, id: &str, series: &Series) -> Vec<(Grain, Day, Cell)> {
        let kind = &self.world.metrics[number].kind;
        let is_windowed = match kind {
            Kind::Rows(_) => false,
            Kind::Of(..) => true,
            Kind::Value(one) => self.is_windowed(one),
            Kind::Divided(one, other) => self.is_windowed(one) || self.is_windowed(other),
        };
        let cell = |grain: Grain, period: Day| {
            let at = At { grain, scope, id, day: period };
            let of = |operand: &Operand| self.operand(operand, at);
            match kind {
                Kind::Of(metric, days) => self.window(*metric, (*days, false), at),
                Kind::Value(one) => {
                    let (value, is_complete) = of(one);
                    Cell { value, numerator: Part::Any, denominator: Part::Is(None), n: Part::Any, is_complete }
                }
                Kind::Divided(one, other) => {
                    let ((above, is_complete), (below, is_other_complete)) = (of(one), of(other));
                    Cell {
                        value: divided(above, below),
                        // Of what is divided by nothing, the upper part says nothing.
                        numerator: if below.is_some() { Part::Is(above) } else { Part::Is(None) },
                        denominator: Part::Is(below),
                        n: Part::Any,
                        is_complete: is_complete && is_other_complete,
                    }
                }
                Kind::Rows(_) => unreachable!("rows are counted"),
            }
        };
        let mut made: Vec<(Grain, Day, Cell)> =
            series.days.iter().map(|day| (Grain::Day, *day, cell(Grain::Day, *day))).collect();
        let days: BTreeMap<Day, Cell> = made.iter().map(|(_, day, cell)| (*day, *cell)).collect();
        for (grain, period) in periods(series) {
            made.push((grain, period, if is_windowed { last(grain, period, &days) } else { cell(grain, period) }));
        }
        made
    }

    fn is_windowed(&self, operand: &Operand) -> bool {
        let of = &self.world.metrics[operand.metric].kind;
        operand.over.is_some()
            || match of {
                Kind::Rows(_) => false,
                Kind::Of(..) => true,
                Kind::Value(one) => self.is_windowed(one),
                Kind::Divided(one, other) => self.is_windowed(one) || self.is_windowed(other),
            }
    }

    fn operand(&self, of: &Operand, at: At<'_>) -> (Option<f64>, bool) {
        let single = |at: At<'_>| {
            let cell = match of.over {
                None => self.cells[&(of.metric, at.grain, at.scope, at.id.to_owned(), at.day)],
                Some(over) => self.window(of.metric, over, at),
            };
            (cell.value, cell.is_complete)
        };
        let (value, is_complete) = match of.across {
            None => single(at),
            Some((function, across)) => {
                let series = self.series[usize::from(self.world.has_feed(&self.world.metrics[of.metric]))].as_ref();
                let scopes = series.and_then(|series| series.scopes.get(&across)).into_iter().flatten();
                let all: Vec<(Option<f64>, bool)> = scopes.map(|id| single(At { scope: across, id, ..at })).collect();
                let values = all.iter().filter_map(|(value, _)| *value);
                let value = match function {
                    "max" => values.reduce(f64::max),
                    _ => values.reduce(|one, other| one + other),
                };
                (value, all.iter().all(|(_, is_complete)| *is_complete))
            }
        };
        (value.map(|value| value / of.divisor.map_or(1.0, |by| count(usize::try_from(by).unwrap()))), is_complete)
    }

    /// Returns what a metric is over a window of days.
    fn window(&self, metric: usize, (days, is_before): (i64, bool), at: At<'_>) -> Cell {
        let is_ratio = self.world.is_ratio(metric);
        let end = plus(at.day, -i64::from(is_before));
        let window = between(plus(end, 1 - days), end);
        let cell = |day: &Day| self.cells.get(&(metric, Grain::Day, at.scope, at.id.to_owned(), *day));
        let cells: Option<Vec<&Cell>> = window.iter().map(cell).collect();
        let Some(cells) = cells else {
            let none = Part::Is(None);
            return Cell { value: None, numerator: none, denominator: none, n: Part::Any, is_complete: false };
        };
        let sum = |part: fn(&Cell) -> Option<f64>| {
            cells.iter().filter_map(|cell| part(cell)).reduce(|one, other| one + other)
        };
        let numerator = sum(|cell| cell.numerator.number());
        let denominator = if is_ratio { sum(|cell| cell.denominator.number()) } else { None };
        Cell {
            // It is no row of its own, so that it is not rounded.
            value: match denominator.filter(|below| is_ratio && *below != 0.0) {
                Some(below) => numerator.map(|above| above / below),
                None => numerator.filter(|_| !is_ratio),
            },
            numerator: Part::Is(numerator),
            denominator: Part::Is(denominator),
            n: Part::Any,
            is_complete: cells.iter().all(|cell| cell.is_complete),
        }
    }
}

/// Numbers are kept to six digits, and others are made of what is kept.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

fn divided(above: Option<f64>, below: Option<f64>) -> Option<f64> {
    let below = below.map(rounded).filter(|below| *below != 0.0)?;
    Some(rounded(rounded(above?) / below))
}

fn series(world: &World, rows: &[&Row], has_feed: bool) -> Option<Series> {
    let clock = Day::from_ymd_opt(CLOCK.0, CLOCK.1, CLOCK.2).unwrap();
    let of_feed = || {
        let metrics = world.metrics.iter().filter(|metric| world.has_feed(metric) == has_feed);
        metrics.filter_map(|metric| match &metric.kind {
            Kind::Rows(counted) => Some(counted),
            _ => None,
        })
    };
    let (first, last, limit) = if has_feed {
        (world.feed.first, world.feed.last, world.feed.complete_until)
    } else {
        let days = || {
            let counted = of_feed().flat_map(|counted| rows.iter().filter(move |row| counted.counts(row)));
            counted.filter_map(|row| row.day).filter(|day| *day <= clock)
        };
        (days().min()?, days().max()?, days().max()?)
    };
    let mut scopes: BTreeMap<Scope, BTreeSet<String>> = BTreeMap::new();
    // What is astray before the feed begins is nobody's first day.
    let is_astray = |counted: &Counted, row: &Row| has_feed && counted.way == Way::First && row.day < Some(first);
    for counted in of_feed() {
        let is_known = |row: &&&Row| counted.counts(row) && counted.makes_known(row) && !is_astray(counted, row);
        for row in rows.iter().filter(is_known) {
            for scope in &counted.scopes {
                scopes.entry(*scope).or_default().insert(scope.of(row));
            }
        }
    }
    Some(Series { days: between(first, last), limit, scopes, week_start: world.week_start })
}

/// Returns the weeks and months of a series.
fn periods(series: &Series) -> BTreeSet<(Grain, Day)> {
    let of = |grain: Grain| series.days.iter().map(move |day| (grain, grain.first(*day)));
    of(Grain::Week(series.week_start)).chain(of(Grain::Month)).collect()
}

/// Returns what a period is that has the value of its last day.
fn last(grain: Grain, period: Day, days: &BTreeMap<Day, Cell>) -> Cell {
    let (day, cell) = days.range(period..=grain.last(period)).next_back().unwrap();
    Cell { is_complete: cell.is_complete && *day == grain.last(period), ..*cell }
}

/// Returns every cell of one scope of a metric that is counted from rows.
fn rows_of(counted: &Counted, scope: Scope, id: &str, rows: &[&Row], series: &Series) -> Vec<(Grain, Day, Cell)> {
    let rows: Vec<&Row> = rows.iter().copied().filter(|row| counted.counts(row) && scope.of(row) == id).collect();
    let in_days = |first: Day, last: Day| -> Vec<&Row> {
        rows.iter().copied().filter(|row| row.day.is_some_and(|day| first <= day && day <= last)).collect()
    };
    let first = series.days.first().copied();
    let has_open =
        |first: Day, last: Day| counted.open.is_some_and(|open| in_days(first, last).iter().any(|row| open.holds(row)));
    let mut days: BTreeMap<Day, Cell> = BTreeMap::new();
    for day in &series.days {
        let day = *day;
        let is_over = plus(day, counted.settle) < series.limit;
        let (mut cell, mut since) = (None, day);
        match counted.way {
            Way::Period | Way::PerDay => cell = Some(over(counted, &in_days(day, day))),
            Way::Over(length) => {
                since = plus(day, 1 - length);
                if first.is_some_and(|first| first <= since) {
                    cell = Some(over(counted, &in_days(since, day)));
                }
            }
            Way::First => {
                let buyers: BTreeSet<&str> = filtered(counted, &rows).filter_map(|row| row.buyer).collect();
                let first_of = |buyer: &&str| {
                    let theirs = filtered(counted, &rows).filter(|row| row.buyer == Some(*buyer));
                    // What lies before the feed begins is astray.
                    let known = theirs.filter_map(|row| row.day).filter(|of| first.is_some_and(|first| first <= *of));
                    known.min() == Some(day)
                };
                cell = Some(running(count(buyers.iter().filter(|buyer| first_of(buyer)).count())));
            }
            Way::Stock { .. } => {
                let holds = |row: &&Row| row.day <= Some(day) && row.until.is_none_or(|until| until > day);
                let held: Vec<&Row> = rows.iter().copied().filter(holds).collect();
                cell = counted.numerator.of(&held).0.map(running);
                if let Some(cell) = cell.as_mut().filter(|_| counted.numerator.function != Function::Count) {
                    cell.n = Part::Any;
                }
            }
            Way::Balance => {
                let before: Vec<&Row> = rows.iter().copied().filter(|row| row.day <= Some(day)).collect();
                cell = counted.numerator.of(&before).0.map(running);
                if let Some(cell) = &mut cell {
                    cell.n = Part::Any;
                }
            }
        }
        let none = Part::Is(None);
        let empty = Cell { value: None, numerator: none, denominator: none, n: Part::Any, is_complete: false };
        let is_known = cell.is_some();
        let mut cell = cell.unwrap_or(empty);
        cell.is_complete = is_over && is_known && !has_open(since, day);
        days.insert(day, cell);
    }
    let mut made: Vec<(Grain, Day, Cell)> = days.iter().map(|(day, cell)| (Grain::Day, *day, *cell)).collect();
    for (grain, period) in periods(series) {
        made.push((grain, period, longer(counted, grain, period, &days, &in_days)));
    }
    made
}

fn filtered<'r>(counted: &Counted, rows: &'r [&Row]) -> impl Iterator<Item = &'r &'r Row> {
    let filter = counted.numerator.filter;
    rows.iter().filter(move |row| filter.is_none_or(|filter| filter.holds(row)))
}

/// A value that is its own numerator and sample.
fn running(value: f64) -> Cell {
    let part = Part::Is(Some(value));
    Cell { value: Some(value), numerator: part, denominator: Part::Is(None), n: part, is_complete: false }
}

/// Returns what a metric is over some rows, complete or not.
fn over(counted: &Counted, rows: &[&Row]) -> Cell {
    let (above, values) = counted.numerator.of(rows);
    let sample = i64::try_from(rows.iter().filter(|row| row.cents.is_some()).count()).unwrap();
    let is_enough = !counted.has_sample || sample >= MIN_SAMPLE;
    let mut cell = match counted.denominator {
        None => Cell {
            value: above,
            numerator: if counted.numerator.adds_up() { Part::Is(above) } else { Part::Is(None) },
            denominator: Part::Is(None),
            // Of a difference no definition says on how many values it rests.
            n: match counted.numerator.function {
                Function::Net | Function::Rest => Part::Any,
                _ => Part::Is(Some(values)),
            },
            is_complete: false,
        },
        Some(denominator) => {
            let (below, _) = denominator.of(rows);
            let is_count = denominator.function == Function::Count;
            Cell {
                value: divided(above, below),
                numerator: Part::Is(above),
                denominator: Part::Is(below),
                n: if is_count { Part::Is(below) } else { Part::Any },
                is_complete: false,
            }
        }
    };
    if counted.has_sample {
        let is_of_values = counted.denominator.is_none() && counted.numerator.function != Function::Count;
        cell.n = if is_of_values { Part::Is(Some(count(usize::try_from(sample).unwrap()))) } else { Part::Any };
    }
    cell.value = cell.value.filter(|_| is_enough);
    if matches!(counted.way, Way::PerDay | Way::Over(_)) {
        // A window of different values says its value thrice; a median has no parts.
        let is_median = counted.numerator.is_median();
        cell.numerator = if is_median { Part::Is(None) } else { Part::Is(cell.value) };
        cell.denominator = if is_median { Part::Is(None) } else { Part::Any };
    }
    cell
}

/// Returns what a week or a month is.
fn longer<'r>(
    counted: &Counted,
    grain: Grain,
    period: Day,
    days: &BTreeMap<Day, Cell>,
    in_days: &impl Fn(Day, Day) -> Vec<&'r Row>,
) -> Cell {
    let adds_up = counted.numerator.adds_up() && counted.denominator.is_none_or(Aggregate::adds_up);
    let rule = match counted.way {
        Way::PerDay | Way::Stock { is_per_day: true } => Rule::Mean,
        Way::Over(_) | Way::Stock { .. } | Way::Balance => Rule::Last,
        Way::First => Rule::Sum,
        Way::Period if adds_up => Rule::Sum,
        Way::Period => Rule::Recount,
    };
    let end = grain.last(period);
    let of_period: Vec<(&Day, &Cell)> = days.range(period..=end).collect();
    let is_covered = of_period.len() == between(period, end).len();
    let is_complete = is_covered && of_period.iter().all(|(_, cell)| cell.is_complete);
    let (first, until) = (*of_period[0].0, *of_period[of_period.len() - 1].0);
    let mut cell = match rule {
        Rule::Last => return last(grain, period, days),
        Rule::Sum if counted.way == Way::First => running(of_period.iter().filter_map(|(_, cell)| cell.value).sum()),
        Rule::Sum => over(counted, &in_days(first, until)),
        Rule::Recount => over(counted, &in_days(period, end)),
        Rule::Mean => {
            let values: Vec<f64> = of_period.iter().filter_map(|(_, cell)| cell.value).collect();
            let (sum, number) = (values.iter().sum::<f64>(), count(values.len()));
            Cell {
                value: divided(Some(sum), Some(number)),
                numerator: Part::Is(Some(sum)),
                denominator: Part::Is(Some(number)),
                n: Part::Any,
                is_complete,
            }
        }
    };
    cell.is_complete = is_complete;
    cell
}

/// A project and what has landed in it.
struct World {
    scratch: Scratch,
    random: Random,
    metrics: Vec<Metric>,
    /// The areas whose days a table says.
    fed: BTreeSet<&'static str>,
    feed: Feed,
    is_partitioned: (bool, bool),
    landed: BTreeMap<usize, Vec<Row>>,
    ids: u32,
    first: Day,
    length: i64,
    shops: Vec<Option<&'static str>>,
    /// How many days after Monday weeks begin.
    week_start: i64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let clock = Day::from_ymd_opt(CLOCK.0, CLOCK.1, CLOCK.2).unwrap();
        let length = random.days(3, 18);
        let nearest = if random.is_one_of(4) { 2 } else { length + 3 };
        let first = plus(clock, -random.days(nearest, 45));
        let mut shops = vec![Some("a"), Some("b"), None];
        if random.is_one_of(5) {
            shops.extend([Some("all"), Some("none"), Some("a / open")]);
        }
        let mut world = Self {
            scratch: Scratch::empty(),
            metrics: Vec::new(),
            fed: BTreeSet::new(),
            feed: Feed { first, last: plus(first, length), complete_until: plus(first, length) },
            is_partitioned: (random.is_one_of(2), random.is_one_of(2)),
            landed: BTreeMap::new(),
            ids: 0,
            first,
            length,
            shops,
            week_start: if random.is_one_of(3) { random.days(0, 6) } else { 0 },
            random,
        };
        world.move_feed();
        world.declare();
        let rows = world.rows(14);
        world.landed.insert(0, rows);
        world
    }

    fn has_feed(&self, metric: &Metric) -> bool {
        self.fed.contains(metric.area)
    }

    fn scopes(&self, metric: usize) -> BTreeSet<Scope> {
        match &self.metrics[metric].kind {
            Kind::Rows(counted) => counted.scopes.clone(),
            Kind::Of(of, _) => self.scopes(*of),
            Kind::Value(one) => self.scopes_of(one),
            Kind::Divided(one, other) => &self.scopes_of(one) & &self.scopes_of(other),
        }
    }

    fn scopes_of(&self, operand: &Operand) -> BTreeSet<Scope> {
        if operand.across.is_some() { BTreeSet::from([Scope::Total]) } else { self.scopes(operand.metric) }
    }

    fn is_ratio(&self, metric: usize) -> bool {
        matches!(&self.metrics[metric].kind, Kind::Rows(Counted { denominator: Some(_), .. }))
    }

    /// Moves the days that the feed knows.
    fn move_feed(&mut self) {
        let first = plus(self.first, self.random.days(-2, 3));
        let last = plus(first, self.random.days(0, self.length));
        self.feed = Feed { first, last, complete_until: plus(last, self.random.days(-2, 1)) };
    }

    fn rows(&mut self, most: usize) -> Vec<Row> {
        let number = 1 + self.random.below(most);
        (0..number).map(|_| self.row()).collect()
    }

    fn row(&mut self) -> Row {
        self.ids += 1;
        let (first, length) = (self.first, self.length);
        let shops = self.shops.clone();
        let random = &mut self.random;
        let day = plus(first, random.days(0, length));
        let day = (!random.is_one_of(15)).then_some(day);
        let from = day.unwrap_or(first);
        Row {
            id: self.ids,
            shop: random.pick(&shops),
            kind: random.pick(&["open", "paid", "sent"]),
            buyer: random.pick(&[Some("u1"), Some("u2"), Some("u3"), None]),
            cents: (!random.is_one_of(5)).then(|| i32::try_from(random.days(-300, 900)).unwrap()),
            day,
            until: random.maybe(2, |random| plus(from, random.days(-1, length / 2 + 1))),
        }
    }

    /// Declares metrics anew.
    fn declare(&mut self) {
        self.metrics.clear();
        self.fed = ["east", "west"].into_iter().filter(|_| self.random.is_one_of(3)).collect();
        let number = 3 + self.random.below(4);
        for _ in 0..number {
            let area = if self.random.is_one_of(3) { "west" } else { "east" };
            let kind = Kind::Rows(self.counted());
            let key = format!("m{}", self.metrics.len());
            self.metrics.push(Metric { area, key, kind });
        }
        for _ in 0..4 {
            if let Some((area, kind)) = self.made_of_others() {
                let key = format!("m{}", self.metrics.len());
                self.metrics.push(Metric { area, key, kind });
            }
        }
    }

    fn condition(&mut self, one_of: usize) -> Option<Condition> {
        self.random.maybe(one_of, |random| random.pick(&Condition::ALL))
    }

    fn counted(&mut self) -> Counted {
        let additive = Function::ADDITIVE;
        let (function, is_ratio, way) = match self.random.below(12) {
            0 | 1 => (self.random.pick(&additive), false, Way::Period),
            2 | 3 => (self.random.pick(&additive), true, Way::Period),
            4 => (self.random.pick(&Function::MEDIANS), false, Way::Period),
            5 => (self.random.pick(&[Function::Distinct, Function::Max]), false, Way::Period),
            6 => (Function::Distinct, false, Way::PerDay),
            7 => (Function::Distinct, false, Way::Over(self.random.pick(&[1, 2, 3, 7]))),
            8 => (self.random.pick(&Function::MEDIANS), false, Way::Over(self.random.pick(&[2, 3, 7]))),
            9 => (Function::Distinct, false, Way::First),
            10 => (self.random.pick(&additive), false, Way::Stock { is_per_day: self.random.is_one_of(2) }),
            _ => (self.random.pick(&[Function::Sum, Function::Net]), false, Way::Balance),
        };
        let numerator = Aggregate { function, filter: self.condition(3) };
        let denominator =
            is_ratio.then(|| Aggregate { function: self.random.pick(&additive), filter: self.condition(3) });
        let by: &[Scope] = self.random.pick(&[
            &[] as &[Scope],
            &[Scope::Shop],
            &[Scope::Shop, Scope::Kind],
            &[Scope::ShopKind],
            &[Scope::Store, Scope::Turned],
            &[Scope::Shop, Scope::Turned],
            &[Scope::Shop, Scope::Store],
            &[Scope::ShopKind, Scope::Turned],
        ]);
        let mut scopes: BTreeSet<Scope> = by.iter().copied().collect();
        if scopes.is_empty() || !self.random.is_one_of(4) {
            scopes.insert(Scope::Total);
        }
        let is_simple = way == Way::Period || way == Way::PerDay || Function::MEDIANS.contains(&function);
        let may_sample = is_simple && way != Way::PerDay && denominator.is_none();
        Counted {
            numerator,
            denominator,
            way,
            scopes,
            filter: self.condition(4),
            open: if is_simple { self.condition(4) } else { None },
            has_sample: may_sample && self.random.is_one_of(3),
            settle: if self.random.is_one_of(5) { self.random.days(1, 3) } else { 0 },
        }
    }

    /// Returns a metric that is made of others, if there are such that fit.
    fn made_of_others(&mut self) -> Option<(&'static str, Kind)> {
        let of_rows: Vec<usize> =
            (0..self.metrics.len()).filter(|at| matches!(self.metrics[*at].kind, Kind::Rows(_))).collect();
        let windowed: Vec<usize> = of_rows.iter().copied().filter(|at| self.can_window(*at)).collect();
        let one = self.random.pick(&of_rows);
        let area = self.metrics[one].area;
        let is_fed = self.fed.contains(area);
        let of_feed = |world: &Self, of: &[usize]| -> Vec<usize> {
            of.iter().copied().filter(|at| world.has_feed(&world.metrics[*at]) == is_fed).collect()
        };
        // What looks across scopes goes with nothing that does not.
        let beside: Vec<usize> = (0..self.metrics.len()).filter(|at| self.across(*at).is_none()).collect();
        let (all, windowed) = (of_feed(self, &beside), of_feed(self, &windowed));
        let plain = |metric: usize| Operand { metric, over: None, across: None, divisor: None };
        let days = self.random.pick(&[2, 3, 7]);
        let kind = match self.random.below(6) {
            0 if !windowed.is_empty() => Kind::Of(self.random.pick(&windowed), days),
            1 if !windowed.is_empty() => {
                let over = Operand { over: Some((days, false)), ..plain(self.random.pick(&windowed)) };
                Kind::Divided(over, plain(self.random.pick(&all)))
            }
            2 if !windowed.is_empty() => {
                let before =
                    Operand { over: Some((days, true)), divisor: Some(days), ..plain(self.random.pick(&windowed)) };
                Kind::Divided(plain(self.random.pick(&all)), before)
            }
            3 | 4 => {
                let across = self.scopes(one).into_iter().find(|scope| *scope != Scope::Total)?;
                let over = if windowed.contains(&one) { self.random.maybe(3, |_| (days, false)) } else { None };
                let of = |function: &'static str| Operand { over, across: Some((function, across)), ..plain(one) };
                if self.random.is_one_of(2) { Kind::Value(of("max")) } else { Kind::Divided(of("max"), of("sum")) }
            }
            _ => Kind::Divided(plain(one), plain(self.random.pick(&all))),
        };
        let is_fit = match &kind {
            Kind::Divided(one, other) => !(&self.scopes_of(one) & &self.scopes_of(other)).is_empty(),
            _ => true,
        };
        is_fit.then_some((area, kind))
    }

    /// Returns the type of scope across which a metric looks; where there is none of it, it has no rows.
    fn across(&self, metric: usize) -> Option<Scope> {
        match &self.metrics[metric].kind {
            Kind::Rows(_) | Kind::Of(..) => None,
            Kind::Value(one) | Kind::Divided(one, _) => one.across.map(|(_, scope)| scope),
        }
    }

    /// Returns whether a metric can be summed over days.
    fn can_window(&self, metric: usize) -> bool {
        let Kind::Rows(counted) = &self.metrics[metric].kind else { return false };
        match counted.way {
            Way::Period => counted.numerator.adds_up(),
            Way::Over(_) => counted.numerator.function == Function::Distinct,
            Way::PerDay | Way::First | Way::Stock { .. } | Way::Balance => true,
        }
    }

    fn write(&self, to: &Scratch) {
        let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let week = days[usize::try_from(self.week_start).unwrap()];
        let zone = format!("reporting_zone = \"UTC\"\nweek_start = \"{week}\"\n[paths]\nlanding = \"landing\"\n");
        to.write("opsmart.toml", &format!("{zone}[vars]\nmin_sample = {MIN_SAMPLE}\n"));
        to.write("jobs/all.toml", "ingest = [\"orders\"]\n");
        let partition = |is: bool| if is { "partition = { day = \"day\" }\n" } else { "" };
        let contract = format!(
            r#"from = "{{landing}}/orders-*.csv"
format = {{ type = "csv" }}
files = "replace"
{}[columns]
id = "int64!"
shop = "string"
kind = "string"
buyer = "string"
amount = "decimal(10,2)"
day = "date"
until = "date"
"#,
            partition(self.is_partitioned.0)
        );
        to.write("schemas/sources/orders.toml", &contract);
        let columns = "id, shop, kind, buyer, amount, day, until";
        to.write("sql/staging/stg_orders.sql", &format!("select {columns} from orders\n"));
        to.write("sql/marts/fct_order.sql", &format!("select {columns} from stg_orders\n"));
        to.write("schemas/models/fct_order.toml", partition(self.is_partitioned.1));
        let Feed { first, last, complete_until } = self.feed;
        let feed = format!(
            "select date '{first}' as first_day, date '{last}' as last_day, date '{complete_until}' as complete_until\n"
        );
        to.write("sql/marts/dim_feed.sql", &feed);
        for area in ["east", "west"] {
            to.write(&format!("schemas/metrics/{area}.toml"), &self.toml(area));
        }
        for (file, rows) in &self.landed {
            let rows: String = rows.iter().map(Row::csv).collect();
            to.write(&format!("landing/orders-{file}.csv"), &format!("id,shop,kind,buyer,amount,day,until\n{rows}"));
        }
    }

    fn toml(&self, area: &str) -> String {
        let mut text = "from = \"fct_order\"\ntime = \"day\"\n".to_owned();
        if self.fed.contains(area) {
            text.push_str("feed = \"dim_feed\"\n");
        }
        for metric in self.metrics.iter().filter(|metric| metric.area == area) {
            text.push_str(&format!("\n[{}]\n{}unit = \"orders\"\nen = \"Some\"\n", metric.key, self.formula(metric)));
        }
        text
    }

    fn formula(&self, metric: &Metric) -> String {
        let name = |of: usize| {
            let of = &self.metrics[of];
            if of.area == metric.area { of.key.clone() } else { format!("{}.{}", of.area, of.key) }
        };
        let operand = |of: &Operand| {
            let over =
                of.over.map(|(days, is_before)| format!(" over {days} days{}", if is_before { " before" } else { "" }));
            let text = format!("{}{}", name(of.metric), over.unwrap_or_default());
            let text = match of.across {
                Some((function, scope)) => format!("{function}({text} by {})", scope.name()),
                None => text,
            };
            of.divisor.map_or(text.clone(), |by| format!("({text} / {by})"))
        };
        let counted = match &metric.kind {
            Kind::Rows(counted) => counted,
            Kind::Of(of, days) => return format!("of = \"{}\"\nover = \"{days} days\"\n", name(*of)),
            Kind::Value(one) => return format!("value = \"{}\"\n", operand(one)),
            Kind::Divided(one, other) => return format!("value = \"{} / {}\"\n", operand(one), operand(other)),
        };
        let mut text = match counted.denominator {
            None => format!("value = \"{}\"\n", counted.numerator.sql()),
            Some(below) => {
                format!("numerator = \"{}\"\ndenominator = \"{}\"\n", counted.numerator.sql(), below.sql())
            }
        };
        text.push_str(&match counted.way {
            Way::Period => String::new(),
            Way::PerDay => "per = \"day\"\n".to_owned(),
            Way::Over(days) => format!("over = \"{days} days\"\n"),
            Way::First => "as = \"first\"\n".to_owned(),
            Way::Stock { is_per_day } => {
                let per = if is_per_day { "per = \"day\"\n" } else { "" };
                format!("as = \"stock\"\nfrom_time = \"day\"\nto_time = \"until\"\n{per}")
            }
            Way::Balance => "as = \"balance\"\n".to_owned(),
        });
        let by: Vec<&str> =
            counted.scopes.iter().filter(|scope| **scope != Scope::Total).map(|scope| scope.toml()).collect();
        text.push_str(&format!("by = [{}]\n", by.join(", ")));
        if !counted.scopes.contains(&Scope::Total) {
            text.push_str("total = false\n");
        }
        for (key, condition) in [("where", counted.filter), ("open", counted.open)] {
            if let Some(condition) = condition {
                text.push_str(&format!("{key} = \"{}\"\n", condition.sql()));
            }
        }
        if counted.has_sample {
            text.push_str("sample = \"count(amount)\"\n");
        }
        if counted.settle > 0 {
            text.push_str(&format!("settle = \"{} days\"\n", counted.settle));
        }
        text
    }

    /// Something happens between two runs.
    fn happens(&mut self) {
        match self.random.below(8) {
            0 => self.declare(),
            1 | 2 => {
                let file = self.random.below(self.landed.len());
                let rows = self.rows(8);
                self.landed.insert(file, rows);
            }
            3 => self.move_feed(),
            _ => {
                let rows = self.rows(6);
                self.landed.insert(self.landed.len(), rows);
            }
        }
    }

    fn run(&self, name: &str) -> Result<(), String> {
        self.write(&self.scratch);
        run_on(&self.scratch, Arc::new(LocalDisk), name)
            .map(drop)
            .map_err(|error| format!("{name}: {error:?}\n{}", self.toml("east") + &self.toml("west")))?;
        self.compare().map_err(|differences| format!("{name}\n{differences}"))
    }

    fn compare(&self) -> Result<(), String> {
        let (meant, found) = (Evaluation::of(self).rows(), published(&self.scratch, self.week_start)?);
        let mut differences: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for key in meant.keys().chain(found.keys().filter(|key| !meant.contains_key(*key))) {
            let text = match (meant.get(key), found.get(key)) {
                (Some(meant), Some(found)) => {
                    let is_same = Part::Is(meant.value).is(found.value)
                        && meant.numerator.is(found.numerator.number())
                        && meant.denominator.is(found.denominator.number())
                        && meant.n.is(found.n.number())
                        && meant.is_complete == found.is_complete;
                    (!is_same).then(|| format!("\n  meant {meant}\n  found {found}"))
                }
                (Some(meant), None) => Some(format!("\n  meant {meant}\n  not there")),
                (None, found) => Some(format!("\n  not meant\n  found {}", found.unwrap())),
            };
            let number = self.metrics.iter().position(|metric| metric.id() == key.1).unwrap_or(0);
            if let Some(text) = text {
                let (grain, _, scope, id, day) = key;
                let all = differences.entry(number).or_default();
                all.push(format!("{grain:?} {day} of {scope} `{id}`:{text}"));
            }
        }
        let numbers: Vec<usize> = differences.keys().copied().collect();
        let Some((number, first)) = differences.into_iter().next() else { return Ok(()) };
        let mut told =
            format!("metrics {numbers:?} differ\n{} differences of {}:\n", first.len(), self.metrics[number].id());
        told.push_str(&first.into_iter().take(6).collect::<Vec<_>>().join("\n"));
        let feed = self.has_feed(&self.metrics[number]).then_some(self.feed);
        told.push_str(&format!("\nfeed {feed:?}, partitions {:?}\n", self.is_partitioned));
        // Whether there is a row for a scope depends on all metrics of a feed.
        let is_told = |at: usize| numbers.len() > 1 || self.is_part(at, number);
        for (at, metric) in self.metrics.iter().enumerate().filter(|(at, _)| is_told(*at)) {
            told.push_str(&format!("[{}] # {at}\n{}", metric.id(), self.formula(metric)));
        }
        let mut rows: Vec<&Row> = self.landed.values().flatten().collect();
        rows.sort_by_key(|row| (row.day, row.id));
        told.push_str("id,shop,kind,buyer,amount,day,until\n");
        told.push_str(&rows.into_iter().map(Row::csv).collect::<String>());
        Err(told)
    }

    /// Returns whether a metric is another, or one that it is made of.
    fn is_part(&self, part: usize, of: usize) -> bool {
        let made_of = match &self.metrics[of].kind {
            Kind::Rows(_) => vec![],
            Kind::Of(one, _) => vec![*one],
            Kind::Value(one) => vec![one.metric],
            Kind::Divided(one, other) => vec![one.metric, other.metric],
        };
        part == of || made_of.into_iter().any(|of| self.is_part(part, of))
    }
}

fn store(scratch: &Scratch) -> Store {
    Store::open(&scratch.path("warehouse"), Arc::new(LocalDisk))
}

fn batches(scratch: &Scratch, table: &str) -> Vec<RecordBatch> {
    let store = store(scratch);
    let snapshot = store.snapshot(store.reference().unwrap().unwrap().newest()).unwrap();
    let state = store.table(table, &snapshot.tables[table].state).unwrap();
    let read = |file| {
        let file = std::fs::File::open(store.path(file)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        reader.collect::<Result<Vec<_>, _>>().unwrap()
    };
    state.files.iter().flat_map(read).collect()
}

/// Returns the rows of the tables; an error where two are of one key.
fn published(scratch: &Scratch, week_start: i64) -> Result<BTreeMap<Key, Cell>, String> {
    let mut rows = BTreeMap::new();
    for (grain, name) in Grain::all(week_start) {
        for batch in batches(scratch, &format!("metric_{name}")) {
            let column = |name: &str, kind: DataType| cast(batch.column_by_name(name).unwrap(), &kind).unwrap();
            let text = |name: &str, at: usize| column(name, DataType::Utf8).as_string::<i32>().value(at).to_owned();
            let numbers = ["value", "numerator", "denominator", "n"].map(|name| column(name, DataType::Float64));
            let number = |of: usize, at: usize| {
                let of = numbers[of].as_primitive::<Float64Type>();
                of.is_valid(at).then(|| of.value(at))
            };
            let days = column(name, DataType::Date32);
            let is_complete = batch.column_by_name("is_complete").unwrap();
            for at in 0..batch.num_rows() {
                let kind = text("scope_type", at);
                let scopes = [Scope::Total, Scope::Shop, Scope::Kind, Scope::ShopKind, Scope::Store, Scope::Turned];
                let scope = scopes.into_iter().map(Scope::name).find(|name| *name == kind).unwrap();
                let day = Date32Type::to_naive_date_opt(days.as_primitive::<Date32Type>().value(at)).unwrap();
                let key = (grain, text("metric_id", at), scope, text("scope_id", at), day);
                let cell = Cell {
                    value: number(0, at),
                    numerator: Part::Is(number(1, at)),
                    denominator: Part::Is(number(2, at)),
                    n: Part::Is(number(3, at)),
                    is_complete: is_complete.as_boolean().value(at),
                };
                if rows.insert(key.clone(), cell).is_some() {
                    return Err(format!("two rows of {key:?}"));
                }
            }
        }
    }
    Ok(rows)
}

/// One history: several runs, each held against the definitions, the last against a run from nothing as well.
fn history(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed);
    world.run("run-0")?;
    for number in 1..3 {
        for _ in 0..=world.random.below(2) {
            world.happens();
        }
        world.run(&format!("run-{number}"))?;
    }
    let anew = Scratch::empty();
    world.write(&anew);
    run_on(&anew, Arc::new(LocalDisk), "anew").map_err(|error| format!("anew: {error:?}"))?;
    for (_, name) in Grain::all(world.week_start) {
        let hash = |scratch: &Scratch| {
            let store = store(scratch);
            let snapshot = store.snapshot(store.reference().unwrap().unwrap().newest()).unwrap();
            snapshot.tables[&format!("metric_{name}")].content_hash.clone()
        };
        if hash(&world.scratch) != hash(&anew) {
            return Err(format!("a run from nothing leaves another metric_{name}"));
        }
    }
    Ok(())
}

#[test]
fn metrics_are_what_their_definitions_say() {
    let first = number("METRIC_SEED");
    let histories = number("METRIC_HISTORIES").unwrap_or(if first.is_some() { 1 } else { 8 });
    let mut failures = Vec::new();
    let first = first.unwrap_or(0);
    for seed in first..first + histories {
        // As deep a stack as that of the command.
        let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(move || history(seed)).unwrap();
        let panicked = |_| Err("it panicked, see above".to_owned());
        if let Err(what) = thread.join().unwrap_or_else(panicked) {
            failures.push(format!("METRIC_SEED={seed}, {what}\n"));
        }
    }
    let first = failures.iter().take(5).cloned().collect::<String>();
    assert!(failures.is_empty(), "{} histories failed; the first:\n\n{first}", failures.len());
}

/// Which histories are tried: a few with all other tests, many or a certain one where that is asked for.
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|number| number.parse().ok())
}
