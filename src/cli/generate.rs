//! `opsmart generate`.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use chrono_tz::Tz;
use clap::{Args, Subcommand};

use super::report::write;
use super::run::job;
use super::summary::counted;
use super::{Failure, Global, load};
use crate::cli::print::{Printer, data, document};
use crate::generate::{File, Place, Scheduled, airflow, cron, is_ours, kubernetes, systemd, whole};
use crate::project::{NAME_RULE, Project, is_name};
use crate::run::Exit;
use crate::store::other_than_a_file;

/// Write what a scheduler needs to run the jobs
///
/// Tells Airflow, cron, systemd or Kubernetes when to run which job, and what each exit code means to it. Jobs without a
/// schedule are left out.
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    #[command(subcommand)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Target {
    /// Write a file of DAGs for Airflow 3, which 2.11 reads as well
    Airflow {
        #[command(flatten)]
        what: What,
    },
    /// Write a crontab for the user that runs the jobs
    Cron {
        #[command(flatten)]
        what: What,

        /// Zone of the machine that cron runs on
        #[arg(long, env = "OPSMART_ZONE", value_name = "ZONE", default_value = "UTC", value_parser = parse_zone)]
        zone: Tz,
    },
    /// Write a service and a timer of systemd for each job
    Systemd {
        #[command(flatten)]
        what: What,

        /// User that runs the jobs; the warehouse must be a folder of theirs
        #[arg(long, env = "OPSMART_USER", value_name = "USER", default_value = "opsmart", value_parser = parse_user)]
        user: String,
    },
    /// Write a CronJob of Kubernetes for each job
    Kubernetes {
        #[command(flatten)]
        what: What,

        /// Image of a container that has opsmart
        #[arg(long, env = "OPSMART_IMAGE", value_name = "IMAGE")]
        image: String,
    },
}

/// What every kind of scheduler is told.
#[derive(Debug, Args)]
struct What {
    /// Jobs to write; by default all that have a schedule
    #[arg(long = "job", env = "OPSMART_JOB", value_name = "JOB", num_args = 1..)]
    jobs: Vec<String>,

    /// Folder to write to; without it the text goes to stdout
    #[arg(long, env = "OPSMART_GENERATE_TO", value_name = "DIR")]
    to: Option<Utf8PathBuf>,

    /// Path of opsmart where the jobs run; by default of the one that writes this, in a container `opsmart`
    #[arg(long, env = "OPSMART_PROGRAM", value_name = "PATH")]
    program: Option<String>,

    /// What the names of DAGs, units and CronJobs begin with
    #[arg(long, env = "OPSMART_PREFIX", value_name = "NAME", default_value = "opsmart", value_parser = parse_prefix)]
    prefix: String,
}

impl Target {
    fn name(&self) -> &'static str {
        match self {
            Self::Airflow { .. } => "airflow",
            Self::Cron { .. } => "cron",
            Self::Systemd { .. } => "systemd",
            Self::Kubernetes { .. } => "kubernetes",
        }
    }

    fn what(&self) -> &What {
        match self {
            Self::Airflow { what }
            | Self::Cron { what, .. }
            | Self::Systemd { what, .. }
            | Self::Kubernetes { what, .. } => what,
        }
    }

    /// Returns the program as it is named where the jobs run.
    fn program(&self) -> Result<String, Failure> {
        if let Some(program) = &self.what().program {
            return Ok(program.clone());
        }
        if matches!(self, Self::Kubernetes { .. }) {
            return Ok("opsmart".to_owned());
        }
        let this = std::env::current_exe().ok().and_then(|path| path.to_str().map(str::to_owned));
        this.ok_or_else(|| {
            Failure::usage("it is not known where opsmart lies", Some("name it with --program".to_owned()))
        })
    }

    fn generate(&self, project: &Project, place: &Place<'_>, jobs: &[Scheduled<'_>]) -> Result<Vec<File>, Failure> {
        Ok(match self {
            Self::Airflow { .. } => airflow(place, jobs),
            Self::Cron { zone, .. } => cron(place, jobs, *zone)?,
            Self::Systemd { user, .. } => {
                let warehouse = whole(Utf8Path::new(place.root), &project.settings.warehouse);
                systemd(place, jobs, user, &warehouse)
            }
            Self::Kubernetes { image, .. } => kubernetes(place, project, jobs, image)?,
        })
    }
}

