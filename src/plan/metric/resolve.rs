//! What each metric is, before any table is known: counted from rows, or arithmetic of others.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use datafusion::execution::context::SessionState;

use super::formula::{self, AddsUp, Aggregate, Arithmetic, Names, Operand, Over, replace_word};
use super::rows::scope_columns;
use super::series::divisor;
use super::{Counted, scope_types};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean};
use crate::plan::{graph, query};
use crate::project::{
    DayCount, Formula, Layer, Located, Metric, MetricRows, MetricTime, NumberOfDays, Project, Spine, Variable,
};

/// The columns that a type of 32 bits with a sign tells apart.
const MOST_SCOPE_COLUMNS: usize = 31;

/// A metric whose expressions have been read.
#[derive(Debug)]
pub(in crate::plan) struct Resolved<'a> {
    pub(super) metric: &'a Metric,
    pub(super) kind: Kind,
    /// How it is counted, if from rows.
    pub(super) counted: Counted,
    /// The days after the end of a period until which it may change.
    pub(super) settle: u32,
    /// The least sample that gives a value.
    pub(super) min_sample: i64,
    /// The days for which a scope without rows stands as it stood last.
    pub(super) carry: Option<u32>,
    /// The types of scope that it has rows of.
    pub(super) scopes: BTreeSet<String>,
    /// The metrics that it is made of, as its formula names them.
    pub(super) uses: BTreeSet<String>,
}

/// What a metric is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Aggregates over rows.
    Rows { numerator: Aggregate, denominator: Option<Aggregate> },
    /// Arithmetic of other metrics; `is_windowed` where a window of days is in it, so that a longer period has the
    /// value of its last day.
    Arithmetic { numerator: Arithmetic, denominator: Option<Arithmetic>, is_windowed: bool },
}

impl Resolved<'_> {
    pub(super) fn is_ratio(&self) -> bool {
        match &self.kind {
            Kind::Rows { denominator, .. } => denominator.is_some(),
            Kind::Arithmetic { denominator, .. } => denominator.is_some(),
        }
    }

    /// Returns whether its parts add up over periods and scopes.
    pub(super) fn adds_up(&self) -> bool {
        match &self.kind {
            // Each value counts once, on its first day.
            Kind::Rows { .. } if matches!(self.counted, Counted::First { .. }) => true,
            Kind::Rows { numerator, denominator } => {
                let adds = |of: &Aggregate| of.adds_up == AddsUp::Sum;
                adds(numerator) && denominator.as_ref().is_none_or(adds)
            }
            Kind::Arithmetic { .. } => false,
        }
    }

    /// Returns the part that counts the values it rests on, if one does.
    pub(super) fn counts(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Rows { denominator: Some(of), .. } if of.is_count => Some("denominator"),
            Kind::Rows { numerator: of, denominator: None } if of.is_count => Some("value"),
            _ => None,
        }
    }

    /// Returns whether it is a number of rows or of different values, which is 0 where there are none.
    pub(super) fn is_count(&self) -> bool {
        matches!(&self.kind, Kind::Rows { numerator, denominator: None } if numerator.is_count)
    }

    /// Returns whether weeks and months are counted anew from rows.
    pub(super) fn is_recounted(&self) -> bool {
        matches!(self.kind, Kind::Rows { .. })
            && self.counted == Counted::Period
            && !self.adds_up()
            && !self.metric.is_per_day
            && !self.is_running()
    }

    /// Returns how a longer period follows from its days.
    pub(super) fn rule(&self) -> &'static str {
        match &self.kind {
            Kind::Arithmetic { is_windowed: true, .. } => "last",
            Kind::Arithmetic { .. } => "arithmetic",
            Kind::Rows { .. } if self.metric.is_per_day => "mean",
            Kind::Rows { .. } if self.is_running() || matches!(self.counted, Counted::Spread(_)) => "last",
            Kind::Rows { .. } if self.adds_up() => "sum",
            Kind::Rows { .. } => "recount",
        }
    }

    /// Returns the table that says from when and until when its rows are known; without one, its own rows do.
    pub(super) fn feed(&self) -> String {
        let Some(rows) = &self.metric.rows else { return String::new() };
        rows.feed.as_ref().map_or_else(|| format!("rows of {}", rows.from.text), |feed| feed.text.clone())
    }

    /// Returns the days that its first value needs.
    pub(super) fn window_days(&self) -> u32 {
        match &self.counted {
            Counted::Spread(days) | Counted::Distinct { days, .. } => *days,
            Counted::Period | Counted::First { .. } | Counted::Stock => 1,
        }
    }

    /// Returns whether what is counted are changes, which are summed up to values.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.counted, Counted::Distinct { .. } | Counted::Stock) || self.is_balance()
    }

    fn is_balance(&self) -> bool {
        let rows = self.metric.rows.as_ref().filter(|_| matches!(self.kind, Kind::Rows { .. }));
        rows.is_some_and(|rows| matches!(rows.time, MetricTime::Balance(_)))
    }

    /// Returns the aggregate that says how many values it rests on, where none of its parts does.
    pub(super) fn sample(&self) -> Option<String> {
        let values = match &self.kind {
            Kind::Rows { denominator: Some(of), .. } | Kind::Rows { numerator: of, .. } => of.values.clone(),
            Kind::Arithmetic { .. } => None,
        };
        self.metric.sample.as_ref().map(|sample| sample.text.clone()).or(values)
    }

    /// Returns the calls that count it, by the names that the engine knows them by.
    pub(super) fn calls(&self) -> BTreeMap<String, String> {
        let Kind::Rows { numerator, denominator } = &self.kind else { return BTreeMap::new() };
        let sides = std::iter::once(numerator).chain(denominator).map(|of| of.sql.clone());
        sides.chain(self.sample()).flat_map(|sql| formula::named_calls(&sql)).collect()
    }

    /// Returns the operands of its arithmetic.
    pub(super) fn operands(&self) -> BTreeSet<&Operand> {
        match &self.kind {
            Kind::Rows { .. } => BTreeSet::new(),
            Kind::Arithmetic { numerator, denominator, .. } => {
                numerator.operands.iter().chain(denominator.iter().flat_map(|of| &of.operands)).collect()
            }
        }
    }
}

