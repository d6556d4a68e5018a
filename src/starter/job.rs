//! A new job: a schedule and a choice of datasets.

use super::model::toml_text;
use super::name::check_file_name;
use super::{NewFile, StarterError};
use crate::diagnostic::did_you_mean;
use crate::project::Project;

/// Returns the file of a new job that takes in `ingest`; where nothing is named, the dataset that is called like it.
///
/// # Errors
/// A name that cannot be a job's or is taken, or a dataset that does not exist.
pub fn new_job(project: &Project, name: &str, ingest: &[String]) -> Result<Vec<NewFile>, StarterError> {
    check_file_name(name)?;
    if let Some(job) = project.jobs.get(name) {
        return Err(StarterError::new(format!("the name `{name}` is taken by `{}`", job.file.path), "choose another"));
    }
    let datasets = || project.sources.keys().map(String::as_str);
    let ingest = match ingest {
        [] if project.sources.contains_key(name) => vec![name.to_owned()],
        [] => {
            let known = datasets().collect::<Vec<_>>().join(", ");
            let help = format!("name them with --ingest; there are: {known}");
            return Err(StarterError::new(format!("there is no dataset `{name}` for the job to ingest"), help));
        }
        named => named.to_vec(),
    };
    if let Some(strange) = ingest.iter().find(|dataset| !project.sources.contains_key(*dataset)) {
        let message = format!("there is no dataset `{strange}`");
        return Err(StarterError { message, help: did_you_mean(strange, datasets()) });
    }
    let list = ingest.iter().map(|dataset| toml_text(dataset)).collect::<Vec<_>>().join(", ");
    let description = toml_text(&format!("Take in {}, refresh what depends on it", ingest.join(", ")));
    let zone = toml_text(project.settings.reporting_zone.name());
    let text = format!(
        r#"description = {description}
schedule = "15 * * * *"            # minute, hour, day, month, weekday
schedule_zone = {zone}
ingest = [{list}]
"#
    );
    Ok(vec![NewFile::new(format!("jobs/{name}.toml"), text)])
}
