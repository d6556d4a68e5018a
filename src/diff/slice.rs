//! Parts of both sides that hold the same keys, so that what does not fit into memory is compared piece by piece.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use xxhash_rust::xxh3::xxh3_64;

/// One of several parts, told by the hash of the key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    /// Which it is, from zero.
    pub(super) number: u32,
    /// How many there are.
    pub(super) of: u32,
}

impl Slice {
    /// Returns the condition that a row with this key belongs to the slice; nothing where there is but one.
    pub(super) fn has(self, key: Vec<Expr>) -> Option<Expr> {
        let slices = SliceOf { of: self.of, signature: Signature::variadic_any(Volatility::Immutable) };
        (self.of > 1).then(|| ScalarUDF::from(slices).call(key).eq(lit(i64::from(self.number))))
    }
}

/// Tells the slice that a key leads to.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SliceOf {
    of: u32,
    signature: Signature,
}

impl ScalarUDFImpl for SliceOf {
    fn name(&self) -> &'static str {
        "slice_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = args.args.iter().map(|column| column.to_array(args.number_rows));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
        let slice = |key: &[u8]| i64::try_from(xxh3_64(key) % u64::from(self.of)).ok();
        Ok(ColumnarValue::Array(Arc::new(rows.iter().map(|row| slice(row.as_ref())).collect::<Int64Array>())))
    }
}
