//! Local times to instants.

use std::cell::RefCell;
use std::fmt;

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};

use super::ValueFault;

/// A zone that remembers the days on which its clocks stood still, in the sense that nobody moved them.
pub(super) struct Zone {
    tz: Tz,
    days: RefCell<Vec<Day>>,
}

/// What is known of a local day.
#[derive(Debug, Clone, Copy)]
struct Day {
    /// Days since 1970-01-01, of the local calendar.
    number: i64,
    /// The offset all day long, in seconds; none if it changes near that day.
    offset: Option<i64>,
}

/// How many days are remembered, at places given by their number.
const DAYS: i64 = 512;

const DAY_SECONDS: i64 = 86_400;

impl Zone {
    pub(super) fn new(tz: Tz) -> Self {
        Self { tz, days: RefCell::new((0..DAYS).map(|_| Day { number: i64::MIN, offset: None }).collect()) }
    }

    /// Returns the zone's name.
    pub(super) fn name(&self) -> &'static str {
        self.tz.name()
    }

    /// Returns the UTC second at which clocks here show `local`, which counts seconds as if it were UTC.
    ///
    /// Where clocks are put back and show a time twice, the earlier instant is taken; where they are put forward and
    /// skip it, there is none.
    pub(super) fn instant(&self, local: i64) -> Result<i64, ValueFault> {
        if self.tz == Tz::UTC {
            return Ok(local);
        }
        let number = local.div_euclid(DAY_SECONDS);
        let place = usize::try_from(number.rem_euclid(DAYS)).unwrap_or_default();
        let known = self.days.borrow()[place];
        let day = if known.number == number {
            known
        } else {
            let day = Day { number, offset: self.steady_offset(number) };
            self.days.borrow_mut()[place] = day;
            day
        };
        match day.offset {
            Some(offset) => Ok(local - offset),
            None => self.look_up(local),
        }
    }

    /// Returns the offset of a local day if it is the same from well before it to well after it.
    ///
    /// Offsets lie within 16 hours, so the day is somewhere in the hours looked at; and no zone has ever changed its
    /// offset and taken that back within an hour.
    fn steady_offset(&self, number: i64) -> Option<i64> {
        let start = number * DAY_SECONDS;
        let mut offsets = (-16..=24 + 16).map(|hour| self.offset(start + hour * 3600));
        let first = offsets.next()??;
        offsets.all(|offset| offset == Some(first)).then_some(first)
    }

    fn offset(&self, instant: i64) -> Option<i64> {
        let utc = DateTime::from_timestamp(instant, 0)?.naive_utc();
        Some(i64::from(self.tz.offset_from_utc_datetime(&utc).fix().local_minus_utc()))
    }

    fn look_up(&self, local: i64) -> Result<i64, ValueFault> {
        instant_in(self.tz, local)
    }

    /// Returns the offset that clocks here call by an abbreviation, around a day or in another season of its year.
    pub(super) fn offset_called(&self, name: &str, day: NaiveDate) -> Option<i64> {
        let seasons = [1, 4, 7, 10].map(|month| NaiveDate::from_ymd_opt(day.year(), month, 1));
        let days = [day.pred_opt(), Some(day), day.succ_opt()].into_iter().chain(seasons).flatten();
        let mut offsets = days.map(|day| self.tz.offset_from_utc_datetime(&day.and_time(NaiveTime::MIN)));
        let called = offsets.find(|offset| offset.abbreviation() == Some(name))?;
        Some(i64::from(called.fix().local_minus_utc()))
    }
}

/// Returns the UTC second at which clocks in a zone show `local`, as [`Zone::instant`] does.
pub(super) fn instant_in(zone: Tz, local: i64) -> Result<i64, ValueFault> {
    let naive = DateTime::from_timestamp(local, 0).ok_or(ValueFault::Range)?.naive_utc();
    match zone.from_local_datetime(&naive) {
        MappedLocalTime::Single(time) => Ok(time.timestamp()),
        MappedLocalTime::Ambiguous(one, other) => Ok(one.timestamp().min(other.timestamp())),
        MappedLocalTime::None => Err(ValueFault::DstGap),
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.tz).finish()
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;

    use super::*;

    fn seconds(text: &str) -> i64 {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp()
    }

    #[track_caller]
    fn check(zone: Tz, local: &str, utc: Result<&str, ValueFault>) {
        assert_eq!(Zone::new(zone).instant(seconds(local)), utc.map(seconds), "{zone} {local}");
    }

    #[test]
    fn clocks_put_forward_skip_an_hour_and_put_back_repeat_one() {
        let zone = Tz::America__New_York;
        check(zone, "2025-03-09 01:59:59", Ok("2025-03-09 06:59:59"));
        check(zone, "2025-03-09 02:00:00", Err(ValueFault::DstGap));
        check(zone, "2025-03-09 02:30:00", Err(ValueFault::DstGap));
        check(zone, "2025-03-09 03:00:00", Ok("2025-03-09 07:00:00"));
        check(zone, "2025-11-02 01:30:00", Ok("2025-11-02 05:30:00"));
        check(zone, "2025-11-02 02:00:00", Ok("2025-11-02 07:00:00"));
    }

    #[test]
    fn half_hours_and_steady_clocks_are_no_special_case() {
        let zone = Tz::Australia__Lord_Howe;
        check(zone, "2025-10-05 02:15:00", Err(ValueFault::DstGap));
        check(zone, "2025-10-05 02:30:00", Ok("2025-10-04 15:30:00"));
        check(zone, "2025-04-06 01:45:00", Ok("2025-04-05 14:45:00"));
        check(Tz::Asia__Shanghai, "2025-03-09 02:30:00", Ok("2025-03-08 18:30:00"));
        check(Tz::Pacific__Apia, "2011-12-30 12:00:00", Err(ValueFault::DstGap));
    }

    #[test]
    fn remembered_days_say_what_the_time_zone_says() {
        for tz in chrono_tz::TZ_VARIANTS {
            let zone = Zone::new(tz);
            // Steps of odd length land on all days of the year at all times of day.
            for local in (seconds("1900-01-01 00:00:00")..seconds("2040-01-01 00:00:00")).step_by(86_400 * 17 + 6_007) {
                assert_eq!(zone.instant(local), zone.look_up(local), "{tz} {local}");
            }
        }
    }
}
