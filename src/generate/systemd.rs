//! A service and a timer of systemd for each job.

use camino::Utf8Path;

use super::{File, Place, Scheduled, mark, runs};
use crate::project::{Days, Schedule};

/// Names of the days of the week as systemd orders them.
const WEEK: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// How a run is started and ended. What is temporary is tried again, until it ends or is no longer temporary; a stop is
/// given more time than a run takes to end.
const SERVICE: &str = "SuccessExitStatus=99
RestartSec=5min
RestartPreventExitStatus=1 2 3 4 70
TimeoutStopSec=30
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
LockPersonality=yes
";

/// Returns two units for each job. `warehouse` is the one folder that a run may write to, and must be there.
#[must_use]
pub fn systemd(place: &Place<'_>, jobs: &[Scheduled<'_>], user: &str, warehouse: &Utf8Path) -> Vec<File> {
    let units = |job: &Scheduled<'_>| {
        let both = [service(place, job, user, warehouse), timer(place, job)];
        both.into_iter().chain((!job.job.notify.is_empty()).then(|| failed(place, job)))
    };
    jobs.iter().flat_map(units).collect()
}

fn service(place: &Place<'_>, job: &Scheduled<'_>, user: &str, warehouse: &Utf8Path) -> File {
    let name = format!("{}-{}.service", place.prefix, job.name);
    let command = place.command(job.name, &["--exit-on-skip"]);
    let command = command.iter().map(|word| word_of_command(word)).collect::<Vec<_>>().join(" ");
    let told =
        if job.job.notify.is_empty() { String::new() } else { format!("OnFailure={}\n", failed_name(place, job)) };
    // It tries again as long as that is of use, or not at all; it cannot count the tries of one time of the timer.
    let restart = if job.job.retries == Some(0) { "no" } else { "on-failure" };
    let ended = job.seconds().map_or_else(String::new, |seconds| format!("TimeoutStartSec={seconds}\n"));
    let text = format!(
        "{}{told}\n[Service]\nType=oneshot\nUser={user}\nExecStart={command}\nRestart={restart}\n{ended}{SERVICE}ReadWritePaths={}\n",
        head(&name, job),
        quoted(warehouse.as_str())
    );
    File { name, text }
}

fn failed_name(place: &Place<'_>, job: &Scheduled<'_>) -> String {
    format!("{}-{}-failed.service", place.prefix, job.name)
}

/// Returns the unit that tells who has to know, by the mail program of the machine. No word in it needs quotes.
fn failed(place: &Place<'_>, job: &Scheduled<'_>) -> File {
    let name = failed_name(place, job);
    let unit = format!("{}-{}.service", place.prefix, job.name);
    let text = format!(
        "{}\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'systemctl status --full --no-pager --lines=50 {unit} | mail -s \"{unit} failed\" {}'\n",
        head(&name, job),
        job.job.notify.join(" ")
    );
    File { name, text }
}

fn timer(place: &Place<'_>, job: &Scheduled<'_>) -> File {
    let name = format!("{}-{}.timer", place.prefix, job.name);
    let mut text = format!("{}\n[Timer]\n", head(&name, job));
    for times in times(job.schedule) {
        text.push_str(&format!("OnCalendar={times} {}\n", job.job.schedule_zone));
    }
    // What was missed while the machine was off is made up for once.
    text.push_str("Persistent=yes\nAccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n");
    File { name, text }
}

fn head(name: &str, job: &Scheduled<'_>) -> String {
    let description = job.description().replace('%', "%%");
    format!(
        "# {name}\n# {}: change the jobs, not this file.\n# {}\n[Unit]\nDescription={}\n",
        mark("systemd"),
        job.when(),
        // At the end of a line a backslash goes on with the next.
        description.trim_end_matches('\\')
    )
}

