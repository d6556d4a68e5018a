//! A check that two tables say the same.

use super::question::From;
use super::{CheckQuery, Maker, for_each, group_by, leading, quoted, stored};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::project::{Equation, Side};
use crate::sql_text::identifier;

impl Maker<'_> {
    pub(super) fn equal(&self, equation: &Equation, from: &From, mistakes: &mut Diagnostics) -> Option<CheckQuery> {
        let Equation { here, table, there, there_filter, tolerance } = equation;
        let there_filter = there_filter.as_ref();
        let schema = stored(self.workspace, self.contract, table, mistakes)?;
        for (our, their) in here.by.iter().zip(&there.by) {
            let (ours, theirs) = (self.column(our, mistakes), self.column_of(&table.text, schema, their, mistakes));
            let (ours, theirs) = (ours?, theirs?);
            if ours != theirs {
                let message = format!(
                    "`{}` of `{}` is of type {theirs}, and `{}` of `{}` is of type {ours}",
                    their.text, table.text, our.text, self.name
                );
                mistakes.push(Diagnostic::new(Code::RuleType, self.contract.file.at(their.bytes.clone()), message));
                return None;
            }
        }
        let ours = self.scope(self.name).aggregate(&here.value, &here.by, mistakes);
        let theirs = self.scope(&table.text).aggregate(&there.value, &there.by, mistakes);
        let other = self.from(&table.text, there_filter, mistakes);
        let (ours, theirs, other) = (ours?, theirs?, other?);
        let are_numbers = ours.kind.is_numeric() && theirs.kind.is_numeric();
        if tolerance.is_none() && (ours.kind.is_floating() || theirs.kind.is_floating()) {
            let message = "a sum of floats is never quite the same twice, and there is no `tolerance`";
            mistakes.push(
                Diagnostic::new(Code::RuleType, self.contract.file.at(here.value.bytes.clone()), message)
                    .help("write `tolerance = 0.000001`, or sum decimals"),
            );
            return None;
        }
        let side = |of: &Side, values: String, from: &str| {
            let columns = quoted(&of.by, None);
            let named = numbered().zip(&columns).map(|(name, column)| format!("{column} as {name}"));
            format!("select {}{values} from {from}{}", leading(&named.collect::<Vec<_>>()), group_by(&columns))
        };
        let ours_alone = side(here, format!("{} as \"here\", null as \"there\"", ours.sql), &from.sql);
        let theirs_alone = side(there, format!("null as \"here\", {} as \"there\"", theirs.sql), &other.sql);
        let groups: Vec<String> = numbered().take(here.by.len()).collect();
        let shown = groups.iter().zip(&here.by).map(|(name, column)| format!("{name} as {}", identifier(&column.text)));
        let pairs = format!(
            "select {}max(\"here\") as \"here\", max(\"there\") as \"there\" \
             from ({ours_alone} union all {theirs_alone}){}",
            leading(&shown.collect::<Vec<_>>()),
            group_by(&groups)
        );
        let apart = match *tolerance {
            // Where one side has no such group it counts as 0.
            Some(limit) if are_numbers => format!("abs(coalesce(\"here\", 0) - coalesce(\"there\", 0)) > {limit:?}"),
            None if are_numbers => "coalesce(\"here\", 0) <> coalesce(\"there\", 0)".to_owned(),
            _ => "(\"here\" is distinct from \"there\")".to_owned(),
        };
        let filter = there_filter.map(|word| format!(" where {}", word.text.trim())).unwrap_or_default();
        let message = format!(
            "`{}` of `{}` must equal `{}` of `{}`{filter}{}",
            here.value.text,
            self.name,
            there.value.text,
            table.text,
            for_each(&here.by)
        );
        let tested = (!here.by.is_empty()).then(|| format!("select count(*) from ({pairs})"));
        let mut asked = CheckQuery::of(message, format!("select * from ({pairs}) where {apart}"), tested);
        asked.others.insert(table.text.clone());
        for used in [ours.variables, theirs.variables, other.variables] {
            asked.variables.extend(used);
        }
        Some(asked)
    }
}

/// Returns names for the columns that group both sides, which may call them differently.
fn numbered() -> impl Iterator<Item = String> {
    (0..).map(|at| format!("\"_by{at}\""))
}
