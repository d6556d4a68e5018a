//! The one clock of a run.

use chrono::{DateTime, DurationRound, TimeDelta, TimeZone, Utc};

use crate::project::{Settings, Tick};

/// Why a clock was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// The tables are published for a later clock.
    #[error("--as-of {asked} is before {published}, up to which the tables are published")]
    Past {
        /// What was asked for.
        asked: String,
        /// What is published.
        published: String,
    },
    /// The clock would be ahead of the machine's, and could not come back.
    #[error("--as-of {asked} has not come yet")]
    Future {
        /// What was asked for.
        asked: String,
    },
}

/// Returns the clock of a run: `asked`, or else now, cut to the project's tick.
///
/// It never goes back: where the machine's clock does, the published one stands.
///
/// # Errors
/// When `asked` is before what is published, or has not come yet.
pub fn as_of(
    settings: &Settings,
    asked: Option<DateTime<Utc>>,
    published: Option<DateTime<Utc>>,
) -> Result<DateTime<Utc>, ClockError> {
    match (asked, published) {
        (Some(asked), Some(published)) if asked < published => {
            Err(ClockError::Past { asked: asked.to_rfc3339(), published: published.to_rfc3339() })
        }
        (Some(asked), _) if asked > Utc::now() => Err(ClockError::Future { asked: asked.to_rfc3339() }),
        (Some(asked), _) => Ok(asked),
        (None, published) => {
            let now = cut(settings, Utc::now());
            Ok(published.map_or(now, |published| published.max(now)))
        }
    }
}

/// Returns when a clock of `as_of` that was not asked for is over: the next tick.
pub(super) fn next_tick(settings: &Settings, as_of: DateTime<Utc>) -> DateTime<Utc> {
    let step = match settings.tick {
        Tick::Minute => TimeDelta::minutes(1),
        Tick::Hour => TimeDelta::hours(1),
        // Days have up to 25 hours, and the shortest pair of them is longer than this.
        Tick::Day => TimeDelta::hours(36),
    };
    cut(settings, as_of + step)
}

fn cut(settings: &Settings, now: DateTime<Utc>) -> DateTime<Utc> {
    match settings.tick {
        Tick::Minute => now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now),
        Tick::Hour => now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now),
        Tick::Day => {
            let zone = settings.reporting_zone;
            let midnight = now.with_timezone(&zone).date_naive().and_time(chrono::NaiveTime::MIN);
            // Where clocks were set forward over midnight, the day begins at the first time that exists.
            (0..=24)
                .find_map(|hours| zone.from_local_datetime(&(midnight + TimeDelta::hours(hours))).earliest())
                .map_or(now, |start| start.with_timezone(&Utc))
        }
    }
}
