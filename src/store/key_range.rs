//! The least and the greatest value of a column of a file, as bytes that compare as the values do.

use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde::{Deserialize, Serialize};

/// Bounds of the values in a column of a file: none is less than `least` or greater than `greatest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRange {
    least: String,
    greatest: String,
}

impl KeyRange {
    /// Returns the bounds of a column; nothing where the file does not tell.
    pub(super) fn of(metadata: &ParquetMetaData, column: &str) -> Option<Self> {
        let mut found: Option<Self> = None;
        for group in metadata.row_groups() {
            let column = group.columns().iter().find(|chunk| chunk.column_path().string() == column)?;
            let (least, greatest) = bounds(column.statistics()?)?;
            found = Some(match found {
                None => Self { least, greatest },
                Some(other) => Self { least: other.least.min(least), greatest: other.greatest.max(greatest) },
            });
        }
        found
    }

    /// Returns whether a value may be within both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.least <= other.greatest && other.least <= self.greatest
    }
}

fn bounds(statistics: &Statistics) -> Option<(String, String)> {
    let (least, greatest) = (statistics.min_bytes_opt()?, statistics.max_bytes_opt()?);
    let text: fn(&[u8]) -> Option<String> = match statistics {
        Statistics::Int32(_) => |bytes| Some(hex(&number(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))))),
        Statistics::Int64(_) => |bytes| Some(hex(&number(i64::from_le_bytes(bytes.try_into().ok()?)))),
        Statistics::ByteArray(_) => |bytes| Some(hex(bytes)),
        // Decimals: the sign is the first bit of the first byte.
        Statistics::FixedLenByteArray(_) => |bytes| {
            let (first, rest) = bytes.split_first()?;
            Some(hex(&[&[first ^ 0x80], rest].concat()))
        },
        _ => return None,
    };
    Some((text(least)?, text(greatest)?))
}

/// Returns a number as bytes that compare as it does.
fn number(value: i64) -> [u8; 8] {
    (value ^ i64::MIN).to_be_bytes()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.extend([byte >> 4, byte & 15].map(|half| char::from(b"0123456789abcdef"[usize::from(half)])));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_their_texts_do() {
        let numbers = [i64::MIN, -256, -1, 0, 1, 255, 256, i64::MAX];
        let texts: Vec<String> = numbers.iter().map(|value| hex(&number(*value))).collect();
        assert!(texts.is_sorted() && texts.windows(2).all(|pair| pair[0] != pair[1]));
        let range =
            |least: i64, greatest: i64| KeyRange { least: hex(&number(least)), greatest: hex(&number(greatest)) };
        assert!(
            range(-5, 3).meets(&range(3, 9)) && range(0, 9).meets(&range(3, 4)) && !range(-5, 3).meets(&range(4, 9))
        );
    }
}
