//! The text of a contract, with the evidence for each line of it.

use encoding_rs::{Encoding, UTF_8};

use super::candidate::{Candidate, Reading};
use super::column::Profile;
use super::decide::ColumnProposal;
use super::dialect::Dialect;
use super::distinct::Count;
use super::key::Keys;
use super::names::is_chinese;
use super::numbers::NumberStyle;
use super::pass::{Field, Found};
use super::{Inferred, Input, Landing};
use crate::ingest::{Reason, quoted};
use crate::project::{ColumnType, CsvFormat, FieldNames, Format, Normaliser};

/// How wide a comment is.
const WIDTH: usize = 118;

/// How long a contract may be before columns stand without their evidence, in bytes; the loader reads 1 MiB.
const MOST_EVIDENCE: usize = 400 << 10;

/// The share of records that may be quarantined when there is no reason for more.
const USUAL_SHARE: u64 = 10;

/// A contract as far as it is written, and the questions that it leaves.
#[derive(Default)]
struct Draft {
    text: String,
    questions: Vec<String>,
}

impl Draft {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Adds a comment, wrapped.
    fn comment(&mut self, words: &str) {
        let mut line = "#".to_owned();
        for word in words_of(words) {
            if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > 1 {
                self.text.push_str(line.trim_end());
                self.text.push_str("\n#");
                line.clear();
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(line.trim_end());
    }

    /// Adds a question, as a sentence of a comment.
    fn ask(&mut self, question: String) {
        self.comment(&capital(&question));
        self.questions.push(question);
    }

    /// Adds a question that begins with the name of a column.
    fn ask_of_column(&mut self, question: String) {
        self.comment(&question);
        self.questions.push(question);
    }
}

/// What was found out about a file, of which its contract is written.
pub(super) struct Proposal<'a> {
    pub(super) input: &'a Input<'a>,
    /// The name of the dataset.
    pub(super) name: &'a str,
    pub(super) dialect: &'a Dialect,
    pub(super) found: &'a Found,
    pub(super) columns: &'a [ColumnProposal],
    pub(super) keys: &'a Keys,
    pub(super) landing: &'a Landing,
}

impl Proposal<'_> {
    /// Writes the contract, and returns it with its questions.
    pub(super) fn write(&self) -> Inferred {
        let Self { input, found, .. } = self;
        let mut draft = Draft::default();
        self.write_head(&mut draft);
        self.write_encoding(&mut draft);
        self.write_doubled(&mut draft);
        if found.repeated_headers > 0 {
            let times =
                if found.repeated_headers == 1 { "once".to_owned() } else { counted(found.repeated_headers, "time") };
            draft.ask(format!(
                "the header comes again further down, {times}, and is passed over there: were files put behind each \
                 other?"
            ));
        }
        for nameless in &found.nameless {
            draft.comment(&format!("Field {nameless} has no name and holds nothing, so no column reads it."));
        }
        draft.line(&format!("format = {}", format(&found.format, input.encoding)));
        draft.line("files = \"replace\"");
        self.write_keys(&mut draft);
        self.write_zone(&mut draft);
        self.write_share(&mut draft);
        self.write_columns(&mut draft);
        let Draft { text, questions } = draft;
        Inferred {
            contract: text,
            columns: self.columns.iter().map(|column| (column.name.clone(), column.kind)).collect(),
            key: self.keys.written.clone().into_iter().collect(),
            records: found.records,
            broken: found.broken,
            dialect: self.dialect.words(),
            questions,
            landing: self.landing.clone(),
        }
    }

    /// Writes what the dataset is, and where it lands.
    fn write_head(&self, draft: &mut Draft) {
        let Self { input, name, dialect, found, keys, landing, .. } = self;
        let file = input.path.file_name().unwrap_or_default();
        let records = found.records + found.broken;
        draft.comment(&format!(
            "Proposed from {}: {}, {} in {} decoded. Each line has its evidence; what you know better, change.",
            quoted(file.as_bytes()),
            dialect.words(),
            counted(records, "record"),
            counted(found.bytes, "byte"),
        ));
        draft.line(&format!("description = {}", toml(&format!("Records of {name}, as they land"))));
        let grain = keys.written.as_ref().map_or("one row per record".to_owned(), |key| format!("one row per {key}"));
        draft.line(&format!("grain = {}", toml(&grain)));
        landing.questions.iter().for_each(|question| draft.ask(question.clone()));
        draft.line(&format!("from = {}", toml(&landing.from)));
        dialect.questions.iter().for_each(|question| draft.ask(question.clone()));
        if records == 0 {
            let question = "the file has a header and no records, so that every column is text: of which type is each?";
            draft.ask(question.to_owned());
        }
    }

