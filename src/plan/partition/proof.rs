//! Proves which partitions of its inputs each row of a query is made from.
//!
//! Of every column of a plan it is told to which inputs its values lead: an input is among them if every row of the
//! plan reads, of that input, no other partition than the one that the row's value in the column stands for. What is
//! not told so is read as a whole. The proof goes up the plan as DataFusion binds it, before it is optimised, one rule
//! for each operator:
//!
//! | operator | a column leads to |
//! |---|---|
//! | scan | its own table, if it is what that table is partitioned by |
//! | filter, order, alias | what it led to |
//! | projection | what the column led to that it is, or whose local day it is |
//! | aggregate, `distinct` | what the group led to that it is; of grouping sets, if every set has it |
//! | unnest | what it led to; what is taken out of lists and structs leads nowhere |
//! | window | what it led to, if each window is partitioned by something that leads there too |
//! | join | what it led to, and what the column of the other side leads to that it must equal; nothing where the join makes it null |
//! | union | what it leads to in every branch that reads it |
//! | subquery in an expression, `limit`, recursion, all else | nothing of what is read there |
//!
//! A null leads to the partition of nulls. An outer join makes nulls out of rows of every partition, so of its columns
//! only those of the side that it preserves lead anywhere; of a full join on equal columns, `coalesce` of the two.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable, GroupingSet, Join, JoinType, LogicalPlan, Operator, Subquery,
    Window,
};
use serde::{Deserialize, Serialize};

/// How a value leads to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plan) enum Lead {
    /// It is what the partition goes by.
    Key,
    /// It is an instant, and the partition goes by its local day.
    Instant,
}

/// The inputs of which a row reads only the partition that the value in one of its columns leads to.
pub(in crate::plan) type Leads = BTreeMap<String, Lead>;

/// What is known of a plan, or of a table that plans read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plan) struct Proof {
    /// All datasets and stored tables that it reads.
    pub(in crate::plan) inputs: BTreeSet<String>,
    /// Where each of its columns leads.
    pub(in crate::plan) columns: Vec<Leads>,
    /// Of inputs to which no column leads any longer, what ended that. Nothing follows from it, so a remembered proof does
    /// without.
    #[serde(skip)]
    pub(in crate::plan) lost: BTreeMap<String, &'static str>,
    /// Columns of the two sides of a full join, where both together lead somewhere.
    pairs: Vec<(usize, usize, Leads)>,
}

/// What is known of the tables that a plan may read.
pub(in crate::plan) struct Prover<'a> {
    /// Datasets, stored tables and views, by name.
    pub(in crate::plan) known: &'a BTreeMap<String, Proof>,
    /// The zone whose days partitions go by.
    pub(in crate::plan) zone: Tz,
}