pub(super) fn generate(global: &Global, args: &GenerateArgs, printer: &Printer) -> Result<Exit, Failure> {
    let target = &args.target;
    let what = target.what();
    let project = load(global)?;
    let (jobs, left_out) = scheduled(&project, &what.jobs)?;
    if !left_out.is_empty() {
        printer.say(&format!("left out, without a `schedule`: {}\n", left_out.join(", ")));
    }
    if jobs.is_empty() {
        let help = "write `schedule = \"15 * * * *\"` into a file of `jobs/`; `opsmart new job` writes one";
        return Err(Failure::usage("no job has a schedule", Some(help.to_owned())));
    }
    let program = target.program()?;
    let root = root(global, &project);
    let place = Place { program: &program, root: root.as_str(), env: global.env.as_deref(), prefix: &what.prefix };
    refuse_unspeakable(target, &place)?;
    let files = target.generate(&project, &place, &jobs)?;
    let Some(folder) = &what.to else {
        if printer.is_json() {
            let texts = files.iter().map(|file| serde_json::json!({ "name": file.name, "text": file.text }));
            let texts: Vec<_> = texts.collect();
            document(&serde_json::json!({ "status": "generated", "files": texts, "left_out": left_out }));
        } else {
            data(files.iter().map(|file| file.text.as_str()).collect::<Vec<_>>().join("\n").as_bytes());
        }
        return Ok(Exit::Done);
    };
    let paths = put(folder, &files, target.name())?;
    printer.say(&format!("Wrote {}:\n", counted(paths.len(), "file")));
    paths.iter().for_each(|path| printer.say(&format!("  {path}\n")));
    if printer.is_json() {
        document(&serde_json::json!({ "status": "written", "files": paths, "left_out": left_out }));
    }
    Ok(Exit::Done)
}

/// Returns the jobs that have a schedule, and the names of those that have none.
fn scheduled<'a>(project: &'a Project, chosen: &[String]) -> Result<(Vec<Scheduled<'a>>, Vec<&'a str>), Failure> {
    chosen.iter().try_for_each(|name| job(project, name).map(|_| ()))?;
    let is_chosen = |name: &String| chosen.is_empty() || chosen.contains(name);
    let (mut scheduled, mut left_out) = (Vec::new(), Vec::new());
    for (name, job) in project.jobs.iter().filter(|(name, _)| is_chosen(name)) {
        match &job.schedule {
            Some(schedule) => scheduled.push(Scheduled { name, job, schedule }),
            None => left_out.push(name.as_str()),
        }
    }
    Ok((scheduled, left_out))
}

/// Returns the project's folder as it was named: a link that leads to it may lead elsewhere tomorrow.
fn root(global: &Global, project: &Project) -> Utf8PathBuf {
    let named = camino::absolute_utf8(&global.project_dir).ok();
    let is_plain = |path: &Utf8PathBuf| path.components().all(|part| part != Utf8Component::ParentDir);
    named
        .filter(|path| is_plain(path) && path.canonicalize_utf8().is_ok_and(|folder| folder == project.root))
        .unwrap_or_else(|| project.root.clone())
}

/// Refuses words that one scheduler or another reads as something else, however they are quoted.
fn refuse_unspeakable(target: &Target, place: &Place<'_>) -> Result<(), Failure> {
    let mut words = vec![("the program", place.program), ("the project's folder", place.root)];
    words.extend(place.env.map(|env| ("the environment", env)));
    if let Target::Kubernetes { image, .. } = target {
        words.push(("the image", image));
    }
    let is_unspeakable = |text: &str| text.is_empty() || text.contains(|c: char| c.is_control() || c == '\\');
    match words.into_iter().find(|(_, text)| is_unspeakable(text)) {
        Some((what, text)) => {
            let message = format!("{what} `{}` cannot be told to a scheduler", text.escape_debug());
            Err(Failure::usage(message, Some("use one without line ends, backslashes and the like".to_owned())))
        }
        None => Ok(()),
    }
}

/// Writes the files into a folder, but not over what others wrote; returns their paths.
fn put(folder: &Utf8Path, files: &[File], target: &str) -> Result<Vec<Utf8PathBuf>, Failure> {
    let paths: Vec<Utf8PathBuf> = files.iter().map(|file| folder.join(&file.name)).collect();
    let is_of_others = |path: &&Utf8PathBuf| {
        let is_ours = || std::fs::read_to_string(path).is_ok_and(|text| is_ours(&text, target));
        path.symlink_metadata().is_ok() && (other_than_a_file(path).is_some() || !is_ours())
    };
    if let Some(path) = paths.iter().find(is_of_others) {
        let message = format!("`{path}` is there, and `opsmart generate {target}` did not write it");
        let help = "move it away, or choose another folder or --prefix";
        return Err(Failure::usage(message, Some(help.to_owned())));
    }
    for (path, file) in paths.iter().zip(files) {
        write(path, file.text.as_bytes())?;
    }
    Ok(paths)
}

fn parse_zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "write an IANA name such as `UTC` or `Asia/Shanghai`".to_owned())
}

fn parse_user(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    is_plain
        .then(|| text.to_owned())
        .ok_or_else(|| "names of users are of letters, digits, `_`, `-` and `.`".to_owned())
}

fn parse_prefix(text: &str) -> Result<String, String> {
    is_name(text).then(|| text.to_owned()).ok_or_else(|| NAME_RULE.to_owned())
}