/// Returns the times in systemd's notation. It asks for all that a line says, so days of either kind are two lines.
fn times(schedule: &Schedule) -> Vec<String> {
    let two = |values: &[u16], all: usize| numbers(values, all, |value| format!("{value:02}"));
    let months = two(&schedule.months, 12);
    let clock = format!("{}:{}:00", two(&schedule.hours, 24), two(&schedule.minutes, 60));
    let of_month = |days: &[u16]| format!("*-{months}-{} {clock}", two(days, 31));
    let of_week = |days: &[u16]| {
        let mut from_monday: Vec<u16> = days.iter().map(|day| (day + 6) % 7).collect();
        from_monday.sort_unstable();
        format!("{} *-{months}-* {clock}", numbers(&from_monday, 7, |day| WEEK[usize::from(day)].to_owned()))
    };
    match &schedule.days {
        Days::Every => vec![format!("*-{months}-* {clock}")],
        Days::OfMonth(days) => vec![of_month(days)],
        Days::OfWeek(days) => vec![of_week(days)],
        Days::Either(days, week) => vec![of_month(days), of_week(week)],
    }
}

fn numbers(values: &[u16], all: usize, word: impl Fn(u16) -> String) -> String {
    if values.len() == all {
        return "*".to_owned();
    }
    let parts = runs(values).into_iter().map(|(first, last)| match last - first {
        0 => word(first),
        1 => format!("{},{}", word(first), word(last)),
        _ => format!("{}..{}", word(first), word(last)),
    });
    parts.collect::<Vec<_>>().join(",")
}

/// Returns a word of `ExecStart=`, in which systemd also replaces variables.
fn word_of_command(word: &str) -> String {
    quoted(word).replace('$', "$$")
}

/// Returns a word as systemd reads it: it splits at spaces, and takes what follows a `%` for a name of its own.
fn quoted(word: &str) -> String {
    let word = word.replace('%', "%%");
    if word.chars().all(|c| !c.is_whitespace() && !"\"'\\;".contains(c)) {
        return word;
    }
    format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::generate::tests::{ODD, job, schedule};

    fn all(last: u16) -> Vec<u16> {
        (0..=last).collect()
    }

    fn months() -> Vec<u16> {
        (1..=12).collect()
    }

    #[test]
    fn times_are_said_as_systemd_reads_them() {
        let cases = [
            (schedule(&[15], &all(23), &months(), Days::Every), vec!["*-*-* *:15:00"]),
            (schedule(&all(59), &[0, 1, 2, 9, 10], &months(), Days::Every), vec!["*-*-* 00..02,09,10:*:00"]),
            (schedule(&[0], &[6], &months(), Days::OfWeek(vec![1, 2, 3, 4, 5])), vec!["Mon..Fri *-*-* 06:00:00"]),
            // Sunday is the last day of the week there, and a range must not go over its end.
            (schedule(&[0], &[6], &months(), Days::OfWeek(vec![0, 1, 6])), vec!["Mon,Sat,Sun *-*-* 06:00:00"]),
            (schedule(&[0], &[6], &[1, 4, 7, 10], Days::OfMonth(vec![1])), vec!["*-01,04,07,10-01 06:00:00"]),
            (
                schedule(&[0, 30], &[6], &months(), Days::Either(vec![13], vec![5])),
                vec!["*-*-13 06:00,30:00", "Fri *-*-* 06:00,30:00"],
            ),
        ];
        for (schedule, expected) in cases {
            assert_eq!(times(&schedule), expected);
        }
    }

    #[test]
    fn no_word_of_a_project_is_anything_else_to_systemd() {
        let job = job(schedule(&[15], &[6], &months(), Days::Every), Tz::UTC, "50 %\nof\t$it \\");
        let job = Scheduled { name: "tickets", schedule: job.schedule.as_ref().unwrap(), job: &job };
        let files = systemd(&ODD, &[job], "ops", Utf8Path::new("/srv/the %warehouse"));
        let service = &files[0].text;
        assert!(service.contains("\nDescription=50 %% of $it \n"), "{service}");
        let command = "ExecStart=\"/opt/ops mart/bin/opsmart\" --project-dir \
                       \"/srv/50%% {{ \\\"it's\\\" }} $$HOME\" --env prod run tickets --exit-on-skip\n";
        assert!(service.contains(command), "{service}");
        assert!(service.contains("ReadWritePaths=\"/srv/the %%warehouse\"\n"), "{service}");
    }
}
