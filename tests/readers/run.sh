#!/usr/bin/env bash
# Reads the published tables, or with `ossie` the exported metrics, with programs that share no code with us. Needs python3
# and, the first time, a package registry; everything is installed into the build folder.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
cd "$(dirname "$0")/../.."

target="${CARGO_TARGET_DIR:-target}"
if ! command -v python3 > /dev/null; then
    echo 'error: this test needs python3' >&2
    exit 2
fi
if [ ! -x "$target/readers/bin/python" ] || ! cmp -s tests/readers/requirements.txt "$target/readers/requirements.txt"; then
    rm -rf "$target/readers"
    python3 -m venv "$target/readers"
    "$target/readers/bin/pip" install --quiet --disable-pip-version-check --requirement tests/readers/requirements.txt
    cp tests/readers/requirements.txt "$target/readers/requirements.txt"
fi
"${CARGO:-cargo}" build --quiet
"$target/readers/bin/python" "tests/readers/read_${1:-published}.py" "$target/debug/opsmart"
