//! Bytes in any encoding to UTF-8.
//!
//! UTF-8 goes through as it is, mistakes included; all else is decoded. Promises: a byte order mark goes before what was
//! declared; bytes that the encoding does not know are never replaced by something that looks like text, but stand in
//! the decoded text as `\xff` and themselves (those below `\x80` as another `\xff`), which is never UTF-8, so that
//! their record is quarantined.

use std::io::{self, Read};

use encoding_rs::{DecoderResult, Encoding, UTF_8};

use super::decode::Decoder;

/// The decoded text of a file.
pub(super) struct Text<R: Read> {
    pub(super) decoder: Decoder<R>,
    state: State,
}

enum State {
    /// Nothing has been read.
    Start {
        declared: &'static Encoding,
    },
    /// The bytes are the text.
    Utf8,
    Other(Box<Transcoder>),
}

impl<R: Read> Text<R> {
    pub(super) fn new(decoder: Decoder<R>, declared: &'static Encoding) -> Self {
        Self { decoder, state: State::Start { declared } }
    }

    /// Returns what the bytes stand for; before any was read, what was declared.
    pub(super) fn encoding(&self) -> &'static Encoding {
        match &self.state {
            State::Start { declared } => declared,
            State::Utf8 => UTF_8,
            State::Other(transcoder) => transcoder.decoder.encoding(),
        }
    }

    /// Fills `into`, which at first has room for a byte order mark, as far as the file reaches, and returns how much that
    /// is, whatever pieces the bytes come in.
    pub(super) fn fill(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Utf8 => self.decoder.fill(into),
            State::Other(transcoder) => transcoder.fill(&mut self.decoder, into),
            State::Start { declared } => {
                let mut start = [0; 3];
                let length = self.decoder.fill(&mut start)?;
                let encoding = Encoding::for_bom(&start[..length]).map_or(*declared, |(encoding, _)| encoding);
                if encoding == UTF_8 {
                    self.state = State::Utf8;
                    into[..length].copy_from_slice(&start[..length]);
                    // A file at its end need not be asked again, and a stream of no frames must not be.
                    let is_all = length < start.len();
                    return if is_all { Ok(length) } else { Ok(length + self.decoder.fill(&mut into[length..])?) };
                }
                self.state = State::Other(Box::new(Transcoder::new(encoding, &start[..length])));
                self.fill(into)
            }
        }
    }
}

/// How many bytes are decoded at once.
const INPUT_BYTES: usize = 64 << 10;
/// How far back a mistake may begin that is noticed only now.
const HISTORY_BYTES: usize = 16;

struct Transcoder {
    decoder: encoding_rs::Decoder,
    /// The last bytes that were decoded, then those that are to be.
    input: Vec<u8>,
    /// How much of the input is decoded.
    at: usize,
    filled: usize,
    ended: bool,
    /// What was decoded, and how much of it was handed on.
    text: Vec<u8>,
    given: usize,
    finished: bool,
}

impl Transcoder {
    fn new(encoding: &'static Encoding, start: &[u8]) -> Self {
        let mut input = vec![0; HISTORY_BYTES + INPUT_BYTES];
        let filled = HISTORY_BYTES + start.len();
        input[HISTORY_BYTES..filled].copy_from_slice(start);
        Self {
            decoder: encoding.new_decoder_without_bom_handling(),
            input,
            at: HISTORY_BYTES,
            filled,
            ended: false,
            text: Vec::new(),
            given: 0,
            finished: false,
        }
    }

    fn fill<R: Read>(&mut self, bytes: &mut Decoder<R>, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            let ready = (self.text.len() - self.given).min(into.len() - filled);
            into[filled..filled + ready].copy_from_slice(&self.text[self.given..self.given + ready]);
            filled += ready;
            self.given += ready;
            if filled == into.len() || self.finished {
                return Ok(filled);
            }
            if self.at == self.filled && !self.ended {
                self.input.copy_within(self.at - HISTORY_BYTES..self.at, 0);
                self.at = HISTORY_BYTES;
                let read = bytes.fill(&mut self.input[HISTORY_BYTES..])?;
                self.filled = HISTORY_BYTES + read;
                self.ended = read < INPUT_BYTES;
            }
            self.decode();
        }
    }

    /// Decodes the input as far as the first mistake.
    fn decode(&mut self) {
        self.given = 0;
        self.text.resize(4 * INPUT_BYTES, 0);
        let input = &self.input[self.at..self.filled];
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(input, &mut self.text, self.ended);
        self.at += read;
        self.text.truncate(written);
        match result {
            DecoderResult::InputEmpty => self.finished = self.ended,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(length, after) => {
                let end = self.at - usize::from(after);
                self.text.push(0xff);
                let unknown = &self.input[end - usize::from(length)..end];
                self.text.extend(unknown.iter().map(|&byte| if byte < 0x80 { 0xff } else { byte }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::decode::Compression;

    /// Decodes `bytes` into windows of `room` bytes.
    fn decode(declared: &str, bytes: &[u8], room: usize) -> Vec<u8> {
        let declared = Encoding::for_label(declared.as_bytes()).unwrap();
        let mut text = Text::new(Decoder::new(Compression::Plain, bytes).unwrap(), declared);
        let (mut all, mut window) = (Vec::new(), vec![0; room]);
        loop {
            let read = text.fill(&mut window).unwrap();
            all.extend_from_slice(&window[..read]);
            if read < room {
                return all;
            }
        }
    }

    #[track_caller]
    fn check(declared: &str, bytes: &[u8], expected: &[u8]) {
        for room in [8, 9, 64, 1 << 20] {
            assert_eq!(decode(declared, bytes, room), expected, "{room}");
        }
    }

    #[test]
    fn a_mark_goes_before_what_is_declared() {
        check("gb18030", b"\xb6\xa9\xb5\xa5,1\n", "订单,1\n".as_bytes());
        check("gb18030", b"\xef\xbb\xbf\xe8\xae\xa2", "\u{feff}订".as_bytes());
        check("utf-8", b"\xff\xfe\xa2\x8b1\0", "\u{feff}订1".as_bytes());
        check("utf-8", b"\xfe\xff\x8b\xa2\x001", "\u{feff}订1".as_bytes());
        check("utf-16be", b"\x8b\xa2", "订".as_bytes());
        check("windows-1252", b"caf\xe9 \x80", "café €".as_bytes());
        check("utf-8", b"caf\xe9", b"caf\xe9");
        check("utf-8", b"", b"");
        check("utf-16le", b"", b"");
    }

    #[test]
    fn what_the_encoding_does_not_know_is_never_text() {
        // A lead byte before a line end, a lead byte at the end of the file.
        check("gb18030", b"a\x81\nb\xff,\x81", b"a\xff\x81\nb\xff\xff,\xff\x81");
        // Half of a pair, and half of a unit.
        check("utf-16le", b"a\0\x3d\xd8b\0", b"a\xff\xff\xd8b");
        check("utf-16le", b"a\0\n", b"a\xff\xff");
        for label in ["gb18030", "utf-16le", "shift_jis"] {
            let many = b"\x81".repeat(3 * INPUT_BYTES + 1);
            assert!(std::str::from_utf8(&decode(label, &many, 100)).is_err(), "{label}");
        }
    }

    #[test]
    fn long_texts_are_decoded_as_a_whole() {
        let text = "a订单😀é,\n".repeat(20_000);
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode("utf-16le", &bytes, 1000), text.as_bytes());
        let (bytes, _, _) = encoding_rs::GB18030.encode(&text);
        assert_eq!(decode("gb18030", &bytes, 777), text.as_bytes());
    }
}
