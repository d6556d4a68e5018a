//! Scores proposed contracts on Pollock, the public benchmark of what CSV files are like (Vitagliano and others, VLDB 2023):
//! `make pollock POLLOCK=folder` with a clone of it. The measures are its own; cells are compared as texts, without the
//! benchmark's rules for numbers and times that are written differently, so nothing but reading counts.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fs;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use camino::Utf8Path;
use opsmart::infer::infer;
use opsmart::ingest::{Compression, FileInput, QuarantinedRecord, Sink, read_file};
use opsmart::project::{self, ColumnType, FieldNames, Format, Rules};

use crate::scratch::Scratch;

/// Reads CSV as Python does: commas, doubled quotes, blank lines without fields.
fn rows_of(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut is_quoted, mut has_field) = (false, false);
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' if is_quoted => is_quoted = false,
            _ if is_quoted => field.push(c),
            '"' if field.is_empty() => (is_quoted, has_field) = (true, true),
            ',' => {
                row.push(std::mem::take(&mut field));
                has_field = true;
            }
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\n' => {
                if has_field || !field.is_empty() {
                    row.push(std::mem::take(&mut field));
                }
                rows.push(std::mem::take(&mut row));
                has_field = false;
            }
            c => field.push(c),
        }
    }
    if has_field || !field.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}

#[derive(Default)]
struct Texts(Vec<Vec<String>>);

impl Sink for Texts {
    type Error = Infallible;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), Infallible> {
        let columns: Vec<_> = batch.columns().iter().filter_map(|column| column.as_string_opt::<i32>()).collect();
        for row in 0..batch.num_rows() {
            let text = |column: &&arrow::array::StringArray| {
                if column.is_null(row) { String::new() } else { column.value(row).to_owned() }
            };
            self.0.push(columns.iter().map(text).collect());
        }
        Ok(())
    }

    fn quarantine(&mut self, _: QuarantinedRecord<'_>) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Returns the rows that come of a file by the contract that is proposed for it, with every column as text and the header
/// in front; or why there are none.
fn loaded(scratch: &Scratch, path: &Utf8Path) -> Result<(Vec<Vec<String>>, u64), String> {
    let load = || project::load(scratch.root(), None).map_err(|mistakes| mistakes.render(false));
    let inferred = infer(&load()?, "seen", path).map_err(|error| error.to_string())?;
    scratch.write("schemas/sources/seen.toml", &inferred.contract);
    let mut project = load()?;
    fs::remove_file(scratch.path("schemas/sources/seen.toml")).unwrap();
    let mut contract = project.sources.remove("seen").unwrap();
    (contract.rejected_share, contract.key, contract.keep) = (1.0, Vec::new(), None);
    for column in contract.columns.values_mut() {
        column.kind = ColumnType::String;
        column.rules = Rules::default();
        (column.null, column.formats, column.normalise) = (Vec::new(), Vec::new(), Vec::new());
    }
    let name = |(name, column): (&String, &project::SourceColumn)| {
        let name = column.aliases.first().unwrap_or(name);
        name.rsplit_once('#')
            .filter(|(_, number)| number.parse::<u8>().is_ok())
            .map_or(name.as_str(), |(base, _)| base)
            .to_owned()
    };
    let Format::Csv(format) = &contract.format else { return Err("is no CSV".to_owned()) };
    let header = match (&format.names, &format.expected_header) {
        (FieldNames::Order, _) => None,
        (_, Some(header)) => Some(header.clone()),
        _ => Some(contract.columns.iter().map(name).collect()),
    };
    let limits = &project.settings.limits;
    let input =
        FileInput { contract: &contract, limits, captures: &[], compression: Compression::Plain, landed_at: None };
    let mut texts = Texts::default();
    let outcome = read_file(&input, fs::File::open(path).unwrap(), &mut texts).map_err(|error| error.to_string())?;
    Ok((header.into_iter().chain(texts.0).collect(), outcome.ledger.quarantined))
}

/// Returns how much of two bags is alike: of the first, of the second, and their harmonic mean.
#[expect(clippy::cast_precision_loss, reason = "a share")]
fn alike(right: &[String], found: &[String]) -> [f64; 3] {
    if right.is_empty() {
        return [1.0; 3];
    }
    let mut counts = HashMap::<&str, i64>::new();
    right.iter().for_each(|text| *counts.entry(text).or_default() += 1);
    let mut both = 0;
    for text in found {
        if let Some(count) = counts.get_mut(text.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            both += 1;
        }
    }
    if both == 0 {
        return [0.0; 3];
    }
    let (first, second) = (f64::from(both) / right.len() as f64, f64::from(both) / found.len() as f64);
    [first, second, 2.0 * first * second / (first + second)]
}

/// Returns the ten measures of one file.
fn measures(right: &[Vec<String>], found: &[Vec<String>]) -> [f64; 10] {
    let joined = |rows: &[Vec<String>]| rows.iter().skip(1).map(|row| row.concat()).collect::<Vec<_>>();
    let header = |rows: &[Vec<String>]| rows.first().cloned().unwrap_or_default();
    let cells = |rows: &[Vec<String>]| rows.iter().flatten().cloned().collect::<Vec<_>>();
    let of = [
        alike(&header(right), &header(found)),
        alike(&joined(right), &joined(found)),
        alike(&cells(right), &cells(found)),
    ];
    let mut all = [1.0; 10];
    for (measure, value) in all[1..].iter_mut().zip(of.iter().flatten()) {
        *measure = *value;
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "means of counts")]
fn score(folder: &Path, weights: &BTreeMap<String, f64>) -> (f64, f64, Vec<(String, f64, String)>) {
    let scratch = Scratch::with(&[("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"in\"\n")]);
    let mut files: Vec<_> = fs::read_dir(folder.join("csv")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut simple, mut weighted, mut weight_of_all, mut told) = (0.0, 0.0, 0.0, Vec::new());
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(right) = fs::read(folder.join("clean").join(&name)) else { continue };
        let right = rows_of(&String::from_utf8_lossy(&right));
        let (sum, why) = match loaded(&scratch, Utf8Path::from_path(file).unwrap()) {
            Ok((found, aside)) => {
                let values = measures(&right, &found);
                (
                    values.iter().sum::<f64>(),
                    format!("{aside} quarantined, {:?}", values.map(|value| (value * 1000.0).round() / 1000.0)),
                )
            }
            Err(why) => (0.0, why),
        };
        let weight = weights.get(&name).copied().unwrap_or(0.0);
        simple += sum;
        weighted += sum * weight;
        weight_of_all += weight;
        told.push((name, sum, why));
    }
    (simple / told.len().max(1) as f64, weighted / f64::max(weight_of_all, 1.0), told)
}

