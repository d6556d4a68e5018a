//! The one clock of a run.

use chrono::{DateTime, DurationRound, TimeDelta, TimeZone, Utc};

use crate::project::{Settings, Tick};

/// How far a clock may be ahead of another without anybody having to look: two machines are never quite together.
const SKEW: TimeDelta = TimeDelta::hours(1);

/// How long nothing may have landed or been published before a clock is said to have leapt.
const LEAP: TimeDelta = TimeDelta::days(31);

/// The same where nothing has been published yet: whoever begins with old files has done nothing wrong.
const FIRST_LEAP: TimeDelta = TimeDelta::days(3660);

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

/// Says of a clock that it is ahead of this machine's, so that one of them is or was wrong.
#[must_use]
pub(super) fn ahead(as_of: DateTime<Utc>, now: DateTime<Utc>) -> Option<String> {
    (as_of > now + SKEW).then(|| {
        format!(
            "the tables are published as of {}, and the clock of this machine says {}: until then every run stays at that \
             time; `opsmart run --allow-earlier` goes back to the clock of this machine",
            minute(as_of),
            minute(now)
        )
    })
}

/// Says of the clock of a machine that it leapt: it is long after all that was published before and all that landed.
#[must_use]
pub(super) fn leapt(
    as_of: DateTime<Utc>,
    published: Option<DateTime<Utc>>,
    landed: Option<DateTime<Utc>>,
) -> Option<String> {
    let last = published.max(landed)?;
    let leap = if published.is_some() { LEAP } else { FIRST_LEAP };
    (as_of > last + leap).then(|| {
        format!(
            "the clock of this machine says {}, {} days after all that has landed and was published; if it is wrong, set \
             it right and say `opsmart run --allow-earlier`",
            minute(as_of),
            (as_of - last).num_days()
        )
    })
}

fn minute(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M UTC").to_string()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> DateTime<Utc> {
        format!("{text}T00:00:00Z").parse().unwrap()
    }

    #[test]
    fn a_clock_that_leaps_is_told_and_one_that_goes_on_is_not() {
        let (published, landed) = (Some(day("2024-07-01")), Some(day("2024-07-03")));
        assert_eq!(leapt(day("2024-08-03"), published, landed), None);
        assert_eq!(leapt(day("2024-08-03"), Some(day("2024-08-02")), landed), None);
        let told = leapt(day("2090-01-01"), published, landed).unwrap();
        assert!(told.starts_with("the clock of this machine says 2090-01-01 00:00 UTC, 23923 days after"), "{told}");
        // Nobody has published yet: the files may be old.
        assert_eq!(leapt(day("2026-07-01"), None, Some(day("2019-01-01"))), None);
        assert!(leapt(day("2090-01-01"), None, landed).is_some());
        assert_eq!(leapt(day("2090-01-01"), None, None), None);
        assert_eq!(ahead(day("2024-07-01"), day("2024-07-01")), None);
        assert!(ahead(day("2090-01-01"), day("2024-07-01")).is_some());
    }
}
