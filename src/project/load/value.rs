//! Values that several kinds of project file have: names, zones, sizes.

use std::time::Duration;

use chrono_tz::{TZ_VARIANTS, Tz};
use toml::de::DeValue;

use crate::diagnostic::did_you_mean;
use crate::project::job::Located;
use crate::project::toml_reader::{Table, Value};

/// What a name looks like, told to people.
pub const NAME_RULE: &str = "names are of `a` to `z`, `0` to `9` and `_`, and start with a letter";

/// Returns whether `text` can name a table, a column, a path or a variable.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Returns the zone that the text of `key` names.
pub(super) fn zone(table: &mut Table<'_>, key: &'static str) -> Option<Tz> {
    let word = table.text(key)?;
    let zone = word.text.parse::<Tz>().ok();
    if zone.is_none() {
        let help = did_you_mean(&word.text, TZ_VARIANTS.iter().map(|zone| zone.name()))
            .unwrap_or_else(|| "write an IANA name such as `UTC` or `Asia/Shanghai`".to_owned());
        table.reject(&word, format!("there is no time zone `{}`", word.text), help);
    }
    zone
}

/// Returns who answers for what a file declares.
pub(super) fn owner(table: &mut Table<'_>) -> Option<String> {
    let word = table.text("owner")?;
    let is_name = !word.text.trim().is_empty() && word.text.len() <= 100 && !word.text.contains(char::is_control);
    if !is_name {
        table.reject(&word, "this names nobody", "write the name of a person or team on one line, 100 bytes at most");
    }
    is_name.then_some(word.text)
}

/// Returns the bytes that an integer or a text such as `1.5GiB` stands for.
pub(super) fn size(value: &Value<'_>) -> Option<u64> {
    let bytes = match value.node() {
        DeValue::Integer(_) => u64::try_from(value.integer()?).ok(),
        DeValue::String(text) => parse_size(text),
        _ => {
            value.wrong_type("a size such as `\"2GB\"`");
            return None;
        }
    };
    let bytes = bytes.filter(|bytes| *bytes > 0);
    if bytes.is_none() {
        value.reject(
            format!("`{}` is not a size", value.name.text),
            "write a number and a unit, such as `512MB`, `2GB` or `1.5GiB`",
        );
    }
    bytes
}

/// Returns the bytes that a text such as `1.5GiB` stands for.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // Three digits after the point are more than a size needs, and keep the sum exact.
    if fraction.is_empty() || fraction.len() > 3 {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u64>().ok()?;
    let part = u64::try_from(u128::from(unit) * u128::from(thousandths) / 1000).ok()?;
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(part)
}

/// The seconds of the calendar, as long as years have four digits.
const LONGEST_SECONDS: u64 = 9_999 * 366 * 86_400;

/// What a time that passes looks like, told to people.
pub(super) const DURATION_RULE: &str = "write a whole number and a unit, such as `30s`, `10m`, `2h` or `3 days`";

/// Returns the time that a text such as `30s` stands for.
pub(super) fn duration(value: &Value<'_>) -> Option<Duration> {
    let DeValue::String(text) = value.node() else {
        value.wrong_type("a time such as `\"30s\"`");
        return None;
    };
    let duration = parse_duration(text);
    if duration.is_none() {
        value.reject(format!("`{text}` is not a time that passes"), DURATION_RULE);
    }
    duration
}

/// Returns the time that a text such as `30s`, `10m`, `2h` or `3 days` stands for.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let seconds = match unit.trim_start() {
        "s" | "second" | "seconds" => 1,
        "m" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        _ => return None,
    };
    // Longer than the calendar passes no time.
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds).filter(|seconds| *seconds <= LONGEST_SECONDS)?;
    Some(Duration::from_secs(seconds))
}

/// Returns a piece of SQL; whether it makes sense is asked when the tables are known.
pub(super) fn sql(table: &mut Table<'_>, key: &'static str) -> Option<Located> {
    let word = table.text(key)?;
    if word.text.trim().is_empty() {
        table.reject(&word, format!("`{key}` is empty"), "write SQL, or leave it out");
        return None;
    }
    Some(word)
}

/// Returns the number of `key`, which must fit; `expected` says to people what does.
pub(super) fn number(
    table: &mut Table<'_>,
    key: &'static str,
    fits: impl Fn(f64) -> bool,
    expected: &str,
) -> Option<f64> {
    let value = table.take(key)?;
    let number = value.number()?;
    if fits(number) {
        return Some(number);
    }
    value.reject(format!("`{key}` cannot be {number}"), format!("write {expected}"));
    None
}

/// Returns the word as plain text.
pub(super) fn plain(word: Option<Located>) -> Option<String> {
    word.map(|word| word.text)
}

/// Returns the words as plain texts.
pub(super) fn plain_all(words: Vec<Located>) -> Vec<String> {
    words.into_iter().map(|word| word.text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact() {
        assert_eq!(parse_size("2GB"), Some(2_000_000_000));
        assert_eq!(parse_size("512 MB"), Some(512_000_000));
        assert_eq!(parse_size("1.5GiB"), Some(1_610_612_736));
        assert_eq!(parse_size("0.25kib"), Some(256));
        for text in ["", "2", "GB", "1.GB", "1.2345GB", "-1GB", "1e3MB", "1..5GB", "99999999999TB", "2GBs"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn times_have_a_unit() {
        for (text, seconds) in [
            ("0s", 0),
            ("30s", 30),
            ("1 s", 1),
            ("10m", 600),
            ("2h", 7200),
            ("1 minute", 60),
            ("36 hours", 129_600),
            ("1d", 86_400),
            ("3 days", 259_200),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "30", "-1s", "1.5h", "30S", "1 week", "1h30m", "3 days ", "4000000d", "99999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_starts_with_a_letter() {
        for name in ["a", "fct_orders", "a1"] {
            assert!(is_name(name), "{name}");
        }
        for text in ["", "1a", "_a", "A", "a-b", "é", "a b"] {
            assert!(!is_name(text), "{text}");
        }
    }
}