impl Prover<'_> {
    /// Returns what can be proved of a plan.
    pub(in crate::plan) fn prove(&self, plan: &LogicalPlan) -> Proof {
        let mut proof = match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan.table_name.table(), scan.projected_schema.fields().len()),
            LogicalPlan::Projection(node) => {
                let input = self.prove(&node.input);
                let columns = node.expr.iter().map(|made| self.leads(made, &input, node.input.schema())).collect();
                Proof { columns, pairs: Vec::new(), ..input }
            }
            LogicalPlan::Filter(node) => self.prove(&node.input),
            LogicalPlan::SubqueryAlias(node) => self.prove(&node.input),
            LogicalPlan::Sort(node) if node.fetch.is_none() => self.prove(&node.input),
            LogicalPlan::Distinct(Distinct::All(input)) => Proof { pairs: Vec::new(), ..self.prove(input) },
            LogicalPlan::Unnest(node) => {
                let input = self.prove(&node.input);
                let taken_apart = |at: &usize| {
                    node.struct_type_columns.contains(at) || node.list_type_columns.iter().any(|(list, _)| list == at)
                };
                let leads = |at: &usize| if taken_apart(at) { Leads::new() } else { input.columns[*at].clone() };
                let columns = node.dependency_indices.iter().map(leads).collect();
                Proof { columns, pairs: Vec::new(), ..input }
            }
            LogicalPlan::Aggregate(node) => self.aggregate(node),
            LogicalPlan::Window(node) => self.window(node),
            LogicalPlan::Join(node) => self.join(node),
            LogicalPlan::Union(node) => {
                let inputs: Vec<Proof> = node.inputs.iter().map(|input| self.prove(input)).collect();
                union(&inputs, node.schema.fields().len())
            }
            other => {
                let inputs: Vec<Proof> = other.inputs().into_iter().map(|input| self.prove(input)).collect();
                whole(&inputs, other.schema().fields().len(), name_of(other))
            }
        };
        let read_whole = self.of_subqueries(plan);
        proof.columns.iter_mut().for_each(|leads| leads.retain(|input, _| !read_whole.contains(input)));
        proof.lose(plan.schema().fields().len(), &read_whole, "a subquery in an expression reads all of it");
        proof.inputs.extend(read_whole);
        proof
    }

    fn scan(&self, table: &str, width: usize) -> Proof {
        match self.known.get(table) {
            Some(known) => known.clone(),
            None => Proof::of_table(table, vec![Leads::new(); width]),
        }
    }

    /// Returns where the values of an expression lead.
    fn leads(&self, expression: &Expr, input: &Proof, schema: &DFSchema) -> Leads {
        let of = |expression: &Expr| self.leads(expression, input, schema);
        let is_utc = self.zone == Tz::UTC;
        match expression {
            Expr::Column(column) => {
                let at = schema.maybe_index_of_column(column);
                at.and_then(|at| input.columns.get(at)).cloned().unwrap_or_default()
            }
            Expr::Alias(alias) => of(&alias.expr),
            Expr::Cast(cast) => match (cast.expr.get_type(schema), cast.field.data_type()) {
                (Ok(from), to) if from == *to => of(&cast.expr),
                (Ok(DataType::Timestamp(..)), DataType::Date32) if is_utc => days(of(&cast.expr)),
                _ => Leads::new(),
            },
            Expr::ScalarFunction(call) => match (call.name(), call.args.as_slice()) {
                ("local_day", [day, _]) if day.get_type(schema).is_ok_and(|kind| kind == DataType::Date32) => of(day),
                ("local_day", [instant, Expr::Literal(zone, _)]) if text(zone) == Some(self.zone.name()) => {
                    days(of(instant))
                }
                ("date_trunc", [Expr::Literal(part, _), instant])
                    if is_utc && text(part).is_some_and(|part| part.eq_ignore_ascii_case("day")) =>
                {
                    of(instant).into_iter().filter(|(_, lead)| *lead == Lead::Instant).collect()
                }
                ("coalesce", [Expr::Column(one), Expr::Column(other)]) => {
                    let place = |column| schema.maybe_index_of_column(column);
                    let (Some(one), Some(other)) = (place(one), place(other)) else { return Leads::new() };
                    let is_pair = |pair: &&(usize, usize, Leads)| {
                        (pair.0, pair.1) == (one, other) || (pair.0, pair.1) == (other, one)
                    };
                    input.pairs.iter().find(is_pair).map(|pair| pair.2.clone()).unwrap_or_default()
                }
                _ => Leads::new(),
            },
            _ => Leads::new(),
        }
    }

    fn aggregate(&self, node: &Aggregate) -> Proof {
        let input = self.prove(&node.input);
        let width = node.schema.fields().len();
        let groups = match node.group_expr.as_slice() {
            [Expr::GroupingSet(sets)] => in_every_set(sets),
            groups => groups.iter().map(Some).collect(),
        };
        let leads = |group: Option<&Expr>| {
            group.map_or_else(Leads::new, |group| self.leads(group, &input, node.input.schema()))
        };
        let mut columns: Vec<Leads> = groups.into_iter().map(leads).collect();
        columns.resize(width, Leads::new());
        let mut proof = Proof { columns, pairs: Vec::new(), ..input.clone() };
        proof.lose_from(&input, "rows are grouped, and not by its day");
        proof
    }

    fn window(&self, node: &Window) -> Proof {
        let input = self.prove(&node.input);
        let mut proof = Proof { pairs: Vec::new(), ..input.clone() };
        for window in &node.window_expr {
            let mut window = window;
            while let Expr::Alias(alias) = window {
                window = &alias.expr;
            }
            let mut within = BTreeSet::new();
            if let Expr::WindowFunction(call) = window {
                for by in &call.params.partition_by {
                    within.extend(self.leads(by, &input, node.input.schema()).into_keys());
                }
            }
            proof.columns.iter_mut().for_each(|leads| leads.retain(|input, _| within.contains(input)));
        }
        proof.columns.resize(node.schema.fields().len(), Leads::new());
        proof.lose_from(&input, "a window reaches across its days");
        proof
    }

    fn join(&self, node: &Join) -> Proof {
        let (left, right) = (self.prove(&node.left), self.prove(&node.right));
        let (left_schema, right_schema) = (node.left.schema(), node.right.schema());
        let equal = equalities(node);
        let mut columns = Vec::new();
        let mut pairs = Vec::new();
        let (left_leads, right_leads) = match node.join_type {
            JoinType::Inner => (true, true),
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (true, false),
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (false, true),
            JoinType::Full => (false, false),
        };
        let sides = [
            (&left, left_schema, left_leads, &right, right_schema),
            (&right, right_schema, right_leads, &left, left_schema),
        ];
        for (side, (own, schema, does_lead, other, other_schema)) in sides.into_iter().enumerate() {
            let is_kept = match node.join_type {
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => side == 0,
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => side == 1,
                _ => true,
            };
            for at in 0..if is_kept { own.columns.len() } else { 0 } {
                let mut leads = Leads::new();
                if does_lead {
                    let sides = equal.iter().map(|(l, r)| if side == 0 { (*l, *r) } else { (*r, *l) });
                    let across = sides.map(|(mine, theirs)| {
                        self.across(at, (mine, schema), &self.leads(theirs, other, other_schema))
                    });
                    let across: Leads = across.flatten().collect();
                    leads = both(&own.inputs, &own.columns[at], &other.inputs, &across);
                }
                columns.push(leads);
            }
        }
        if node.join_type == JoinType::Full {
            for (one, other) in &equal {
                if let (Expr::Column(one), Expr::Column(other)) = (one, other)
                    && let (Some(one), Some(other)) =
                        (left_schema.maybe_index_of_column(one), right_schema.maybe_index_of_column(other))
                {
                    let leads = both(&left.inputs, &left.columns[one], &right.inputs, &right.columns[other]);
                    pairs.push((one, left.columns.len() + other, leads));
                }
            }
        }
        columns.resize(node.schema.fields().len(), Leads::new());
        let inputs = left.inputs.union(&right.inputs).cloned().collect();
        let lost = left.lost.iter().chain(&right.lost).map(|(input, why)| (input.clone(), *why)).collect();
        let mut proof = Proof { inputs, columns, lost, pairs };
        for side in [&left, &right] {
            proof.lose_from(side, "a join does not compare its day with the other side's");
        }
        proof
    }

    /// Returns where column `at` of one side leads on the other side, if an expression of its own must equal one there
    /// that leads to `theirs`.
    fn across(&self, at: usize, (mine, schema): (&Expr, &DFSchema), theirs: &Leads) -> Leads {
        let is_column = |expression: &Expr| match expression {
            Expr::Column(column) => schema.maybe_index_of_column(column) == Some(at),
            _ => false,
        };
        if is_column(mine) {
            return theirs.clone();
        }
        // Where it is the local day of the column that must equal a day, the column leads there by its local day.
        let alone = Proof {
            columns: (0..schema.fields().len())
                .map(|column| if column == at { Leads::from([(String::new(), Lead::Instant)]) } else { Leads::new() })
                .collect(),
            ..Proof::default()
        };
        let is_day = self.leads(mine, &alone, schema).get("") == Some(&Lead::Key);
        let keys = theirs.iter().filter(|(_, lead)| is_day && **lead == Lead::Key);
        keys.map(|(input, _)| (input.clone(), Lead::Instant)).collect()
    }

    /// Returns everything that subqueries in the expressions of one operator read.
    fn of_subqueries(&self, plan: &LogicalPlan) -> BTreeSet<String> {
        let mut read = BTreeSet::new();
        let _ = plan.apply_expressions(|expression| {
            expression.apply(|part| {
                let subquery: Option<&Subquery> = match part {
                    Expr::ScalarSubquery(subquery) => Some(subquery),
                    Expr::InSubquery(inside) => Some(&inside.subquery),
                    Expr::Exists(inside) => Some(&inside.subquery),
                    Expr::SetComparison(inside) => Some(&inside.subquery),
                    _ => None,
                };
                if let Some(subquery) = subquery {
                    read.extend(self.prove(&subquery.subquery).inputs);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        });
        read
    }
}

impl Proof {
    /// Returns what is known of a dataset or stored table.
    pub(in crate::plan) fn of_table(name: &str, columns: Vec<Leads>) -> Self {
        Self { inputs: BTreeSet::from([name.to_owned()]), columns, ..Self::default() }
    }

    /// Remembers why inputs that columns of `before` led to are led to no longer.
    fn lose_from(&mut self, before: &Self, why: &'static str) {
        let led: BTreeSet<String> =
            before.led_to().chain(before.pairs.iter().flat_map(|pair| pair.2.keys())).cloned().collect();
        self.lose(self.columns.len(), &led, why);
    }

    fn lose(&mut self, width: usize, inputs: &BTreeSet<String>, why: &'static str) {
        debug_assert_eq!(self.columns.len(), width);
        let led: BTreeSet<&String> = self.led_to().chain(self.pairs.iter().flat_map(|pair| pair.2.keys())).collect();
        let lost: Vec<String> = inputs.iter().filter(|input| !led.contains(input)).cloned().collect();
        for input in lost {
            self.lost.entry(input).or_insert(why);
        }
    }

    fn led_to(&self) -> impl Iterator<Item = &String> {
        self.columns.iter().flat_map(BTreeMap::keys)
    }
}

/// Returns the columns of grouping sets, in their order; of those that some set leaves out, and makes null, nothing.
fn in_every_set(sets: &GroupingSet) -> Vec<Option<&Expr>> {
    let kept = |of: &&Expr| match sets {
        GroupingSet::Rollup(_) | GroupingSet::Cube(_) => false,
        GroupingSet::GroupingSets(sets) => sets.iter().all(|set| set.contains(of)),
    };
    sets.distinct_expr().into_iter().map(|column| Some(column).filter(kept)).collect()
}

/// Returns the leads that hold for both sides of a join: an input that a side reads must be led to from that side.
fn both(one_reads: &BTreeSet<String>, one: &Leads, other_reads: &BTreeSet<String>, other: &Leads) -> Leads {
    let holds = |input: &String, lead: Lead| {
        let in_one = !one_reads.contains(input) || one.get(input) == Some(&lead);
        let in_other = !other_reads.contains(input) || other.get(input) == Some(&lead);
        in_one && in_other
    };
    let all = one.iter().chain(other);
    all.filter(|(input, lead)| holds(input, **lead)).map(|(input, lead)| (input.clone(), *lead)).collect()
}

/// Returns the pairs of expressions, of the left side and the right, that must be equal for rows to meet, and are of
/// one type.
fn equalities(node: &Join) -> Vec<(&Expr, &Expr)> {
    let (left, right) = (node.left.schema(), node.right.schema());
    let is_of = |expression: &Expr, schema: &DFSchema| {
        let columns = expression.column_refs();
        !columns.is_empty() && columns.into_iter().all(|column| schema.maybe_index_of_column(column).is_some())
    };
    let filter = node.filter.iter().flat_map(split_conjunction).filter_map(|part| match part {
        Expr::BinaryExpr(BinaryExpr { left: one, op: Operator::Eq, right: other }) => {
            if is_of(one, left) && is_of(other, right) {
                Some((one.as_ref(), other.as_ref()))
            } else if is_of(one, right) && is_of(other, left) {
                Some((other.as_ref(), one.as_ref()))
            } else {
                None
            }
        }
        _ => None,
    });
    let all = node.on.iter().map(|(one, other)| (one, other)).chain(filter);
    let is_of_one_type = |(one, other): &(&Expr, &Expr)| matches!((one.get_type(left), other.get_type(right)), (Ok(one), Ok(other)) if one == other);
    all.filter(is_of_one_type).collect()
}

fn union(branches: &[Proof], width: usize) -> Proof {
    let mut proof = Proof { columns: vec![Leads::new(); width], ..Proof::default() };
    for (at, leads) in proof.columns.iter_mut().enumerate() {
        let all = branches.iter().filter_map(|branch| branch.columns.get(at)).flatten();
        let holds = |input: &str, lead: Lead| {
            branches.iter().all(|branch| {
                let own = branch.columns.get(at).and_then(|leads| leads.get(input));
                !branch.inputs.contains(input) || own == Some(&lead)
            })
        };
        leads.extend(all.filter(|(input, lead)| holds(input, **lead)).map(|(input, lead)| (input.clone(), *lead)));
    }
    for branch in branches {
        proof.inputs.extend(branch.inputs.iter().cloned());
        proof.lost.extend(branch.lost.iter().map(|(input, why)| (input.clone(), *why)));
    }
    for branch in branches {
        proof.lose_from(branch, "another branch of a union reads all of it");
    }
    proof
}

/// Returns what is known where nothing is proved.
fn whole(inputs: &[Proof], width: usize, why: &'static str) -> Proof {
    let mut proof = Proof { columns: vec![Leads::new(); width], ..Proof::default() };
    for input in inputs {
        proof.inputs.extend(input.inputs.iter().cloned());
        proof.lost.extend(input.lost.iter().map(|(input, why)| (input.clone(), *why)));
        proof.lose_from(input, why);
    }
    proof
}

fn name_of(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Limit(_) | LogicalPlan::Sort(_) => "LIMIT looks at all of its days",
        LogicalPlan::RecursiveQuery(_) => "a recursive query may reach any of its days",
        LogicalPlan::Distinct(_) => "DISTINCT ON looks at all of its days",
        LogicalPlan::Unnest(_) => "UNNEST is not followed",
        _ => "an operator is not followed",
    }
}

/// Returns where the local days of values lead that lead somewhere as instants.
fn days(leads: Leads) -> Leads {
    let instants = leads.into_iter().filter(|(_, lead)| *lead == Lead::Instant);
    instants.map(|(input, _)| (input, Lead::Key)).collect()
}

fn text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{Field, Schema};

    use super::super::Proofs;
    use super::*;
    use crate::engine;
    use crate::plan::bind::{plan_statement, register_empty};
    use crate::plan::query::Query;
    use crate::project::{PartitionBy, timestamp};

    /// Tells which inputs the column `day` of a query leads to, and why it does not lead to the others: `events` goes by
    /// the day of `at`, `sales` and `visits` by `day`, and `dim` has no partitions.
    fn told(sql: &str, zone: &str) -> String {
        let session = engine::session(&engine::Resources::for_binding()).unwrap();
        let mut proofs = Proofs::default();
        let day = PartitionBy::Day { column: "day".into(), zone: zone.parse().unwrap() };
        let at = PartitionBy::Day { column: "at".into(), zone: zone.parse().unwrap() };
        for (name, by) in [("events", Some(&at)), ("sales", Some(&day)), ("visits", Some(&day)), ("dim", None)] {
            let schema = Arc::new(Schema::new(vec![
                Field::new("day", DataType::Date32, true),
                Field::new("at", timestamp(), true),
                Field::new("user_id", DataType::Int64, true),
                Field::new("n", DataType::Int64, true),
            ]));
            register_empty(&session, name, &schema).unwrap();
            if let Some(by) = by {
                proofs.add(name, by, &schema);
            }
        }
        let file = crate::diagnostic::SourceFile::new("sql/marts/fct_a.sql", sql);
        let plan = plan_statement(&session.state(), Query::parse(&file).unwrap().statement(|_| None)).unwrap();
        let proof = proofs.prove(&plan, zone.parse().unwrap());
        let schema = plan.schema().as_arrow().clone();
        let found = proofs.partitioned((&day, None), &schema, &proof).unwrap();
        let aligned = found.aligned.into_iter();
        let whole = found.whole.into_iter().map(|(input, why)| format!("({input}: {why})"));
        aligned.chain(whole).collect::<Vec<_>>().join(" ")
    }

    fn check(sql: &str, expected: &str) {
        assert_eq!(told(sql, "Asia/Shanghai"), expected, "{sql}");
    }

    const GROUPED: &str = "rows are grouped, and not by its day";
    const JOINED: &str = "a join does not compare its day with the other side's";
    const WINDOW: &str = "a window reaches across its days";
    const OTHER: &str = "its days are not those of the table";

    #[test]
    fn a_projection_keeps_the_day_or_makes_it_of_an_instant() {
        check("select day, n from sales", "sales");
        check("select day as d, day from (select day, n from sales where n > 1) as s order by n", "sales");
        check("select local_day(at, 'Asia/Shanghai') as day from events", "events");
        check("select local_day(e.at, 'Asia/Shanghai') as day from (select at, n from events) as e", "events");
        check("select local_day(at, 'UTC') as day from events", "(events: its days are not those of the table)");
        check("select cast(at as date) as day from events", "(events: its days are not those of the table)");
        assert_eq!(told("select cast(at as date) as day from events", "UTC"), "events");
        assert_eq!(told("select cast(date_trunc('day', at) as date) as day from events", "UTC"), "events");
        check("select day + interval '1 day' as day from sales", "(sales: its days are not those of the table)");
        check("select day from dim", "(dim: it has no partitions)");
        // The column of that name is not what these partitions go by.
        check("select day from events", "(events: its days are not those of the table)");
    }

    #[test]
    fn a_list_that_is_taken_apart_leaves_the_day_beside_it() {
        check("select day, unnest(make_array(n, user_id)) as n from sales", "sales");
        check("select day, unnest(make_array(named_struct('a', n, 'b', user_id))) as s from sales", "sales");
        check("select unnest(make_array(day)) as day from sales", "(sales: its days are not those of the table)");
        check(
            "select l.day, unnest(l.days) as n from (select day, array_agg(n) as days from sales group by day) as l",
            "sales",
        );
    }

    #[test]
    fn an_aggregate_keeps_the_day_that_it_groups_by() {
        check("select day, sum(n) as n from sales group by day", "sales");
        check("select distinct day, n from sales", "sales");
        check("select local_day(at, 'Asia/Shanghai') as day, count(*) as n from events group by 1", "events");
        check("select max(day) as day from sales group by user_id", &format!("(sales: {GROUPED})"));
        check("select day, sum(n) as n from sales group by rollup(day)", &format!("(sales: {GROUPED})"));
        check("select day, sum(n) as n from sales group by cube(day, user_id)", &format!("(sales: {GROUPED})"));
        check("select day, sum(n) as n from sales group by grouping sets ((day), (day, user_id))", "sales");
        check("select day, user_id, sum(n) as n from sales group by grouping sets ((user_id, day), (day))", "sales");
        check(
            "select day, sum(n) as n from sales group by grouping sets ((day), (user_id))",
            &format!("(sales: {GROUPED})"),
        );
        check(
            "select local_day(at, 'Asia/Shanghai') as day, count(*) as n from events
             group by grouping sets ((local_day(at, 'Asia/Shanghai')), (local_day(at, 'Asia/Shanghai'), user_id))",
            "events",
        );
        check("select local_day(day, 'Asia/Shanghai') as day, n from sales", "sales");
    }

    #[test]
    fn a_window_keeps_the_day_that_it_is_partitioned_by() {
        check("select day, row_number() over (partition by day order by n) as r from sales", "sales");
        check(
            "select day, row_number() over (partition by local_day(at, 'Asia/Shanghai'), user_id order by at) as r
             from (select local_day(at, 'Asia/Shanghai') as day, at, user_id from events) as e",
            "events",
        );
        check(
            "select day, sum(n) over (partition by user_id order by day) as s from sales",
            &format!("(sales: {WINDOW})"),
        );
        check(
            "select day, sum(n) over (partition by day) as a, sum(n) over (order by day) as b from sales",
            &format!("(sales: {WINDOW})"),
        );
    }

    #[test]
    fn an_inner_join_on_the_day_keeps_both_sides() {
        check(
            "select s.day from sales as s inner join visits as v on s.day = v.day and s.user_id = v.user_id",
            "sales visits",
        );
        check("select v.day from sales as s inner join visits as v on s.day = v.day", "sales visits");
        check(
            "select s.day from sales as s inner join visits as v on s.user_id = v.user_id",
            &format!("sales (visits: {OTHER})"),
        );
        check(
            "select s.day from sales as s inner join dim on s.user_id = dim.user_id",
            "sales (dim: it has no partitions)",
        );
        check(
            "select s.day from sales as s inner join events as e on s.day = local_day(e.at, 'Asia/Shanghai')",
            "events sales",
        );
        check(
            "select local_day(e.at, 'Asia/Shanghai') as day
             from events as e inner join sales as s on s.day = local_day(e.at, 'Asia/Shanghai')",
            "events sales",
        );
        // The day before is another partition, and a comparison of instants none at all.
        check(
            "select s.day from sales as s inner join visits as v on s.day = v.day - interval '1 day'",
            &format!("sales (visits: {OTHER})"),
        );
        check(
            "select s.day from sales as s inner join visits as v on s.day >= v.day",
            &format!("sales (visits: {OTHER})"),
        );
        check(
            "select s.day from sales as s inner join events as e on s.day = e.at",
            &format!("sales (events: {OTHER})"),
        );
        check(
            "select s.day from sales as s inner join visits as v on s.day = v.day or s.n = v.n",
            &format!("sales (visits: {OTHER})"),
        );
    }

    #[test]
    fn an_outer_join_keeps_the_side_that_it_preserves() {
        check("select s.day from sales as s left join visits as v on s.day = v.day", "sales visits");
        check(
            "select v.day from sales as s left join visits as v on s.day = v.day",
            &format!("(sales: {OTHER}) (visits: {OTHER})"),
        );
        check("select v.day from sales as s right join visits as v on s.day = v.day", "sales visits");
        check(
            "select dim.day, v.n from dim left join visits as v on dim.day = v.day",
            "visits (dim: it has no partitions)",
        );
        check("select s.day from sales as s left semi join visits as v on s.day = v.day", "sales visits");
        check(
            "select s.day from sales as s left anti join visits as v on s.user_id = v.user_id",
            &format!("sales (visits: {JOINED})"),
        );
        check(
            "select coalesce(s.day, v.day) as day from sales as s full join visits as v on s.day = v.day",
            "sales visits",
        );
        check(
            "select s.day from sales as s full join visits as v on s.day = v.day",
            "(sales: its days are not those of the table) (visits: its days are not those of the table)",
        );
        check(
            "select coalesce(s.day, v.day) as day from sales as s full join visits as v on s.user_id = v.user_id",
            &format!("(sales: {JOINED}) (visits: {JOINED})"),
        );
    }

    #[test]
    fn a_table_that_is_read_twice_must_be_led_to_twice() {
        check("select a.day from sales as a inner join sales as b on a.day = b.day", "sales");
        check(
            "select a.day from sales as a inner join sales as b on a.user_id = b.user_id",
            &format!("(sales: {JOINED})"),
        );
        check("select day from sales union all select day from visits", "sales visits");
        check(
            "select day, n from sales union all select max(day) as day, n from sales group by n",
            &format!("(sales: {GROUPED})"),
        );
        check(
            "select day from sales union all select date '2024-01-01' as day from visits",
            &format!("sales (visits: {OTHER})"),
        );
    }

    #[test]
    fn what_is_not_followed_is_read_as_a_whole() {
        let subquery = "a subquery in an expression reads all of it";
        check("select day from sales where n > (select avg(n) from visits)", &format!("sales (visits: {subquery})"));
        check("select day from sales where n > (select avg(n) from sales)", &format!("(sales: {subquery})"));
        check(
            "select day from sales where user_id in (select user_id from visits)",
            &format!("sales (visits: {subquery})"),
        );
        check("select day from sales order by n, day, user_id, at limit 3", "(sales: LIMIT looks at all of its days)");
        check(
            "select day from sales cross join (select count(*) as n from visits) as v",
            &format!("sales (visits: {GROUPED})"),
        );
    }
}
