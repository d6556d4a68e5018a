//! What `opsmart.toml` says, for one environment.

use camino::Utf8PathBuf;
use chrono_tz::Tz;
use indexmap::IndexMap;

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
    /// Memory for queries, in bytes. Default: told by the machine when a run starts.
    pub memory_bytes: Option<u64>,
    /// The model whose rows end the report of a run.
    pub headline: Option<String>,
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
    /// How many rows a finding shows. Default 10.
    pub finding_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { record_bytes: 16 << 20, file_bytes: 64 << 30, finding_rows: 10 }
    }
}
