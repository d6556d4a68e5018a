//! Reads the columns that USING and NATURAL merge as the SQL standard does.
//!
//! Of `a full join b using (k)` an unqualified `k` is `coalesce(a.k, b.k)`. DataFusion 55.2 takes that of one side, which
//! is null in the rows that only the other side has (apache/datafusion#22881), and which side `*` takes depends on the
//! names of the tables. So the syntax tree says which, before it is planned; the text that is hashed does not change.
//! What cannot be said so is refused.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::common::{Column, DataFusionError, JoinConstraint, JoinType, Result};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as ParsedStatement;
use datafusion::sql::sqlparser::ast::{
    self, Cte, Expr, Ident, JoinOperator, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, VisitMut as _,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Span;
use futures::FutureExt;

use super::refuse::Refusal;
use crate::diagnostic::Code;

/// Rewrites what the outer joins of `statement` merge, and returns whether anything changed.
///
/// # Errors
/// What the planner says of its FROM clauses, and merged columns that cannot be written.
pub(super) fn rewrite(session: &SessionState, statement: &mut Statement) -> Result<bool> {
    let mut finder = Finder::default();
    let _ = statement.visit(&mut finder);
    if !finder.found {
        return Ok(false);
    }
    let before = statement.clone();
    let mut rewriter = Rewriter { session, scopes: Vec::new(), error: None };
    let _ = statement.visit(&mut rewriter);
    rewriter.error.map_or(Ok(*statement != before), Err)
}

/// Looks for any join that merges columns and keeps rows without a match.
#[derive(Default)]
struct Finder {
    found: bool,
}

impl VisitorMut for Finder {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.found |= merges(select);
        if self.found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn merges(select: &Select) -> bool {
    fn in_table(table: &ast::TableWithJoins) -> bool {
        let nested = |factor: &ast::TableFactor| match factor {
            ast::TableFactor::NestedJoin { table_with_joins, .. } => in_table(table_with_joins),
            _ => false,
        };
        nested(&table.relation)
            || table.joins.iter().any(|join| is_outer_merge(&join.join_operator) || nested(&join.relation))
    }
    select.from.iter().any(in_table)
}

fn is_outer_merge(operator: &JoinOperator) -> bool {
    matches!(
        operator,
        JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            if matches!(constraint, ast::JoinConstraint::Using(_) | ast::JoinConstraint::Natural)
    )
}

/// A query that is being visited.
struct Scope {
    /// Its CTEs as they are written.
    ctes: Vec<Cte>,
    is_recursive: bool,
    /// Those that have been rewritten, so that what follows may read them.
    done: Vec<Cte>,
}

struct Rewriter<'a> {
    session: &'a SessionState,
    scopes: Vec<Scope>,
    error: Option<DataFusionError>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let (ctes, is_recursive) = match &query.with {
            Some(with) => (with.cte_tables.clone(), with.recursive),
            None => (Vec::new(), false),
        };
        self.scopes.push(Scope { ctes, is_recursive, done: Vec::new() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        match self.query(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl Rewriter<'_> {
    /// Rewrites a query whose inner queries have been rewritten.
    fn query(&mut self, query: &mut Query) -> Result<()> {
        let merged = self.body(&mut query.body)?;
        if let (Some(order), SetExpr::Select(select)) = (&mut query.order_by, query.body.as_ref())
            && let OrderByKind::Expressions(orders) = &mut order.kind
        {
            // What an output column is called stands for the output column.
            let outputs = outputs(select, &merged);
            let values = merged.into_iter().filter(|merged| !outputs.contains(&merged.name));
            let mut replace = Replace::new(values);
            let _ = orders.visit(&mut replace);
        }
        self.scopes.pop();
        // The first queries below a query are those of its CTEs, in their order.
        if let Some(parent) = self.scopes.last_mut()
            && let Some(cte) = parent.ctes.get(parent.done.len())
        {
            parent.done.push(Cte { query: Box::new(query.clone()), ..cte.clone() });
        }
        Ok(())
    }

    fn body(&self, body: &mut SetExpr) -> Result<Vec<Merged>> {
        match body {
            SetExpr::Select(select) if merges(select) => self.select(select),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left)?;
                self.body(right)?;
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn select(&self, select: &mut Select) -> Result<Vec<Merged>> {
        let from = select.from.first().map_or_else(Span::empty, |table| ast::Spanned::span(&table.relation));
        let merged = merged_of(&self.tables_of(select)?, from)?;
        let from = std::mem::take(&mut select.from);
        let changed: Vec<Merged> = merged.iter().filter(|merged| merged.is_changed()).cloned().collect();
        let mut conditions = Conditions { merged: &changed, depth: 0, found: None };
        for table in &from {
            let mut table = table.clone();
            let _ = table.visit(&mut conditions);
        }
        if let Some(ident) = conditions.found {
            return Err(refusal(
                ident.span,
                format!("`{}` in a join's condition may be that of either side of an outer join", ident.value),
                format!("write the table before it, for example `coalesce(a.{0}, b.{0})`", ident.value),
            ));
        }
        for item in &mut select.projection {
            match item {
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => {
                    if let Some(merged) = changed.iter().find(|merged| merged.name == normal(ident)) {
                        let (expr, alias) = (merged.value(ident.span), ident.clone());
                        *item = SelectItem::ExprWithAlias { expr, alias };
                    }
                }
                SelectItem::Wildcard(options) => replace_in_wildcard(options, &merged),
                _ => {}
            }
        }
        let mut replace = Replace::new(changed.iter().cloned());
        let _ = select.visit(&mut replace);
        select.from = from;
        Ok(changed)
    }

    /// Plans the FROM clause of a SELECT alone.
    fn tables_of(&self, select: &Select) -> Result<LogicalPlan> {
        let parsed = Parser::parse_sql(&GenericDialect {}, "with c as (select 1) select * from c")?;
        let Some(Statement::Query(mut probe)) = parsed.into_iter().next() else {
            return Err(DataFusionError::Internal("a SELECT was not one".to_owned()));
        };
        let mut ctes: BTreeMap<String, (usize, Cte)> = BTreeMap::new();
        for cte in self.scopes.iter().flat_map(|scope| &scope.done) {
            // The inner one of two that have the same name counts.
            let place = ctes.len();
            ctes.insert(normal(&cte.alias.name), (place, cte.clone()));
        }
        let mut ctes: Vec<(usize, Cte)> = ctes.into_values().collect();
        ctes.sort_by_key(|(place, _)| *place);
        match &mut probe.with {
            Some(with) if !ctes.is_empty() => with.cte_tables = ctes.into_iter().map(|(_, cte)| cte).collect(),
            with => *with = None,
        }
        if let SetExpr::Select(inner) = probe.body.as_mut() {
            inner.from.clone_from(&select.from);
        }
        let statement = ParsedStatement::Statement(Box::new(Statement::Query(probe)));
        let planned = self.session.statement_to_plan(statement).now_or_never();
        planned.unwrap_or_else(|| Err(DataFusionError::Internal("a table had to be waited for".to_owned()))).map_err(
            |error| {
                if self.scopes.iter().any(|scope| scope.is_recursive) {
                    let first = select.from.first().map_or_else(Span::empty, ast::Spanned::span);
                    let message = "an outer join of a recursive query merges columns".to_owned();
                    return refusal(first, message, "write the join with `on`".to_owned());
                }
                error
            },
        )
    }
}

fn refusal(span: Span, message: String, help: String) -> DataFusionError {
    Refusal { code: Code::MergedColumn, span, message, help }.into()
}

/// A column that a join merges.
#[derive(Debug, Clone)]
struct Merged {
    name: String,
    /// The columns of either side, all of one name.
    columns: Vec<Column>,
    /// Those of which the first that is not null is the value.
    values: Vec<Column>,
}

impl Merged {
    /// Returns whether it is other than the column of the left side, which DataFusion takes.
    fn is_changed(&self) -> bool {
        self.values.as_slice() != [self.columns[0].clone()]
    }

    fn value(&self, span: Span) -> Expr {
        let mut columns: Vec<Expr> = self.values.iter().map(|column| qualified(column, span)).collect();
        if columns.len() == 1 { columns.remove(0) } else { super::query::call("coalesce", columns) }
    }
}

fn qualified(column: &Column, span: Span) -> Expr {
    let ident = |value: &str| Ident { value: value.to_owned(), quote_style: Some('"'), span };
    let mut parts: Vec<Ident> = Vec::new();
    if let Some(table) = &column.relation {
        parts.extend(table.catalog().map(ident));
        parts.extend(table.schema().map(ident));
        parts.push(ident(table.table()));
    }
    parts.push(ident(&column.name));
    Expr::CompoundIdentifier(parts)
}

/// Returns what the joins of a planned `select * from …` merge; its FROM clause begins at `from`.
fn merged_of(plan: &LogicalPlan, from: Span) -> Result<Vec<Merged>> {
    match plan {
        LogicalPlan::Projection(projection) => joined(&projection.input, from),
        _ => Ok(Vec::new()),
    }
}

fn joined(plan: &LogicalPlan, from: Span) -> Result<Vec<Merged>> {
    let join = match plan {
        LogicalPlan::Join(join) => join,
        LogicalPlan::Filter(filter) => return joined(&filter.input, from),
        _ => return Ok(Vec::new()),
    };
    let (mut of_left, mut of_right) = (joined(&join.left, from)?, joined(&join.right, from)?);
    let mut merged = Vec::new();
    if join.join_constraint == JoinConstraint::Using {
        for (left, right) in &join.on {
            let (Some(left), Some(right)) = (left.get_as_join_column(), right.get_as_join_column()) else { continue };
            let left_columns = columns_of(&mut of_left, left, from)?;
            let right_columns = columns_of(&mut of_right, right, from)?;
            let values = match join.join_type {
                JoinType::Full => vec![left.clone(), right.clone()],
                JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                    vec![right.clone()]
                }
                _ => vec![left.clone()],
            };
            merged.push(Merged { name: left.name.clone(), columns: [left_columns, right_columns].concat(), values });
        }
    }
    Ok([of_left, merged, of_right].concat())
}

/// Returns the columns that `column` stands for on its side of a join, and takes them out of what that has merged.
fn columns_of(merged: &mut Vec<Merged>, column: &Column, from: Span) -> Result<Vec<Column>> {
    let name = &column.name;
    let told = |words: &str, help: String| {
        Err(refusal(from, format!("the column `{name}` of an outer join with `using` {words}"), help))
    };
    if column.relation.is_none() {
        return told("is one of a query without a name", "name the query: `(select …) as t`".to_owned());
    }
    let Some(place) = merged.iter().position(|known| known.columns.contains(column)) else {
        return Ok(vec![column.clone()]);
    };
    if merged[place].is_changed() {
        let help = format!("join with `on`, and say which: `on coalesce(a.{name}, b.{name}) = c.{name}`");
        return told("is merged once more by another join", help);
    }
    Ok(merged.remove(place).columns)
}

/// `*` takes the column of the table whose name comes first, so it is told of every column that an outer join merges.
fn replace_in_wildcard(options: &mut ast::WildcardAdditionalOptions, merged: &[Merged]) {
    let excluded: Vec<String> = {
        let listed = |options: &ast::WildcardAdditionalOptions| {
            let excepted = options.opt_except.iter().flat_map(|except| {
                std::iter::once(&except.first_element)
                    .chain(&except.additional_elements)
                    .map(normal)
                    .collect::<Vec<_>>()
            });
            let excluded = options.opt_exclude.iter().flat_map(|exclude| match exclude {
                ast::ExcludeSelectItem::Single(name) => vec![last(name)],
                ast::ExcludeSelectItem::Multiple(names) => names.iter().map(last).collect(),
            });
            excepted.chain(excluded).collect()
        };
        listed(options)
    };
    let known: Vec<String> = options
        .opt_replace
        .iter()
        .flat_map(|replace| replace.items.iter().map(|item| normal(&item.column_name)))
        .chain(excluded)
        .collect();
    let items: Vec<_> = merged
        .iter()
        .filter(|merged| !known.contains(&merged.name))
        .map(|merged| {
            let span = options.wildcard_token.0.span;
            let column_name = Ident { value: merged.name.clone(), quote_style: Some('"'), span };
            Box::new(ast::ReplaceSelectElement { expr: merged.value(span), column_name, as_keyword: true })
        })
        .collect();
    if items.is_empty() {
        return;
    }
    options.opt_replace.get_or_insert_with(|| ast::ReplaceSelectItem { items: Vec::new() }).items.extend(items);
}

fn last(name: &ast::ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(normal).unwrap_or_default()
}

/// Returns the names of the output columns of a SELECT, as far as they may be those of merged columns.
fn outputs(select: &Select, merged: &[Merged]) -> Vec<String> {
    let mut names = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => names.push(normal(alias)),
            SelectItem::Wildcard(_) => names.extend(merged.iter().map(|merged| merged.name.clone())),
            _ => {}
        }
    }
    names
}

/// Returns the name that an identifier stands for.
fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_none() { ident.value.to_lowercase() } else { ident.value.clone() }
}

/// Replaces merged columns by their values, but not in queries further in, which have columns of their own.
struct Replace {
    values: BTreeMap<String, Merged>,
    depth: usize,
}

impl Replace {
    fn new(merged: impl Iterator<Item = Merged>) -> Self {
        Self { values: merged.map(|merged| (merged.name.clone(), merged)).collect(), depth: 0 }
    }
}

impl VisitorMut for Replace {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Identifier(ident) = expression
            && let Some(merged) = self.values.get(&normal(ident))
        {
            *expression = merged.value(ident.span);
        }
        ControlFlow::Continue(())
    }
}

/// Looks for merged columns in the conditions of joins, where later joins have not been made yet.
struct Conditions<'a> {
    merged: &'a [Merged],
    depth: usize,
    found: Option<Ident>,
}

impl VisitorMut for Conditions<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Identifier(ident) = expression
            && self.merged.iter().any(|merged| merged.name == normal(ident))
        {
            self.found = Some(ident.clone());
        }
        ControlFlow::Continue(())
    }
}
