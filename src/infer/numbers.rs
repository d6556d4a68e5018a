//! Numbers that are not written plainly: with a comma for the point, with marks between thousands, with a currency.
//!
//! `1.200` may be 1200 or 1.2, and `1,200` as well. Which one it is follows from texts that can be read in one way
//! alone, such as `12,50`, in the same column or another one of the file; where there is none, it is not guessed.

use std::collections::BTreeSet;

use super::candidate::{Seen, digits};
use crate::ingest::normalised;
use crate::project::{ColumnType, Normaliser};

/// Longer texts are no numbers.
const LONGEST: usize = 64;

/// Signs and codes of currencies that may stand beside a number.
const CURRENCIES: [&str; 17] =
    ["$", "US$", "€", "£", "¥", "￥", "₹", "₩", "元", "USD", "EUR", "GBP", "CNY", "RMB", "JPY", "CHF", "INR"];

/// How a column's texts fare as numbers that are not written plainly.
#[derive(Debug)]
pub(super) struct Numbers {
    /// With commas between thousands and a point.
    pub(super) point: NumberStyle,
    /// With points between thousands and a comma.
    pub(super) comma: NumberStyle,
    /// The first text with one mark before three digits, which is between thousands or before a fraction.
    pub(super) unclear: Option<Seen>,
    /// Whether such a text ends in a zero, as no program writes a fraction by itself.
    pub(super) ends_in_zero: bool,
    /// The currencies beside the numbers.
    pub(super) currencies: BTreeSet<&'static str>,
    /// Whether all texts are four numbers below 256, as addresses of machines are.
    are_addresses: bool,
}

/// How one way of writing fares.
#[derive(Debug, Clone)]
pub(super) struct NumberStyle {
    pub(super) step: Normaliser,
    pub(super) fits: u64,
    fails: u64,
    /// The first text that can be read in this way alone.
    pub(super) proof: Option<Seen>,
    whole_digits: usize,
    fraction_digits: usize,
    pub(super) min: Option<(f64, String)>,
    pub(super) max: Option<(f64, String)>,
}

impl NumberStyle {
    fn new(step: Normaliser) -> Self {
        let (min, max) = (None, None);
        Self { step, fits: 0, fails: 0, proof: None, whole_digits: 0, fraction_digits: 0, min, max }
    }

    /// Returns whether it is still worth trying.
    fn is_open(&self) -> bool {
        self.fails <= 16 + self.fits / 8
    }

    fn try_text(&mut self, text: &str) {
        if !self.is_open() {
            return;
        }
        // Most numbers are written plainly, and then there is nothing to be made of them.
        let has_point = text.starts_with('.') || text.starts_with("-.") || text.ends_with('.');
        let is_point = self.step == Normaliser::Amount && !has_point;
        let is_plain = digits(text.as_bytes()).is_some() && (is_point || !text.contains('.'));
        let made = if is_plain { None } else { normalised(self.step, text) };
        let number = if is_plain { Some(text) } else { made.as_deref().filter(|number| !number.is_empty()) };
        let counted = number.and_then(|number| Some((digits(number.as_bytes())?, number.parse::<f64>().ok()?)));
        let Some(((whole, fraction), value)) = counted else {
            self.fails += 1;
            return;
        };
        self.fits += 1;
        self.whole_digits = self.whole_digits.max(whole);
        self.fraction_digits = self.fraction_digits.max(fraction);
        if self.min.as_ref().is_none_or(|(min, _)| value < *min) {
            self.min = Some((value, text.to_owned()));
        }
        if self.max.as_ref().is_none_or(|(max, _)| value > *max) {
            self.max = Some((value, text.to_owned()));
        }
    }

    /// Returns the type that holds all of them, if there is one.
    pub(super) fn kind(&self) -> Option<ColumnType> {
        let (whole, fraction) = (self.whole_digits, self.fraction_digits);
        if fraction == 0 && whole <= 18 {
            return Some(ColumnType::Int64);
        }
        let (precision, scale) = precision(whole, fraction)?;
        Some(ColumnType::Decimal { precision, scale })
    }
}

