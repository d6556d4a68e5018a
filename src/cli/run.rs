//! `opsmart run`: [`prepare_and_run`] loads and compiles the project, takes the locks, and hands over to
//! [`crate::run::run`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use serde::Serialize;

use super::branch::OnBranch;
use super::progress::Progress;
use super::report::check_file;
pub(super) use super::signals::signal;
use super::{COMPILED, Failure, Global, compile_cache, load, open_store, runtime, store_at, summary};
use crate::cli::print::{Printer, document, empty, warn};
use crate::diagnostic::{Code, Diagnostic, SourceFile, did_you_mean};
use crate::engine::Resources;
use crate::landed::Forget;
use crate::plan::{Scope, Workspace, scope, select_all};
use crate::project::{self, Job, Project};
use crate::run::{
    self, DatasetReport, Event, Exit, Measured, Memo, Receiver, Record, RunError, RunProgress, RunReport, Standing,
    Status, Surroundings, metrics, remember_for_program,
};
use crate::store::{Disk, LocalDisk, Lock, LockError, OnLocked, RUN_LINEAGE, Store, StoreError, other_than_a_file};

/// Ingest what has landed, bring tables up to date and publish them
///
/// Ingests what has landed, brings every table up to date that depends on it, checks them, and publishes all of them at
/// once. Without jobs and selectors it does so for the whole project.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) choice: Choice,

    /// Memory for queries, such as 2GB; by default what opsmart.toml says, or 60 % of what the machine allows
    #[arg(long, env = "OPSMART_MEMORY", value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,

    /// Partitions to work on at once; by default one for each core
    #[arg(long, env = "OPSMART_THREADS", value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    /// Models and checks that run side by side; by default as many as cores and memory are enough for
    #[arg(long, env = "OPSMART_AT_ONCE", value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    at_once: Option<u16>,

    /// What to do while another run of the same job is under way: fail, wait=DURATION or skip
    #[arg(long, env = "OPSMART_ON_LOCKED", value_name = "WHAT", default_value = "fail", value_parser = parse_on_locked)]
    on_locked: OnLocked,

    /// End with 99 instead of 0 when there was nothing to do
    #[arg(long, env = "OPSMART_EXIT_ON_SKIP", value_parser = clap::builder::FalseyValueParser::new())]
    exit_on_skip: bool,

    /// End with 4 instead of 0 when a check fails that only warns
    #[arg(long, env = "OPSMART_EXIT_ON_WARN", value_parser = clap::builder::FalseyValueParser::new())]
    exit_on_warn: bool,

    /// File to write numbers about the run to, as the textfile collector of Prometheus' node exporter reads them
    #[arg(long, env = "OPSMART_METRICS", value_name = "FILE")]
    metrics: Option<Utf8PathBuf>,
}

impl RunArgs {
    /// What is run for some datasets: they, and all that reads them.
    pub(super) fn of_datasets(datasets: &[String], clock: &Clock, on: OnBranch) -> Self {
        let select = datasets.iter().map(|dataset| format!("source:{dataset}+")).collect();
        let choice = Choice { jobs: Vec::new(), select, exclude: Vec::new(), clock: clock.clone(), on };
        Self {
            choice,
            memory: None,
            threads: None,
            at_once: None,
            on_locked: OnLocked::Fail,
            exit_on_skip: false,
            exit_on_warn: false,
            metrics: None,
        }
    }
}

/// Which jobs and tables, and for which clock.
#[derive(Debug, Args)]
pub(super) struct Choice {
    /// Jobs to run, by the name of their file
    #[arg(value_name = "JOB")]
    jobs: Vec<String>,

    /// Tables to bring up to date, in dbt's grammar: name, tag:x, path:sql/kpi, +x, x+, a,b
    #[arg(short, long, env = "OPSMART_SELECT", value_name = "SELECTOR", num_args = 1..)]
    select: Vec<String>,

    /// Tables to leave as they are
    #[arg(long, env = "OPSMART_EXCLUDE", value_name = "SELECTOR", num_args = 1..)]
    exclude: Vec<String>,

    #[command(flatten)]
    pub(super) clock: Clock,

