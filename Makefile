# The developer's vocabulary. CI calls these same targets.

CARGO ?= cargo

# Tests put their projects into memory where there is room: each run waits for the disk many times.
IN_MEMORY := $(shell df -P -k /dev/shm 2> /dev/null | awk 'NR == 2 && $$4 > 4000000 { print "TMPDIR=/dev/shm" }')

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.PHONY: run
run: ## Build opsmart and run every job of this project on data-samples/
	$(CARGO) run --quiet -- run

.PHONY: check
check: ## Check formatting, lints, the pages of the code, the dependency tree and the project's own files
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) clippy --all-targets --quiet -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --no-deps --lib --quiet
	./tests/dependencies.sh
	$(CARGO) run --quiet -- check

.PHONY: test
test: ## Run every test; tests/it/main.rs names the slow ones and how to leave them out
	$(IN_MEMORY) $(CARGO) test
	$(CARGO) run --quiet -- test

.PHONY: thorough
thorough: ## Run every integration test over all that it can try, where `make test` tries a part (half an hour)
	OPSMART_THOROUGH=1 $(IN_MEMORY) $(CARGO) test --test it

.PHONY: readers
readers: ## Read the published tables with DuckDB, installed for this into target/
	./tests/readers/run.sh published

.PHONY: ossie
ossie: ## Compile the exported semantic model with a program of Ossie, and run its queries with DuckDB (some minutes)
	./tests/readers/run.sh ossie

.PHONY: cube
cube: ## Compile the exported data model with Cube, and run its queries with DuckDB (needs node)
	./tests/cube/run.sh

.PHONY: superset
superset: ## Import the exported bundle into Superset, and let it query the metrics (some minutes)
	./tests/superset/run.sh

.PHONY: schedulers
schedulers: ## Let Airflow, cron, systemd and others read what is written for them, installed for this into target/
	./tests/schedulers/run.sh

.PHONY: bench
bench: ## Time opsmart beside DuckDB; BENCH="--events 1000000 --pairs 3" for a short one (builds for speed first)
	./tests/bench/run.sh $(BENCH)

.PHONY: pollock
pollock: ## Score proposed contracts on Pollock; POLLOCK=folder of a clone of it
	POLLOCK=$(abspath $(POLLOCK)) $(CARGO) test --test it -- --ignored --nocapture pollock::

.PHONY: law
law: ## Hold runs against runs from nothing after a thousand random histories; LAW_HISTORIES=100 for fewer
	LAW_HISTORIES=$${LAW_HISTORIES:-1000} $(IN_MEMORY) $(CARGO) test --test it -- law::

.PHONY: metric-law
metric-law: ## Hold metrics against a naive evaluation in 500 random histories; METRIC_HISTORIES=50 for fewer
	METRIC_HISTORIES=$${METRIC_HISTORIES:-500} $(IN_MEMORY) $(CARGO) test --test it -- metric_law::

.PHONY: stress
stress: ## Check projects of random SQL, long and deep; OPSMART_STRESS=1000 projects instead of 200
	OPSMART_STRESS=$${OPSMART_STRESS:-200} $(CARGO) test --test it -- deep::

.PHONY: faults
faults: ## Kill opsmart, or let the disk refuse, at every call that changes it; FAULTS=short for some (needs strace)
	./tests/faults/run.sh

.PHONY: fuzz
fuzz: ## Fuzz the readers of landed and project files, and run models of all kinds; FUZZ_SECONDS=300 for each instead of 60
	./tests/fuzz/run.sh

.PHONY: browser
browser: ## Open the report and the documentation in a browser and judge what it shows
	./tests/browser/run.sh

.PHONY: bless
bless: ## Write what the code prints into the expected transcripts and mistakes; read the difference before you commit
	BLESS=1 TRYCMD=overwrite $(CARGO) test --test it

.PHONY: clean
clean: ## Remove what was built and published here
	$(CARGO) clean
	rm -rf warehouse
