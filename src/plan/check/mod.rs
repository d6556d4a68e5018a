//! Turns the checks of contracts into queries for the rows that break them.
//!
//! A query of `sql/checks/` is already such a query. The SQL that people write into `[checks]` is bound here, alone and in
//! its place, so that a mistake in it is found before anything runs and shown where it stands.

mod equal;
mod expression;
mod question;
mod sequence;
mod usual;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::execution::context::SessionState;

pub(in crate::plan) use self::expression::Scope;
use super::Workspace;
use super::trial::CompileCache;
use super::workspace::{CLOCK, Kind, rule_mistake, variable_value};
use crate::canonical::{Canonical, canonical, case};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::digest::{Digest, Parts};
use crate::engine;
use crate::functions;
use crate::project::{Located, ModelColumn, ModelContract, Rules, Terms, To};
use crate::sql_text::{identifier, text};

/// The variable that stands for the published rows of a table, in the SQL of a check. Nobody can declare it.
pub const PUBLISHED_ROWS: &str = "_published_rows";

/// A check, as a query: what a table must keep to.
///
/// - `name` is unique in a workspace: a query's own name, or the table's with the rule.
/// - The SQL reads stored tables and, for a query of `sql/checks/`, what that reads.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// The table that declares it; none for a query of `sql/checks/` that names no table.
    pub table: Option<String>,
    /// What it asks: the key of the contract, or `assert`.
    pub kind: &'static str,
    /// How it is judged.
    pub terms: Terms,
    /// What is wrong where it is broken.
    pub message: String,
    /// The SELECT for the rows that break it.
    pub failing: String,
    /// How many rows are tested.
    pub denominator: Denominator,
    /// The datasets and stored tables that it reads.
    pub inputs: BTreeSet<String>,
    /// Digest of all that it asks.
    pub definition_hash: Digest,
    /// Whether its SQL uses `$as_of`.
    pub uses_clock: bool,
}

impl Check {
    /// Returns whether it compares a table with what was published of it.
    #[must_use]
    pub fn reads_published_rows(&self) -> bool {
        self.kind == "row_change"
    }

    /// Returns the digest of what it asks and of the contents that it is asked of: equal, and it need not be asked again.
    #[must_use]
    pub fn run_hash(&self, as_of: DateTime<Utc>, content: impl Fn(&str) -> Option<Digest>) -> Digest {
        let mut parts = Parts::of("promise");
        parts.add(self.definition_hash.as_str());
        if self.uses_clock {
            parts.add(as_of.to_rfc3339());
        }
        for input in &self.inputs {
            parts.add(input);
            parts.add(content(input).as_ref().map_or("none", Digest::as_str));
        }
        parts.digest()
    }
}

impl Canonical for Denominator {
    fn write(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows(counting) => case(f, "Rows", &[counting]),
            Self::OneValue => f.write_str("OneValue"),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}

/// How many rows a check is asked of.
#[derive(Debug, Clone)]
pub enum Denominator {
    /// As many as this SELECT counts.
    Rows(String),
    /// One value, whatever it is made of.
    OneValue,
    /// Nobody knows: a query of `sql/checks/` that names no table.
    Unknown,
}

/// What a check is made of, before its name and terms are put to it.
struct CheckQuery {
    kind: &'static str,
    message: String,
    failing: String,
    tested: Option<String>,
    /// The other tables that it reads.
    others: BTreeSet<String>,
    /// The variables that it uses.
    variables: BTreeSet<String>,
}

impl CheckQuery {
    /// A check of a kind that its caller knows.
    fn of(message: String, failing: String, tested: Option<String>) -> Self {
        Self { kind: "", message, failing, tested, others: BTreeSet::new(), variables: BTreeSet::new() }
    }