    fn write_columns(&self, draft: &mut Draft) {
        let Self { found, columns, .. } = self;
        draft.line("\n[columns]");
        for question in [unnamed(found), codes(columns), believed(columns)].into_iter().flatten() {
            draft.ask(question);
        }
        let mut is_too_long = false;
        for (field, column) in found.fields.iter().zip(*columns) {
            // A file of a project has an end, and thousands of columns with their evidence would be beyond it.
            if draft.text.len() <= MOST_EVIDENCE {
                draft.comment(&evidence(field, column).join("; "));
            } else if !is_too_long {
                draft.comment("From here on without evidence, because there are so many columns.");
                is_too_long = true;
            }
            for question in column.asked.iter().chain(&column.nearly) {
                draft.ask_of_column(format!("`{}`: {question}", column.name));
            }
            column.choices.iter().for_each(|choice| draft.comment(&format!("  {choice}")));
            draft.text.push_str(&definition(field, column, &found.format));
        }
    }

    /// Says how bytes beyond ASCII were read, where that was not plain.
    fn write_encoding(&self, draft: &mut Draft) {
        let Self { input, found, .. } = self;
        if found.words.is_empty() {
            return;
        }
        let words = found.words.iter().map(|word| shown(word)).collect::<Vec<_>>().join(", ");
        let name = encoding_name(input.encoding);
        draft.ask(format!("the file is not UTF-8; as {name} it has {words}: is that what it says? see `encoding`"));
    }

    /// Says how fields are called whose names come several times.
    fn write_doubled(&self, draft: &mut Draft) {
        let found = self.found;
        let named = found.doubled.iter().filter(|name| !name.is_empty()).collect::<Vec<_>>();
        let Some(first) = named.first() else { return };
        let names = named.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ");
        let doubled = format!("the header has {names} more than once");
        if matches!(&found.format, Format::Csv(CsvFormat { names: FieldNames::Header, .. })) {
            let second = shown(&format!("{first}#2"));
            draft.comment(&format!(
                "{}: {second} is the second field of that name, wherever it stands.",
                capital(&doubled)
            ));
            return;
        }
        draft.ask(format!("{doubled}: fields are named in their order, and a file with another header is refused"));
    }

    fn write_keys(&self, draft: &mut Draft) {
        let Self { name: dataset, keys, .. } = self;
        if let Some(key) = &keys.written {
            let how =
                keys.candidates.iter().find(|(columns, _)| columns[..] == [key.clone()]).map_or("", |(_, how)| how);
            draft.comment(&format!("`{key}` is unique here and never null ({how}); of rows with one key, one stays."));
            if keys.is_count {
                let question = format!(
                    "`{key}` counts the records of this file: if every file begins anew, records of different files would \
                     take each other's place; remove `key` then"
                );
                draft.ask(question);
            }
            draft.line(&format!("key = [{}]", toml(key)));
            if let Some(order) = &keys.order {
                draft.line(&format!("keep = {{ latest = {} }}", toml(order)));
            } else if let Some(order) = &keys.other_order {
                let question = format!(
                    "of rows with one key the last to arrive stays: does `{order}` tell the latest change of a whole row? then \
                     keep = {{ latest = {} }}",
                    toml(order)
                );
                draft.ask(question);
            }
        }
        if let Some((column, one, other)) = &keys.in_case {
            let question = format!(
                "`{column}` has {} and {}, which are two: if they are one, they have to be written alike before they land",
                shown(one),
                shown(other)
            );
            draft.ask(question);
        }
        for (columns, how) in &keys.candidates {
            if keys.written.as_ref().is_some_and(|key| columns == std::slice::from_ref(key)) {
                continue;
            }
            let list = columns.iter().map(|column| toml(column)).collect::<Vec<_>>().join(", ");
            draft.comment(&format!("key = [{list}]: unique here and never null ({how})."));
        }
        let order = keys.order.as_ref().or(keys.other_order.as_ref());
        if let (Some(id), Some(order)) = (&keys.versions_of, order) {
            let lines = format!("key = [{}] and keep = {{ latest = {} }}", toml(id), toml(order));
            draft.comment(&format!("`{id}` repeats. If its rows are versions of one thing: {lines}."));
        }
        if keys.given_up > 0 {
            draft.ask(format!("too many values to tell whether {} more could be a key", keys.given_up));
        }
        if keys.written.is_none() {
            let first = keys.candidates.first().map(|(columns, _)| {
                let names = columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>();
                format!(" ({} would, in this file)", names.join(" with "))
            });
            let first = first.unwrap_or_default();
            let foreign = keys.foreign.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let is_of_others =
                keys.candidates.iter().any(|(columns, _)| columns.iter().any(|name| keys.foreign.contains(name)));
            let repeated =
                keys.versions_of.as_ref().map(|id| format!("; `{id}` repeats: are its rows versions of one thing?"));
            let foreign = if is_of_others {
                format!("; {foreign} may name other things than {dataset}, and many of these then belong to one")
            } else {
                repeated.unwrap_or_default()
            };
            draft.ask(format!("what tells two rows apart{first}? no key is written, so every record stays{foreign}"));
        }
    }