/// The names that arithmetic can use.
struct Known<'a> {
    project: &'a Project,
}

impl Names for Known<'_> {
    fn metric(&self, area: &str, name: &str) -> Option<String> {
        let id = match name.split_once('.') {
            Some((area, key)) => format!("{area}_{key}"),
            None => format!("{area}_{name}"),
        };
        self.project.metrics.contains_key(&id).then_some(id)
    }

    fn days(&self, variable: &str) -> Option<u32> {
        match self.project.settings.vars.get(variable)? {
            Variable::Integer(days) => u32::try_from(*days).ok(),
            _ => None,
        }
    }

    fn nearest(&self, area: &str, name: &str) -> Option<String> {
        let keys = self.project.metrics.values().map(|metric| {
            if metric.area == area { metric.key.text.clone() } else { format!("{}.{}", metric.area, metric.key.text) }
        });
        let keys: Vec<String> = keys.collect();
        did_you_mean(name, keys.iter().map(String::as_str))
    }
}

/// Returns the ids of the metrics that stand first; reports names that no metric has.
pub(super) fn headline(project: &Project, mistakes: &mut Diagnostics) -> Vec<String> {
    let settings = &project.settings;
    let id = |word: &Located| {
        let id = word.text.split_once('.').map(|(area, key)| format!("{area}_{key}"));
        let known = id.filter(|id| project.metrics.contains_key(id));
        if known.is_none() {
            let all = project.metrics.values().map(|metric| format!("{}.{}", metric.area, metric.key.text));
            let all: Vec<String> = all.collect();
            let help = did_you_mean(&word.text, all.iter().map(String::as_str))
                .unwrap_or_else(|| "name a metric as `area.key`".to_owned());
            let message = format!("there is no metric `{}`", word.text);
            mistakes
                .push(Diagnostic::new(Code::UnknownMetric, settings.file.at(word.bytes.clone()), message).help(help));
        }
        known
    };
    settings.headline_metrics.iter().filter_map(id).collect()
}

