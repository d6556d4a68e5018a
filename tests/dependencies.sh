#!/usr/bin/env bash
# Holds the crates that are built, on any platform and for tests too, against deny.toml: their licences, where they come
# from, and which of them stand in the tree twice. Of the crates of the engine there is one version each.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo="${CARGO:-cargo}"
failed=0
fail() {
    printf 'error: %s\nhelp: %s\n' "$1" "$2" >&2
    failed=1
}

# A crate a line: name, version, place if it is not the default registry, licence; a bar between two.
crates=$("$cargo" tree --locked --target all --edges normal,build,dev --prefix none --format '{p}|{l}' |
    sed -E 's/ \(\*\)$//; s/ \(proc-macro\)//; s/^([^ ]+) v([^ |]+)( \((.*)\))?\|/\1|\2|\4|/' | sort -u)

# Whether a licence expression holds with the licences given, one a line.
holds() {
    local text word formula=''
    text="${1// WITH /_WITH_}"
    text="${text//\// OR }"
    text="${text//\(/ ( }"
    for word in ${text//\)/ ) }; do
        case "$word" in
        '(' | ')') formula+="$word" ;;
        AND) formula+='&&' ;;
        OR) formula+='||' ;;
        *)
            case $'\n'"$2"$'\n' in
            *$'\n'"${word//_WITH_/ WITH }"$'\n'*) formula+='1' ;;
            *) formula+='0' ;;
            esac
            ;;
        esac
    done
    [ -n "$formula" ] && ((formula)) 2> /dev/null
}

allowed=$(sed -n '/^allow = \[/,/^\]/s/^ *"\(.*\)",.*/\1/p' deny.toml)
expressions=$(cut -d '|' -f 4 <<< "$crates" | sort -u)
while read -r expression; do
    holds "$expression" "$allowed" || fail \
        "not allowed by deny.toml: the licence \`${expression:-none}\` of $(awk -F '|' -v of="$expression" \
            '$4 == of { printf "%s%s %s", comma, $1, $2; comma = ", " }' <<< "$crates")" \
        'do without the crate, or add a licence that asks for no source to `allow` in deny.toml'
done <<< "$expressions"
while read -r licence; do
    needed=0
    others=$(grep -vxF -e "$licence" <<< "$allowed" || true)
    while read -r expression; do
        holds "$expression" "$others" || needed=1
    done <<< "$expressions"
    [ "$needed" = 1 ] || fail "no crate needs the licence \`$licence\`" 'take it out of `allow` in deny.toml'
done <<< "$allowed"

while IFS='|' read -r name version place _; do
    case "$place/" in
    / | "$(pwd -P)"/*) ;;
    *) fail "$name $version comes from $place" 'take a version that the default registry has' ;;
    esac
done <<< "$crates"

# Versions older than the newest of their crate, as far as a requirement tells them apart: 1.2.3 is 1, 0.1.2 is 0.1.
older=$(cut -d '|' -f 1,2 <<< "$crates" | sort -t '|' -k 1,1 -k 2,2V | awk -F '|' '
    $1 == name { print name ":" kept }
    { name = $1; split($2, part, "."); kept = part[1] == "0" ? "0." part[2] : part[1] }' | sort -u)
listed=$(sed -n 's/^ *{ crate = "\(.*\)", reason = ".*" },.*/\1/p' deny.toml | sort -u)
while read -r old; do
    [ -z "$old" ] || fail "the tree has another version beside $old" \
        "do without who asks for it (\`cargo tree --target all --invert ${old/:/@}\`), or tell of it in \`skip\` in deny.toml"
done < <(comm -23 <(echo "$older") <(echo "$listed"))
while read -r old; do
    [ -z "$old" ] || fail "deny.toml lists $old, which the tree has no more, or nothing newer" 'take it out of `skip` in deny.toml'
done < <(comm -13 <(echo "$older") <(echo "$listed"))

# The engine decides the versions.
for crate in datafusion arrow parquet object_store sqlparser; do
    versions=$(awk -F '|' -v crate="$crate" '$1 == crate { printf "%s%s", comma, $2; comma = " " }' <<< "$crates")
    case "$versions" in
    *' '*) fail "$crate is in the tree as $versions" 'let Cargo.toml ask for the one that datafusion asks for' ;;
    '') fail "no $crate in the tree" 'the engine has changed: mend the list in tests/dependencies.sh' ;;
    *) echo "$crate $versions" ;;
    esac
done

# Where it is installed, the same by other means; known vulnerabilities need the network and are left out.
if "$cargo" deny --version > /dev/null 2>&1; then
    "$cargo" deny --offline --locked check --hide-inclusion-graph bans licenses sources || failed=1
fi
exit "$failed"