    #[command(flatten)]
    pub(super) on: OnBranch,
}

/// Up to when tables are made.
#[derive(Debug, Clone, Args)]
pub(super) struct Clock {
    /// The clock of the run, a date or an instant; by default now, cut to the project's tick
    #[arg(long, env = "OPSMART_AS_OF", value_name = "WHEN")]
    as_of: Option<String>,

    /// Let the clock go back behind the one that the tables are published for, because that was wrong
    #[arg(long, env = "OPSMART_ALLOW_EARLIER", value_parser = clap::builder::FalseyValueParser::new())]
    pub(super) allow_earlier: bool,
}

impl Choice {
    /// Returns what a run of the chosen jobs and selectors is about.
    pub(super) fn scope(&self, workspace: &Workspace) -> Result<Scope, Failure> {
        let jobs = self.jobs.iter().map(|name| job(&workspace.project, name)).collect::<Result<Vec<_>, _>>()?;
        let selected = select_all(workspace, "--select", &self.select)?;
        let excluded = select_all(workspace, "--exclude", &self.exclude)?;
        let scope = scope(workspace, &jobs, &selected, &excluded);
        if scope.ingest.is_empty() && scope.models.is_empty() {
            if workspace.project.sources.is_empty() && workspace.project.models.is_empty() {
                let help = "`opsmart new source NAME --from FILE` reads a contract off a file that landed";
                let message = "the project has neither datasets nor models, so there is nothing to run";
                return Err(Failure::usage(message, Some(help.to_owned())));
            }
            let help = "leave something out of --exclude";
            return Err(Failure::usage("everything that was selected is also excluded", Some(help.to_owned())));
        }
        Ok(scope)
    }

    /// Returns what is asked, so that the answer can be remembered.
    fn memo(&self, root: &Utf8Path, global: &Global) -> Memo {
        let list = |word: &Option<String>| word.iter().cloned().collect::<Vec<_>>();
        Memo::new(root, "run", &[&list(&global.env), &self.jobs, &self.select, &self.exclude, &list(&self.clock.as_of)])
    }

    /// Returns the names of the locks to take: one for each job, so that a job never runs twice at once.
    fn locks(&self, workspace: &Workspace) -> BTreeSet<String> {
        if self.jobs.is_empty() || !self.select.is_empty() {
            let all = workspace.project.jobs.keys().map(|name| format!("job-{name}"));
            return all.chain(["project".to_owned()]).collect();
        }
        self.jobs.iter().map(|name| format!("job-{name}")).collect()
    }
}

impl Clock {
    /// Returns the clock that was asked for.
    pub(super) fn instant(&self, workspace: &Workspace) -> Result<Option<DateTime<Utc>>, Failure> {
        let Some(text) = &self.as_of else { return Ok(None) };
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Ok(Some(instant.with_timezone(&Utc)));
        }
        let midnight = text.parse::<NaiveDate>().ok().map(|day| day.and_time(chrono::NaiveTime::MIN));
        let zone = workspace.project.settings.reporting_zone;
        let start = midnight.and_then(|midnight| midnight.and_local_timezone(zone).earliest());
        let help = "write a date such as 2024-07-01, or an instant such as 2024-07-01T08:00:00Z".to_owned();
        start
            .map(|start| Some(start.with_timezone(&Utc)))
            .ok_or_else(|| Failure::usage(format!("--as-of {text} is not a time"), Some(help)))
    }
}

/// Returns the job that is called `name` on the command line.
pub(super) fn job<'a>(project: &'a Project, name: &str) -> Result<&'a Job, Failure> {
    project.jobs.get(name).ok_or_else(|| {
        let line = SourceFile::new("command line", name);
        let list = match project.jobs.keys().cloned().collect::<Vec<_>>() {
            none if none.is_empty() => "there are no jobs: `opsmart run` runs the whole project".to_owned(),
            jobs => format!("jobs are: {}", jobs.join(", ")),
        };
        let known = project.jobs.keys().map(String::as_str);
        let mistake = Diagnostic::new(Code::UnknownJob, line.at(0..name.len()), format!("job `{name}` does not exist"));
        mistake.help(did_you_mean(name, known).unwrap_or(list)).into()
    })
}

