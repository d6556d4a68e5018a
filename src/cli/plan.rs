//! `opsmart plan`.

use std::collections::BTreeMap;

use clap::Args;

use super::run::Choice;
use super::summary::counted;
use super::{Failure, Global, compile, load, runtime};
use crate::cli::print::{Printer, answer, document};
use crate::engine::Resources;
use crate::ingest::{Drift, Drifts, drifts, quoted};
use crate::landed::{Build, DatasetStep, FileReason, FileStep};
use crate::plan::{ModelStep, Plan, Workspace};
use crate::project::{self, DayReach, Layer, PartitionBy};
use crate::run::{Exit, RunOptions, plan_run};

/// How many names a line has room for.
const MOST_NAMES: usize = 20;

/// Show what a run would do, and why
///
/// Looks at what is published and what has landed, and prints what a run would do and what it need not, each with its
/// reason. Looks at the beginning of new files too, and says what in them is not as their contract says. Nothing is read
/// into the warehouse and nothing is written.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    choice: Choice,
}

pub(super) fn plan(global: &Global, args: &PlanArgs, printer: &Printer) -> Result<Exit, Failure> {
    let loaded = load(global)?;
    let project = project::digest(&loaded, global.env.as_deref());
    let workspace = compile(loaded)?;
    let scope = args.choice.scope(&workspace)?;
    let as_of = args.choice.clock.instant(&workspace)?;
    let store = args.choice.on.open(&workspace.project);
    let resources = Resources::of_this_machine(workspace.project.settings.memory_bytes, None);
    let job = RunOptions {
        store: &store,
        scope: &scope,
        as_of,
        allow_earlier: args.choice.clock.allow_earlier,
        resources,
        id: String::new(),
        project,
        memo: None,
        forget: None,
        record: None,
    };
    let plan = plan_run(&workspace, &job)?;
    let drifts = all_drifts(&workspace, &plan)?;
    if printer.is_json() {
        document(&as_json(&plan, &drifts));
    } else {
        answer(&text(&plan, &drifts));
    }
    Ok(Exit::Done)
}

/// What in the files of each dataset is not as its contract says.
type AllDrifts<'a> = BTreeMap<&'a str, Drifts<'a>>;

/// Looks at the beginning of the files that a run would read.
fn all_drifts<'a>(workspace: &Workspace, plan: &'a Plan) -> Result<AllDrifts<'a>, Failure> {
    let steps: Vec<_> = plan.datasets.iter().filter(|step| !step.files.is_empty()).collect();
    if steps.is_empty() {
        return Ok(AllDrifts::new());
    }
    let (project, runtime) = (&workspace.project, runtime()?);
    let look = |step: &'a DatasetStep| {
        let contract = project.sources.get(&step.name)?;
        let found = runtime.block_on(drifts(&project.root, contract, &project.settings.limits, step));
        Some((step.name.as_str(), found))
    };
    Ok(steps.into_iter().filter_map(look).collect())
}

/// Lists what in the files is not as their contracts say; files of which the same is to be told share a line.
fn drift_lines(drifts: &AllDrifts<'_>) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (dataset, Drifts { files, not_looked_at }) in drifts {
        let mut told: Vec<(String, Vec<&str>)> = Vec::new();
        for (path, drift) in files {
            for words in drift_words(drift) {
                match told.iter_mut().find(|(known, _)| *known == words) {
                    Some((_, paths)) => paths.push(path),
                    None => told.push((words, vec![path])),
                }
            }
        }
        lines.extend(told.into_iter().map(|(words, paths)| {
            let more = if paths.len() > 1 { format!(" and {} more", paths.len() - 1) } else { String::new() };
            ((*dataset).to_owned(), format!("{}{more}: {words}", paths[0]))
        }));
        if *not_looked_at > 0 {
            lines.push(((*dataset).to_owned(), format!("{} not looked at", counted(*not_looked_at, "more file"))));
        }
    }
    lines
}

fn drift_words(drift: &Drift) -> Vec<String> {
    let Drift { problem, unknown, missing, misfits } = drift;
    let mut words: Vec<String> = problem.iter().map(|problem| format!("cannot be ingested: {problem}")).collect();
    if !unknown.is_empty() {
        words.push(format!("the contract does not know {}", names(unknown)));
    }
    if !missing.is_empty() {
        words.push(format!("has no {}, which the contract can do without", names(missing)));
    }
    words.extend(misfits.iter().cloned());
    words
}

