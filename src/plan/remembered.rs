//! What binding a model came to, kept from one command to the next: the incremental part of it.
//!
//! A model is bound again only where something has changed that its binding can see: its own text, what it reads, a
//! variable, a setting, or the program. Promises: a model that is remembered would bind to the same columns and the same
//! proof, without a mistake or a warning. Knows nothing of where the memory is kept.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::partition::Proof;
use crate::digest::{Digest, Parts};

/// A model that bound without a mistake and without a warning.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Its columns: names, types as they are printed, and whether they can be null.
    columns: Vec<(String, String, bool)>,
    /// What is proved of its partitions, where anybody asks.
    pub(super) proof: Option<Proof>,
    /// What earlier programs made other rows of, of the same text.
    pub(super) mended: Vec<String>,
    /// Whether it was tried as well: `check` does not rest on less.
    pub(super) is_tried: bool,
}

impl Remembered {
    /// Returns what is to be remembered of a model, unless its columns cannot be read back as they are.
    pub(super) fn of(schema: &Schema, proof: Option<&Proof>, mended: &[String], is_tried: bool) -> Option<Self> {
        let column = |field: &Arc<Field>| (field.name().clone(), field.data_type().to_string(), field.is_nullable());
        let columns = schema.fields().iter().map(column).collect();
        let remembered = Self { columns, proof: proof.cloned(), mended: mended.to_vec(), is_tried };
        (remembered.schema()?.as_ref() == schema).then_some(remembered)
    }

    /// Returns its columns; nothing where a type has no printed form that can be read.
    pub(super) fn schema(&self) -> Option<SchemaRef> {
        let field = |(name, kind, nullable): &(String, String, bool)| {
            Some(Field::new(name, kind.parse::<DataType>().ok()?, *nullable))
        };
        Some(Arc::new(Schema::new(self.columns.iter().map(field).collect::<Option<Vec<_>>>()?)))
    }
}

/// Returns what tells a stored table from others, for those that read it: its columns, and what is known of its partitions.
pub(super) fn seen(schema: &Schema, proof: Option<&Proof>) -> Digest {
    let mut parts = Parts::of("table");
    for field in schema.fields() {
        parts.add(field.name());
        parts.add(field.data_type().to_string());
        parts.add([u8::from(field.is_nullable())]);
    }
    parts.add(serde_json::to_vec(&proof).unwrap_or_default());
    parts.digest()
}
