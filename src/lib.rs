//! opsmart: batch data pipelines for operations support.
//!
//! The published tables are a pure function of the landed files, the project folder and one clock; a run makes that
//! true with the least work, all at once or not at all.
//!
//! ```text
//! load ─▶ plan ─▶ ingest ─▶ clean ─▶ transform ─▶ check ─▶ publish ─▶ report
//! Project  Plan    Raw       Cleaned   Built       Checked   Published   RunReport
//! ```
//!
//! Each stage but the first and the last is one module with a public function named after it (`load` is in `project`,
//! `RunReport` in `run`; the module `report` is the page of `opsmart report`). `Checked` is made by `check` alone, so
//! publishing unchecked data does not compile. Arrows point one way:
//!
//! ```text
//! cli ─▶ run ─▶ publish ─▶ check ─▶ transform ─▶ tables ─▶ plan ─▶ engine
//!             └─▶ { ingest clean } ─▶ landed ─▶ store ─▶ project ─▶ diagnostic
//! ```

pub mod canonical;
pub mod check;
pub mod clean;
pub mod cli;
pub mod diagnostic;
pub mod diff;
pub mod digest;
pub mod engine;
pub mod export;
pub mod functions;
pub mod generate;
pub mod infer;
pub mod ingest;
pub mod instant;
pub mod landed;
pub mod local_days;
pub mod manifest;
pub mod model_test;
pub mod partition;
pub mod plan;
pub mod project;
pub mod publish;
pub mod report;
pub mod run;
pub mod site;
pub mod sql_text;
pub mod stamp;
pub mod starter;
pub mod store;
pub mod system_tables;
pub mod tables;
pub mod top_k;
pub mod transform;
pub mod verify;
pub mod visible;
pub mod why;
