#!/usr/bin/env bash
# Lets the system refuse or kill opsmart at every call that changes a disk (FAULTS=short: at every seventh), and then lets
# a reader read beside a thousand publications. The first needs strace and python3, and is passed over without them.
set -euo pipefail
cd "$(dirname "$0")/../.."

target="${CARGO_TARGET_DIR:-target}"
"${CARGO:-cargo}" build --quiet
if ! command -v strace > /dev/null || ! command -v python3 > /dev/null; then
    echo 'passed over: faults of the disk are made by strace, which is not installed here, or python3 is not' >&2
else
    scratch="$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/opsmart-faults-XXXXXX")"
    # What went wrong stays to be looked at.
    python3 tests/faults/faults.py "$target/debug/opsmart" "$scratch" ${FAULTS:+"--$FAULTS"}
    rm -rf "$scratch"
fi
publications=1000
[ "${FAULTS:-}" != short ] || publications=100
PUBLICATIONS="$publications" "${CARGO:-cargo}" test --quiet --test it -- --nocapture readers_beside_publications::