/// Returns the digits of a decimal that holds numbers of so many digits before and after their point, with room for
/// longer ones in other files: as many as Parquet stores in 8 or 16 bytes, and at least four after the point.
pub(super) fn precision(whole: usize, fraction: usize) -> Option<(u8, u8)> {
    const ROOM: usize = 4;
    const MOST: usize = 38;
    if whole + fraction > MOST {
        return None;
    }
    let scale = if fraction <= 2 { ROOM } else { fraction + ROOM };
    // Where not all of that fits, what is left is for both sides.
    let scale = scale.min(fraction + (MOST - whole - fraction) / 2);
    let precision = if whole + ROOM + scale <= 18 { 18 } else { MOST };
    Some((u8::try_from(precision).ok()?, u8::try_from(scale).ok()?))
}

/// What a mark in a number shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    Point,
    Comma,
    /// The mark is between thousands or before a fraction.
    Unclear,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            point: NumberStyle::new(Normaliser::Amount),
            comma: NumberStyle::new(Normaliser::DecimalComma),
            unclear: None,
            ends_in_zero: false,
            currencies: BTreeSet::new(),
            are_addresses: true,
        }
    }
}

impl Numbers {
    /// Takes a text without white space around it.
    pub(super) fn push(&mut self, text: &str, line: i64) {
        if !self.point.is_open() && !self.comma.is_open() {
            return;
        }
        let is_digit = |c: char| c.is_ascii_digit();
        let core = text.find(is_digit).zip(text.rfind(is_digit)).map(|(start, end)| &text[start..=end]);
        let is_number = |core: &&str| text.len() <= LONGEST && !is_code(core);
        let (Some(core), Some(currency)) = (core.filter(is_number), core.and_then(|core| beside(text, core))) else {
            self.point.fails += 1;
            self.comma.fails += 1;
            return;
        };
        self.currencies.extend(Some(currency).filter(|currency| !currency.is_empty()));
        self.are_addresses &= is_address(text);
        let seen = || Some(Seen { line, text: text.to_owned() });
        match shown(core) {
            Shown::Nothing => {}
            Shown::Point if self.point.proof.is_none() => self.point.proof = seen(),
            Shown::Comma if self.comma.proof.is_none() => self.comma.proof = seen(),
            Shown::Point | Shown::Comma => {}
            Shown::Unclear => {
                self.ends_in_zero |= core.ends_with('0');
                if self.unclear.is_none() {
                    self.unclear = seen();
                }
            }
        }
        self.point.try_text(text);
        self.comma.try_text(text);
    }

    /// Returns whether all of `count` texts are written with a point.
    pub(super) fn fit_point(&self, count: u64) -> bool {
        self.fit(&self.point, &self.comma, count)
    }

    /// Returns whether all of `count` texts are written with a comma.
    pub(super) fn fit_comma(&self, count: u64) -> bool {
        self.fit(&self.comma, &self.point, count)
    }

    fn fit(&self, style: &NumberStyle, other: &NumberStyle, count: u64) -> bool {
        count > 0 && style.fits == count && other.proof.is_none() && !self.are_addresses && style.kind().is_some()
    }
}

/// Returns the currency beside a number, empty if there is none; nothing if something else stands there.
fn beside(text: &str, core: &str) -> Option<&'static str> {
    let around = text.replacen(core, "", 1);
    let is_sign = |c: char| c.is_whitespace() || matches!(c, '-' | '\u{2212}' | '(' | ')');
    let around = around.trim_matches(is_sign);
    if around.is_empty() {
        return Some("");
    }
    CURRENCIES.iter().find(|known| **known == around).copied()
}

/// Returns whether digits begin with a zero that a number would lose.
fn is_code(core: &str) -> bool {
    core.starts_with('0') && !core[1..].is_empty() && !core[1..].starts_with(['.', ','])
}

