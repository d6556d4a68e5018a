//! Reads `schemas/sources/<name>.toml`: the contract of a landed dataset.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use indexmap::IndexMap;
use toml::de::DeValue;

use super::column::{self, Declared};
use super::explode;
use super::format;
use super::names::Names;
use super::partition;
use super::rest;
use super::rule;
use super::value::{duration, owner, plain, plain_all, zone};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean};
use crate::project::toml_reader::{self, Table, Value};
use crate::project::{
    ColumnType, FieldNames, FilesMode, Format, Keep, LandingPattern, Late, Located, Marker, NewColumns, PartitionBy,
    Readiness, Settings, SourceContract, ThenLate,
};

pub(super) type Columns = IndexMap<String, Declared>;

/// Returns every contract that can be read. Without settings it is not known which folders `from` can name, and it is
/// left alone.
pub(super) fn read_all(
    names: &Names,
    settings: Option<&Settings>,
    found: &mut Diagnostics,
) -> BTreeMap<String, SourceContract> {
    let mut contracts = BTreeMap::new();
    for (name, leaf) in &names.sources {
        let Some(file) = &leaf.file else { continue };
        if let Some(contract) = toml_reader::read(file, found, |table| read(name, file, table, settings)) {
            contracts.insert(name.clone(), contract);
        }
    }
    contracts
}

/// Returns the contract of the dataset `name` that a text says, unless it has mistakes.
#[must_use]
pub fn contract(name: &str, text: &str, settings: &Settings) -> Option<SourceContract> {
    let file = SourceFile::new(format!("schemas/sources/{name}.toml"), text);
    let mut found = Diagnostics::default();
    let contract = toml_reader::read(&file, &mut found, |table| read(name, &file, table, Some(settings)))?;
    found.is_empty().then_some(contract)
}

fn read(name: &str, file: &SourceFile, mut table: Table<'_>, settings: Option<&Settings>) -> Option<SourceContract> {
    const MODES: [(&str, FilesMode); 3] =
        [("replace", FilesMode::Replace), ("append", FilesMode::Append), ("snapshot", FilesMode::Snapshot)];
    const NEW_COLUMNS: [(&str, NewColumns); 3] =
        [("report", NewColumns::Report), ("refuse", NewColumns::Refuse), ("take", NewColumns::Take)];
    let description = plain(table.text("description"));
    let grain = plain(table.text("grain"));
    let owner = owner(&mut table);
    let from = table.required_text("from", &format!("from = \"{{landing}}/{name}/*.csv\""));
    let format = format::read(&mut table);
    let settled = table.take("settled").and_then(|value| duration(&value)).unwrap_or_default();
    let marker = marker(&mut table);
    let files = table.one_of("files", &MODES).unwrap_or(FilesMode::Replace);
    let key = table.distinct_texts("key");
    let keep = keep(&mut table);
    let count_repeated = count_repeated(&mut table);
    let reporting_zone = settings.map_or(Tz::UTC, |settings| settings.reporting_zone);
    let partition = partition::read(&mut table, reporting_zone);
    let parse_zone = zone(&mut table, "parse_zone");
    let null = table.take("null").map_or_else(|| vec![String::new()], |value| plain_all(value.list_of_text()));
    let rejected_share = rejected_share(&mut table).unwrap_or(0.01);
    let new_columns = table.one_of("new_columns", &NEW_COLUMNS).unwrap_or(NewColumns::Report);
    check_new_columns(&mut table, new_columns, format.format.as_ref());
    let columns = columns(&mut table, &null);
    if !columns.is_empty() {
        check_key(&table, &columns, &key);
        check_keep(&table, &columns, keep.as_ref());
        check_partition(&table, &columns, partition.as_ref());
        check_paths(&table, &columns, format.format.as_ref());
        explode::check(&table, &columns, &format);
        rest::check(&mut table, &columns, new_columns);
    }
    let late = late(&mut table, &columns);
    let rules = rule::read_all(&mut table, &columns);
    let from_at = from.as_ref().map_or_else(|| file.whole(), |word| file.at(word.bytes.clone()));
    let from = from.and_then(|word| landing(&table, &word, settings?, &columns));
    if let Some(from) = &from {
        check_listed(&table, &columns, &format, from);
        check_marker(&table, marker.as_ref(), from);
    }
    table.finish();
    let columns = columns.into_iter().map(|(name, declared)| Some((name, declared.column?))).collect::<Option<_>>()?;
    Some(SourceContract {
        name: name.to_owned(),
        file: file.clone(),
        description,
        grain,
        owner,
        from: from?,
        from_at,
        format: format.format?,
        encoding: format.encoding,
        ready: Readiness { settled, marker: marker.map(|(marker, _)| marker) },
        files,
        key: plain_all(key),
        keep: keep.map(|(keep, _)| keep),
        count_repeated,
        partition: partition.map(|(partition, _)| partition),
        parse_zone: parse_zone.unwrap_or(reporting_zone),
        rejected_share,
        new_columns,
        columns,
        rules,
        late,
        erased: BTreeMap::new(),
    })
}

