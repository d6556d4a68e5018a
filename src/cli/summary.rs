//! The report of a run, for people.

use comfy_table::{CellAlignment, Table, presets};

use super::print::{finding_text, strangers};
use crate::diff::{ExceededChange, Movement};
use crate::run::{DatasetReport, LeftFile, RunReport, Status, TableReport};
use crate::transform::PartitionCounts;
use crate::visible;

/// Returns the report as text: the row ledger, the tables, the headline numbers, and where the output lies.
pub(super) fn text(report: &RunReport) -> String {
    if report.status == Status::NothingNew && report.tables.is_empty() {
        return format!(
            "nothing new: the tables in {}/current are up to date ({:.2} s)\n{}{}{}{}{}",
            report.published,
            report.seconds,
            nothing_landed(report),
            left(report),
            standing(report),
            held(report),
            clock(report)
        );
    }
    let mut text = String::new();
    if !report.datasets.is_empty() {
        text.push_str(&ledger(report));
    }
    if !report.tables.is_empty() {
        text.push_str(&tables(&report.tables));
        text.push('\n');
    }
    if !report.headline.is_empty() {
        let rows = report.headline.iter().map(|(label, value)| vec![label.clone(), value.clone()]);
        text.push_str(&table(&["Headline", ""], rows));
        text.push('\n');
    }
    report.warnings.iter().for_each(|finding| text.push_str(&finding_text(finding)));
    text.push_str(&moved(report));
    let mut checks = format!("{} passed", counted(report.checks, "check"));
    if report.skipped > 0 {
        checks.push_str(&format!(", {} skipped", report.skipped));
    }
    if !report.warnings.is_empty() {
        checks.push_str(&format!(", {}", counted(report.warnings.len(), "warning")));
    }
    let at = report.as_of.format("%Y-%m-%d %H:%M UTC");
    let end = match (&report.status, &report.snapshot) {
        (Status::Published, Some(id)) => format!("Published to {}/current: snapshot {}", report.published, id.short()),
        (Status::Held, Some(id)) => format!("Built snapshot {}, which waits", id.short()),
        _ => "Output unchanged; nothing was written".to_owned(),
    };
    text.push_str(&nothing_landed(report));
    text.push_str(&left(report));
    text.push_str(&format!("{end}, as of {at}, {checks}, {:.2} s\n", report.seconds));
    text.push_str(&standing(report));
    text.push_str(&held(report));
    text.push_str(&clock(report));
    text
}

/// Says in a line each what goes on from run to run until somebody does something: failed checks that only warn, tables
/// that are held, a clock that cannot be right.
pub(super) fn going_on(report: &RunReport) -> String {
    let names = report.all_warnings();
    let mut text = match names.as_slice() {
        [] => String::new(),
        names => format!(
            "warning: {} that only warn{}, see opsmart show dq_check_result: {}\n",
            counted(names.len(), "failed check"),
            if names.len() == 1 { "s" } else { "" },
            names.join(", ")
        ),
    };
    text.push_str(&held(report));
    text.push_str(&clock(report));
    text
}

/// Says why a clock can hardly be right.
fn clock(report: &RunReport) -> String {
    report.clock_warning.as_ref().map_or_else(String::new, |words| format!("warning: {words}\n"))
}

/// Lists the tables that were built, and of those with partitions how many were made.
fn tables(built: &[TableReport]) -> String {
    let has_partitions = built.iter().any(|table| table.partitions.is_some());
    let row = |table: &TableReport| {
        let mut row = vec![table.table.clone(), grouped(table.rows)];
        if has_partitions {
            let words =
                |partition_counts: PartitionCounts| format!("{} of {}", partition_counts.built, partition_counts.all);
            row.push(table.partitions.map_or_else(String::new, words));
        }
        row.push(format!("{:.2}", table.seconds));
        row
    };
    let header: &[&str] =
        if has_partitions { &["Table", "rows", "partitions made", "seconds"] } else { &["Table", "rows", "seconds"] };
    table(header, built.iter().map(row))
}

/// Says which checks failed before and had no reason to run again: what was published with a warning still has it.
fn standing(report: &RunReport) -> String {
    match report.standing_warnings.as_slice() {
        [] => String::new(),
        names => format!(
            "{} of an earlier run still stand{}, see opsmart show dq_check_result: {}\n",
            counted(names.len(), "warning"),
            if names.len() == 1 { "s" } else { "" },
            names.join(", ")
        ),
    }
}

/// Says what stays current although something newer is there, and why.
fn held(report: &RunReport) -> String {
    let Some(snapshot) = &report.held else { return String::new() };
    let snapshot = snapshot.short();
    match report.held_for.as_slice() {
        [] => format!("A rollback holds snapshot {snapshot} current until `opsmart release`\n"),
        columns => format!(
            "Snapshot {snapshot} stays current until `opsmart release`, because of {}; `opsmart diff` shows what waits\n",
            moved_columns(columns)
        ),
    }
}

/// Says of columns that their numbers moved by more than was agreed.
pub(super) fn moved_columns(columns: &[String]) -> String {
    format!("numbers that moved by more than agreed: {}", columns.join(", "))
}

