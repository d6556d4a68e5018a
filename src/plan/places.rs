//! Finds where in a text an expression of its plan is written.
//!
//! The planner keeps the place of each column and of nothing else. So an expression is looked for by what it is made of:
//! the columns at their places, the literals, and its operator or function. What the planner puts around them, such as
//! casts and names, does not count.

use std::fmt;
use std::ops::{ControlFlow, Range};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{self, Expr as Written, Spanned, TableFactor, Value, Visit, Visitor};

use super::query::{Query, bytes};
use super::workspace::Workspace;
use crate::diagnostic::SourceFile;
use crate::engine::unchecked;

/// A column or a literal.
#[derive(Debug, Clone, PartialEq)]
enum Leaf {
    /// A column by its name, and where it begins if that is known.
    Column(String, Option<usize>),
    /// A literal as it is printed.
    Literal(String),
    /// A variable, which may stand for any literal.
    Variable,
}

impl Leaf {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Column(_, Some(here)), Self::Column(_, Some(there))) => here == there,
            (Self::Column(name, _), Self::Column(other, _)) => name.eq_ignore_ascii_case(other),
            (Self::Variable, Self::Literal(_) | Self::Variable) | (Self::Literal(_), Self::Variable) => true,
            (Self::Literal(one), Self::Literal(other)) => one == other,
            _ => false,
        }
    }
}

/// What holds the leaves of an expression together.
#[derive(Debug, PartialEq)]
enum Head {
    /// An operator, as it is written.
    Operator(String),
    /// A function, by its name in lower-case letters.
    Function(String),
    /// CASE.
    Case,
    /// A cast.
    Cast,
    /// A single leaf.
    None,
    /// Something else.
    Other,
}

/// A place in a file of the project, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenAt {
    /// The file.
    pub path: String,
    /// Line and column, counted from 1, if they are known.
    pub line_column: Option<(usize, usize)>,
    /// What is written there, on one line.
    pub text: Option<String>,
}

impl fmt::Display for WrittenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match self.line_column {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// Returns where the SQL of a model has an expression of its plan; at least the file.
#[must_use]
pub fn locate(workspace: &Workspace, model: &str, expression: &Expr) -> Option<WrittenAt> {
    let (file, query) = (&workspace.project.models.get(model)?.file, &workspace.tables.get(model)?.query);
    let found = with_text(query, file, expression).into_iter().next();
    Some(written(file, found.clone().map(|(at, _)| at), found.map(|(_, text)| text)))
}

/// Returns where the SQL of a model has what an error speaks of; at least the file.
#[must_use]
pub fn said_of(workspace: &Workspace, model: &str, error: &DataFusionError) -> Option<WrittenAt> {
    let (file, query) = (&workspace.project.models.get(model)?.file, &workspace.tables.get(model)?.query);
    let said = error.find_root().strip_backtrace();
    Some(written(file, super::bind::place_of_quoted(file, query, &said).map(|place| place.bytes), None))
}

/// Returns where a contract declares a check, and in it an `expression` of its query.
#[must_use]
pub fn declared_at(workspace: &Workspace, check: &str, expression: Option<&Expr>) -> Option<WrittenAt> {
    let (table, rule) = check.split_once('.')?;
    let contract = workspace.project.contracts.get(table)?;
    let by_name = || contract.checks.iter().find(|check| check.name.text == rule).map(|check| &check.name.bytes);
    let by_column = || {
        let (column, _) = rule.rsplit_once('.')?;
        contract.places.columns.get(contract.columns.get_index_of(column)?)
    };
    let at = by_name().or_else(by_column).or_else(|| contract.places.key.first());
    // Without a place of its own the text of an expression is what the engine makes of it.
    let text = expression.map(|expression| unchecked(expression).human_display().to_string());
    Some(WrittenAt { text, ..written(&contract.file, at.cloned(), None) })
}

fn written(file: &SourceFile, at: Option<Range<usize>>, text: Option<String>) -> WrittenAt {
    const MOST_LETTERS: usize = 120;
    let path = file.path.to_string();
    let Some(at) = at else { return WrittenAt { path, line_column: None, text: None } };
    let text = text.unwrap_or_else(|| file.text.get(at.clone()).unwrap_or_default().to_owned());
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = text.chars().take(MOST_LETTERS).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    WrittenAt { path, line_column: Some(file.at(at).line_column()), text: Some(format!("{cut}{dots}")) }
}

/// Returns every place where `expression` may be written, the smallest ones first.
pub(super) fn of(query: &Query, file: &SourceFile, expression: &Expr) -> Vec<Range<usize>> {
    with_text(query, file, expression).into_iter().map(|(at, _)| at).collect()
}

/// As [`of`], with what is written there; the parser keeps no place of the words around a cast.
fn with_text(query: &Query, file: &SourceFile, expression: &Expr) -> Vec<(Range<usize>, String)> {
    let expression = &unchecked(expression);
    let (head, leaves) = (head(expression), leaves(file, expression));
    let mut finder = Finder { file, head, names: names(expression), leaves, found: Vec::new() };
    let _ = query.tree().visit(&mut finder);
    let mut found = finder.found;
    found.sort_by_key(|(at, text)| (at.len(), at.start, std::cmp::Reverse(text.len())));
    found.dedup_by_key(|(at, _)| at.clone());
    found
}

/// Returns where a column is written, if the planner kept it.
pub(super) fn of_column(file: &SourceFile, column: &Column) -> Option<Range<usize>> {
    let span = column.spans().first()?;
    let offset = |place: datafusion::common::Location| {
        file.offset(usize::try_from(place.line).unwrap_or(1), usize::try_from(place.column).unwrap_or(1))
    };
    Some(offset(span.start)..offset(span.end)).filter(|at| !at.is_empty())
}

/// A query, or a function in FROM, that stands inside another query.
#[derive(Debug, Clone)]
pub(super) struct Inner {
    pub(super) bytes: Range<usize>,
    pub(super) kind: InnerKind,
}

/// What an inner query stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InnerKind {
    /// A value.
    Expression,
    /// A condition with IN or EXISTS.
    Condition,
    /// A table that sees those before it.
    Lateral,
    /// A table.
    Derived,
    /// A function that makes rows.
    Function,
}

