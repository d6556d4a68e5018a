//! `opsmart query`.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate, Weekday};
use clap::{Args, ValueEnum};

use super::branch::OnBranch;
use super::rows::{Asked, RowArgs};
use super::{Failure, Global, compile, load, nothing_published};
use crate::cli::print::{Printer, answer};
use crate::diagnostic::SourceFile;
use crate::plan::{Grain, MetricQuestion, Query, Range, metric_select};
use crate::run::Exit;

/// Ask for metrics over the current tables, for scopes and rows that need not be declared
///
/// One row per period and scope, one column per metric. Reads only: the warehouse stays as it is.
#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    /// Metrics, as `area.key` or `area_key`
    #[arg(value_name = "METRIC", required = true)]
    metrics: Vec<String>,

    /// Scope that values are of: a declared one, a column of the table that is counted, or several with commas between;
    /// may be given several times. By default the whole, `total`
    #[arg(long, env = "OPSMART_BY", value_name = "SCOPE")]
    by: Vec<String>,

    /// SQL condition on the rows that count, such as "priority = 'urgent'"
    #[arg(long = "where", env = "OPSMART_WHERE", value_name = "CONDITION")]
    filter: Option<String>,

    /// First day; of weeks and months those are taken, whole, that have one of the days
    #[arg(long, env = "OPSMART_SINCE", value_name = "DAY", value_parser = parse_day)]
    since: Option<NaiveDate>,

    /// Last day
    #[arg(long, env = "OPSMART_UNTIL", value_name = "DAY", value_parser = parse_day)]
    until: Option<NaiveDate>,

    /// What a row is of
    #[arg(long, env = "OPSMART_GRAIN", value_enum, default_value_t = Period::Day)]
    grain: Period,

    /// Print the SELECT instead of its rows
    #[arg(long, env = "OPSMART_SQL")]
    sql: bool,

    #[command(flatten)]
    rows: RowArgs,

    #[command(flatten)]
    on: OnBranch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Period {
    /// A day of the reporting zone
    Day,
    /// A week, by its first day
    Week,
    /// A month, by its first day
    Month,
    /// All days together
    Total,
}

impl Period {
    fn grain(self, week_start: Weekday) -> Grain {
        match self {
            Self::Day => Grain::Day,
            Self::Week => Grain::Week(week_start),
            Self::Month => Grain::Month,
            Self::Total => Grain::Total,
        }
    }
}

fn parse_day(text: &str) -> Result<NaiveDate, String> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    day.filter(|day| (1000..9999).contains(&day.year())).ok_or_else(|| "write a day such as 2024-05-01".to_owned())
}

pub(super) fn query(global: &Global, args: &QueryArgs, printer: &Printer) -> Result<Exit, Failure> {
    if let (Some(since), Some(until)) = (args.since, args.until)
        && since > until
    {
        return Err(Failure::usage(format!("--since {since} is after --until {until}"), None));
    }
    let workspace = Arc::new(compile(load(global)?)?);
    let question = MetricQuestion {
        metrics: &args.metrics,
        by: &args.by,
        filter: args.filter.as_deref(),
        days: Range { since: args.since, until: args.until },
        grain: args.grain.grain(workspace.project.settings.week_start),
    };
    let select = metric_select(&workspace, &question)?;
    if args.sql {
        answer(select.sql().trim_end());
        return Ok(Exit::Done);
    }
    let store = args.on.open(&workspace.project);
    let (_, snapshot) = store.current()?.ok_or_else(|| nothing_published(&store))?;
    let file = SourceFile::new("query", select.select.as_str());
    let query = Query::parse_with(&file, &workspace.functions)?;
    let asked = Asked {
        store: &store,
        snapshot: &snapshot,
        query: &query,
        file: &file,
        workspace: Some(&workspace),
        first: &select.tables,
    };
    let _ = args.rows.print(&asked, &workspace.project, printer)?;
    if args.rows.is_for_people(printer) {
        for metric in &select.metrics {
            printer.say(&format!("{}: {}, {}\n", metric.id, metric.doc.en, metric.unit));
        }
    }
    Ok(Exit::Done)
}
