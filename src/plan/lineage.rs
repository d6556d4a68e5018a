//! Tells which columns each column of a table comes from.
//!
//! A column comes from the columns that are named in the expression which makes it, followed through subqueries, CTEs
//! and views to datasets and stored tables. What decides which rows there are, and not what a column says, is told
//! apart: filters, joins, groups, orders and the conditions of subqueries.
//!
//! Promises: what is told is read from the plan that DataFusion binds, before it is optimised, so names mean here what
//! they mean in a run; a column that is told as a source exists.
//!
//! It does not know values: `case when a > 0 then b end` comes from both, a column of `coalesce(a, 0)` from `a` however
//! often it is null, and `a - a` from `a`. An expression in a window or an aggregate counts as a whole: its arguments,
//! its filter, what it is partitioned and ordered by. `count(*)` comes from no column. In a recursive query a column
//! comes from whatever any round may put into it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, Join, JoinType, LogicalPlan, RecursiveQuery, Subquery};

use super::bind::{plan_statement, register_empty};
use super::workspace::{Kind, Workspace, source_schema, variable_value};
use crate::engine;
use crate::system_tables::SystemTable;

/// A column of a dataset or table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The dataset or table.
    pub table: String,
    /// The column.
    pub column: String,
}

/// Where a table comes from, column by column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// Each column of the table, in its order, and what it comes from.
    pub columns: Vec<(String, BTreeSet<Origin>)>,
    /// What decides which rows there are.
    pub rows: BTreeSet<Origin>,
}

/// Returns where the models that are `asked` for come from, and the views that they read; views are followed to what
/// they read.
///
/// # Errors
/// When the engine refuses what it has bound before.
pub fn lineage<'a>(
    workspace: &Workspace,
    asked: impl IntoIterator<Item = &'a String>,
) -> Result<BTreeMap<String, Lineage>> {
    let is_view = |name: &String| workspace.tables.get(name).is_some_and(|table| table.kind == Kind::View);
    let mut needed: BTreeSet<&String> = asked.into_iter().collect();
    for name in workspace.order.iter().rev() {
        if let Some(table) = workspace.tables.get(name).filter(|_| needed.contains(name)) {
            needed.extend(table.reads.iter().filter(|read| is_view(read)));
        }
    }
    let session = engine::session(&engine::Resources::for_binding())?;
    for source in workspace.project.sources.values() {
        register_empty(&session, &source.name, &source_schema(source))?;
    }
    for own in SystemTable::ALL {
        register_empty(&session, own.name(), &own.schema())?;
    }
    let state = session.state();
    let mut known = BTreeMap::new();
    for name in &workspace.order {
        let Some(table) = workspace.tables.get(name) else { continue };
        if table.kind != Kind::Check {
            let plain: Vec<Field> = table.schema.fields().iter().map(|field| Field::clone(field)).collect();
            register_empty(&session, name, &Arc::new(Schema::new(plain)))?;
        }
        if !needed.contains(name) {
            continue;
        }
        let value = |variable: &str| variable_value(&workspace.project.settings, variable);
        let plan = plan_statement(&state, table.query.statement(value))?;
        let flow = Flows::default().of(&plan, None);
        let mut found = Lineage { columns: Vec::new(), rows: through_views(workspace, &known, &flow.rows) };
        for (field, origins) in table.schema.fields().iter().zip(&flow.columns) {
            found.columns.push((field.name().clone(), through_views(workspace, &known, origins)));
        }
        // A view that groups or filters decides about the rows of whoever reads it.
        for read in &table.reads {
            if let Some(view) = known.get(read).filter(|_| is_view(read)) {
                found.rows.extend(view.rows.iter().cloned());
            }
        }
        known.insert(name.clone(), found);
    }
    Ok(known)
}

