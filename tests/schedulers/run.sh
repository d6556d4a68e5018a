#!/usr/bin/env bash
# Tries what `opsmart generate` and runs write with the real programs: Airflow, cron, systemd, promtool, the schemas of
# Kubernetes and the client of OpenLineage. Each part says what it skips where a program cannot be had. Packages of Python
# and of Debian go into the build folder.
set -euo pipefail
cd "$(dirname "$0")/../.."

target="$(mkdir -p "${CARGO_TARGET_DIR:-target}/schedulers" && cd "${CARGO_TARGET_DIR:-target}/schedulers" && pwd)"
here="$PWD/tests/schedulers"
failed=0

skip() { echo "skipped: $1"; }
fail() { echo "failed: $1" >&2; failed=1; }

# An environment of Python with the packages of a list, made once.
environment() {
    local folder="$target/$1" list="$here/$2"
    if [ -x "$folder/bin/python" ] && cmp -s "$list" "$folder/requirements.txt"; then return; fi
    rm -rf "$folder"
    python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$list" \
        && cp "$list" "$folder/requirements.txt"
}

# A project whose folder has all that needs quoting in its name.
project() {
    rm -rf "$1"
    mkdir -p "$1"
    cp -r "$here/project/." "$1"
}

"${CARGO:-cargo}" build --quiet
opsmart="$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd)/opsmart"
unset "${!OPSMART_@}"

echo '# systemd'
if command -v systemd-analyze > /dev/null && command -v python3 > /dev/null; then
    folder="$target/systemd/50% it's \$HOME"
    project "$folder"
    rm -rf "$target/systemd/units"
    mkdir -p "$folder/warehouse"
    "$opsmart" --quiet -C "$folder" generate systemd --program "$opsmart" --user "$(id -un)" --to "$target/systemd/units"
    # What it has to say of other units of the machine is not ours.
    if said="$(systemd-analyze verify "$target"/systemd/units/* 2>&1)" && ! grep -F 'opsmart-' <<< "$said"; then
        echo 'ok: systemd takes the units'
    else
        fail "systemd-analyze verify: $said"
    fi
    python3 "$here/calendar_times.py" "$opsmart" "$target/systemd" || fail 'the times of timers'
else
    skip 'systemd-analyze or python3 is not there'
fi

echo '# Kubernetes'
if command -v python3 > /dev/null && environment kubernetes requirements-kubernetes.txt; then
    folder="$target/kubernetes-project"
    project "$folder"
    rm -rf "$target/kubernetes/jobs"
    "$opsmart" --quiet -C "$folder" generate kubernetes --image 'registry.example.com/opsmart:1' --to "$target/kubernetes/jobs"
    if "$target/kubernetes/bin/kubernetes-validate" --strict "$target"/kubernetes/jobs/*.yaml; then
        echo 'ok: Kubernetes takes the CronJobs'
    else
        fail 'the schemas of Kubernetes'
    fi
else
    skip 'kubernetes-validate cannot be installed'
fi

echo '# Prometheus'
promtool="$(command -v promtool || echo "$target/prometheus/usr/bin/promtool")"
if [ -x "$promtool" ] \
    || (mkdir -p "$target/prometheus" && cd "$target/prometheus" && apt-get download prometheus && dpkg --extract prometheus_*.deb .) > /dev/null 2>&1; then
    folder="$target/prometheus-project"
    project "$folder"
    "$opsmart" --quiet -C "$folder" run every_minute --metrics "$folder/opsmart.prom"
    if "$promtool" check metrics < "$folder/opsmart.prom"; then echo 'ok: Prometheus takes the numbers'; else fail 'promtool'; fi
else
    skip 'promtool cannot be downloaded'
fi

echo '# OpenLineage'
if command -v python3 > /dev/null && environment openlineage requirements-openlineage.txt; then
    folder="$target/openlineage-project"
    project "$folder"
    "$opsmart" --quiet -C "$folder" run every_minute
    "$opsmart" --quiet -C "$folder" run broken 2> /dev/null || true
    "$target/openlineage/bin/python" "$here/read_lineage.py" "$folder"/warehouse/runs/*/lineage.ndjson || fail 'lineage'
else
    skip 'the client of OpenLineage cannot be installed'
fi
if command -v python3 > /dev/null && command -v openssl > /dev/null; then
    folder="$target/receiver-project"
    project "$folder"
    python3 "$here/receive_lineage.py" "$opsmart" "$folder" || fail 'a receiver of lineage'
else
    skip 'a receiver of lineage takes Python and openssl'
fi

echo '# cron'
if [ "$(id -u)" != 0 ] || ! command -v unshare > /dev/null; then
    skip 'cron can be tried by root only, in a mount namespace of its own'
elif [ -x "$target/cron/usr/sbin/cron" ] \
    || (mkdir -p "$target/cron" && cd "$target/cron" && apt-get download cron && dpkg --extract cron_*.deb .) > /dev/null 2>&1; then
    folder="$target/cron-project/50% it's \$HOME"
    project "$folder"
    "$opsmart" --quiet -C "$folder" generate cron --program "$opsmart" --job every_minute > "$target/cron/crontab"
    unshare --mount "$here/cron.sh" "$target/cron" "$folder/warehouse/refs/main" || fail 'cron'
else
    skip 'cron cannot be downloaded'
fi

echo '# Airflow'
if command -v python3 > /dev/null && environment airflow requirements.txt; then
    folder="$target/airflow-project/50% {{ it's }} \$HOME"
    project "$folder"
    "$here/airflow.sh" "$opsmart" "$folder" "$target/airflow" || fail 'Airflow'
else
    skip 'Airflow cannot be installed'
fi
exit "$failed"
