//! What number a text stands for, to its last digit.

/// A number as its text has it: nothing is rounded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exact {
    is_negative: bool,
    /// The digits without zeros before and after them.
    digits: String,
    /// The number is `0.digits` times ten to this.
    exponent: i64,
    pub(super) has_exponent: bool,
    /// Whether it looks like a number by accident: `12e3`, which no program writes for 12,000.
    pub(super) is_accident: bool,
}

impl Exact {
    /// Reads a text that floats are read from; nothing if it is none.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (is_negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, power) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
            return None;
        }
        let shift = power.map_or(Some(0), |power| power.parse::<i32>().ok())?;
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let before = i64::try_from(whole.len()).ok()? - i64::try_from(all.len() - significant.len()).ok()?;
        let digits = significant.trim_end_matches('0').to_owned();
        let is_zero = digits.is_empty();
        let is_bare_power = power.is_some_and(|power| power.bytes().all(|byte| byte.is_ascii_digit()));
        Some(Self {
            is_negative: is_negative && !is_zero,
            exponent: if is_zero { 0 } else { before + i64::from(shift) },
            digits,
            has_exponent: power.is_some(),
            is_accident: is_bare_power && !mantissa.contains('.') && !is_negative,
        })
    }

    /// Returns a text that is the same for all that stand for the number.
    pub(super) fn key(&self) -> String {
        let sign = if self.is_negative { "-" } else { "" };
        format!("{sign}{}e{}", self.digits, self.exponent)
    }

    /// Returns whether a float of 64 bits, written out again, has every digit.
    pub(super) fn fits_float(&self) -> bool {
        // Fifteen always come back.
        if self.digits.len() <= 15 {
            return true;
        }
        let read = format!("0.{}e{}", self.digits, self.exponent).parse::<f64>().ok().filter(|value| value.is_finite());
        let written = read.and_then(|value| Self::of(&format!("{value:e}")));
        written.is_some_and(|it| it.digits == self.digits && it.exponent == self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> String {
        Exact::of(text).unwrap().key()
    }

    #[test]
    fn texts_of_one_number_have_one_key() {
        for (one, other) in [
            ("1.1", "1.10"),
            ("1", "1.0"),
            ("1500", "1.5e3"),
            ("-0", "0.00"),
            ("0.5", ".5"),
            ("1E5", "100000"),
            ("0.00012", "1.2e-4"),
            ("7.", "7"),
        ] {
            assert_eq!(key(one), key(other), "{one} {other}");
        }
        for (one, other) in [
            ("1.1", "1.01"),
            ("1", "10"),
            ("1", "-1"),
            ("1234567890.1704067200", "1234567890.1704067201"),
            ("1e5", "1e6"),
            ("0.1", "0.01"),
        ] {
            assert_ne!(key(one), key(other), "{one} {other}");
        }
        for text in ["", "-", ".", "e5", "1e", "NaN", "1,5", "0x1p3", "1e99999999999"] {
            assert_eq!(Exact::of(text), None, "{text}");
        }
    }

    #[test]
    fn a_float_is_told_from_what_it_would_lose() {
        for text in ["0.1234567890123", "0.30000000000000004", "1e300", "9007199254740993e0", "123456789012345.6"] {
            let is_whole = Exact::of(text).unwrap().fits_float();
            assert_eq!(is_whole, text != "9007199254740993e0", "{text}");
        }
        assert!(!Exact::of("1234567890.1704067201").unwrap().fits_float());
        assert!(!Exact::of("0.12345678901234567890").unwrap().fits_float());
    }

    #[test]
    fn accidents_are_told_from_exponents() {
        let is_accident = |text: &str| Exact::of(text).unwrap().is_accident;
        assert!(is_accident("1E5") && is_accident("12e3") && is_accident("00E1"));
        assert!(!is_accident("1.5e3") && !is_accident("2E-4") && !is_accident("1e+5") && !is_accident("15"));
    }
}
