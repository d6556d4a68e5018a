//! `opsmart show`.

use clap::Args;

use super::branch::OnBranch;
use super::rows::{Asked, RowArgs};
use super::{Failure, Global, compile, load, nothing_published};
use crate::cli::print::{Printer, answer};
use crate::diagnostic::{Code, SourceFile, did_you_mean};
use crate::plan::{Query, SqlFunctions};
use crate::project::Project;
use crate::run::Exit;
use crate::sql_text::identifier;

/// Print a table, or the result of a SELECT over the current tables
///
/// Reads only: the warehouse stays as it is.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Name of a table, or a SELECT over tables
    #[arg(value_name = "TABLE|SELECT")]
    what: String,

    /// Print the SELECT of a model instead of its rows: of `sql/`, or what metrics are compiled to
    #[arg(long, env = "OPSMART_SQL")]
    sql: bool,

    #[command(flatten)]
    rows: RowArgs,

    #[command(flatten)]
    on: OnBranch,
}

pub(super) fn show(global: &Global, args: &ShowArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    if args.sql {
        return show_sql(&args.what, project);
    }
    let store = args.on.open(&project);
    let (_, snapshot) = store.current()?.ok_or_else(|| nothing_published(&store))?;
    let is_name = !args.what.contains(char::is_whitespace);
    let sql = if is_name { format!("select * from {}", identifier(&args.what)) } else { args.what.clone() };
    let file = SourceFile::new("query", if is_name { args.what.clone() } else { sql.clone() });
    let functions = SqlFunctions::of(&project)?;
    let query =
        Query::parse_with(&SourceFile::new("query", sql), &functions).map_err(|mistake| match mistake.code {
            Code::NotOneSelect => {
                Failure::usage("only a SELECT can be shown", Some("`show` reads and changes nothing".to_owned()))
            }
            _ => mistake.into(),
        })?;
    let landing = project.sources.get(args.what.as_str()).map(|dataset| dataset.from.to_string());
    let asked = Asked { store: &store, snapshot: &snapshot, query: &query, file: &file, workspace: None, first: &[] };
    let printed = args.rows.print(&asked, &project, printer)?;
    if let Some(pattern) = landing.filter(|_| printed == 0) {
        printer.say(&format!("what lands as `{pattern}` becomes its rows\n"));
    }
    Ok(Exit::Done)
}

/// Prints the SELECT of a model.
fn show_sql(name: &str, project: Project) -> Result<Exit, Failure> {
    let workspace = compile(project)?;
    let models = &workspace.project.models;
    let Some(model) = models.get(name) else {
        let help = did_you_mean(name, models.keys().map(String::as_str));
        return Err(Failure::usage(format!("there is no model `{name}`"), help));
    };
    answer(model.file.text.trim_end());
    Ok(Exit::Done)
}
