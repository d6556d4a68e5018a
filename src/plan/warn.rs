//! Warns of SQL that means something else here than whoever wrote it can have meant.
//!
//! None of it is a mistake by itself: it may be meant, and each warning says how to write it then. What differs from other
//! databases without any sign that it is not meant stands in `docs/sql.md`.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, ExprSchemable, LogicalPlan, Operator, WindowFunctionDefinition,
};
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned, Value, Visit as _, Visitor,
};

use super::places;
use super::query::{Query, bytes};
use super::refuse::mistake;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use crate::engine::{is_utc, unchecked};

/// Functions that take patterns of dates and times after what they are for.
const TAKE_PATTERNS: [&str; 10] = [
    "to_char",
    "date_format",
    "to_date",
    "to_time",
    "to_timestamp",
    "to_timestamp_seconds",
    "to_timestamp_millis",
    "to_timestamp_micros",
    "to_timestamp_nanos",
    "to_unixtime",
];

/// Words in the name of a column that say that it holds a part of something, or a mean.
const FRACTIONS: [&str; 12] = [
    "average",
    "avg",
    "fraction",
    "mean",
    "pct",
    "percent",
    "percentage",
    "probability",
    "proportion",
    "rate",
    "ratio",
    "share",
];

/// Words at the end of such a name that say that it holds whole numbers after all.
const WHOLE: [&str; 8] = ["bucket", "count", "decile", "id", "number", "quartile", "rank", "total"];

/// Returns what can hardly be meant in a bound query.
pub(super) fn warnings(file: &SourceFile, query: &Query, plan: &LogicalPlan) -> Diagnostics {
    let mut written = Written { file, found: Diagnostics::default() };
    let _ = query.written().visit(&mut written);
    let mut bound = Bound { file, query, found: written.found };
    let _ = plan.apply_with_subqueries(|node| {
        bound.node(node);
        Ok(TreeNodeRecursion::Continue)
    });
    bound.found
}

/// Looks at what the text alone shows.
struct Written<'a> {
    file: &'a SourceFile,
    found: Diagnostics,
}

impl Visitor for Written<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &ast::Expr) -> ControlFlow<()> {
        match expression {
            ast::Expr::BinaryOp { op: BinaryOperator::BitwiseXor, .. } => {
                let message = "`^` is the exclusive or of bits here, and no power: 2 ^ 3 is 1";
                let help = "write power(2, 3); where the bits are meant, (a | b) - (a & b)";
                self.warn(Code::XorForPower, expression.span(), message.to_owned(), help);
            }
            ast::Expr::Function(call) => self.call(call),
            ast::Expr::Substring { substring_from: Some(from), substring_for: None, .. } => {
                self.start_of_a_part(from, expression.span());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Written<'_> {
    fn warn(&mut self, code: Code, span: datafusion::sql::sqlparser::tokenizer::Span, message: String, help: &str) {
        let at = self.file.at(bytes(self.file, span));
        self.found.push(Diagnostic::new(code, at, message).help(help));
    }

    fn call(&mut self, call: &ast::Function) {
        let name = call.name.to_string().to_lowercase();
        let FunctionArguments::List(arguments) = &call.args else { return };
        let arguments: Vec<&ast::Expr> = arguments
            .args
            .iter()
            .filter_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => Some(argument),
                _ => None,
            })
            .collect();
        if TAKE_PATTERNS.contains(&name.as_str()) {
            for argument in arguments.iter().skip(1) {
                let ast::Expr::Value(value) = argument else { continue };
                let Value::SingleQuotedString(pattern) = &value.value else { continue };
                if !pattern.contains('%') {
                    let message = format!("the pattern of `{name}` has no `%`, so that it stands for itself");
                    let help = "patterns are those of strftime: '%Y-%m-%d %H:%M:%S' for 'YYYY-MM-DD HH24:MI:SS'";
                    self.warn(Code::PatternWithoutPercent, value.span, message, help);
                }
            }
        }
        if let ("substr" | "substring", [_, from]) = (name.as_str(), arguments.as_slice()) {
            self.start_of_a_part(from, from.span());
        }
    }

    /// Looks at where a part of a text begins that goes to its end.
    fn start_of_a_part(&mut self, from: &ast::Expr, span: datafusion::sql::sqlparser::tokenizer::Span) {
        let ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } = from else { return };
        let ast::Expr::Value(value) = expr.as_ref() else { return };
        if let Value::Number(number, _) = &value.value {
            let message = format!("the part from -{number} on is the whole text: places count from its beginning");
            let help = format!("write right(…, {number}) for the last {number} characters");
            self.warn(Code::SubstringFromTheEnd, span, message, &help);
        }
    }
}

/// Looks at what takes types to see.
struct Bound<'a> {
    file: &'a SourceFile,
    query: &'a Query,
    found: Diagnostics,
}

