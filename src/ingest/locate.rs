//! Finds, in a record that was quarantined, the part that is at fault.

use std::ops::Range;

use camino::Utf8Path;

use super::cells::{Cells, MOST_BYTES};
use super::csv::Csv;
use super::decode::{Compression, Decoder};
use super::encoding::Text;
use super::file::BYTE_ORDER_MARK;
use super::header::Wanted;
use super::listing::LandingFolder;
use super::ndjson::Ndjson;
use super::record::{Records, Step, View};
use crate::project::{CsvFormat, FieldNames, Format, Limits, NdjsonFormat, SourceContract};

/// Cuts the records of one file into fields once more.
///
/// - It goes by the contract and the file as they are now. Where they have changed since, or the file is gone, it may
///   find nothing, or another part: whoever asks compares what is there with what was found.
#[derive(Debug)]
pub struct Locator<'a> {
    contract: &'a SourceContract,
    record_bytes: usize,
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
            Format::Ndjson(format) => {
                Fields::Ndjson(Ndjson::new(&wanted, format, limits.nesting_depth, contract.encoding.name()))
            }
            Format::Csv(format) => {
                // Lines before the header are passed over with it; where there is none, records are all that is asked of.
                let skip_lines = if format.names == FieldNames::Header { format.skip_lines } else { 0 };
                let format = CsvFormat { skip_lines, expected_header: None, ..format.clone() };
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
        Some(Self { contract, record_bytes: limits.record_bytes, fields })
    }

    /// Looks into rows that were quarantined after they had become rows: each is an object of its values.
    #[must_use]
    pub fn of_rows(contract: &'a SourceContract) -> Self {
        let wanted = Wanted::of(contract.columns.keys().map(String::as_str));
        // Their values are texts.
        let fields = Fields::Ndjson(Ndjson::new(&wanted, &NdjsonFormat::default(), 1, "UTF-8"));
        Self { contract, record_bytes: MOST_BYTES, fields }
    }

    /// Returns where the field of `column` is in the bytes of a record, in several places if the record makes several
    /// rows. Nowhere where it has none, where the record cannot be cut into fields, or where the field's text is written
    /// in another way than it is meant.
    #[must_use]
    pub fn places(&mut self, record: &[u8], column: &str) -> Vec<Range<usize>> {
        let Some(at) = self.contract.columns.get_index_of(column) else { return Vec::new() };
        let view = View { bytes: record, ended: true, limit: self.record_bytes.max(record.len()) };
        match &mut self.fields {
            Fields::Csv(csv) => places(csv, view, at),
            Fields::Ndjson(ndjson) => places(ndjson, view, at),
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

fn places<F: Records>(fields: &mut F, view: View<'_>, column: usize) -> Vec<Range<usize>> {
    let mut cells = Cells::default();
    let step = fields.next(view, 0, 1, &mut cells);
    let (Ok(Step::Record { .. }), Some(slot)) = (step, fields.slots()[column]) else { return Vec::new() };
    let mut places: Vec<_> = cells.places(slot, fields.width()).collect();
    places.dedup();
    places
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
        let mut place = |record: &[u8], column| {
            places(&mut csv, View { bytes: record, ended: true, limit: 100 }, column).first().cloned()
        };
        assert_eq!(place(b"1,\"two\",3\n", 0), Some(8..9));
        assert_eq!(place(b"1,\"two\",3\n", 1), Some(3..6));
        assert_eq!(place(b"1,\"t\"\"o\",3\n", 1), None);
        assert_eq!(place(b"1,\"two\n", 1), None);
    }

    #[test]
    fn a_value_is_found_by_its_name() {
        let found = |explode: &[&str], record: &[u8], column| {
            let format = NdjsonFormat { explode: explode.iter().map(|&name| name.to_owned()).collect() };
            let mut ndjson = Ndjson::new(&Wanted::of(["a", "b"]), &format, 128, "UTF-8");
            let places = places(&mut ndjson, View { bytes: record, ended: true, limit: 100 }, column);
            places.into_iter().map(|place| (place.start, place.end)).collect::<Vec<_>>()
        };
        assert_eq!(found(&[], b"{\"b\": \"x\", \"a\": [1]}\n", 0), [(16, 19)]);
        assert_eq!(found(&[], b"{\"b\": \"x\", \"a\": [1]}\n", 1), [(7, 8)]);
        assert!(found(&[], b"{\"b\": null}\n", 1).is_empty());
        // Of several rows each has its own, or all the same.
        assert_eq!(found(&["a"], b"{\"b\": \"x\", \"a\": [1, null, 2]}\n", 0), [(17, 18), (26, 27)]);
        assert_eq!(found(&["a"], b"{\"b\": \"x\", \"a\": [1, null, 2]}\n", 1), [(7, 8)]);
    }
}
