//! A file of DAGs for Airflow 3, which Airflow 2.11 reads as well.

use super::{File, Place, Scheduled, mark, quoted};

/// How a task is run: without a shell, and without a template. What Airflow would interpolate into a command could be
/// taken for part of it, and a shell would keep SIGTERM for itself.
///
/// An exit code says whether another try may end otherwise. The last line of output is the report as JSON.
const OPERATOR: &str = r#"
import json
from datetime import datetime, timedelta, timezone
from functools import cached_property

try:
    from airflow.providers.standard.hooks.subprocess import SubprocessHook
    from airflow.sdk import DAG, BaseOperator, CronDataIntervalTimetable
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
except ImportError:  # Airflow 2.11
    from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
    from airflow.hooks.subprocess import SubprocessHook
    from airflow.models.baseoperator import BaseOperator
    from airflow.models.dag import DAG
    from airflow.timetables.interval import CronDataIntervalTimetable

# What ended so may end otherwise on the next try: temporary, or ended by a signal.
TRY_AGAIN = {75, 130, 137, 143, -2, -9, -15}
SKIPPED = 99
# What was built waits for `opsmart release`: somebody has to look at it, and no try changes that.
HELD = 3


class OpsmartRun(BaseOperator):
    """Runs one job; the report of the run is its result."""

    def __init__(self, *, job, **settings):
        super().__init__(**settings)
        self.job = job

    @cached_property
    def process(self):
        return SubprocessHook()

    def execute(self, context):
        # No shell reads this, and nothing in it is a template.
        ended = self.process.run_command(command=[*COMMAND, self.job, "--output", "json", "--exit-on-skip"])
        if ended.exit_code == 0:
            return json.loads(ended.output)
        if ended.exit_code == SKIPPED:
            raise AirflowSkipException("nothing new")
        said = f"opsmart ended with {ended.exit_code}: {ended.output}"
        if ended.exit_code == HELD:
            raise AirflowFailException(f"built, and held: readers stay on the tables of before; {said}")
        if ended.exit_code in TRY_AGAIN:
            raise AirflowException(said)
        raise AirflowFailException(said)

    def on_kill(self):
        self.process.send_sigterm()
"#;

/// What all DAGs have in common. Times of before today are of no use to a job that takes in whatever has landed.
const DAG: &str = "    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=[\"opsmart\"],
";

/// Returns one file with a DAG for each job.
#[must_use]
pub fn airflow(place: &Place<'_>, jobs: &[Scheduled<'_>]) -> Vec<File> {
    let mut text = format!(
        "\"\"\"The jobs of a project of opsmart, a DAG for each.\n\n{}: change the jobs, not this file.\n\"\"\"\n{OPERATOR}\n\nCOMMAND = [\n",
        mark("airflow")
    );
    for word in place.run() {
        text.push_str(&format!("    {},\n", quoted(word)));
    }
    text.push_str("]\n");
    for job in jobs {
        // A plain text of cron would give runs an interval of no length, and others than ours would read it.
        text.push_str(&format!(
            "\nwith DAG(\n    dag_id={},\n    description={},\n    schedule=CronDataIntervalTimetable({}, timezone={}),\n    \
             default_args={{{}}},\n{DAG}):\n    OpsmartRun(task_id=\"run\", job={})\n",
            quoted(&format!("{}_{}", place.prefix, job.name)),
            quoted(&job.description()),
            quoted(&job.fields()),
            quoted(job.job.schedule_zone.name()),
            arguments(job),
            quoted(job.name),
        ));
    }
    vec![File { name: format!("{}_dags.py", place.prefix), text }]
}

/// Returns what the task of a job is given: whose it is, how often it is tried, how long it may take, whom to tell.
fn arguments(job: &Scheduled<'_>) -> String {
    let mut arguments = Vec::new();
    arguments.extend(job.job.owner.iter().map(|owner| format!("\"owner\": {}", quoted(owner))));
    arguments.push(format!("\"retries\": {}", job.job.retries.unwrap_or(3)));
    arguments.push("\"retry_delay\": timedelta(minutes=5)".to_owned());
    arguments.extend(job.seconds().map(|seconds| format!("\"execution_timeout\": timedelta(seconds={seconds})")));
    if !job.job.notify.is_empty() {
        let addresses: Vec<String> = job.job.notify.iter().map(|address| quoted(address)).collect();
        arguments.push(format!("\"email\": [{}]", addresses.join(", ")));
        arguments.push("\"email_on_failure\": True, \"email_on_retry\": False".to_owned());
    }
    arguments.join(", ")
}
