//! One integration program, a module per subject: each program would link DataFusion anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod across;
mod architecture;
mod broken_projects;
mod checks;
mod data_model;
mod dead_ends;
mod evolve;
mod faults;
mod file_modes;
mod forgetting;
mod gc;
mod histories;
mod infer;
mod ingest;
mod inside;
mod kept_rows;
mod landing;
mod landing_times;
mod law;
mod ledger;
mod page;
mod pages;
mod partitions;
mod published;
mod quarantine;
mod references;
mod repeated;
mod sample;
mod scheduled;
mod scratch;
mod site;
mod transcripts;
mod two_runs;
mod verify;
mod ways;
