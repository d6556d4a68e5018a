//! SQL that stands in a contract: a condition or an aggregate over the columns of one table.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::DataType;
use datafusion::execution::context::SessionState;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean};
use crate::plan::bind;
use crate::plan::query::{self, Query};
use crate::plan::sql_functions::SqlFunctions;
use crate::plan::trial::{CompileCache, Trial};
use crate::plan::workspace::{CLOCK, variable_value};
use crate::project::{Located, Settings};
use crate::sql_text::identifier;

/// An expression that makes sense.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Expression {
    /// Its text, in parentheses; a comment at its end does not reach past them.
    pub(in crate::plan) sql: String,
    /// Its type.
    pub(in crate::plan) kind: DataType,
    /// The variables that it uses.
    pub(in crate::plan) variables: BTreeSet<String>,
}

/// What an expression is asked over.
pub(in crate::plan) struct Scope<'a> {
    pub(in crate::plan) state: &'a SessionState,
    /// What has been tried, where queries are.
    pub(in crate::plan) tried: Option<&'a CompileCache>,
    pub(in crate::plan) settings: &'a Settings,
    /// The functions of the project.
    pub(in crate::plan) functions: &'a SqlFunctions,
    /// The contract that the expression stands in.
    pub(in crate::plan) file: &'a SourceFile,
    /// The one table that it may read.
    pub(in crate::plan) table: &'a str,
}