fn marker(table: &mut Table<'_>) -> Option<(Marker, Located)> {
    let word = table.text("marker")?;
    let marker = Marker::parse(&word.text);
    if marker.is_none() {
        let message = format!("`marker` cannot be `{}`", word.text);
        table.reject(
            &word,
            message,
            "write `{path}.done` for one beside each file, or `{folder}/_SUCCESS` for one a folder",
        );
    }
    Some((marker?, word))
}

/// A pattern of which every match is a marker would take in nothing, ever.
fn check_marker(table: &Table<'_>, marker: Option<&(Marker, Located)>, from: &LandingPattern) {
    let Some((marker, word)) = marker else { return };
    if marker.is(&from.to_string()) {
        let message = format!("every file that `from` names is a marker `{}`", word.text);
        table.reject(word, message, "write what comes after the name of a file that is whole, such as `{path}.done`");
    }
}

/// Of a file that names nothing no name is new.
fn check_new_columns(table: &mut Table<'_>, new_columns: NewColumns, format: Option<&Format>) {
    let Some(Format::Csv(csv)) = format else { return };
    if new_columns == NewColumns::Report || csv.names == FieldNames::Header {
        return;
    }
    if let Some(word) = table.text("new_columns") {
        let message = "`new_columns` needs a header, and the files have none";
        table.reject(&word, message, "remove it; a record with another number of fields is quarantined");
    }
}

fn keep(table: &mut Table<'_>) -> Option<(Keep, Located)> {
    let has_key = table.has("key");
    let mut choice = table.table("keep")?;
    if !has_key {
        let message = "`keep` without `key`: there is nothing to tell which rows are the same";
        table.report(Diagnostic::new(Code::MissingKey, choice.place(), message).help("write `key = [\"id\"]`"));
    }
    let (latest, first) = (choice.text("latest"), choice.text("first"));
    if choice.has("latest") && choice.has("first") {
        let message = "`keep` has both `latest` and `first`";
        table.report(Diagnostic::new(Code::InvalidValue, choice.place(), message).help("remove one of them"));
    } else if !choice.has("latest") && !choice.has("first") {
        choice.missing("latest", "keep = { latest = \"updated_at\" }");
    }
    choice.finish();
    let latest = latest.map(|word| (Keep::Latest(word.text.clone()), word));
    latest.or_else(|| first.map(|word| (Keep::First(word.text.clone()), word)))
}

fn count_repeated(table: &mut Table<'_>) -> bool {
    let Some(value) = table.take("count_repeated") else { return false };
    let is_counted = value.boolean().unwrap_or(false);
    if is_counted && table.has("key") {
        let message = "`count_repeated` is for datasets without `key`";
        value.reject(message.to_owned(), "remove it: `exact_duplicates` counts the rows that are equal");
    }
    is_counted
}

fn late(table: &mut Table<'_>, columns: &Columns) -> Option<Late> {
    const THEN: [(&str, ThenLate); 2] = [("keep", ThenLate::Keep), ("set_aside", ThenLate::SetAside)];
    let mut late = table.table("late")?;
    let by = late.required_text("by", "by = \"created_at\"");
    let after = late.take("after");
    if after.is_none() {
        late.missing("after", "after = \"3 days\"");
    }
    let after = after.and_then(|value| duration(&value));
    let then = late.one_of("then", &THEN).unwrap_or(ThenLate::Keep);
    late.finish();
    let by = by?;
    if !columns.is_empty()
        && let Some(column) = declared(table, columns, &by, "late").and_then(|named| named.column.as_ref())
        && !matches!(column.kind, ColumnType::Date | ColumnType::Timestamp)
    {
        let message = format!("`late` cannot go by `{}`, of type `{}`", by.text, column.kind);
        let help = "name a column of type `date` or `timestamp`";
        table.report(Diagnostic::new(Code::RuleType, table.at(by.bytes.clone()), message).help(help));
    }
    Some(Late { by: by.text, after_seconds: after?.as_secs(), then })
}

fn rejected_share(table: &mut Table<'_>) -> Option<f64> {
    let value = table.take("rejected_share")?;
    let share = value.number()?;
    if !(0.0..=1.0).contains(&share) {
        value.reject(
            format!("`rejected_share` is a share, `{share}` is not"),
            "write a number from 0 to 1, such as `0.01`",
        );
    }
    Some(share)
}

