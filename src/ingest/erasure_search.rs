//! Looks for the records of a person or thing among the landed files of a dataset, before anything is done about them.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use camino::Utf8Path;
use futures::{StreamExt, stream};

use super::decode::Compression;
use super::file::{FileInput, NullSink, Outcome, read_file};
use super::listing::LandingFolder;
use super::reader::{captured, identity};
use crate::digest::Digest;
use crate::landed::Listed;
use crate::project::{Limits, NewColumns, SourceContract};
use crate::store::DatasetManifest;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// Of the digests in [`SourceContract::erased`] those of values that a record has.
    pub met: BTreeSet<Digest>,
    /// How many records have one, copies of a file counted once.
    pub records: usize,
    /// Whether nothing can have them unseen: all that counts is still there to be read, and so is what will be taken in.
    pub is_whole: bool,
}

/// Looks for records with values whose digests are in `contract.erased`; `landed` is what was admitted.
///
/// Files that cannot be listed or read are passed over: the run that is to erase will say why.
pub async fn seek(
    root: &Utf8Path,
    contract: &SourceContract,
    limits: &Limits,
    landed: Option<&DatasetManifest>,
    threads: usize,
) -> Sought {
    let folder = Arc::new(LandingFolder::new(root, &contract.from));
    let Ok(listed) = folder.list(&contract.from, &contract.ready) else { return Sought::default() };
    // However wrong a file is, whose records it has can be told.
    let lenient = SourceContract { rejected_share: 1.0, ..contract.clone() };
    let lenient = Arc::new(match contract.new_columns {
        NewColumns::Refuse => SourceContract { new_columns: NewColumns::Report, ..lenient },
        _ => lenient,
    });
    let forgotten = |listed: &Listed| {
        let mut paths = landed.iter().flat_map(|landed| &landed.paths);
        paths.any(|path| path.forgotten && path.path == listed.path && path.etag == listed.etag)
    };
    let readings = listed.iter().map(|listed| {
        let (folder, contract, limits) = (Arc::clone(&folder), Arc::clone(&lenient), *limits);
        async move { (listed, read(&folder, contract, limits, listed.clone()).await) }
    });
    let mut readings = stream::iter(readings).buffered(threads.max(1));
    let (mut sought, mut seen) = (Sought { is_whole: true, ..Sought::default() }, HashSet::new());
    while let Some((listed, outcome)) = readings.next().await {
        let Some(outcome) = outcome else {
            sought.is_whole &= listed.unready.is_some() || forgotten(listed);
            continue;
        };
        sought.met.extend(outcome.met);
        if seen.insert(identity(&outcome.content, &captured(contract, listed))) {
            sought.records += usize::try_from(outcome.ledger.erased).unwrap_or(usize::MAX);
        }
    }
    sought.is_whole &= landed.is_none_or(|landed| landed.contents.keys().all(|identity| seen.contains(identity)));
    sought
}

async fn read(
    folder: &LandingFolder,
    contract: Arc<SourceContract>,
    limits: Limits,
    listed: Listed,
) -> Option<Outcome> {
    let bytes = folder.read(&listed.path).await.ok()?;
    let work = move || {
        let captures = captured(&contract, &listed);
        let compression = Compression::of(&listed.path);
        let input =
            FileInput { contract: &contract, limits: &limits, captures: &captures, compression, landed_at: None };
        read_file(&input, bytes, &mut NullSink).ok()
    };
    tokio::task::spawn_blocking(work).await.ok().flatten()
}
