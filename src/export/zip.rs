//! A ZIP archive of a few small files, none of them compressed, all of them as old as the format: the same files give
//! the same bytes.

use super::File;

/// 1 January 1980, the first day that the format knows.
const DAY: u16 = 1 << 5 | 1;

/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;

/// The version of the format that a reader needs: 1.0.
const VERSION: u16 = 10;

/// Returns the archive; `None` if a file or all of them are larger than the format can say.
pub(super) fn archive(files: &[File]) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut directory: Vec<u8> = Vec::new();
    for file in files {
        let mut checksum = flate2::Crc::new();
        checksum.update(&file.bytes);
        let size = u32::try_from(file.bytes.len()).ok()?;
        let name = u16::try_from(file.path.len()).ok()?;
        let at = u32::try_from(bytes.len()).ok()?;
        let mut about: Vec<u8> = Vec::new();
        // Flags, no compression, time and day, checksum, both sizes, lengths of the name and of nothing else.
        for short in [VERSION, FLAGS, 0, 0, DAY] {
            about.extend(short.to_le_bytes());
        }
        for long in [checksum.sum(), size, size] {
            about.extend(long.to_le_bytes());
        }
        for short in [name, 0] {
            about.extend(short.to_le_bytes());
        }
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&about);
        bytes.extend(file.path.as_bytes());
        bytes.extend(&file.bytes);
        directory.extend(b"PK\x01\x02");
        directory.extend(VERSION.to_le_bytes());
        directory.extend(&about);
        // No comment, the first disk, no attributes, and where the file begins.
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(file.path.as_bytes());
    }
    let count = u16::try_from(files.len()).ok()?;
    let at = u32::try_from(bytes.len()).ok()?;
    let size = u32::try_from(directory.len()).ok()?;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(at.to_le_bytes());
    bytes.extend([0, 0]);
    Some(bytes)
}
