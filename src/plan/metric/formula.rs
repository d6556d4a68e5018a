//! What the expressions of a metric are: aggregates over rows, or arithmetic of other metrics.
//!
//! How an aggregate adds up is read off its syntax tree: counts and sums, and what is linear in them, add up over periods
//! and scopes; everything else is counted anew from rows. A sum without values is 0 beside others, or the days on which
//! it has none would be missing in longer periods. Arithmetic of metrics names them, with trailing windows and
//! scopes that SQL has no words for: `solved over 28 days`, `dau over 28 days before`, `min(drawdown by instrument)`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};

use datafusion::execution::context::SessionState;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, CastKind, DuplicateTreatment, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    visit_expressions, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::series::divisor;
use crate::diagnostic::{Code, Diagnostic, SourceFile};
use crate::plan::depth;
use crate::plan::query::{bytes, parser_error};

/// How the values of an aggregate over parts of the rows make its value over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddsUp {
    /// They are added, and no rows give 0.
    Sum,
    /// They do not: it is counted anew.
    No,
}

/// An aggregate, as its text tells it.
#[derive(Debug, Clone)]
pub(super) struct Aggregate {
    /// The SQL that counts it.
    pub(super) sql: String,
    pub(super) adds_up: AddsUp,
    /// Whether it counts rows or values.
    pub(super) is_count: bool,
    /// Of `count(distinct x) filter (where y)`, `x` and `y`.
    pub(super) distinct: Option<(String, Option<String>)>,
    /// Of an aggregate of one value, the count of values.
    pub(super) values: Option<String>,
}

/// Reads an aggregate; what does not parse is told by the binder.
pub(super) fn aggregate(text: &str) -> Aggregate {
    let Some(expression) = parsed(text) else {
        let sql = text.to_owned();
        return Aggregate { sql, adds_up: AddsUp::No, is_count: false, distinct: None, values: None };
    };
    let call = match unwrapped(&expression) {
        Expr::Function(call) => Some(call),
        _ => None,
    };
    let is_count = call.is_some_and(|call| is_called(call, "count"));
    let distinct = call.filter(|call| is_count && is_distinct(call)).and_then(|call| {
        let FunctionArguments::List(list) = &call.args else { return None };
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(of))] = list.args.as_slice() else { return None };
        Some((of.to_string(), call.filter.as_ref().map(ToString::to_string)))
    });
    let values = call.filter(|_| !is_count).and_then(counted_values);
    let adds_up = adds_up(&expression);
    let mut mended = expression.clone();
    let is_filled = adds_up == AddsUp::Sum && fill_sums(&mut mended, false);
    let is_mended = divide_sums(&mut mended) || is_filled;
    let sql = if is_mended { mended.to_string() } else { text.to_owned() };
    Aggregate { sql, adds_up, is_count, distinct, values }
}

/// Divides sums where a mean is taken, because the engine cuts means of decimals; returns whether there are any.
fn divide_sums(expression: &mut Expr) -> bool {
    let mut is_changed = false;
    let _ = visit_expressions_mut(expression, |part| {
        if let Expr::Function(mean) = part
            && ["avg", "mean"].iter().any(|name| is_called(mean, name))
        {
            let called = |name: &str| ast::Function { name: vec![ast::Ident::new(name)].into(), ..mean.clone() };
            let count = counted_values(mean).filter(|_| !is_distinct(mean));
            let count = count.unwrap_or_else(|| called("count").to_string());
            if let Some(divided) = parsed(&format!("(cast({} as double) / {count})", called("sum"))) {
                *part = divided;
                is_changed = true;
            }
        }
        ControlFlow::<()>::Continue(())
    });
    is_changed
}

/// Returns the calls in an expression by the names that the engine knows them by, which leave casts out: two calls of
/// one name cannot stand side by side.
pub(super) fn named_calls(sql: &str) -> BTreeMap<String, String> {
    let mut calls = BTreeMap::new();
    let _ = visit_expressions(&parsed(sql), |part| {
        if let Expr::Function(_) = part {
            let mut named = part.clone();
            let _ = visit_expressions_mut(&mut named, |inner| {
                while let Expr::Cast { expr, .. } | Expr::Nested(expr) = inner {
                    *inner = expr.as_ref().clone();
                }
                ControlFlow::<()>::Continue(())
            });
            calls.insert(named.to_string().to_lowercase(), part.to_string().to_lowercase());
        }
        ControlFlow::<()>::Continue(())
    });
    calls
}