/// Returns every query in another one, in the order of the text.
pub(super) fn inner(query: &Query, file: &SourceFile) -> Vec<Inner> {
    struct Finder<'a> {
        file: &'a SourceFile,
        found: Vec<Inner>,
    }
    impl Visitor for Finder<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expression: &Written) -> ControlFlow<()> {
            let (inner, kind) = match expression {
                Written::Subquery(query) => (query, InnerKind::Expression),
                Written::Exists { subquery, .. } | Written::InSubquery { subquery, .. } => {
                    (subquery, InnerKind::Condition)
                }
                _ => return ControlFlow::Continue(()),
            };
            self.found.push(Inner { bytes: bytes(self.file, inner.span()), kind });
            ControlFlow::Continue(())
        }

        fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
            let kind = match table {
                TableFactor::Derived { lateral: true, .. } => InnerKind::Lateral,
                TableFactor::Derived { .. } => InnerKind::Derived,
                TableFactor::UNNEST { .. } | TableFactor::Function { .. } | TableFactor::TableFunction { .. } => {
                    InnerKind::Function
                }
                TableFactor::Table { args: Some(_), .. } => InnerKind::Function,
                _ => return ControlFlow::Continue(()),
            };
            let mut at = bytes(self.file, table.span());
            if matches!(table, TableFactor::UNNEST { .. }) {
                // Its span begins at its arguments.
                let before = self.file.text.get(..at.start).unwrap_or_default().to_ascii_lowercase();
                at.start = before.rfind("unnest").unwrap_or(at.start);
            }
            self.found.push(Inner { bytes: at, kind });
            ControlFlow::Continue(())
        }
    }
    let mut finder = Finder { file, found: Vec::new() };
    let _ = query.tree().visit(&mut finder);
    finder.found.retain(|inner| !inner.bytes.is_empty());
    finder.found
}

/// Returns the places of a literal, or of a name, that somebody speaks of.
pub(super) fn of_word(query: &Query, file: &SourceFile, word: &str) -> Option<Range<usize>> {
    struct Words<'a> {
        file: &'a SourceFile,
        word: &'a str,
        found: Vec<Range<usize>>,
    }
    impl Words<'_> {
        fn add(&mut self, span: datafusion::sql::sqlparser::tokenizer::Span) {
            self.found.push(bytes(self.file, span));
        }
    }
    impl Visitor for Words<'_> {
        type Break = ();

        fn pre_visit_value(&mut self, value: &ast::ValueWithSpan) -> ControlFlow<()> {
            let text = match &value.value {
                Value::Number(number, _) => number.clone(),
                other => other.clone().into_string().unwrap_or_default(),
            };
            if text == self.word {
                self.add(value.span);
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, written: &Written) -> ControlFlow<()> {
            let is_it = match written {
                Written::Identifier(name) => name.value.eq_ignore_ascii_case(self.word),
                Written::CompoundIdentifier(names) => {
                    let last = names.last().is_some_and(|name| name.value.eq_ignore_ascii_case(self.word));
                    last || written.to_string().eq_ignore_ascii_case(self.word)
                }
                Written::Function(call) => call
                    .name
                    .0
                    .last()
                    .and_then(|part| part.as_ident())
                    .is_some_and(|name| name.value.eq_ignore_ascii_case(self.word)),
                _ => written.to_string().eq_ignore_ascii_case(self.word),
            };
            if is_it {
                self.add(match written {
                    Written::Function(call) => call.name.span(),
                    _ => written.span(),
                });
            }
            ControlFlow::Continue(())
        }
    }
    let mut words = Words { file, word, found: Vec::new() };
    let _ = query.tree().visit(&mut words);
    let known = words.found.into_iter().filter(|at| !at.is_empty()).min_by_key(|at| at.start);
    known.or_else(|| in_text(&file.text, word))
}

