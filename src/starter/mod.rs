//! New project files: a project to start from, and models, metrics, checks and jobs that work as they are written.
//!
//! Promises: what is made loads, binds and passes its own test; nothing that exists is overwritten, and when one file
//! cannot be written none is left. Knows nothing of the warehouse and reads no landed file.

mod check;
mod job;
mod metric;
mod model;
mod name;
mod project;
mod rows;
mod write;

pub use check::new_check;
pub use job::new_job;
pub use metric::{MetricDraft, new_metric};
pub use model::{Read, new_model, staging};
pub use name::{check_file_name, check_table_name};
pub use project::starting_project;
pub use write::{NewFile, WriteError, Written, append, write_new};

/// Why a file cannot be made: what was asked for is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StarterError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl StarterError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }
}
