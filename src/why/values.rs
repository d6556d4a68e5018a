//! Carries values to where the optimiser carries no condition: to the other side of a join by columns that nobody asked of,
//! and below a window whose partitions nobody asked of.
//!
//! A row of one side of a join counts only if it matches a row of the other, and of the other it is known which rows count:
//! their values of the joined columns are read, and a filter for them is put above the side. A window makes its rows from
//! those of their partitions, so those of the rows that count are read, and put below it. Nothing that comes out of the
//! plan changes by that.
//!
//! It does not know joins by conditions other than equality, and gives up where there are more than [`MOST`] values.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{NullEquality, Result, ScalarValue};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Projection, Window};
use datafusion::optimizer::Optimizer;
use datafusion::optimizer::eliminate_filter::EliminateFilter;
use datafusion::optimizer::eliminate_outer_join::EliminateOuterJoin;
use datafusion::optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionContext, lit};

/// So many values are carried; where there are more, all rows may count.
const MOST: usize = 1000;

/// So many tuples of several columns are told as such; of more, each column is told for itself.
const MOST_TUPLES: usize = 20;

/// Returns an optimised plan with all that values of the rows which count say of the rows it reads; `without` is the plan
/// of the query of which nothing is asked.
pub(super) async fn carried(
    session: &SessionContext,
    mut plan: LogicalPlan,
    without: &LogicalPlan,
) -> Result<LogicalPlan> {
    let own = conditions(without)?;
    let (state, rules) = (session.state(), narrowing());
    let mut is_changed = false;
    // A part of the plan of which nothing was asked has no fewer rows than ever.
    let is_known =
        |part: &LogicalPlan| conditions(part).is_ok_and(|found| found.iter().any(|condition| !own.contains(condition)));
    let mut at = 0;
    while let Some(node) = node(&plan, at)? {
        let narrower = match &node {
            LogicalPlan::Join(join) => narrower_join(session, join, &is_known).await,
            LogicalPlan::Filter(filter) => narrower_window(session, filter).await,
            _ => None,
        };
        if let Some(narrower) = narrower {
            plan = rules.optimize(replaced(plan, at, &narrower)?, &state, |_, _| {})?;
            is_changed = true;
        }
        at += 1;
    }
    if is_changed { state.optimize(&plan) } else { Ok(plan) }
}

/// Returns the rules that take a condition as far down as it holds, and what has no rows away. All rules together take
/// half a second for a large plan, and a plan has many gates.
fn narrowing() -> Optimizer {
    Optimizer::with_rules(vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(PropagateEmptyRelation::new()),
        Arc::new(EliminateOuterJoin::new()),
        Arc::new(PushDownFilter::new()),
    ])
}

