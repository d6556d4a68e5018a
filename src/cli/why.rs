//! `opsmart why`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::json::ArrayWriter;
use clap::Args;

use super::branch::OnBranch;
use super::print::{Printer, answer, document};
use super::rows::as_table;
use super::summary::{aligned, counted, grouped};
use super::{Failure, Global, compile, load, nothing_published, runtime};
use crate::diagnostic::did_you_mean;
use crate::engine::Resources;
use crate::run::{Exit, RunError};
use crate::store::schema_of;
use crate::tables::SnapshotSchema;
use crate::why::{Condition, How, Part, Unfollowed, WhyRequest, why};

/// Tell which rows a row was made of, down to file and line
///
/// Follows a condition on the columns of a table through its query to the rows that it reads, and on to the landed records;
/// where no condition leads further, the query is evaluated step by step. With them are told the records that were
/// quarantined and could have counted.
#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// Current table
    #[arg(value_name = "TABLE")]
    table: String,

    /// What its rows are to have: a value of a column, or `null`
    #[arg(value_name = "COLUMN=VALUE", required = true)]
    conditions: Vec<String>,

    /// Rows and records to print of each table at most
    #[arg(long, env = "OPSMART_LIMIT", value_name = "ROWS", default_value_t = 10)]
    limit: usize,

    /// Rows that the steps of one query may have together where it is evaluated; 0 follows conditions only
    #[arg(long, env = "OPSMART_EVALUATE", value_name = "ROWS", default_value_t = 5_000_000)]
    evaluate: u64,

    #[command(flatten)]
    on: OnBranch,
}

pub(super) fn tell_why(global: &Global, args: &WhyArgs, printer: &Printer) -> Result<Exit, Failure> {
    let workspace = Arc::new(compile(load(global)?)?);
    let store = args.on.open(&workspace.project);
    let (_, snapshot) = store.current()?.ok_or_else(|| nothing_published(&store))?;
    let made = |name: &String| workspace.tables.contains_key(name) || workspace.project.sources.contains_key(name);
    let known = || snapshot.tables.keys().filter(|name| made(name)).map(String::as_str);
    let tables = Arc::new(SnapshotSchema::new(&store, Some(&snapshot)));
    let Some(state) = tables.state(&args.table)?.filter(|_| made(&args.table)) else {
        let list = || format!("tables are: {}", known().collect::<Vec<_>>().join(", "));
        let help = did_you_mean(&args.table, known()).unwrap_or_else(list);
        return Err(Failure::usage(format!("there is no current table `{}`", args.table), Some(help)));
    };
    let condition = Condition::parse(&args.conditions, &schema_of(&state.columns))
        .map_err(|error| Failure::usage(error.message, error.help))?;
    let spills = camino::Utf8PathBuf::from_path_buf(std::env::temp_dir()).ok();
    let resources = Resources::of_this_machine(workspace.project.settings.memory_bytes, spills);
    let asked = WhyRequest {
        store: &store,
        workspace: &workspace,
        tables: &tables,
        as_of: snapshot.as_of,
        resources: &resources,
        rows: args.limit,
        evaluate: args.evaluate,
    };
    let parts = runtime()?.block_on(why(asked, &args.table, &condition)).map_err(RunError::from)?;
    if printer.is_json() {
        let documents = parts.iter().map(json).collect::<Result<Vec<_>, _>>();
        document(&documents.map_err(|error| RunError::Engine(error.into()))?);
    } else {
        // What no row came from is left out, unless it was asked for.
        let is_told = |part: &&Part| part.read_by.is_empty() || part.count + part.quarantined_count > 0;
        let texts = parts.iter().filter(is_told).map(text).collect::<Result<Vec<_>, _>>();
        answer(&texts.map_err(|error| RunError::Engine(error.into()))?.join("\n"));
    }
    Ok(Exit::Done)
}

fn json(part: &Part) -> Result<serde_json::Value, ArrowError> {
    let (found, condition, over, is_enough, not_followed) = match &part.how {
        How::Conditions(condition) => ("conditions", Some(condition), None, None, None),
        How::Evaluation { over, is_enough } => ("evaluation", None, Some(over), Some(is_enough), None),
        How::Nothing(why) => ("nothing", None, None, None, Some(reason(*why))),
    };
    Ok(serde_json::json!({
        "table": part.table, "read_by": part.read_by, "found": found, "condition": condition,
        "evaluated_rows": over, "is_enough": is_enough, "not_followed": not_followed, "count": part.count,
        "rows": rows_as_json(&part.rows)?, "set_aside_count": part.quarantined_count, "set_aside": part.quarantined,
    }))
}

/// Says why a table is not followed further, and what helps.
fn reason(why: Unfollowed) -> String {
    match why {
        Unfollowed::Rows(0) => "conditions lead no further, and --evaluate 0 evaluates nothing".to_owned(),
        Unfollowed::Rows(most) => {
            format!("an evaluation has more than {} rows in its steps; --evaluate ROWS allows more", grouped(most))
        }
        Unfollowed::Memory => "an evaluation takes more than `memory` of opsmart.toml".to_owned(),
        Unfollowed::Steps => "a step of its query cannot be evaluated by itself".to_owned(),
        Unfollowed::OtherRows => "its query returns other rows now than when it was published".to_owned(),
    }
}

fn text(part: &Part) -> Result<String, ArrowError> {
    let rows = counted(usize::try_from(part.count).unwrap_or(usize::MAX), "row");
    let by = if part.read_by.is_empty() { String::new() } else { format!(", for {}", part.read_by.join(", ")) };
    let mut text = match &part.how {
        How::Conditions(condition) => format!("{}: {rows} where {condition}{by}\n", part.table),
        How::Evaluation { over, is_enough } => {
            let alone = if *is_enough { "" } else { "\n which alone do not make it again" };
            format!("{}: {rows}, by evaluation over {}{by}{alone}\n", part.table, grouped(*over) + " rows")
        }
        How::Nothing(why) => format!("{}: any of its {rows}{by}\n {}\n", part.table, reason(*why)),
    };
    let shown: usize = part.rows.iter().map(RecordBatch::num_rows).sum();
    if shown > 0 {
        text.push_str(&as_table(&part.rows)?);
    }
    if shown > 0 && (shown as u64) < part.count {
        text.push_str(&format!(" and {} more\n", grouped(part.count - shown as u64)));
    }
    if part.quarantined_count > 0 {
        text.push_str(&format!(
            " quarantined, and could have counted: {}\n",
            counted(usize::try_from(part.quarantined_count).unwrap_or(usize::MAX), "record")
        ));
        let lines = part.quarantined.iter().map(|record| {
            vec![format!("{}:{}", record.file, record.line), record.reason.clone(), record.message.clone()]
        });
        text.push_str(&aligned(&["Record", "reason", ""], |_| false, lines));
    }
    Ok(text)
}

fn rows_as_json(batches: &[RecordBatch]) -> Result<serde_json::Value, ArrowError> {
    let mut writer = ArrayWriter::new(Vec::new());
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish()?;
    serde_json::from_slice(&writer.into_inner()).map_err(|error| ArrowError::JsonError(error.to_string()))
}
