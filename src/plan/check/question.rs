//! The checks of `[checks]`, each as a query: of single rows, and of the table as a whole.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::DataType;

use super::expression::Scope;
use super::{Check, CheckQuery, Maker, PUBLISHED_ROWS};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use crate::plan::bind::plan_statement;
use crate::plan::query::Query;
use crate::plan::workspace::variable_value;
use crate::project::{CheckDeclaration, Located, Newest, Rule, timestamp};
use crate::sql_text::identifier;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// What `[checks]` is asked of: a table and perhaps a filter.
pub(super) struct From {
    /// The rows, under the table's own name.
    pub(super) sql: String,
    /// The filter in words.
    words: String,
    /// The variables that the filter uses.
    pub(super) variables: BTreeSet<String>,
}

impl Maker<'_> {
    pub(super) fn of_checks(&self, mistakes: &mut Diagnostics) -> Vec<Check> {
        let made = self.contract.checks.iter().filter_map(|check| {
            let mut own = Diagnostics::default();
            let asked = self.of_check(check, &mut own);
            let made = asked.filter(|_| own.is_empty()).and_then(|asked| {
                self.binds(check, &asked, &mut own).then(|| self.check(&check.name.text, &check.terms, asked))
            });
            mistakes.extend(own);
            made
        });
        made.collect()
    }

    fn of_check(&self, check: &CheckDeclaration, mistakes: &mut Diagnostics) -> Option<CheckQuery> {
        let from = self.from(self.name, check.filter.as_ref(), mistakes)?;
        let mut asked = match &check.question {
            Rule::Unique { columns } => {
                self.all(columns, mistakes)?;
                self.unique(columns, &from.sql)
            }
            Rule::Relation { columns, to } => self.relation(columns, to, &from.sql, mistakes)?,
            Rule::Holds { condition } => self.holds(condition, &from, mistakes)?,
            Rule::Rows { min, max } => {
                let sql = format!("select count(*) as \"rows\" from {}", from.sql);
                CheckQuery::one_value(
                    &sql,
                    &outside("\"rows\"", *min, *max),
                    format!("`{}` must have {} rows", self.name, between(*min, *max)),
                )
            }
            Rule::RowChange { up, down } => self.row_change(*up, *down, &from),
            Rule::Newest(newest) => self.newest(newest, &from, mistakes)?,
            Rule::Distinct { column, min, max } => {
                self.column(column, mistakes)?;
                let name = identifier(&column.text);
                let sql = format!("select count(distinct {name}) as \"distinct_values\" from {}", from.sql);
                let message =
                    format!("`{}` of `{}` must have {} distinct values", column.text, self.name, between(*min, *max));
                CheckQuery::one_value(&sql, &outside("\"distinct_values\"", *min, *max), message)
            }
            Rule::Monotone(monotone) => self.monotone(monotone, &from, mistakes)?,
            Rule::NoGaps(no_gaps) => self.no_gaps(no_gaps, &from, mistakes)?,
            Rule::Equal(equation) => self.equal(equation, &from, mistakes)?,
            Rule::Usual(usual) => self.usual(usual, &from, mistakes)?,
        };
        asked.kind = check.question.kind();
        asked.message.push_str(&from.words);
        asked.variables.extend(from.variables);
        Some(asked)
    }

    /// Columns and expressions have been checked one by one. Where several of them meet, what is left to go wrong is
    /// said of the check as a whole; elsewhere nothing is, and binding every query anew would take long.
    fn binds(&self, check: &CheckDeclaration, asked: &CheckQuery, mistakes: &mut Diagnostics) -> bool {
        let several_meet =
            matches!(check.question, Rule::Monotone(_) | Rule::NoGaps(_) | Rule::Equal(_) | Rule::Usual(_));
        if !several_meet {
            return true;
        }
        let file = SourceFile::new(self.contract.file.path.clone(), asked.failing.as_str());
        let value = |name: &str| variable_value(&self.workspace.project.settings, name);
        let planned =
            Query::parse_with(&file, &self.workspace.functions).map_err(|mistake| mistake.message).and_then(|query| {
                plan_statement(self.state, query.statement(value))
                    .map_err(|error| error.find_root().message().into_owned())
            });
        if let Err(why) = planned {
            let why = why.lines().next().unwrap_or_default().to_owned();
            let message = format!("the check `{}` cannot be asked: {why}", check.name.text);
            mistakes.push(Diagnostic::new(Code::Binding, self.contract.file.at(check.name.bytes.clone()), message));
            return false;
        }
        true
    }

    /// Returns the rows of a table that a filter chooses, under the table's own name.
    pub(super) fn from(&self, table: &str, filter: Option<&Located>, mistakes: &mut Diagnostics) -> Option<From> {
        let name = identifier(table);
        let Some(word) = filter else {
            return Some(From { sql: name, words: String::new(), variables: BTreeSet::new() });
        };
        let found = self.scope(table).condition(word, mistakes)?;
        Some(From {
            sql: format!("(select * from {name} where {}) as {name}", found.sql),
            words: format!(", where {}", word.text.trim()),
            variables: found.variables,
        })
    }

    pub(super) fn scope<'a>(&'a self, table: &'a str) -> Scope<'a> {
        Scope {
            state: self.state,
            tried: self.tried,
            settings: &self.workspace.project.settings,
            functions: &self.workspace.functions,
            file: &self.contract.file,
            table,
        }
    }

    pub(super) fn all(&self, columns: &[Located], mistakes: &mut Diagnostics) -> Option<()> {
        let found: Vec<_> = columns.iter().map(|column| self.column(column, mistakes)).collect();
        found.iter().all(Option::is_some).then_some(())
    }

    fn holds(&self, word: &Located, from: &From, mistakes: &mut Diagnostics) -> Option<CheckQuery> {
        let condition = self.scope(self.name).condition(word, mistakes)?;
        let failing = format!("select * from {} where not coalesce({}, true)", from.sql, condition.sql);
        let tested = format!("select count(*) from {}", from.sql);
        let mut asked =
            CheckQuery::of(format!("`{}` must hold in `{}`", word.text.trim(), self.name), failing, Some(tested));
        asked.variables.extend(condition.variables);
        Some(asked)
    }

    fn row_change(&self, up: Option<f64>, down: Option<f64>, from: &From) -> CheckQuery {
        let sql = format!("select ${PUBLISHED_ROWS} as \"published_rows\", count(*) as \"rows\" from {}", from.sql);
        // A quotient and not a product: a change that is exactly the limit must not be missed by its last digit.
        let change = |more: &str, less: &str, limit: f64| {
            format!("cast({more} - {less} as double) / cast(\"published_rows\" as double) > {limit:?}")
        };
        let grown = up.map(|up| change("\"rows\"", "\"published_rows\"", up));
        let shrunk = down.map(|down| change("\"published_rows\"", "\"rows\"", down));
        let words =
            [up.map(|up| format!("grow by more than {up}")), down.map(|down| format!("shrink by more than {down}"))];
        let words: Vec<String> = words.into_iter().flatten().collect();
        let broken: Vec<String> = grown.into_iter().chain(shrunk).collect();
        let message = format!("`{}` must not {} of its published rows", self.name, words.join(" or "));
        CheckQuery::one_value(&sql, &broken.join(" or "), message)
    }

    fn newest(&self, newest: &Newest, from: &From, mistakes: &mut Diagnostics) -> Option<CheckQuery> {
        let Newest { column, within_seconds, within } = newest;
        let kind = self.column(column, mistakes)?;
        let mut variables = BTreeSet::from(["as_of".to_owned()]);
        let least = if kind == DataType::Date32 {
            if within_seconds % DAY != 0 {
                let message = format!("`{}` holds days, and `{}` are none", column.text, within.text);
                mistakes.push(
                    Diagnostic::new(Code::RuleType, self.contract.file.at(within.bytes.clone()), message)
                        .help("write whole days, such as `2 days`"),
                );
                return None;
            }
            variables.insert("reporting_zone".to_owned());
            format!("local_day($as_of, $reporting_zone) - interval '{} days'", within_seconds / DAY)
        } else if kind == timestamp() {
            format!("$as_of - interval '{within_seconds} seconds'")
        } else {
            let message = format!("`{}` is of type {kind}, and `newest` is for dates and timestamps", column.text);
            mistakes.push(Diagnostic::new(Code::RuleType, self.contract.file.at(column.bytes.clone()), message));
            return None;
        };
        let sql = format!("select max({}) as \"newest\" from {}", identifier(&column.text), from.sql);
        let message = format!(
            "the newest `{}` of `{}` must be at most {} behind the run's clock",
            column.text, self.name, within.text
        );
        let mut asked = CheckQuery::one_value(&sql, &format!("\"newest\" is null or \"newest\" < {least}"), message);
        asked.variables = variables;
        Some(asked)
    }
}

fn outside(value: &str, min: Option<u64>, max: Option<u64>) -> String {
    let below = min.map(|min| format!("{value} < {min}"));
    let above = max.map(|max| format!("{value} > {max}"));
    below.into_iter().chain(above).collect::<Vec<_>>().join(" or ")
}

fn between(min: Option<u64>, max: Option<u64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "any".to_owned(),
    }
}