fn columns(table: &mut Table<'_>, null: &[String]) -> Columns {
    let named = table.take("columns");
    let entries = named.as_ref().and_then(Value::table).map_or_else(Vec::new, |columns| columns.entries());
    let is_empty = entries.is_empty() && named.as_ref().is_none_or(|value| matches!(value.node(), DeValue::Table(_)));
    if is_empty {
        let at = named.map_or_else(|| table.place(), |value| value.place());
        let help = "list them under `[columns]`, each with its type: `id = \"int64!\"`";
        table.report(Diagnostic::new(Code::MissingKey, at, "this contract has no columns").help(help));
    }
    let columns = entries.iter().map(|entry| column::read(entry, null)).collect::<Vec<_>>();
    check_aliases(table, &columns);
    let mut columns = columns.into_iter().map(|declared| (declared.name.text.clone(), declared)).collect();
    rule::read_marks(table, &mut columns);
    columns
}

/// A field of a file must belong to one column.
fn check_aliases(table: &Table<'_>, columns: &[Declared]) {
    let own = columns.iter().filter(|column| column.path.is_none() && column.true_if.is_none());
    let mut taken = own.map(|column| (column.name.text.as_str(), &column.name)).collect::<BTreeMap<_, _>>();
    // A path with dots names no field that an alias could name, so that the two are apart.
    let is_deep = |path: &&Located| path.text.contains('.');
    let mut taken_deep = BTreeMap::new();
    let paths = columns.iter().filter_map(|column| column.path.as_ref());
    let (deep, flat): (Vec<&Located>, Vec<&Located>) = paths.partition(is_deep);
    for path in deep {
        if let Some(other) = taken_deep.insert(path.text.as_str(), path) {
            report_taken(table, path, other);
        }
    }
    for alias in columns.iter().flat_map(|column| &column.aliases).chain(flat) {
        if let Some(other) = taken.insert(&alias.text, alias) {
            report_taken(table, alias, other);
        }
    }
}

fn report_taken(table: &Table<'_>, name: &Located, other: &Located) {
    let message = format!("the name `{}` is taken", name.text);
    table.report(
        Diagnostic::new(Code::InvalidValue, table.at(name.bytes.clone()), message)
            .related(table.at(other.bytes.clone()), "by this")
            .help("a field of a file belongs to one column; remove one of the two"),
    );
}

/// Only NDJSON has values inside values.
fn check_paths(table: &Table<'_>, columns: &Columns, format: Option<&Format>) {
    if !matches!(format, Some(Format::Csv(_))) {
        return;
    }
    for path in columns.values().filter_map(|column| column.path.as_ref()) {
        table.reject(path, "`path` is for NDJSON, and these files are CSV", "name the field with `aliases`");
    }
}

/// Where the contract lists the fields of its files, the columns that it requires must be among them.
fn check_listed(table: &Table<'_>, columns: &Columns, format: &format::Declared, from: &LandingPattern) {
    let (Some(Format::Csv(csv)), Some(place)) = (&format.format, &format.listed) else { return };
    let FieldNames::Listed(fields) = &csv.names else { return };
    for (name, declared) in columns {
        let is_required = declared.column.as_ref().is_some_and(|column| column.rules.required);
        let is_given = declared.true_if.is_some() || from.captures().contains(name);
        let mut names = declared.aliases.iter().map(|alias| &alias.text).chain([name]);
        if is_required && !is_given && !names.any(|name| fields.contains(name)) {
            let message = format!("`columns` has no field for the column `{name}`, which is required");
            table.report(
                Diagnostic::new(Code::ContractColumn, table.at(place.clone()), message)
                    .related(table.at(declared.name.bytes.clone()), "declared here")
                    .help("list the names of all fields in the order of the file"),
            );
        }
    }
}

fn declared<'a>(table: &Table<'_>, columns: &'a Columns, word: &Located, key: &str) -> Option<&'a Declared> {
    let column = columns.get(&word.text);
    if column.is_none() {
        let message = format!("`{key}` names the column `{}`, which is not declared", word.text);
        let help = did_you_mean(&word.text, columns.keys().map(String::as_str))
            .unwrap_or_else(|| "declare it under `[columns]`".to_owned());
        table.report(Diagnostic::new(Code::ContractColumn, table.at(word.bytes.clone()), message).help(help));
    }
    column
}

