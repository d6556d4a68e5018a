//! Conditions on the rows of a table: as they are asked, as they arrive at what a query reads, and as people read them.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, TableScan};
use datafusion::prelude::lit;
use datafusion::sql::unparser::expr_to_sql;

use crate::diagnostic::did_you_mean;
use crate::engine::unchecked;
use crate::plan::Table;

/// How many values of a list are written down.
const LISTED: usize = 5;

/// What is asked of the rows of a table: that some of its columns have certain values.
#[derive(Debug, Clone)]
pub struct Condition(Expr);

/// Why something cannot be asked of a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionError {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Condition {
    /// Reads conditions, each a column and its value as `column=value`; `null` is no value. `schema` has the columns.
    ///
    /// # Errors
    /// When one has no column of the table, or a value that is none of its type.
    pub fn parse(texts: &[String], schema: &Schema) -> std::result::Result<Self, ConditionError> {
        let mut all = Vec::new();
        for text in texts {
            let Some((name, value)) = text.split_once('=') else {
                let help = Some("write COLUMN=VALUE, such as day=2024-06-30".to_owned());
                return Err(ConditionError { message: format!("`{text}` is not a condition"), help });
            };
            let Ok(field) = schema.field_with_name(name) else {
                let names = || schema.fields().iter().map(|field| field.name().as_str());
                let list = || format!("columns are: {}", names().collect::<Vec<_>>().join(", "));
                let help = did_you_mean(name, names()).unwrap_or_else(list);
                return Err(ConditionError { message: format!("there is no column `{name}`"), help: Some(help) });
            };
            let column = Expr::Column(Column::from_name(name));
            if value == "null" {
                all.push(column.is_null());
                continue;
            }
            let Some(value) = typed(value, field.data_type()) else {
                let message = format!("`{value}` is no value of `{name}`, of type {}", field.data_type());
                return Err(ConditionError { message, help: None });
            };
            all.push(column.eq(lit(value)));
        }
        Ok(Self(conjunction(all).unwrap_or_else(|| lit(true))))
    }

    pub(super) fn expression(&self) -> &Expr {
        &self.0
    }
}

/// Returns a value of a type, or nothing if the text is none.
fn typed(text: &str, kind: &DataType) -> Option<ScalarValue> {
    let text = ScalarValue::Utf8(Some(text.to_owned()));
    text.cast_to(kind).ok().filter(|value| !value.is_null())
}

/// Says a condition on a table's columns of the columns of its query.
pub(super) fn on(condition: &Expr, plan: &LogicalPlan, table: &Table) -> Result<Expr> {
    let columns = plan.schema().columns();
    let named = |expression: Expr| {
        let place = match &expression {
            Expr::Column(column) => table.schema.index_of(&column.name).ok(),
            _ => None,
        };
        Ok(place.map_or_else(|| Transformed::no(expression), |at| Transformed::yes(Expr::Column(columns[at].clone()))))
    };
    Ok(condition.clone().transform(named)?.data)
}

/// Returns what an optimised plan says of the rows of each table that it reads; nothing of one of which it reads all.
pub(super) fn of_scans(plan: &LogicalPlan) -> BTreeMap<String, Option<Expr>> {
    let mut found = BTreeMap::new();
    collect(plan, None, &mut found);
    found
}

fn collect(plan: &LogicalPlan, above: Option<&Expr>, found: &mut BTreeMap<String, Option<Expr>>) {
    match plan {
        LogicalPlan::Filter(filter) => collect(&filter.input, Some(&filter.predicate), found),
        LogicalPlan::TableScan(scan) => {
            let condition = of_scan(scan, above);
            let known = found.get(scan.table_name.table()).cloned();
            let condition = match known {
                Some(known) => super::either(known, condition),
                None => condition,
            };
            found.insert(scan.table_name.table().to_owned(), condition);
        }
        other => {
            other.inputs().into_iter().for_each(|input| collect(input, None, found));
            // Subqueries that the optimiser left where they were.
            let _ = other.apply_subqueries(|plan| {
                collect(plan, None, found);
                Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
            });
        }
    }
}