fn names(names: &[String]) -> String {
    let mut shown: Vec<String> = names.iter().take(MOST_NAMES).map(|name| quoted(name.as_bytes())).collect();
    if names.len() > MOST_NAMES {
        shown.push(format!("{} more", names.len() - MOST_NAMES));
    }
    shown.join(", ")
}

fn text(plan: &Plan, drifts: &AllDrifts<'_>) -> String {
    if plan.is_idle() {
        let (datasets, models) = (counted(plan.datasets.len(), "dataset"), counted(plan.models.len(), "table"));
        let told = nothing_landed(plan) + &forgotten(plan) + &left(plan);
        return format!("nothing to do: {datasets} and {models} are as they should be\n{told}");
    }
    let mut text = String::new();
    let mut section = |title: &str, lines: Vec<(String, String)>| {
        if lines.is_empty() {
            return;
        }
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        text.push_str(&format!("{title}\n"));
        lines.iter().for_each(|(name, why)| text.push_str(&format!("  {name:width$}  {why}\n")));
        text.push('\n');
    };
    section("Datasets", plan.datasets.iter().map(|step| (step.name.clone(), dataset_words(step))).collect());
    section("Not as the contract says", drift_lines(drifts));
    let words = |steps: Vec<&ModelStep>, must: &str| -> Vec<(String, String)> {
        steps.iter().map(|step| (step.name.clone(), need_words(&step.build, must) + &partition_words(step))).collect()
    };
    let is_query = |step: &&ModelStep| Layer::Checks.prefixes().iter().any(|prefix| step.name.starts_with(prefix));
    let (checks, contracts) = plan.checks.iter().partition(is_query);
    let dropped =
        plan.dropped.iter().map(|name| (name.clone(), "published no more: the project does not have it".to_owned()));
    let forgotten = plan.forgotten.iter().map(|name| (name.clone(), "no longer run".to_owned()));
    section("Dropped", dropped.chain(forgotten).collect());
    section("Tables", words(plan.models.iter().collect(), "build"));
    section("Contracts", words(contracts, "run"));
    section("Checks", words(checks, "run"));
    let count = |wanted: fn(&Build) -> bool| plan.models.iter().filter(|step| wanted(&step.build)).count();
    let (must, may) =
        (count(|need| matches!(need, Build::Required(_))), count(|need| matches!(need, Build::IfChanged(_))));
    let files: usize = plan.datasets.iter().map(|step| step.files.len()).sum();
    text.push_str(&format!(
        "{} to read; {} of {} to build\n",
        counted(files, "file"),
        if may == 0 { must.to_string() } else { format!("{must} to {}", must + may) },
        counted(plan.models.len(), "table")
    ));
    text
}

/// Says what of a table with partitions is made when some input changes.
fn partition_words(step: &ModelStep) -> String {
    let (Build::IfChanged(inputs), Some(partitioned)) = (&step.build, &step.partitioned) else { return String::new() };
    let part = match (&partitioned.by, partitioned.reach) {
        (PartitionBy::Bucket { .. }, _) => "the buckets",
        (PartitionBy::Day { .. }, Some(DayReach::Week(_))) => "the weeks",
        (PartitionBy::Day { .. }, Some(DayReach::Month)) => "the months",
        (PartitionBy::Day { .. }, _) => "the days",
    };
    let whole: Vec<String> =
        inputs.iter().filter_map(|input| Some(format!("`{input}`: {}", partitioned.whole.get(input)?))).collect();
    if whole.is_empty() {
        format!("; {part} that change there")
    } else {
        format!("; as a whole for {}", whole.join(", "))
    }
}

/// Says which datasets have no files at all: a run is content with that, a person rarely is.
fn nothing_landed(plan: &Plan) -> String {
    let line =
        |step: &DatasetStep| Some(format!("  {}: no file has landed as `{}`\n", step.name, step.nothing_at.as_ref()?));
    plan.datasets.iter().filter_map(line).collect()
}

/// Says how many files do not count, though they landed.
fn forgotten(plan: &Plan) -> String {
    let line = |step: &DatasetStep| Some(format!("  {}: {}\n", step.name, forgotten_words(step)?));
    plan.datasets.iter().filter_map(line).collect()
}

fn forgotten_words(step: &DatasetStep) -> Option<String> {
    match step.forgotten_files {
        0 => None,
        1 => Some("1 file is forgotten".to_owned()),
        n => Some(format!("{n} files are forgotten")),
    }
}

/// Says which files a run would leave for a later one.
fn left(plan: &Plan) -> String {
    let line = |step: &DatasetStep| Some(format!("  {}: {}\n", step.name, left_words(step)?));
    plan.datasets.iter().filter_map(line).collect()
}