/// Reports headline metrics that have no row of the whole.
pub(super) fn check_headline(project: &Project, metrics: &[Resolved<'_>], mistakes: &mut Diagnostics) {
    for word in &project.settings.headline_metrics {
        let id = word.text.replace('.', "_");
        if metrics.iter().any(|metric| metric.metric.id == id && !metric.scopes.contains("total")) {
            let message = format!("`{}` has no row of the whole", word.text);
            mistakes.push(
                Diagnostic::new(Code::MetricFormula, project.settings.file.at(word.bytes.clone()), message)
                    .help("name a metric that has one: its rows are declared with `total = false`"),
            );
        }
    }
}

/// Reads the expressions of all metrics; `None` where one is mistaken. Metrics stand after those that they name.
pub(super) fn all<'a>(
    metrics: &'a BTreeMap<String, Metric>,
    project: &Project,
    session: &SessionState,
    mistakes: &mut Diagnostics,
) -> Option<Vec<Resolved<'a>>> {
    let reader = Reader { names: Known { project }, session };
    let mut read: BTreeMap<&str, Resolved<'a>> = BTreeMap::new();
    let mut own = Diagnostics::default();
    for (id, metric) in metrics {
        match reader.read(metric) {
            Ok(resolved) => drop(read.insert(id, resolved)),
            Err(mistake) => own.push(mistake),
        }
    }
    let edges: BTreeMap<String, BTreeSet<String>> =
        read.iter().map(|(id, metric)| ((*id).to_owned(), metric.uses.clone())).collect();
    let order = match graph::waves(&edges) {
        Ok(waves) => waves.concat(),
        Err(cycles) => {
            let place = |name: &str, _: &str| metrics[name].file.at(metrics[name].key.bytes.clone());
            cycles.iter().for_each(|cycle| own.push(graph::cycle("metrics", "use", cycle, place)));
            Vec::new()
        }
    };
    if own.is_empty() {
        expand(&mut read, &order, &mut own);
    }
    if !own.is_empty() {
        mistakes.extend(own);
        return None;
    }
    Some(order.iter().filter_map(|id| read.remove(id.as_str())).collect())
}

/// Puts the arithmetic of metrics in the place of their names, so that all of it speaks of metrics that are counted; and
/// finds the scopes of each.
fn expand(read: &mut BTreeMap<&str, Resolved<'_>>, order: &[String], mistakes: &mut Diagnostics) {
    for id in order {
        let Some(metric) = read.get(id.as_str()) else { continue };
        let operands: Vec<Operand> = metric.operands().into_iter().cloned().collect();
        if operands.is_empty() {
            continue;
        }
        if let Some(mistake) = operands.iter().find_map(|operand| unfit(metric, operand, read)) {
            mistakes.push(mistake);
            continue;
        }
        let across = operands.iter().any(|operand| operand.across.is_some());
        let scopes = if across {
            BTreeSet::from(["total".to_owned()])
        } else {
            let of = operands.iter().filter_map(|operand| read.get(operand.id.as_str()));
            of.map(|operand| operand.scopes.clone()).reduce(|all, of| &all & &of).unwrap_or_default()
        };
        if scopes.is_empty() {
            mistakes.push(
                at(metric.metric, "no scope has all of the metrics that it is made of")
                    .help("metrics that are put together need one scope in common, such as the whole"),
            );
            continue;
        }
        let inlined: BTreeMap<String, (String, Vec<Operand>, bool)> = operands
            .iter()
            .filter_map(|operand| {
                let of = read.get(operand.id.as_str())?;
                let Kind::Arithmetic { numerator, denominator, is_windowed } = &of.kind else { return None };
                // As its own rows have it.
                let sql = match denominator {
                    None => format!("round({}, 6)", numerator.sql),
                    Some(of) => {
                        let below = divisor(&format!("round({}, 6)", of.sql));
                        format!("round(round({}, 6) / {below}, 6)", numerator.sql)
                    }
                };
                Some((operand.column(), (sql, of.operands().into_iter().cloned().collect(), *is_windowed)))
            })
            .collect();
        let Some(metric) = read.get_mut(id.as_str()) else { continue };
        metric.scopes = scopes;
        if let Kind::Arithmetic { numerator, denominator, is_windowed } = &mut metric.kind {
            for side in std::iter::once(numerator).chain(denominator) {
                for (column, (sql, operands, windowed)) in &inlined {
                    if side.operands.iter().any(|operand| operand.column() == *column) {
                        side.sql = replace_word(&side.sql, column, sql);
                        side.operands.retain(|operand| operand.column() != *column);
                        side.operands.extend(operands.iter().cloned());
                        *is_windowed |= windowed;
                    }
                }
            }
        }
        let is_across = |operand: &&Operand| operand.across.is_some();
        if metric.operands().iter().any(is_across) && !metric.operands().iter().all(is_across) {
            mistakes.push(mixed(metric));
        }
    }
}

