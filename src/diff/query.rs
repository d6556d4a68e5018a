//! The queries that compare the rows of two sides.
//!
//! Either gives rows of one layout: [`STATUS`], [`TIMES`], the columns that tell rows apart, then the other columns as
//! they were before, then as they are after.

use datafusion::common::{Column, NullEquality, Result};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::{
    Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, cast, lit, when,
};
use datafusion::prelude::SessionContext;

use super::columns::Common;
use super::slice::Slice;

/// The place of the column that says what became of a row: one of the numbers below.
pub(super) const STATUS: usize = 0;
/// The place of the column that says how many rows it stands for.
pub(super) const TIMES: usize = 1;
/// The place of the first column that tells rows apart.
pub(super) const FIRST: usize = 2;

/// The row is on both sides, with the same values.
pub(super) const SAME: i64 = 0;
/// The row is on the later side alone.
pub(super) const ADDED: i64 = 1;
/// The row is on the earlier side alone.
pub(super) const REMOVED: i64 = 2;
/// The row is on both sides, with other values.
pub(super) const CHANGED: i64 = 3;

/// The name of the earlier side in a session.
pub(super) const BEFORE: &str = "before";
/// The name of the later side in a session.
pub(super) const AFTER: &str = "after";

/// How rows are compared.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// The columns that tell rows apart.
    pub(super) key: Vec<Common>,
    /// The columns that may differ in rows that are the same one.
    pub(super) others: Vec<Common>,
    /// Whether equal rows are counted, and not rows of one key held against each other.
    pub(super) is_whole: bool,
}

/// Returns the plan that compares a slice of two sides that the session knows; with `values`, it gives their rows too.
pub(super) async fn plan(session: &SessionContext, terms: &Terms, slice: Slice, values: bool) -> Result<LogicalPlan> {
    let sides = (Side { session, name: BEFORE, terms, slice }, Side { session, name: AFTER, terms, slice });
    if terms.is_whole { whole_rows(sides, values).await } else { by_key(sides, values).await }
}

/// One side of a comparison.
#[derive(Clone, Copy)]
struct Side<'a> {
    session: &'a SessionContext,
    name: &'static str,
    terms: &'a Terms,
    slice: Slice,
}

/// Brings rows of one key together.
async fn by_key((before, after): (Side<'_>, Side<'_>), values: bool) -> Result<LogicalPlan> {
    let terms = before.terms;
    let there = |side: &str| column(side, "there");
    let before = before.rows([lit(true).alias("there")]).await?;
    let after = after.rows([lit(true).alias("there")]).await?;
    let keys = |side: &'static str| -> Vec<Column> {
        (0..terms.key.len()).map(|at| Column::new(Some(side), key_name(at))).collect()
    };
    let differs = |at: usize| {
        binary_expr(column(BEFORE, &other_name(at)), Operator::IsDistinctFrom, column(AFTER, &other_name(at)))
    };
    let changed = (0..terms.others.len()).map(differs).reduce(Expr::or).unwrap_or_else(|| lit(false));
    let status = when(there(AFTER).is_null(), lit(REMOVED))
        .when(there(BEFORE).is_null(), lit(ADDED))
        .when(changed, lit(CHANGED))
        .otherwise(lit(SAME))?;
    let mut shown = vec![status.alias("status"), lit(1_i64).alias("times")];
    if values {
        let both = |at: usize| coalesce(vec![column(AFTER, &key_name(at)), column(BEFORE, &key_name(at))]);
        shown.extend((0..terms.key.len()).map(|at| both(at).alias(key_name(at))));
        for side in [BEFORE, AFTER] {
            let value = |at: usize| column(side, &other_name(at)).alias(format!("{side}_{at}"));
            shown.extend((0..terms.others.len()).map(value));
        }
    }
    LogicalPlanBuilder::from(before)
        .join_detailed(after, JoinType::Full, (keys(BEFORE), keys(AFTER)), None, NullEquality::NullEqualsNull)?
        .project(shown)?
        .build()
}

/// Counts equal rows on both sides. Those that are there as often on either side are left out.
async fn whole_rows((before, after): (Side<'_>, Side<'_>), values: bool) -> Result<LogicalPlan> {
    let terms = before.terms;
    let counts = |before: i64, after: i64| [lit(before).alias(BEFORE), lit(after).alias(AFTER)];
    let earlier = before.rows(counts(1, 0)).await?;
    let later = after.rows(counts(0, 1)).await?;
    let plain = |name: &str| Expr::Column(Column::new_unqualified(name));
    let group: Vec<Expr> = (0..terms.key.len()).map(|at| plain(&key_name(at))).collect();
    let total = |name: &str| sum(plain(name)).alias(name);
    let (before, after) = (plain(BEFORE), plain(AFTER));
    let is_added = after.clone().gt(before.clone());
    let status = when(is_added.clone(), lit(ADDED)).otherwise(lit(REMOVED))?;
    let times = when(is_added, after.clone() - before.clone()).otherwise(before.clone() - after.clone())?;
    let mut shown = vec![status.alias("status"), times.alias("times")];
    if values {
        shown.extend(group.iter().cloned());
    }
    // The names of the sides are of no use once their rows are in one heap.
    let bare = |plan: LogicalPlan| -> Result<LogicalPlan> {
        let columns = plan.schema().columns();
        let exprs = columns.into_iter().map(|column| Expr::Column(column.clone()).alias(column.name));
        LogicalPlanBuilder::from(plan).project(exprs.collect::<Vec<_>>())?.build()
    };
    LogicalPlanBuilder::from(bare(earlier)?)
        .union(bare(later)?)?
        .aggregate(group, vec![total(BEFORE), total(AFTER)])?
        .filter(before.not_eq(after))?
        .project(shown)?
        .build()
}

impl Side<'_> {
    /// Returns the columns that are compared, under names of our own, and more of the same for each row.
    async fn rows(self, more: impl IntoIterator<Item = Expr>) -> Result<LogicalPlan> {
        let Self { session, name, terms, slice } = self;
        let plan = session.table(name).await?.into_unoptimized_plan();
        let value = |common: &Common| {
            let value = column(name, &common.name);
            if common.is_same_type { value } else { cast(value, common.kind.arrow()) }
        };
        let mut rows = LogicalPlanBuilder::from(plan);
        if let Some(is_here) = slice.has(terms.key.iter().map(value).collect()) {
            rows = rows.filter(is_here)?;
        }
        let keys = terms.key.iter().enumerate().map(|(at, common)| value(common).alias(key_name(at)));
        let others = terms.others.iter().enumerate().map(|(at, common)| value(common).alias(other_name(at)));
        rows.project(keys.chain(others).chain(more).collect::<Vec<_>>())?.alias(name)?.build()
    }
}

fn column(side: &str, name: &str) -> Expr {
    Expr::Column(Column::new(Some(side), name))
}

fn key_name(at: usize) -> String {
    format!("key_{at}")
}

fn other_name(at: usize) -> String {
    format!("value_{at}")
}
