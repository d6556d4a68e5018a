//! A crontab. cron has one zone for all of its lines, that of its machine.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::{File, Place, Scheduled, fields, mark};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::project::{Days, Schedule};

/// The hours over which two clocks are compared: ten years from the first of January 2026.
const COMPARED: std::ops::Range<i64> = 490_896..578_556;

const MINUTES_A_DAY: i32 = 24 * 60;

/// Returns a crontab for a machine in `machine`.
///
/// # Errors
/// Each schedule that is in a zone whose clocks do not go along with those of the machine, or whose days are others
/// there.
pub fn cron(place: &Place<'_>, jobs: &[Scheduled<'_>], machine: Tz) -> Result<Vec<File>, Diagnostics> {
    let mut text = format!(
        "# {}: change the jobs, not this file.
# cron reads these times in the zone of its machine, taken to be {machine}.
SHELL=/bin/sh
",
        mark("cron")
    );
    let mut refused = Diagnostics::default();
    // Whom cron tells is said for all lines that follow, and cannot be taken back.
    let (told, others): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| !job.job.notify.is_empty());
    for job in others.into_iter().chain(told) {
        match lines(job, machine) {
            Ok(lines) => {
                let seconds = job.seconds().map(|seconds| seconds.to_string());
                let ended: Vec<&str> =
                    seconds.iter().flat_map(|seconds| ["timeout", "--kill-after=30", seconds.as_str()]).collect();
                let command = place.command(job.name, &["--quiet", "--on-locked", "wait=10m"]);
                let command = [ended, command].concat();
                let command = command.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ");
                text.push_str(&format!("\n# {}: {}; {}\n", job.name, job.description(), job.when()));
                if !job.job.notify.is_empty() {
                    text.push_str(&format!("MAILTO={}\n", job.job.notify.join(",")));
                }
                lines.iter().for_each(|times| text.push_str(&format!("{times} {command}\n")));
            }
            Err(mistake) => refused.push(mistake),
        }
    }
    refused.into_result(vec![File { name: format!("{}.crontab", place.prefix), text }])
}

/// Returns the times of a job on the clock of the machine, in as many lines as it takes.
fn lines(job: &Scheduled<'_>, machine: Tz) -> Result<Vec<String>, Diagnostic> {
    let zone = job.job.schedule_zone;
    let at = job.job.file.at(job.schedule.word.bytes.clone());
    let help = format!("let cron run on a machine in {zone} and say `--zone {zone}`, or take another scheduler");
    let Some(ahead) = ahead(zone, machine, is_hourly(job.schedule)) else {
        let message =
            format!("cron in {machine} cannot keep times of {zone}, whose clocks are not always as far apart");
        return Err(Diagnostic::new(Code::Scheduler, at, message).help(help));
    };
    moved(job.schedule, ahead).ok_or_else(|| {
        let message = format!("cron in {machine} cannot keep these days of {zone}: they begin at another time there");
        Diagnostic::new(Code::Scheduler, at, message).help(help)
    })
}

/// Returns by how many minutes the clock of `zone` is ahead of that of `machine`, if it is always as many; whole hours
/// left out where every hour is meant.
fn ahead(zone: Tz, machine: Tz, is_hourly: bool) -> Option<i32> {
    let difference = |hour: i64| {
        let instant = DateTime::from_timestamp(hour * 3600, 0)?.naive_utc();
        let seconds = |zone: Tz| zone.offset_from_utc_datetime(&instant).fix().local_minus_utc();
        let ahead = seconds(zone) - seconds(machine);
        Some(if is_hourly { ahead.rem_euclid(3600) } else { ahead })
    };
    if zone == machine {
        return Some(0);
    }
    let first = difference(COMPARED.start)?;
    COMPARED.into_iter().all(|hour| difference(hour) == Some(first)).then_some(first / 60)
}

