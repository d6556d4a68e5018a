//! The stretch of the decoded file that is in memory.

use std::io::Read;
use std::time::Instant;

use super::decode::Compression;
use super::encoding::Text;
use super::problem::{FileProblem, ReadError};
use crate::digest::Digest;
use crate::project::Limits;

/// A window that slides over the decoded file.
///
/// - Holds at least one whole record, or more than the limit of a record, after enough calls of [`Self::refill`].
/// - Never grows beyond the limit of a record plus one chunk.
/// - What is in it does not depend on the pieces that the bytes come in.
pub(super) struct Chunk<R: Read> {
    text: Text<R>,
    bytes: Vec<u8>,
    filled: usize,
    most: usize,
    /// Where the window starts in the file.
    base: u64,
    ended: bool,
    limits: Limits,
    started: Instant,
    hasher: blake3::Hasher,
}

/// Below so many decoded bytes it does not matter how little they were decoded from.
const HARMLESS_BYTES: u64 = 64 << 20;

impl<R: Read> Chunk<R> {
    pub(super) fn new(text: Text<R>, chunk_bytes: usize, record_limit: usize, limits: Limits) -> Self {
        let most = chunk_bytes + record_limit + 1;
        Self {
            text,
            bytes: vec![0; chunk_bytes],
            filled: 0,
            most,
            base: 0,
            ended: false,
            limits,
            started: Instant::now(),
            hasher: blake3::Hasher::new(),
        }
    }

    /// Returns the bytes in the window.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Returns where the window starts in the file.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Returns whether the window reaches to the end of the file.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Returns the digest of the decoded file as far as it has been read.
    pub(super) fn digest(&self) -> Digest {
        Digest::from_hash(self.hasher.finalize())
    }

    /// Lets go of the first `used` bytes and reads on until the window is full or the file at its end.
    pub(super) fn refill<E>(&mut self, used: usize) -> Result<(), ReadError<E>> {
        self.bytes.copy_within(used..self.filled, 0);
        self.filled -= used;
        self.base += used as u64;
        if self.filled == self.bytes.len() {
            // Doubling keeps the work of looking at a long record again in proportion to its length.
            let larger = (self.bytes.len() * 2).min(self.most);
            self.bytes.resize(larger, 0);
        }
        let room = &mut self.bytes[self.filled..];
        let decoded = self.base + self.filled as u64;
        let read = self.text.fill(room).map_err(|error| self.text.decoder.explain(error, decoded))?;
        self.hasher.update(&room[..read]);
        self.ended = read < room.len();
        self.filled += read;
        self.check(decoded + read as u64).map_err(ReadError::File)
    }

    /// Checks a file of which so many bytes are decoded against the limits on files.
    fn check(&self, decoded: u64) -> Result<(), FileProblem> {
        let Limits { file_bytes, expansion, file_seconds, .. } = self.limits;
        if decoded > file_bytes {
            return Err(FileProblem::TooLarge { limit_bytes: file_bytes });
        }
        let decoder = &self.text.decoder;
        let is_packed = decoder.compression() != Compression::Plain;
        if is_packed && decoded > HARMLESS_BYTES && decoded / expansion > decoder.taken() {
            return Err(FileProblem::Expansion {
                limit: expansion,
                packed_bytes: decoder.taken(),
                decoded_bytes: decoded,
            });
        }
        if self.started.elapsed().as_secs() >= file_seconds {
            return Err(FileProblem::TooSlow { limit_seconds: file_seconds, decoded_bytes: decoded });
        }
        Ok(())
    }
}