impl Scope<'_> {
    /// Binds a condition on single rows.
    pub(in crate::plan) fn condition(&self, word: &Located, mistakes: &mut Diagnostics) -> Option<Expression> {
        let before = format!("select * from {} where (", identifier(self.table));
        let mut found = self.bind(word, &before, ")", mistakes)?;
        found.kind = DataType::Boolean;
        Some(found)
    }

    /// Binds an aggregate over groups of rows.
    pub(in crate::plan) fn aggregate(
        &self,
        word: &Located,
        by: &[Located],
        mistakes: &mut Diagnostics,
    ) -> Option<Expression> {
        let groups: Vec<String> = by.iter().map(|column| identifier(&column.text)).collect();
        let group_by = if groups.is_empty() { String::new() } else { format!(" group by {}", groups.join(", ")) };
        // Without a second aggregate a plain column would be a list of rows and not a mistake.
        let after = format!(") as \"value\", count(*) as \"rows\" from {}{group_by}", identifier(self.table));
        let mut own = Diagnostics::default();
        let found = self.bind(word, "select (", &after, &mut own);
        for mut mistake in own.iter().cloned() {
            if mistake.message.contains("must appear in GROUP BY") {
                mistake.help = Some("write an aggregate, such as `count(*)` or `sum(amount)`".to_owned());
            }
            mistakes.push(mistake);
        }
        found
    }

    /// Binds many aggregates and conditions in one SELECT, which is much cheaper than each by itself, and returns the
    /// types of the aggregates; `None` if something is wrong with one of them, which only each by itself can tell.
    pub(in crate::plan) fn all_sound(&self, aggregates: &[&Located], conditions: &[&Located]) -> Option<Vec<DataType>> {
        let is_expression =
            |word: &&&Located| query::expression(&SourceFile::new(self.file.path.clone(), word.text.as_str())).is_ok();
        if !aggregates.iter().chain(conditions).all(|word| is_expression(&word)) {
            return None;
        }
        let aggregates = aggregates.iter().map(|word| format!("({}\n)", word.text));
        let conditions = conditions.iter().map(|word| format!("count(*) filter (where ({}\n))", word.text));
        let columns = aggregates.chain(conditions).enumerate();
        let columns: Vec<String> = columns.map(|(number, column)| format!("{column} as \"value_{number}\"")).collect();
        let text = format!("select {}, count(*) as \"rows\" from {}", columns.join(", "), identifier(self.table));
        let probe = SourceFile::new(self.file.path.clone(), text);
        let parsed = Query::parse_with(&probe, self.functions).ok()?;
        let is_own = parsed.reads().iter().all(|read| read.text == self.table);
        let is_known = |name: &Located| variable_value(self.settings, &name.text).is_some();
        if self.functions.are_broken_in(&parsed) || !is_own || !parsed.variables().iter().all(is_known) {
            return None;
        }
        let value = |name: &str| variable_value(self.settings, name);
        let bind::Planned { plan, .. } = bind::bind(self.state, &probe, &parsed, value).ok()?;
        if let Some(tried) = self.tried
            && !tried.has(parsed.canonical(), &plan)
        {
            let trial = Trial { session: self.state, file: &probe, query: &parsed, tried };
            trial.run(&plan, &plan).into_result(()).ok()?;
        }
        Some(plan.schema().fields().iter().map(|field| field.data_type().clone()).collect())
    }

    fn bind(&self, word: &Located, before: &str, after: &str, mistakes: &mut Diagnostics) -> Option<Expression> {
        if let Err(mistake) = query::expression(&SourceFile::new(self.file.path.clone(), word.text.as_str())) {
            mistakes.push(self.in_place(mistake, word, 0));
            return None;
        }
        let probe = SourceFile::new(self.file.path.clone(), format!("{before}{}\n{after}", word.text));
        let parsed = match Query::parse_with(&probe, self.functions) {
            Ok(parsed) => parsed,
            Err(mistake) => {
                mistakes.push(self.in_place(mistake, word, before.len()));
                return None;
            }
        };
        // What is wrong with the function has been said.
        let mut is_sound = !self.functions.are_broken_in(&parsed);
        for read in parsed.reads().iter().filter(|read| read.text != self.table) {
            is_sound = false;
            let at = probe.at(read.bytes.clone());
            let message = format!("SQL in a contract reads no other table, such as `{}`", read.text);
            let mistake = Diagnostic::new(Code::LayerReads, at, message).help("write a query in `sql/checks/`");
            mistakes.push(self.in_place(mistake, word, before.len()));
        }
        for variable in parsed.variables() {
            if variable_value(self.settings, &variable.text).is_none() {
                is_sound = false;
                let known =
                    self.settings.vars.keys().map(String::as_str).chain([CLOCK, "reporting_zone", "week_start"]);
                let help = did_you_mean(&variable.text, known);
                let message = format!("variable `${}` is not declared", variable.text);
                let mistake = Diagnostic::new(Code::UnknownVariable, probe.at(variable.bytes.clone()), message)
                    .label("no such variable")
                    .help(help.unwrap_or_else(|| "declare it under `[vars]` in opsmart.toml".to_owned()));
                mistakes.push(self.in_place(mistake, word, before.len()));
            }
        }
        if !is_sound {
            return None;
        }
        let value = |name: &str| variable_value(self.settings, name);
        let bound =
            bind::bind(self.state, &probe, &parsed, value).and_then(|bind::Planned { plan, .. }| match self.tried {
                Some(tried) if tried.has(parsed.canonical(), &plan) => Ok(plan),
                Some(tried) => {
                    let trial = Trial { session: self.state, file: &probe, query: &parsed, tried };
                    trial.run(&plan, &plan).into_result(plan)
                }
                None => Ok(plan),
            });
        match bound {
            Ok(plan) => Some(Expression {
                sql: format!("({}\n)", word.text),
                kind: plan.schema().fields().first().map_or(DataType::Null, |field| field.data_type().clone()),
                variables: parsed.variables().iter().map(|variable| variable.text.clone()).collect(),
            }),
            Err(found) => {
                found.iter().for_each(|mistake| mistakes.push(self.in_place(mistake.clone(), word, before.len())));
                None
            }
        }
    }

    /// Moves a mistake from the text that was bound, in which the expression starts at `start`, to the contract.
    fn in_place(&self, mut mistake: Diagnostic, word: &Located, start: usize) -> Diagnostic {
        let written = self.file.text.get(word.bytes.clone()).unwrap_or_default();
        let inside = mistake.at.bytes.start >= start && mistake.at.bytes.end <= start + word.text.len();
        // TOML passes over a line end after `"""`. Where escapes make the two texts differ, the place is the whole.
        let skipped = written.strip_suffix(word.text.as_str()).filter(|before| before.trim().is_empty());
        mistake.at = match skipped {
            Some(skipped) if inside && !mistake.at.bytes.is_empty() => {
                let shift = |byte: usize| byte - start + word.bytes.start + skipped.len();
                self.file.at(shift(mistake.at.bytes.start)..shift(mistake.at.bytes.end))
            }
            _ => self.file.at(word.bytes.clone()),
        };
        mistake
    }
}
