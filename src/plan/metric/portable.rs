//! Metrics as SQL that other engines know: aggregates over the rows of one published table.
//!
//! Promises: over any rows of the table the expression has the value that the metric has over them, in every engine that
//! knows the SQL standard and `median`. Conditions of the metric and of its aggregates are written into `case`, so that
//! an expression needs nothing beside it. What has no such expression is refused, with the reason: windows, stocks and
//! arithmetic, functions of this engine or of the project, division (whole numbers are divided in different ways), and
//! days that are cut from instants.
//!
//! It does not know until when a feed is complete: rows beyond it count.

use datafusion::arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, UnaryOperator, Value,
};

use super::formula::parsed;
use crate::plan::query::variable;
use crate::plan::{Kind, Workspace};
use crate::project::{Formula, MetricTime, Variable};
use crate::sql_text::text;

/// Aggregates of one value that leave out nulls, and that every engine knows.
const AGGREGATES: [&str; 6] = ["count", "sum", "min", "max", "avg", "median"];

/// Functions of single values that mean the same everywhere.
const FUNCTIONS: [&str; 9] = ["abs", "coalesce", "greatest", "least", "lower", "nullif", "round", "trim", "upper"];

/// A metric as SQL over the rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortableMetric {
    /// The published table.
    pub table: String,
    /// The column with the day that a row counts on.
    pub time: String,
    /// What is divided, or the value itself.
    pub numerator: PortableSide,
    /// What it is divided by.
    pub denominator: Option<PortableSide>,
    /// The whole expression.
    pub value: String,
    /// Whether a sample that is too small takes the value away.
    pub has_sample: bool,
}

/// A side of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortableSide {
    /// The expression.
    pub sql: String,
    /// The one aggregate that it is, if it is no more.
    pub aggregate: Option<PortableAggregate>,
}

/// An aggregate, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortableAggregate {
    /// Its name.
    pub function: String,
    /// Whether it takes each value once.
    pub is_distinct: bool,
    /// What it is of; `None` counts rows.
    pub of: Option<String>,
    /// Which rows count; `None` is all.
    pub condition: Option<String>,
}

/// Returns the metric `id` as SQL in which `column` writes the names of columns.
///
/// # Errors
/// Why there is no such SQL, as a clause without its subject: "looks back over a window".
pub fn portable(workspace: &Workspace, id: &str, column: &dyn Fn(&str) -> String) -> Result<PortableMetric, String> {
    let (Some(metric), Some(about)) = (workspace.project.metrics.get(id), workspace.metrics().get(id)) else {
        return Err("is not there".to_owned());
    };
    let Some(table) = &about.table else { return Err("is made of other metrics".to_owned()) };
    if !about.is_of_its_rows {
        return Err("looks beyond the rows of its days".to_owned());
    }
    let Some(of) = workspace.tables.get(table).filter(|of| of.kind == Kind::Published) else {
        return Err(format!("is counted from `{table}`, which is not published"));
    };
    let rows = metric.rows.as_ref().ok_or("counts no rows")?;
    let MetricTime::At(time) = &rows.time else { return Err("counts no single days".to_owned()) };
    let is_date = of.schema.field_with_name(&time.text).is_ok_and(|field| *field.data_type() == DataType::Date32);
    if !is_date {
        return Err(format!("cuts the days of `{}`, which is an instant", time.text));
    }
    let contract = workspace.project.contracts.get(table);
    let is_never_null = contract.is_some_and(|contract| {
        contract.key.contains(&time.text)
            || contract.columns.get(&time.text).is_some_and(|column| column.rules.required)
    });
    let settings = &workspace.project.settings;
    let mut writer = Writer {
        table,
        time: column(&time.text),
        is_time_never_null: is_never_null,
        filter: None,
        adds_up: about.roll_up == "sum" || about.roll_up == "ratio of sums",
        column,
        value: &|name| settings.vars.get(name).cloned(),
    };
    writer.filter = rows.filter.as_ref().map(|filter| writer.plain(&filter.text)).transpose()?;
    let (numerator, denominator) = match &metric.formula {
        Formula::Value(value) => (writer.side(&value.text)?, None),
        Formula::Ratio { numerator, denominator } => {
            (writer.side(&numerator.text)?, Some(writer.side(&denominator.text)?))
        }
        Formula::Of { .. } => return Err("looks back over a window".to_owned()),
    };
    let mut value = match &denominator {
        None => numerator.sql.clone(),
        Some(of) => format!("cast({} as double precision) / nullif({}, 0)", numerator.sql, of.sql),
    };
    if let Some(sample) = &metric.sample {
        value = format!("case when {} >= {} then {value} end", writer.side(&sample.text)?.sql, about.min_sample);
    }
    let (table, time) = (table.clone(), time.text.clone());
    Ok(PortableMetric { table, time, numerator, denominator, value, has_sample: metric.sample.is_some() })
}

