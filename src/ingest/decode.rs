//! Compressed bytes to plain ones.
//!
//! What a file holds tells how it is compressed; its name has a say only where the content has none. Memory of every
//! decoder is bounded.

use std::fmt;
use std::io::{self, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;

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
    /// bzip2, of one or several streams.
    Bzip2,
    /// xz, of one or several streams.
    Xz,
}

impl Compression {
    /// Returns what the last suffix of `path` says: `.gz`, `.zst`, `.bz2`, `.xz`, or anything else for plain.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path.rsplit_once('.') {
            Some((_, "gz")) => Self::Gzip,
            Some((_, "zst")) => Self::Zstd,
            Some((_, "bz2")) => Self::Bzip2,
            Some((_, "xz")) => Self::Xz,
            _ => Self::Plain,
        }
    }

    /// Returns what the beginning of a file says, whose name says `self`.
    fn told_by(self, start: &[u8]) -> Self {
        for compression in [Self::Gzip, Self::Zstd, Self::Bzip2, Self::Xz] {
            if start.starts_with(compression.signature())
                && (compression == self || compression != Self::Bzip2 || is_bzip2(start))
            {
                return compression;
            }
        }
        // Somebody unpacked it on the way and left its name, unless it is so short that it may be cut off.
        if is_text(start) && !self.signature().starts_with(start) { Self::Plain } else { self }
    }

    /// Returns what a file that is compressed so starts with.
    fn signature(self) -> &'static [u8] {
        match self {
            Self::Plain => b"",
            Self::Gzip => b"\x1f\x8b\x08",
            Self::Zstd => b"\x28\xb5\x2f\xfd",
            Self::Bzip2 => b"BZh",
            Self::Xz => b"\xfd7zXZ\0",
        }
    }
}

/// After three letters that a text may start with comes the level, and then a block or the end of the stream.
fn is_bzip2(start: &[u8]) -> bool {
    matches!(start.get(3), Some(b'1'..=b'9'))
        && start.get(4..10).is_some_and(|magic| matches!(magic, b"1AY&SY" | b"\x17\x72\x45\x38\x50\x90"))
}

/// Returns whether nothing speaks against bytes being text.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        })
    }
}

/// The plain bytes of a file.
pub(super) enum Decoder<R: Read> {
    Plain(Source<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Source<R>>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Source<R>>>>),
    Bzip2(Box<MultiBzDecoder<BufReader<Source<R>>>>),
    Xz(Box<XzDecoder<BufReader<Source<R>>>>),
}

/// The bytes as they come, with a memory of whether they could be had: a decoder's errors look just like theirs.
pub(super) struct Source<R> {
    inner: R,
    /// What was read to tell the compression, and how much of it was given out again.
    start: Vec<u8>,
    given: usize,
    failed: bool,
    /// How many bytes have been given out.
    taken: u64,
}

impl<R: Read> Source<R> {
    fn new(mut inner: R) -> io::Result<Self> {
        let mut start = vec![0; START_BYTES];
        let length = fill(&mut inner, &mut start)?;
        start.truncate(length);
        Ok(Self { inner, start, given: 0, failed: false, taken: 0 })
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given < self.start.len() {
            let length = (self.start.len() - self.given).min(into.len());
            into[..length].copy_from_slice(&self.start[self.given..self.given + length]);
            self.given += length;
            self.taken += length as u64;
            return Ok(length);
        }
        let read = self.inner.read(into);
        match &read {
            Ok(length) => self.taken += *length as u64,
            Err(error) => self.failed |= error.kind() != io::ErrorKind::Interrupted,
        }
        read
    }
}

