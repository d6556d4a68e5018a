//! What `opsmart.toml` says, for one environment.

use std::time::Duration;

use camino::Utf8PathBuf;
use chrono::Weekday;
use chrono_tz::Tz;
use indexmap::IndexMap;

use super::job::Located;
use crate::diagnostic::SourceFile;

/// The folder of the warehouse where `opsmart.toml` names none.
pub(super) const WAREHOUSE: &str = "warehouse";

/// The settings of a project, with the chosen environment's changes applied.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The text of `opsmart.toml`.
    pub file: SourceFile,
    /// Where tables are stored and published; relative to the root unless absolute. Default `warehouse`.
    pub warehouse: Utf8PathBuf,
    /// How finely `$as_of` is cut when it is not given. Default a day.
    pub tick: Tick,
    /// The zone in which days are cut. Default UTC.
    pub reporting_zone: Tz,
    /// The day on which weeks begin. Default Monday.
    pub week_start: Weekday,
    /// Memory for queries, in bytes. Default: told by the machine when a run starts.
    pub memory_bytes: Option<u64>,
    /// How long the query of one table may take in a run. Default: as long as it wants.
    pub query_timeout: Option<Duration>,
    /// The model whose rows end the report of a run.
    pub headline: Option<String>,
    /// The metrics that stand first: their places in `dim_metric`.
    pub headline_metrics: Vec<Located>,
    /// Folders that a contract's `from` can name as `{name}`.
    pub paths: IndexMap<String, String>,
    /// Typed values that SQL can name as `$name`.
    pub vars: IndexMap<String, Variable>,
    /// Bounds on the outside world.
    pub limits: Limits,
}

/// How finely the logical clock moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// Midnight of the reporting zone.
    Day,
    /// The full hour.
    Hour,
    /// The full minute.
    Minute,
}

/// A typed value from `[vars]`, or one that is built in.
#[derive(Debug, Clone, PartialEq)]
pub enum Variable {
    /// `Int64` in SQL.
    Integer(i64),
    /// `Float64` in SQL.
    Float(f64),
    /// `Boolean` in SQL.
    Boolean(bool),
    /// `Utf8` in SQL.
    Text(String),
    /// `Date32` in SQL.
    Date(chrono::NaiveDate),
    /// `Timestamp(Microsecond, "UTC")` in SQL.
    Timestamp(chrono::DateTime<chrono::Utc>),
}

/// Bounds on the outside world; every one can be raised in `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest record that is taken in, in bytes. Default 16 MiB.
    pub record_bytes: usize,
    /// The largest landed file after decompression, in bytes. Default 64 GiB.
    pub file_bytes: u64,
    /// How many times as large as it landed a file may become by decompression, once 64 MiB of it have. Default 500.
    pub expansion: u64,
    /// How deep the values of a JSON record may be nested. Default 128.
    pub nesting_depth: usize,
    /// How many fields a header may name. Default 16,384.
    pub columns: usize,
    /// How long the reading of one file may take, in seconds. Default an hour.
    pub file_seconds: u64,
    /// How many rows a finding shows. Default 10.
    pub finding_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record_bytes: 16 << 20,
            file_bytes: 64 << 30,
            expansion: 500,
            nesting_depth: 128,
            columns: 16_384,
            file_seconds: 3600,
            finding_rows: 10,
        }
    }
}