fn left_words(step: &DatasetStep) -> Option<String> {
    let first = step.left.first()?;
    let others = match step.left.len() {
        1 => String::new(),
        n => format!(" and {}", counted(n - 1, "other file")),
    };
    Some(format!("leave {}{others} for a later run ({})", first.path, first.why))
}

fn dataset_words(step: &DatasetStep) -> String {
    let known = match step.known_files {
        0 => String::new(),
        1 => ", 1 file is known".to_owned(),
        n => format!(", {n} files are known"),
    };
    if let Some(pattern) = &step.nothing_at {
        return format!("no file has landed as `{pattern}`");
    }
    let forgotten = forgotten_words(step).map(|words| format!(", {words}")).unwrap_or_default();
    let known = known + &forgotten + &left_words(step).map(|words| format!("; {words}")).unwrap_or_default();
    if step.files.is_empty() {
        return match &step.build {
            Build::Skip => format!("up to date{known}"),
            need => format!("{}{known}", need_words(need, "clean")),
        };
    }
    let of = |why: FileReason| step.files.iter().filter(|file| file.why == why).count();
    let parts = [
        (FileReason::New, "new"),
        (FileReason::Changed, "changed"),
        (FileReason::Racy, "too young to tell"),
        (FileReason::Contract, "under a changed contract"),
        (FileReason::Returned, "that may count again"),
    ];
    let told: Vec<String> =
        parts.into_iter().filter(|(why, _)| of(*why) > 0).map(|(why, words)| format!("{} {words}", of(why))).collect();
    format!("read {}{known}", told.join(", "))
}

fn need_words(need: &Build, must: &str) -> String {
    match need {
        Build::Skip => "up to date".to_owned(),
        Build::IfChanged(inputs) => {
            format!("{must} if {} change{}", list(inputs), if inputs.len() == 1 { "s" } else { "" })
        }
        Build::Required(why) => format!("{must}: {why}"),
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "its files".to_owned(),
        [one] => one.clone(),
        [first, second] => format!("{first} or {second}"),
        [first, second, rest @ ..] => format!("{first}, {second} or {} more", rest.len()),
    }
}

fn as_json(plan: &Plan, drifts: &AllDrifts<'_>) -> serde_json::Value {
    let need = |need: &Build| match need {
        Build::Skip => serde_json::json!({ "need": "no" }),
        Build::IfChanged(inputs) => serde_json::json!({ "need": "may", "if_changed": inputs }),
        Build::Required(why) => serde_json::json!({ "need": "must", "because": why.to_string() }),
    };
    let step = |name: &str, of: &Build| {
        let mut value = need(of);
        value["name"] = name.into();
        value
    };
    let datasets = plan.datasets.iter().map(|dataset| {
        let mut value = step(&dataset.name, &dataset.build);
        value["known_files"] = dataset.known_files.into();
        value["forgotten_files"] = dataset.forgotten_files.into();
        if let Some(pattern) = &dataset.nothing_at {
            value["nothing_landed"] = pattern.as_str().into();
        }
        let read = |file: &FileStep| serde_json::json!({ "path": file.listed.path, "because": file.why.as_str() });
        value["read"] = dataset.files.iter().map(read).collect();
        let found = drifts.get(dataset.name.as_str());
        let drift = found.iter().flat_map(|found| &found.files).map(|(path, drift)| {
            serde_json::json!({
                "path": path, "problem": drift.problem, "unknown_columns": drift.unknown,
                "missing_columns": drift.missing, "misfits": drift.misfits,
            })
        });
        value["drift"] = drift.collect();
        value["not_looked_at"] = found.map_or(0, |found| found.not_looked_at).into();
        let left = dataset.left.iter().map(|file| {
            serde_json::json!({ "path": file.path, "because": file.why.as_str(), "message": file.why.to_string() })
        });
        value["left"] = left.collect();
        value
    });
    let model = |model: &ModelStep| {
        let mut value = step(&model.name, &model.build);
        if let Some(partitioned) = &model.partitioned {
            value["partition"] = serde_json::json!({
                "by": partitioned.by, "by_partition": partitioned.aligned, "as_a_whole": partitioned.whole,
            });
        }
        value
    };
    serde_json::json!({
        "as_of": crate::instant::text(&plan.as_of),
        "idle": plan.is_idle(),
        "datasets": datasets.collect::<Vec<_>>(),
        "models": plan.models.iter().map(model).collect::<Vec<_>>(),
        "dropped": plan.dropped,
        "forgotten": plan.forgotten,
        "checks": plan.checks.iter().map(|check| step(&check.name, &check.build)).collect::<Vec<_>>(),
    })
}