/// Puts 0 in the place of sums without values that stand beside others, in an expression that adds up; returns whether
/// there are such.
fn fill_sums(expression: &mut Expr, is_beside: bool) -> bool {
    match expression {
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => fill_sums(inner, is_beside),
        Expr::BinaryOp { left, op, right } => {
            let is_beside = is_beside || matches!(op, BinaryOperator::Plus | BinaryOperator::Minus);
            let is_left = fill_sums(left, is_beside);
            fill_sums(right, is_beside) || is_left
        }
        Expr::Function(call) if is_called(call, "coalesce") => match &mut call.args {
            FunctionArguments::List(list) => match list.args.as_mut_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(of)), _] if !is_sum(of) => fill_sums(of, is_beside),
                _ => false,
            },
            _ => false,
        },
        sum if is_beside && is_sum(sum) => match parsed(&format!("coalesce({sum}, 0)")) {
            Some(filled) => {
                *sum = filled;
                true
            }
            None => false,
        },
        _ => false,
    }
}

fn is_sum(expression: &Expr) -> bool {
    matches!(unwrapped(expression), Expr::Function(call) if is_called(call, "sum"))
}

/// The aggregates that rest on the values of one expression.
const OF_VALUES: [&str; 19] = [
    "sum",
    "avg",
    "mean",
    "min",
    "max",
    "median",
    "percentile_cont",
    "quantile_cont",
    "first_value",
    "last_value",
    "nth_value",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "var",
    "var_pop",
    "var_population",
    "var_samp",
    "var_sample",
];

/// Returns the count of the values that an aggregate of one value takes: those of its first argument, or those that
/// `within group` puts in order.
fn counted_values(call: &ast::Function) -> Option<String> {
    if !OF_VALUES.iter().any(|name| is_called(call, name)) {
        return None;
    }
    let FunctionArguments::List(list) = &call.args else { return None };
    let of = match (call.within_group.as_slice(), list.args.as_slice()) {
        ([ordered, ..], _) => &ordered.expr,
        ([], [FunctionArg::Unnamed(FunctionArgExpr::Expr(of)), ..]) => of,
        _ => return None,
    };
    let filter = call.filter.as_ref().map(|filter| format!(" filter (where {filter})")).unwrap_or_default();
    Some(format!("count({}){filter}", uncast(of)))
}

/// A cast has as many values as what it is of, and so they are counted by one call.
fn uncast(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) => uncast(inner),
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, .. } => uncast(expr),
        other => other,
    }
}

/// Returns whether a text calls one of the aggregates of the session.
pub(super) fn has_aggregate(text: &str, session: &SessionState) -> bool {
    let Ok(words) = Tokenizer::new(&GenericDialect {}, text).tokenize() else { return false };
    let words: Vec<&Token> = words.iter().filter(|word| !matches!(word, Token::Whitespace(_))).collect();
    words.windows(2).any(|pair| match pair {
        [Token::Word(word), Token::LParen] => {
            session.aggregate_functions().contains_key(word.value.to_lowercase().as_str())
        }
        _ => false,
    })
}

pub(super) fn parsed(sql: &str) -> Option<Expr> {
    let parser = Parser::new(&GenericDialect {}).with_recursion_limit(depth::PARSER_LEVELS);
    parser.try_with_sql(sql).ok()?.parse_expr().ok()
}

fn unwrapped(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) => unwrapped(inner),
        other => other,
    }
}

fn is_called(call: &ast::Function, name: &str) -> bool {
    call.name.to_string().eq_ignore_ascii_case(name)
}

fn is_distinct(call: &ast::Function) -> bool {
    matches!(&call.args, FunctionArguments::List(list)
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct))
}

fn adds_up(expression: &Expr) -> AddsUp {
    let adds_up = |expression: &Expr| adds_up(expression) == AddsUp::Sum;
    let adds = match expression {
        Expr::Nested(inner) => adds_up(inner),
        Expr::Function(call) if is_called(call, "count") || is_called(call, "sum") => {
            !is_distinct(call) && call.over.is_none()
        }
        Expr::Function(call) if is_called(call, "coalesce") => match &call.args {
            FunctionArguments::List(list) => match list.args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(of)), FunctionArg::Unnamed(FunctionArgExpr::Expr(or))] => {
                    adds_up(of) && or.to_string() == "0"
                }
                _ => false,
            },
            _ => false,
        },
        Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => adds_up(expr),
        Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, right } => {
            adds_up(left) && adds_up(right)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Multiply, right } => {
            (adds_up(left) && is_constant(right)) || (is_constant(left) && adds_up(right))
        }
        _ => false,
    };
    if adds { AddsUp::Sum } else { AddsUp::No }
}

fn is_constant(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) => is_constant(inner),
        Expr::Value(_) => true,
        _ => false,
    }
}

/// A metric as arithmetic names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Operand {
    /// The metric's id.
    pub(super) id: String,
    /// The window of days that it is summed over.
    pub(super) over: Option<Over>,
    /// The aggregate over all scopes of one type, and the type.
    pub(super) across: Option<(String, String)>,
}

