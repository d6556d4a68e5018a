//! Reads a file once more, and adds up its rows as they were added up when it was written.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, SchemaRef};

use super::parquet_file::{conform, read_batches};
use super::rows::{RowHasher, RowSum};
use super::{DataFile, ROW_COLUMN, Store, StoreError};
use crate::partition::{PartitionKey, Partitioner};
use crate::project::PartitionBy;

impl Store {
    /// Reads the columns of `schema` of a file, and returns why its rows are not those that were written; nothing if they
    /// are. `by` is what the rows of its table are told apart by.
    ///
    /// # Errors
    /// When the disk does not let it be read.
    pub fn damage(
        &self,
        file: &DataFile,
        schema: &SchemaRef,
        by: Option<&PartitionBy>,
    ) -> Result<Option<String>, StoreError> {
        let added_up = self.assure(file).and_then(|()| self.add_up(file, schema, by));
        match added_up {
            Ok((sum, _)) if sum != file.sum => Ok(Some(format!("its rows add up to {sum} and should to {}", file.sum))),
            Ok((_, partitions)) if partitions != file.partitions => {
                Ok(Some("its rows are in other partitions than they should be".to_owned()))
            }
            Ok(_) => Ok(None),
            Err(StoreError::Damaged { reason, .. }) => Ok(Some(reason)),
            Err(StoreError::Parquet { source, .. }) => Ok(Some(format!("it cannot be decoded: {source}"))),
            Err(StoreError::Rows { source, .. }) => Ok(Some(format!("it cannot be decoded: {source}"))),
            Err(error) => Err(error),
        }
    }

    fn add_up(
        &self,
        file: &DataFile,
        schema: &SchemaRef,
        by: Option<&PartitionBy>,
    ) -> Result<(RowSum, Vec<(PartitionKey, RowSum)>), StoreError> {
        let decode = |source| StoreError::Rows { table: file.path.clone(), source };
        let mut lost = Vec::new();
        if let Some(without) = &file.without {
            for batch in read_batches(&self.path(without), &[ROW_COLUMN])? {
                lost.extend_from_slice(batch.map_err(decode)?.column(0).as_primitive::<Int64Type>().values());
            }
        }
        let mut lost = lost.into_iter().peekable();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut hasher = RowHasher::new(schema, names.len()).map_err(decode)?;
        // Of a file that was written when the rows of its table were not told apart, there is nothing to compare.
        let by = by.filter(|_| !file.partitions.is_empty());
        let mut partitioner = by.and_then(|by| Partitioner::new(by, schema));
        let mut sum = RowSum::default();
        let mut partitions: BTreeMap<PartitionKey, RowSum> = BTreeMap::new();
        let mut row = 0_i64;
        for batch in read_batches(&self.path(file), &names)? {
            let batch = conform(&batch.map_err(decode)?, schema).map_err(decode)?;
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
