//! The counts of a file or a dataset: what came in, and what became of it.

use serde::{Deserialize, Serialize};

/// Counts every record and every byte of one decoded file.
///
/// - `records` and `bytes` are counted where the file is read; the others where its records go. That they agree
///   ([`Self::balanced`]) is therefore a finding and not a definition.
/// - A record's bytes include its line end.
/// - A record is the unit, whatever rows it makes: all of them are rows, or it was quarantined once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Records of any kind.
    pub records: u64,
    /// Records that became rows, one or several each.
    pub accepted: u64,
    /// Records that were quarantined.
    pub quarantined: u64,
    /// Lines without content, the header and the byte order mark.
    pub blank: u64,
    /// Rows that the accepted records became: one each, unless an array in them is made into rows.
    pub rows: u64,
    /// Bytes of the decoded file.
    pub bytes: u64,
    /// Bytes of records that became rows.
    pub accepted_bytes: u64,
    /// Bytes of records that were quarantined.
    pub quarantined_bytes: u64,
    /// Bytes of blank records.
    pub blank_bytes: u64,
    /// Records that landed long after their time, by the contract. They are among those accepted or quarantined.
    pub late: u64,
    /// Records that were quarantined because nothing of them may be kept. They are among those.
    #[serde(default)]
    pub erased: u64,
    /// Rows that those records would have become.
    #[serde(default)]
    pub erased_rows: u64,
}

impl Ledger {
    /// Returns whether every record and every byte is accounted for.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.records == self.accepted + self.quarantined + self.blank
            && self.bytes == self.accepted_bytes + self.quarantined_bytes + self.blank_bytes
    }

    /// Counts the records of another file in.
    pub fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.accepted += other.accepted;
        self.quarantined += other.quarantined;
        self.blank += other.blank;
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.accepted_bytes += other.accepted_bytes;
        self.quarantined_bytes += other.quarantined_bytes;
        self.blank_bytes += other.blank_bytes;
        self.late += other.late;
        self.erased += other.erased;
        self.erased_rows += other.erased_rows;
    }

    /// Returns how many records were quarantined because they do not fit the contract.
    #[must_use]
    pub fn misfits(&self) -> u64 {
        self.quarantined - self.erased
    }

    /// Counts a record that became so many rows.
    pub fn accept(&mut self, bytes: u64, rows: u64) {
        self.accepted += 1;
        self.rows += rows;
        self.accepted_bytes += bytes;
    }

    /// Counts a record that was quarantined.
    pub fn quarantine(&mut self, bytes: u64) {
        self.quarantined += 1;
        self.quarantined_bytes += bytes;
    }

    /// Counts a record that carries no row.
    pub fn skip(&mut self, bytes: u64) {
        self.blank += 1;
        self.blank_bytes += bytes;
    }
}

/// What became of the rows of a file, or of all files of a dataset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CleanCounts {
    /// Rows of the dataset.
    pub clean: u64,
    /// Rows equal in every column to one that was kept or superseded.
    pub exact_duplicates: u64,
    /// Rows whose key has a row that the contract prefers.
    pub superseded: u64,
    /// Rows quarantined because a value is not found where its column references.
    pub quarantined_in_clean: u64,
    /// Rows of the dataset that equal an earlier one in every column, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<u64>,
}

impl CleanCounts {
    /// Returns how many rows there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.clean + self.exact_duplicates + self.superseded + self.quarantined_in_clean
    }

    /// Counts the rows of another file in.
    pub fn add(&mut self, other: &Self) {
        self.clean += other.clean;
        self.exact_duplicates += other.exact_duplicates;
        self.superseded += other.superseded;
        self.quarantined_in_clean += other.quarantined_in_clean;
        self.repeated = match (self.repeated, other.repeated) {
            (None, None) => None,
            (one, another) => Some(one.unwrap_or(0) + another.unwrap_or(0)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_byte_or_record_shows() {
        let mut ledger = Ledger { records: 3, bytes: 30, ..Ledger::default() };
        ledger.accept(10, 1);
        ledger.quarantine(15);
        assert!(!ledger.balanced());
        ledger.skip(5);
        assert!(ledger.balanced());
        ledger.bytes += 1;
        assert!(!ledger.balanced());
    }
}
