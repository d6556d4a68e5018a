//! The stretch of the decoded file that is in memory.

use std::io::Read;

use super::decode::Decoder;
use super::problem::{FileProblem, ReadError};
use crate::digest::Digest;

/// A window that slides over the decoded file.
///
/// - Holds at least one whole record, or more than the limit of a record, after enough calls of [`Self::refill`].
/// - Never grows beyond the limit of a record plus one chunk.
/// - What is in it does not depend on the pieces that the bytes come in.
pub(super) struct Chunk<R: Read> {
    decoder: Decoder<R>,
    bytes: Vec<u8>,
    filled: usize,
    most: usize,
    /// Where the window starts in the file.
    base: u64,
    ended: bool,
    file_limit: u64,
    hasher: blake3::Hasher,
}

impl<R: Read> Chunk<R> {
    pub(super) fn new(decoder: Decoder<R>, chunk_bytes: usize, record_limit: usize, file_limit: u64) -> Self {
        let most = chunk_bytes + record_limit + 1;
        Self {
            decoder,
            bytes: vec![0; chunk_bytes],
            filled: 0,
            most,
            base: 0,
            ended: false,
            file_limit,
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
        let read = self.decoder.fill(room).map_err(|error| self.decoder.explain(error, decoded))?;
        self.hasher.update(&room[..read]);
        self.ended = read < room.len();
        self.filled += read;
        if decoded + read as u64 > self.file_limit {
            return Err(FileProblem::TooLarge { limit_bytes: self.file_limit }.into());
        }
        Ok(())
    }
}
