//! Reads the folders of a project into one value.
//!
//! Promises: every mistake that the files alone can show is collected and located; any bytes give a value or
//! diagnostics, never a panic; nothing is read but the project's own folders. Knows nothing of DataFusion, of the
//! landed files' content or of the warehouse: whether SQL makes sense is asked by [`crate::plan`].

mod canonical;
mod check;
mod column;
mod condition;
mod contract;
mod format_zone;
mod job;
mod landing;
mod load;
mod metric;
mod model;
mod partition;
mod schedule;
mod settings;
mod toml_reader;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use indexmap::IndexMap;

use crate::canonical::canonical;
use crate::digest::{Digest, Parts};

pub use check::{
    Calendar, CheckDeclaration, Equation, Monotone, Newest, NoGaps, Rule, Severity, Side, Terms, To, Usual,
};
pub use column::{ColumnDoc, ColumnType, Normaliser, Rules, timestamp};
pub use condition::{Comparison, Condition, Operand, RecordRule, RuleReason, Test};
pub use contract::{
    CsvFormat, ERASED, FieldNames, FilesMode, ForeignKey, Format, Keep, Late, Limit, MaxChange, ModelColumn,
    ModelContract, ModelPlaces, NdjsonFormat, NewColumns, PLACE, SourceColumn, SourceContract, ThenLate, occurrence,
    subject,
};
pub use format_zone::{FormatZone, zone_by_name};
pub use job::{Job, Located};
pub use landing::{LandingPattern, Marker, PatternError, Readiness};
pub use load::{
    NAME_RULE, contract, find_root, is_name, load, parse_duration, parse_size, read_inside, stamp, warehouse,
};
pub use metric::{
    Better, DayCount, Formula, Material, Metric, MetricDoc, MetricRows, MetricScope, MetricTime, NumberOfDays, Spine,
};
pub use model::{Function, Layer, Model};
pub use partition::{DayReach, PartitionBy};
pub use schedule::{Days, Schedule};
pub use settings::{Limits, Settings, Tick, Variable};

/// A project folder, read and understood.
///
/// - Names of sources, models and checks are distinct: a name means one table.
/// - Sorted by name wherever order does not matter, so that everything derived from it is reproducible.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder with `opsmart.toml`.
    pub root: Utf8PathBuf,
    /// What `opsmart.toml` says, for the chosen environment.
    pub settings: Settings,
    /// The contracts of landed datasets.
    pub sources: BTreeMap<String, SourceContract>,
    /// Every SQL file, checks included.
    pub models: BTreeMap<String, Model>,
    /// The functions that it writes in SQL.
    pub functions: BTreeMap<String, Function>,
    /// The contracts of models.
    pub contracts: BTreeMap<String, ModelContract>,
    /// The metrics, by their ids.
    pub metrics: BTreeMap<String, Metric>,
    /// The jobs.
    pub jobs: BTreeMap<String, Job>,
    /// The shared dictionary of columns.
    pub dictionary: IndexMap<String, ColumnDoc>,
}

/// Returns the digest of everything that a project says, in the environment `env`.
#[must_use]
pub fn digest(project: &Project, env: Option<&str>) -> Digest {
    let mut parts = Parts::of("project");
    parts.add(env.unwrap_or_default());
    // An area is one file, however many metrics it has.
    let areas = project.metrics.values().map(|metric| (&metric.file.path, &metric.file)).collect::<BTreeMap<_, _>>();
    let files = std::iter::once(&project.settings.file)
        .chain(project.sources.values().map(|source| &source.file))
        .chain(project.models.values().map(|model| &model.file))
        .chain(project.functions.values().map(|function| &function.file))
        .chain(project.contracts.values().map(|contract| &contract.file))
        .chain(areas.into_values())
        .chain(project.jobs.values().map(|job| &job.file));
    for file in files {
        parts.add(file.path.as_str());
        parts.add(file.text.as_bytes());
    }
    parts.add(canonical(&project.dictionary));
    project.sources.values().for_each(|source| parts.add(canonical(&source.erased)));
    parts.digest()
}

impl Project {
    /// Returns the words that describe a column: its own, and where it has none those of the shared dictionary.
    #[must_use]
    pub fn column_doc(&self, column: &str, own: &ColumnDoc) -> ColumnDoc {
        let shared = self.dictionary.get(column);
        let choose =
            |own: &Option<String>, shared: Option<&Option<String>>| own.clone().or_else(|| shared.cloned().flatten());
        ColumnDoc {
            description: choose(&own.description, shared.map(|words| &words.description)),
            unit: choose(&own.unit, shared.map(|words| &words.unit)),
            en: choose(&own.en, shared.map(|words| &words.en)),
            zh: choose(&own.zh, shared.map(|words| &words.zh)),
        }
    }
}
