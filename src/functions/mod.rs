//! The SQL functions that opsmart adds to DataFusion: what SQL itself says badly.
//!
//! Each is immutable: its result depends on its arguments alone. Each has its definition and source in its own file.
//! This module knows nothing of projects or tables.

mod avg;
mod count;
mod distinct_changes;
mod ema;
mod json_text;
mod local_day;
pub(crate) mod median;
mod members;
mod robust_z;
mod seconds_between;
mod session_start;
pub(crate) mod sum;
mod wilson;

use datafusion::arrow::datatypes::DataType;
use datafusion::prelude::SessionContext;

use crate::project::ColumnType;

/// Stands in the hash of every model and check; stays, and [`version`] is raised instead.
pub const VERSION: u32 = 1;

/// The functions that give other results than in their first version. Raise a function here by hand, and the tables whose
/// SQL calls it are rebuilt; no others are.
const RAISED: &[(&str, u32)] = &[("avg", 2)];

/// Returns the version of a function, if it is another than the first.
#[must_use]
pub fn version(function: &str) -> Option<u32> {
    RAISED.iter().find(|(name, _)| name.eq_ignore_ascii_case(function)).map(|(_, version)| *version)
}

/// Returns the name of a type as people write it in contracts.
fn type_name(kind: &DataType) -> String {
    ColumnType::from_arrow(kind).map_or_else(|| kind.to_string().to_lowercase(), |kind| kind.to_string())
}

/// Makes every function known to `session`.
pub fn register(session: &SessionContext) {
    session.register_udf(json_text::json_text());
    session.register_udf(local_day::local_day());
    session.register_udf(robust_z::robust_z());
    session.register_udf(seconds_between::seconds_between());
    session.register_udf(wilson::wilson_lower());
    session.register_udaf(avg::avg());
    session.register_udaf(count::count());
    session.register_udaf(distinct_changes::distinct_changes());
    session.register_udaf(median::median());
    session.register_udaf(sum::sum());
    session.register_udwf(ema::ema());
    session.register_udwf(session_start::session_start());
}
