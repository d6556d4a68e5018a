//! Compressed bytes to plain ones.
//!
//! What a file holds tells how it is compressed; its name has a say only where the content has none. Memory of every
//! decoder is bounded. Line ends or zero bytes behind the last stream are padding, as some programs and tapes leave it;
//! anything else there is damage.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
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
        // Nothing at all is an empty file, whatever its name.
        if start.is_empty() {
            return Self::Plain;
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
    Packed(Streams<R>),
}

/// The streams of a compressed file, one behind the other.
pub(super) struct Streams<R: Read> {
    compression: Compression,
    /// Nothing only while the next one is being opened, or where that failed.
    stream: Option<Box<Stream<R>>>,
    /// How many bytes had been read when there was no stream to ask.
    taken: u64,
    failed: bool,
}

/// A compressed file as far as it has been read.
enum Stream<R: Read> {
    Gzip(GzDecoder<BufReader<Source<R>>>),
    Zstd(zstd::Decoder<'static, BufReader<Source<R>>>),
    Bzip2(BzDecoder<BufReader<Source<R>>>),
    Xz(XzDecoder<BufReader<Source<R>>>),
    /// Nothing follows.
    Ended(BufReader<Source<R>>),
}

impl<R: Read> Stream<R> {
    /// Begins the stream that comes next.
    fn open(compression: Compression, bytes: BufReader<Source<R>>) -> io::Result<Self> {
        Ok(match compression {
            Compression::Plain => Self::Ended(bytes),
            Compression::Gzip => Self::Gzip(GzDecoder::new(bytes)),
            Compression::Zstd => Self::Zstd(zstd::Decoder::with_buffer(bytes)?.single_frame()),
            Compression::Bzip2 => Self::Bzip2(BzDecoder::new(bytes)),
            Compression::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_BYTES, 0)?;
                Self::Xz(XzDecoder::new_stream(bytes, stream))
            }
        })
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(into),
            Self::Zstd(decoder) => decoder.read(into),
            Self::Bzip2(decoder) => decoder.read(into),
            Self::Xz(decoder) => decoder.read(into),
            Self::Ended(_) => Ok(0),
        }
    }

    fn source(&self) -> &Source<R> {
        match self {
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zstd(decoder) => decoder.get_ref(),
            Self::Bzip2(decoder) => decoder.get_ref(),
            Self::Xz(decoder) => decoder.get_ref(),
            Self::Ended(bytes) => bytes,
        }
        .get_ref()
    }

    fn into_bytes(self) -> BufReader<Source<R>> {
        match self {
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
            Self::Bzip2(decoder) => decoder.into_inner(),
            Self::Xz(decoder) => decoder.into_inner(),
            Self::Ended(bytes) => bytes,
        }
    }
}

impl<R: Read> Streams<R> {
    fn new(compression: Compression, bytes: BufReader<Source<R>>) -> io::Result<Self> {
        let stream = Some(Box::new(Stream::open(compression, bytes)?));
        Ok(Self { compression, stream, taken: 0, failed: false })
    }

    fn taken(&self) -> u64 {
        self.stream.as_ref().map_or(self.taken, |stream| stream.source().taken)
    }

    fn has_failed(&self) -> bool {
        self.failed || self.stream.as_ref().is_some_and(|stream| stream.source().failed)
    }

    /// Goes on behind a stream that is at its end.
    fn go_on(&mut self) -> io::Result<()> {
        (self.taken, self.failed) = (self.taken(), self.has_failed());
        let Some(stream) = self.stream.take() else { return Ok(()) };
        let mut bytes = stream.into_bytes();
        let next = match bytes.fill_buf() {
            Ok(next) => next.first().copied(),
            Err(error) => {
                self.stream = Some(Box::new(Stream::Ended(bytes)));
                return Err(error);
            }
        };
        match next {
            None => self.stream = Some(Box::new(Stream::Ended(bytes))),
            Some(byte) if is_padding(byte) => {
                let passed = pass_over_padding(&mut bytes);
                self.stream = Some(Box::new(Stream::Ended(bytes)));
                passed?;
            }
            Some(_) => self.stream = Some(Box::new(Stream::open(self.compression, bytes)?)),
        }
        Ok(())
    }
}

impl<R: Read> Read for Streams<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(stream) = &mut self.stream {
            let read = stream.read(into)?;
            if read > 0 || into.is_empty() || matches!(**stream, Stream::Ended(_)) {
                return Ok(read);
            }
            self.go_on()?;
        }
        Ok(0)
    }
}

