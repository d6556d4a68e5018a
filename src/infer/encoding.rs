//! What the bytes of a file stand for that are not UTF-8, told from the pairs that they come in.
//!
//! Knows GB18030, Big5 and `Shift_JIS` by the characters that are used most; all else is taken for Windows-1252. So the
//! answer is a guess, and whoever asks has it confirmed.

use encoding_rs::{BIG5, Encoding, GB18030, SHIFT_JIS, UTF_8, WINDOWS_1252};

/// How many bytes are kept to tell an encoding from.
const KEPT_BYTES: usize = 64 << 10;

/// The share of pairs that must be usual ones.
const USUAL_SHARE: f64 = 0.7;

/// Texts with bytes beyond ASCII, gathered to tell what those stand for.
#[derive(Debug, Default)]
pub(super) struct Wide {
    /// How many of them are UTF-8.
    pub(super) right: u64,
    /// How many are not.
    wrong: u64,
    /// The first of those, a line each.
    kept: Vec<u8>,
}

impl Wide {
    /// Gathers the lines of a beginning; the last one may be cut off.
    pub(super) fn of_lines(bytes: &[u8], is_whole: bool) -> Self {
        let mut wide = Self::default();
        let mut lines = bytes.split(|&byte| byte == b'\n');
        if !is_whole {
            lines.next_back();
        }
        lines.for_each(|line| wide.push(line));
        wide
    }

    /// Takes a text.
    pub(super) fn push(&mut self, text: &[u8]) {
        if text.is_ascii() {
            return;
        }
        if std::str::from_utf8(text).is_ok() {
            self.right += 1;
            return;
        }
        self.wrong += 1;
        if self.kept.len() + text.len() < KEPT_BYTES {
            self.kept.extend_from_slice(text);
            self.kept.push(b'\n');
        }
    }

    /// Returns what the bytes stand for, unless most texts are UTF-8 and the others damaged.
    pub(super) fn tell(&self) -> &'static Encoding {
        if self.wrong <= self.right { UTF_8 } else { tell(&self.kept) }
    }

    /// Returns a few words that are read otherwise than as UTF-8, as `encoding` reads them.
    pub(super) fn words(&self, encoding: &'static Encoding) -> Vec<String> {
        const SHOWN: usize = 3;
        let (text, _) = encoding.decode_without_bom_handling(&self.kept);
        let mut words = Vec::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_ascii()) {
            if words.len() < SHOWN && !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
        words
    }
}

fn tell(bytes: &[u8]) -> &'static Encoding {
    let chinese = |pair: [u8; 2]| match pair {
        // Punctuation and full-width letters; then the 3755 characters that are used most.
        [0xa1..=0xa3 | 0xb0..=0xd7, 0xa1..=0xfe] => Pair::Usual,
        _ => Pair::Strange,
    };
    let traditional = |pair: [u8; 2]| match pair {
        [0xa1..=0xc6, 0x40..=0x7e | 0xa1..=0xfe] => Pair::Usual,
        _ => Pair::Strange,
    };
    let japanese = |pair: [u8; 2]| match pair {
        [0x82, 0x9f..=0xf1] | [0x83, 0x40..=0x96] => Pair::Kana,
        [0x81 | 0x88..=0x97, 0x40..=0x7e | 0x80..=0xfc] => Pair::Usual,
        _ => Pair::Strange,
    };
    let (chinese, _) = shares(bytes, chinese);
    let (traditional, _) = shares(bytes, traditional);
    let (japanese, kana) = shares(bytes, japanese);
    // Text of a European language has such pairs by accident; syllables it has not.
    let japanese = if kana > 0.2 { japanese } else { 0.0 };
    let scored = [(GB18030, chinese), (BIG5, traditional), (SHIFT_JIS, japanese)];
    let best = scored.into_iter().rev().max_by(|(_, a), (_, b)| a.total_cmp(b));
    best.filter(|(_, share)| *share >= USUAL_SHARE).map_or(WINDOWS_1252, |(encoding, _)| encoding)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    Usual,
    /// Usual, and a syllable.
    Kana,
    Strange,
}

/// Cuts bytes into ASCII and pairs, and returns the share of usual pairs among all, and that of syllables.
fn shares(bytes: &[u8], kind: impl Fn([u8; 2]) -> Pair) -> (f64, f64) {
    let (mut pairs, mut usual, mut kana) = (0_u32, 0_u32, 0_u32);
    let mut rest = bytes.iter().copied();
    while let Some(lead) = rest.next() {
        if lead.is_ascii() {
            continue;
        }
        let found = rest.clone().next().map_or(Pair::Strange, |trail| kind([lead, trail]));
        pairs += 1;
        usual += u32::from(found != Pair::Strange);
        kana += u32::from(found == Pair::Kana);
        // A strange pair may be one byte and something else.
        if found != Pair::Strange {
            rest.next();
        }
    }
    let share = |part: u32| f64::from(part) / f64::from(pairs.max(1));
    (share(usual), share(kana))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, encoding: &'static Encoding) {
        let (bytes, _, has_unknown) = encoding.encode(text);
        assert!(!has_unknown, "{text}");
        let wide = Wide::of_lines(&bytes, true);
        assert_eq!(wide.tell(), encoding, "{text}");
    }

    #[test]
    fn encodings_are_told_by_their_usual_characters() {
        check("客户,状态\n王伟,已关闭\n李娜,待处理，请回电\n", GB18030);
        check("客戶,狀態\n陳大文,已關閉\n林小姐,處理中，請回電\n", BIG5);
        check("番号,名前\n1,田中さん\n2,カタカナ\n", SHIFT_JIS);
        check("name,city\nMüller,Köln\nJosé,Málaga\nÅngström,Malmö\n", WINDOWS_1252);
        check("id,note\n1,“it’s”\n2,10 €\n", WINDOWS_1252);
        check("name\nMüller\n", UTF_8);
        check("name\nLin\n", UTF_8);
    }

    #[test]
    fn one_damaged_line_among_many_is_damage() {
        let mut bytes = "Müller\nJosé\n".as_bytes().to_vec();
        bytes.extend(b"M\xfcller\n");
        assert_eq!(Wide::of_lines(&bytes, true).tell(), UTF_8);
    }

    #[test]
    fn words_are_shown_as_they_would_be_read() {
        let wide = Wide::of_lines(b"M\xfcller;K\xf6ln\nM\xfcller;x\n", true);
        assert_eq!(wide.words(WINDOWS_1252), ["Müller", "Köln"]);
    }
}