/// Returns the fields that mean `schedule` on a clock that is `ahead` minutes behind; nothing if its days cannot be said
/// there.
fn moved(schedule: &Schedule, ahead: i32) -> Option<Vec<String>> {
    // Times of one day may fall on two there.
    let mut hours: BTreeMap<(i32, u16), BTreeSet<u16>> = BTreeMap::new();
    for hour in &schedule.hours {
        for minute in &schedule.minutes {
            let there = i32::from(*hour) * 60 + i32::from(*minute) - ahead;
            let (day, there) = (there.div_euclid(MINUTES_A_DAY), there.rem_euclid(MINUTES_A_DAY));
            let day = if is_daily(schedule) { 0 } else { day };
            let (hour, minute) = (u16::try_from(there / 60).ok()?, u16::try_from(there % 60).ok()?);
            hours.entry((day, minute)).or_default().insert(hour);
        }
    }
    let mut lines: BTreeMap<(i32, BTreeSet<u16>), Vec<u16>> = BTreeMap::new();
    for ((day, minute), hours) in hours {
        lines.entry((day, hours)).or_default().push(minute);
    }
    let line = |((day, hours), minutes): ((i32, BTreeSet<u16>), Vec<u16>)| {
        let days = days_there(schedule, day)?;
        Some(fields(&minutes, &hours.into_iter().collect::<Vec<_>>(), &schedule.months, &days))
    };
    lines.into_iter().map(line).collect()
}

fn is_hourly(schedule: &Schedule) -> bool {
    is_daily(schedule) && schedule.hours.len() == 24
}

fn is_daily(schedule: &Schedule) -> bool {
    schedule.days == Days::Every && schedule.months.len() == 12
}

/// Returns what the days of a schedule are on a clock on which they come `later` days later, where that can be said.
fn days_there(schedule: &Schedule, later: i32) -> Option<Days> {
    match &schedule.days {
        days if later == 0 => Some(days.clone()),
        Days::OfWeek(days) if schedule.months.len() == 12 => {
            let there = |day: &u16| u16::try_from((i32::from(*day) + later).rem_euclid(7)).ok();
            let there: Option<BTreeSet<u16>> = days.iter().map(there).collect();
            Some(Days::OfWeek(there?.into_iter().collect()))
        }
        // The day before the first of a month has no number of its own.
        _ => None,
    }
}

/// Returns a word as a line of cron and its shell read it. cron makes a line end of a `%` and takes a backslash before
/// it away.
fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''")).replace('%', r"\%")
}

#[cfg(test)]
mod tests {
    use chrono::{Days as Later, NaiveDate};
    use croner::parser::CronParser;

    use super::*;
    use crate::generate::tests::{ODD, job, schedule};

    fn months() -> Vec<u16> {
        (1..=12).collect()
    }

    /// Asserts that the lines for a machine in `machine` name the minutes that `schedule` names in `zone`, over a leap year.
    #[track_caller]
    fn means_the_same(schedule: &Schedule, zone: Tz, machine: Tz, lines: &[String]) {
        let read = |text: &str| CronParser::new().parse(text).unwrap();
        let (meant, said) = (read(&schedule.word.text), lines.iter().map(|line| read(line)).collect::<Vec<_>>());
        let start = NaiveDate::from_ymd_opt(2028, 1, 1).unwrap();
        for day in 0..366 {
            let midnight = (start + Later::new(day)).and_time(chrono::NaiveTime::MIN).and_utc();
            for quarter in 0..96 {
                let instant = midnight + chrono::TimeDelta::minutes(quarter * 15);
                let is_meant = meant.is_time_matching(&instant.with_timezone(&zone)).unwrap();
                let there = instant.with_timezone(&machine);
                let is_said = said.iter().any(|line| line.is_time_matching(&there).unwrap());
                assert_eq!(is_meant, is_said, "{instant} of {lines:?}");
            }
        }
    }

