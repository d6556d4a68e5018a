//! True and false, as people and programs write them.

use super::{Parse, ValueFault};

/// `true`, `t`, `yes`, `y`, `1`, `是` and their opposites, in any case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Booleans;

impl Parse for Booleans {
    type Value = bool;

    fn parse(&self, text: &[u8]) -> Result<bool, ValueFault> {
        let is_any = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
        if is_any(&["true", "1", "t", "yes", "y", "是"]) {
            Ok(true)
        } else if is_any(&["false", "0", "f", "no", "n", "否"]) {
            Ok(false)
        } else {
            Err(ValueFault::Type)
        }
    }

    fn expected(&self, _fault: ValueFault) -> String {
        "true or false".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_it_is_understood_and_no_other() {
        for text in ["true", "TRUE", "True", "t", "T", "yes", "Y", "1", "是"] {
            assert_eq!(Booleans.parse(text.as_bytes()), Ok(true), "{text}");
        }
        for text in ["false", "F", "No", "n", "0", "否"] {
            assert_eq!(Booleans.parse(text.as_bytes()), Ok(false), "{text}");
        }
        for text in ["", "2", "on", "off", "tru", "truee", "10", "不"] {
            assert_eq!(Booleans.parse(text.as_bytes()), Err(ValueFault::Type), "{text}");
        }
    }
}
