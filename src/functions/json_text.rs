//! `json_text(json, path)`: the text at a path of a JSON text.
//!
//! The path is names with dots between them; a number stands for a place in an array, from 0. Of the names of an object
//! with which the rest of the path may begin the longest counts, so that names with dots in them are found as well. A
//! string comes without its quotes and escapes, all else as it is written. Null for JSON null, for what is not there,
//! and for a text that is not JSON.
//!
//! A level of the path reads its value once, without recursion: how deep values are nested costs nothing but time.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, LargeStringArray, StringArray, StringBuilder, StringViewArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Returns the function.
pub(super) fn json_text() -> ScalarUDF {
    ScalarUDF::from(JsonText { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonText {
    signature: Signature,
}

impl ScalarUDFImpl for JsonText {
    fn name(&self) -> &'static str {
        "json_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [json, path] = given else {
            return plan_err!("`json_text` takes a JSON text and a path, for example json_text(more, 'via.source')");
        };
        Ok(vec![text_type(json, "a JSON text first")?, text_type(path, "a path second")?])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if all_scalar { 1 } else { args.number_rows };
        let [json, path] = args.args.as_slice() else {
            return exec_err!("`json_text` takes two arguments");
        };
        let (json, path) = (Texts::of(json)?, Texts::of(path)?);
        let mut texts = StringBuilder::with_capacity(rows, 0);
        for row in 0..rows {
            let found = match (json.at(row), path.at(row)) {
                (Some(json), Some(path)) => text_at(json, path),
                _ => None,
            };
            let length = texts.values_slice().len() + found.as_ref().map_or(0, |text| text.as_ref().len());
            if i32::try_from(length).is_err() {
                return exec_err!("`json_text` finds more than 2 GiB of text in {row} rows");
            }
            texts.append_option(found);
        }
        let texts: ArrayRef = Arc::new(texts.finish());
        if all_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?));
        }
        Ok(ColumnarValue::Array(texts))
    }
}

fn text_type(given: &DataType, what: &str) -> Result<DataType> {
    match given {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => Ok(given.clone()),
        DataType::Null => Ok(DataType::Utf8),
        _ => plan_err!("`json_text` takes {what}, not {given}"),
    }
}

/// The texts of one argument.
enum Texts<'a> {
    /// The same in every row.
    One(Option<&'a str>),
    Utf8(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    fn of(argument: &'a ColumnarValue) -> Result<Self> {
        Ok(match argument {
            ColumnarValue::Scalar(value) => match value.try_as_str() {
                Some(text) => Self::One(text),
                None if value.is_null() => Self::One(None),
                None => return exec_err!("`json_text` takes texts, not {value}"),
            },
            ColumnarValue::Array(array) => match array.data_type() {
                DataType::Utf8 => Self::Utf8(array.as_string()),
                DataType::LargeUtf8 => Self::Large(array.as_string()),
                DataType::Utf8View => Self::View(array.as_string_view()),
                other => return exec_err!("`json_text` takes texts, not {other}"),
            },
        })
    }

    fn at(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::One(text) => *text,
            Self::Utf8(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Large(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::View(texts) => texts.is_valid(row).then(|| texts.value(row)),
        }
    }
}

/// Returns the text at `path` of `json`.
fn text_at<'j>(json: &'j str, path: &str) -> Option<Cow<'j, str>> {
    let (mut value, mut path) = (json, Some(path));
    while let Some(rest) = path {
        (value, path) = step(value, rest)?;
    }
    match value.as_bytes().first()? {
        b'n' => None,
        b'"' if value.contains('\\') => serde_json::from_str::<String>(value).ok().map(Cow::Owned),
        b'"' => value.get(1..value.len() - 1).map(Cow::Borrowed),
        _ => Some(Cow::Borrowed(value)),
    }
}

/// A value, and what is left of the path behind it.
type Found<'j, 'p> = (&'j str, Option<&'p str>);

/// Looks up the beginning of `path` in one object or array; nothing where it is not there, or where that is no JSON.
fn step<'j, 'p>(json: &'j str, path: &'p str) -> Option<Found<'j, 'p>> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let found = match json.trim_ascii_start().as_bytes().first()? {
        b'{' => reader.deserialize_map(Step { path }),
        _ => reader.deserialize_seq(Step { path }),
    };
    let found = found.ok()?;
    // What follows it makes the whole no JSON.
    reader.end().ok()?;
    found
}

struct Step<'p> {
    path: &'p str,
}

