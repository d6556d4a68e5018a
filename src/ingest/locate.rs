//! Finds, in a record that was set aside, the part that is at fault.

use std::ops::Range;

use camino::Utf8Path;

use super::cells::Cells;
use super::csv::Csv;
use super::decode::{Compression, Decoder};
use super::encoding::Text;
use super::file::BYTE_ORDER_MARK;
use super::header::Wanted;
use super::listing::LandingFolder;
use super::ndjson::Ndjson;
use super::record::{Records, Step, View};
use crate::project::{CsvFormat, FieldNames, Format, Limits, SourceContract};

/// Cuts the records of one file into fields once more.
///
/// - It goes by the contract and the file as they are now. Where they have changed since, or the file is gone, it may
///   find nothing, or another part: whoever asks compares what is there with what was found.
#[derive(Debug)]
pub struct Locator<'a> {
    contract: &'a SourceContract,
    fields: Fields,
}

#[derive(Debug)]
enum Fields {
    Csv(Csv),
    Ndjson(Ndjson),
}

/// How much of a file is read to find its header.
const START_BYTES: usize = 4 << 20;

impl<'a> Locator<'a> {
    /// Looks at how the file at `path`, written as the contract's `from` is, begins. Blocks on reading it.
    ///
    /// Returns nothing where it cannot be told which field of its records is which column.
    pub async fn open(root: &Utf8Path, contract: &'a SourceContract, limits: &Limits, path: &str) -> Option<Self> {
        let captures: Vec<_> = contract.from.captures().iter().map(|name| (name.clone(), String::new())).collect();
        let wanted = Wanted::new(contract, &captures);
        let fields = match &contract.format {
            Format::Ndjson => Fields::Ndjson(Ndjson::new(&wanted, limits.nesting_depth, contract.encoding.name())),
            Format::Csv(format) => {
                // Lines before the header are passed over with it; where there is none, records are all that is asked of.
                let skip_lines = if format.names == FieldNames::Header { format.skip_lines } else { 0 };
                let format = CsvFormat { skip_lines, ..format.clone() };
                let mut csv = Csv::new(&format, wanted, limits.columns).ok()?;
                if csv.expects_header() {
                    let bytes = LandingFolder::new(root, &contract.from).read(path).await.ok()?;
                    let decoder = Decoder::new(Compression::of(path), bytes).ok()?;
                    let mut start = vec![0; START_BYTES];
                    let length = Text::new(decoder, contract.encoding).fill(&mut start).ok()?;
                    read_header(&mut csv, &start[..length], length < START_BYTES)?;
                }
                Fields::Csv(csv)
            }
        };
        Some(Self { contract, fields })
    }

    /// Looks into rows that were set aside after they had become rows: each is an object of its values.
    #[must_use]
    pub fn of_rows(contract: &'a SourceContract) -> Self {
        let wanted = Wanted::of(contract.columns.keys().map(String::as_str));
        // Their values are texts.
        Self { contract, fields: Fields::Ndjson(Ndjson::new(&wanted, 1, "UTF-8")) }
    }

    /// Returns where the field of `column` is in the bytes of a record; nothing where it has none, where the record
    /// cannot be cut into fields, or where the field's text is written in another way than it is meant.
    #[must_use]
    pub fn place(&mut self, record: &[u8], column: &str) -> Option<Range<usize>> {
        let at = self.contract.columns.get_index_of(column)?;
        match &mut self.fields {
            Fields::Csv(csv) => place(csv, record, at),
            Fields::Ndjson(ndjson) => place(ndjson, record, at),
        }
    }
}

/// Reads on until the header has been read.
fn read_header(csv: &mut Csv, bytes: &[u8], ended: bool) -> Option<()> {
    let mut cells = Cells::default();
    let mut at = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let view = View { bytes, ended, limit: bytes.len() };
    while csv.expects_header() && at < bytes.len() {
        match csv.next(view, at, 1, &mut cells).ok()? {
            Step::Blank { end, .. } => at = end,
            _ => return None,
        }
    }
    (!csv.expects_header()).then_some(())
}

fn place<F: Records>(fields: &mut F, record: &[u8], column: usize) -> Option<Range<usize>> {
    let mut cells = Cells::default();
    let view = View { bytes: record, ended: true, limit: record.len() };
    match fields.next(view, 0, 1, &mut cells).ok()? {
        Step::Row { .. } => cells.place(fields.slots()[column]?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_the_header() {
        let format = CsvFormat { skip_lines: 1, ..CsvFormat::USUAL };
        let wanted = Wanted::of(["a", "b"]);
        let mut csv = Csv::new(&format, wanted, 10).unwrap();
        read_header(&mut csv, b"\xef\xbb\xbfreport\nx,b,a\n", true).unwrap();
        assert_eq!(place(&mut csv, b"1,\"two\",3\n", 0), Some(8..9));
        assert_eq!(place(&mut csv, b"1,\"two\",3\n", 1), Some(3..6));
        assert_eq!(place(&mut csv, b"1,\"t\"\"o\",3\n", 1), None);
        assert_eq!(place(&mut csv, b"1,\"two\n", 1), None);
    }

    #[test]
    fn a_value_is_found_by_its_name() {
        let mut ndjson = Ndjson::new(&Wanted::of(["a", "b"]), 128, "UTF-8");
        assert_eq!(place(&mut ndjson, b"{\"b\": \"x\", \"a\": [1]}\n", 0), Some(16..19));
        assert_eq!(place(&mut ndjson, b"{\"b\": \"x\", \"a\": [1]}\n", 1), Some(7..8));
        assert_eq!(place(&mut ndjson, b"{\"b\": null}\n", 1), None);
    }
}