struct Writer<'a> {
    table: &'a str,
    /// The column with the day of a row.
    time: String,
    is_time_never_null: bool,
    /// The condition of the metric.
    filter: Option<String>,
    /// Whether a sum over no rows is 0.
    adds_up: bool,
    column: &'a dyn Fn(&str) -> String,
    value: &'a dyn Fn(&str) -> Option<Variable>,
}

impl Writer<'_> {
    /// Writes a condition or a value of single rows.
    fn plain(&self, sql: &str) -> Result<String, String> {
        self.expression(&parsed(sql).ok_or("does not parse")?, true)
    }

    fn side(&self, sql: &str) -> Result<PortableSide, String> {
        let expression = parsed(sql).ok_or("does not parse")?;
        let mut whole = &expression;
        while let Expr::Nested(inner) = whole {
            whole = inner;
        }
        let aggregate = match whole {
            Expr::Function(call) if is_aggregate(call) => Some(self.aggregate(call)?),
            _ => None,
        };
        Ok(PortableSide { sql: self.expression(whole, false)?, aggregate })
    }

    /// Takes an aggregate apart.
    fn aggregate(&self, call: &Function) -> Result<PortableAggregate, String> {
        let FunctionArguments::List(list) = &call.args else { return Err(unshared(call)) };
        let is_plain = call.over.is_none()
            && call.within_group.is_empty()
            && call.null_treatment.is_none()
            && list.clauses.is_empty();
        if !is_plain {
            return Err(unshared(call));
        }
        let function = call.name.to_string().to_lowercase();
        let of = match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] | [] if function == "count" => None,
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(of))] => Some(self.expression(of, true)?),
            _ => return Err(unshared(call)),
        };
        let own = call.filter.as_ref().map(|filter| self.expression(filter, true)).transpose()?;
        // A row without a day does not count.
        let has_day = (!self.is_time_never_null && of.is_some()).then(|| format!("{} is not null", self.time));
        let conditions: Vec<String> = self.filter.clone().into_iter().chain(own).chain(has_day).collect();
        let condition = match conditions.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(several.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" and ")),
        };
        let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        Ok(PortableAggregate { function, is_distinct, of, condition })
    }

    /// Writes an expression; `is_of_rows` where no aggregate can stand.
    fn expression(&self, expression: &Expr, is_of_rows: bool) -> Result<String, String> {
        let inner = |of: &Expr| self.expression(of, is_of_rows);
        let not = |is: bool| if is { "not " } else { "" };
        if let Some(name) = variable(expression) {
            return self.literal(name);
        }
        Ok(match expression {
            Expr::Identifier(name) if is_of_rows => (self.column)(&stored(name)),
            Expr::CompoundIdentifier(names) if is_of_rows => match names.as_slice() {
                [table, name] if stored(table) == self.table => (self.column)(&stored(name)),
                _ => return Err(unshared(expression)),
            },
            Expr::Nested(of) => format!("({})", inner(of)?),
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => number.clone(),
                Value::SingleQuotedString(words) => text(words),
                Value::Boolean(flag) => flag.to_string(),
                Value::Null => "null".to_owned(),
                _ => return Err(unshared(expression)),
            },
            Expr::TypedString(typed) if typed.to_string().to_lowercase().starts_with("date '") => typed.to_string(),
            Expr::UnaryOp { op, expr } => match op {
                UnaryOperator::Not => format!("not {}", inner(expr)?),
                UnaryOperator::Minus => format!("-{}", inner(expr)?),
                UnaryOperator::Plus => inner(expr)?,
                _ => return Err(unshared(expression)),
            },
            Expr::BinaryOp { left, op, right } if is_shared(op) => {
                format!("{} {} {}", inner(left)?, op.to_string().to_lowercase(), inner(right)?)
            }
            Expr::IsNull(of) => format!("{} is null", inner(of)?),
            Expr::IsNotNull(of) => format!("{} is not null", inner(of)?),
            Expr::IsTrue(of) => format!("{} is true", inner(of)?),
            Expr::IsNotTrue(of) => format!("{} is not true", inner(of)?),
            Expr::IsFalse(of) => format!("{} is false", inner(of)?),
            Expr::IsNotFalse(of) => format!("{} is not false", inner(of)?),
            Expr::Between { expr, negated, low, high } => {
                format!("{} {}between {} and {}", inner(expr)?, not(*negated), inner(low)?, inner(high)?)
            }
            Expr::InList { expr, list, negated } => {
                let list = list.iter().map(inner).collect::<Result<Vec<_>, _>>()?;
                format!("{} {}in ({})", inner(expr)?, not(*negated), list.join(", "))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                format!("{} {}like {}", inner(expr)?, not(*negated), inner(pattern)?)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let mut sql = "case".to_owned();
                if let Some(operand) = operand {
                    sql.push_str(&format!(" {}", inner(operand)?));
                }
                for CaseWhen { condition, result } in conditions {
                    sql.push_str(&format!(" when {} then {}", inner(condition)?, inner(result)?));
                }
                if let Some(otherwise) = else_result {
                    sql.push_str(&format!(" else {}", inner(otherwise)?));
                }
                sql + " end"
            }
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
                array: false,
            } => {
                format!("cast({} as {})", inner(expr)?, data_type.to_string().to_lowercase())
            }
            Expr::Function(call) if !is_of_rows && is_aggregate(call) => self.folded(&self.aggregate(call)?),
            Expr::Function(call) => self.call(call, is_of_rows)?,
            _ => return Err(unshared(expression)),
        })
    }

    /// Writes an aggregate with its condition inside.
    fn folded(&self, aggregate: &PortableAggregate) -> String {
        let PortableAggregate { function, is_distinct, of, condition } = aggregate;
        // Rows are counted by their day, which those that count have.
        let of = of.as_ref().unwrap_or(&self.time);
        let value = condition.as_ref().map_or_else(|| of.clone(), |when| format!("case when {when} then {of} end"));
        let distinct = if *is_distinct { "distinct " } else { "" };
        let call = format!("{function}({distinct}{value})");
        if self.adds_up && function == "sum" { format!("coalesce({call}, 0)") } else { call }
    }

    fn call(&self, call: &Function, is_of_rows: bool) -> Result<String, String> {
        let name = call.name.to_string().to_lowercase();
        let FunctionArguments::List(list) = &call.args else { return Err(unshared(call)) };
        let is_plain = FUNCTIONS.contains(&name.as_str())
            && call.over.is_none()
            && call.filter.is_none()
            && list.clauses.is_empty()
            && list.duplicate_treatment.is_none();
        if !is_plain {
            return Err(unshared(call));
        }
        let argument = |argument: &FunctionArg| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(of)) => self.expression(of, is_of_rows),
            _ => Err(unshared(call)),
        };
        let arguments = list.args.iter().map(argument).collect::<Result<Vec<_>, _>>()?;
        Ok(format!("{name}({})", arguments.join(", ")))
    }

    fn literal(&self, name: &str) -> Result<String, String> {
        match (self.value)(name) {
            Some(Variable::Integer(number)) if number < 0 => Ok(format!("({number})")),
            Some(Variable::Integer(number)) => Ok(number.to_string()),
            Some(Variable::Float(number)) => Ok(format!("({number:?})")),
            Some(Variable::Boolean(flag)) => Ok(flag.to_string()),
            Some(Variable::Text(words)) => Ok(text(&words)),
            Some(Variable::Date(day)) => Ok(format!("date '{day}'")),
            Some(Variable::Timestamp(_)) | None => Err(format!("uses `${name}`")),
        }
    }
}

fn is_aggregate(call: &Function) -> bool {
    AGGREGATES.contains(&call.name.to_string().to_lowercase().as_str())
}

fn is_shared(operator: &BinaryOperator) -> bool {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, Minus, Multiply, NotEq, Or, Plus, StringConcat};
    matches!(operator, And | Eq | Gt | GtEq | Lt | LtEq | Minus | Multiply | NotEq | Or | Plus | StringConcat)
}

/// Returns a name as the engine understands it: without quotes it is in small letters.
fn stored(name: &datafusion::sql::sqlparser::ast::Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

fn unshared(what: &impl ToString) -> String {
    format!("says `{}`, which engines do not share", what.to_string())
}
