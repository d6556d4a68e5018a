//! One integration program, a module per subject: each program would link DataFusion anew.
//!
//! `cargo test --test it -- gate::` runs one module, and `-- --skip pages:: --skip damage::` leaves some out. With
//! `OPSMART_THOROUGH=1` the tests that are marked with * try everything; without, every fourth call that could fail,
//! every fourth table, some of the scopes. Runs wait for the disk many times, so that tests are twice as fast where
//! `TMPDIR` is in memory, as `make test` puts it. Most of the time goes into these:
//!
//! - `pages`: every command of the README and of `docs/`, a project to a page.
//! - `transcripts`: every command of `tests/cli/`.
//! - `damage`: manifests torn at every byte, data files with each of many bits turned, a run for some of them.
//! - `law`, `metric_law`, `histories`, `references`: runs after each step of random histories.
//! - `faults`*, `gc`*: a run for every crash point, and kills of runs over files of 600 000 rows.
//! - `why`*, `metric_query`*, `tickets`*, `published`*: every shipped table followed to its landed lines, every shipped metric asked for again, random tickets.
//! - `deep`: projects whose SQL is 20 000 parts long or deep.
//! - `memory`, `kept_rows`, `readers_beside_publications`: large files, many small ones, many runs in a row.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod across;
mod architecture;
mod base_models;
mod behaviour;
mod branches;
mod broken_projects;
mod check_again;
mod checks;
mod clock;
mod damage;
mod data_model;
mod dead_ends;
mod deep;
mod dialects;
mod diff;
mod engine_faults;
mod erasing;
mod evolve;
mod export;
mod faults;
mod file_modes;
mod forgetting;
mod gate;
mod gc;
mod green;
mod histories;
mod hostile;
mod infer;
mod ingest;
mod inside;
mod kept_rows;
mod landing;
mod landing_times;
mod law;
mod ledger;
mod ls;
mod memory;
mod metric_law;
mod metric_query;
mod metrics;
mod page;
mod pages;
mod partitions;
mod pollock;
mod published;
mod quarantine;
mod readers_beside_publications;
mod receivers;
mod references;
mod repeated;
mod sample;
mod scheduled;
mod scratch;
mod site;
mod sql_functions;
mod tickets;
mod transcripts;
mod two_runs;
mod types;
mod upgrade;
mod verify;
mod warnings;
mod ways;
mod why;
