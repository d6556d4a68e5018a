//! The contracts of the tables that metrics are compiled to, and the table of the metrics themselves.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::FOLDER;
use super::resolve::{Kind, Resolved};
use crate::diagnostic::SourceFile;
use crate::project::{
    ColumnDoc, DayReach, Formula, Metric, ModelColumn, ModelContract, ModelPlaces, NumberOfDays, PartitionBy, Rules,
    Terms,
};
use crate::sql_text::text;

/// Returns the SELECT of `dim_metric`.
///
/// `headline` are the ids of the metrics that stand first.
pub(super) fn dim_metric(metrics: &[Resolved<'_>], headline: &[String]) -> String {
    let null = || "null".to_owned();
    let quoted = |word: Option<&str>| word.map_or_else(null, text);
    let lines: Vec<String> = metrics
        .iter()
        .map(|resolved| {
            let metric = resolved.metric;
            let number = |number: Option<f64>| number.map_or_else(null, |number| format!("{number:?}"));
            let values = [
                text(&metric.id),
                text(&metric.area),
                text(&metric.doc.en),
                quoted(metric.doc.zh.as_deref()),
                text(&metric.unit),
                text(&formula(metric)),
                quoted(metric.better.map(crate::project::Better::as_str)),
                text(roll_up(resolved)),
                quoted(
                    metric
                        .rows
                        .as_ref()
                        .filter(|_| matches!(resolved.kind, Kind::Rows { .. }))
                        .map(|rows| rows.from.text.as_str()),
                ),
                quoted(metric.owner.as_deref()),
                metric.decimals.to_string(),
                resolved.is_ratio().to_string(),
                headline.iter().position(|id| *id == metric.id).map_or_else(null, |at| (at + 1).to_string()),
                number(metric.material.and_then(|material| material.absolute)),
                number(metric.material.and_then(|material| material.share)),
            ];
            format!("        ({})", values.join(", "))
        })
        .collect();
    format!(
        r"-- One row per metric, as `schemas/metrics/` declares them.
select
    metric_id,
    area,
    name_en,
    cast(name_zh as varchar) as name_zh,
    unit,
    formula,
    cast(direction as varchar) as direction,
    roll_up,
    cast(source_table as varchar) as source_table,
    cast(owner as varchar) as owner,
    decimals,
    is_ratio,
    cast(headline_position as bigint) as headline_position,
    cast(material_absolute as double) as material_absolute,
    cast(material_share as double) as material_share

from (
    values
{}
) as metrics (
    metric_id, area, name_en, name_zh, unit, formula, direction, roll_up,
    source_table, owner, decimals, is_ratio, headline_position,
    material_absolute, material_share
)
",
        lines.join(",\n")
    )
}

/// How weeks and months follow from days, in the words of the table.
pub(super) fn roll_up(metric: &Resolved<'_>) -> &'static str {
    match metric.rule() {
        "sum" if metric.is_ratio() => "ratio of sums",
        "mean" => "mean of days",
        "last" => "last day",
        "recount" => "counted anew",
        other => other,
    }
}

/// The formula in words, or else as it is written.
pub(super) fn formula(metric: &Metric) -> String {
    if let Some(words) = &metric.doc.formula {
        return words.clone();
    }
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match &metric.formula {
        Formula::Value(value) => squeezed(&value.text),
        Formula::Ratio { numerator, denominator } => {
            format!("{} / {}", squeezed(&numerator.text), squeezed(&denominator.text))
        }
        Formula::Of { metric, over } => {
            let days = match &over.days {
                NumberOfDays::Count(days) => days.to_string(),
                NumberOfDays::Variable(name) => format!("${name}"),
            };
            format!("{} over {days} days", metric.text)
        }
    }
}

/// The tables of all metrics together; each has a key, from which checks follow.
const RESULTS: [&str; 4] = ["metric_counted", "metric_day", "metric_week", "metric_month"];

/// Returns the contract of one of the tables.
pub(super) fn contract(
    name: &str,
    metrics: &[Resolved<'_>],
    partition: Option<(PartitionBy, Option<DayReach>)>,
) -> ModelContract {
    let (partition, reach) = partition.map_or((None, None), |(by, reach)| (Some(by), reach));
    let period = ["week", "month"].into_iter().find(|period| name.ends_with(&format!("_{period}"))).unwrap_or("day");
    // Whoever leaves one area out does not mean what all are made of.
    let tags: BTreeSet<String> =
        metrics.iter().filter(|_| name == "dim_metric").flat_map(|metric| metric.metric.tags.iter().cloned()).collect();
    let is_dimension = name == "dim_metric";
    let is_result = RESULTS.contains(&name) || is_dimension;
    let key: Vec<String> = if is_dimension {
        vec!["metric_id".to_owned()]
    } else if is_result {
        [period, "metric_id", "scope_type", "scope_id"].map(str::to_owned).to_vec()
    } else {
        Vec::new()
    };
    let (description, grain) = match name {
        "dim_metric" => ("Metrics: names, formula, unit, direction".to_owned(), "one row per metric".to_owned()),
        "metric_counted" => (
            "Every day of every series that is counted from rows".to_owned(),
            "one row per day, metric and scope".to_owned(),
        ),
        _ if is_result => {
            (format!("Metrics by {period}, with their parts"), format!("one row per {period}, metric and scope"))
        }
        _ => (
            format!("Metrics counted from the rows of one table, by {period}"),
            format!("one row per {period}, metric and scope that has rows"),
        ),
    };
    let columns: IndexMap<String, ModelColumn> = COLUMNS
        .iter()
        .filter(|column| {
            is_dimension == column.is_of_dimension && (column.name != "value" || is_result || !is_dimension)
        })
        .filter(|column| !["day", "week", "month"].contains(&column.name) || column.name == period)
        .filter(|column| is_result || !["is_complete"].contains(&column.name))
        .filter(|column| !is_result || column.name != "open_rows")
        .map(|column| (column.name.to_owned(), column.contract()))
        .collect();
    ModelContract {
        file: SourceFile::new(format!("{FOLDER} ({name})"), ""),
        description: Some(description),
        grain: Some(grain),
        places: ModelPlaces {
            key: key.iter().map(|_| 0..0).collect(),
            partition: 0..0,
            columns: columns.iter().map(|_| 0..0).collect(),
        },
        key,
        owner: None,
        tags: tags.into_iter().collect(),
        stored: !is_dimension,
        partition,
        reach,
        columns,
        checks: Vec::new(),
        terms: Terms::default(),
        of: None,
    }
}

struct Column {
    name: &'static str,
    is_of_dimension: bool,
    is_required: bool,
    description: &'static str,
    unit: &'static str,
    en: &'static str,
    zh: &'static str,
}

impl Column {
    fn contract(&self) -> ModelColumn {
        ModelColumn {
            rules: Rules { required: self.is_required, ..Rules::default() },
            doc: ColumnDoc {
                description: Some(self.description.to_owned()),
                unit: Some(self.unit.to_owned()),
                en: Some(self.en.to_owned()),
                zh: Some(self.zh.to_owned()),
            },
            ..ModelColumn::default()
        }
    }
}

macro_rules! columns {
    ($($dimension:literal $required:literal $name:literal $unit:literal $en:literal $zh:literal $description:literal;)+) => {
        &[$(Column {
            name: $name,
            is_of_dimension: $dimension,
            is_required: $required,
            description: $description,
            unit: $unit,
            en: $en,
            zh: $zh,
        },)+]
    };
}

const COLUMNS: &[Column] = columns! {
    false true "day" "date" "Day" "日期" "Day of the reporting zone";
    false true "week" "date" "Week" "周" "First day of the week";
    false true "month" "date" "Month" "月份" "First day of the month";
    false true "metric_id" "id" "Metric" "指标" "Metric, as `dim_metric` has it";
    false true "scope_type" "name" "Scope type" "范围类型" "What the row is about: `total` for everything, or a dimension";
    false true "scope_id" "id" "Scope" "范围" "Member of the dimension; `all` of everything";
    false false "value" "value" "Value" "数值" "Value of the metric in its own unit; empty where there is nothing to divide by, or too small a sample";
    false false "numerator" "value" "Numerator" "分子" "Upper part of a ratio; of a count or an amount the value itself; empty for medians";
    false false "denominator" "value" "Denominator" "分母" "Lower part of a ratio; empty for all else";
    false false "n" "values" "Sample" "样本量" "How many values it rests on";
    false false "open_rows" "rows" "Open rows" "未定行数" "Rows that keep the period from being complete";
    false true "is_complete" "boolean" "Complete" "数据完整" "The period is over, its feed has moved past it, its window is full, and no row of it is open";
    true true "metric_id" "id" "Metric" "指标" "Metric";
    true true "area" "name" "Area" "领域" "Field of operations that the metric belongs to";
    true false "name_en" "text" "Name (English)" "英文名称" "English name";
    true false "name_zh" "text" "Name (Chinese)" "中文名称" "Chinese name";
    true false "unit" "name" "Unit" "单位" "What its values count or measure";
    true true "formula" "text" "Formula" "计算公式" "How it is computed";
    true false "direction" "name" "Direction" "方向" "Which direction is better: `higher`, `lower`, or inside a `band`";
    true true "roll_up" "name" "Roll-up" "汇总方式" "How weeks and months follow from days";
    true false "source_table" "name" "Table" "来源表" "Table whose rows it is counted from; empty for metrics made of others";
    true false "owner" "name" "Owner" "负责人" "Who answers for it";
    true true "decimals" "count" "Decimals" "小数位数" "Decimals to show";
    true false "headline_position" "number" "Place" "头条位置" "Place among the headline numbers; empty for metrics that are not among them";
    true false "material_absolute" "value" "Material difference" "重要差异" "Least difference that matters, in the metric's unit";
    true false "material_share" "share" "Material share" "重要差异占比" "Least difference that matters, as a share of what is compared with";
    true true "is_ratio" "boolean" "Ratio" "是否比率" "Whether it is a numerator over a denominator";
};
