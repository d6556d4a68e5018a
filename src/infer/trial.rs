//! Tries what may stand between and around the fields of a file, and takes the form that reads most records.
//!
//! Quotes are taken for text, or a byte for an escape, only where that reads records that are torn otherwise: a form that
//! merely reads as many might change texts that were right.

use super::dialect::is_value;
use crate::ingest::{CsvTrial, quoted, try_csv};
use crate::project::CsvFormat;

/// What may stand between fields, the more usual first.
const USUAL: [u8; 4] = [b',', b'\t', b';', b'|'];

/// What stands between fields of some exports, and in hardly any text.
const RARE: [u8; 10] = [b'~', b'^', 0x01, 0x02, 0x03, 0x1c, 0x1d, 0x1e, 0x1f, b'`'];

/// What stands in many texts, and is believed only where nothing else is there and all records agree.
const ODD: [u8; 9] = [b' ', b':', b'#', b'!', b'*', b'&', b'@', b'%', b'$'];

const ESCAPE: u8 = b'\\';

/// What stands between fields comes at least once in so many lines, however many lines quotes join.
const FEW: usize = 20;

/// A form that takes quotes for text is believed where it reads this share of the records.
const SURE: f64 = 0.9;

/// The form that reads most.
#[derive(Debug)]
pub(super) struct Best {
    pub(super) format: CsvFormat,
    /// How many fields most records have.
    pub(super) width: usize,
    /// What a person should confirm.
    pub(super) questions: Vec<String>,
    /// What would read more records, in words.
    pub(super) hints: Vec<String>,
}

/// A form that was tried.
#[derive(Debug, Clone)]
struct Tried {
    format: CsvFormat,
    width: usize,
    /// How many records have that many fields.
    records: usize,
    /// How many lines or records are others.
    broken: usize,
    trial: CsvTrial,
}

/// The beginning of a file.
#[derive(Debug, Clone, Copy)]
struct Sample<'s> {
    bytes: &'s [u8],
    is_whole: bool,
    /// Whether quotes that do not close are text.
    keeps_stray_quotes: bool,
}

/// Returns the delimiter that a line such as `sep=;` tells.
pub(super) fn told_delimiter(line: &[u8]) -> Option<u8> {
    match line.trim_ascii_end().strip_prefix(b"sep=")? {
        [delimiter] => Some(*delimiter),
        [] => Some(b'\t').filter(|_| line.starts_with(b"sep=\t")),
        _ => None,
    }
}

/// Returns the form that reads most records of one width; without any, the file is one of single fields.
pub(super) fn best(bytes: &[u8], is_whole: bool, told: Option<u8>) -> Best {
    let sample = Sample { bytes, is_whole, keeps_stray_quotes: false };
    let mut questions = Vec::new();
    let (usual, rare): (&[u8], &[u8]) = match &told {
        Some(told) => (std::slice::from_ref(told), &[]),
        None => (&USUAL, &RARE),
    };
    let mut found = sample.best_of(usual, 0.5, None);
    found = sample.best_of(rare, 0.5, found).or_else(|| sample.ragged(usual));
    // Where most records tear a quote, nothing else than reading them all the same tells what stands between fields.
    found = found.or_else(|| Sample { keeps_stray_quotes: true, ..sample }.best_of(usual, 0.5, None));
    // Two fields of which quotes are a part, with records left unread, are none where quotes make single fields of all.
    let is_text = |format: &CsvFormat| format.quote.is_none() || format.keeps_stray_quotes;
    found = found.filter(|(tried, _)| {
        tried.width > 2 || !is_text(&tried.format) || tried.share() > SURE || sample.single(told).0.broken > 0
    });
    if found.is_none() && told.is_none() && !sample.has_single_values() {
        found = sample.best_of(&ODD, 0.98, None).filter(|(tried, _)| tried.width > 2);
        if let Some((tried, _)) = &found {
            let between =
                if tried.format.delimiter == b' ' { "spaces".to_owned() } else { quoted(&[tried.format.delimiter]) };
            questions.push(format!(
                "fields are told apart by {between}, for nothing else divides all records alike: is it so?"
            ));
        }
    }
    let (tried, hints) = found.unwrap_or_else(|| sample.single(told));
    let (tried, hints) = sample.with_stray_quotes(tried, hints);
    Best { format: tried.format, width: tried.width, questions, hints }
}

impl Tried {
    fn share(&self) -> f64 {
        share(self.records, self.records + self.broken)
    }

