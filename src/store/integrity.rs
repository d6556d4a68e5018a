//! Reads a file once more, and tells whether it is as it was written: its rows add up to what they did, and its bytes
//! are the same.

use std::collections::BTreeMap;
use std::fs::File;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::parquet_file::conform;
use super::read::{damaged, other_sum, read_batches, read_page_index, read_row_numbers, undecodable};
use super::rows::{RowHasher, RowSum};
use super::{DataFile, Store, StoreError};
use crate::digest::Digest;
use crate::partition::{PartitionKey, Partitioner};
use crate::project::PartitionBy;

impl Store {
    /// Reads a file whole, and makes sure that its rows, with the columns of `schema`, and its bytes are those that were
    /// written. `by` is what the rows of its table are told apart by.
    /// rows of its table are told apart by.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when they are not; when the disk does not let it be read.
    pub fn inspect(&self, file: &DataFile, schema: &SchemaRef, by: Option<&PartitionBy>) -> Result<(), StoreError> {
        read_page_index(self, file)?;
        let (sum, partitions) = self.add_up(file, schema, by)?;
        if sum != file.sum {
            return Err(damaged(&self.path(file), &other_sum(sum, file.sum)));
        }
        if partitions != file.partitions {
            return Err(damaged(&self.path(file), "its rows are in other partitions than they should be"));
        }
        // What it says of its rows, which queries go by. Once for all that share it.
        if let Some(hash) = file.hash.as_ref().filter(|_| file.part.is_none_or(|part| part.first_row == 0))
            && *hash != self.hash(file)?
        {
            return Err(damaged(&self.path(file), "its rows are those that were written, and the rest of it is not"));
        }
        Ok(())
    }

    fn hash(&self, file: &DataFile) -> Result<Digest, StoreError> {
        let path = self.path(file);
        let mut hasher = blake3::Hasher::new();
        let hashed = File::open(&path).and_then(|file| hasher.update_reader(file).map(|_| ()));
        hashed.map_err(|source| StoreError::Read { path, source })?;
        Ok(Digest::from_hash(hasher.finalize()))
    }

    /// Says of a file that it is damaged, because it cannot be decoded.
    #[must_use]
    pub fn undecodable(&self, file: &DataFile, why: &str) -> StoreError {
        undecodable(&self.path(file), why)
    }

    /// Inspects a file as [`Self::inspect`] does, and returns what is wrong with it; nothing if nothing is.
    ///
    /// # Errors
    /// When the disk does not let it be read.
    pub fn damage(
        &self,
        file: &DataFile,
        schema: &SchemaRef,
        by: Option<&PartitionBy>,
    ) -> Result<Option<String>, StoreError> {
        match self.inspect(file, schema, by) {
            Ok(()) => Ok(None),
            Err(StoreError::Damaged { reason, .. }) => Ok(Some(reason)),
            Err(error) => Err(error),
        }
    }

    fn add_up(
        &self,
        file: &DataFile,
        schema: &SchemaRef,
        by: Option<&PartitionBy>,
    ) -> Result<(RowSum, Vec<(PartitionKey, RowSum)>), StoreError> {
        let decode = |source: ArrowError| undecodable(&self.path(file), &source.to_string());
        let lost = file.deletion_vector.as_deref().map(|without| read_row_numbers(self, without)).transpose()?;
        let mut lost = lost.into_iter().flatten().peekable();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut hasher = RowHasher::new(schema, names.len()).map_err(decode)?;
        // Of a file that was written when the rows of its table were not told apart, there is nothing to compare.
        let by = by.filter(|_| !file.partitions.is_empty());
        let mut partitioner = by.and_then(|by| Partitioner::new(by, schema));
        let mut sum = RowSum::default();
        let mut partitions: BTreeMap<PartitionKey, RowSum> = BTreeMap::new();
        let mut row = 0_u32;
        for batch in read_batches(self, file, &names)? {
            let batch = conform(&batch?, schema).map_err(decode)?;
            let keys = partitioner.as_mut().map(|partitioner| partitioner.keys(&batch)).transpose().map_err(decode)?;
            let mut keys = keys.iter().flatten();
            let hashed = hasher.hash(&batch, |hash| {
                let key = keys.next();
                if lost.next_if_eq(&row).is_none() {
                    sum.add(hash);
                    if let Some(key) = key {
                        partitions.entry(key).or_default().add(hash);
                    }
                }
                row += 1;
            });
            hashed.map_err(decode)?;
        }
        // A partition that lost all of its rows is there, with none.
        for (key, _) in file.partitions.iter().filter(|(_, sum)| sum.rows == 0) {
            partitions.entry(*key).or_default();
        }
        Ok((sum, partitions.into_iter().collect()))
    }
}