#[expect(clippy::print_stdout, reason = "a score is for whoever asks for it")]
#[test]
#[ignore = "needs a clone of Pollock: make pollock POLLOCK=folder"]
fn proposed_contracts_read_what_the_benchmark_has() {
    let folder = std::env::var("POLLOCK").expect("POLLOCK names the folder of a clone of Pollock");
    let folder = Path::new(&folder);
    let weights: BTreeMap<String, f64> =
        serde_json::from_slice(&fs::read(folder.join("pollock_weights.json")).unwrap()).unwrap();
    let (simple, weighted, told) = score(&folder.join("polluted_files"), &weights);
    println!("polluted files: {} files, simple {simple:.4}, weighted {weighted:.4}", told.len());
    let mut groups = BTreeMap::<String, Vec<f64>>::new();
    for (name, sum, why) in &told {
        if let Some((group, _)) = name.split_once(|c: char| c.is_ascii_digit()).filter(|_| name.starts_with("row_")) {
            groups.entry(group.to_owned()).or_default().push(*sum);
        }
        if (*sum < 9.9 && !name.starts_with("row_")) || *sum < 9.0 {
            println!("  {sum:.3} {name}: {why}");
        }
    }
    for (group, sums) in groups {
        println!(
            "  {group}: {} files, mean {:.4}",
            sums.len(),
            sums.iter().sum::<f64>() / f64::from(u32::try_from(sums.len()).unwrap())
        );
    }
    let (real, _, told_real) = score(&folder.join("survey_sample"), &weights);
    let refused = told_real.iter().filter(|(_, sum, _)| *sum == 0.0).count();
    println!("real files: {} files, {refused} refused, simple {real:.4}", told_real.len());
    for (name, sum, why) in told_real.iter().filter(|(_, sum, _)| *sum < 9.0) {
        println!("  {sum:.3} {name}: {why}");
    }
    // A record that has too many fields or too few is set aside, and so counts as lost.
    assert!(simple >= 9.96 && weighted >= 9.86, "{simple:.4} {weighted:.4}");
}