    /// How much speaks for it: the share of records that are alike, and of fields that nothing else divides.
    fn score(&self) -> f64 {
        let looked_at = self.trial.plain_of.max(1);
        self.share() * share(self.trial.plain, looked_at)
    }

    /// Returns whether it reads records that another does not.
    fn reads_more_than(&self, other: &Self) -> bool {
        self.broken < other.broken && self.records >= other.records
    }
}

impl Sample<'_> {
    /// Returns the best form between whose fields one of some bytes stands, unless `known` is as good.
    fn best_of(
        self,
        delimiters: &[u8],
        least_share: f64,
        known: Option<(Tried, Vec<String>)>,
    ) -> Option<(Tried, Vec<String>)> {
        let mut best = known;
        let lines = self.bytes.iter().filter(|&&byte| matches!(byte, b'\n' | b'\r')).count();
        let is_frequent = |delimiter: &&u8| {
            let count = self.bytes.iter().filter(|byte| *byte == *delimiter).count();
            count > 0 && count * FEW >= lines
        };
        for &delimiter in delimiters.iter().filter(is_frequent) {
            let Some((tried, hints)) = self.best_with(delimiter) else { continue };
            let is_better = best.as_ref().is_none_or(|(known, _)| tried.score() > known.score() + 1e-9);
            if tried.share() > least_share && is_better {
                best = Some((tried, hints));
            }
        }
        best
    }

    /// Returns a form in which most records leave fields out that the first one has, where no width is that of most.
    fn ragged(self, delimiters: &[u8]) -> Option<(Tried, Vec<String>)> {
        const MOST: f64 = 0.9;
        let is_ragged = |tried: &Tried| {
            let Some((named, _)) = tried.trial.widths.first() else { return false };
            let within = |(width, count): &(usize, usize)| if (2..=*named).contains(width) { *count } else { 0 };
            let alike: usize = tried.trial.widths.iter().map(within).sum();
            let all: usize = tried.trial.widths.iter().map(|(_, count)| count).sum();
            *named > 2
                && tried.trial.widths.iter().all(|(width, _)| width <= named)
                && share(alike, all + tried.trial.broken) > MOST
        };
        delimiters.iter().filter_map(|delimiter| self.best_with(*delimiter)).find(|(tried, _)| is_ragged(tried))
    }

    /// Returns the best form with a byte between fields, and what would read more of the file.
    fn best_with(self, delimiter: u8) -> Option<(Tried, Vec<String>)> {
        let base = CsvFormat { delimiter, keeps_stray_quotes: self.keeps_stray_quotes, ..CsvFormat::USUAL };
        self.best_form(&base, None)
    }

    /// Returns a form with quotes that do not close as text, if it reads records that are torn otherwise.
    fn with_stray_quotes(self, known: Tried, hints: Vec<String>) -> (Tried, Vec<String>) {
        // A line that tears a quote in a file of single fields may be anything.
        if known.trial.torn == 0 || known.width < 2 || known.format.quote.is_none() {
            return (known, hints);
        }
        let form = CsvFormat { keeps_stray_quotes: true, ..known.format.clone() };
        match self.attempt(form, Some(known.width)) {
            Some(tried) if tried.reads_more_than(&known) => {
                let hints = if tried.trial.torn == 0 { Vec::new() } else { hints };
                (tried, hints)
            }
            _ => (known, hints),
        }
    }

    /// Returns the best form that differs from `base` in quotes, escapes and spaces; with `width` for records of that many
    /// fields.
    fn best_form(self, base: &CsvFormat, width: Option<usize>) -> Option<(Tried, Vec<String>)> {
        let delimiter = base.delimiter;
        let (double, single) = (self.opened(delimiter, b'"'), self.opened(delimiter, b'\''));
        let mut best = self.attempt(base.clone(), width);
        let usual = best.clone();
        let escapes: &[Option<u8>] = if self.escapes(delimiter) { &[None, Some(ESCAPE)] } else { &[None] };
        let trims: &[bool] = if self.has_spaces(delimiter) { &[false, true] } else { &[false] };
        let quotes: &[u8] = match (double, single) {
            // Apostrophes are parts of words, and in a file with quotes nothing else.
            (double, single) if single > double => b"\"'",
            _ => b"\"",
        };
        for &quote in quotes {
            for &trims in trims {
                for &escape in escapes {
                    let form = CsvFormat { quote: Some(quote), escape, trims, ..base.clone() };
                    if form == *base {
                        continue;
                    }
                    let Some(tried) = self.attempt(form, width) else { continue };
                    let is_better = best.as_ref().is_none_or(|best| {
                        tried.reads_more_than(best) || tried.is_no_worse(best) && tried.is_the_style(best)
                    });
                    if is_better {
                        best = Some(tried);
                    }
                }
            }
        }
        // Bytes that are no quotes at all.
        let mut hints = Vec::new();
        if double > 0 || best.is_none() || best.as_ref().is_some_and(|best| best.format.escape.is_some()) {
            for &escape in escapes {
                let form = CsvFormat { quote: None, escape, keeps_stray_quotes: false, ..base.clone() };
                let Some(tried) = self.attempt(form, width) else { continue };
                let Some(known) = &best else {
                    best = Some(tried);
                    continue;
                };
                let reads_more = tried.broken < known.broken && tried.records > known.records;
                // With an escape and no quote anywhere, a quote that comes later is text as well.
                let is_unquoted = known.format.escape == escape && escape.is_some() && double + single == 0;
                if reads_more && usual.as_ref().is_none_or(Tried::has_raw_quotes)
                    || is_unquoted && tried.is_no_worse(known)
                {
                    best = Some(tried);
                } else if reads_more {
                    hints.push("`quote = \"\"` in `format` reads more of them, with their quotes as text".to_owned());
                }
            }
        }
        let best = best?;
        if best.trial.torn > 0 && hints.is_empty() {
            hints.push("`quote` and `escape` in `format` say how quotes are meant".to_owned());
        }
        Some((best, hints))
    }

    fn attempt(self, format: CsvFormat, width: Option<usize>) -> Option<Tried> {
        let first = try_csv(&format, width, self.bytes, self.is_whole);
        let usual = |trial: &CsvTrial| trial.widths.iter().rev().max_by_key(|(_, count)| *count).copied();
        let found = match width {
            Some(width) => width,
            None => usual(&first)?.0,
        };
        if width.is_none() && found < 2 {
            return None;
        }
        // Records of several lines count only if they have the width of the others.
        let may_join = [format.quote, format.escape].iter().flatten().any(|byte| self.bytes.contains(byte));
        let trial =
            if width.is_none() && may_join { try_csv(&format, Some(found), self.bytes, self.is_whole) } else { first };
        let records = trial.widths.iter().find(|(width, _)| *width == found).map_or(0, |(_, count)| *count);
        let all: usize = trial.widths.iter().map(|(_, count)| count).sum();
        Some(Tried { format, width: found, records, broken: trial.broken + all - records, trial })
    }

    /// Returns the form of a file of single fields: between them stands what is nowhere in it.
    fn single(self, told: Option<u8>) -> (Tried, Vec<String>) {
        let delimiters = match told {
            Some(told) => vec![told],
            None => USUAL.into_iter().chain(RARE).collect(),
        };
        let mut best: Option<(Tried, Vec<String>)> = None;
        for delimiter in delimiters {
            let base = CsvFormat { delimiter, ..CsvFormat::USUAL };
            let Some((tried, hints)) = self.best_form(&base, Some(1)) else { continue };
            if best.as_ref().is_none_or(|(best, _)| tried.broken < best.broken && tried.records > best.records) {
                best = Some((tried, hints));
            }
            if best.as_ref().is_some_and(|(best, _)| best.broken == 0) {
                break;
            }
        }
        best.unwrap_or_else(|| {
            let (format, trial) = (CsvFormat::USUAL, CsvTrial::default());
            (Tried { format, width: 1, records: 0, broken: 0, trial }, Vec::new())
        })
    }

    /// Returns how many fields begin with a quote, as near as can be told without knowing where fields end.
    fn opened(self, delimiter: u8, quote: u8) -> usize {
        let mut count = 0;
        let mut before = b'\n';
        for &byte in self.bytes {
            count += usize::from(byte == quote && (before == delimiter || matches!(before, b'\n' | b'\r')));
            // Spaces before a quote may be none of the field.
            if byte != b' ' || before == b'\n' && delimiter == b' ' {
                before = byte;
            }
        }
        count
    }

    /// Returns whether there is an escape before something that it would make text.
    fn escapes(self, delimiter: u8) -> bool {
        let is_escaped = |pair: &[u8]| {
            pair[0] == ESCAPE && (pair[1] == delimiter || matches!(pair[1], b'"' | b'\'' | b'\n' | b'\r' | ESCAPE))
        };
        self.bytes.windows(2).any(is_escaped)
    }

    /// Returns whether spaces or tabs stand beside what is between fields.
    fn has_spaces(self, delimiter: u8) -> bool {
        let is_blank = |byte: u8| matches!(byte, b' ' | b'\t') && byte != delimiter;
        let is_spaced = |pair: &[u8]| {
            pair[0] == delimiter && is_blank(pair[1]) || is_blank(pair[0]) && (pair[1] == delimiter || pair[1] == b'"')
        };
        delimiter != b' ' && self.bytes.windows(2).any(is_spaced)
    }

    /// Returns whether the first lines are single values, such as times with spaces and colons in them.
    fn has_single_values(self) -> bool {
        const LOOKED_AT: usize = 20;
        let lines = self.bytes.split(|&byte| byte == b'\n').take(LOOKED_AT);
        lines.filter_map(|line| std::str::from_utf8(line).ok()).any(|line| is_value(line) || is_clock(line))
    }
}