/// Returns the datasets and stored tables that columns of a plan come from, each told by its place, and those between.
///
/// # Errors
/// When the engine refuses what it has bound before.
pub fn tables_behind(workspace: &Workspace, plan: &LogicalPlan, columns: &[usize]) -> Result<BTreeSet<String>> {
    let flow = Flows::default().of(plan, None);
    let mut open: Vec<Origin> = columns.iter().filter_map(|&at| flow.columns.get(at)).flatten().cloned().collect();
    let first: BTreeSet<String> = open.iter().map(|origin| origin.table.clone()).collect();
    let upstream = workspace.upstream(&first);
    let asked: BTreeSet<&String> =
        first.iter().chain(&upstream).filter(|name| workspace.tables.contains_key(*name)).collect();
    let known = lineage(workspace, asked)?;
    let mut seen: BTreeSet<Origin> = open.iter().cloned().collect();
    while let Some(origin) = open.pop() {
        let table = known.get(&origin.table);
        let of = table.and_then(|table| table.columns.iter().find(|(name, _)| *name == origin.column));
        open.extend(of.into_iter().flat_map(|(_, of)| of).filter(|of| seen.insert((*of).clone())).cloned());
    }
    Ok(seen.into_iter().map(|origin| origin.table).collect())
}

/// Puts in the place of each view's column what that column comes from.
fn through_views(
    workspace: &Workspace,
    known: &BTreeMap<String, Lineage>,
    origins: &BTreeSet<Origin>,
) -> BTreeSet<Origin> {
    let mut found = BTreeSet::new();
    for origin in origins {
        let is_view = workspace.tables.get(&origin.table).is_some_and(|table| table.kind == Kind::View);
        let view = if is_view { known.get(&origin.table) } else { None };
        match view.and_then(|view| view.columns.iter().find(|(name, _)| *name == origin.column)) {
            Some((_, of)) => found.extend(of.iter().cloned()),
            None => drop(found.insert(origin.clone())),
        }
    }
    found
}

/// Where the rows of a plan come from.
#[derive(Debug, Clone, Default, PartialEq)]
struct Flow {
    /// Of each output column.
    columns: Vec<BTreeSet<Origin>>,
    /// Of what decides which rows there are.
    rows: BTreeSet<Origin>,
}

/// The columns that an expression can name, and those of the queries around it.
#[derive(Clone, Copy)]
struct Scope<'a> {
    schema: &'a DFSchema,
    columns: &'a [BTreeSet<Origin>],
    around: Option<&'a Self>,
}

impl Scope<'_> {
    fn find(&self, column: &Column) -> Option<&BTreeSet<Origin>> {
        let at = self.schema.maybe_index_of_column(column);
        at.and_then(|at| self.columns.get(at)).or_else(|| self.around?.find(column))
    }
}

/// What an expression names, and what its subqueries do to the rows.
#[derive(Default)]
struct Named {
    origins: BTreeSet<Origin>,
    rows: BTreeSet<Origin>,
}

/// Follows plans; remembers what the work tables of recursive queries hold so far.
#[derive(Default)]
struct Flows {
    rounds: BTreeMap<String, Vec<BTreeSet<Origin>>>,
}