fn check_key(table: &Table<'_>, columns: &Columns, key: &[Located]) {
    for word in key {
        let Some(named) = declared(table, columns, word, "key") else { continue };
        if let Some(column) = named.column.as_ref().filter(|column| !column.rules.required) {
            let message = format!("`{}` is in the key, so it must not be null", word.text);
            table.report(
                Diagnostic::new(Code::InvalidValue, table.at(named.type_bytes.clone()), message)
                    .related(table.at(word.bytes.clone()), "the key")
                    .help(format!("write `{}!`", column.kind)),
            );
        }
    }
}

fn check_keep(table: &Table<'_>, columns: &Columns, keep: Option<&(Keep, Located)>) {
    let Some((_, word)) = keep else { return };
    let kind = declared(table, columns, word, "keep").and_then(|named| named.column.as_ref()).map(|column| column.kind);
    if kind == Some(ColumnType::Boolean) {
        let message = format!("`keep` cannot order rows by `{}`, of type `boolean`", word.text);
        let help = "name a column such as the time of the last change";
        table.report(Diagnostic::new(Code::RuleType, table.at(word.bytes.clone()), message).help(help));
    }
}

fn check_partition(table: &Table<'_>, columns: &Columns, partition: Option<&(PartitionBy, Located)>) {
    let Some((by, word)) = partition else { return };
    if let Some(column) = declared(table, columns, word, "partition").and_then(|named| named.column.as_ref()) {
        partition::check_type(table, by, word, column.kind);
    }
}

/// Fills the folders of `[paths]` into `from`; what stays in braces must be a column.
fn landing(table: &Table<'_>, word: &Located, settings: &Settings, columns: &Columns) -> Option<LandingPattern> {
    let filled =
        settings.paths.iter().fold(word.text.clone(), |text, (name, path)| text.replace(&format!("{{{name}}}"), path));
    let pattern = match LandingPattern::parse(&filled) {
        Ok(pattern) => pattern,
        Err(error) => {
            let message = format!("`from` cannot be read: {error}");
            let help =
                "write a path such as `{landing}/tickets/tickets-*.csv`, `{landing}` being a folder under `[paths]`";
            table.report(Diagnostic::new(Code::LandingPath, table.at(word.bytes.clone()), message).help(help));
            return None;
        }
    };
    for name in pattern.captures() {
        let place = capture_place(table, word, name);
        match columns.get(name) {
            Some(mark) if mark.true_if.is_some() => {
                let message = format!("`{name}` has `true_if`, so it cannot be read from the path of the file");
                let mistake = Diagnostic::new(Code::LandingPath, place, message);
                table.report(
                    mistake
                        .related(table.at(mark.name.bytes.clone()), "declared here")
                        .help("give one of them another name"),
                );
            }
            Some(Declared { rest: Some(rest), .. }) => {
                let message = format!("`{name}` is read from the path of the file, so it has nothing of the records");
                table.report(
                    Diagnostic::new(Code::InvalidValue, table.at(rest.clone()), message)
                        .related(place, "read here")
                        .help("remove it here, and declare another column with it"),
                );
            }
            Some(captured) if captured.path.is_some() || !captured.aliases.is_empty() => {
                let message = format!("`{name}` is read from the path of the file, so it has no other names");
                let others = captured.path.iter().chain(&captured.aliases);
                for other in others {
                    table.report(
                        Diagnostic::new(Code::InvalidValue, table.at(other.bytes.clone()), message.clone())
                            .related(place.clone(), "read here")
                            .help("remove it here"),
                    );
                }
            }
            None if !columns.is_empty() => {
                let known = columns.keys().chain(settings.paths.keys()).map(String::as_str);
                let help = did_you_mean(name, known).unwrap_or_else(|| {
                    "declare it under `[columns]`, or as a folder under `[paths]` in `opsmart.toml`".to_owned()
                });
                let message = format!("`{{{name}}}` is neither a column nor a folder of `[paths]`");
                table.report(Diagnostic::new(Code::LandingPath, place, message).help(help));
            }
            _ => {}
        }
    }
    Some(pattern)
}