impl Tried {
    /// Returns whether nothing is lost by it that another reads.
    fn is_no_worse(&self, other: &Self) -> bool {
        self.broken <= other.broken && self.records >= other.records && self.width == other.width
    }

    /// Returns whether it is how the whole file is written: other quotes around a field of every record, or a space behind
    /// every delimiter.
    fn is_the_style(&self, other: &Self) -> bool {
        let has_other_quotes = self.format.quote != other.format.quote;
        if has_other_quotes {
            return self.trial.quoted >= self.records && self.trial.torn == 0 && other.trial.quoted == 0;
        }
        let CsvTrial { later, spaced, .. } = self.trial;
        self.format.trims
            && !other.format.trims
            && self.format.escape == other.format.escape
            && self.records > 1
            && later > 0
            && spaced == later
    }

    /// Returns whether what looks like quotes in it is more likely text: they tear, and where they do not, nothing needs
    /// them.
    fn has_raw_quotes(&self) -> bool {
        let CsvTrial { torn, quoted, needed, .. } = self.trial;
        torn > 0 && needed * 2 <= torn && (quoted <= 2 * torn || quoted * 20 <= self.records)
    }
}

/// Returns whether a line is a time of day and nothing else.
fn is_clock(line: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.' | ' ' | 'A' | 'P' | 'M');
    line.contains(':') && line.trim().chars().all(is_part)
}