    /// A check of the one row that `sql` returns.
    fn one_value(sql: &str, broken: &str, message: String) -> Self {
        Self::of(message, format!("select * from ({sql}) where {broken}"), None)
    }
}

/// Returns the checks of the table `name`, in order: its key, its columns' rules, its checks.
pub(super) fn of(
    workspace: &Workspace,
    state: &SessionState,
    name: &str,
    tried: Option<&CompileCache>,
    mistakes: &mut Diagnostics,
) -> Vec<Check> {
    let (Some(table), Some(model)) = (workspace.tables.get(name), workspace.project.models.get(name)) else {
        return Vec::new();
    };
    let contract = workspace.project.contracts.get(name);
    if table.kind == Kind::Check {
        return vec![of_query(workspace, name, &model.file, contract, mistakes)];
    }
    let Some(contract) = contract else { return Vec::new() };
    let maker = Maker { workspace, state, tried, name, contract, schema: &table.schema };
    maker.check_columns(mistakes);
    if !table.kind.is_stored() {
        maker.nobody_asks(mistakes);
        return Vec::new();
    }
    let mut checks = maker.of_key();
    checks.extend(maker.of_columns(mistakes));
    checks.extend(maker.of_checks(mistakes));
    checks
}

/// A query of `sql/checks/`: its rows are what is wrong.
fn of_query(
    workspace: &Workspace,
    name: &str,
    file: &crate::diagnostic::SourceFile,
    contract: Option<&ModelContract>,
    mistakes: &mut Diagnostics,
) -> Check {
    let table = &workspace.tables[name];
    let terms = contract.map(|contract| contract.terms.clone()).unwrap_or_default();
    let mut inputs = table.inputs.clone();
    let mut tested = Denominator::Unknown;
    let mut of = None;
    if let Some((contract, target)) = contract.and_then(|contract| Some((contract, contract.of.as_ref()?)))
        && stored(workspace, contract, target, mistakes).is_some()
    {
        inputs.insert(target.text.clone());
        tested = Denominator::Rows(format!("select count(*) from {}", identifier(&target.text)));
        of = Some(target.text.clone());
    }
    let mut meaning = Parts::of("query");
    meaning.add(table.definition_hash.as_str());
    meaning.add(format!("{} {}", canonical(&terms), canonical(&tested)));
    Check {
        name: name.to_owned(),
        table: of,
        kind: "assert",
        terms,
        message: format!("`{}` must return no rows", file.path),
        failing: file.text.to_string(),
        denominator: tested,
        inputs,
        definition_hash: meaning.digest(),
        uses_clock: table.uses_clock,
    }
}

/// Returns the columns of a stored table that a contract names; reports one that is none.
fn stored<'a>(
    workspace: &'a Workspace,
    contract: &ModelContract,
    target: &Located,
    mistakes: &mut Diagnostics,
) -> Option<&'a Schema> {
    if let Some(table) = workspace.tables.get(&target.text)
        && table.kind.is_stored()
    {
        return Some(&table.schema);
    }
    // What stands in the way of a model that does not bind has been said.
    let is_broken = workspace.project.models.contains_key(&target.text) && !workspace.tables.contains_key(&target.text);
    if !is_broken {
        let stored = workspace.tables.iter().filter(|(_, table)| table.kind.is_stored()).map(|(name, _)| name.as_str());
        let message = format!("there is no stored table `{}`", target.text);
        mistakes.push(
            Diagnostic::new(Code::UnknownTable, contract.file.at(target.bytes.clone()), message)
                .label("checks run over stored models")
                .help(did_you_mean(&target.text, stored).unwrap_or_else(|| {
                    "it can be a model of `sql/marts/` or above, or one whose contract says `stored = true`".to_owned()
                })),
        );
    }
    None
}

/// Makes the checks of one table.
struct Maker<'a> {
    workspace: &'a Workspace,
    state: &'a SessionState,
    tried: Option<&'a CompileCache>,
    name: &'a str,
    contract: &'a ModelContract,
    schema: &'a Schema,
}

