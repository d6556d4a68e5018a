//! Checks what the columns of landed datasets reference, now that all contracts have been read.

use std::collections::BTreeMap;

use super::names::Names;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::project::{ForeignKey, SourceContract};

/// Reports every reference that leads to no column of its own type. Of a contract that could not be read nothing is
/// known.
pub(super) fn check(contracts: &BTreeMap<String, SourceContract>, names: &Names, found: &mut Diagnostics) {
    for contract in contracts.values() {
        for (column, reference) in contract.references() {
            if let Some(mistake) = mistake(contract, column, reference, contracts, names) {
                found.push(mistake);
            }
        }
    }
}

fn mistake(
    contract: &SourceContract,
    column: &str,
    reference: &ForeignKey,
    contracts: &BTreeMap<String, SourceContract>,
    names: &Names,
) -> Option<Diagnostic> {
    let ForeignKey { dataset, column: other, bytes } = reference;
    // Written with escapes, the two cannot be told apart in the file.
    let is_plain = contract.file.text.get(bytes.clone()) == Some(reference.to_string().as_str());
    let dot = bytes.start + dataset.len();
    let (dataset_bytes, column_bytes) =
        if is_plain { (bytes.start..dot, dot + 1..bytes.end) } else { (bytes.clone(), bytes.clone()) };
    let report = |code, bytes, message: String| Diagnostic::new(code, contract.file.at(bytes), message);
    if !names.sources.contains_key(dataset) {
        let help = did_you_mean(dataset, names.sources.keys().map(String::as_str))
            .unwrap_or_else(|| format!("describe it in `schemas/sources/{dataset}.toml`"));
        let message = format!("there is no dataset `{dataset}`");
        return Some(report(Code::UnknownDataset, dataset_bytes, message).help(help));
    }
    let referenced = contracts.get(dataset)?;
    let Some(found) = referenced.columns.get(other) else {
        let help = did_you_mean(other, referenced.columns.keys().map(String::as_str))
            .unwrap_or_else(|| format!("declare it in `{}`", referenced.file.path));
        let message = format!("`{dataset}` has no column `{other}`");
        return Some(report(Code::ContractColumn, column_bytes, message).help(help));
    };
    let own = contract.columns.get(column)?;
    (own.kind != found.kind).then(|| {
        let message = format!("`{column}` is of type `{}`, and `{reference}` of type `{}`", own.kind, found.kind);
        report(Code::RuleType, bytes.clone(), message).help("a value is found among those of its own type only")
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;

    const AGENTS: &str =
        "from = \"in/agents.csv\"\nformat = { type = \"csv\" }\n[columns]\nagent_id = \"int64!\"\nname = \"string\"\n";

    fn found(references: &str, agents: &str) -> Vec<String> {
        let text = format!(
            r#"from = "in/tickets.csv"
format = {{ type = "csv" }}
[columns]
agent_id = {{ type = "int64", references = {references} }}
"#
        );
        mistakes(&[("schemas/sources/tickets.toml", &text), ("schemas/sources/agents.toml", agents)])
    }

    #[test]
    fn a_reference_leads_to_a_column_of_its_own_type() {
        assert_eq!(found("\"agents.agent_id\"", AGENTS), [""; 0]);
        let cases = [
            ("1", "4:43 E0106 `references` is an integer, expected text @1"),
            ("\"agents\"", "4:44 E0107 `agents` is not a column of a dataset @agents"),
            ("\"agents.\"", "4:44 E0107 `agents.` is not a column of a dataset @agents."),
            ("\"a.b.c\"", "4:44 E0107 `a.b.c` is not a column of a dataset @a.b.c"),
            ("\"agent.agent_id\"", "4:44 E0204 there is no dataset `agent` @agent"),
            ("\"agent\\u002eagent_id\"", "4:44 E0204 there is no dataset `agent` @agent\\u002eagent_id"),
            ("\"agents.id\"", "4:51 E0402 `agents` has no column `id` @id"),
            ("\"agents\\u002eid\"", "4:44 E0402 `agents` has no column `id` @agents\\u002eid"),
            (
                "\"agents.name\"",
                "4:44 E0403 `agent_id` is of type `int64`, and `agents.name` of type `string` @agents.name",
            ),
        ];
        for (references, expected) in cases {
            assert_eq!(found(references, AGENTS), [format!("schemas/sources/tickets.toml:{expected}")], "{references}");
        }
    }

    #[test]
    fn what_a_broken_contract_has_is_not_known() {
        let broken = AGENTS.replace("string", "text");
        assert_eq!(
            found("\"agents.id\"", &broken),
            ["schemas/sources/agents.toml:5:9 E0401 there is no type `text` @text"]
        );
    }
}