#[expect(clippy::cast_precision_loss, reason = "a share of what fits into a sample")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what stands between and around fields, what escapes, whether fields are trimmed, and how many there are.
    fn form(text: &str) -> (char, Option<char>, Option<char>, bool, usize) {
        let Best { format, width, .. } = best(text.as_bytes(), true, None);
        let CsvFormat { delimiter, quote, escape, trims, .. } = format;
        (delimiter.into(), quote.map(char::from), escape.map(char::from), trims, width)
    }

    #[test]
    fn quotes_and_escapes_are_tried_where_records_tear() {
        let spark = "id,note,n\n1,\"he said \\\"no\\\"\",5\n2,plain,6\n3,\"a, b\",7\n4,\"say \\\"hi\\\", ok\",8\n";
        assert_eq!(form(spark), (',', Some('"'), Some('\\'), false, 3));
        let titles = "id\ttitle\n1\t\"Heroes\"_(album)\n2\tPlain\n3\t\"\n4\t\"A\"_and_\"B\"\n5\tOther\n6\tOther\n";
        assert_eq!(form(titles), ('\t', None, None, false, 2));
        let outfile = "1\ta\\\tb\t1\n2\tplain\t\\N\n3\tc\\\\c\t3\n4\tplain\t4\n";
        assert_eq!(form(outfile), ('\t', None, Some('\\'), false, 3));
        let lines = "1,a\\\nb,1\n2,plain,2\n3,c\\,d,3\n";
        assert_eq!(form(lines), (',', None, Some('\\'), false, 3));
        let dump = "1,'it\\'s',x\n2,'a, b',y\n3,'c',z\n";
        assert_eq!(form(dump), (',', Some('\''), Some('\\'), false, 3));
        let spaced = "a, b\n1, \"x, y\"\n2, \"z\"\n3 ,u\n";
        assert_eq!(form(spaced), (',', Some('"'), None, true, 2));
    }

    #[test]
    fn quotes_that_do_not_close_are_text_where_that_reads_more() {
        let keeps = |text: &str| best(text.as_bytes(), true, None).format.keeps_stray_quotes;
        assert!(keeps("a,b\n\"1\",\"x, y\"\n\"2\",\"y\"z\"\n\"3\",\"z\"\n"));
        assert!(keeps("a,b\n1,\"p, q\"\n2,\"x\n3,z\n4,\"r, s\"\n"));
        assert!(!keeps("a,b\n1,\"x, y\"\n2,\"y\"z, w\n3,z\n"));
        // A text of several lines, and a file of single fields.
        assert!(!keeps("a,b\n1,\"x\ny \"z\" u\"\n2,\"v, v\"\n3,\"w, w\"\n"));
        assert!(!keeps("title\n\"Heroes\" (album)\nPlain\n"));
        // Where nearly every record tears one.
        let text = "id,note\n1,\"a \"b, c\" d\"\n2,\"e, f \"g\" h, i\"\n3,\"j \"k\" l, m, n, o\"\n4,\"a\"\n";
        assert!(keeps(text) && form(text).4 == 2);
        // What stands between fields of nearly all records alike is not what stands in some texts.
        assert_eq!(form(&("a:b:c\n".repeat(19) + "a:b\n")).4, 1);
        assert_eq!(form(&"a:b:c\n".repeat(20)).4, 3);
    }

    #[test]
    fn what_reads_no_more_changes_nothing() {
        let usual = |delimiter, width| (delimiter, Some('"'), None, false, width);
        // Paths with backslashes, one torn quote among many right ones, quotes in the middle of fields.
        assert_eq!(form("a,b\nC:\\x,1\nD:\\y\\,2\n\"E:\\z\",3\n"), usual(',', 2));
        assert_eq!(form("a,b\n\"1\",\"x, y\"\n\"2\",\"y\"z\"\n\"3\",\"z\"\n"), usual(',', 2));
        assert_eq!(form("a,b\n5\" pipe,1\n6\" pipe,2\n"), usual(',', 2));
        assert_eq!(form("a,b\n1, x\n2,y\n3,z\n"), usual(',', 2));
        assert_eq!(form("a,b\nit's,1\n'tis,2\n"), usual(',', 2));
        let hints = best(b"a,b\n\"1\",\"x, y\"\n\"2\",\"y\"z, w\n\"3\",\"z\"\n", true, None).hints;
        assert!(hints.iter().all(|hint| hint.contains("quote")) && !hints.is_empty(), "{hints:?}");
    }

    #[test]
    fn a_style_of_the_whole_file_is_taken_up() {
        assert_eq!(form("'a','b'\n'1','x'\n'2','y'\n"), (',', Some('\''), None, false, 2));
        assert_eq!(form("a, b, c\n1, x, y\n2, z, u\n"), (',', Some('"'), None, true, 3));
    }

    #[test]
    fn more_bytes_may_stand_between_fields() {
        for delimiter in [',', '\t', ';', '|', '~', '^', '\u{1}', '\u{1f}'] {
            let text = "a,b,c\n1,x,y\n2,z,u\n".replace(',', &delimiter.to_string());
            assert_eq!(form(&text), (delimiter, Some('"'), None, false, 3));
        }
        assert_eq!(form("a b c\n1 \"x y\" z\n2 u v\n").0, ' ');
        assert_eq!(form("root:x:0:/root\nbin:x:1:/bin\nsys:x:2:/dev\n").0, ':');
        // Decimal commas, tags between semicolons.
        assert_eq!(form("1,5;2,5\n2,5;3,5\n").0, ';');
        assert_eq!(form("1,a;b\n2,c;d\n3,e;f\n").0, ',');
    }

    #[test]
    fn single_fields_are_told_from_what_is_in_them() {
        assert_eq!(form("name\nLin, Wei\nChen\nSmith\n").4, 1);
        let Best { format, .. } = best(b"name\nLin, Wei\nChen\nSmith\n", true, None);
        assert_eq!(format.delimiter, b'\t');
        assert_eq!(form("at\n2024-01-01 10:00:00\n2024-01-01 11:00:00\n").4, 1);
        assert_eq!(form("10:00:00\n11:00:00\n").4, 1);
        assert_eq!(form("word\nit is\nso\nas we say it\n").4, 1);
        // Records that leave fields out are no single ones.
        assert_eq!(form("id,name,note\n1,Lin\n2,Wu\n3,Li,late\n").0, ',');
        assert_eq!(form("title\n\"Heroes\" (album)\nPlain\n").1, None);
    }
}