/// Returns what is wrong with using a metric in such a way.
fn unfit(metric: &Resolved<'_>, operand: &Operand, read: &BTreeMap<&str, Resolved<'_>>) -> Option<Diagnostic> {
    let of = read.get(operand.id.as_str())?;
    let name = &operand.id;
    let is_arithmetic = matches!(of.kind, Kind::Arithmetic { .. });
    if is_arithmetic && (operand.over.is_some() || operand.across.is_some()) {
        return Some(
            at(
                metric.metric,
                format!("`{name}` is arithmetic of metrics, which has no window and no scopes of its own"),
            )
            .help("put the window or the scope to the metrics that it is made of"),
        );
    }
    if operand.over.is_some() && !of.adds_up() && !of.metric.is_per_day && !of.is_running() {
        return Some(
            at(metric.metric, format!("`{name}` does not add up over days"))
                .help("count it over the window from rows: give it the same `value` and `over`"),
        );
    }
    if let Some((_, scope)) = &operand.across
        && !of.scopes.contains(scope)
    {
        let scopes: Vec<&str> = of.scopes.iter().map(String::as_str).filter(|scope| *scope != "total").collect();
        return Some(
            at(metric.metric, format!("`{name}` has no scope `{scope}`")).help(
                did_you_mean(scope, scopes.iter().copied())
                    .unwrap_or_else(|| format!("its scopes are {}", quoted(&scopes))),
            ),
        );
    }
    let is_mixed = operand.across.is_some() != metric.operands().iter().all(|other| other.across.is_some());
    (operand.across.is_some() && is_mixed).then(|| mixed(metric))
}

fn mixed(metric: &Resolved<'_>) -> Diagnostic {
    at(metric.metric, "it puts values of single scopes and of all scopes together")
        .help("write `by <scope>` to each of its metrics, or to none")
}

/// Returns whether a key about rows would do nothing in a metric of other metrics.
fn is_idle(metric: &Metric, key: &str) -> bool {
    match key {
        // It takes away the rows of the area.
        "from" => metric.rows.is_some(),
        "over" => !matches!(metric.formula, Formula::Of { .. }),
        _ => true,
    }
}

/// Returns what is wrong with a key that would do nothing.
fn idle_key(metric: &Metric, kind: &Kind, counted: &Counted) -> Option<Diagnostic> {
    let is_arithmetic = matches!(kind, Kind::Arithmetic { .. });
    let is_across = matches!(kind, Kind::Arithmetic { numerator, .. }
        if numerator.operands.iter().any(|operand| operand.across.is_some()));
    let of_changes = matches!(counted, Counted::Stock | Counted::Distinct { .. } | Counted::First { .. });
    let refuse = |bytes: &Range<usize>, message: &str, help: &str| {
        Some(Diagnostic::new(Code::MetricFormula, metric.file.at(bytes.clone()), message).help(help))
    };
    if let Some(carry) = metric.carry.as_ref().filter(|_| !is_across) {
        return refuse(
            &carry.bytes,
            "`carry` is of metrics that look across scopes",
            "write such as `min(drawdown by instrument)`, or remove it",
        );
    }
    for (key, word) in [("open", &metric.open), ("sample", &metric.sample)] {
        if let Some(word) = word.as_ref().filter(|_| is_arithmetic) {
            return refuse(
                &word.bytes,
                &format!("`{key}` is of metrics that are counted from rows"),
                "write it to the metrics that this one is made of",
            );
        }
        if let Some(word) = word.as_ref().filter(|_| of_changes) {
            return refuse(
                &word.bytes,
                &format!("`{key}` does not go with stocks and different values over days"),
                "remove it",
            );
        }
    }
    if is_arithmetic && let Some(key) = metric.own_keys.iter().find(|key| is_idle(metric, &key.text)) {
        let help = match key.text.as_str() {
            "over" => "write the window to a metric, as in `solved over 28 days`",
            "settle" => "write it to the metrics that this one is made of: it is complete when all of them are",
            _ => "remove it: its days and scopes are those of the metrics that it is made of",
        };
        let message = format!("`{}` is of metrics that are counted from rows", key.text);
        return refuse(&key.bytes, &message, help);
    }
    let is_observed = metric.rows.as_ref().is_some_and(|rows| rows.spine == Spine::Observed);
    let is_balance = metric.rows.as_ref().is_some_and(|rows| matches!(rows.time, MetricTime::Balance(_)));
    if is_observed && (of_changes || is_balance) {
        return refuse(
            &metric.key.bytes,
            "what changes from day to day has a value on every day, and `spine = \"observed\"` leaves days out",
            "write `spine = \"calendar\"`",
        );
    }
    if metric.is_per_day
        && let Kind::Rows { numerator, denominator } = kind
        && (denominator.is_some() || (numerator.adds_up == AddsUp::No && numerator.distinct.is_none()))
    {
        return refuse(
            &metric.key.bytes,
            "`per = \"day\"` is the mean of the counts or sums of days",
            "remove `per`: longer periods of ratios and medians are counted from their rows",
        );
    }
    if metric.is_per_day && is_arithmetic {
        return refuse(
            &metric.key.bytes,
            "`per` is of metrics that are counted from rows",
            "write it to the metrics that this one is made of",
        );
    }
    None
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn at(metric: &Metric, message: impl Into<String>) -> Diagnostic {
    let word = match &metric.formula {
        Formula::Value(word) | Formula::Of { metric: word, .. } | Formula::Ratio { numerator: word, .. } => word,
    };
    Diagnostic::new(Code::MetricFormula, metric.file.at(word.bytes.clone()), message)
}

/// The engine tells scopes apart by a bit for each column.
fn scopes_fit(metric: &Metric, rows: &MetricRows) -> Result<(), Diagnostic> {
    let count = scope_columns(rows).len();
    let Some(last) = rows.by.last().filter(|_| count > MOST_SCOPE_COLUMNS) else { return Ok(()) };
    let message = format!("the scopes have {count} columns, and {MOST_SCOPE_COLUMNS} is the limit");
    Err(Diagnostic::new(Code::MetricFormula, metric.file.at(last.name.bytes.clone()), message)
        .help("take scopes out of `by`, or put some of them into a metric of another area"))
}

struct Reader<'a> {
    names: Known<'a>,
    session: &'a SessionState,
}

