#!/usr/bin/env bash
# Lets Airflow run the DAGs of a project, and asks it what became of each.
set -euo pipefail
opsmart="$1" folder="$2" venv="$3"

export AIRFLOW_HOME="$venv/home" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$venv/dags"
rm -rf "$AIRFLOW_HOME" "$AIRFLOW__CORE__DAGS_FOLDER"

# A program that finds its job locked the first time it is asked.
program="$venv/opsmart once locked"
cat > "$program" <<SCRIPT
#!/bin/sh
locks="\$2/warehouse/locks"
if [ "\$4" = locked ] && [ ! -e "\$locks/job-locked.lock" ]; then
    mkdir -p "\$locks"
    exec flock "\$locks/job-locked.lock" "$opsmart" "\$@"
fi
exec "$opsmart" "\$@"
SCRIPT
chmod +x "$program"
"$opsmart" --quiet -C "$folder" generate airflow --program "$program" --to "$AIRFLOW__CORE__DAGS_FOLDER"
# The test does not wait as long as a scheduler does.
sed -i 's/timedelta(minutes=5)/timedelta(seconds=1)/' "$AIRFLOW__CORE__DAGS_FOLDER/opsmart_dags.py"

airflow() { "$venv/bin/airflow" "$@" >> "$venv/airflow.log" 2>&1; }
: > "$venv/airflow.log"
airflow db migrate
"$venv/bin/airflow" dags list-import-errors 2> /dev/null | grep -q 'No data found' || {
    "$venv/bin/airflow" dags list-import-errors >&2
    exit 1
}
echo 'ok: Airflow imports the DAGs'

# Asserts how the newest task of a DAG ended, on which try, and what its result says.
expect() {
    local dag="$1" state="$2" try="$3" status="$4"
    "$venv/bin/python" - "$AIRFLOW_HOME/airflow.db" "$@" <<'PYTHON' || { tail -n 40 "$venv/airflow.log" >&2; exit 1; }
import json, sqlite3, sys

database, dag, state, tries, status = sys.argv[1:]
tables = sqlite3.connect(database)
task = tables.execute(
    "select state, try_number, run_id from task_instance where dag_id = ? order by start_date desc limit 1", (dag,)
).fetchone()
result = tables.execute(
    "select value from xcom where dag_id = ? and run_id = ? and key = 'return_value'", (dag, task[2])
).fetchone()
report = result and json.loads(result[0])
report = json.loads(report) if isinstance(report, str) else report
found = (task[0], str(task[1]), report["status"] if report else "none")
if found != (state, tries, status):
    sys.exit(f"{dag}: expected {(state, tries, status)}, found {found}")
PYTHON
    echo "ok: $dag: $state on try $try, result: $status"
}

airflow dags test opsmart_every_minute 2026-03-01T00:00:00+00:00
expect opsmart_every_minute success 1 published
airflow dags test opsmart_every_minute 2026-03-02T00:00:00+00:00
expect opsmart_every_minute skipped 1 none
airflow dags test opsmart_locked 2026-03-01T00:00:00+00:00
expect opsmart_locked success 2 published
airflow dags test opsmart_broken 2026-03-01T00:00:00+00:00 || true
expect opsmart_broken failed 1 none