/// A window of days that ends with the period, or before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Over {
    pub(super) days: u32,
    pub(super) is_before: bool,
}

impl Operand {
    /// Returns the column that has its value.
    pub(super) fn column(&self) -> String {
        let mut name = self.id.clone();
        if let Some(Over { days, is_before }) = self.over {
            name.push_str(&format!("_{days}"));
            if is_before {
                name.push_str("_before");
            }
        }
        if let Some((aggregate, scope)) = &self.across {
            name.push_str(&format!("_{aggregate}_by_{scope}"));
        }
        name
    }
}

/// Arithmetic of metrics: SQL over the columns of its operands.
#[derive(Debug, Clone)]
pub(super) struct Arithmetic {
    pub(super) sql: String,
    pub(super) operands: BTreeSet<Operand>,
}

impl Arithmetic {
    /// Returns the same, with nothing divided by zero wherever a division stands.
    pub(super) fn guarded(self) -> Self {
        let Some(mut expression) = parsed(&self.sql) else { return self };
        let _ = visit_expressions_mut(&mut expression, |part| {
            if let Expr::BinaryOp { op: BinaryOperator::Divide, right, .. } = part
                && let Some(divisor) = parsed(&divisor(&format!("({right})")))
            {
                **right = Expr::Nested(Box::new(divisor));
            }
            ControlFlow::<()>::Continue(())
        });
        Self { sql: expression.to_string(), ..self }
    }

    /// Returns the two sides of a division, if it is one.
    pub(super) fn divided(&self) -> Option<(Self, Self)> {
        let expression = parsed(&self.sql)?;
        let Expr::BinaryOp { left, op: BinaryOperator::Divide, right } = unwrapped(&expression) else { return None };
        let side = |side: &Expr| {
            let sql = unwrapped(side).to_string();
            let has = |operand: &&Operand| replace_word(&sql, &operand.column(), "") != sql;
            let operands = self.operands.iter().filter(has).cloned().collect();
            Self { sql, operands }
        };
        Some((side(left), side(right)))
    }
}

/// Replaces a name where it stands by itself.
pub(super) fn replace_word(sql: &str, word: &str, by: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut replaced = String::new();
    let mut rest = sql;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let stands_alone =
            !before.chars().next_back().is_some_and(is_part) && !after.chars().next().is_some_and(is_part);
        replaced.push_str(before);
        replaced.push_str(if stands_alone { by } else { word });
        rest = after;
    }
    replaced + rest
}

/// What the names in arithmetic stand for.
pub(super) trait Names {
    /// Returns the id of the metric that a name stands for in the area: `backlog`, or `support.backlog`.
    fn metric(&self, area: &str, name: &str) -> Option<String>;
    /// Returns the days of a variable.
    fn days(&self, variable: &str) -> Option<u32>;
    /// Returns what is close to a name that no metric has.
    fn nearest(&self, area: &str, name: &str) -> Option<String>;
}

/// Reads arithmetic of metrics.
///
/// # Errors
/// The place, in `file`, of a name that stands for nothing, and of what does not parse.
pub(super) fn arithmetic(file: &SourceFile, area: &str, names: &impl Names) -> Result<Arithmetic, Diagnostic> {
    Reader::of(file, area, names)?.read()
}

struct Reader<'a, N> {
    file: &'a SourceFile,
    area: &'a str,
    names: &'a N,
    /// Every word but white space, with its bytes.
    words: Vec<(Token, Range<usize>)>,
    at: usize,
}

impl<'a, N: Names> Reader<'a, N> {
    fn of(file: &'a SourceFile, area: &'a str, names: &'a N) -> Result<Self, Diagnostic> {
        let words = depth::words(file)?;
        let words = words
            .into_iter()
            .filter(|word| !matches!(word.token, Token::Whitespace(_) | Token::EOF))
            .map(|word| (word.token, bytes(file, word.span)))
            .collect();
        Ok(Self { file, area, names, words, at: 0 })
    }

    fn read(mut self) -> Result<Arithmetic, Diagnostic> {
        let mut sql = String::new();
        let mut operands = BTreeSet::new();
        let mut end = 0;
        while let Some((_, place)) = self.words.get(self.at).cloned() {
            sql.push_str(&self.file.text[end..place.start]);
            let first = self.at;
            let operand = match self.across()? {
                Some(operand) => Some(operand),
                None => self.operand()?,
            };
            if let Some(operand) = operand {
                sql.push_str(&operand.column());
                operands.insert(operand);
            } else {
                self.at += 1;
                sql.push_str(&self.file.text[place.clone()]);
            }
            end = self.words[first..self.at].last().map_or(place.end, |(_, bytes)| bytes.end);
        }
        let mut parser = Parser::new(&GenericDialect {}).with_recursion_limit(depth::PARSER_LEVELS);
        parser = parser.try_with_sql(&sql).map_err(|error| self.elsewhere(parser_error(self.file, error)))?;
        let parsed = parser.parse_expr().and_then(|_| parser.expect_token(&Token::EOF));
        parsed.map_err(|error| self.elsewhere(parser_error(self.file, error)))?;
        Ok(Arithmetic { sql, operands })
    }

