//! A CronJob of Kubernetes for each job.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::{File, Place, Scheduled, mark, quoted, whole};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::project::Project;

/// Where a container has the project.
const PROJECT_IN_CONTAINER: &str = "/project";

/// How long the name of a CronJob may be, so that those of its jobs fit.
const LONGEST_NAME: usize = 52;

/// How a run is tried again: not when another try ends in the same way, and without count when the cluster ended it.
const JOB: &str = "      podFailurePolicy:
        rules:
          - action: FailJob
            onExitCodes:
              containerName: opsmart
              operator: In
              values: [1, 2, 3, 4, 70]
          - action: Ignore
            onPodConditions:
              - type: DisruptionTarget
";

/// How a run is kept apart, and how long it has to end.
const POD: &str = "          restartPolicy: Never
          terminationGracePeriodSeconds: 30
          securityContext:
            runAsNonRoot: true
            seccompProfile:
              type: RuntimeDefault
";

/// What the container may do.
const CONTAINER: &str = "              terminationMessagePolicy: FallbackToLogsOnError
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop: [ALL]
";

/// A folder that comes from a volume.
struct Volume {
    name: String,
    folder: Utf8PathBuf,
    is_read_only: bool,
}

/// Returns one file for each job, in which `image` runs. Project, warehouse and what lands elsewhere come from claims
/// that are called like them.
///
/// # Errors
/// Each job whose name cannot be one in Kubernetes.
pub fn kubernetes(
    place: &Place<'_>,
    project: &Project,
    jobs: &[Scheduled<'_>],
    image: &str,
) -> Result<Vec<File>, Diagnostics> {
    let volumes = volumes(project);
    let mut refused = Diagnostics::default();
    let mut files = Vec::new();
    for job in jobs {
        let name = name_of(&[place.prefix, job.name]);
        if name.len() > LONGEST_NAME || name.ends_with('-') {
            let message = format!("`{name}` cannot be the name of a CronJob");
            let help = format!("names there have {LONGEST_NAME} characters at most, and end with a letter or digit");
            refused.push(Diagnostic::new(Code::Scheduler, job.job.file.whole(), message).help(help));
            continue;
        }
        let text = text(place, job, &name, image, &volumes);
        files.push(File { name: format!("{name}.yaml"), text });
    }
    refused.into_result(files)
}

fn text(place: &Place<'_>, job: &Scheduled<'_>, name: &str, image: &str, volumes: &[Volume]) -> String {
    let inside = Place { root: PROJECT_IN_CONTAINER, ..*place };
    let command = inside.command(job.name, &["--quiet", "--output", "json", "--log-format", "json"]);
    let list = |words: &[&str]| {
        let mut text = String::new();
        words.iter().for_each(|word| text.push_str(&format!("                - {}\n", quoted(word))));
        text
    };
    let (program, arguments) = command.split_at(1);
    let mut text = format!(
        "---
# {name}.yaml
# {}: change the jobs, not this file.
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
  labels:
    app.kubernetes.io/name: opsmart
    app.kubernetes.io/instance: {name}
  annotations:
    description: {}
{}spec:
  schedule: {}
  timeZone: {}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 3600
  jobTemplate:
    spec:
      backoffLimit: {}
{JOB}      template:
        metadata:
          labels:
            app.kubernetes.io/name: opsmart
            app.kubernetes.io/instance: {name}
        spec:
{POD}{}          containers:
            - name: opsmart
              image: {}
              command:
{}              args:
{}{CONTAINER}              volumeMounts:
",
        mark("kubernetes"),
        quoted(&job.description()),
        annotations(job),
        quoted(&job.fields()),
        quoted(job.job.schedule_zone.name()),
        job.job.retries.unwrap_or(5),
        job.seconds().map_or_else(String::new, |seconds| format!("          activeDeadlineSeconds: {seconds}\n")),
        quoted(image),
        list(program),
        list(arguments),
    );
    for Volume { name, folder, is_read_only } in volumes {
        let read_only = if *is_read_only { "                  readOnly: true\n" } else { "" };
        text.push_str(&format!(
            "                - name: {name}\n                  mountPath: {}\n{read_only}",
            quoted(folder.as_str())
        ));
    }
    text.push_str("          volumes:\n");
    for Volume { name, .. } in volumes {
        let claim = name_of(&[place.prefix, name]);
        text.push_str(&format!(
            "            - name: {name}\n              persistentVolumeClaim:\n                claimName: {claim}\n"
        ));
    }
    text
}

/// Returns whose a job is and who has to know when it fails, for those who watch the cluster.
fn annotations(job: &Scheduled<'_>) -> String {
    let owner = job.job.owner.iter().map(|owner| format!("    owner: {}\n", quoted(owner)));
    let notify = (!job.job.notify.is_empty()).then(|| format!("    notify: {}\n", quoted(&job.job.notify.join(", "))));
    owner.chain(notify).collect()
}

/// Returns the folders of a container that are not its image's: the project, the warehouse, and those outside the
/// project that files land in.
fn volumes(project: &Project) -> Vec<Volume> {
    let root = Utf8Path::new(PROJECT_IN_CONTAINER);
    let mut landing: BTreeMap<Utf8PathBuf, String> = BTreeMap::new();
    for source in project.sources.values() {
        let folder = source.from.folder();
        if !folder.is_absolute() {
            continue;
        }
        let named = project.settings.paths.iter().find(|(_, path)| folder.starts_with(path));
        let (folder, name) = match named {
            Some((name, path)) => (Utf8Path::new(path), name_of(&["landing", name])),
            None => (folder, name_of(&["dataset", &source.name])),
        };
        landing.entry(whole(root, folder)).or_insert(name);
    }
    let folders: Vec<Utf8PathBuf> = landing.keys().cloned().collect();
    let is_inside_another =
        |folder: &Utf8PathBuf| folders.iter().any(|other| other != folder && folder.starts_with(other));
    let volume = |name: &str, folder: Utf8PathBuf, is_read_only| Volume { name: name.to_owned(), folder, is_read_only };
    let mut volumes = vec![
        volume("project", root.to_path_buf(), true),
        volume("warehouse", whole(root, &project.settings.warehouse), false),
    ];
    let outside = landing.into_iter().filter(|(folder, _)| !is_inside_another(folder));
    volumes.extend(outside.map(|(folder, name)| volume(&name, folder, true)));
    volumes
}

/// Returns a name as Kubernetes has them.
fn name_of(parts: &[&str]) -> String {
    parts.join("-").replace('_', "-")
}
