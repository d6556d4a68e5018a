//! The tables that opsmart makes about its own work (`dq_…`), beside those of the project.
//!
//! `dq_ledger` and `dq_quarantine` lie in the states of the datasets, a part in each; `dq_check_result` and
//! `dq_check_row` are made from the results of checks, when tables are published.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::project::{ColumnDoc, ColumnType};

/// A table about opsmart's own work. It is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemTable {
    /// Every record that was quarantined, with its bytes.
    Quarantine,
    /// What became of the records of every landed file.
    Ledger,
    /// The result of every check.
    CheckResult,
    /// Rows that fail checks and were published all the same.
    CheckRow,
}

type Column = (&'static str, ColumnType, &'static str, &'static str, &'static str, &'static str);

const QUARANTINE: [Column; 8] = [
    ("dataset", ColumnType::String, "Landed dataset that the record belongs to", "name", "Dataset", "数据集"),
    ("file", ColumnType::String, "Path under which the file was first read", "path", "File", "文件"),
    ("line", ColumnType::Int64, "Line of the decoded file on which the record starts, from 1", "line", "Line", "行号"),
    (
        "byte_offset",
        ColumnType::Int64,
        "Byte of the decoded file at which the record starts, from 0; none of E_FK",
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
        "The record's bytes as they landed, line end included; of E_FK the row's values as a JSON object, of E_ERASED nothing",
        "bytes",
        "Record",
        "原始记录",
    ),
];

const LEDGER: [Column; 20] = [
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
    ("quarantined", ColumnType::Int64, "Records quarantined as they were read", "count", "Quarantined", "隔离"),
    ("blank", ColumnType::Int64, "Records that carry no row: the header and empty lines", "count", "Blank", "空白"),
    (
        "rows",
        ColumnType::Int64,
        "Rows that the accepted records became: clean + exact_duplicates + superseded + quarantined_in_clean",
        "count",
        "Rows",
        "行数",
    ),
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
    (
        "repeated",
        ColumnType::Int64,
        "Clean rows equal in every column to an earlier one, where the contract counts them",
        "count",
        "Repeated",
        "重复行",
    ),
    (
        "late",
        ColumnType::Int64,
        "Records that landed too long after their time; accepted or quarantined as well",
        "count",
        "Late",
        "迟到",
    ),
    (
        "quarantined_in_clean",
        ColumnType::Int64,
        "Rows quarantined for a value that is not found where its column references",
        "count",
        "Quarantined in clean",
        "清洗隔离",
    ),
    (
        "rejected_share",
        ColumnType::Float64,
        "Share of the records, blank ones left out, that was quarantined",
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

const CHECK_RESULT: [Column; 11] = [
    (
        "check_name",
        ColumnType::String,
        "Check: a table's with its rule, or a query of sql/checks",
        "name",
        "Check",
        "检查",
    ),
    ("table_name", ColumnType::String, "Table that has the check", "name", "Table", "表"),
    ("kind", ColumnType::String, "What it checks, by the key of the contract", "name", "Kind", "类型"),
    ("severity", ColumnType::String, "error stops publishing, warn does not", "name", "Severity", "严重程度"),
    ("state", ColumnType::String, "passed, warned, or skipped for want of rows", "name", "State", "结果"),
    ("failing_rows", ColumnType::Int64, "Rows that fail it", "count", "Failing rows", "不合格行数"),
    ("tested_rows", ColumnType::Int64, "Rows that it looked at", "count", "Tested rows", "检查行数"),
    ("share", ColumnType::Float64, "failing_rows / tested_rows", "ratio", "Failing share", "不合格率"),
    ("threshold", ColumnType::String, "How much may fail it; without, nothing", "text", "Threshold", "阈值"),
    ("message", ColumnType::String, "What it checks", "text", "Message", "说明"),
    ("asked_at", ColumnType::Timestamp, "Clock of the run that ran it last", "timestamp", "Asked at", "检查时间"),
];

const CHECK_ROW: [Column; 3] = [
    ("check_name", ColumnType::String, "Check that the row fails", "name", "Check", "检查"),
    (
        "row_number",
        ColumnType::Int64,
        "Place among the rows that are kept of this check, from 1",
        "number",
        "Row number",
        "行序号",
    ),
    ("row_json", ColumnType::String, "Values of the row by column, as a JSON object of texts", "json", "Row", "行内容"),
];

impl SystemTable {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ledger, Self::Quarantine, Self::CheckResult, Self::CheckRow];

    /// Returns whether it tells of the results of checks; otherwise the datasets hold its parts.
    #[must_use]
    pub fn is_of_checks(self) -> bool {
        matches!(self, Self::CheckResult | Self::CheckRow)
    }

    /// Returns the table's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quarantine => "dq_quarantine",
            Self::Ledger => "dq_ledger",
            Self::CheckResult => "dq_check_result",
            Self::CheckRow => "dq_check_row",
        }
    }

    /// Returns what the table holds.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Quarantine => "Every quarantined record, with its bytes, place and reason",
            Self::Ledger => "What became of the records of every landed file; nothing is missing",
            Self::CheckResult => "Result of every check when it last ran",
            Self::CheckRow => "Rows that fail a check and were published all the same, the first few of each",
        }
    }

    /// Returns what one row stands for.
    #[must_use]
    pub fn grain(self) -> &'static str {
        match self {
            Self::Quarantine => "one row per quarantined record",
            Self::Ledger => "one row per landed file",
            Self::CheckResult => "one row per check",
            Self::CheckRow => "one row per check and row that fails it",
        }
    }

    /// Returns the columns: name, type and words.
    pub fn columns(self) -> impl Iterator<Item = (&'static str, ColumnType, ColumnDoc)> {
        let columns: &'static [Column] = match self {
            Self::Quarantine => &QUARANTINE,
            Self::Ledger => &LEDGER,
            Self::CheckResult => &CHECK_RESULT,
            Self::CheckRow => &CHECK_ROW,
        };
        columns.iter().map(|(name, kind, description, unit, en, zh)| {
            let words = [description, unit, en, zh].map(|word| Some((*word).to_owned()));
            let [description, unit, en, zh] = words;
            (*name, *kind, ColumnDoc { description, unit, en, zh })
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
