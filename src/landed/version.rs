//! Versions of what reads landed files, raised by hand.
//!
//! Stored rows are read again from the landed files when the hash of their contract changes, and landed files may be gone
//! by then. So nothing that a release changes by the way is part of that hash: neither the program's version nor how its
//! code is written (see [`crate::canonical`]). Where a reader really does make other rows of the same bytes, it is raised
//! here, for the contracts that are read by it and for no others.

use crate::project::{ColumnType, FormatZone, SourceContract};

/// Stands in the hash of every contract, and of every dataset. It is what the first release wrote there.
pub(super) const READERS: &str = "opsmart-0.1.0/datafusion-55.2";

/// A reader that makes other rows of the same bytes than it did before.
struct Raised {
    /// What stands in the hash of contracts that are read by it.
    name: &'static str,
    /// Returns whether a contract is read by it.
    reads: fn(&SourceContract) -> bool,
}

/// Every reader that was raised, in the order in which they were.
const RAISED: &[Raised] = &[
    // Once a zone in the text of a format was no more than letters, and such times were read as local ones.
    Raised { name: "zone in a format, 2", reads: has_zone_in_format },
];

fn has_zone_in_format(contract: &SourceContract) -> bool {
    let names_zone = |format: &String| FormatZone::of(format) != FormatZone::Unsaid;
    let mut times = contract.columns.values().filter(|column| column.kind == ColumnType::Timestamp);
    times.any(|column| column.formats.iter().any(names_zone))
}

/// Returns the raised readers that a contract is read by, in the order in which they were raised.
pub(super) fn raised(contract: &SourceContract) -> impl Iterator<Item = &'static str> {
    RAISED.iter().filter(|raised| (raised.reads)(contract)).map(|raised| raised.name)
}
