#!/usr/bin/env bash
# Reads the published tables, or with `ossie` the exported metrics, with programs that share no code with us. Needs python3
# and, the first time, a package registry; everything is installed into the build folder.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
cd "$(dirname "$0")/../.."

. tests/python.sh
environment readers tests/readers/requirements.txt
"${CARGO:-cargo}" build --quiet
"$python" "tests/readers/read_${1:-published}.py" "${CARGO_TARGET_DIR:-target}/debug/opsmart"