impl Bound<'_> {
    fn node(&mut self, node: &LogicalPlan) {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        let _ = node.apply_expressions(|expression| {
            let expression = unchecked(expression);
            self.division(&expression, Around::default(), &schema, node);
            expression.apply(|part| {
                self.zone(part, &schema);
                Ok(TreeNodeRecursion::Continue)
            })
        });
    }

    fn warn(&mut self, code: Code, expression: &Expr, message: &str, help: &str) {
        let warning = match places::of(self.query, self.file, expression).into_iter().next() {
            Some(at) => Diagnostic::new(code, self.file.at(at), message),
            None => mistake(code, self.file, expression, message),
        };
        self.found.push(warning.help(help));
    }

    /// Looks for integers that are divided although what comes of it is to have a fraction.
    fn division(&mut self, expression: &Expr, around: Around, schema: &DFSchema, node: &LogicalPlan) {
        if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Divide, right }) = expression {
            let is_integer = |side: &Expr| side.get_type(schema).is_ok_and(|kind| kind.is_integer());
            if !around.is_whole && is_integer(left) && is_integer(right) {
                let message = if around.is_fraction {
                    Some("an integer is divided by an integer, so that the fraction is gone before it is asked for")
                } else if is_lost(left, right) || is_of_many(left, node) && is_of_many(right, node) {
                    Some("an integer is divided by an integer, so that the result has no fraction")
                } else {
                    None
                };
                if let Some(message) = message {
                    let help = "cast one side: cast(a as double) / b; where whole numbers are meant, floor(a / b)";
                    self.warn(Code::IntegerDivision, &as_written(expression, node), message, help);
                    // Once for a chain of them.
                    return;
                }
            }
        }
        let _ = expression.apply_children(|child| {
            self.division(child, around.of(expression, child, schema), schema, node);
            Ok(TreeNodeRecursion::Continue)
        });
    }

    /// Looks for instants of which a zone was asked, and then forgotten.
    fn zone(&mut self, expression: &Expr, schema: &DFSchema) {
        let is_elsewhere = |side: &Expr| match side.get_type(schema) {
            Ok(DataType::Timestamp(_, Some(zone))) => !is_utc(&zone),
            _ => false,
        };
        let (inner, to) = match expression {
            Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
            Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
            Expr::ScalarFunction(call) if call.func.name() == "date_bin" => {
                if let [stride, instant, ..] = call.args.as_slice()
                    && is_days(stride)
                    && is_elsewhere(instant)
                {
                    self.warn(
                        Code::ZoneIsDropped,
                        expression,
                        "`date_bin` cuts at midnight in UTC, whatever `at time zone` says",
                        "use date_trunc('day', … at time zone '…'), or local_day(…, '…'), which cut there",
                    );
                }
                return;
            }
            _ => return,
        };
        let is_date = || matches!(inner.get_type(schema), Ok(DataType::Date32 | DataType::Date64));
        if is_elsewhere(expression) && is_date() {
            self.warn(
                Code::ZoneIsDropped,
                inner,
                "a date beside an instant is its first instant in UTC, whatever `at time zone` says",
                "compare days: cast(… at time zone '…' as date), or local_day(…, '…')",
            );
        }
        if matches!(to, DataType::Timestamp(_, None)) && is_elsewhere(inner) {
            self.warn(
                Code::ZoneIsDropped,
                expression,
                "a cast to a timestamp without a zone gives the time in UTC, whatever `at time zone` says",
                "use to_local_time(… at time zone '…') for the time there, or local_day(…, '…') for the day",
            );
        }
    }
}

/// What becomes of the value of an expression.
#[derive(Debug, Clone, Copy, Default)]
struct Around {
    /// It becomes, or is made one with, a number that has a fraction.
    is_fraction: bool,
    /// It is said to be whole.
    is_whole: bool,
}

impl Around {
    /// Returns what becomes of the value of a part of an expression.
    fn of(self, expression: &Expr, part: &Expr, schema: &DFSchema) -> Self {
        let has_fraction = |kind: &DataType| kind.is_floating() || kind.is_decimal();
        match expression {
            Expr::Alias(alias) if is_fraction(&alias.name) => Self { is_fraction: true, is_whole: false },
            Expr::Alias(_) => self,
            Expr::Cast(_) | Expr::TryCast(_) => {
                let kind = expression.get_type(schema);
                let is_fraction = kind.as_ref().is_ok_and(has_fraction);
                let is_whole = self.is_whole && is_fraction || kind.is_ok_and(|kind| kind.is_integer());
                Self { is_fraction, is_whole }
            }
            Expr::ScalarFunction(call) => match call.func.name() {
                "floor" | "trunc" => Self { is_fraction: false, is_whole: true },
                "round" => Self { is_fraction: true, is_whole: false },
                "coalesce" | "nullif" | "abs" | "greatest" | "least" => Self { is_whole: false, ..self },
                _ => Self::default(),
            },
            Expr::BinaryExpr(BinaryExpr {
                op: Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide,
                ..
            }) => Self { is_whole: false, ..self },
            Expr::Case(case) => {
                let is_value = case.when_then_expr.iter().any(|(_, then)| std::ptr::eq(then.as_ref(), part))
                    || case.else_expr.as_deref().is_some_and(|otherwise| std::ptr::eq(otherwise, part));
                if is_value { Self { is_whole: false, ..self } } else { Self::default() }
            }
            _ => Self::default(),
        }
    }
}