pub(super) fn run(global: &Global, args: &RunArgs, printer: &Printer) -> Result<Exit, Failure> {
    run_or_forget(global, args, None, printer)
}

/// Runs, and forgets or takes back landed files on the way; with such, nothing new is ingested.
pub(super) fn run_or_forget(
    global: &Global,
    args: &RunArgs,
    forget: Option<&Forget>,
    printer: &Printer,
) -> Result<Exit, Failure> {
    if let Some(file) = &args.metrics {
        check_file("--metrics", file, "numbers are one file", "opsmart.prom")?;
    }
    let started = Instant::now();
    let ran = prepare_and_run(global, args, forget, printer);
    if let Some(file) = &args.metrics {
        measure(file, args, started, &ran);
    }
    match ran? {
        RunOutcome::Skipped(exit) | RunOutcome::Ended(exit, ..) => Ok(exit),
    }
}

/// What became of a run.
enum RunOutcome {
    /// Another run held a lock, and this one did nothing.
    Skipped(Exit),
    /// It ended, and told of these datasets; what stands now is known if it came to its end.
    Ended(Exit, Vec<DatasetReport>, Option<Standing>),
}

/// Writes numbers about a run. It is not failed for them.
fn measure(file: &Utf8Path, args: &RunArgs, started: Instant, ran: &Result<RunOutcome, Failure>) {
    let (exit, datasets, standing) = match ran {
        Ok(RunOutcome::Skipped(_)) => return,
        Ok(RunOutcome::Ended(exit, datasets, standing)) => (*exit, datasets.as_slice(), *standing),
        // What a failed run read is not what is published.
        Err(failure) => (failure.exit(), [].as_slice(), None),
    };
    let job = run::chosen(&args.choice.jobs, &args.choice.select);
    let ended_at_ms = Utc::now().timestamp_millis();
    let seconds = started.elapsed().as_secs_f64();
    let measured = Measured { job: &job, exit, ended_at_ms, seconds, datasets, standing };
    if let Some(kind) = other_than_a_file(file) {
        // It was none when the run began.
        warn(&format!("warning: `{file}` is {kind}, and numbers are not put in its place\n"));
        return;
    }
    let before = std::fs::read_to_string(file).unwrap_or_default();
    let whole = camino::absolute_utf8(file).unwrap_or_else(|_| file.to_path_buf());
    if let Err(error) = LocalDisk.replace(&whole, metrics(&before, &measured).as_bytes()) {
        warn(&format!("warning: cannot write `{file}`: {error}\n"));
    }
}

