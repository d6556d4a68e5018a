#!/usr/bin/env bash
# Compiles the exported data model with Cube's own compiler and runs its queries with DuckDB. Needs python3, node and,
# the first time, package registries; everything is installed into the build folder.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
cd "$(dirname "$0")/../.."

target="${CARGO_TARGET_DIR:-target}"
for program in node npm; do
    if ! command -v "$program" > /dev/null; then
        echo "error: this test needs $program" >&2
        exit 2
    fi
done
. tests/python.sh
environment readers tests/readers/requirements.txt
if ! cmp -s tests/cube/package.json "$target/cube/package.json"; then
    rm -rf "$target/cube"
    mkdir -p "$target/cube"
    # Its scripts would fetch a native part that nothing here needs.
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$target/cube" "$(node -p "Object.entries(require('./tests/cube/package.json').dependencies)[0].join('@')")"
    cp tests/cube/package.json "$target/cube/package.json"
fi
"${CARGO:-cargo}" build --quiet
"$python" tests/cube/read_cube.py "$target/debug/opsmart" "$target/cube"
