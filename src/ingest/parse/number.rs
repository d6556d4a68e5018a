//! Whole and floating-point numbers.

use super::{Parse, ValueFault};

/// Decimal digits with an optional sign: `1.0` and `1e3` are no whole numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Integers;

impl Parse for Integers {
    type Value = i64;

    #[inline]
    fn parse(&self, text: &[u8]) -> Result<i64, ValueFault> {
        let (negative, digits) = split_sign(text);
        if digits.is_empty() {
            return Err(ValueFault::Type);
        }
        // 18 digits always fit; longer texts are rare enough to be checked at every digit.
        if digits.len() <= 18 {
            let mut value = 0;
            for &byte in digits {
                value = value * 10 + i64::from(digit(byte).ok_or(ValueFault::Type)?);
            }
            return Ok(if negative { -value } else { value });
        }
        // Counted downwards, because the least number has no opposite.
        let mut value = Some(0_i64);
        for &byte in digits {
            let digit = i64::from(digit(byte).ok_or(ValueFault::Type)?);
            value = value.and_then(|value| value.checked_mul(10)?.checked_sub(digit));
        }
        let value = if negative { value } else { value.and_then(i64::checked_neg) };
        value.ok_or(ValueFault::Range)
    }

    fn expected(&self, fault: ValueFault) -> String {
        match fault {
            ValueFault::Range => format!("a whole number from {} to {}", i64::MIN, i64::MAX),
            _ => "a whole number".to_owned(),
        }
    }
}

/// Finite numbers; the nearest one of 64 bits is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floats;

impl Parse for Floats {
    type Value = f64;

    #[inline]
    fn parse(&self, text: &[u8]) -> Result<f64, ValueFault> {
        // Only `inf`, `infinity` and `nan` end with a letter among what the standard library takes.
        if text.last().is_none_or(u8::is_ascii_alphabetic) {
            return Err(ValueFault::Type);
        }
        let text = std::str::from_utf8(text).map_err(|_| ValueFault::Type)?;
        let value = text.parse::<f64>().map_err(|_| ValueFault::Type)?;
        if value.is_finite() { Ok(value) } else { Err(ValueFault::Range) }
    }

    fn expected(&self, fault: ValueFault) -> String {
        match fault {
            ValueFault::Range => "a number that 64 bits can hold".to_owned(),
            _ => "a finite number".to_owned(),
        }
    }
}

/// Splits an optional sign off and returns whether it is a minus.
#[inline]
pub(super) fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// Returns the value of a digit.
#[inline]
pub(super) fn digit(byte: u8) -> Option<u8> {
    let value = byte.wrapping_sub(b'0');
    (value < 10).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_at_their_extremes() {
        for value in [0, 1, -1, 999_999_999_999_999_999, i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1] {
            assert_eq!(Integers.parse(value.to_string().as_bytes()), Ok(value));
        }
        assert_eq!(Integers.parse(b"+007"), Ok(7));
        assert_eq!(Integers.parse(b"-0000000000000000000000001"), Ok(-1));
        for text in ["9223372036854775808", "-9223372036854775809", "99999999999999999999999999"] {
            assert_eq!(Integers.parse(text.as_bytes()), Err(ValueFault::Range), "{text}");
        }
        for text in ["", "-", "+", "1.0", "1e3", "1_000", "1,000", "--1", "0x10", "１", "9223372036854775808x"] {
            assert_eq!(Integers.parse(text.as_bytes()), Err(ValueFault::Type), "{text}");
        }
    }

    #[test]
    fn floats_are_finite() {
        for (text, value) in [("0", 0.0), ("-1.5e3", -1500.0), (".5", 0.5), ("+2.", 2.0), ("1e-400", 0.0)] {
            assert_eq!(Floats.parse(text.as_bytes()), Ok(value), "{text}");
        }
        assert_eq!(Floats.parse(b"-0").map(f64::is_sign_negative), Ok(true));
        for text in ["1e400", "-1e400"] {
            assert_eq!(Floats.parse(text.as_bytes()), Err(ValueFault::Range), "{text}");
        }
        for text in ["", ".", "nan", "NaN", "inf", "-Infinity", "1.5f", "1,5", "0x1p3", "e"] {
            assert_eq!(Floats.parse(text.as_bytes()), Err(ValueFault::Type), "{text}");
        }
    }
}