fn capture_place(table: &Table<'_>, word: &Located, name: &str) -> crate::diagnostic::Place {
    let whole = table.at(word.bytes.clone());
    let written = &whole.file.text[whole.bytes.clone()];
    match written.find(&format!("{{{name}}}")) {
        Some(start) => table.at(whole.bytes.start + start + 1..whole.bytes.start + start + 1 + name.len()),
        // Written with escapes.
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;

    fn found(head: &str, columns: &str) -> Vec<String> {
        let from = if head.contains("from =") { "" } else { "from = \"{landing}/a-*.csv\"\n" };
        let format = if head.contains("format =") { "" } else { "format = { type = \"csv\" }\n" };
        let text = format!(
            "{head}\n{from}{format}[columns]\nid = \"int64!\"\nat = \"timestamp\"\nok = \"boolean\"\n{columns}\n"
        );
        let strip = |mistake: String| mistake.trim_start_matches("schemas/sources/a.toml:").to_owned();
        mistakes(&[("schemas/sources/a.toml", &text)]).into_iter().map(strip).collect()
    }

    #[test]
    fn what_files_are_is_checked_where_it_stands() {
        let cases = [
            (
                "from = \"{lnding}/a.csv\"",
                "1:10 E0404 `{lnding}` is neither a column nor a folder of `[paths]` @lnding",
            ),
            (
                "from = \"../a.csv\"",
                "1:9 E0404 `from` cannot be read: `..` leaves the folder that files land in @../a.csv",
            ),
            ("format = { type = \"ndjson\", header = true }", "1:29 E0104 there is no key `header` here @header"),
            ("format = { type = \"xml\", header = true }", "1:20 E0107 `type` cannot be `xml` @xml"),
            (
                "format = { type = \"csv\", quote = \"''\" }",
                "1:35 E0107 `quote` is not one ASCII character of a line @''",
            ),
            (
                "format = { type = \"csv\", quote = \",\" }",
                "1:10 E0107 `delimiter` and `quote` are the same @{ type = \"csv\", quote = \",\" }",
            ),
            ("format = {}", "1:10 E0105 `type` is missing @{}"),
            ("late = { by = \"at\" }", "1:8 E0105 `after` is missing @{ by = \"at\" }"),
            ("late = { after = \"3 days\" }", "1:8 E0105 `by` is missing @{ after = \"3 days\" }"),
            (
                "late = { by = \"att\", after = \"3d\" }",
                "1:16 E0402 `late` names the column `att`, which is not declared @att",
            ),
            ("late = { by = \"id\", after = \"3d\" }", "1:16 E0403 `late` cannot go by `id`, of type `int64` @id"),
            ("late = { by = \"at\", after = \"soon\" }", "1:30 E0107 `soon` is not a time that passes @soon"),
            ("late = { by = \"at\", after = \"3d\", then = \"drop\" }", "1:43 E0107 `then` cannot be `drop` @drop"),
            (
                "format = { type = \"csv\", escape = '\"' }",
                "1:10 E0107 `quote` and `escape` are the same @{ type = \"csv\", escape = '\"' }",
            ),
            (
                "format = { type = \"tsv\", escape = '\\t' }",
                "1:10 E0107 `delimiter` and `escape` are the same @{ type = \"tsv\", escape = '\\t' }",
            ),
            (
                "format = { type = \"csv\", delimiter = \"é\" }",
                "1:39 E0107 `delimiter` is not one ASCII character of a line @é",
            ),
            (
                "format = { type = \"csv\", encoding = \"klingon\" }",
                "1:38 E0107 there is no encoding `klingon` @klingon",
            ),
            ("format = { type = \"csv\", skip = -1 }", "1:33 E0107 `skip` is less than 0 @-1"),
            ("format = { type = \"csv\", comment = \"\" }", "1:37 E0107 `comment` is not the beginning of a line @"),
            ("format = { type = \"csv\", short_rows = \"\" }", "1:40 E0107 `short_rows` cannot be `` @"),
            ("format = { type = \"csv\", stray_quotes = \"x\" }", "1:42 E0107 `stray_quotes` cannot be `x` @x"),
            (
                "format = { type = \"csv\", quote = \"\", stray_quotes = \"text\" }",
                "1:54 E0107 `stray_quotes` needs a quote, and `quote` is empty @text",
            ),
            (
                "format = { type = \"csv\", header = true, columns = [\"id\"] }",
                "1:35 E0107 `header` and `columns` both name the fields @true",
            ),
            (
                "format = { type = \"csv\", columns = [\"at\"] }",
                "1:36 E0402 `columns` has no field for the column `id`, which is required @[\"at\"]",
            ),
            ("format = { type = \"ndjson\", skip = 1 }", "1:29 E0104 there is no key `skip` here @skip"),
            (
                "format = { type = \"csv\", header = [\"a\"] }",
                "1:35 E0107 `header` lists names, and `columns` is missing @[\"a\"]",
            ),
            ("format = { type = \"csv\", header = [], columns = [\"id\"] }", "1:35 E0107 `header` is empty @[]"),
            ("format = { type = \"csv\", header_rows = 0 }", "1:40 E0107 `header_rows` cannot be 0 @0"),
            (
                "format = { type = \"csv\", header = false, header_rows = 2 }",
                "1:56 E0107 `header_rows` needs a header, and the files have none @2",
            ),
            (
                "format = { type = \"csv\", repeated_header = \"drop\" }",
                "1:45 E0107 `repeated_header` cannot be `drop` @drop",
            ),
            (
                "format = { type = \"csv\", header = false, repeated_header = \"skip\" }",
                "1:61 E0107 `repeated_header` needs a header, and the files have none @skip",
            ),
            ("format = { type = \"csv\", trim = 1 }", "1:33 E0106 `trim` is an integer, expected `true` or `false` @1"),
            ("format = { type = \"ndjson\", trim = true }", "1:29 E0104 there is no key `trim` here @trim"),
        ];
        for (head, expected) in cases {
            assert_eq!(found(head, ""), [expected], "{head}");
        }
    }

    #[test]
    fn what_tells_rows_and_files_apart_is_checked_where_it_stands() {
        let cases = [
            ("key = [\"idd\"]", "1:9 E0402 `key` names the column `idd`, which is not declared @idd"),
            ("key = [\"at\"]", "6:7 E0107 `at` is in the key, so it must not be null @timestamp"),
            (
                "keep = { latest = \"at\" }",
                "1:8 E0105 `keep` without `key`: there is nothing to tell which rows are the same @{ latest = \"at\" }",
            ),
            ("key = [\"id\"]\nkeep = {}", "2:8 E0105 `latest` is missing @{}"),
            (
                "key = [\"id\"]\nkeep = { latest = \"at\", first = \"at\" }",
                "2:8 E0107 `keep` has both `latest` and `first` @{ latest = \"at\", first = \"at\" }",
            ),
            ("partition = {}", "1:13 E0105 `day` is missing @{}"),
            (
                "partition = { day = \"att\" }",
                "1:22 E0402 `partition` names the column `att`, which is not declared @att",
            ),
            (
                "partition = { day = \"id\" }",
                "1:22 E0403 `partition` cannot go by the day of `id`, of type `int64` @id",
            ),
            ("partition = { bucket = \"id\" }", "1:13 E0105 `buckets` is missing @{ bucket = \"id\" }"),
            ("partition = { bucket = \"id\", buckets = 0 }", "1:40 E0107 `buckets` cannot be 0 @0"),
            ("partition = { day = \"at\", buckets = 8 }", "1:37 E0107 `buckets` is for `bucket` @8"),
            ("partition = { day = \"at\", bucket = \"id\" }", "1:37 E0107 `partition` has both `day` and `bucket` @id"),
            ("count_repeated = 1", "1:18 E0106 `count_repeated` is an integer, expected `true` or `false` @1"),
            (
                "key = [\"id\"]\ncount_repeated = true",
                "2:18 E0107 `count_repeated` is for datasets without `key` @true",
            ),
            (
                "key = [\"id\"]\nkeep = { first = \"ok\" }",
                "2:19 E0403 `keep` cannot order rows by `ok`, of type `boolean` @ok",
            ),
            ("new_columns = \"drop\"", "1:16 E0107 `new_columns` cannot be `drop` @drop"),
            ("new_columns = \"take\"", "1:16 E0107 `new_columns` is `take`, and no column has `rest` @take"),
            (
                "format = { type = \"csv\", header = false }\nnew_columns = \"refuse\"",
                "2:16 E0107 `new_columns` needs a header, and the files have none @refuse",
            ),
            ("new_columns = true", "1:15 E0106 `new_columns` is a boolean, expected text @true"),
            ("settled = \"half an hour\"", "1:12 E0107 `half an hour` is not a time that passes @half an hour"),
            ("settled = 30", "1:11 E0106 `settled` is an integer, expected a time such as `\"30s\"` @30"),
            ("marker = \".done\"", "1:11 E0107 `marker` cannot be `.done` @.done"),
            ("marker = \"{path}.csv\"", "1:11 E0107 every file that `from` names is a marker `{path}.csv` @{path}.csv"),
            ("rejected_share = 2", "1:18 E0107 `rejected_share` is a share, `2` is not @2"),
        ];
        for (head, expected) in cases {
            assert_eq!(found(head, ""), [expected], "{head}");
        }
    }

    #[test]
    fn each_column_is_checked_where_it_stands() {
        let cases = [
            ("c = \"int\"", "8:6 E0401 there is no type `int` @int"),
            ("c = 1", "8:5 E0106 `c` is an integer, expected a type such as `\"int64!\"`, or a table with `type` @1"),
            ("c = {}", "8:5 E0105 `type` is missing @{}"),
            ("_c = \"int64\"", "8:1 E0107 the column `_c` starts with `_` @_c"),
            ("C = \"int64\"", "8:1 E0107 `C` cannot name a column @C"),
            (
                "c = { type = \"string\", not_future = true }",
                "8:37 E0403 `not_future` does not fit a column of type `string` @true",
            ),
            (
                "c = { type = \"date\", not_future = 3 }",
                "8:35 E0106 `not_future` is an integer, expected `true`, or how far the clocks may be apart, such as `\"1h\"` @3",
            ),
            ("c = { type = \"date\", not_future = \"soon\" }", "8:36 E0107 `soon` is not a time that passes @soon"),
            ("c = { type = \"string\", min = 1 }", "8:30 E0403 `min` does not fit a column of type `string` @1"),
            ("c = { type = \"int64\", min = 1.5 }", "8:29 E0403 `1.5` is not a value of type `int64` @1.5"),
            (
                "c = { type = \"date\", min = 2024-02-30 }",
                "8:28 E0103 invalid date, expected day between 01 and 29 @2024-02-30",
            ),
            (
                "c = { type = \"date\", min = \"2024-2-3\" }",
                "8:29 E0403 `2024-2-3` is not a value of type `date` @2024-2-3",
            ),
            ("c = { type = \"int64\", min = 2, max = 1 }", "8:29 E0403 `min` is greater than `max` @2"),
            (
                "c = { type = \"date\", values = [\"x\"] }",
                "8:31 E0403 `values` does not fit a column of type `date` @[\"x\"]",
            ),
            ("c = { type = \"int64\", values = [1, \"x\"] }", "8:37 E0403 `x` is not a value of type `int64` @x"),
            ("c = { type = \"string\", values = [] }", "8:33 E0107 `values` is empty, so no value could be right @[]"),
            (
                "c = { type = \"string\", pattern = \"[\" }",
                "8:35 E0107 `pattern` is not a regular expression: unclosed character class @[",
            ),
            (
                "c = { type = \"int64\", pattern = \"1\" }",
                "8:34 E0403 `pattern` does not fit a column of type `int64` @1",
            ),
            (
                "c = { type = \"int64\", format = \"%F\" }",
                "8:33 E0403 `format` does not fit a column of type `int64` @%F",
            ),
            (
                "c = { type = \"timestamp\", format = [\"%F\", \"%T\"] }",
                "8:44 E0107 `%T` is not a format that tells the day @%T",
            ),
            ("c = { type = \"int64\", aliases = [\"at\"] }", "8:35 E0107 the name `at` is taken @at"),
            ("c = { type = \"int64\", normalise = [\"tirm\"] }", "8:37 E0107 there is no normaliser `tirm` @tirm"),
            (
                "c = { type = \"int64\", normalise = [\"lower\"] }",
                "8:37 E0403 `lower` does not fit a column of type `int64` @lower",
            ),
            (
                "c = { type = \"date\", format = \"epoch\" }",
                "8:32 E0107 `epoch` is not a format that tells the day @epoch",
            ),
            (
                "c = { type = \"string\", rest = true }",
                "8:31 E0107 `rest` without `new_columns = \"take\"`: nothing is taken that the contract does not know @true",
            ),
            (
                "c = { type = \"string\", rest = \"yes\" }",
                "8:31 E0106 `rest` is text, expected `true` or `false` @\"yes\"",
            ),
            (
                "c = { type = \"int64\", path = \"a.b\" }",
                "8:31 E0107 `path` is for NDJSON, and these files are CSV @a.b",
            ),
        ];
        for (column, expected) in cases {
            assert_eq!(found("", column), [expected], "{column}");
        }
    }

    #[test]
    fn a_path_leads_to_one_column() {
        let found = |columns: &str| found("format = { type = \"ndjson\" }", columns);
        let path = |path: &str| format!("{{ type = \"int64\", path = \"{path}\" }}");
        assert_eq!(found(&format!("c = {}\nd = {}", path("a.b"), path("at.b"))), [""; 0]);
        let taken = found(&format!("c = {}\nd = {}", path("a.b"), path("a.b")));
        assert_eq!(taken, ["8:31 E0107 the name `a.b` is taken @a.b"]);
        assert_eq!(found(&format!("c = {}", path("at"))), ["7:31 E0107 the name `at` is taken @at"]);
        assert_eq!(found(&format!("c = {}", path("a..b"))), ["7:31 E0107 `path` has an empty name in it @a..b"]);
    }

    #[test]
    fn an_array_is_made_into_rows_that_are_read() {
        let found = |column: &str| {
            found(
                "format = { type = \"ndjson\", explode = \"a.l\" }",
                &format!("x = {{ type = \"int64\", path = \"a.l.x\" }}\n{column}"),
            )
        };
        let path = |kind: &str, path: &str| format!("c = {{ type = \"{kind}\", path = \"{path}\" }}");
        for right in [path("string", "a.l"), path("int64!", "a.l.#"), path("string", "a.b.c")] {
            assert_eq!(found(&right), [""; 0], "{right}");
        }
        let cases = [
            (path("string", "a.l.#"), "8:15 E0403 the place of an element is no value of type `string` @string"),
            (
                path("int64", "a.#"),
                "8:31 E0107 `#` stands for the place of an element, and there is none at `a.#` @a.#",
            ),
            (
                path("int64", "a.l.x.#"),
                "8:31 E0107 `#` stands for the place of an element, and there is none at `a.l.x.#` @a.l.x.#",
            ),
            (
                path("int64", "a.l.#.x"),
                "8:31 E0107 `#` stands for the place of an element, and there is none at `a.l.#.x` @a.l.#.x",
            ),
            (path("int64", "#"), "8:31 E0107 `#` stands for the place of an element, and there is none at `#` @#"),
        ];
        for (column, expected) in cases {
            assert_eq!(found(&column), [expected], "{column}");
        }
        let heads = [
            (
                "format = { type = \"csv\", explode = \"items\" }",
                "1:37 E0107 `explode` is for NDJSON, and these files are CSV @items",
            ),
            ("format = { type = \"ndjson\", explode = \"id.\" }", "1:40 E0107 `explode` has an empty name in it @id."),
            (
                "format = { type = \"ndjson\", explode = \"id.#\" }",
                "1:40 E0107 `explode` has `#` in it, which stands for places of elements @id.#",
            ),
            (
                "format = { type = \"ndjson\", explode = \"items\" }",
                "1:40 E0107 no column is read from the elements of `items` @items",
            ),
            (
                "format = { type = \"ndjson\", explode = [\"items\"] }",
                "1:39 E0106 `explode` is a list, expected text @[\"items\"]",
            ),
        ];
        for (head, expected) in heads {
            assert_eq!(super::tests::found(head, ""), [expected], "{head}");
        }
        let found = super::tests::found("format = { type = \"ndjson\" }", &path("int64", "a.#"));
        assert_eq!(found, ["7:31 E0107 `#` stands for the place of an element, and there is none at `a.#` @a.#"]);
    }

    #[test]
    fn one_column_takes_what_is_unknown() {
        let found = |columns: &str| found("new_columns = \"take\"", columns);
        let rest = |name: &str, more: &str| format!("{name} = {{ type = \"string\", rest = true{more} }}\n");
        assert_eq!(found(&rest("c", "")), [""; 0]);
        assert_eq!(found(&rest("c", ", required = true")), ["8:37 E0104 there is no key `required` here @required"]);
        assert_eq!(
            found("c = { type = \"string\", rest = false }"),
            ["1:16 E0107 `new_columns` is `take`, and no column has `rest` @take"]
        );
        assert_eq!(found(&(rest("c", "") + &rest("d", ""))), ["9:31 E0107 two columns have `rest` @true"]);
        assert_eq!(
            found(&rest("c", ", aliases = [\"d\"]")),
            ["8:49 E0107 `c` has what no other column has, so it has no other names @d"]
        );
        assert_eq!(
            found("c = { type = \"int64\", rest = true }"),
            ["8:30 E0403 `rest` does not fit a column of type `int64` @true"]
        );
        let headless = "new_columns = \"take\"\nformat = { type = \"csv\", columns = [\"id\", \"x\"] }";
        assert_eq!(
            super::tests::found(headless, &rest("c", "")),
            ["1:16 E0107 `new_columns` needs a header, and the files have none @take"]
        );
        let found = super::tests::found("new_columns = \"take\"\nfrom = \"{landing}/{c}/a.csv\"", &rest("c", ""));
        assert_eq!(found, ["8:31 E0107 `c` is read from the path of the file, so it has nothing of the records @true"]);
    }

    #[test]
    fn a_captured_column_has_one_name() {
        let found = found("from = \"{landing}/{c}/a.csv\"", "c = { type = \"int64\", aliases = [\"d\"] }");
        assert_eq!(found, ["7:35 E0107 `c` is read from the path of the file, so it has no other names @d"]);
    }

    #[test]
    fn a_contract_has_columns() {
        let head = "from = \"in/a.csv\"\nformat = { type = \"ndjson\" }\nkey = [\"id\"]\n";
        for (tail, place) in [("", "1:1"), ("[columns]", "4:1"), ("columns = {}", "4:11")] {
            let found = mistakes(&[("schemas/sources/a.toml", &format!("{head}{tail}"))]);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].starts_with(&format!("schemas/sources/a.toml:{place} E0105 this contract has no columns")),
                "{found:?}"
            );
        }
    }
}