    /// The text that was parsed is not the one that is written, so that only the whole can be pointed at.
    fn elsewhere(&self, mut mistake: Diagnostic) -> Diagnostic {
        mistake.at = self.file.at(0..self.file.text.len());
        mistake
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        match self.words.get(self.at + ahead) {
            Some((Token::Word(word), _)) => Some(word.value.as_str()),
            _ => None,
        }
    }

    fn is(&self, ahead: usize, token: &Token) -> bool {
        self.words.get(self.at + ahead).is_some_and(|(word, _)| word == token)
    }

    /// Reads `min(drawdown by instrument)`.
    fn across(&mut self) -> Result<Option<Operand>, Diagnostic> {
        let start = self.at;
        let Some(aggregate) = self.word(0).map(str::to_lowercase) else { return Ok(None) };
        if !["min", "max", "sum", "avg"].contains(&aggregate.as_str()) || !self.is(1, &Token::LParen) {
            return Ok(None);
        }
        self.at += 2;
        if let Some(mut operand) = self.operand()?
            && self.word(0).is_some_and(|word| word.eq_ignore_ascii_case("by"))
            && let Some(scope) = self.word(1).map(str::to_owned)
            && self.is(2, &Token::RParen)
        {
            self.at += 3;
            operand.across = Some((aggregate, scope));
            return Ok(Some(operand));
        }
        self.at = start;
        Ok(None)
    }

    /// Reads `backlog`, `support.backlog` or `solved over 28 days before`.
    fn operand(&mut self) -> Result<Option<Operand>, Diagnostic> {
        let start = self.at;
        let Some(name) = self.word(0).map(str::to_owned) else { return Ok(None) };
        let mut full = name.clone();
        if self.is(1, &Token::Period)
            && let Some(key) = self.word(2)
        {
            full = format!("{name}.{key}");
        }
        let width = if full == name { 1 } else { 3 };
        if self.is(width, &Token::LParen) {
            return Ok(None);
        }
        let Some(id) = self.names.metric(self.area, &full) else {
            return if self.is_plain(width) { Err(self.unknown(&full, width)) } else { Ok(None) };
        };
        self.at = start + width;
        let over = self.over()?;
        Ok(Some(Operand { id, over, across: None }))
    }

    /// A word of SQL is none that could be a metric.
    fn is_plain(&self, width: usize) -> bool {
        let words = self.words[self.at..].iter().take(width);
        let is_keyword = |token: &Token| {
            matches!(token, Token::Word(word)
                if word.keyword != datafusion::sql::sqlparser::keywords::Keyword::NoKeyword)
        };
        !words.into_iter().any(|(token, _)| is_keyword(token))
    }

    fn unknown(&self, name: &str, width: usize) -> Diagnostic {
        let place = self.words[self.at].1.start..self.words[self.at + width - 1].1.end;
        let help = self.names.nearest(self.area, name);
        Diagnostic::new(Code::UnknownMetric, self.file.at(place), format!("there is no metric `{name}`")).help(
            help.unwrap_or_else(|| {
                "name metrics of this area, or `area.key`; an aggregate such as `sum(amount)` counts rows".to_owned()
            }),
        )
    }

    /// Reads `over 28 days`, and `before`.
    fn over(&mut self) -> Result<Option<Over>, Diagnostic> {
        if !self.word(0).is_some_and(|word| word.eq_ignore_ascii_case("over")) {
            return Ok(None);
        }
        let days = match self.words.get(self.at + 1) {
            Some((Token::Number(number, false), _)) => number.parse().ok(),
            Some((Token::Placeholder(name), _)) => self.names.days(name.trim_start_matches('$')),
            _ => None,
        };
        let is_days = self.word(2).is_some_and(|word| ["day", "days"].contains(&word.to_lowercase().as_str()));
        let Some(days) = days.filter(|days| is_days && (1..=3660).contains(days)) else {
            let end = self.words.get(self.at + 2).or(self.words.last()).map_or(0, |(_, bytes)| bytes.end);
            let place = self.words[self.at].1.start..end;
            return Err(Diagnostic::new(Code::InvalidValue, self.file.at(place), "this is not a window of days")
                .help("write `over 7 days`, or `over 28 days before` for those that end the day before"));
        };
        self.at += 3;
        let is_before = self.word(0).is_some_and(|word| word.eq_ignore_ascii_case("before"));
        self.at += usize::from(is_before);
        Ok(Some(Over { days, is_before }))
    }
}