    /// Asks in which zone times were written that say no offset.
    fn write_zone(&self, draft: &mut Draft) {
        let Self { input, columns, .. } = self;
        let zone = input.project.settings.reporting_zone.name();
        let local: Vec<&str> =
            columns.iter().filter(|column| column.is_local).map(|column| column.name.as_str()).collect();
        let gap = columns.iter().find_map(|column| Some((&column.name, column.gap.as_ref()?)));
        if let Some((name, gap)) = gap {
            draft.ask(format!(
                "clocks in {zone} never showed {} (`{name}`, line {}): in which zone were these stamps written?",
                shown(&gap.text),
                gap.line
            ));
            draft.line("parse_zone = \"UTC\"");
        } else if !local.is_empty() {
            draft.ask_of_column(format!("{}: were they written in {zone}? they say no offset", local.join(", ")));
            draft.line(&format!("parse_zone = {}", toml(zone)));
        }
    }

    /// Writes how many records may not fit, and asks about those that cannot be read.
    fn write_share(&self, draft: &mut Draft) {
        let Self { found, dialect, .. } = self;
        // In thousandths, rounded up, so that the file itself passes.
        let needed = (found.broken * 1000).div_ceil((found.records + found.broken).max(1));
        let share = needed.max(USUAL_SHARE);
        let written = format!("{}.{:03}", share / 1000, share % 1000);
        let written = written.trim_end_matches('0').trim_end_matches('.');
        if found.broken > 0 {
            let mut question = format!(
                "{} of {} cannot be read with this `format`: {}",
                grouped(found.broken),
                counted(found.records + found.broken, "record"),
                found.broken_examples.join("; ")
            );
            let has = |reason: Reason| found.broken_examples.iter().any(|example| example.contains(reason.as_str()));
            if has(Reason::Fields) {
                question.push_str("; `short_rows = \"null\"` in `format` reads records that lack fields at their end");
            }
            if has(Reason::Quote) || has(Reason::Fields) {
                dialect.hints.iter().for_each(|hint| question.push_str(&format!("; {hint}")));
            }
            if share > USUAL_SHARE {
                question.push_str(&format!(
                    "; `rejected_share` is {written} so that this file passes all the same: should it?"
                ));
            }
            draft.ask(question);
        }
        draft.line(&format!("rejected_share = {written}"));
    }
}

/// Asks about columns that are taken for codes.
fn codes(columns: &[ColumnProposal]) -> Option<String> {
    let listed = columns.iter().filter_map(|column| Some(format!("`{}` ({})", column.name, column.as_code.as_ref()?)));
    let listed = listed.collect::<Vec<_>>();
    (!listed.is_empty()).then(|| {
        format!("{}: taken for codes, so they stay text, though all values can be read so; are they?", some(&listed))
    })
}

