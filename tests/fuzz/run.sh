#!/usr/bin/env bash
# Fuzzes what reads landed files and project files and runs models, FUZZ_SECONDS (60) for each of FUZZ_TARGETS (all). Needs a C++
# compiler and, the first time, a package registry. What has been found to be worth trying is kept in the build folder,
# so that each run goes on where the last one ended.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds="${FUZZ_SECONDS:-60}"
targets="${FUZZ_TARGETS:-csv ndjson contract project model}"
root="$PWD"
target="${CARGO_TARGET_DIR:-target}"
case "$target" in /*) ;; *) target="$root/$target" ;; esac
export CARGO_TARGET_DIR="$target"

if ! command -v "${CXX:-c++}" > /dev/null; then
    echo 'error: fuzzing needs a C++ compiler, as `c++` or named by CXX: libFuzzer is built from its source' >&2
    exit 2
fi
# The compiler's wrapper is named in the package's own configuration, which is read from its folder.
(cd tests/fuzz && "${CARGO:-cargo}" build --locked --quiet)

work="$target/fuzz"
mkdir -p "$work/findings"
scratch="$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/opsmart-fuzz-XXXXXX")"
trap 'rm -rf "$scratch"' EXIT

# Writes the files that a target starts from: our own samples and projects, as far as they are short.
seeds() {
    local number=0 file
    mkdir -p "$work/seeds/$1"
    case "$1" in
    csv | ndjson)
        # Before the file come the bytes that choose how it is read; zero is the usual.
        local head='\0\0\0\0'
        [ "$1" = csv ] || head='\0\0\0'
        while read -r file; do
            number=$((number + 1))
            # `head` has enough before the other is at its end, which is no mistake.
            { printf "$head" && { gzip -cdf "$file" 2> /dev/null || true; } | head -c 1000; } > "$work/seeds/$1/$number"
        done < <(find data-samples -name "*.$1*" | sort)
        ;;
    contract) cp schemas/sources/*.toml "$work/seeds/$1/" ;;
    project)
        # All files, in order, with a byte between two; without a mistake, so that their SQL is bound as well.
        {
            printf 'paths.landing = "in"\nvars.n = 3\n\x1e'
            cat schemas/sources/tickets.toml && printf '\x1e'
            printf 'key = ["ticket_id"]\n[columns]\nn = { min = 0, required = true }\n'
            printf '[checks]\nsome = { rows = { min = 1 }, severity = "warn" }\n\x1e'
            printf '[ticket_id]\ndescription = "Ticket"\nzh = "工单"\n\x1e'
            printf 'ingest = ["tickets"]\ntables = ["fct_tickets+"]\n\x1e'
            printf 'select ticket_id, local_day(created_at, $reporting_zone) as day from tickets where ticket_id > $n\x1e'
            printf 'select ticket_id, count(*) as n, max(day) as day from stg_tickets group by ticket_id\n\x1e'
            printf 'from = "fct_tickets"\ntime = "day"\nby = ["ticket_id"]\n'
            printf '[tickets]\nvalue = "sum(n) filter (where n > 0)"\nunit = "tickets"\nen = "Tickets"\n'
            printf '[share]\nnumerator = "count(distinct ticket_id)"\ndenominator = "count(*)"\nunit = "share"\nen = "S"\n'
            printf '[week]\nof = "tickets"\nover = "7 days"\nunit = "tickets"\nen = "W"\n'
            printf '[more]\nvalue = "tickets / (week + 1)"\nunit = "tickets"\nen = "M"\n'
        } > "$work/seeds/$1/project"
        ;;
    model)
        # Bytes choose the query; after 0xff stands its text.
        for number in 1 2 3 4 5 6 7 8; do head -c $((number * 60)) /dev/urandom > "$work/seeds/$1/chosen-$number"; done
        number=0
        while read -r file; do
            number=$((number + 1))
            { printf '\377\0' && head -c 2000 "$file"; } > "$work/seeds/$1/$number"
        done < <(find sql -name '*.sql' -size -3k | sort | head -n 20)
        printf '\377\0select id, sum(amount) over (partition by g) as s from stg_t full join stg_u using (id)\n' \
            > "$work/seeds/$1/text"
        ;;
    *)
        echo "error: there is no target \`$1\`; there are csv, ndjson, contract, project and model" >&2
        exit 2
        ;;
    esac
}

for name in $targets; do
    seeds "$name"
    mkdir -p "$work/corpus/$name"
    echo "fuzzing $name for $seconds s"
    if ! TMPDIR="$scratch" FUZZ_TARGET="$name" "$target/debug/opsmart-fuzz" -max_total_time="$seconds" -max_len=4096 \
        -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$work/findings/$name-" \
        "$work/corpus/$name" "$work/seeds/$name" > "$work/$name.log" 2>&1; then
        grep -A 3 'panicked at\|ERROR: libFuzzer' "$work/$name.log" | head -n 12 >&2
        echo "error: $name has a finding in $work/findings; give its file to the program to see it again:" >&2
        echo "  FUZZ_TARGET=$name $target/debug/opsmart-fuzz $work/findings/$name-…" >&2
        echo 'help: mend it, and keep what it shows as a test beside the code' >&2
        exit 1
    fi
    tail -n 1 "$work/$name.log"
done