fn is_padding(byte: u8) -> bool {
    matches!(byte, 0 | b'\n' | b'\r')
}

/// Reads to the end of bytes that should all be padding.
fn pass_over_padding(bytes: &mut impl BufRead) -> io::Result<()> {
    loop {
        let padding = match bytes.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            padding => padding?,
        };
        if padding.is_empty() {
            return Ok(());
        }
        if !padding.iter().all(|&byte| is_padding(byte)) {
            let message = "something that is no stream follows the last one";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let length = padding.len();
        bytes.consume(length);
    }
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
        if compression == Compression::Plain {
            return Ok(Self::Plain(source));
        }
        Ok(Self::Packed(Streams::new(compression, BufReader::with_capacity(INPUT_BYTES, source))?))
    }

    /// Fills `into` as far as the file reaches and returns how much that is, whatever pieces the bytes come in.
    pub(super) fn fill(&mut self, into: &mut [u8]) -> io::Result<usize> {
        fill(self, into)
    }

    /// Returns how many compressed bytes have been read.
    pub(super) fn taken(&self) -> u64 {
        match self {
            Self::Plain(source) => source.taken,
            Self::Packed(streams) => streams.taken(),
        }
    }

    /// Returns how the file is compressed.
    pub(super) fn compression(&self) -> Compression {
        match self {
            Self::Plain(_) => Compression::Plain,
            Self::Packed(streams) => streams.compression,
        }
    }

    /// Returns what an error of [`Self::fill`] means, `decoded_bytes` into the file.
    pub(super) fn explain<E>(&self, error: io::Error, decoded_bytes: u64) -> ReadError<E> {
        let compression = self.compression();
        let has_failed = match self {
            Self::Plain(_) => true,
            Self::Packed(streams) => streams.has_failed(),
        };
        if has_failed {
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
            Self::Packed(streams) => streams.read(into),
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
        assert_eq!(told(Compression::Xz, b""), Compression::Plain);
    }

    /// Packs a text in each way.
    fn packed(text: &[u8]) -> [(Compression, Vec<u8>); 4] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut gzip, text).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        io::Write::write_all(&mut bzip2, text).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        io::Write::write_all(&mut xz, text).unwrap();
        [
            (Compression::Gzip, gzip.finish().unwrap()),
            (Compression::Zstd, zstd::encode_all(text, 1).unwrap()),
            (Compression::Bzip2, bzip2.finish().unwrap()),
            (Compression::Xz, xz.finish().unwrap()),
        ]
    }

    fn unpacked(named: Compression, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut decoder = Decoder::new(named, bytes).unwrap();
        let mut text = vec![0; 1 << 20];
        let length = decoder.fill(&mut text).map_err(|error| {
            let told: ReadError<std::convert::Infallible> = decoder.explain(error, 0);
            told.to_string()
        })?;
        text.truncate(length);
        Ok(text)
    }

    #[test]
    fn streams_may_follow_each_other_and_padding_the_last() {
        for ((compression, one), (_, empty)) in packed(b"id\n1\n").into_iter().zip(packed(b"")) {
            let with = |parts: &[&[u8]]| unpacked(compression, &parts.concat());
            assert_eq!(with(&[&one]).unwrap(), b"id\n1\n", "{compression}");
            assert_eq!(with(&[&one, &empty, &one]).unwrap(), b"id\n1\nid\n1\n", "{compression}");
            assert_eq!(with(&[&empty]).unwrap(), b"", "{compression}");
            for padding in [&b"\n"[..], b"\r\n", b"\0", &[0; 300_000], b"\0\0\n"] {
                assert_eq!(with(&[&one, padding]).unwrap(), b"id\n1\n", "{compression} {}", padding.len());
            }
            for garbage in [&b"garbage behind it"[..], b"\nx", b"\0\0\x1f\x8b\x08", b" \n"] {
                let said = with(&[&one, garbage]).unwrap_err();
                assert!(said.contains("damaged") || said.contains("ends too early"), "{compression} {said}");
            }
            for length in [one.len() - 1, one.len() / 2, 7] {
                let said = with(&[&one[..length]]).unwrap_err();
                assert!(said.contains("ends too early"), "{compression} {length} {said}");
                let said = with(&[&one, &one[..length]]).unwrap_err();
                assert!(said.contains("ends too early"), "{compression} {length} {said}");
            }
        }
    }
}
