//! Exact decimal numbers.

use arrow::datatypes::DataType;

use super::number::{digit, split_sign};
use super::{Parse, ValueFault};

/// Numbers of `precision` digits, `scale` of them after the point. Exponents are understood; nothing is rounded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimals {
    pub(super) precision: u8,
    pub(super) scale: u8,
}

/// The most digits that a decimal of 128 bits has.
const MOST_DIGITS: u32 = 38;

impl Decimals {
    /// Returns the Arrow type of the values.
    pub(super) fn arrow(self) -> DataType {
        DataType::Decimal128(self.precision, self.scale.cast_signed())
    }

    /// Reads a short text without exponent and without digits that the scale does not have.
    #[inline]
    fn parse_plain(self, negative: bool, digits: &[u8]) -> Option<i128> {
        if digits.is_empty() || digits.len() > 18 {
            return None;
        }
        let (mut value, mut point) = (0_u64, None);
        for (at, &byte) in digits.iter().enumerate() {
            match digit(byte) {
                Some(digit) => value = value * 10 + u64::from(digit),
                None if byte == b'.' && point.is_none() => point = Some(at),
                None => return None,
            }
        }
        let after_point = point.map_or(0, |point| digits.len() - point - 1);
        if digits.len() == 1 && point.is_some() {
            return None;
        }
        let shift = usize::from(self.scale).checked_sub(after_point)?;
        let value = i128::from(value).checked_mul(power_of_ten(u32::try_from(shift).ok()?)?)?;
        // A value out of range takes the long way, too, which knows what to say of it.
        (value < power_of_ten(u32::from(self.precision))?).then_some(if negative { -value } else { value })
    }

    /// Reads any text: digits, a point somewhere, an exponent.
    fn parse_any(self, negative: bool, digits: &[u8]) -> Result<i128, ValueFault> {
        let (digits, exponent) = match digits.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(place) => (&digits[..place], parse_exponent(&digits[place + 1..]).ok_or(ValueFault::Type)?),
            None => (digits, 0),
        };
        // The number is `significant` × 10^(`exponent` + `zeros` − `after_point`), and `significant` does not end
        // with a zero. `zeros` are those at the end so far; they join the number when another digit follows.
        let (mut significant, mut count, mut zeros) = (0_i128, 0_u32, 0_i64);
        let (mut any, mut point, mut after_point) = (false, false, 0_i64);
        for &byte in digits {
            let Some(digit) = digit(byte) else {
                if byte != b'.' || point {
                    return Err(ValueFault::Type);
                }
                point = true;
                continue;
            };
            any = true;
            after_point += i64::from(point);
            if digit == 0 {
                zeros += i64::from(count > 0);
                continue;
            }
            let step = u32::try_from(zeros + 1).unwrap_or(u32::MAX);
            count = count.saturating_add(step);
            if count <= MOST_DIGITS {
                significant = significant * 10_i128.pow(step) + i128::from(digit);
            }
            zeros = 0;
        }
        if !any {
            return Err(ValueFault::Type);
        }
        if count == 0 {
            return Ok(0);
        }
        let shift = exponent.saturating_add(zeros - after_point + i64::from(self.scale));
        if shift < 0 {
            return Err(ValueFault::Type);
        }
        let shift = u32::try_from(shift).map_err(|_| ValueFault::Range)?;
        if count.saturating_add(shift) > u32::from(self.precision) {
            return Err(ValueFault::Range);
        }
        let value = significant * power_of_ten(shift).ok_or(ValueFault::Range)?;
        Ok(if negative { -value } else { value })
    }
}

impl Parse for Decimals {
    type Value = i128;

    #[inline]
    fn parse(&self, text: &[u8]) -> Result<i128, ValueFault> {
        let (negative, digits) = split_sign(text);
        match self.parse_plain(negative, digits) {
            Some(value) => Ok(value),
            None => self.parse_any(negative, digits),
        }
    }