/// Returns the conditions that stand anywhere in a plan.
fn conditions(plan: &LogicalPlan) -> Result<HashSet<Expr>> {
    let mut found = HashSet::new();
    plan.apply(|node| {
        match node {
            LogicalPlan::Filter(filter) => found.extend(split_conjunction(&filter.predicate).into_iter().cloned()),
            LogicalPlan::TableScan(scan) => found.extend(scan.filters.iter().cloned()),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Returns whether values can be carried at a node.
fn is_gate(node: &LogicalPlan) -> bool {
    match node {
        LogicalPlan::Join(join) => !join.on.is_empty(),
        LogicalPlan::Filter(filter) => window_below(&filter.input).is_some(),
        _ => false,
    }
}

/// Returns the gate that is the `at`th from above.
fn node(plan: &LogicalPlan, at: usize) -> Result<Option<LogicalPlan>> {
    let (mut seen, mut found) = (0, None);
    plan.apply(|node| {
        if matches!(node, LogicalPlan::RecursiveQuery(_)) {
            // What stands in there reads itself, and is no query of its own.
            return Ok(TreeNodeRecursion::Jump);
        }
        if is_gate(node) {
            if seen == at {
                found = Some(node.clone());
                return Ok(TreeNodeRecursion::Stop);
            }
            seen += 1;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Returns the plan with another node in the place of the `at`th gate.
fn replaced(plan: LogicalPlan, at: usize, by: &LogicalPlan) -> Result<LogicalPlan> {
    let mut seen = 0;
    let changed = plan.transform_down(|node| {
        if matches!(node, LogicalPlan::RecursiveQuery(_)) {
            return Ok(Transformed::new(node, false, TreeNodeRecursion::Jump));
        }
        if !is_gate(&node) {
            return Ok(Transformed::no(node));
        }
        seen += 1;
        let is_it = seen == at + 1;
        Ok(if is_it { Transformed::new(by.clone(), true, TreeNodeRecursion::Stop) } else { Transformed::no(node) })
    })?;
    Ok(changed.data)
}

/// Returns a join of which the sides have only rows that match one of the other; nothing if that is not known.
async fn narrower_join(
    session: &SessionContext,
    join: &Join,
    is_known: &impl Fn(&LogicalPlan) -> bool,
) -> Option<LogicalPlan> {
    let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
    // Of a side that stays as a whole, rows without a match count too.
    let (is_left_narrowed, is_right_narrowed) = match join.join_type {
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => (true, true),
        // Of `not in`, a row without a value counts for every row of the other side.
        JoinType::LeftAnti => (false, !join.null_aware),
        JoinType::Left | JoinType::LeftMark => (false, true),
        JoinType::Right | JoinType::RightAnti | JoinType::RightMark => (true, false),
        JoinType::Full => (false, false),
    };
    let matching = async |from: &LogicalPlan, keys: &[Expr], others: &[Expr]| {
        let rows = if is_known(from) { values(session, from, keys).await } else { None };
        Some(among(others, &rows?, join.null_equality))
    };
    let right = if is_right_narrowed { matching(&join.left, &left_keys, &right_keys).await } else { None };
    let left = if is_left_narrowed { matching(&join.right, &right_keys, &left_keys).await } else { None };
    if left.is_none() && right.is_none() {
        return None;
    }
    let mut join = join.clone();
    for (side, condition) in [(&mut join.left, left), (&mut join.right, right)] {
        if let Some(condition) = condition {
            *side = Arc::new(LogicalPlan::Filter(Filter::try_new(condition, Arc::clone(side)).ok()?));
        }
    }
    Some(LogicalPlan::Join(join))
}

/// Returns the window below a plan, if there is nothing but projections between them, and these.
fn window_below(mut plan: &LogicalPlan) -> Option<(Vec<&Projection>, &Window)> {
    let mut between = Vec::new();
    loop {
        match plan {
            LogicalPlan::Projection(projection) => {
                between.push(projection);
                plan = &projection.input;
            }
            LogicalPlan::Window(window) => return Some((between, window)),
            _ => return None,
        }
    }
}

/// Returns a filter above a window that has only the partitions of rows that pass; nothing if these are not known.
async fn narrower_window(session: &SessionContext, filter: &Filter) -> Option<LogicalPlan> {
    let (between, window) = window_below(&filter.input)?;
    let keys = partitions(window)?;
    let passes = |key: &Expr| matches!(key, Expr::Column(_)) && between.iter().all(|above| above.expr.contains(key));
    if !between.is_empty() && !keys.iter().all(passes) {
        return None;
    }
    let rows = values(session, &LogicalPlan::Filter(filter.clone()), &keys).await?;
    let condition = among(&keys, &rows, NullEquality::NullEqualsNull);
    let below = LogicalPlan::Filter(Filter::try_new(condition, Arc::clone(&window.input)).ok()?);
    let mut plan = LogicalPlan::Window(Window { input: Arc::new(below), ..window.clone() });
    for projection in between.into_iter().rev() {
        plan = LogicalPlan::Projection(Projection::try_new(projection.expr.clone(), Arc::new(plan)).ok()?);
    }
    Some(LogicalPlan::Filter(Filter::try_new(filter.predicate.clone(), Arc::new(plan)).ok()?))
}

/// Returns what all functions of a window are partitioned by; nothing if that is nothing.
fn partitions(window: &Window) -> Option<Vec<Expr>> {
    let of = |function: &Expr| match function {
        Expr::WindowFunction(function) => function.params.partition_by.clone(),
        Expr::Alias(alias) => match &*alias.expr {
            Expr::WindowFunction(function) => function.params.partition_by.clone(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let mut all = window.window_expr.iter().map(of);
    let first = all.next()?;
    let shared = all.fold(first, |shared, other| shared.into_iter().filter(|key| other.contains(key)).collect());
    (!shared.is_empty()).then_some(shared)
}

/// Returns the values that some expressions have in the rows of a plan, each tuple once; nothing if there are too many, or
/// if the plan fails by itself.
async fn values(session: &SessionContext, plan: &LogicalPlan, keys: &[Expr]) -> Option<Vec<Vec<ScalarValue>>> {
    let read = async {
        let named = keys.iter().enumerate().map(|(at, key)| key.clone().alias(format!("key_{at}")));
        let none: [Expr; 0] = [];
        let plan = LogicalPlanBuilder::from(plan.clone()).aggregate(named, none)?.limit(0, Some(MOST + 1))?.build()?;
        // It is a part of an optimised plan.
        let state = session.state();
        let plan = state.query_planner().create_physical_plan(&plan, &state).await?;
        collect(plan, session.task_ctx()).await
    };
    let batches = read.await.ok()?;
    let mut tuples: Vec<Vec<ScalarValue>> = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let tuple = batch.columns().iter().map(|column| ScalarValue::try_from_array(column, row));
            tuples.push(tuple.collect::<Result<Vec<_>>>().ok()?);
        }
    }
    // The same question gets the same answer.
    tuples.sort_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal));
    (tuples.len() <= MOST).then_some(tuples)
}

/// Returns the condition that expressions have the values of one of some tuples.
fn among(keys: &[Expr], tuples: &[Vec<ScalarValue>], nulls: NullEquality) -> Expr {
    let is_match =
        |tuple: &&Vec<ScalarValue>| nulls == NullEquality::NullEqualsNull || tuple.iter().all(|value| !value.is_null());
    let tuples: Vec<&Vec<ScalarValue>> = tuples.iter().filter(is_match).collect();
    let is = |key: &Expr, value: &ScalarValue| {
        if value.is_null() { key.clone().is_null() } else { key.clone().eq(lit(value.clone())) }
    };
    if keys.len() > 1 && tuples.len() <= MOST_TUPLES {
        let all = |tuple: &&Vec<ScalarValue>| {
            keys.iter().zip(tuple.iter()).map(|(key, value)| is(key, value)).reduce(Expr::and)
        };
        return tuples.iter().filter_map(all).reduce(Expr::or).unwrap_or_else(|| lit(false));
    }
    let one = |(at, key): (usize, &Expr)| {
        let (nothing, mut some): (Vec<&ScalarValue>, Vec<&ScalarValue>) =
            tuples.iter().map(|tuple| &tuple[at]).partition(|value| value.is_null());
        some.dedup();
        let listed = key.clone().in_list(some.into_iter().cloned().map(lit).collect(), false);
        if nothing.is_empty() { listed } else { listed.or(key.clone().is_null()) }
    };
    keys.iter().enumerate().map(one).reduce(Expr::and).unwrap_or_else(|| lit(true))
}
