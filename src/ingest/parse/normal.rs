//! Texts made one before they are read: what `normalise` asks for.

use unicode_normalization::UnicodeNormalization;

use crate::ingest::cells::{Cell, Cells, ColumnCells, MOST_BYTES};
use crate::ingest::rules::Nulls;
use crate::project::Normaliser;

/// What a column's texts go through, in order.
#[derive(Debug)]
pub(super) struct Normal {
    steps: Vec<Normaliser>,
}

impl Normal {
    /// Returns nothing where texts stay as they are.
    pub(super) fn new(steps: &[Normaliser]) -> Option<Self> {
        (!steps.is_empty()).then(|| Self { steps: steps.to_vec() })
    }

    /// Returns the cells of a column as they are to be read, and the rows of those that cannot be made one.
    ///
    /// What is not UTF-8 stays as it is: reading finds that out. So does what means "no value" as it landed.
    pub(super) fn cells(&self, cells: ColumnCells<'_>, nulls: &Nulls) -> (Cells, Vec<usize>) {
        let (mut normal, mut failed) = (Cells::default(), Vec::new());
        for (row, cell) in cells.iter().enumerate() {
            let Some(bytes) = cell else {
                normal.push(Cell::NULL);
                continue;
            };
            if nulls.has(bytes.trim_ascii()) {
                normal.push_held(|held| held.extend_from_slice(bytes));
                continue;
            }
            let text = std::str::from_utf8(bytes).map(|text| self.apply(text));
            match text {
                Ok(Some(text)) if normal.held_bytes() + text.len() <= MOST_BYTES => {
                    normal.push_held(|held| held.extend_from_slice(text.as_bytes()));
                }
                Ok(_) => {
                    failed.push(row);
                    normal.push(Cell::NULL);
                }
                Err(_) => normal.push_held(|held| held.extend_from_slice(bytes)),
            }
        }
        (normal, failed)
    }

    fn apply(&self, text: &str) -> Option<String> {
        self.steps.iter().try_fold(text.to_owned(), |text, step| apply(*step, &text))
    }

    /// Says what a text should have been that cannot be made one.
    pub(super) fn expected(&self) -> &'static str {
        let told = self.steps.iter().find_map(|step| match step {
            Normaliser::Phone => Some("a telephone number"),
            Normaliser::Email => Some("an address such as name@example.com"),
            Normaliser::Currency => Some("the code of one currency, such as CNY"),
            Normaliser::Amount => Some("an amount such as 1,234.50"),
            Normaliser::DecimalComma => Some("a number with a decimal comma, such as 1.234,50"),
            _ => None,
        });
        told.unwrap_or("a shorter text")
    }
}

/// Applies one step, as it is applied to the texts of a column; nothing where the text is none that it is for. No text
/// stays none.
#[must_use]
pub fn normalised(step: Normaliser, text: &str) -> Option<String> {
    apply(step, text)
}

fn apply(step: Normaliser, text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    Some(match step {
        Normaliser::Trim => trim(text).to_owned(),
        Normaliser::Lower => text.to_lowercase(),
        Normaliser::Upper => text.to_uppercase(),
        Normaliser::Nfkc => text.nfkc().collect(),
        Normaliser::Phone => return phone(trim(text)),
        Normaliser::Email => return email(trim(text)),
        Normaliser::Currency => return currency(trim(text)),
        Normaliser::Amount => return amount(trim(text), &[',', '\'', '’'], '.'),
        Normaliser::DecimalComma => return amount(trim(text), &['.', ' ', '\'', '’'], ','),
        Normaliser::Words => word(trim(text)).to_owned(),
    })
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}'))
}

/// Returns the digits, after a `+` where there was one or two zeros.
fn phone(text: &str) -> Option<String> {
    const SEPARATORS: [char; 7] = [' ', '-', '(', ')', '.', '/', '\u{a0}'];
    if text.is_empty() {
        return Some(String::new());
    }
    let text: String = text.strip_prefix("tel:").unwrap_or(text).nfkc().collect();
    let text = text.replace(['\u{2010}', '\u{2011}', '\u{2013}'], "-");
    let (plus, rest) = match text.strip_prefix('+') {
        Some(rest) => ("+", rest),
        None => text.strip_prefix("00").map_or(("", text.as_str()), |rest| ("+", rest)),
    };
    if rest.contains(|c: char| !c.is_ascii_digit() && !SEPARATORS.contains(&c)) {
        return None;
    }
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    // From the shortest hotlines to the longest number that there may be.
    (3..=15).contains(&digits.len()).then(|| format!("{plus}{digits}"))
}

