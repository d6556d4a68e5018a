//! Columns of a table as SQL writes them: listed by kind, and with a value for a test.

use arrow::datatypes::{DataType, Field, Schema};

use crate::plan::sql_name;

/// A column, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Its name, in quotes where SQL needs them.
    pub(super) name: String,
    group: Group,
    sample: Option<Sample>,
}

/// The headings under which a SELECT lists its columns, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Ids,
    Strings,
    Numbers,
    Booleans,
    Dates,
    Timestamps,
    Others,
}

/// A value, and how a golden test shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sample {
    kind: &'static str,
    literal: &'static str,
    letter: char,
    shown: String,
}

impl Sample {
    fn new(kind: &'static str, literal: &'static str, letter: char, shown: &str) -> Self {
        Self { kind, literal, letter, shown: shown.to_owned() }
    }

    /// Returns a value of a type, if golden tests can write one.
    fn of(kind: &DataType, is_stored: bool) -> Option<Self> {
        Some(match kind {
            kind if kind.is_integer() => Self::new("bigint", "1", 'I', "1"),
            DataType::Float32 | DataType::Float64 => Self::new("double", "0.5", 'R', "0.5"),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => {
                let scale = usize::try_from(*scale).ok()?;
                let (literal, digit) = if scale < usize::from(*precision) { ("1", '1') } else { ("0", '0') };
                let shown = if scale == 0 { digit.to_string() } else { format!("{digit}.{}", "0".repeat(scale)) };
                Self::new("double", literal, 'R', &shown)
            }
            DataType::Boolean => Self::new("boolean", "true", 'B', "true"),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::new("text", "'a'", 'T', "a"),
            DataType::Date32 | DataType::Date64 => Self::new("date", "date '2024-01-31'", 'T', "2024-01-31"),
            DataType::Timestamp(_, zone) => {
                let is_utc = is_stored || zone.as_deref() == Some("UTC");
                let is_known = is_utc || zone.is_none();
                let shown = if is_utc { "2024-01-31T08:00:00Z" } else { "2024-01-31T08:00:00" };
                if !is_known {
                    return None;
                }
                Self::new("timestamp", "timestamp '2024-01-31 08:00:00'", 'T', shown)
            }
            DataType::Dictionary(_, values) => return Self::of(values, is_stored),
            _ => return None,
        })
    }
}

/// Returns the columns of a table by kind, each kind in the table's order; `is_stored` says that they come out of
/// what is written as a stored table's do.
pub(super) fn columns(schema: &Schema, key: &[String], is_stored: bool) -> Vec<Column> {
    let mut columns = schema.fields().iter().map(|field| column(field, key, is_stored)).collect::<Vec<_>>();
    columns.sort_by_key(|column| column.group);
    columns
}

fn column(field: &Field, key: &[String], is_stored: bool) -> Column {
    let name = field.name();
    let sample = Sample::of(field.data_type(), is_stored);
    let is_id = name == "id" || name.ends_with("_id");
    let group = match sample.as_ref().map(|sample| sample.kind) {
        Some("text" | "bigint") if is_id || key.contains(name) => Group::Ids,
        Some("text") => Group::Strings,
        Some("bigint" | "double") => Group::Numbers,
        Some("boolean") => Group::Booleans,
        Some("date") => Group::Dates,
        Some("timestamp") => Group::Timestamps,
        _ => Group::Others,
    };
    Column { name: sql_name(name), group, sample }
}

/// Returns the columns as the list of a SELECT, under a heading for each kind.
pub(super) fn select_list(columns: &[Column]) -> String {
    let mut text = String::new();
    let mut last = None;
    for (at, column) in columns.iter().enumerate() {
        if last != Some(column.group) {
            let heading = match column.group {
                Group::Ids => "ids",
                Group::Strings => "strings",
                Group::Numbers => "numbers",
                Group::Booleans => "booleans",
                Group::Dates => "dates",
                Group::Timestamps => "timestamps",
                Group::Others => "others",
            };
            text.push_str(if last.is_some() { "\n" } else { "" });
            text.push_str(&format!("        ---------- {heading}\n"));
            last = Some(column.group);
        }
        let comma = if at + 1 < columns.len() { "," } else { "" };
        text.push_str(&format!("        {}{comma}\n", column.name));
    }
    text
}

/// Returns a golden test: one row of `given`, and the same row out of `model`.
pub(super) fn golden_test(about: &str, given: &str, model: &str, columns: &[Column]) -> String {
    // A row of some columns says it all, and a line of forty could not be read.
    const SHOWN: usize = 8;
    let samples = columns.iter().filter_map(|column| Some((&column.name, column.sample.as_ref()?)));
    let samples = samples.take(SHOWN).collect::<Vec<_>>();
    let join = |part: &dyn Fn(&String, &Sample) -> String, by: &str| {
        samples.iter().map(|(name, sample)| part(name, sample)).collect::<Vec<_>>().join(by)
    };
    let declared = join(&|name, sample| format!("{name} {}", sample.kind), ", ");
    let literals = join(&|_, sample| sample.literal.to_owned(), ", ");
    let names = join(&|name, _| name.clone(), ", ");
    let letters = join(&|_, sample| sample.letter.to_string(), "");
    let shown = join(&|_, sample| sample.shown.clone(), " ");
    let given = sql_name(given);
    format!(
        "# {about}\nstatement ok\ncreate table {given} ({declared}) as values\n  ({literals})\n\n\
         query {letters}\nselect {names} from {model}\n----\n{shown}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_listed_by_kind_and_quoted_where_they_must_be() {
        let schema = Schema::new(vec![
            Field::new("at", DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into())), true),
            Field::new("order", DataType::Int64, true),
            Field::new("name", DataType::Utf8, true),
            Field::new("user_id", DataType::Utf8, true),
            Field::new("amount", DataType::Decimal128(9, 2), true),
        ]);
        let columns = columns(&schema, &["order".to_owned()], true);
        assert_eq!(
            select_list(&columns),
            "        ---------- ids\n        \"order\",\n        user_id,\n\n        ---------- strings\n        name,\n\n        \
             ---------- numbers\n        amount,\n\n        ---------- timestamps\n        at\n"
        );
        assert_eq!(
            golden_test("One row.", "a", "stg_a", &columns),
            "# One row.\nstatement ok\ncreate table a (\"order\" bigint, user_id text, name text, amount double, at timestamp) as values\n  \
             (1, 'a', 'a', 1, timestamp '2024-01-31 08:00:00')\n\nquery ITTRT\n\
             select \"order\", user_id, name, amount, at from stg_a\n----\n1 a a 1.00 2024-01-31T08:00:00Z\n"
        );
    }
}
