//! The calendar days of a time zone.
//!
//! Days begin at local midnight, or at the first instant after it where clocks were set forward over midnight. Rules are
//! those of the tz database in `chrono-tz`.

use chrono::{DateTime, Datelike, NaiveDate};
use chrono_tz::Tz;

/// Days from the first day of the common era to 1970-01-01, the origin of `Date32`.
const EPOCH_FROM_CE: i32 = 719_163;

/// Looks days up in one zone, remembering the last day's bounds because neighbours in a column often share it.
#[derive(Debug)]
pub struct LocalDays {
    zone: Tz,
    known: Option<(std::ops::Range<i64>, i32)>,
}

impl LocalDays {
    /// Prepares for a zone.
    #[must_use]
    pub fn new(zone: Tz) -> Self {
        Self { zone, known: None }
    }

    /// Returns the local day of an instant, in days since 1970-01-01; nothing for instants beyond the calendar.
    pub fn of(&mut self, micros: i64) -> Option<i32> {
        const HOUR: i64 = 3_600_000_000;
        if let Some((hour, day)) = &self.known
            && hour.contains(&micros)
        {
            return Some(*day);
        }
        let local = DateTime::from_timestamp_micros(micros)?.with_timezone(&self.zone);
        let day = local.date_naive().num_days_from_ce() - EPOCH_FROM_CE;
        // Offsets change on quarter hours at the finest, so a quarter of an hour lies within one local day.
        let start = micros.div_euclid(HOUR / 4) * (HOUR / 4);
        self.known =
            (local.date_naive() >= NaiveDate::from_ymd_opt(1972, 1, 1)?).then_some((start..start + HOUR / 4, day));
        Some(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(instant: &str, zone: &str) -> String {
        let micros = instant.parse::<DateTime<chrono::Utc>>().unwrap().timestamp_micros();
        let days = LocalDays::new(zone.parse().unwrap()).of(micros).unwrap();
        NaiveDate::from_num_days_from_ce_opt(days + EPOCH_FROM_CE).unwrap().to_string()
    }

    #[test]
    fn a_day_begins_at_local_midnight() {
        assert_eq!(day("2024-03-13T15:59:59.999999Z", "Asia/Shanghai"), "2024-03-13");
        assert_eq!(day("2024-03-13T16:00:00Z", "Asia/Shanghai"), "2024-03-14");
        assert_eq!(day("1969-12-31T23:00:00Z", "UTC"), "1969-12-31");
    }

    #[test]
    fn a_day_that_a_country_skipped_does_not_exist() {
        // Samoa crossed the date line at the end of 2011-12-29: the 30th never was.
        assert_eq!(day("2011-12-30T09:59:59Z", "Pacific/Apia"), "2011-12-29");
        assert_eq!(day("2011-12-30T10:00:00Z", "Pacific/Apia"), "2011-12-31");
    }

    #[test]
    fn remembering_the_last_quarter_of_an_hour_changes_nothing() {
        let zone: Tz = "Australia/Lord_Howe".parse().unwrap();
        let mut clock = LocalDays::new(zone);
        let start = "2024-04-05T00:00:00Z".parse::<DateTime<chrono::Utc>>().unwrap().timestamp_micros();
        for minute in 0..4 * 24 * 60 {
            let micros = start + minute * 60_000_000;
            assert_eq!(clock.of(micros), LocalDays::new(zone).of(micros));
        }
    }
}