impl Maker<'_> {
    /// The key and the rules of columns must be about columns that the SQL makes.
    fn check_columns(&self, mistakes: &mut Diagnostics) {
        let contract = self.contract;
        let named =
            contract.key.iter().zip(&contract.places.key).chain(contract.columns.keys().zip(&contract.places.columns));
        for (column, place) in named {
            let word = Located { text: column.clone(), bytes: place.clone() };
            self.column(&word, mistakes);
        }
        for ((column, of), place) in contract.columns.iter().zip(&contract.places.columns) {
            let Ok(field) = self.schema.field_with_name(column) else { continue };
            if let Some(message) = rule_mistake(column, &of.rules, field.data_type()) {
                mistakes.push(Diagnostic::new(Code::RuleType, contract.file.at(place.clone()), message));
            }
            if let Some(max_change) = &of.max_change
                && !field.data_type().is_numeric()
            {
                let message = format!("`{column}` is of type {}, and `max_change` is for numbers", field.data_type());
                let at = contract.file.at(max_change.written.bytes.clone());
                mistakes.push(Diagnostic::new(Code::RuleType, at, message));
            }
        }
    }

    /// The rows of a view are never there to be asked.
    fn nobody_asks(&self, mistakes: &mut Diagnostics) {
        let contract = self.contract;
        let has_checks = |of: &ModelColumn| {
            of.rules != Rules::default() || of.unique || of.relation.is_some() || of.max_change.is_some()
        };
        let columns = contract.columns.values().zip(&contract.places.columns);
        let column = columns.filter(|(of, _)| has_checks(of)).map(|(_, place)| place).next();
        let check = contract.checks.first().map(|check| &check.name.bytes);
        if let Some(place) = contract.places.key.first().or(column).or(check) {
            let message = format!("`{}` is a view, and checks run over stored tables", self.name);
            mistakes.push(
                Diagnostic::new(Code::InvalidValue, contract.file.at(place.clone()), message)
                    .help("write `stored = true`, or check a model that reads this one"),
            );
        }
    }

    fn of_key(&self) -> Vec<Check> {
        if self.contract.key.is_empty() {
            return Vec::new();
        }
        let key = self.contract.key.join(", ");
        let missing: Vec<String> =
            self.contract.key.iter().map(|column| format!("{} is null", identifier(column))).collect();
        let table = identifier(self.name);
        let required = self.of_rows(
            "required",
            format!("the key ({key}) of `{}` must not be null", self.name),
            &missing.join(" or "),
        );
        let columns = self.contract.key.iter().map(|column| identifier(column)).collect::<Vec<_>>().join(", ");
        // Rows without a key break the other check.
        let unique = CheckQuery {
            kind: "unique",
            message: format!("the key ({key}) of `{}` must be unique", self.name),
            failing: format!(
                "select {columns}, count(*) as \"rows\" from {table} where not ({}) group by {columns} having count(*) > 1",
                missing.join(" or ")
            ),
            tested: Some(format!("select count(*) from {table}")),
            others: BTreeSet::new(),
            variables: BTreeSet::new(),
        };
        let named = [("key.required", required), ("key.unique", unique)];
        named.map(|(rule, asked)| self.check(rule, &Terms::default(), asked)).into()
    }

    fn of_columns(&self, mistakes: &mut Diagnostics) -> Vec<Check> {
        let mut checks = Vec::new();
        for ((column, of), place) in self.contract.columns.iter().zip(&self.contract.places.columns) {
            let Ok(field) = self.schema.field_with_name(column) else { continue };
            let (name, kind, rules) = (identifier(column), field.data_type(), &of.rules);
            let mut add = |asked: CheckQuery| {
                let rule = format!("{column}.{}", asked.kind);
                checks.push(self.check(&rule, &of.terms, asked));
            };
            let words = |words: String| format!("`{column}` of `{}` {words}", self.name);
            if rules.required {
                add(self.of_rows("required", words("must not be null".to_owned()), &format!("{name} is null")));
            }
            if !rules.values.is_empty() {
                let values = rules.values.iter().map(|value| literal(value, kind)).collect::<Vec<_>>().join(", ");
                let message = words(format!("must be one of {}", rules.values.join(", ")));
                add(self.of_rows("values", message, &format!("{name} not in ({values})")));
            }
            if let Some(min) = &rules.min {
                let broken = format!("{name} < {}", literal(min, kind));
                add(self.of_rows("min", words(format!("must be at least {min}")), &broken));
            }
            if let Some(max) = &rules.max {
                let broken = format!("{name} > {}", literal(max, kind));
                add(self.of_rows("max", words(format!("must be at most {max}")), &broken));
            }
            if let Some(pattern) = &rules.pattern {
                let broken = format!("not regexp_like({name}, {})", text(pattern));
                add(self.of_rows("pattern", words(format!("must match `{pattern}`")), &broken));
            }
            let word = Located { text: column.clone(), bytes: place.clone() };
            if of.unique {
                add(self.unique(std::slice::from_ref(&word), &identifier(self.name)));
            }
            if let Some(to) = &of.relation
                && let Some(asked) = self.relation(std::slice::from_ref(&word), to, &identifier(self.name), mistakes)
            {
                add(asked);
            }
        }
        checks
    }

    /// A check that each row passes or fails alone.
    fn of_rows(&self, kind: &'static str, message: String, broken: &str) -> CheckQuery {
        let table = identifier(self.name);
        CheckQuery {
            kind,
            message,
            failing: format!("select * from {table} where {broken}"),
            tested: Some(format!("select count(*) from {table}")),
            others: BTreeSet::new(),
            variables: BTreeSet::new(),
        }
    }

    fn unique(&self, columns: &[Located], from: &str) -> CheckQuery {
        let list = quoted(columns, None).join(", ");
        let given = not_null(columns, None);
        CheckQuery {
            kind: "unique",
            message: format!("{} of `{}` must be unique", listed(columns), self.name),
            failing: format!(
                "select {list}, count(*) as \"rows\" from {from} where {given} group by {list} having count(*) > 1"
            ),
            tested: Some(format!("select count(*) from {from} where {given}")),
            others: BTreeSet::new(),
            variables: BTreeSet::new(),
        }
    }

    /// Values of our columns that are found in another table; `from` must be called like ours.
    fn relation(&self, columns: &[Located], to: &To, from: &str, mistakes: &mut Diagnostics) -> Option<CheckQuery> {
        let target = stored(self.workspace, self.contract, &to.table, mistakes)?;
        let same: Vec<Located> =
            columns.iter().map(|column| Located { text: column.text.clone(), bytes: to.table.bytes.clone() }).collect();
        let theirs = if to.columns.is_empty() { same.as_slice() } else { to.columns.as_slice() };
        if theirs.len() != columns.len() {
            let message = format!("a relation of {} to {}: they are not as many", listed(columns), listed(theirs));
            mistakes.push(
                Diagnostic::new(Code::ContractColumn, self.contract.file.at(to.table.bytes.clone()), message)
                    .help("name a column of the other table for each of ours, in the same order"),
            );
            return None;
        }
        let mut pairs = Vec::new();
        for (our, their) in columns.iter().zip(theirs) {
            let (ours, kind) = (self.column(our, mistakes), self.column_of(&to.table.text, target, their, mistakes));
            let (ours, kind) = (ours?, kind?);
            if ours != kind {
                let message = format!(
                    "`{}` of `{}` is of type {kind}, and `{}` of `{}` is of type {ours}",
                    their.text, to.table.text, our.text, self.name
                );
                mistakes.push(
                    Diagnostic::new(Code::RuleType, self.contract.file.at(their.bytes.clone()), message)
                        .help("a value can only be found among values of its own type; cast one of them in its model"),
                );
                return None;
            }
            pairs.push(format!(
                "\"_target\".{} = {}.{}",
                identifier(&their.text),
                identifier(self.name),
                identifier(&our.text)
            ));
        }
        let given = not_null(columns, Some(self.name));
        let target = identifier(&to.table.text);
        Some(CheckQuery {
            kind: "relation",
            message: format!(
                "{} of `{}` must be found as {} of `{}`",
                listed(columns),
                self.name,
                listed(theirs),
                to.table.text
            ),
            failing: format!(
                "select * from {from} where {given} and not exists (select 1 from {target} as \"_target\" where {})",
                pairs.join(" and ")
            ),
            tested: Some(format!("select count(*) from {from} where {given}")),
            others: BTreeSet::from([to.table.text.clone()]),
            variables: BTreeSet::new(),
        })
    }

    /// Returns the type of a column of this table; reports one that it does not have.
    fn column(&self, word: &Located, mistakes: &mut Diagnostics) -> Option<DataType> {
        self.column_of(self.name, self.schema, word, mistakes)
    }

    fn column_of(&self, table: &str, schema: &Schema, word: &Located, mistakes: &mut Diagnostics) -> Option<DataType> {
        if let Ok(field) = schema.field_with_name(&word.text) {
            return Some(field.data_type().clone());
        }
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let message = format!("`{table}` has no column `{}`", word.text);
        mistakes.push(
            Diagnostic::new(Code::ContractColumn, self.contract.file.at(word.bytes.clone()), message)
                .label("not among the columns of its SQL")
                .help(
                    did_you_mean(&word.text, columns.iter().copied())
                        .unwrap_or_else(|| format!("it has: {}", columns.join(", "))),
                ),
        );
        None
    }

    fn check(&self, rule: &str, terms: &Terms, asked: CheckQuery) -> Check {
        let mut meaning = Parts::of("contract");
        meaning.add(engine::QUERY_VERSION);
        meaning.add(functions::VERSION.to_le_bytes());
        meaning.add(canonical(terms));
        meaning.add(&asked.failing);
        meaning.add(asked.tested.as_deref().unwrap_or_default());
        if let Some(called) = self.workspace.functions.digest_of(&asked.failing) {
            meaning.add(called.as_str());
        }
        let mut uses_clock = false;
        for variable in &asked.variables {
            if variable == CLOCK {
                uses_clock = true;
            } else if let Some(value) = variable_value(&self.workspace.project.settings, variable) {
                meaning.add(variable);
                meaning.add(canonical(&value));
            }
        }
        let mut inputs = asked.others;
        inputs.insert(self.name.to_owned());
        Check {
            name: format!("{}.{rule}", self.name),
            table: Some(self.name.to_owned()),
            kind: asked.kind,
            terms: terms.clone(),
            message: asked.message,
            failing: asked.failing,
            denominator: asked.tested.map_or(Denominator::OneValue, Denominator::Rows),
            inputs,
            definition_hash: meaning.digest(),
            uses_clock,
        }
    }
}

