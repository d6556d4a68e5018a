#!/usr/bin/env bash
# Imports the exported bundle into Superset by its own command, and lets Superset query every metric. Needs python3 from
# 3.11 to 3.12 and, the first time, a package registry; everything is installed into the build folder, 700 MB of it.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
cd "$(dirname "$0")/../.."

target="$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")"
if ! command -v python3 > /dev/null; then
    echo 'error: this test needs python3' >&2
    exit 2
fi
if ! cmp -s tests/superset/requirements.txt "$target/superset/requirements.txt"; then
    rm -rf "$target/superset"
    python3 -m venv "$target/superset"
    # pip alone looks for hours for versions that go together.
    "$target/superset/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
    VIRTUAL_ENV="$target/superset" "$target/superset/bin/uv" pip install --quiet --requirement tests/superset/requirements.txt
    cp tests/superset/requirements.txt "$target/superset/requirements.txt"
fi
"${CARGO:-cargo}" build --quiet
home="$(mktemp -d)"
trap 'rm -rf "$home"' EXIT
export SUPERSET_HOME="$home" SUPERSET_CONFIG_PATH="$PWD/tests/superset/superset_config.py"
superset="$target/superset/bin/superset"
quietly() { "$@" > "$home/log" 2>&1 || { cat "$home/log" >&2; exit 1; }; }
quietly "$superset" db upgrade
quietly "$superset" fab create-admin --username admin --firstname a --lastname b --email a@example.org --password admin
quietly "$superset" init
"$target/superset/bin/python" tests/superset/read_superset.py "$target/debug/opsmart"
