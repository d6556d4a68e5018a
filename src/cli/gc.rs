//! `opsmart gc`.

use clap::Args;
use clap::builder::FalseyValueParser;

use super::{Failure, Global, load, nothing_published, open_store};
use crate::cli::print::{Printer, document};
use crate::cli::summary::{counted, grouped};
use crate::project;
use crate::run::Exit;
use crate::store::{Garbage, Keep};

/// Remove snapshots that are old, and all that no other needs
///
/// Keeps the current snapshot, the newest, and those behind them that --keep says. Removes the others with the files that
/// they alone need, the records of runs before the oldest that stays, and what runs left that failed or were killed. Takes
/// nothing that a run or another command needs that is under way.
#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// What to keep: the snapshots that were the newest at some time within a span such as 30d or 12h, or so many
    #[arg(long, env = "OPSMART_KEEP", value_name = "SPAN|COUNT", default_value = "30d", value_parser = parse_keep)]
    keep: Keep,

    /// Say what would be removed, and remove nothing
    #[arg(long, env = "OPSMART_DRY_RUN", value_parser = FalseyValueParser::new())]
    dry_run: bool,
}

pub(super) fn gc(global: &Global, args: &GcArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let store = open_store(&project);
    if store.reference()?.is_none() {
        return Err(nothing_published(&store));
    }
    let garbage = store.remove_garbage(args.keep, args.dry_run)?;
    printer.say(&text(&garbage, args.dry_run));
    if printer.is_json() {
        document(&serde_json::json!({
            "dry_run": args.dry_run, "kept": garbage.kept, "in_use": garbage.in_use, "snapshots": garbage.snapshots,
            "data_files": garbage.data_files, "states": garbage.states, "bytes": garbage.bytes, "runs": garbage.runs,
            "generations": garbage.generations, "waiting": garbage.waiting,
        }));
    }
    Ok(Exit::Done)
}

fn text(garbage: &Garbage, is_dry: bool) -> String {
    let removed = [
        (garbage.snapshots.len(), "snapshot"),
        (garbage.data_files, "data file"),
        (garbage.states, "state"),
        (garbage.runs, "run record"),
        (garbage.generations, "generation"),
    ];
    let removed: Vec<String> =
        removed.into_iter().filter(|(count, _)| *count > 0).map(|(count, noun)| counted(count, noun)).collect();
    let mut text = match (removed.as_slice(), is_dry) {
        ([], _) => "nothing to remove".to_owned(),
        (_, true) => format!("would remove {}, {} bytes", removed.join(", "), grouped(garbage.bytes)),
        (_, false) => format!("removed {}, {} bytes", removed.join(", "), grouped(garbage.bytes)),
    };
    text.push_str(&format!(
        "; {} stay{}\n",
        counted(garbage.kept, "snapshot"),
        if garbage.kept == 1 { "s" } else { "" }
    ));
    if garbage.in_use > 0 {
        text.push_str(&format!("  {} of them only because somebody reads it now\n", garbage.in_use));
    }
    if garbage.waiting > 0 {
        let (files, s) = (counted(garbage.waiting, "file"), if garbage.waiting == 1 { "s" } else { "" });
        text.push_str(&format!("  {files} that no snapshot names wait{s} until nobody makes files\n"));
    }
    text
}

fn parse_keep(text: &str) -> Result<Keep, String> {
    match (text.parse::<usize>(), project::parse_duration(text)) {
        (Ok(count), _) if count > 0 => Ok(Keep::Newest(count)),
        (_, Some(span)) => Ok(Keep::For(span)),
        _ => Err("write a span such as 30d, 12h or 0d, or a count from 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_to_keep_is_a_span_or_a_count() {
        assert_eq!(parse_keep("30d"), Ok(Keep::For(Duration::from_hours(720))));
        assert_eq!(parse_keep("0d"), Ok(Keep::For(Duration::ZERO)));
        assert_eq!(parse_keep("3"), Ok(Keep::Newest(3)));
        for wrong in ["0", "", "-1", "3 weeks", "d"] {
            assert!(parse_keep(wrong).is_err(), "{wrong}");
        }
    }
}