impl Reader<'_> {
    fn read<'a>(&self, metric: &'a Metric) -> Result<Resolved<'a>, Diagnostic> {
        if let Some(rows) = &metric.rows {
            self.table(metric, &rows.from)?;
            rows.feed.iter().try_for_each(|feed| self.table(metric, feed))?;
            scopes_fit(metric, rows)?;
        }
        self.syntax(metric)?;
        let settle = metric.settle.as_ref().map_or(Ok(0), |days| self.days(metric, days))?;
        let kind = self.kind(metric)?;
        let counted = self.counted(metric, &kind)?;
        if let Some(mistake) = idle_key(metric, &kind, &counted) {
            return Err(mistake);
        }
        let min_sample = match &metric.sample {
            Some(sample) => self.min_sample(metric, sample)?,
            None => 0,
        };
        let carry = metric.carry.as_ref().map(|days| self.days(metric, days)).transpose()?;
        let scopes = scope_types(metric).into_iter().map(str::to_owned).collect();
        let mut resolved = Resolved { metric, kind, counted, settle, min_sample, carry, scopes, uses: BTreeSet::new() };
        resolved.uses = resolved.operands().into_iter().map(|operand| operand.id.clone()).collect();
        Ok(resolved)
    }

    /// What does not parse is told where it is written; arithmetic is read by its own rules.
    fn syntax(&self, metric: &Metric) -> Result<(), Diagnostic> {
        let filter = metric.rows.iter().filter_map(|rows| rows.filter.as_ref());
        let formula = match &metric.formula {
            Formula::Value(value) if self.is_over_rows(metric, &[value]) => vec![value],
            Formula::Ratio { numerator, denominator } if self.is_over_rows(metric, &[numerator, denominator]) => {
                vec![numerator, denominator]
            }
            _ => Vec::new(),
        };
        for word in filter.chain(&metric.open).chain(&metric.sample).chain(formula) {
            let file = SourceFile::new(metric.file.path.clone(), word.text.as_str());
            query::expression(&file).map_err(|mut mistake| {
                mistake.at = super::probe::in_file(&metric.file, word, &mistake.at.bytes);
                let is_window = word.text.to_lowercase().contains(" over ");
                mistake.maybe_help(is_window.then(|| {
                    "windows of days are of metrics: write `solved over 28 days` without an aggregate, \
                     or `max(solved over 28 days by agent)` across scopes"
                        .to_owned()
                }))
            })?;
        }
        Ok(())
    }

    /// Metrics count the rows of facts, and of what is made of them.
    fn table(&self, metric: &Metric, word: &Located) -> Result<(), Diagnostic> {
        let Project { models, sources, .. } = self.names.project;
        let at = metric.file.at(word.bytes.clone());
        let name = word.text.as_str();
        let may_read = |layer: Layer| Layer::Metrics.may_read(layer);
        match models.get(name) {
            Some(model) if may_read(model.layer) => Ok(()),
            Some(model) => {
                let message = format!("metrics must not read `{name}`, which is in `sql/{}/`", model.layer.folder());
                Err(Diagnostic::new(Code::LayerReads, at, message)
                    .help("count the rows of a table of `sql/intermediate/`, `sql/marts/` or `sql/kpi/`"))
            }
            None if sources.contains_key(name) => {
                let message = format!("metrics must not read the landed dataset `{name}`");
                Err(Diagnostic::new(Code::LayerReads, at, message).help("count the rows of a fact that is made of it"))
            }
            None => {
                let known = models.values().filter(|model| may_read(model.layer)).map(|model| model.name.as_str());
                let help = did_you_mean(name, known).unwrap_or_else(|| "name a table of `sql/marts/`".to_owned());
                let message = format!("table `{name}` does not exist");
                Err(Diagnostic::new(Code::UnknownTable, at, message).help(help))
            }
        }
    }

    fn kind(&self, metric: &Metric) -> Result<Kind, Diagnostic> {
        match &metric.formula {
            Formula::Of { metric: of, over } => {
                let days = self.days(metric, over)?;
                let Some(id) = self.names.metric(&metric.area, &of.text) else {
                    let message = format!("there is no metric `{}`", of.text);
                    let help = self.names.nearest(&metric.area, &of.text);
                    return Err(Diagnostic::new(Code::UnknownMetric, metric.file.at(of.bytes.clone()), message)
                        .help(help.unwrap_or_else(|| "name a metric of this area, or `area.key`".to_owned())));
                };
                let operand = Operand { id: id.clone(), over: Some(Over { days, is_before: false }), across: None };
                let is_ratio = self.names.project.metrics.get(&id).is_some_and(|of| match &of.formula {
                    Formula::Ratio { .. } => true,
                    Formula::Value(_) | Formula::Of { .. } => false,
                });
                let side = |part: &str| Arithmetic {
                    sql: format!("{}{part}", operand.column()),
                    operands: BTreeSet::from([operand.clone()]),
                };
                let (numerator, denominator) =
                    if is_ratio { (side("_numerator"), Some(side("_denominator"))) } else { (side(""), None) };
                Ok(Kind::Arithmetic { numerator, denominator, is_windowed: true })
            }
            Formula::Value(value) => {
                if self.is_over_rows(metric, &[value]) {
                    return Ok(Kind::Rows { numerator: formula::aggregate(&value.text), denominator: None });
                }
                let value = self.arithmetic(metric, value)?;
                let (numerator, denominator) = match value.divided() {
                    Some((numerator, denominator)) => (numerator, Some(denominator)),
                    None => (value, None),
                };
                Ok(arithmetic(numerator, denominator))
            }
            Formula::Ratio { numerator, denominator } => {
                if self.is_over_rows(metric, &[numerator, denominator]) {
                    return Ok(Kind::Rows {
                        numerator: formula::aggregate(&numerator.text),
                        denominator: Some(formula::aggregate(&denominator.text)),
                    });
                }
                Ok(arithmetic(self.arithmetic(metric, numerator)?, Some(self.arithmetic(metric, denominator)?)))
            }
        }
    }

    /// Rows are counted by aggregates; arithmetic has none, but for those over scopes, which say `by`. A column may be
    /// called like a metric.
    fn is_over_rows(&self, metric: &Metric, expressions: &[&Located]) -> bool {
        let is_across = |found: &Arithmetic| found.operands.iter().any(|operand| operand.across.is_some());
        metric.rows.is_some()
            && expressions.iter().any(|word| formula::has_aggregate(&word.text, self.session))
            && !expressions.iter().any(|word| self.arithmetic(metric, word).is_ok_and(|found| is_across(&found)))
    }

    fn arithmetic(&self, metric: &Metric, word: &Located) -> Result<Arithmetic, Diagnostic> {
        let file = SourceFile::new(metric.file.path.clone(), word.text.as_str());
        formula::arithmetic(&file, &metric.area, &self.names)
            .map_err(|mut mistake| {
                mistake.at = super::probe::in_file(&metric.file, word, &mistake.at.bytes);
                mistake
            })
            .and_then(|found| {
                let is_itself = |operand: &Operand| operand.id == metric.id;
                if metric.rows.is_some() && found.operands.iter().any(is_itself) {
                    let message = format!("`{}` names the metric itself, and counts no rows", word.text);
                    return Err(Diagnostic::new(Code::MetricFormula, metric.file.at(word.bytes.clone()), message)
                        .help(format!("write an aggregate, such as `sum({})`", metric.key.text)));
                }
                if found.operands.is_empty() {
                    let message =
                        format!("`{}` is neither an aggregate over rows nor arithmetic of metrics", word.text);
                    return Err(Diagnostic::new(Code::MetricFormula, metric.file.at(word.bytes.clone()), message)
                        .help(
                            "write an aggregate, such as `sum(amount)`, or name metrics, such as `solved / created`",
                        ));
                }
                Ok(found)
            })
    }

    fn counted(&self, metric: &Metric, kind: &Kind) -> Result<Counted, Diagnostic> {
        let (Some(rows), Kind::Rows { numerator, denominator }) = (&metric.rows, kind) else {
            return Ok(Counted::Period);
        };
        let distinct = numerator.distinct.as_ref().filter(|_| denominator.is_none());
        if let MetricTime::Stock { .. } | MetricTime::Balance(_) = &rows.time {
            let adds = |of: &Aggregate| of.adds_up == AddsUp::Sum;
            if !matches!(kind, Kind::Rows { numerator, denominator: None } if adds(numerator)) {
                return Err(at(metric, "a stock or a balance is a count or a sum")
                    .help("write `count(*)` or `sum(…)`; a ratio of stocks is arithmetic of two metrics"));
            }
            let is_balance = matches!(rows.time, MetricTime::Balance(_));
            return Ok(if is_balance { Counted::Period } else { Counted::Stock });
        }
        if let MetricTime::First(_) = &rows.time {
            let Some((of, filter)) = distinct.cloned() else {
                return Err(at(metric, "what counts on its first day is a number of different values")
                    .help("write `count(distinct user_id)`, or take `as` out"));
            };
            return Ok(Counted::First { of, filter });
        }
        let Some(over) = &rows.over else { return Ok(Counted::Period) };
        let days = self.days(metric, over)?;
        Ok(match distinct {
            Some((of, filter)) => Counted::Distinct { of: of.clone(), filter: filter.clone(), days },
            None => Counted::Spread(days),
        })
    }

    fn days(&self, metric: &Metric, days: &DayCount) -> Result<u32, Diagnostic> {
        match &days.days {
            NumberOfDays::Count(days) => Ok(*days),
            NumberOfDays::Variable(name) => {
                self.names.days(name).filter(|days| (1..=3660).contains(days)).ok_or_else(|| {
                    let place = metric.file.at(days.bytes.clone());
                    match self.names.project.settings.vars.get(name) {
                        None => {
                            Diagnostic::new(Code::UnknownVariable, place, format!("variable `${name}` is not declared"))
                                .help("declare it under `[vars]` in opsmart.toml")
                        }
                        Some(_) => {
                            Diagnostic::new(Code::InvalidValue, place, format!("`${name}` is no number of days"))
                                .help("a window has 1 to 3,660 days")
                        }
                    }
                })
            }
        }
    }

    fn min_sample(&self, metric: &Metric, sample: &Located) -> Result<i64, Diagnostic> {
        if let Some(Variable::Integer(least)) = self.names.project.settings.vars.get("min_sample") {
            return Ok(*least);
        }
        let message = "`sample` needs the variable `min_sample`, the least sample that gives a value";
        Err(Diagnostic::new(Code::UnknownVariable, metric.file.at(sample.bytes.clone()), message)
            .help("write `min_sample = 5` under `[vars]` in opsmart.toml"))
    }
}

fn arithmetic(numerator: Arithmetic, denominator: Option<Arithmetic>) -> Kind {
    let is_windowed = numerator
        .operands
        .iter()
        .chain(denominator.iter().flat_map(|of| &of.operands))
        .any(|operand| operand.over.is_some());
    Kind::Arithmetic { numerator: numerator.guarded(), denominator: denominator.map(Arithmetic::guarded), is_windowed }
}
