#!/usr/bin/env bash
# Opens what `opsmart report` and `opsmart docs` write in Chromium, and judges what it sees; tests/browser/look.py says
# how. Installs Chromium and its driver where it may, and a package for Python into the build folder. A first argument
# is a file that gets a picture of the report.
set -euo pipefail
cd "$(dirname "$0")/../.."

target="${CARGO_TARGET_DIR:-target}"
if ! command -v chromedriver > /dev/null && command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
    apt-get install --quiet --yes chromium chromium-driver fonts-noto-cjk > /dev/null || true
fi
for program in python3 chromium chromedriver; do
    if ! command -v "$program" > /dev/null; then
        echo "skipped: the pages were not looked at, because $program is not installed" >&2
        exit 0
    fi
done
. tests/python.sh
environment browser tests/browser/requirements.txt
"${CARGO:-cargo}" build --quiet
"$python" tests/browser/look.py "$target/debug/opsmart" "$target/browser-pages" "$@"
