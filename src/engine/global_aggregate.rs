//! Keeps filters above aggregates that have no GROUP BY.
//!
//! Such an aggregate returns one row even from no input, so a filter must be asked after it. DataFusion 55.2 moves a
//! filter that comes out constant below it: `select * from (select 3 as n, max(x) as m from t) where n = 1` gives a
//! row, and must give none. A LIMIT of the one row that there is changes nothing, costs nothing, and is what no filter
//! is moved across.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Limit, LogicalPlan, lit};
use datafusion::optimizer::AnalyzerRule;

#[derive(Debug)]
pub(super) struct KeepFilterAboveGlobalAggregate;

impl AnalyzerRule for KeepFilterAboveGlobalAggregate {
    fn name(&self) -> &'static str {
        "one_row_stays_one"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let below_filters = |node: LogicalPlan| match node {
            LogicalPlan::Filter(_) => node.map_children(limit_one_row),
            other => Ok(Transformed::no(other)),
        };
        plan.transform_up_with_subqueries(below_filters).map(|transformed| transformed.data)
    }
}

/// Puts the limit above the aggregates that a filter could be moved below.
fn limit_one_row(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Union(_) | LogicalPlan::Filter(_) => {
            plan.map_children(limit_one_row)
        }
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
            let plan = LogicalPlan::Aggregate(aggregate);
            // A correlated subquery is turned into a join, which a limit would prevent; its filters are its own.
            if plan.exists(|node| Ok(node.contains_outer_reference()))? {
                return Ok(Transformed::no(plan));
            }
            let limit = Limit { skip: None, fetch: Some(Box::new(lit(1_i64))), input: Arc::new(plan) };
            Ok(Transformed::yes(LogicalPlan::Limit(limit)))
        }
        other => Ok(Transformed::no(other)),
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::{Resources, session};

    async fn rows(sql: &str) -> usize {
        let session = session(&Resources { memory_bytes: 1 << 26, threads: 2, ..Resources::for_binding() }).unwrap();
        session
            .sql("create table t as select * from (values (1), (2)) as v(x)")
            .await
            .unwrap()
            .collect()
            .await
            .unwrap();
        let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
        batches.iter().map(arrow::array::RecordBatch::num_rows).sum()
    }

    #[tokio::test]
    async fn a_constant_filter_takes_the_one_row_away() {
        assert_eq!(rows("select * from (select 3 as n, max(x) as m from t) where n = 1").await, 0);
        assert_eq!(rows("select * from (select 3 as n, max(x) as m from t) where n = 3").await, 1);
        assert_eq!(rows("select max(x) as m from t having 1 = 2").await, 0);
        let union = "select 1 as n, max(x) as m from t union all select 2, min(x) from t";
        assert_eq!(rows(&format!("select * from ({union}) as u where n = 2")).await, 1);
    }

    #[tokio::test]
    async fn correlated_subqueries_still_work() {
        let sql = "select x from t as o where x > (select min(i.x) from t as i where i.x = o.x) - 1";
        assert_eq!(rows(sql).await, 2);
    }
}