/// Returns what a scan and the filter above it say of the rows of a table.
fn of_scan(scan: &TableScan, above: Option<&Expr>) -> Option<Expr> {
    let mut all: Vec<Expr> = Vec::new();
    let filters = scan.filters.iter().chain(above);
    for condition in filters.flat_map(split_conjunction).filter(|condition| !reads_more(condition)) {
        match condition.clone().transform_up(|expression| Ok(plain(expression))) {
            Ok(plain) if plain.data != lit(true) && !all.contains(&plain.data) => all.push(plain.data),
            _ => {}
        }
    }
    conjunction(all)
}

/// Names a column without its table, and leaves out of a condition what is always true.
fn plain(expression: Expr) -> Transformed<Expr> {
    match expression {
        Expr::Column(column) => Transformed::yes(Expr::Column(Column::from_name(column.name))),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And if *left == lit(true) => Transformed::yes(*right),
            Operator::And if *right == lit(true) => Transformed::yes(*left),
            Operator::Or if *left == lit(true) || *right == lit(true) => Transformed::yes(lit(true)),
            _ => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        },
        other => Transformed::no(other),
    }
}

/// Returns whether a condition asks other tables.
fn reads_more(condition: &Expr) -> bool {
    let asks = |expression: &Expr| {
        Ok(matches!(
            expression,
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::OuterReferenceColumn(..)
        ))
    };
    condition.exists(asks).unwrap_or(true)
}

/// Returns a condition in SQL, of long lists the first values and how many more there are.
pub(super) fn text(condition: &Expr) -> String {
    let sql = |condition: &Expr| {
        let condition = unchecked(condition);
        let sql = expr_to_sql(&condition).map_or_else(|_| condition.to_string(), |sql| sql.to_string());
        without_brackets(&sql).to_owned()
    };
    let one = |condition: &Expr| match condition {
        Expr::InList(list) if list.list.len() > LISTED => {
            let first = InList { list: list.list[..LISTED].to_vec(), ..list.clone() };
            let sql = sql(&Expr::InList(first));
            format!("{} and {} more)", sql.trim_end_matches(')'), list.list.len() - LISTED)
        }
        _ => sql(condition),
    };
    split_conjunction(condition).into_iter().map(one).collect::<Vec<_>>().join(" AND ")
}

/// Returns SQL without the brackets around all of it.
fn without_brackets(sql: &str) -> &str {
    let Some(inner) = sql.strip_prefix('(').and_then(|sql| sql.strip_suffix(')')) else { return sql };
    let mut depth = 0;
    for byte in inner.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return sql,
            b')' => depth -= 1,
            _ => {}
        }
    }
    inner
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    fn schema() -> Schema {
        Schema::new(vec![Field::new("day", DataType::Date32, true), Field::new("orders", DataType::Int64, true)])
    }

    fn parse(texts: &[&str]) -> std::result::Result<String, String> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        Condition::parse(&texts, &schema()).map(|condition| text(condition.expression())).map_err(|error| error.message)
    }

    #[test]
    fn brackets_around_all_of_it_go() {
        assert_eq!(without_brackets("(a = 1)"), "a = 1");
        assert_eq!(without_brackets("(a = 1) OR (b = 2)"), "(a = 1) OR (b = 2)");
    }

    #[test]
    fn of_a_long_list_the_first_values_are_written() {
        let list = |last: i64| Expr::Column(Column::from_name("n")).in_list((1..=last).map(lit).collect(), false);
        assert_eq!(text(&list(5)), "n IN (1, 2, 3, 4, 5)");
        assert_eq!(text(&list(9)), "n IN (1, 2, 3, 4, 5 and 4 more)");
    }

    #[test]
    fn values_are_of_the_type_of_their_column() {
        assert_eq!(parse(&["orders=3"]).unwrap(), "orders = 3");
        assert_eq!(parse(&["day=null", "orders=-1"]).unwrap(), "\"day\" IS NULL AND orders = -1");
        assert_eq!(parse(&["orders=many"]).unwrap_err(), "`many` is no value of `orders`, of type Int64");
        assert_eq!(parse(&["days=2024-03-01"]).unwrap_err(), "there is no column `days`");
        assert_eq!(parse(&["day"]).unwrap_err(), "`day` is not a condition");
    }
}
