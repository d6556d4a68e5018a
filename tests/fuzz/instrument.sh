#!/usr/bin/env bash
# Compiles as ever, but opsmart with what libFuzzer needs in order to see which ways an input went. Cargo calls it.
set -euo pipefail

case " $* " in
*' --crate-name opsmart '*' --crate-type lib '*)
    exec "$@" -Cpasses=sancov-module -Ccodegen-units=16 \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
*) exec "$@" ;;
esac
