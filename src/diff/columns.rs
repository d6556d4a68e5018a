//! What the columns of a table in two snapshots have in common.

use serde::Serialize;

use crate::project::ColumnType;
use crate::store::ColumnState;

/// How the columns of a table differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ColumnChanges {
    /// Those that only the later table has.
    pub added: Vec<String>,
    /// Those that only the earlier one has.
    pub removed: Vec<String>,
    /// Those whose type is another one.
    pub retyped: Vec<Retyped>,
}

/// A column whose type is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retyped {
    /// The column.
    pub column: String,
    /// Its type before.
    pub before: ColumnType,
    /// Its type now.
    pub after: ColumnType,
}

/// A column by which rows of both sides are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Common {
    pub(super) name: String,
    /// The type in which its values are compared.
    pub(super) kind: ColumnType,
    /// Whether both sides have it in that type.
    pub(super) is_same_type: bool,
}

/// Returns the columns by which rows can be compared, in the order of the later table, and how the columns differ.
///
/// Numbers of different types are compared as floats; values of other types have nothing in common.
pub(super) fn common(before: &[ColumnState], after: &[ColumnState]) -> (Vec<Common>, ColumnChanges) {
    let mut columns = Vec::new();
    let mut changes = ColumnChanges::default();
    for column in after {
        let Some(known) = before.iter().find(|known| known.name == column.name) else {
            changes.added.push(column.name.clone());
            continue;
        };
        let is_same_type = known.kind == column.kind;
        if !is_same_type {
            changes.retyped.push(Retyped { column: column.name.clone(), before: known.kind, after: column.kind });
        }
        let kind = match (known.kind, column.kind) {
            (before, after) if before == after => before,
            (before, after) if before.is_number() && after.is_number() => ColumnType::Float64,
            _ => continue,
        };
        columns.push(Common { name: column.name.clone(), kind, is_same_type });
    }
    let is_gone = |known: &&ColumnState| after.iter().all(|column| column.name != known.name);
    changes.removed = before.iter().filter(is_gone).map(|known| known.name.clone()).collect();
    (columns, changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(written: &[(&str, &str)]) -> Vec<ColumnState> {
        let column = |(name, kind): &(&str, &str)| ColumnState {
            name: (*name).to_owned(),
            kind: kind.parse().unwrap(),
            description: None,
            unit: None,
            en: None,
            zh: None,
        };
        written.iter().map(column).collect()
    }

    #[test]
    fn columns_are_told_apart_by_name_and_compared_where_their_types_allow_it() {
        let before = columns(&[("gone", "date"), ("a", "int64"), ("n", "int64"), ("t", "string")]);
        let after = columns(&[("t", "date"), ("n", "decimal(10,2)"), ("a", "int64"), ("new", "string")]);
        let (common, changes) = common(&before, &after);
        let told: Vec<_> = common.iter().map(|column| (column.name.as_str(), column.kind.to_string())).collect();
        assert_eq!(told, [("n", "float64".to_owned()), ("a", "int64".to_owned())]);
        assert_eq!((changes.added, changes.removed), (vec!["new".to_owned()], vec!["gone".to_owned()]));
        let retyped: Vec<_> = changes.retyped.iter().map(|retyped| retyped.column.as_str()).collect();
        assert_eq!(retyped, ["t", "n"]);
    }
}