/// Returns columns as SQL, of `table` where it is given.
fn quoted(columns: &[Located], table: Option<&str>) -> Vec<String> {
    let one = |column: &Located| match table {
        Some(table) => format!("{}.{}", identifier(table), identifier(&column.text)),
        None => identifier(&column.text),
    };
    columns.iter().map(one).collect()
}

fn not_null(columns: &[Located], table: Option<&str>) -> String {
    quoted(columns, table).iter().map(|column| format!("{column} is not null")).collect::<Vec<_>>().join(" and ")
}

/// Returns pieces of SQL that others follow.
fn leading(pieces: &[String]) -> String {
    pieces.iter().flat_map(|piece| [piece.as_str(), ", "]).collect()
}

fn group_by(columns: &[String]) -> String {
    if columns.is_empty() { String::new() } else { format!(" group by {}", columns.join(", ")) }
}

fn for_each(columns: &[Located]) -> String {
    if columns.is_empty() { String::new() } else { format!(" for each {}", listed(columns)) }
}

/// Returns columns as people read them.
fn listed(columns: &[Located]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.text.as_str()).collect();
    match names.as_slice() {
        [one] => format!("`{one}`"),
        all => format!("({})", all.join(", ")),
    }
}

fn literal(value: &str, kind: &DataType) -> String {
    format!("arrow_cast({}, {})", text(value), text(&kind.to_string()))
}