/// Returns where a word stands in a text, as a word of its own and in no comment.
fn in_text(text: &str, word: &str) -> Option<Range<usize>> {
    if word.is_empty() {
        return None;
    }
    let (lower, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    lower.match_indices(&word).map(|(at, _)| at..at + word.len()).find(|at| {
        let line = lower[..at.start].rsplit('\n').next().unwrap_or_default();
        !line.contains("--")
            && !is_part(lower[..at.start].chars().next_back())
            && !is_part(lower[at.end..].chars().next())
    })
}

struct Finder<'a> {
    file: &'a SourceFile,
    head: Head,
    /// Further names of the function.
    names: Vec<String>,
    leaves: Vec<Leaf>,
    found: Vec<(Range<usize>, String)>,
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, written: &Written) -> ControlFlow<()> {
        let same_head = match (&self.head, &written_head(written)) {
            (Head::Function(_), Head::Function(name)) => self.names.iter().any(|known| known == name),
            // Some functions have words of their own: `extract(day from x)`.
            (Head::Function(_) | Head::Other, Head::Other) => true,
            (one, other) => one == other,
        };
        if same_head && self.has_the_leaves(written) {
            let at = bytes(self.file, written.span());
            if !at.is_empty() {
                self.found.push((at, written.to_string()));
            }
        }
        ControlFlow::Continue(())
    }
}

impl Finder<'_> {
    fn has_the_leaves(&self, written: &Written) -> bool {
        let mut rest: Vec<Leaf> = written_leaves(self.file, written);
        if rest.len() != self.leaves.len() {
            return false;
        }
        self.leaves.iter().all(|leaf| {
            let at = rest.iter().position(|other| leaf.is(other));
            at.map(|at| rest.swap_remove(at)).is_some()
        })
    }
}

fn head(expression: &Expr) -> Head {
    match expression {
        expression if is_variable(expression) => Head::None,
        Expr::Alias(alias) => head(&alias.expr),
        Expr::BinaryExpr(binary) => Head::Operator(binary.op.to_string().to_lowercase()),
        Expr::ScalarFunction(call) => Head::Function(call.func.name().to_lowercase()),
        Expr::AggregateFunction(call) => Head::Function(call.func.name().to_lowercase()),
        Expr::WindowFunction(call) => Head::Function(call.fun.name().to_lowercase()),
        Expr::Case(_) => Head::Case,
        Expr::Cast(cast) => cast_head(&cast.expr),
        Expr::TryCast(cast) => cast_head(&cast.expr),
        Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::Literal(..) => Head::None,
        _ => Head::Other,
    }
}

/// A cast that the planner put around something is not written; where one is, it has the same leaves.
fn cast_head(inner: &Expr) -> Head {
    match head(inner) {
        Head::None => Head::None,
        _ => Head::Cast,
    }
}

/// Returns whether this is what an instant in a variable becomes.
fn is_variable(expression: &Expr) -> bool {
    match expression {
        Expr::ScalarFunction(call) => {
            call.func.name() == "arrow_cast" && call.args.iter().all(|argument| matches!(argument, Expr::Literal(..)))
        }
        _ => false,
    }
}

fn names(expression: &Expr) -> Vec<String> {
    let (name, aliases): (&str, &[String]) = match expression {
        Expr::Alias(alias) => return names(&alias.expr),
        Expr::ScalarFunction(call) => (call.func.name(), call.func.aliases()),
        Expr::AggregateFunction(call) => (call.func.name(), call.func.aliases()),
        Expr::WindowFunction(call) => (call.fun.name(), &[]),
        _ => return Vec::new(),
    };
    aliases.iter().map(|name| name.to_lowercase()).chain([name.to_lowercase()]).collect()
}

