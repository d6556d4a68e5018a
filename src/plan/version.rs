//! Versions of what reads landed files, raised by hand.
//!
//! Stored rows are read again from the landed files when the hash of their contract changes, and landed files may be gone
//! by then. So nothing that a release changes by the way is part of that hash: neither the program's version nor how its
//! code is written (see [`crate::canonical`]). Where a reader really does make other rows of the same bytes, it is raised
//! here, for the contracts that are read by it and for no others.

use crate::project::SourceContract;

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
const RAISED: &[Raised] = &[];

/// Returns the raised readers that a contract is read by, in the order in which they were raised.
pub(super) fn raised(contract: &SourceContract) -> impl Iterator<Item = &'static str> {
    RAISED.iter().filter(|raised| (raised.reads)(contract)).map(|raised| raised.name)
}