impl<'j, 'p> Visitor<'j> for Step<'p> {
    type Value = Option<Found<'j, 'p>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut object: A) -> std::result::Result<Self::Value, A::Error> {
        let mut best: Option<(usize, Found<'j, 'p>)> = None;
        while let Some(begun) = object.next_key_seed(Name { path: self.path })? {
            // Of two equal names the last counts.
            match begun.filter(|(length, _)| best.is_none_or(|(known, _)| *length >= known)) {
                Some((length, rest)) => best = Some((length, (object.next_value::<&RawValue>()?.get(), rest))),
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(best.map(|(_, found)| found))
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut array: A) -> std::result::Result<Self::Value, A::Error> {
        let (first, rest) = self.path.split_once('.').map_or((self.path, None), |(first, rest)| (first, Some(rest)));
        let is_number = first.bytes().all(|byte| byte.is_ascii_digit());
        let wanted = first.parse::<usize>().ok().filter(|_| is_number);
        let mut found = None;
        for place in 0.. {
            if wanted == Some(place) {
                let Some(value) = array.next_element::<&RawValue>()? else { break };
                found = Some((value.get(), rest));
            } else if array.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

/// Finds out whether a path may begin with a name.
struct Name<'p> {
    path: &'p str,
}

impl<'j, 'p> DeserializeSeed<'j> for Name<'p> {
    type Value = Option<(usize, Option<&'p str>)>;

    fn deserialize<D: serde::Deserializer<'j>>(self, name: D) -> std::result::Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Name<'p> {
    /// How long the name is, and what is left of the path behind it.
    type Value = Option<(usize, Option<&'p str>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> std::result::Result<Self::Value, E> {
        Ok(self.path.strip_prefix(name).and_then(|rest| match rest.strip_prefix('.') {
            Some(rest) => Some((name.len(), Some(rest))),
            None => rest.is_empty().then_some((name.len(), None)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::Field;
    use datafusion::common::config::ConfigOptions;

    #[track_caller]
    fn check(json: &str, path: &str, expected: Option<&str>) {
        assert_eq!(text_at(json, path).as_deref(), expected, "{json} at {path}");
    }

    #[test]
    fn values_come_as_texts() {
        let json = r#" {"s": "a \u4e2d\n\"", "plain": "x", "n": -1.50e2, "t": true, "z": null, "o": { "a" :1 }, "l": [1, "b"]} "#;
        check(json, "s", Some("a 中\n\""));
        check(json, "plain", Some("x"));
        check(json, "n", Some("-1.50e2"));
        check(json, "t", Some("true"));
        check(json, "z", None);
        check(json, "o", Some("{ \"a\" :1 }"));
        check(json, "l", Some("[1, \"b\"]"));
        check(json, "none", None);
        check(json, "", None);
        check(r#"{"": ""}"#, "", Some(""));
    }

    #[test]
    fn a_path_goes_by_names_and_places() {
        let json = r#"{"a":[{"b":1},{"b":[2,3]}],"0":"zero","x.y":{"z":4},"x":{"y":{"z":5},"y.z":6}}"#;
        check(json, "a.0.b", Some("1"));
        check(json, "a.1.b.1", Some("3"));
        check(json, "0", Some("zero"));
        for missing in ["a.2", "a.-0", "a.+0", "a.", "a.x", "a.b", "a.0.b.c", "a..b", "a.99999999999999999999999"] {
            check(json, missing, None);
        }
        // Of the names that the path may begin with the longest counts, and of equal ones the last.
        check(json, "x.y", Some(r#"{"z":4}"#));
        check(json, "x.y.z", Some("4"));
        check(r#"{"x":{"y.z":6,"y":{"z":5}}}"#, "x.y.z", Some("6"));
        check(r#"{"a":1,"\u0061":2}"#, "a", Some("2"));
        check("[[1]]", "0.0", Some("1"));
    }

    #[test]
    fn what_is_no_json_has_nothing() {
        for json in ["", " ", "x", "1", "\"a\"", "null", "{", "[1", "{\"a\":1}x", "{\"a\":1,}", "{\"a\":01}", "{'a':1}"]
        {
            check(json, "a", None);
            check(json, "0", None);
        }
        check(r#"{"a":"\ud800"}"#, "a", None);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        assert_eq!(text_at(&deep, "a").map(|text| text.len()), Some(2 << 20));
        check(&deep, "b", None);
        check(&"[".repeat(1 << 20), "0", None);
        let nested = format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500));
        check(&nested, &vec!["a"; 500].join("."), Some("1"));
    }

    /// Calls the function as the engine does.
    fn call(json: ColumnarValue, path: ColumnarValue, rows: usize) -> ColumnarValue {
        let field = |value: &ColumnarValue| Arc::new(Field::new("a", value.data_type(), true));
        let args = ScalarFunctionArgs {
            arg_fields: vec![field(&json), field(&path)],
            args: vec![json, path],
            number_rows: rows,
            return_field: Arc::new(Field::new("r", DataType::Utf8, true)),
            config_options: Arc::new(ConfigOptions::default()),
        };
        json_text().invoke_with_args(args).unwrap()
    }

    #[test]
    fn every_kind_of_text_array_and_single_values_do() {
        let texts = vec![Some("{\"a\":1}"), None, Some("{\"b\":2}")];
        let arrays: [ArrayRef; 3] = [
            Arc::new(StringArray::from(texts.clone())),
            Arc::new(LargeStringArray::from(texts.clone())),
            Arc::new(StringViewArray::from(texts)),
        ];
        let paths: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), Some("a"), Some("b")]));
        let scalar = |text: Option<&str>| ColumnarValue::Scalar(ScalarValue::Utf8(text.map(str::to_owned)));
        let array = |value: &ColumnarValue| value.to_array(3).unwrap().as_string::<i32>().clone();
        for json in arrays {
            let json = ColumnarValue::Array(json);
            let found = call(json.clone(), scalar(Some("a")), 3);
            assert_eq!(array(&found), StringArray::from(vec![Some("1"), None, None]));
            let found = call(json.clone(), ColumnarValue::Array(Arc::clone(&paths)), 3);
            assert_eq!(array(&found), StringArray::from(vec![Some("1"), None, Some("2")]));
            assert_eq!(array(&call(json, scalar(None), 3)), StringArray::new_null(3));
        }
        let found = call(scalar(Some("{\"b\":2}")), ColumnarValue::Array(paths), 3);
        assert_eq!(array(&found), StringArray::from(vec![None, None, Some("2")]));
        let one = call(scalar(Some("[7]")), scalar(Some("0")), 5);
        assert!(matches!(one, ColumnarValue::Scalar(ScalarValue::Utf8(Some(text))) if text == "7"));
    }
}