fn leaves(file: &SourceFile, expression: &Expr) -> Vec<Leaf> {
    let mut found = Vec::new();
    let _ = expression.apply(|node| {
        if is_variable(node) {
            found.push(Leaf::Variable);
            return Ok(TreeNodeRecursion::Jump);
        }
        match node {
            Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => {
                let at = of_column(file, column).map(|at| at.start);
                found.push(Leaf::Column(column.name.clone(), at));
            }
            Expr::Literal(value, _) => found.push(Leaf::Literal(printed(value))),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

fn printed(value: &ScalarValue) -> String {
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            text.clone()
        }
        // However many digits they were given.
        value if value.data_type().is_numeric() => plain_number(&value.to_string()),
        ScalarValue::IntervalMonthDayNano(_) | ScalarValue::IntervalDayTime(_) | ScalarValue::IntervalYearMonth(_) => {
            "interval".to_owned()
        }
        value => value.to_string().to_lowercase(),
    }
}

fn plain_number(text: &str) -> String {
    text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| number.to_string())
}

fn written_head(written: &Written) -> Head {
    match written {
        Written::Nested(inner) => written_head(inner),
        Written::BinaryOp { op, .. } => Head::Operator(op.to_string().to_lowercase()),
        Written::Function(call) => Head::Function(
            call.name
                .0
                .last()
                .and_then(|part| part.as_ident())
                .map_or_else(String::new, |word| word.value.to_lowercase()),
        ),
        Written::Case { .. } => Head::Case,
        Written::Cast { expr, .. } => match written_head(expr) {
            Head::None => Head::None,
            _ => Head::Cast,
        },
        Written::Identifier(_)
        | Written::CompoundIdentifier(_)
        | Written::Value(_)
        | Written::TypedString(_)
        | Written::Interval(_) => Head::None,
        Written::UnaryOp { op: ast::UnaryOperator::Minus | ast::UnaryOperator::Plus, expr }
            if matches!(expr.as_ref(), Written::Value(_)) =>
        {
            Head::None
        }
        _ => Head::Other,
    }
}

fn written_leaves(file: &SourceFile, written: &Written) -> Vec<Leaf> {
    struct Leaves<'a> {
        file: &'a SourceFile,
        found: Vec<Leaf>,
        /// How many expressions up to here are parts of a leaf.
        inside: usize,
    }
    impl Visitor for Leaves<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, written: &Written) -> ControlFlow<()> {
            if self.inside == 0 {
                match written {
                    Written::Identifier(word) => self.column(&word.value, word.span),
                    Written::CompoundIdentifier(words) => {
                        if let Some(last) = words.last() {
                            self.column(&last.value, written.span());
                        }
                    }
                    Written::Value(value) => self.value(&value.value, false),
                    Written::TypedString(typed) => self.value(&typed.value.value, false),
                    Written::Interval(_) => self.found.push(Leaf::Literal("interval".to_owned())),
                    Written::UnaryOp { op: ast::UnaryOperator::Minus, expr } => {
                        if let Written::Value(value) = expr.as_ref() {
                            self.value(&value.value, true);
                        }
                    }
                    // The part of a date is a literal to the planner.
                    Written::Extract { field, .. } => {
                        self.found.push(Leaf::Literal(field.to_string()));
                    }
                    _ => {}
                }
            }
            if is_leaf(written) {
                self.inside += 1;
            }
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, written: &Written) -> ControlFlow<()> {
            if is_leaf(written) {
                self.inside = self.inside.saturating_sub(1);
            }
            ControlFlow::Continue(())
        }
    }
    impl Leaves<'_> {
        fn column(&mut self, name: &str, span: datafusion::sql::sqlparser::tokenizer::Span) {
            let at = bytes(self.file, span);
            self.found.push(Leaf::Column(name.to_owned(), Some(at.start).filter(|_| !at.is_empty())));
        }

        fn value(&mut self, value: &Value, negative: bool) {
            let leaf = match value {
                Value::Placeholder(_) => Leaf::Variable,
                Value::Number(number, _) => {
                    Leaf::Literal(plain_number(&if negative { format!("-{number}") } else { number.clone() }))
                }
                Value::Boolean(flag) => Leaf::Literal(flag.to_string()),
                Value::Null => Leaf::Literal("null".to_owned()),
                other => Leaf::Literal(
                    other.clone().into_string().unwrap_or_else(|| other.to_string().trim_matches('\'').to_owned()),
                ),
            };
            self.found.push(leaf);
        }
    }
    let mut leaves = Leaves { file, found: Vec::new(), inside: 0 };
    let _ = written.visit(&mut leaves);
    leaves.found
}

/// Returns whether what stands inside belongs to one leaf.
fn is_leaf(written: &Written) -> bool {
    match written {
        Written::Interval(_) => true,
        Written::UnaryOp { op: ast::UnaryOperator::Minus, expr } => matches!(expr.as_ref(), Written::Value(_)),
        _ => false,
    }
}