/// Says which numbers moved by more than was agreed, and by how much.
pub(super) fn moved(report: &RunReport) -> String {
    let mut text = String::new();
    for ExceededChange { table, column, allowed, rows, examples } in &report.moved {
        let rows = usize::try_from(*rows).unwrap_or(usize::MAX);
        let words = counted(rows, "row");
        text.push_str(&format!("moved[{table}.{column}]: {words} moved by more than {allowed}\n"));
        for Movement { key, before, after, by, relative, .. } in examples {
            let key = key.to_string();
            let key = visible::line(&key);
            text.push_str(&format!("  {key}: {before} -> {after} ({})\n", change_words(*by, *relative)));
        }
        if rows > examples.len() {
            text.push_str(&format!("  and {} more\n", rows - examples.len()));
        }
    }
    text
}

/// Returns a change of a number, as a share of what was where there is one.
pub(super) fn change_words(by: f64, relative: Option<f64>) -> String {
    match relative {
        Some(share) => format!("{:+.1}%", share * 100.0),
        None => format!("{by:+} from 0"),
    }
}

/// Says which datasets have no file at all, so that what is made from them is empty.
pub(super) fn nothing_landed(report: &RunReport) -> String {
    let line = |(dataset, pattern): &(String, String)| {
        let pattern = visible::line(pattern);
        format!("warning: no file of {dataset} has landed as `{pattern}`, so it counts as empty\n")
    };
    report.nothing_landed.iter().map(line).collect()
}

/// Says which files were left for a later run; of many, how many.
fn left(report: &RunReport) -> String {
    const MOST: usize = 5;
    let line = |file: &LeftFile| format!("Left for a later run: {} ({})\n", visible::line(&file.path), file.message);
    let mut text: String = report.left.iter().take(MOST).map(line).collect();
    if report.left.len() > MOST {
        text.push_str(&format!("Left for a later run: {} more\n", counted(report.left.len() - MOST, "file")));
    }
    text
}

fn ledger(report: &RunReport) -> String {
    type Count = (&'static str, fn(&DatasetReport) -> u64);
    let mut counts: Vec<Count> = vec![
        ("files", |dataset| dataset.files as u64),
        ("records", |dataset| dataset.records),
        ("accepted", |dataset| dataset.accepted),
        ("quarantined", |dataset| dataset.quarantined),
        ("blank", |dataset| dataset.blank),
        ("rows", |dataset| dataset.rows),
        ("clean", |dataset| dataset.counts.clean),
        ("duplicates", |dataset| dataset.counts.exact_duplicates),
        ("superseded", |dataset| dataset.counts.superseded),
    ];
    // Where every record is one row, that is said by now.
    if report.datasets.iter().all(|dataset| dataset.rows == dataset.accepted) {
        counts.retain(|(name, _)| *name != "rows");
    }
    let mut head = vec!["Dataset"];
    head.extend(counts.iter().map(|(name, _)| *name));
    head.push("seconds");
    let rows = report.datasets.iter().map(|dataset| {
        let mut row = vec![dataset.dataset.clone()];
        row.extend(counts.iter().map(|(_, count)| grouped(count(dataset))));
        row.push(format!("{:.2}", dataset.seconds));
        row
    });
    let mut text = table(&head, rows);
    strangers(&report.datasets).iter().for_each(|words| text.push_str(&format!("  {words}\n")));
    let unfound = |dataset: &DatasetReport| dataset.counts.quarantined_in_clean;
    for dataset in report.datasets.iter().filter(|dataset| unfound(dataset) > 0) {
        let (name, rows) = (&dataset.dataset, grouped(unfound(dataset)));
        text.push_str(&format!(
            "  {name}: {rows} more quarantined, for a value that is not found where it references
"
        ));
    }
    let quarantined: u64 = report.datasets.iter().map(|dataset| dataset.quarantined + unfound(dataset)).sum();
    if quarantined > 0 {
        text.push_str(&format!(
            "  {} quarantined, each with its reason: opsmart show dq_quarantine\n",
            grouped(quarantined)
        ));
    }
    text.push('\n');
    text
}

/// Returns a table whose first column is text and whose others are numbers.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    aligned(head, |column| column > 0, rows)
}

/// Returns a table in which the columns that hold numbers stand to the right.
pub(super) fn aligned(
    head: &[&str],
    is_number: impl Fn(usize) -> bool,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    let cells = |words: &str| visible::line(words).into_owned();
    table.load_preset(presets::NOTHING).set_header(head.iter().map(|words| cells(words)));
    rows.into_iter().for_each(|row| {
        table.add_row(row.iter().map(|words| cells(words)));
    });
    for (_, column) in table.column_iter_mut().enumerate().filter(|(number, _)| is_number(*number)) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    lines.join("\n") + "\n"
}

/// Returns a count and its noun.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Returns a count with a comma after every three digits.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_three() {
        assert_eq!(
            ["0", "999", "1,000", "31,106", "1,234,567"],
            [0, 999, 1000, 31106, 1_234_567].map(grouped).as_slice()
        );
    }
}
