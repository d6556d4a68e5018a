//! Compressed bytes to plain ones.

use std::fmt;
use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::problem::{FileProblem, ReadError};

/// How the bytes of a landed file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip, of one or several members.
    Gzip,
    /// Zstandard, of one or several frames.
    Zstd,
}

impl Compression {
    /// Returns what the last suffix of `path` says: `.gz`, `.zst`, or anything else for plain.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path.rsplit_once('.') {
            Some((_, "gz")) => Self::Gzip,
            Some((_, "zst")) => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// The decoded bytes of a file.
pub(super) enum Decoder<R: Read> {
    Plain(Source<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Source<R>>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Source<R>>>>),
}

/// The bytes as they come, with a memory of whether they could be had: a decoder's errors look just like theirs.
pub(super) struct Source<R> {
    inner: R,
    failed: bool,
    any: bool,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into);
        match &read {
            Ok(0) => {}
            Ok(_) => self.any = true,
            Err(error) => self.failed |= error.kind() != io::ErrorKind::Interrupted,
        }
        read
    }
}

/// How much compressed input is taken in at once.
const INPUT_BYTES: usize = 256 << 10;

impl<R: Read> Decoder<R> {
    pub(super) fn new(compression: Compression, bytes: R) -> io::Result<Self> {
        let source = Source { inner: bytes, failed: false, any: false };
        Ok(match compression {
            Compression::Plain => Self::Plain(source),
            Compression::Gzip => {
                Self::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(INPUT_BYTES, source))))
            }
            Compression::Zstd => {
                Self::Zstd(Box::new(zstd::Decoder::with_buffer(BufReader::with_capacity(INPUT_BYTES, source))?))
            }
        })
    }

    /// Fills `into` as far as the file reaches and returns how much that is, whatever pieces the bytes come in.
    pub(super) fn fill(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            match self.read(&mut into[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // An empty file holds no frame, which the zstd library takes for the end of the last one.
        if filled == 0 && matches!(self, Self::Zstd(_)) && !self.source().any {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(filled)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(into),
            Self::Gzip(decoder) => decoder.read(into),
            Self::Zstd(decoder) => decoder.read(into),
        }
    }

    fn source(&self) -> &Source<R> {
        match self {
            Self::Plain(source) => source,
            Self::Gzip(decoder) => decoder.get_ref().get_ref(),
            Self::Zstd(decoder) => decoder.get_ref().get_ref(),
        }
    }

    /// Returns what an error of [`Self::fill`] means, `decoded_bytes` into the file.
    pub(super) fn explain<E>(&self, error: io::Error, decoded_bytes: u64) -> ReadError<E> {
        let compression = match self {
            Self::Plain(_) => return ReadError::Read(error),
            Self::Gzip(_) => Compression::Gzip,
            Self::Zstd(_) => Compression::Zstd,
        };
        if self.source().failed {
            ReadError::Read(error)
        } else if error.kind() == io::ErrorKind::UnexpectedEof {
            FileProblem::Truncated { compression, decoded_bytes }.into()
        } else {
            FileProblem::Corrupt { compression, decoded_bytes, message: error.to_string() }.into()
        }
    }
}