    fn expected(&self, fault: ValueFault) -> String {
        let Self { precision, scale } = self;
        match fault {
            ValueFault::Range => format!("a number with at most {} digits before the point", precision - scale),
            _ if *scale == 0 => "a number without a fraction".to_owned(),
            _ => format!("a number with at most {scale} digits after the point"),
        }
    }
}

/// Returns the exponent that the text after `e` stands for; one beyond all bounds is as good as the bound.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for &byte in digits {
        value = (value * 10 + i64::from(digit(byte)?)).min(1 << 40);
    }
    Some(if negative { -value } else { value })
}

/// Returns 10 to the power of `exponent`, where 128 bits can hold it.
#[inline]
fn power_of_ten(exponent: u32) -> Option<i128> {
    const POWERS: [i128; MOST_DIGITS as usize + 1] = {
        let mut powers = [1; MOST_DIGITS as usize + 1];
        let mut at = 1;
        while at < powers.len() {
            powers[at] = powers[at - 1] * 10;
            at += 1;
        }
        powers
    };
    POWERS.get(exponent as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(precision: u8, scale: u8, text: &str, expected: Result<i128, ValueFault>) {
        let decimals = Decimals { precision, scale };
        assert_eq!(decimals.parse(text.as_bytes()), expected, "{text}");
        let (negative, digits) = split_sign(text.as_bytes());
        assert_eq!(decimals.parse_any(negative, digits), expected, "{text}, the long way");
    }

    #[test]
    fn digits_are_exact_and_never_rounded() {
        check(6, 2, "1234.56", Ok(123_456));
        check(6, 2, "-0.5", Ok(-50));
        check(6, 2, "+7", Ok(700));
        check(6, 2, "1.2300000", Ok(123));
        check(6, 2, "1.231", Err(ValueFault::Type));
        check(6, 2, "9999.99", Ok(999_999));
        check(6, 2, "10000", Err(ValueFault::Range));
        check(6, 2, "10000.001", Err(ValueFault::Type));
        check(6, 2, "0000000000000000000000001.1", Ok(110));
        check(6, 2, ".5", Ok(50));
        check(6, 2, "5.", Ok(500));
    }

    #[test]
    fn exponents_move_the_point() {
        check(6, 2, "1e2", Ok(10_000));
        check(6, 2, "12.3E1", Ok(12_300));
        check(6, 2, "123e-2", Ok(123));
        check(6, 2, "123e-3", Err(ValueFault::Type));
        check(6, 2, "1230e-3", Ok(123));
        check(6, 2, "1e4", Err(ValueFault::Range));
        check(6, 2, "0e999999999999999999999999", Ok(0));
        check(6, 2, "1e999999999999999999999999", Err(ValueFault::Range));
        check(6, 2, "1e-999999999999999999999999", Err(ValueFault::Type));
    }

    #[test]
    fn extremes_fit() {
        let nines = "9".repeat(38);
        let most = 10_i128.pow(38) - 1;
        check(38, 0, &nines, Ok(most));
        check(38, 0, &format!("-{nines}"), Ok(-most));
        check(38, 0, &format!("1{}", "0".repeat(37)), Ok(10_i128.pow(37)));
        check(38, 0, &format!("1{}", "0".repeat(38)), Err(ValueFault::Range));
        check(38, 0, &"9".repeat(500), Err(ValueFault::Range));
        check(38, 38, &format!("0.{nines}"), Ok(most));
        check(38, 38, &format!("0.{}1", "0".repeat(37)), Ok(1));
        check(38, 38, &format!("0.{}1", "0".repeat(38)), Err(ValueFault::Type));
        check(38, 38, "1", Err(ValueFault::Range));
        check(1, 0, "9", Ok(9));
    }

    #[test]
    fn what_is_no_number_is_said_to_be_none() {
        for text in ["", ".", "-", "+", "e5", "1e", "1e+", "1.2.3", "1,234", "--1", "abc", "1 2", "０", "1e1.5", "NaN"]
        {
            check(10, 2, text, Err(ValueFault::Type));
        }
    }
}