/// Asks about the times that are not believed.
fn believed(columns: &[ColumnProposal]) -> Option<String> {
    let of = |holds: &dyn Fn(&ColumnProposal) -> bool| {
        columns.iter().filter(|column| holds(column)).map(|column| format!("`{}`", column.name)).collect::<Vec<_>>()
    };
    let early = of(&|column| column.believed.min.is_some());
    let late = of(&|column| column.believed.not_future.is_some());
    let early = (!early.is_empty()).then(|| format!("before `min` ({})", some(&early)));
    let late = (!late.is_empty()).then(|| format!("more than a day after their file landed ({})", some(&late)));
    let parts = [early, late].into_iter().flatten().collect::<Vec<_>>();
    (!parts.is_empty()).then(|| format!("records with a time {} are quarantined: is that right?", parts.join(" or ")))
}

/// Returns the first few of a list, and how many more there are.
fn some(list: &[String]) -> String {
    const SHOWN: usize = 5;
    let first = list.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if list.len() > SHOWN { format!("{first} and {} more", list.len() - SHOWN) } else { first }
}

/// Returns the line that declares a column.
fn definition(field: &Field, column: &ColumnProposal, format: &Format) -> String {
    let required = if column.is_required() { "!" } else { "" };
    let kind = toml(&format!("{}{required}", column.kind));
    let mut rest = Vec::new();
    let has_names = !matches!(format, Format::Csv(CsvFormat { names: FieldNames::Order, .. }));
    if has_names && field.name != column.name {
        rest.push(format!("aliases = [{}]", toml(&field.name)));
    }
    if let Some(step) = column.normalise {
        let name = Normaliser::NAMES.iter().find(|(_, known)| *known == step).map_or("", |(name, _)| name);
        rest.push(format!("normalise = [{}]", toml(name)));
    }
    if let Some(format) = column.reading.and_then(Reading::format) {
        rest.push(format!("format = {}", toml(format)));
    }
    if !column.null_texts.is_empty() && !column.is_required() {
        let texts = std::iter::once("").chain(column.null_texts.iter().map(|(text, _)| *text));
        rest.push(format!("null = [{}]", texts.map(toml).collect::<Vec<_>>().join(", ")));
    }
    rest.extend(column.believed.min.as_ref().map(|min| format!("min = {}", toml(min))));
    rest.extend(column.believed.not_future.map(|apart| format!("not_future = {}", toml(apart))));
    if is_chinese(&field.name) {
        rest.push(format!("zh = {}", toml(&field.name)));
    }
    if rest.is_empty() {
        format!("{} = {kind}\n", column.name)
    } else {
        format!("{} = {{ type = {kind}, {} }}\n", column.name, rest.join(", "))
    }
}

/// Returns what speaks for a column being what it is.
fn evidence(field: &Field, column: &ColumnProposal) -> Vec<String> {
    let profile = &field.profile;
    let mut evidence = vec![values(profile)];
    if column.nulls > 0 {
        let mut details = share(column.nulls, profile.records).into_iter().collect::<Vec<_>>();
        let seen = column.null_texts.iter().filter(|(_, count)| *count > 0);
        details.extend(seen.map(|(text, count)| format!("{} {}", shown(text), grouped(*count))));
        let of = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
        evidence.push(format!("{} of {} null{of}", grouped(column.nulls), grouped(profile.records)));
    }
    let candidate = column.reading.and_then(|reading| of(profile, reading));
    if let Some(found) = candidate.and_then(|candidate| candidate.found.as_ref())
        && found.min.1 != found.max.1
        && column.kind != ColumnType::Boolean
    {
        evidence.push(format!("from {} to {}", shown(&found.min.1), shown(&found.max.1)));
    }
    if let Some(step) = column.normalise {
        let style = [&profile.numbers.point, &profile.numbers.comma].into_iter().find(|style| style.step == step);
        if let Some(NumberStyle { min: Some((_, min)), max: Some((_, max)), .. }) = style
            && min != max
        {
            evidence.push(format!("from {} to {}", shown(min), shown(max)));
        }
        evidence.extend(column.notes.iter().cloned());
        return evidence;
    }
    match column.kind {
        ColumnType::Decimal { .. } | ColumnType::Float64 => {
            evidence.extend(profile.widest.as_ref().map(|(_, text)| format!("widest {}", shown(text))));
        }
        ColumnType::String => {
            evidence.extend(profile.longest.as_ref().map(|(length, seen)| {
                format!("longest {} on line {}", counted(*length as u64, "character"), seen.line)
            }));
        }
        _ => {}
    }
    evidence.extend(narrower(profile, column));
    evidence.extend(column.notes.iter().cloned());
    if column.kind == ColumnType::String {
        if profile.padded > 0 {
            evidence.push(format!("{} with white space around it, which stays", counted(profile.padded, "text")));
        }
        if !column.values.is_empty() {
            let values = column.values.iter().map(|value| toml(value)).collect::<Vec<_>>().join(", ");
            evidence.push(format!("`values = [{values}]` would quarantine all others"));
        }
        if let Some(values) = profile.distinct.values().filter(|values| (2..=12).contains(&values.len()))
            && profile.distinct.repeats
        {
            let values = values.iter().map(|(text, count)| format!("{} {}", shown(text), grouped(*count)));
            evidence.push(format!("values: {}", values.collect::<Vec<_>>().join(", ")));
        }
    }
    evidence
}

