//! Reads and writes JSON documents that are named by the digest of their bytes.
//!
//! The state of a dataset has an entry for each landed file, so neither its text nor its bytes are ever in memory as a
//! whole.

use std::io::{self, BufReader, BufWriter, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::Digest;

/// A document that is shorter than so many bytes is read as a whole.
const WHOLE_BYTES: u64 = 1 << 20;

/// How many bytes are read or written at a time.
const PIECE_BYTES: usize = 1 << 18;

/// Takes bytes and keeps their hash.
#[derive(Default)]
pub(super) struct Hasher(blake3::Hasher);

impl Hasher {
    /// Returns the digest of all bytes so far.
    pub(super) fn digest(&self) -> Digest {
        Digest::from_hash(self.0.finalize())
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that are hashed as they are read.
struct Hashed<R> {
    bytes: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.hasher.0.update(&buffer[..read]);
        Ok(read)
    }
}

/// Writes a value as JSON.
pub(super) fn write(to: &mut dyn Write, value: &impl Serialize) -> serde_json::Result<()> {
    let mut to = BufWriter::with_capacity(PIECE_BYTES, to);
    let written = serde_json::to_writer(&mut to, value).and_then(|()| to.flush().map_err(serde_json::Error::io));
    // Dropped as it is, the buffer would write once more what did not get through.
    drop(to.into_parts());
    written
}

/// Reads a document to its end, and returns what it says and the digest of its bytes. What it says is to be believed only
/// if that is its name.
///
/// # Errors
/// When bytes cannot be read. That they say nothing that is understood is the inner error.
pub(super) fn read<T: DeserializeOwned>(bytes: impl Read) -> io::Result<(serde_json::Result<T>, Digest)> {
    let mut hashed = Hashed { bytes, hasher: Hasher::default() };
    // Most are small, and are read fastest as a whole.
    let mut first = Vec::new();
    hashed.by_ref().take(WHOLE_BYTES).read_to_end(&mut first)?;
    if (first.len() as u64) < WHOLE_BYTES {
        return Ok((serde_json::from_slice(&first), hashed.hasher.digest()));
    }
    let mut reader = BufReader::with_capacity(PIECE_BYTES, first.as_slice().chain(hashed));
    let mut document = serde_json::Deserializer::from_reader(&mut reader);
    let parsed = T::deserialize(&mut document).and_then(|value| document.end().map(|()| value));
    let parsed = match parsed {
        Err(error) if error.is_io() => return Err(error.into()),
        parsed => parsed,
    };
    let (_, mut hashed) = reader.into_inner().into_inner();
    io::copy(&mut hashed, &mut io::sink())?;
    Ok((parsed, hashed.hasher.digest()))
}

/// Returns the digest of bytes.
///
/// # Errors
/// When they cannot be read.
pub(super) fn digest(bytes: impl Read) -> io::Result<Digest> {
    let mut hashed = Hashed { bytes, hasher: Hasher::default() };
    io::copy(&mut hashed, &mut io::sink())?;
    Ok(hashed.hasher.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_all_bytes_whatever_they_say() {
        let long = |end: &str| format!("[1{}{end}", ",1".repeat(1 << 20));
        let short = ["[1,2]", "[1,", "[1] x", "", "[1,2]\n"].map(str::to_owned);
        for text in short.into_iter().chain(["]", "", "] x", ",x]   "].map(long)) {
            let (parsed, of_bytes) = read::<Vec<u8>>(text.as_bytes()).unwrap();
            assert_eq!(of_bytes, Digest::of(text.as_bytes()));
            assert_eq!(parsed.ok(), serde_json::from_str(&text).ok());
        }
    }

    #[test]
    fn what_is_written_is_the_text_of_the_value() {
        let value: Vec<u32> = (0..100_000).collect();
        let (mut bytes, mut hasher) = (Vec::new(), Hasher::default());
        write(&mut bytes, &value).unwrap();
        write(&mut hasher, &value).unwrap();
        assert_eq!(bytes, serde_json::to_vec(&value).unwrap());
        assert_eq!(hasher.digest(), Digest::of(&bytes));
    }

    #[test]
    fn a_disk_that_cannot_be_read_is_no_damage() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(5))
            }
        }
        for read_before in [3, 3 << 20] {
            let error = read::<Vec<u8>>(io::repeat(b' ').take(read_before).chain(Broken)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(5));
        }
    }
}
