#!/usr/bin/env bash
# The engine decides the versions: one arrow, one parquet, one object_store and one datafusion in the tree.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
for crate in datafusion arrow parquet object_store sqlparser; do
    versions=$(cargo tree --locked --edges normal,build,dev --prefix none --format '{p}' | awk -v crate="$crate" '$1 == crate { print $2 }' | sort -u)
    if [ "$(wc -l <<< "$versions")" != 1 ] || [ -z "$versions" ]; then
        printf 'error: more or less than one %s in the tree:\n%s\n' "$crate" "$versions" >&2
        failed=1
    else
        printf '%s %s\n' "$crate" "$versions"
    fi
done
exit "$failed"
