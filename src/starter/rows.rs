//! Columns of a table as SQL writes them: listed by kind, and with a value for a test.

use arrow::datatypes::{DataType, Field, Schema};

use crate::plan::sql_name;

/// A column, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Its name, in quotes where SQL needs them.
    pub(super) name: String,
    group: Group,
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

/// Returns the heading for columns of a type; `is_stored` says that they come out of what is written as a stored table's
/// do. What golden tests cannot write has its own.
fn group(kind: &DataType, is_stored: bool) -> Group {
    match kind {
        kind if kind.is_numeric() => Group::Numbers,
        DataType::Boolean => Group::Booleans,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Group::Strings,
        DataType::Date32 | DataType::Date64 => Group::Dates,
        DataType::Timestamp(_, zone) => {
            let is_known = is_stored || zone.as_deref().is_none_or(|zone| zone == "UTC");
            if is_known { Group::Timestamps } else { Group::Others }
        }
        DataType::Dictionary(_, values) => group(values, is_stored),
        _ => Group::Others,
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
    let is_id = name == "id" || name.ends_with("_id") || key.contains(name);
    let kind = field.data_type();
    let group = match group(kind, is_stored) {
        Group::Strings if is_id => Group::Ids,
        Group::Numbers if is_id && kind.is_integer() => Group::Ids,
        group => group,
    };
    Column { name: sql_name(name), group }
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

/// Returns a golden test: one row of `given`, and the same row out of `model`. It says nothing of types, so that it
/// holds when a contract says another one of a column: identifiers are `1`, which every type of theirs can be, and all
/// else has no value.
pub(super) fn golden_test(about: &str, given: &str, model: &str, columns: &[Column]) -> String {
    // A row of some columns says it all, and a line of forty could not be read.
    const SHOWN: usize = 8;
    let shown = columns.iter().filter(|column| column.group != Group::Others).take(SHOWN).collect::<Vec<_>>();
    let join =
        |part: &dyn Fn(&Column) -> String| shown.iter().map(|column| part(column)).collect::<Vec<_>>().join(", ");
    let is_id = |column: &Column| column.group == Group::Ids;
    let declared = join(&|column| format!("{} text", column.name));
    let literals = join(&|column| if is_id(column) { "'1'".to_owned() } else { "null".to_owned() });
    let names = join(&|column| column.name.clone());
    let ids = shown.iter().filter(|column| is_id(column)).collect::<Vec<_>>();
    let counts = ids.iter().map(|column| format!(", count({})", column.name)).collect::<String>();
    let (letters, ones) = ("I".repeat(ids.len() + 1), vec!["1"; ids.len() + 1].join(" "));
    let given = sql_name(given);
    format!(
        "# {about}\n# Give it values where the model does more than rename.\nstatement ok\ncreate table {given} \
         ({declared}) as values\n  ({literals})\n\nquery {letters}\nselect count(*){counts} from (select {names} from \
         {model})\n----\n{ones}\n"
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
            r#"# One row.
# Give it values where the model does more than rename.
statement ok
create table a ("order" text, user_id text, name text, amount text, at text) as values
  ('1', '1', null, null, null)

query III
select count(*), count("order"), count(user_id) from (select "order", user_id, name, amount, at from stg_a)
----
1 1 1
"#
        );
    }
}