fn prepare_and_run(
    global: &Global,
    args: &RunArgs,
    forget: Option<&Forget>,
    printer: &Printer,
) -> Result<RunOutcome, Failure> {
    let root = project::find_root(&global.project_dir)?;
    let started = Utc::now();
    let id = run_id(started);
    let memo = args.choice.memo(&root, global);
    let remembered = project::warehouse(&root, global.env.as_deref())
        // Whether main has moved on is no part of what is remembered.
        .filter(|_| forget.is_none() && args.choice.on.is_main() && !args.choice.clock.allow_earlier)
        .and_then(|folder| run::recall(&root, &store_at(&folder), &memo, &id));
    if let Some(report) = remembered {
        let exit = tell(args, printer, &report);
        return Ok(RunOutcome::Ended(exit, Vec::new(), Some(Standing::of(&report))));
    }
    let loaded = load(global)?;
    let digest = project::digest(&loaded, global.env.as_deref());
    let cache = compile_cache(&loaded);
    let workspace = Arc::new(Workspace::compile_cached(loaded, &cache)?);
    let mut scope = args.choice.scope(&workspace)?;
    if forget.is_some() {
        scope.clean.append(&mut scope.ingest);
    }
    let as_of = args.choice.clock.instant(&workspace)?;
    let store = args.choice.on.open(&workspace.project);
    let Some(locks) = lock(&store, &args.choice.locks(&workspace), args.on_locked, printer)? else {
        return Ok(RunOutcome::Skipped(if args.exit_on_skip { Exit::NothingNew } else { Exit::Done }));
    };
    // Whoever had the locks may have run for long, and the project that counts is the one that is there now.
    if project::digest(&load(global)?, global.env.as_deref()) != digest {
        drop(locks);
        return prepare_and_run(global, args, forget, printer);
    }
    if cache.has_news() {
        remember_for_program(&open_store(&workspace.project), COMPILED, cache.sound());
    }
    let record = Record {
        store: &store,
        id: &id,
        started,
        jobs: &args.choice.jobs,
        select: &args.choice.select,
        exclude: &args.choice.exclude,
        forget,
        project: &digest,
        workspace: &workspace,
        surroundings: &surroundings(),
    };
    let job = run::RunOptions {
        store: &store,
        scope: &scope,
        as_of,
        allow_earlier: args.choice.clock.allow_earlier,
        resources: resources(args, &workspace, store.spill_folder(&id)),
        id: id.clone(),
        project: digest.clone(),
        memo: (forget.is_none() && args.choice.on.is_main() && !args.choice.clock.allow_earlier).then_some(&memo),
        forget,
        record: Some(&record),
    };
    let runtime = runtime()?;
    let progress = Progress::new(printer);
    let (mut read, mut standing) = (Vec::new(), None);
    let ended = runtime.block_on(async {
        let mut on = |event| {
            progress.event(&event);
            match event {
                // Also when the run starts again, because another one has published first.
                Event::Planned { .. } => read.clear(),
                Event::Read(dataset) => read.push(dataset),
                _ => {}
            }
        };
        tokio::select! {
            // First, so that a signal is waited for before anything else is done.
            biased;
            exit = signal() => RunEnd::Signal(exit),
            outcome = run::run(&workspace, &job, &mut on) => RunEnd::By(Box::new(outcome)),
        }
    });
    drop(progress);
    // Threads that are still writing must not keep the process; what they write is named by nothing.
    runtime.shutdown_timeout(Duration::from_secs(10));
    store.discard_unnamed();
    store.remove_spills(&id);
    let outcome = match ended {
        RunEnd::By(outcome) => match *outcome {
            Ok(report) => {
                standing = Some(Standing::of(&report));
                let exit = tell(args, printer, &report);
                read = if report.status == Status::NothingNew { Vec::new() } else { report.datasets };
                Ok(exit)
            }
            Err(error) => {
                // What was asked for in a wrong way is between us and whoever asked.
                let is_recorded = matches!(error, RunError::Behind(_));
                if error.exit() != Exit::Usage && !is_recorded {
                    record.write("failed", error.exit(), Some(&error), RunProgress::Interrupted(&read));
                    record.write_lineage(error.exit(), Some(&error), RunProgress::Interrupted(&read));
                }
                Err(error)
            }
        },
        RunEnd::Signal(exit) => {
            interrupted(&record, exit, &read, printer);
            Ok(exit)
        }
    };
    // Nobody's run has to wait for a receiver that is slow.
    drop(locks);
    send_lineage(&store, &id);
    match outcome {
        Ok(exit) => Ok(RunOutcome::Ended(exit, if exit.is_good() { read } else { Vec::new() }, standing)),
        Err(error) => Err(Failure::Run { error, read }),
    }
}

/// Tells of a run that was interrupted.
fn interrupted(record: &Record<'_>, exit: Exit, read: &[DatasetReport], printer: &Printer) {
    record.write("interrupted", exit, None, RunProgress::Interrupted(read));
    record.write_lineage(exit, None, RunProgress::Interrupted(read));
    // Whoever ended it may be a scheduler whose patience was over, and not who reads this.
    warn("interrupted, nothing published\n");
    if printer.is_json() {
        document(&serde_json::json!({ "status": "interrupted", "exit": exit as u8 }));
    }
}

/// Sends what the run told of lineage, if it did and if somebody wants to hear of it. A run is not failed for it.
fn send_lineage(store: &Store, run: &str) {
    let file = store.run_file(run, RUN_LINEAGE);
    let Ok(events) = std::fs::read_to_string(&file) else { return };
    let sent = Receiver::read(|name| std::env::var(name).ok()).and_then(|to| to.map_or(Ok(()), |to| to.send(&events)));
    if let Err(error) = sent {
        tracing::warn!(run, error = error.to_string(), "lineage of the run was not sent, and stays in {file}");
    }
}

