#!/usr/bin/env bash
# Builds opsmart for speed and times it. Everything is made in the build folder: data, projects, and a Python with
# DuckDB, which needs a package registry the first time; without one the comparison is left out.
set -euo pipefail
cd "$(dirname "$0")/../.."

target="${CARGO_TARGET_DIR:-target}"
"${CARGO:-cargo}" build --quiet --release
python=python3
if [ -x "$target/readers/bin/python" ]; then
    python="$target/readers/bin/python"
elif python3 -m venv "$target/readers" \
    && "$target/readers/bin/pip" install --quiet --disable-pip-version-check --requirement tests/readers/requirements.txt; then
    cp tests/readers/requirements.txt "$target/readers/requirements.txt"
    python="$target/readers/bin/python"
fi
"$python" tests/bench/bench.py "$target/release/opsmart" "$target/bench" "$@"