impl Flows {
    fn of(&mut self, plan: &LogicalPlan, around: Option<&Scope<'_>>) -> Flow {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let table = scan.table_name.table().to_owned();
                let fields = scan.projected_schema.fields();
                let columns = match self.rounds.get(&table) {
                    Some(columns) => columns.clone(),
                    None => fields
                        .iter()
                        .map(|field| Origin { table: table.clone(), column: field.name().clone() })
                        .map(|origin| BTreeSet::from([origin]))
                        .collect(),
                };
                Flow { columns, rows: BTreeSet::new() }
            }
            LogicalPlan::Projection(node) => self.made(&node.expr, &node.input, around),
            LogicalPlan::Filter(node) => {
                let mut flow = self.of(&node.input, around);
                self.decide(&mut flow, [&node.predicate], node.input.schema(), around);
                flow
            }
            LogicalPlan::Sort(node) => {
                let mut flow = self.of(&node.input, around);
                self.decide(&mut flow, node.expr.iter().map(|sort| &sort.expr), node.input.schema(), around);
                flow
            }
            LogicalPlan::Window(node) => {
                let mut flow = self.of(&node.input, around);
                let made = self.made_over(&node.window_expr, &flow, node.input.schema(), around);
                flow.columns.extend(made.columns);
                flow.rows.extend(made.rows);
                flow
            }
            LogicalPlan::Aggregate(node) => self.aggregate(node, around),
            LogicalPlan::Join(node) => self.join(node, around),
            LogicalPlan::Union(node) => {
                let mut flow = Flow { columns: vec![BTreeSet::new(); node.schema.fields().len()], ..Flow::default() };
                for input in &node.inputs {
                    merge(&mut flow, self.of(input, around));
                }
                flow
            }
            LogicalPlan::Distinct(Distinct::On(node)) => {
                let mut flow = self.made(&node.select_expr, &node.input, around);
                let input = self.of(&node.input, around);
                let sorts = node.sort_expr.iter().flatten().map(|sort| &sort.expr);
                for expression in node.on_expr.iter().chain(sorts) {
                    let named = self.named(expression, &input, node.input.schema(), around);
                    flow.rows.extend(named.origins.into_iter().chain(named.rows));
                }
                flow
            }
            LogicalPlan::Values(node) => {
                let nothing = Flow::default();
                let mut flow = Flow { columns: vec![BTreeSet::new(); node.schema.fields().len()], ..Flow::default() };
                for row in &node.values {
                    merge(&mut flow, self.made_over(row, &nothing, &DFSchema::empty(), around));
                }
                flow
            }
            LogicalPlan::Unnest(node) => {
                let input = self.of(&node.input, around);
                let of = |at: &usize| input.columns.get(*at).cloned().unwrap_or_default();
                Flow { columns: node.dependency_indices.iter().map(of).collect(), rows: input.rows }
            }
            LogicalPlan::RecursiveQuery(node) => self.recursive(node, around),
            LogicalPlan::EmptyRelation(node) => {
                Flow { columns: vec![BTreeSet::new(); node.schema.fields().len()], rows: BTreeSet::new() }
            }
            // The rows of the one input, all of its columns in their order.
            LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Distinct(Distinct::All(_)) => {
                plan.inputs().first().map_or_else(Flow::default, |input| self.of(input, around))
            }
            // No SELECT is planned as anything else; if one is, every column may come from every other.
            other => {
                let inputs: Vec<Flow> = other.inputs().into_iter().map(|input| self.of(input, around)).collect();
                let all: BTreeSet<Origin> =
                    inputs.iter().flat_map(|flow| flow.columns.iter().flatten().chain(&flow.rows)).cloned().collect();
                Flow { columns: vec![all.clone(); other.schema().fields().len()], rows: all }
            }
        }
    }

    fn aggregate(&mut self, node: &Aggregate, around: Option<&Scope<'_>>) -> Flow {
        let input = self.of(&node.input, around);
        let groups: Vec<Expr> = grouping_set_to_exprlist(&node.group_expr)
            .map_or_else(|_| node.group_expr.clone(), |groups| groups.into_iter().cloned().collect());
        let mut flow = self.made_over(&groups, &input, node.input.schema(), around);
        // Which rows are put together is decided by all groups.
        let all: Vec<Origin> = flow.columns.iter().flatten().cloned().collect();
        flow.rows.extend(all);
        let made = self.made_over(&node.aggr_expr, &input, node.input.schema(), around);
        // Grouping sets add a column of their own between the groups and the aggregates.
        let between = node.schema.fields().len().saturating_sub(flow.columns.len() + made.columns.len());
        flow.columns.extend(std::iter::repeat_n(BTreeSet::new(), between));
        flow.columns.extend(made.columns);
        flow.rows.extend(made.rows);
        flow
    }

    fn join(&mut self, node: &Join, around: Option<&Scope<'_>>) -> Flow {
        let (left, right) = (self.of(&node.left, around), self.of(&node.right, around));
        let mut flow = Flow::default();
        flow.rows.extend(left.rows.iter().chain(&right.rows).cloned());
        for (one, other) in &node.on {
            for (side, schema, expression) in [(&left, node.left.schema(), one), (&right, node.right.schema(), other)] {
                let named = self.named(expression, side, schema, around);
                flow.rows.extend(named.origins.into_iter().chain(named.rows));
            }
        }
        let both: Vec<BTreeSet<Origin>> = left.columns.iter().chain(&right.columns).cloned().collect();
        if let (Some(filter), Ok(schema)) = (&node.filter, node.left.schema().join(node.right.schema())) {
            let sides = Flow { columns: both.clone(), rows: BTreeSet::new() };
            let named = self.named(filter, &sides, &schema, around);
            flow.rows.extend(named.origins.into_iter().chain(named.rows));
        }
        flow.columns = match node.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => both,
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left.columns,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right.columns,
        };
        // The mark of a mark join says whether the other side has a match.
        flow.columns.resize(node.schema.fields().len(), flow.rows.clone());
        flow
    }

    fn recursive(&mut self, node: &RecursiveQuery, around: Option<&Scope<'_>>) -> Flow {
        let mut flow = self.of(&node.static_term, around);
        let before = self.rounds.insert(node.name.clone(), flow.columns.clone());
        // Every round can only add, and there are finitely many columns, so this ends.
        loop {
            let mut next = flow.clone();
            merge(&mut next, self.of(&node.recursive_term, around));
            self.rounds.insert(node.name.clone(), next.columns.clone());
            if next == flow {
                break;
            }
            flow = next;
        }
        self.rounds.remove(&node.name);
        if let Some(before) = before {
            self.rounds.insert(node.name.clone(), before);
        }
        flow
    }

    fn made(&mut self, expressions: &[Expr], input: &LogicalPlan, around: Option<&Scope<'_>>) -> Flow {
        let flow = self.of(input, around);
        self.made_over(expressions, &flow, input.schema(), around)
    }

    /// Returns what expressions over `input` make.
    fn made_over(&mut self, made: &[Expr], input: &Flow, schema: &DFSchema, around: Option<&Scope<'_>>) -> Flow {
        let mut flow = Flow { columns: Vec::new(), rows: input.rows.clone() };
        for expression in made {
            let named = self.named(expression, input, schema, around);
            flow.columns.push(named.origins);
            flow.rows.extend(named.rows);
        }
        flow
    }

    /// Adds what expressions name to what decides about the rows.
    fn decide<'e>(
        &mut self,
        flow: &mut Flow,
        by: impl IntoIterator<Item = &'e Expr>,
        schema: &DFSchema,
        around: Option<&Scope<'_>>,
    ) {
        for expression in by {
            let named = self.named(expression, flow, schema, around);
            flow.rows.extend(named.origins.into_iter().chain(named.rows));
        }
    }

    fn named(&mut self, expression: &Expr, input: &Flow, schema: &DFSchema, around: Option<&Scope<'_>>) -> Named {
        let scope = Scope { schema, columns: &input.columns, around };
        let mut named = Named::default();
        let mut subqueries: Vec<&Subquery> = Vec::new();
        let _ = expression.apply(|part| {
            match part {
                Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => {
                    named.origins.extend(scope.find(column).into_iter().flatten().cloned());
                }
                Expr::ScalarSubquery(subquery) => subqueries.push(subquery),
                Expr::InSubquery(inside) => subqueries.push(&inside.subquery),
                Expr::Exists(inside) => subqueries.push(&inside.subquery),
                Expr::SetComparison(inside) => subqueries.push(&inside.subquery),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        for subquery in subqueries {
            let flow = self.of(&subquery.subquery, Some(&scope));
            named.origins.extend(flow.columns.into_iter().flatten());
            named.rows.extend(flow.rows);
        }
        named
    }
}

/// Adds to each column of `flow` what the column at its place in `other` comes from.
fn merge(flow: &mut Flow, other: Flow) {
    for (column, more) in flow.columns.iter_mut().zip(other.columns) {
        column.extend(more);
    }
    flow.rows.extend(other.rows);
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::diagnostic::SourceFile;
    use crate::plan::Query;

    fn session() -> SessionContext {
        let resources = engine::Resources::for_binding();
        let session = engine::session(&resources).unwrap();
        for (table, columns) in [("t", ["a", "b", "c"]), ("u", ["a", "d", "e"])] {
            let fields: Vec<Field> = columns.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
            register_empty(&session, table, &Arc::new(Schema::new(fields))).unwrap();
        }
        session
    }

    /// Asserts what each column comes from, and after `|` what decides about the rows.
    #[track_caller]
    fn check(sql: &str, expected: &str) {
        let query = Query::parse(&SourceFile::new("query", sql)).unwrap();
        let plan = plan_statement(&session().state(), query.statement(|_| None)).unwrap();
        let flow = Flows::default().of(&plan, None);
        assert_eq!(flow.columns.len(), plan.schema().fields().len(), "{}", plan.display_indent());
        let words = |origins: &BTreeSet<Origin>| {
            origins.iter().map(|origin| format!("{}.{}", origin.table, origin.column)).collect::<Vec<_>>().join(" ")
        };
        let columns = plan.schema().fields().iter().zip(&flow.columns);
        let columns: Vec<String> =
            columns.map(|(field, of)| format!("{}: {}", field.name(), words(of)).trim().to_owned()).collect();
        let found = format!("{} | {}", columns.join(", "), words(&flow.rows));
        assert_eq!(found.trim(), expected, "{}", plan.display_indent());
    }

    #[test]
    fn projections_and_aliases_come_from_what_they_name() {
        check("select a, b as x, a + b as y, 1 as one from t", "a: t.a, x: t.b, y: t.a t.b, one: |");
        check("select case when a > 0 then b end as x, coalesce(c, 0) as y from t", "x: t.a t.b, y: t.c |");
        check("select * from t", "a: t.a, b: t.b, c: t.c |");
        check("select x.b from (select a as b from t) as x", "b: t.a |");
    }

    #[test]
    fn filters_and_orders_decide_about_rows() {
        check("select a from t where b > 1 order by c limit 3", "a: t.a | t.b t.c");
        check("select distinct on (a) b from t order by a, c", "b: t.b | t.a t.c");
        check("select distinct a from t", "a: t.a |");
    }

    #[test]
    fn aggregates_come_from_their_arguments_and_rows_from_the_groups() {
        check("select a, sum(b) as s, count(*) as n from t group by a", "a: t.a, s: t.b, n: | t.a");
        check("select sum(b) filter (where c > 0) as s from t having max(a) > 1", "s: t.b t.c | t.a");
        check(
            "select a, b, sum(c) as s from t group by grouping sets ((a), (b), ())",
            "a: t.a, b: t.b, s: t.c | t.a t.b",
        );
    }

    #[test]
    fn joins_keep_both_sides_and_decide_by_their_conditions() {
        check("select t.b, u.d from t inner join u on t.a = u.a", "b: t.b, d: u.d | t.a u.a");
        check("select t.b, u.d from t left join u on t.a = u.a and t.c > u.e", "b: t.b, d: u.d | t.a t.c u.a u.e");
        check("select one.a, two.a as other from t as one cross join t as two", "a: t.a, other: t.a |");
        check("select b, d from t join u using (a)", "b: t.b, d: u.d | t.a u.a");
        check("select b from t left semi join u on t.a = u.a", "b: t.b | t.a u.a");
    }

    #[test]
    fn unions_and_ctes_put_together_what_stands_at_one_place() {
        check("select a, b from t union all select d, e from u", "a: t.a u.d, b: t.b u.e |");
        check("select a from t where b = 1 union select e from u", "a: t.a u.e | t.b");
        check(
            "with x as (select a, b from t where c = 0), y as (select a, sum(b) as s from x group by a) \
             select s, a from y",
            "s: t.b, a: t.a | t.a t.c",
        );
        check("select column1 as k, a from (values (1), (2)) cross join t", "k:, a: t.a |");
    }

    #[test]
    fn windows_come_from_arguments_partitions_and_orders() {
        check(
            "select a, sum(b) over (partition by a order by c) as s, row_number() over (order by c) as n from t",
            "a: t.a, s: t.a t.b t.c, n: t.c |",
        );
        check("select a from t qualify row_number() over (partition by a order by b) = 1", "a: t.a | t.a t.b");
    }

    #[test]
    fn subqueries_are_followed_also_to_the_query_around_them() {
        check("select a, (select max(d) from u where u.a = t.a) as m from t", "a: t.a, m: u.d | t.a u.a");
        check("select a from t where b in (select d from u where e > 0)", "a: t.a | t.b u.d u.e");
        check("select a from t where exists (select 1 from u where u.a = t.b)", "a: t.a | t.b u.a");
        check("select c from t where b > (select max(d) from u)", "c: t.c | t.b u.d");
    }

    #[test]
    fn lists_that_become_rows_and_recursion_are_followed() {
        check("select a, unnest(make_array(b, c)) as x from t", "a: t.a, x: t.b t.c |");
        check(
            "with recursive r as (select a, b from t union all select r.b, u.d from r join u on r.a = u.a \
             where r.b < 9) select a, b from r",
            "a: t.a t.b u.d, b: t.b u.d | t.a t.b u.a u.d",
        );
    }
}
