#!/usr/bin/env bash
# Builds opsmart for speed and times it. Everything is made in the build folder: data, projects, and a Python with
# DuckDB and Polars, which needs a package registry the first time; without one the comparisons are left out.
set -euo pipefail
cd "$(dirname "$0")/../.."

target="${CARGO_TARGET_DIR:-target}"
"${CARGO:-cargo}" build --quiet --release
python=python3
peers="$target/peers"
if cmp --silent "$peers/requirements.txt" tests/bench/requirements.txt; then
    python="$peers/bin/python"
elif python3 -m venv "$peers" \
    && "$peers/bin/pip" install --quiet --disable-pip-version-check --requirement tests/bench/requirements.txt; then
    cp tests/bench/requirements.txt "$peers/requirements.txt"
    python="$peers/bin/python"
fi
"$python" tests/bench/bench.py "$target/release/opsmart" "$target/bench" "$@"