fn is_address(text: &str) -> bool {
    let mut parts = 0;
    text.split('.').all(|part| {
        parts += 1;
        part.parse::<u8>().is_ok()
    }) && parts == 4
}

/// Returns what the marks of a number show that begins and ends with a digit.
fn shown(core: &str) -> Shown {
    let count = |mark: char| core.matches(mark).count();
    let last = core.rfind(['.', ',']);
    let Some(last) = last else { return Shown::Nothing };
    let is_point = core[last..].starts_with('.');
    // If the last mark stands before a fraction.
    let as_fraction = if is_point { Shown::Point } else { Shown::Comma };
    let as_thousands = if is_point { Shown::Comma } else { Shown::Point };
    let (before, after) = (&core[..last], &core[last + 1..]);
    match (count('.'), count(',')) {
        (1.., 1..) => as_fraction,
        (2.., 0) | (0, 2..) => as_thousands,
        _ if after.len() != 3 || before.starts_with('0') => as_fraction,
        // More than three digits, or other marks between them.
        _ if before.len() > 3 => as_fraction,
        _ => Shown::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(texts: &[&str]) -> Numbers {
        let mut numbers = Numbers::default();
        texts.iter().for_each(|text| numbers.push(text, 1));
        numbers
    }

    #[test]
    fn marks_show_how_numbers_are_written() {
        for (core, expected) in [
            ("1200", Shown::Nothing),
            ("12,50", Shown::Comma),
            ("12.5", Shown::Point),
            ("1.234,56", Shown::Comma),
            ("1,234.56", Shown::Point),
            ("1.234.567", Shown::Comma),
            ("1,234,567", Shown::Point),
            ("0.123", Shown::Point),
            ("0,123", Shown::Comma),
            ("1234.567", Shown::Point),
            ("1'200.500", Shown::Point),
            ("1.200", Shown::Unclear),
            ("12,345", Shown::Unclear),
        ] {
            assert_eq!(shown(core), expected, "{core}");
        }
    }

    #[test]
    fn numbers_of_a_kind_are_known_with_their_digits() {
        let german = numbers(&["1.200,50", "12", "(3,5)"]);
        assert!(german.fit_comma(3) && !german.fit_point(3));
        assert_eq!(german.comma.kind(), Some(ColumnType::Decimal { precision: 18, scale: 4 }));
        assert_eq!(german.comma.min.as_ref().map(|(_, text)| text.as_str()), Some("(3,5)"));
        let money = numbers(&["$1,200", "$5"]);
        assert!(money.fit_point(2));
        assert_eq!(money.point.kind(), Some(ColumnType::Int64));
        assert_eq!(money.currencies.iter().copied().collect::<Vec<_>>(), ["$"]);
    }

    #[test]
    fn decimals_have_room_for_longer_numbers() {
        for (digits, expected) in [
            ((1, 1), (18, 4)),
            ((10, 2), (18, 4)),
            ((11, 2), (38, 4)),
            ((3, 3), (18, 7)),
            ((3, 9), (38, 13)),
            ((10, 10), (38, 14)),
            ((30, 6), (38, 7)),
            ((38, 0), (38, 0)),
            ((0, 38), (38, 38)),
        ] {
            assert_eq!(precision(digits.0, digits.1), Some(expected), "{digits:?}");
        }
        assert_eq!(precision(30, 9), None);
    }

    #[test]
    fn codes_and_addresses_are_no_numbers() {
        let addresses = numbers(&["192.168.100.101", "192.168.100.102"]);
        assert!(!addresses.fit_comma(2));
        // What the normaliser would refuse is not taken for plain.
        assert!(!numbers(&["$5", "12."]).fit_point(2) && !numbers(&["$5", ".5"]).fit_point(2));
        let codes = numbers(&["A12", "B7"]);
        assert!(!codes.fit_point(2) && !codes.fit_comma(2));
        let telephones = numbers(&["030 123 456", "089 123 456"]);
        assert!(!telephones.fit_comma(2));
        let versions = numbers(&["1.2.3", "1.10.0"]);
        assert!(!versions.fit_comma(2));
    }
}