    #[test]
    fn times_of_zones_that_keep_their_distance_are_moved() {
        let all: Vec<u16> = (0..24).collect();
        let cases = [
            (schedule(&[15], &all, &months(), Days::Every), Tz::Asia__Shanghai, Tz::UTC, vec!["15 * * * *"]),
            (schedule(&[0], &[6], &months(), Days::Every), Tz::Asia__Shanghai, Tz::UTC, vec!["0 22 * * *"]),
            (
                schedule(&[0], &[7], &months(), Days::OfWeek(vec![2, 3, 4, 5, 6])),
                Tz::Asia__Shanghai,
                Tz::UTC,
                vec!["0 23 * * 1-5"],
            ),
            // One day here is two days there.
            (
                schedule(&[0], &[7, 9], &months(), Days::OfWeek(vec![0])),
                Tz::Asia__Shanghai,
                Tz::UTC,
                vec!["0 23 * * 6", "0 1 * * 0"],
            ),
            (schedule(&[0], &[22], &months(), Days::OfWeek(vec![6])), Tz::UTC, Tz::Asia__Shanghai, vec!["0 6 * * 0"]),
            // Half hours: not every minute is of every hour.
            (
                schedule(&[0, 30], &[8, 9], &[3, 4], Days::Either(vec![1], vec![3])),
                Tz::Asia__Kolkata,
                Tz::UTC,
                vec!["30 2,3 1 3,4 3", "0 3,4 1 3,4 3"],
            ),
            (schedule(&[0], &[12], &[2], Days::OfMonth(vec![29])), Tz::Asia__Shanghai, Tz::UTC, vec!["0 4 29 2 *"]),
            // Clocks that are changed by whole hours keep what is of every hour, and of no others.
            (schedule(&[15], &all, &months(), Days::Every), Tz::UTC, Tz::America__New_York, vec!["15 * * * *"]),
            (schedule(&[15], &all, &months(), Days::Every), Tz::Asia__Kolkata, Tz::Europe__Berlin, vec!["45 * * * *"]),
            // Clocks of both are changed at the same moment.
            (schedule(&[0], &[2], &months(), Days::Every), Tz::Europe__Berlin, Tz::Europe__London, vec!["0 1 * * *"]),
        ];
        for (schedule, zone, machine, expected) in cases {
            let lines = moved(&schedule, ahead(zone, machine, is_hourly(&schedule)).unwrap()).unwrap();
            let (mut found, mut wanted) = (lines.clone(), expected);
            found.sort();
            wanted.sort_unstable();
            assert_eq!(found, wanted);
            means_the_same(&schedule, zone, machine, &lines);
        }
    }

    #[test]
    fn what_a_machine_elsewhere_cannot_keep_is_refused() {
        let refused = |schedule: &Schedule, zone, machine| match ahead(zone, machine, is_hourly(schedule)) {
            None => "clocks",
            Some(ahead) if moved(schedule, ahead).is_none() => "days",
            Some(_) => "nothing",
        };
        let daily = schedule(&[0], &[2], &months(), Days::Every);
        let first = schedule(&[0], &[2], &months(), Days::OfMonth(vec![1]));
        let spring = schedule(&[0], &[2], &[3], Days::Every);
        assert_eq!(refused(&daily, Tz::Europe__Berlin, Tz::UTC), "clocks");
        let hourly = schedule(&[15], &(0..24).collect::<Vec<_>>(), &months(), Days::Every);
        // The clocks of Lord Howe are changed by half an hour.
        assert_eq!(refused(&hourly, Tz::Australia__Lord_Howe, Tz::UTC), "clocks");
        assert_eq!(refused(&daily, Tz::America__New_York, Tz::America__Chicago), "clocks");
        assert_eq!(refused(&daily, Tz::Europe__Berlin, Tz::Europe__Berlin), "nothing");
        assert_eq!(refused(&daily, Tz::Europe__Berlin, Tz::Europe__Paris), "nothing");
        assert_eq!(refused(&first, Tz::Asia__Shanghai, Tz::UTC), "days");
        assert_eq!(refused(&spring, Tz::Asia__Shanghai, Tz::UTC), "days");
    }

    #[test]
    fn no_word_of_a_project_is_anything_else_to_cron() {
        let job = job(schedule(&[15], &[6], &months(), Days::Every), Tz::UTC, "one\n* * * * * rm -rf /");
        let job = Scheduled { name: "tickets", schedule: job.schedule.as_ref().unwrap(), job: &job };
        let text = &cron(&ODD, &[job], Tz::UTC).unwrap()[0].text;
        let last = text.lines().last().unwrap();
        assert_eq!(
            last,
            r#"15 6 * * * timeout --kill-after=30 7200 '/opt/ops mart/bin/opsmart' --project-dir '/srv/50\% {{ "it'\''s" }} $HOME' --env prod run tickets --quiet --on-locked wait=10m"#
        );
        let head = "\n# tickets: one * * * * * rm -rf /; `15 6 * * *` in UTC; owner desk \"data\" 50 %\nMAILTO=desk@example.com,on-call@example.com\n";
        assert!(text.contains(head), "{text}");
    }
}