fn email(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let text: String = text.strip_prefix("mailto:").unwrap_or(text).nfkc().flat_map(char::to_lowercase).collect();
    let (name, host) = text.split_once('@')?;
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | ',' | ';');
    let is_right = !name.is_empty()
        && !host.contains('@')
        && host.split('.').all(|label| !label.is_empty())
        && host.contains('.')
        && text.chars().all(is_plain);
    is_right.then_some(text)
}

/// Returns the three letters of a currency. Signs that several countries use are none.
fn currency(text: &str) -> Option<String> {
    const WORDS: [(&str, &str); 14] = [
        ("RMB", "CNY"),
        ("CN¥", "CNY"),
        ("人民币", "CNY"),
        ("元", "CNY"),
        ("US$", "USD"),
        ("美元", "USD"),
        ("HK$", "HKD"),
        ("港币", "HKD"),
        ("港元", "HKD"),
        ("JP¥", "JPY"),
        ("日元", "JPY"),
        ("€", "EUR"),
        ("欧元", "EUR"),
        ("£", "GBP"),
    ];
    if text.is_empty() {
        return Some(String::new());
    }
    let text: String = text.nfkc().flat_map(char::to_uppercase).collect();
    if let Some((_, code)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Some((*code).to_owned());
    }
    (text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(text)
}

/// Returns the number in an amount: signs and codes of currencies at either end, `separators` between thousands, and
/// parentheses or a minus at the end for what is negative.
fn amount(text: &str, separators: &[char], point: char) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let text: String = text.nfkc().map(|c| if c == '\u{2212}' { '-' } else { c }).collect();
    let mut rest = text.as_str();
    let mut negative = false;
    if let Some(inner) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        (negative, rest) = (true, inner);
    }
    // The sign stands before the currency, after it, or at the end.
    let mut sign = None;
    for _ in 0..2 {
        if let Some(after) = rest.strip_prefix(['-', '+']) {
            if sign.replace(rest.starts_with('-')).is_some() {
                return None;
            }
            rest = after.trim_start();
        }
        rest = without_currency(rest);
    }
    if let Some(before) = rest.strip_suffix('-') {
        if sign.replace(true).is_some() {
            return None;
        }
        rest = before.trim_end();
    }
    if negative && sign.is_some() {
        return None;
    }
    negative |= sign == Some(true);
    let number = grouped(rest, separators, point)?;
    Some(if negative { format!("-{number}") } else { number })
}

/// Cuts a currency off at either end.
fn without_currency(text: &str) -> &str {
    let is_currency = |c: char| c.is_alphabetic() || matches!(c, '$' | '€' | '£' | '¥' | '₩' | '₹' | '₽' | '₫' | '฿');
    let start = text.trim_start_matches(is_currency).trim_start();
    start.trim_end_matches(is_currency).trim_end()
}

/// Returns a number without what stands between groups of three digits, and with a point before its fraction.
fn grouped(text: &str, separators: &[char], point: char) -> Option<String> {
    let (whole, fraction) = text.split_once(point).map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !fraction.is_none_or(|fraction| !fraction.is_empty() && is_digits(fraction)) {
        return None;
    }
    let mut groups = whole.split(separators);
    let first = groups.next()?;
    let rest: Vec<&str> = groups.collect();
    let is_whole = is_digits(first)
        && rest.iter().all(|group| group.len() == 3 && is_digits(group))
        && (rest.is_empty() || (1..=3).contains(&first.len()));
    // One kind of separator in one number, and digits somewhere.
    let mut seen = whole.chars().filter(|c| !c.is_ascii_digit());
    let is_uniform = seen.next().is_none_or(|first| seen.all(|c| c == first));
    if !is_whole || !is_uniform || first.is_empty() {
        return None;
    }
    let whole = format!("{first}{}", rest.concat());
    Some(fraction.map_or_else(|| whole.clone(), |fraction| format!("{whole}.{fraction}")))
}

