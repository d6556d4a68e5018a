//! Names of new tables and files.

use super::StarterError;
use crate::diagnostic::did_you_mean;
use crate::plan::Workspace;
use crate::project::{Layer, NAME_RULE, Project, is_name};

/// Makes sure that `name` can name something new in a project file's stem.
///
/// # Errors
/// What is wrong with it, and the rule.
pub fn check_file_name(name: &str) -> Result<(), StarterError> {
    if !is_name(name) {
        return Err(StarterError::new(format!("`{name}` cannot be a name"), NAME_RULE));
    }
    Ok(())
}

/// Makes sure that `name` can name a new dataset or model.
///
/// # Errors
/// What is wrong with it, or what has the name already.
pub fn check_table_name(project: &Project, name: &str) -> Result<(), StarterError> {
    check_file_name(name)?;
    if name.starts_with("dq_") {
        let help = "names that start with `dq_` are kept for tables of opsmart's own";
        return Err(StarterError::new(format!("`{name}` cannot be a name"), help));
    }
    let taken =
        |file: &str| Err(StarterError::new(format!("the name `{name}` is taken by `{file}`"), "choose another"));
    if let Some(source) = project.sources.get(name) {
        return taken(source.file.path.as_str());
    }
    if let Some(model) = project.models.get(name) {
        return taken(model.file.path.as_str());
    }
    Ok(())
}

/// Makes sure that `name` can name a new model, and returns its layer.
pub(super) fn layer(project: &Project, name: &str) -> Result<Layer, StarterError> {
    check_table_name(project, name)?;
    match Layer::of(name) {
        Some(Layer::Checks) => {
            let help = format!("`opsmart new check {name}` writes it");
            Err(StarterError::new(format!("`{name}` is the name of a check, not of a model"), help))
        }
        Some(layer) if layer.prefixes().contains(&name) => Err(StarterError::new(
            format!("`{name}` is only a prefix"),
            format!("write what comes after it: `{name}…`"),
        )),
        Some(layer) => Ok(layer),
        None => {
            let layers = Layer::ALL.into_iter().filter(|layer| *layer != Layer::Checks);
            let rule = layers.flat_map(Layer::prefixes).map(|prefix| format!("`{prefix}`")).collect::<Vec<_>>();
            let message = format!("`{name}` does not say which layer it belongs to");
            Err(StarterError::new(message, format!("names of models start with {}", rule.join(", "))))
        }
    }
}

/// Says that a table that was named is not there.
pub(super) fn unknown_table(workspace: &Workspace, name: &str) -> StarterError {
    let known = workspace.tables.keys().chain(workspace.project.sources.keys()).map(String::as_str);
    StarterError { message: format!("there is no table `{name}`"), help: did_you_mean(name, known) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_comes_with_the_rule() {
        for name in ["", "Fct_a", "9a", "a-b", "_a", "../a", "a b"] {
            assert_eq!(check_file_name(name).unwrap_err().help.as_deref(), Some(NAME_RULE), "{name}");
        }
        assert_eq!(check_file_name("fct_a1"), Ok(()));
    }
}
