//! Records of many pieces of a dataset, brought together by bucket: spilled to a file where they are many, in memory that
//! does not grow with the dataset.
//!
//! With one bucket everything stays in memory. With more, what is gathered goes to a file without a name, from which one
//! bucket at a time comes back. Each bucket has its records in the order of the pieces that they came from.

use super::in_parallel::in_parallel;
use crate::store::{Scratch, Store, StoreError};

/// How many bytes of one bucket are gathered before they are written.
const FLUSH_BYTES: usize = 1 << 16;

/// Records by bucket.
#[derive(Debug)]
pub(super) struct Spilled {
    scratch: Option<Scratch>,
    /// By piece, then by bucket.
    pieces: Vec<Vec<Bucket>>,
    buckets: usize,
}

/// What one piece has for one bucket.
#[derive(Debug, Default)]
struct Bucket {
    /// Where in the scratch file it starts, how long each stretch of it is.
    spilled: Vec<(u64, usize)>,
    /// What came after that.
    here: Vec<u8>,
}

/// Takes the records of one piece.
pub(super) struct SpillWriter<'a> {
    scratch: Option<&'a Scratch>,
    held: Vec<Bucket>,
}

impl SpillWriter<'_> {
    /// Gives one bucket the record that `write` appends.
    pub(super) fn add(&mut self, bucket: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), StoreError> {
        let held = &mut self.held[bucket];
        write(&mut held.here);
        match self.scratch {
            Some(scratch) if held.here.len() >= FLUSH_BYTES => held.spill(scratch),
            _ => Ok(()),
        }
    }

    /// Returns how many buckets there are.
    pub(super) fn buckets(&self) -> usize {
        self.held.len()
    }
}

impl Bucket {
    fn spill(&mut self, scratch: &Scratch) -> Result<(), StoreError> {
        if !self.here.is_empty() {
            self.spilled.push((scratch.append(&self.here)?, self.here.len()));
            self.here.clear();
        }
        Ok(())
    }
}

impl Spilled {
    /// Lets `fill` scatter the records of each piece, on all cores.
    pub(super) fn of<T: Sync, E: From<StoreError> + Send>(
        store: &Store,
        pieces: &[T],
        buckets: usize,
        fill: impl Fn(&T, &mut SpillWriter<'_>) -> Result<(), E> + Sync,
    ) -> Result<Self, E> {
        let buckets = buckets.max(1);
        let scratch = if buckets > 1 { Some(store.scratch()?) } else { None };
        let pieces = in_parallel(pieces, |piece| {
            let held = (0..buckets).map(|_| Bucket::default()).collect();
            let mut scatter = SpillWriter { scratch: scratch.as_ref(), held };
            fill(piece, &mut scatter)?;
            if let Some(scratch) = &scratch {
                for held in &mut scatter.held {
                    held.spill(scratch)?;
                    held.here = Vec::new();
                }
            }
            Ok::<_, E>(scatter.held)
        })?;
        Ok(Self { scratch, pieces, buckets })
    }

    /// Returns how many buckets there are.
    pub(super) fn buckets(&self) -> usize {
        self.buckets
    }

    /// Takes the records of one bucket out: of each piece, in order, all that it has for the bucket.
    pub(super) fn take(&mut self, bucket: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let scratch = self.scratch.as_ref();
        let of_piece = |held: &mut Vec<Bucket>| {
            let Bucket { spilled, here } = std::mem::take(&mut held[bucket]);
            let Some(scratch) = scratch else { return Ok(here) };
            let mut records = Vec::with_capacity(spilled.iter().map(|(_, length)| length).sum());
            for (at, length) in spilled {
                scratch.read(at, length, &mut records)?;
            }
            Ok(records)
        };
        self.pieces.iter_mut().map(of_piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::LocalDisk;

    #[test]
    fn every_record_comes_back_in_its_bucket_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(camino::Utf8Path::from_path(folder.path()).unwrap(), Arc::new(LocalDisk));
        for buckets in [1_usize, 7] {
            let pieces = [0_u32, 100_000, 200_000];
            let mut scattered = Spilled::of(&store, &pieces, buckets, |&first, to| {
                (first..first + 100_000).try_for_each(|number| {
                    to.add(number as usize % buckets, |bytes| bytes.extend(number.to_le_bytes()))
                })
            })
            .map_err(|error: StoreError| error)
            .unwrap();
            for bucket in 0..buckets {
                let found = scattered.take(bucket).unwrap();
                let numbers = |bytes: &Vec<u8>| {
                    let numbers = bytes.as_chunks().0.iter().map(|number| u32::from_le_bytes(*number));
                    numbers.collect::<Vec<_>>()
                };
                let wanted = |&first: &u32| {
                    (first..first + 100_000).filter(|number| *number as usize % buckets == bucket).collect::<Vec<_>>()
                };
                assert_eq!(
                    found.iter().map(numbers).collect::<Vec<_>>(),
                    pieces.iter().map(wanted).collect::<Vec<_>>()
                );
            }
        }
        // Nothing with a name is left.
        assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }
}
