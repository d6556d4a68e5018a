//! The tables that the suite makes about its own work, beside those of the project.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::project::{ColumnType, Words};

/// A table about the suite's own work. It lies in the states of the datasets, a part in each, and is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnTable {
    /// Every record that was set aside, with its bytes.
    Quarantine,
    /// What became of the records of every landed file.
    Ledger,
}

type Column = (&'static str, ColumnType, &'static str, &'static str, &'static str, &'static str);

const QUARANTINE: [Column; 8] = [
    ("dataset", ColumnType::String, "Landed dataset that the record belongs to", "name", "Dataset", "数据集"),
    ("file", ColumnType::String, "Path under which the file was first read", "path", "File", "文件"),
    ("line", ColumnType::Int64, "Line of the decoded file on which the record starts, from 1", "line", "Line", "行号"),
    (
        "byte_offset",
        ColumnType::Int64,
        "Byte of the decoded file at which the record starts, from 0",
        "bytes",
        "Offset",
        "字节偏移",
    ),
    ("reason", ColumnType::String, "Rule that the record broke", "code", "Reason", "原因"),
    ("column_name", ColumnType::String, "Column that broke it, if one did", "name", "Column", "列"),
    ("message", ColumnType::String, "What was expected and what was found", "text", "Message", "说明"),
    (
        "record",
        ColumnType::Bytes,
        "The record's bytes as they landed, line end included",
        "bytes",
        "Record",
        "原始记录",
    ),
];

const LEDGER: [Column; 18] = [
    ("dataset", ColumnType::String, "Landed dataset", "name", "Dataset", "数据集"),
    ("file", ColumnType::String, "Path of the landed file", "path", "File", "文件"),
    ("content", ColumnType::String, "Digest of the file's decoded bytes", "digest", "File digest", "文件摘要"),
    ("landed_at", ColumnType::Timestamp, "When the file had landed", "timestamp", "Landed at", "到达时间"),
    ("sequence", ColumnType::Int64, "Order of admission within the dataset", "number", "Sequence", "序号"),
    (
        "copy_of",
        ColumnType::String,
        "Earlier path with the same content, which counts in its place",
        "path",
        "Copy of",
        "重复于",
    ),
    ("bytes", ColumnType::Int64, "Bytes of the decoded file", "bytes", "Bytes", "字节数"),
    ("records", ColumnType::Int64, "Records in the file: accepted + quarantined + blank", "count", "Records", "记录数"),
    ("accepted", ColumnType::Int64, "Records whose every value fits the contract", "count", "Accepted", "接受"),
    ("quarantined", ColumnType::Int64, "Records set aside in dq_quarantine", "count", "Quarantined", "隔离"),
    ("blank", ColumnType::Int64, "Records that carry no row: the header and empty lines", "count", "Blank", "空白"),
    ("clean", ColumnType::Int64, "Rows of the dataset that came from this file", "count", "Clean", "有效行"),
    (
        "exact_duplicates",
        ColumnType::Int64,
        "Rows equal in every column to one that was kept or superseded",
        "count",
        "Exact duplicates",
        "完全重复",
    ),
    (
        "superseded",
        ColumnType::Int64,
        "Rows whose key has a row that the contract prefers",
        "count",
        "Superseded",
        "被取代",
    ),
    ("late", ColumnType::Int64, "Rows that came too late to count", "count", "Late", "迟到"),
    (
        "quarantined_in_clean",
        ColumnType::Int64,
        "Accepted rows set aside by rules across rows",
        "count",
        "Quarantined in clean",
        "清洗隔离",
    ),
    (
        "rejected_share",
        ColumnType::Float64,
        "Share of the records, blank ones left out, that was set aside",
        "ratio",
        "Rejected share",
        "拒绝率",
    ),
    (
        "unknown_columns",
        ColumnType::String,
        "Columns of the file that the contract does not know",
        "text",
        "Unknown columns",
        "未知列",
    ),
];

impl OwnTable {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Ledger, Self::Quarantine];

    /// Returns the table's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quarantine => "dq_quarantine",
            Self::Ledger => "dq_ledger",
        }
    }

    /// Returns what the table holds.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Quarantine => "Every record that was set aside, with its bytes, place and reason",
            Self::Ledger => "What became of the records of every landed file; nothing is missing",
        }
    }

    /// Returns what one row stands for.
    #[must_use]
    pub fn grain(self) -> &'static str {
        match self {
            Self::Quarantine => "one row per record set aside",
            Self::Ledger => "one row per landed file",
        }
    }

    /// Returns the columns: name, type and words.
    pub fn columns(self) -> impl Iterator<Item = (&'static str, ColumnType, Words)> {
        let columns: &'static [Column] = match self {
            Self::Quarantine => &QUARANTINE,
            Self::Ledger => &LEDGER,
        };
        columns.iter().map(|(name, kind, description, unit, en, zh)| {
            let words = [description, unit, en, zh].map(|word| Some((*word).to_owned()));
            let [description, unit, en, zh] = words;
            (*name, *kind, Words { description, unit, en, zh })
        })
    }

    /// Returns the Arrow schema.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        Arc::new(Schema::new(
            self.columns().map(|(name, kind, _)| Field::new(name, kind.arrow(), true)).collect::<Vec<_>>(),
        ))
    }
}
