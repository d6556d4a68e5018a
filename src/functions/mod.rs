//! The SQL functions that opsmart adds to DataFusion: what SQL itself says badly.
//!
//! Each is immutable: its result depends on its arguments alone. Each has its definition and source in its own file.
//! This module knows nothing of projects or tables.

mod ema;
mod json_text;
mod local_day;
mod seconds_between;
mod wilson;

use datafusion::prelude::SessionContext;

pub use local_day::LocalDays;

/// Raised when a function here gives other results than before, so that tables made with it are rebuilt.
pub const VERSION: u32 = 1;

/// Makes every function known to `session`.
pub fn register(session: &SessionContext) {
    session.register_udf(json_text::json_text());
    session.register_udf(local_day::local_day());
    session.register_udf(seconds_between::seconds_between());
    session.register_udf(wilson::wilson_lower());
    session.register_udwf(ema::ema());
}