/// Reads until `into` is full or the bytes are at their end.
fn fill(bytes: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match bytes.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// How much of a file is looked at to tell its compression.
const START_BYTES: usize = 512;

/// How much compressed input is taken in at once.
const INPUT_BYTES: usize = 256 << 10;

/// The most memory that xz may ask for; its strongest preset takes 65 MiB.
const XZ_BYTES: u64 = 256 << 20;

impl<R: Read> Decoder<R> {
    /// Opens bytes whose file's name says that they are compressed as in `named`.
    pub(super) fn new(named: Compression, bytes: R) -> io::Result<Self> {
        let source = Source::new(bytes)?;
        let compression = named.told_by(&source.start);
        let buffered = |source| BufReader::with_capacity(INPUT_BYTES, source);
        Ok(match compression {
            Compression::Plain => Self::Plain(source),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(buffered(source)))),
            Compression::Zstd => Self::Zstd(Box::new(zstd::Decoder::with_buffer(buffered(source))?)),
            Compression::Bzip2 => Self::Bzip2(Box::new(MultiBzDecoder::new(buffered(source)))),
            Compression::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_BYTES, liblzma::stream::CONCATENATED)?;
                Self::Xz(Box::new(XzDecoder::new_stream(buffered(source), stream)))
            }
        })
    }

    /// Fills `into` as far as the file reaches and returns how much that is, whatever pieces the bytes come in.
    pub(super) fn fill(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let filled = fill(self, into)?;
        // An empty file holds no stream, which some libraries take for the end of the last one.
        if filled == 0 && !into.is_empty() && self.compression() != Compression::Plain && self.taken() == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(filled)
    }

    fn source(&self) -> &Source<R> {
        match self {
            Self::Plain(source) => source,
            Self::Gzip(decoder) => decoder.get_ref().get_ref(),
            Self::Zstd(decoder) => decoder.get_ref().get_ref(),
            Self::Bzip2(decoder) => decoder.get_ref().get_ref(),
            Self::Xz(decoder) => decoder.get_ref().get_ref(),
        }
    }

    /// Returns how many compressed bytes have been read.
    pub(super) fn taken(&self) -> u64 {
        self.source().taken
    }

    /// Returns how the file is compressed.
    pub(super) fn compression(&self) -> Compression {
        match self {
            Self::Plain(_) => Compression::Plain,
            Self::Gzip(_) => Compression::Gzip,
            Self::Zstd(_) => Compression::Zstd,
            Self::Bzip2(_) => Compression::Bzip2,
            Self::Xz(_) => Compression::Xz,
        }
    }

    /// Returns what an error of [`Self::fill`] means, `decoded_bytes` into the file.
    pub(super) fn explain<E>(&self, error: io::Error, decoded_bytes: u64) -> ReadError<E> {
        let compression = self.compression();
        if compression == Compression::Plain || self.source().failed {
            ReadError::Read(error)
        } else if error.kind() == io::ErrorKind::UnexpectedEof {
            FileProblem::Truncated { compression, decoded_bytes }.into()
        } else {
            FileProblem::Corrupt { compression, decoded_bytes, message: error.to_string() }.into()
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(into),
            Self::Gzip(decoder) => decoder.read(into),
            Self::Zstd(decoder) => decoder.read(into),
            Self::Bzip2(decoder) => decoder.read(into),
            Self::Xz(decoder) => decoder.read(into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_goes_before_the_name() {
        let told = |named: Compression, start: &[u8]| named.told_by(start);
        for (start, compression) in [
            (&b"\x1f\x8b\x08\0"[..], Compression::Gzip),
            (b"\x28\xb5\x2f\xfd\0", Compression::Zstd),
            (b"BZh91AY&SYxx", Compression::Bzip2),
            (b"BZh9\x17\x72\x45\x38\x50\x90", Compression::Bzip2),
            (b"\xfd7zXZ\0x", Compression::Xz),
            (b"BZh,b\n1,2\n", Compression::Plain),
            (b"id,b\n1,2\n", Compression::Plain),
        ] {
            for named in [Compression::Plain, Compression::Gzip, Compression::Xz] {
                assert_eq!(told(named, start), compression, "{start:?} {named}");
            }
        }
        // What is no text is left to the decoder that the name calls for, which says what is wrong.
        assert_eq!(told(Compression::Gzip, b"\0\x01\x02"), Compression::Gzip);
        assert_eq!(told(Compression::Zstd, b"("), Compression::Zstd);
        assert_eq!(told(Compression::Xz, b""), Compression::Xz);
    }
}