fn of(profile: &Profile, reading: Reading) -> Option<&Candidate> {
    profile.candidates.iter().find(|candidate| candidate.reading == reading)
}

/// Says how many values there are, and how many different ones.
fn values(profile: &Profile) -> String {
    if profile.values == 0 {
        return "no value in this file".to_owned();
    }
    let distinct = match profile.distinct.count() {
        Count::Exact(count) if count as u64 == profile.values => "all different".to_owned(),
        Count::Exact(count) => format!("{} different", grouped(count as u64)),
        Count::Hashed(count) => format!("{} different by hashes", grouped(count as u64)),
        Count::AtLeast(count) => format!("at least {} different", grouped(count as u64)),
    };
    if let ([only], Count::Exact(1)) = (profile.distinct.examples.as_slice(), profile.distinct.count()) {
        return format!("{}, all {}", counted(profile.values, "value"), shown(only));
    }
    let examples = profile.distinct.examples.iter().map(|text| shown(text)).collect::<Vec<_>>().join(", ");
    format!("{}, {distinct}, such as {examples}", counted(profile.values, "value"))
}

/// Says why a column is not of a narrower type.
fn narrower(profile: &Profile, column: &ColumnProposal) -> Option<String> {
    let refused = |reading: Reading| of(profile, reading).filter(|candidate| candidate.fails > 0);
    let dropped = |reading: Reading| profile.dropped.iter().find(|(dropped, _)| *dropped == reading);
    let tried = match column.kind {
        ColumnType::Decimal { .. } => vec![Reading::Int64],
        ColumnType::Float64 => vec![Reading::Decimal, Reading::Int64],
        ColumnType::String => {
            let tried = profile.candidates.iter().filter(|candidate| candidate.fails > 0 && candidate.fits > 0);
            // Of equals the first, which is the narrower.
            tried.rev().max_by_key(|candidate| candidate.fits).map(|candidate| candidate.reading).into_iter().collect()
        }
        _ => return None,
    };
    tried.into_iter().find_map(|reading| {
        let words = reading.words();
        if let Some((_, failure)) = dropped(reading) {
            return Some(format!("no {words} because of {} on line {}", shown(&failure.text), failure.line));
        }
        let candidate = refused(reading)?;
        let failure = candidate.first_failure.as_ref()?;
        if candidate.fits == 0 {
            return Some(format!("no {words} because of {} on line {}", shown(&failure.text), failure.line));
        }
        let (fits, all) = (grouped(candidate.fits), grouped(profile.values));
        Some(format!("{fits} of {all} read as {words}, not {} on line {}", shown(&failure.text), failure.line))
    })
}

fn encoding_name(encoding: &'static Encoding) -> String {
    encoding.name().to_lowercase()
}