fn is_fraction(name: &str) -> bool {
    let words: Vec<&str> = name.split('_').collect();
    words.iter().any(|word| FRACTIONS.contains(word)) && !words.last().is_some_and(|word| WHOLE.contains(word))
}

/// Returns whether a quotient is known to lose its fraction: `1 / 2`, and `1 / n` of anything but 1.
fn is_lost(left: &Expr, right: &Expr) -> bool {
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => right != 0 && left % right != 0,
        (Some(left), None) => left.abs() == 1,
        _ => false,
    }
}

fn integer(expression: &Expr) -> Option<i128> {
    match expression {
        Expr::Literal(value, _) if value.data_type().is_integer() => value.to_string().parse().ok(),
        Expr::Negative(inner) => integer(inner).map(|value| -value),
        Expr::Cast(cast) => integer(&cast.expr),
        _ => None,
    }
}

/// Returns an expression with the aggregates and windows below `node` in the place of the columns that they became, as they
/// were written.
fn as_written(expression: &Expr, node: &LogicalPlan) -> Expr {
    let written = |part: Expr| {
        let column = match &part {
            Expr::Column(column) if column.relation.is_none() => column,
            _ => return Ok(Transformed::no(part)),
        };
        let made = made_of(column, node).filter(|made| made.schema_name().to_string() == column.name);
        Ok(made.map_or_else(|| Transformed::no(part), |made| Transformed::yes(without_star(made))))
    };
    expression.clone().transform_down(written).map_or_else(|_| expression.clone(), |transformed| transformed.data)
}

/// Returns an aggregate without the 1 that stands for the `*` of `count(*)`.
fn without_star(mut call: Expr) -> Expr {
    let arguments = match &mut call {
        Expr::AggregateFunction(call) => &mut call.params.args,
        Expr::WindowFunction(call) => &mut call.params.args,
        _ => return call,
    };
    if matches!(arguments.as_slice(), [Expr::Literal(..)]) {
        arguments.clear();
    }
    call
}

/// Returns whether an expression has the result of an aggregate in it. Functions that number rows are none: groups are made
/// of what they give.
fn is_of_many(expression: &Expr, node: &LogicalPlan) -> bool {
    let is_it = |part: &Expr| {
        Ok(match part {
            Expr::Column(column) => made_of(column, node).is_some(),
            _ => false,
        })
    };
    expression.exists(is_it).unwrap_or(false)
}

/// Returns the aggregate, or the window over one, that a column of the inputs of `node` comes from.
fn made_of(column: &Column, node: &LogicalPlan) -> Option<Expr> {
    node.inputs().into_iter().find_map(|input| made_at(input, input.schema().maybe_index_of_column(column)?))
}

/// Returns the aggregate, or the window over one, that the column of `plan` at a place comes from.
fn made_at(plan: &LogicalPlan, place: usize) -> Option<Expr> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => {
            let groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
            aggregate.aggr_expr.get(place.checked_sub(groups)?).cloned()
        }
        LogicalPlan::Window(window) => {
            let columns = window.input.schema().fields().len();
            match place.checked_sub(columns) {
                Some(place) => window.window_expr.get(place).filter(|window| is_aggregate(window)).cloned(),
                None => made_at(&window.input, place),
            }
        }
        LogicalPlan::Projection(projection) => {
            let mut expression = projection.expr.get(place)?;
            while let Expr::Alias(alias) = expression {
                expression = &alias.expr;
            }
            match expression {
                Expr::Column(column) => made_of(column, plan),
                _ => None,
            }
        }
        LogicalPlan::Join(join) => {
            let columns = join.left.schema().fields().len();
            match place.checked_sub(columns) {
                Some(place) => made_at(&join.right, place),
                None => made_at(&join.left, place),
            }
        }
        LogicalPlan::SubqueryAlias(alias) => made_at(&alias.input, place),
        LogicalPlan::Filter(filter) => made_at(&filter.input, place),
        LogicalPlan::Sort(sort) => made_at(&sort.input, place),
        LogicalPlan::Limit(limit) => made_at(&limit.input, place),
        LogicalPlan::Distinct(Distinct::All(input)) => made_at(input, place),
        _ => None,
    }
}

/// Returns whether a window is over an aggregate.
fn is_aggregate(window: &Expr) -> bool {
    match window {
        Expr::WindowFunction(call) => matches!(call.fun, WindowFunctionDefinition::AggregateUDF(_)),
        Expr::Alias(alias) => is_aggregate(&alias.expr),
        _ => false,
    }
}

/// Returns whether a length of time is a day or more.
fn is_days(stride: &Expr) -> bool {
    const DAY: i64 = 86_400_000_000_000;
    match stride {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(stride)), _) => {
            stride.months != 0 || stride.days != 0 || stride.nanoseconds >= DAY
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(stride)), _) => stride.days != 0,
        Expr::Literal(ScalarValue::IntervalYearMonth(Some(_)), _) => true,
        Expr::Cast(cast) => is_days(&cast.expr),
        _ => false,
    }
}