/// Returns `true` or `false` for the words that mean it, and any other text as it is.
fn word(text: &str) -> &str {
    let is_any = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_any(&["on", "enabled", "active", "ok", "真", "对", "有", "开", "启用", "已启用", "√", "✓", "✔"])
    {
        "true"
    } else if is_any(&["off", "disabled", "inactive", "假", "错", "无", "关", "停用", "已停用", "不是", "×", "✗", "✘"])
    {
        "false"
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(step: Normaliser, pairs: &[(&str, &str)], none: &[&str]) {
        for (text, expected) in pairs {
            assert_eq!(apply(step, text).as_deref(), Some(*expected), "{text:?}");
        }
        for text in none {
            assert_eq!(apply(step, text), None, "{text:?}");
        }
    }

    #[test]
    fn texts_are_made_one() {
        check(Normaliser::Trim, &[("\u{3000} a b\u{a0}\u{feff}", "a b"), ("  ", "")], &[]);
        check(Normaliser::Lower, &[("ÀB订", "àb订")], &[]);
        check(Normaliser::Upper, &[("straße", "STRASSE")], &[]);
        check(Normaliser::Nfkc, &[("ＡＢ１２３，", "AB123,"), ("ﬁ", "fi"), ("①", "1")], &[]);
    }

    #[test]
    fn telephone_numbers_are_digits() {
        check(
            Normaliser::Phone,
            &[
                ("+86 138-0013-8000", "+8613800138000"),
                ("0044 (20) 7946 0958", "+442079460958"),
                ("１３８ ００１３ ８０００", "13800138000"),
                ("tel:+1.415.555.2671", "+14155552671"),
                ("110", "110"),
                ("  ", ""),
            ],
            &["12", "+1234567890123456", "call me", "555-2671 ext. 5", "+86+138"],
        );
    }

    #[test]
    fn addresses_are_small_and_have_a_host() {
        check(
            Normaliser::Email,
            &[(" Ann.Lee@Example.COM ", "ann.lee@example.com"), ("mailto:a@b.cn", "a@b.cn"), ("ａ＠ｂ.cn", "a@b.cn")],
            &["ann", "@b.cn", "a@b", "a@@b.cn", "a b@c.cn", "a@b..cn", "Ann <a@b.cn>", "a@b.cn,c@d.cn"],
        );
    }

    #[test]
    fn currencies_are_codes_and_shared_signs_are_none() {
        check(
            Normaliser::Currency,
            &[("usd", "USD"), ("人民币", "CNY"), ("US$", "USD"), ("€", "EUR"), ("ｃｎｙ", "CNY")],
            &["$", "¥", "￥", "dollars", "US", "1.0"],
        );
    }

    #[test]
    fn amounts_are_numbers() {
        check(
            Normaliser::Amount,
            &[
                ("¥1,234.50", "1234.50"),
                ("USD 12", "12"),
                ("12 元", "12"),
                ("(1,000.00)", "-1000.00"),
                ("-$5", "-5"),
                ("$-5", "-5"),
                ("5.25-", "-5.25"),
                ("￥１，２３４", "1234"),
                ("0.5", "0.5"),
                ("1'200.50", "1200.50"),
            ],
            &["1,23", "12,34.5", "1.234,5", "(-5)", "--5", "-5-", "USD", "1 2", ".", "1,234,56", "1e3"],
        );
    }

    #[test]
    fn decimal_commas_are_points() {
        check(
            Normaliser::DecimalComma,
            &[
                ("1.234,56", "1234.56"),
                ("-0,5", "-0.5"),
                ("1 234 567,8", "1234567.8"),
                ("1'234,5", "1234.5"),
                ("12", "12"),
                ("1.234", "1234"),
                ("1.234,50 €", "1234.50"),
                ("(12,00)", "-12.00"),
                ("1\u{202f}200,5", "1200.5"),
            ],
            &["1.23", "1,234.5", "1.234 567", ",5", "1,", "1,2,3", "x"],
        );
    }

    #[test]
    fn words_of_both_languages_are_true_or_false() {
        check(Normaliser::Words, &[("On", "true"), ("停用", "false"), ("✓", "true"), ("maybe", "maybe")], &[]);
    }
}