/// Asks for names of columns that could be given none.
fn unnamed(found: &Found) -> Option<String> {
    const SHOWN: usize = 3;
    let is_placed = |field: &&Field| is_chinese(&field.name) && field.column.starts_with("column_");
    let fields = found.fields.iter().filter(is_placed).collect::<Vec<_>>();
    let first = fields.iter().take(SHOWN).map(|field| format!("{} is `{}`", shown(&field.name), field.column));
    let more = if fields.len() > SHOWN { ", …" } else { "" };
    let listed = first.collect::<Vec<_>>().join(", ");
    (!fields.is_empty())
        .then(|| format!("{listed}{more}: names of columns are of small Latin letters; which are theirs?"))
}

fn format(format: &Format, encoding: &'static Encoding) -> String {
    let mut keys = Vec::new();
    match format {
        Format::Ndjson(_) => keys.push("type = \"ndjson\"".to_owned()),
        Format::Csv(csv) => {
            let one = |byte: u8| if byte == b'\t' { "'\\t'".to_owned() } else { toml(&char::from(byte).to_string()) };
            let list = |names: &[String]| names.iter().map(|name| toml(name)).collect::<Vec<_>>().join(", ");
            keys.push("type = \"csv\"".to_owned());
            keys.push(format!("delimiter = {}", one(csv.delimiter)));
            keys.push(format!("quote = {}", csv.quote.map_or_else(|| toml(""), one)));
            keys.extend(csv.escape.map(|escape| format!("escape = {}", one(escape))));
            if csv.trims {
                keys.push("trim = true".to_owned());
            }
            if csv.skip_lines > 0 {
                keys.push(format!("skip = {}", csv.skip_lines));
            }
            keys.extend(csv.comment.as_ref().map(|comment| format!("comment = {}", toml(comment))));
            if csv.header_rows > 1 {
                keys.push(format!("header_rows = {}", csv.header_rows));
            }
            keys.extend(csv.expected_header.as_ref().map(|header| format!("header = [{}]", list(header))));
            keys.push(match &csv.names {
                FieldNames::Header => "header = true".to_owned(),
                FieldNames::Order => "header = false".to_owned(),
                FieldNames::Listed(names) => format!("columns = [{}]", list(names)),
            });
            if csv.skips_repeated_header {
                keys.push("repeated_header = \"skip\"".to_owned());
            }
            if csv.fills_short_rows {
                keys.push("short_rows = \"null\"".to_owned());
            }
            if csv.keeps_stray_quotes {
                keys.push("stray_quotes = \"text\"".to_owned());
            }
        }
    }
    if encoding != UTF_8 {
        keys.push(format!("encoding = {}", toml(&encoding_name(encoding))));
    }
    format!("{{ {} }}", keys.join(", "))
}

/// Returns the words of a comment; what stands in backticks is one.
fn words_of(text: &str) -> Vec<&str> {
    let (mut words, mut start, mut is_quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == '`' {
            is_quoted = !is_quoted;
        } else if c == ' ' && !is_quoted {
            words.push(&text[start..at]);
            start = at + 1;
        }
    }
    words.push(&text[start..]);
    words
}

/// Returns a text of the file as a comment may show it.
fn shown(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut chars = text.chars();
    let mut start: String = chars.by_ref().take(SHOWN).collect();
    if chars.next().is_some() {
        start.push('…');
    }
    quoted(start.as_bytes())
}

fn toml(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default() + chars.as_str()
}

/// Returns a count with its noun.
fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Returns a count with a comma after every three digits.
fn grouped(count: u64) -> String {
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

/// Returns a share in per cent, of what is many enough to have one: never 0 of something, nor 100 of less than all.
fn share(part: u64, whole: u64) -> Option<String> {
    const ENOUGH: u64 = 100;
    if whole < ENOUGH || part == 0 || part == whole {
        return None;
    }
    let tenths = ((part * 2000 + whole) / (whole * 2)).clamp(1, 999);
    Some(format!("{}.{} %", tenths / 10, tenths % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_and_of_enough() {
        assert_eq!(share(2, 6), None);
        assert_eq!(share(100, 300).as_deref(), Some("33.3 %"));
        assert_eq!(share(200, 300).as_deref(), Some("66.7 %"));
        assert_eq!(share(1, 1_000_000).as_deref(), Some("0.1 %"));
        assert_eq!(share(999_999, 1_000_000).as_deref(), Some("99.9 %"));
        assert_eq!(share(300, 300), None);
    }
}