/// Returns what the queries of a run may use.
fn resources(args: &RunArgs, workspace: &Workspace, spills: Utf8PathBuf) -> Resources {
    let memory = args.memory.or(workspace.project.settings.memory_bytes);
    let mut resources = Resources::of_this_machine(memory, Some(spills));
    resources.threads = args.threads.map_or(resources.threads, usize::from);
    resources.at_once = args.at_once.map(usize::from);
    resources
}

/// Takes the locks of a run; nothing if another run holds one and this one is to be skipped then.
fn lock(
    store: &Store,
    names: &BTreeSet<String>,
    on_locked: OnLocked,
    printer: &Printer,
) -> Result<Option<Vec<Lock>>, Failure> {
    let mut locks = store.lock(names, OnLocked::Fail);
    if let (Err(error @ LockError::Held { .. }), OnLocked::Wait(_)) = (&locks, on_locked) {
        printer.say(&format!("waiting: {error}\n"));
        locks = store.lock(names, on_locked);
    }
    match locks {
        Ok(locks) => Ok(Some(locks)),
        Err(error) => match &error {
            LockError::Held { name, .. } if on_locked == OnLocked::Skip => {
                printer.say(&format!("skipped: {error}\n"));
                if printer.is_json() {
                    document(&serde_json::json!({ "status": "skipped", "held": name }));
                }
                Ok(None)
            }
            _ => Err(StoreError::Lock(error).into()),
        },
    }
}

/// Returns what other programs say of where this run belongs.
fn surroundings() -> Surroundings {
    let variable = |name: &str| std::env::var(name).ok();
    Surroundings::read(variable("OPENLINEAGE_NAMESPACE"), variable("OPENLINEAGE_PARENT_ID").as_deref())
}

enum RunEnd {
    By(Box<Result<RunReport, RunError>>),
    Signal(Exit),
}

/// What stdout tells machines of a run.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a RunReport,
    exit: u8,
}

/// Tells of a run that came to its end, and returns how it ends.
fn tell(args: &RunArgs, printer: &Printer, report: &RunReport) -> Exit {
    if printer.is_quiet() {
        if report.status != Status::NothingNew {
            // Tables were published as if there were no data; whoever hears of nothing else has to hear of this.
            warn(&summary::nothing_landed(report));
            // So were tables put aside that are expected to be current.
            warn(&summary::moved(report));
            for dataset in &report.datasets {
                empty(&dataset.dataset, &dataset.empty_files).iter().for_each(|words| warn(&format!("{words}\n")));
            }
        }
        // What goes on is told each time: nobody looks for it where everything looks healthy.
        warn(&summary::going_on(report));
    }
    printer.say(&summary::text(report));
    let exit = match report.exit() {
        Exit::Done if args.exit_on_warn && !report.all_warnings().is_empty() => Exit::Warned,
        Exit::Done if args.exit_on_skip && report.status == Status::NothingNew => Exit::NothingNew,
        exit => exit,
    };
    if printer.is_json() {
        document(&Document { report, exit: exit as u8 });
    }
    exit
}

/// Returns a name for a run that sorts by time and that no other run has.
fn run_id(started: DateTime<Utc>) -> String {
    let unique = uuid::Uuid::now_v7().simple().to_string();
    format!("{}-{}", started.format("%Y%m%dT%H%M%S%3fZ"), &unique[unique.len() - 6..])
}

pub(super) fn parse_memory(text: &str) -> Result<u64, String> {
    project::parse_size(text).ok_or_else(|| "write a size such as 512MB or 2GB".to_owned())
}

fn parse_on_locked(text: &str) -> Result<OnLocked, String> {
    match text {
        "fail" => Ok(OnLocked::Fail),
        "skip" => Ok(OnLocked::Skip),
        _ => {
            let duration = text.strip_prefix("wait=").and_then(project::parse_duration);
            duration
                .map(OnLocked::Wait)
                .ok_or_else(|| "write fail, skip, or wait= and a duration such as 30s, 10m or 2h".to_owned())
        }
    }
}
