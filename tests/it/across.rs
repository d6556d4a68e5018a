//! Rules across columns and marks: which records are set aside and why, what is marked, and what is true of numbers of
//! any size.

use std::cmp::Ordering;
use std::convert::Infallible;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use opsmart::ingest::{Compression, FileInput, QuarantinedRecord, Reason, Sink, read_file};
use opsmart::project::{Limits, load};
use proptest::prelude::*;

use crate::scratch::Scratch;

fn contract(columns: &str) -> String {
    format!(
        r#"from = "{{landing}}/orders-*.csv"
format = {{ type = "csv" }}
key = ["id"]
rejected_share = 0.9
[columns]
id = "int64!"
at = "timestamp!"
amount = "decimal(10,2)"
{columns}"#
    )
}

fn orders(columns: &str, file: &str) -> Scratch {
    let scratch = Scratch::orders();
    scratch.write("schemas/sources/orders.toml", &contract(columns));
    scratch.write("landing/orders-1.csv", file);
    scratch
}

#[test]
fn a_record_that_breaks_a_rule_is_set_aside_for_the_reason_that_the_rule_has() {
    let scratch = orders(
        r#"net = "decimal(10,2)"
tax = "decimal(6,4)"
agent = "string"
is_bot = { type = "boolean", true_if = ["agent ~ '(?i)bot|crawler'", "id = 0"] }
[rules]
adds_up = { rule = "amount = net + tax", reason = "E_SUM" }
no_bot = { rule = "is_bot = false", reason = "E_BOT" }
no_test = { rule = "agent not in ('selenium', 'it''s me')", reason = "E_TEST" }
named = "agent is not null"
"#,
        "id,at,amount,net,tax,agent
1,2024-03-01T10:00:00Z,1.10,1.00,0.1000,Firefox
2,2024-03-01T10:00:00Z,1.10,1.00,0.1001,Firefox
3,2024-03-01T10:00:00Z,1.10,1.00,,a Googlebot
0,2024-03-01T10:00:00Z,,1.00,0.1,Firefox
4,2024-03-01T10:00:00Z,,,,it's me
5,2024-03-01T10:00:00Z,,,,
6,2024-03-01T10:00:00Z,9.99,1.00,0.1000,selenium bot
",
    );
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select id, is_bot from orders"), ["1,false"]);
    assert_eq!(
        scratch.rows("select line, reason, column_name from dq_quarantine order by line"),
        [
            "3,E_SUM,amount",
            "4,E_BOT,is_bot",
            "5,E_BOT,is_bot",
            "6,E_TEST,agent",
            "7,E_RULE,agent",
            // It breaks two, and the first says why.
            "8,E_SUM,amount"
        ]
    );
    let said = scratch.run(&["quarantine", "show", "--reason", "E_SUM", "--limit", "1"]).exits(0);
    assert_eq!(
        said.stdout,
        "landing/orders-1.csv:3: E_SUM in `amount`: expected `amount = net + tax` (rule `adds_up`), found `1.10`, `1.00` \
         and `0.1001`\n  2,2024-03-01T10:00:00Z,»1.10«,1.00,0.1001,Firefox\n"
    );
    // A mark stands nowhere in the record.
    let said = scratch.run(&["quarantine", "show", "--reason", "E_BOT", "--limit", "1"]).exits(0);
    assert_eq!(
        said.stdout,
        "landing/orders-1.csv:4: E_BOT in `is_bot`: expected `is_bot = false` (rule `no_bot`), found `true`\n  \
         3,2024-03-01T10:00:00Z,1.10,1.00,,a Googlebot\n"
    );
    assert_eq!(scratch.rows("select records, accepted, quarantined, blank from dq_ledger"), ["8,1,6,1"]);
}

#[test]
fn a_mark_is_a_column_like_any_other() {
    let scratch = Scratch::orders();
    scratch.write(
        "schemas/sources/orders.toml",
        &contract("agent = \"string\"\nis_bot = { type = \"boolean\", en = \"Bot\", true_if = [\"agent ~ 'bot'\", \"amount < 0\"] }\n")
            .replace("[\"id\"]", "[\"id\", \"is_bot\"]"),
    );
    scratch.write(
        "schemas/models/fct_order.toml",
        "key = [\"id\", \"is_bot\"]\n[columns]\nis_bot = { required = true }\n",
    );
    scratch.write("sql/marts/fct_order.sql", "select id, at, amount, is_bot from stg_orders\n");
    scratch.write("sql/staging/stg_orders.sql", "select id, at, amount, is_bot from orders\n");
    std::fs::remove_file(scratch.path("sql/kpi/kpi_order_daily.sql")).unwrap();
    std::fs::remove_file(scratch.path("sql/checks/assert_days_add_up.sql")).unwrap();
    scratch.write(
        "landing/orders-1.csv",
        "id,at,amount,agent,is_bot
1,2024-03-01T10:00:00Z,1,,true
1,2024-03-01T11:00:00Z,-1,,false
1,2024-03-01T12:00:00Z,,a bot,
2,2024-03-01T12:00:00Z,,,x
",
    );
    let said = scratch.run(&["run"]).exits(0);
    assert!(said.stderr.contains("orders: the contract does not know is_bot"), "{}", said.stderr);
    // Of the two rows of one key the later stays; what the file says of a bot is nobody's business.
    assert_eq!(
        scratch.rows("select id, is_bot, at from fct_order order by id, is_bot"),
        ["1,false,2024-03-01T10:00:00Z", "1,true,2024-03-01T12:00:00Z", "2,false,2024-03-01T12:00:00Z"]
    );
    assert_eq!(scratch.rows("select superseded from dq_ledger"), ["1"]);
    let _ = scratch.run(&["docs", "--quiet"]).exits(0);
    let page = std::fs::read_to_string(scratch.path("site/sources/orders.html")).unwrap();
    assert!(page.contains("true if agent ~ &#x27;bot&#x27; or amount &lt; 0"), "{page}");
}

#[test]
fn a_plan_does_not_look_for_marks_in_files() {
    let scratch = orders(
        "is_small = { type = \"boolean\", true_if = \"amount < 1\" }\n",
        "id,at,amount\n1,2024-03-01T10:00:00Z,1.00\n",
    );
    let said = scratch.run(&["plan"]).exits(0);
    assert!(!said.stdout.contains("Not as the contract says"), "{}", said.stdout);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select is_small from orders"), ["false"]);
}

/// What came out of a file: lines of rows with their mark, and lines set aside for a rule.
#[derive(Debug, Default)]
struct Kept {
    rows: Vec<(i64, Option<bool>)>,
    aside: Vec<i64>,
}

impl Sink for Kept {
    type Error = Infallible;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), Infallible> {
        let marks = batch.column_by_name("mark").map(|marks| marks.as_boolean().clone());
        let lines = batch.column_by_name("_line").unwrap().as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            self.rows.push((lines.value(row), marks.as_ref().map(|marks| marks.is_valid(row) && marks.value(row))));
        }
        Ok(())
    }

    fn quarantine(&mut self, record: QuarantinedRecord<'_>) -> Result<(), Infallible> {
        assert_eq!(record.reason, Reason::Rule, "{record:?}");
        self.aside.push(record.line.cast_signed());
        Ok(())
    }
}

/// Reads records of `columns`, each a name and a type, with `tail` at the end of the contract.
fn read(columns: &[(&str, &str)], tail: &str, records: &[Vec<String>]) -> Kept {
    let declared: Vec<String> = columns.iter().map(|(name, kind)| format!("{name} = \"{kind}\"\n")).collect();
    let declared = declared.concat();
    let scratch = Scratch::with(&[
        ("opsmart.toml", "[paths]\nlanding = \"landing\"\n"),
        (
            "schemas/sources/a.toml",
            &format!(
                "from = \"{{landing}}/*.csv\"\nformat = {{ type = \"csv\" }}\nrejected_share = 1\n[columns]\n{declared}{tail}\n"
            ),
        ),
    ]);
    let project = load(scratch.root(), None).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)));
    let header: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let text: String = records.iter().map(|record| record.join(",") + "\n").collect();
    let (captures, limits) = (Vec::new(), Limits::default());
    let input = FileInput {
        contract: &project.sources["a"],
        limits: &limits,
        captures: &captures,
        compression: Compression::Plain,
        landed_at: None,
    };
    let mut kept = Kept::default();
    read_file(&input, format!("{}\n{text}", header.join(",")).as_bytes(), &mut kept).unwrap();
    kept
}

/// Checks that `condition` is true, false or unknown of the records as `expected` says, as a rule and as a mark.
fn check(columns: &[(&str, &str)], condition: &str, records: &[Vec<String>], expected: &[Option<bool>]) {
    let lines = || (2_i64..).zip(expected);
    let quoted = format!("{condition:?}");
    let kept = read(columns, &format!("[rules]\nr = {quoted}"), records);
    let broken: Vec<i64> = lines().filter(|(_, holds)| **holds == Some(false)).map(|(line, _)| line).collect();
    assert_eq!(kept.aside, broken, "{condition}: {records:?}");
    let kept = read(columns, &format!("mark = {{ type = \"boolean\", true_if = {quoted} }}"), records);
    let marked: Vec<(i64, Option<bool>)> = lines().map(|(line, holds)| (line, Some(*holds == Some(true)))).collect();
    assert_eq!(kept.rows, marked, "{condition}: {records:?}");
}

#[test]
fn values_of_every_type_are_compared_and_looked_for() {
    const COLUMNS: [(&str, &str); 5] =
        [("i", "int64"), ("d", "decimal(4,1)"), ("f", "float64"), ("at", "timestamp"), ("o", "boolean")];
    let record = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let records = [
        record("-9223372036854775808,1.5,-0,2024-01-31T08:00:00+08:00,yes"),
        record("2,-2,0.1,2024-01-31T00:00:00.000001Z,no"),
        record(",,,,"),
    ];
    for (condition, first, second) in [
        ("i in (1, -9223372036854775808)", true, false),
        ("i not in (2)", true, false),
        ("i = 2", false, true),
        ("d in (1.5, -2)", true, true),
        ("d <> 1.50", false, true),
        ("d >= -2.0", true, true),
        ("f in (0, 0.25)", true, false),
        ("f = 1e-1", false, true),
        ("f = 0", true, false),
        ("at <= 2024-01-31T00:00:00Z", true, false),
        ("at in (2024-01-31T00:00:00Z, 2024-01-31T08:00:00.000001+08:00)", true, true),
        ("o = true", true, false),
        ("o in (false, true)", true, true),
        ("i < d", true, false),
        ("i = -d", false, true),
        ("f < d - i", true, false),
    ] {
        check(&COLUMNS, condition, &records, &[Some(first), Some(second), None]);
    }
    check(&COLUMNS, "f is not null", &records, &[Some(true), Some(true), Some(false)]);
}

fn allows(sign: &str, order: Ordering) -> bool {
    match sign {
        "=" => order.is_eq(),
        "<>" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}

/// A part of a sum: its sign, and a column or a number.
type Part = (bool, Result<usize, String>);

/// Writes a comparison of the first column with a sum.
fn comparison(columns: &[(&str, &str)], left: usize, sign: &str, parts: &[Part]) -> String {
    let mut text = format!("{} {sign}", columns[left].0);
    for (at, (is_minus, part)) in parts.iter().enumerate() {
        text += match (at, is_minus) {
            (0, false) => " ",
            (0, true) => " -",
            (_, false) => " + ",
            (_, true) => " - ",
        };
        text += part.as_ref().map_or_else(String::as_str, |column| columns[*column].0);
    }
    text
}

/// How many digits a number has before the point, and how many after it, at least.
const DIGITS: usize = 60;

/// Adds `sign` times the number that a text stands for to a number that is one digit after the other, none of them
/// carried over.
fn add(digits: &mut [i64; 2 * DIGITS], sign: i64, text: &str) {
    let (sign, text) = text.strip_prefix('-').map_or((sign, text), |text| (-sign, text));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    for (at, digit) in whole.bytes().rev().enumerate() {
        digits[DIGITS - 1 - at] += sign * i64::from(digit - b'0');
    }
    for (at, digit) in fraction.bytes().enumerate() {
        digits[DIGITS + at] += sign * i64::from(digit - b'0');
    }
}

/// Returns how such a number compares with 0, as it is done on paper.
fn sign(mut digits: [i64; 2 * DIGITS]) -> Ordering {
    let mut carried = 0;
    for digit in digits.iter_mut().rev() {
        let sum = *digit + carried;
        (carried, *digit) = (sum.div_euclid(10), sum.rem_euclid(10));
    }
    if carried < 0 {
        Ordering::Less
    } else if carried > 0 || digits.iter().any(|digit| *digit > 0) {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

const EXACT: [(&str, &str); 5] =
    [("a", "int64"), ("b", "int64"), ("c", "decimal(20,3)"), ("d", "decimal(38,30)"), ("e", "decimal(38,0)")];

fn whole_numbers() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (-3_i64..4).prop_map(|n| n.to_string()),
        2 => (0_i64..3).prop_map(|n| (i64::MAX - n).to_string()),
        2 => (0_i64..3).prop_map(|n| (i64::MIN + n).to_string()),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => Just(String::new()),
    ]
}

/// Numbers of up to so many digits before and after the point, a few of them equal to others.
fn decimals(whole: usize, fraction: usize) -> impl Strategy<Value = String> {
    let digits =
        |least: usize, most: usize| proptest::string::string_regex(&format!("[0-9]{{{least},{most}}}")).unwrap();
    let fractions = if fraction == 0 {
        Just(String::new()).boxed()
    } else {
        prop_oneof![Just(String::new()), digits(1, fraction).prop_map(|digits| format!(".{digits}"))].boxed()
    };
    let nines = format!(
        "{}{}",
        "9".repeat(whole),
        if fraction == 0 { String::new() } else { format!(".{}", "9".repeat(fraction)) }
    );
    prop_oneof![
        3 => (-3_i64..4).prop_map(|n| n.to_string()),
        3 => (any::<bool>(), digits(1, whole), fractions).prop_map(|(is_minus, whole, fraction)| {
            format!("{}{whole}{fraction}", if is_minus { "-" } else { "" })
        }),
        1 => Just(nines.clone()),
        1 => Just(format!("-{nines}")),
        1 => Just(String::new()),
    ]
}

fn exact_record() -> impl Strategy<Value = Vec<String>> {
    (whole_numbers(), whole_numbers(), decimals(17, 3), decimals(8, 30), decimals(38, 0))
        .prop_map(|(a, b, c, d, e)| vec![a, b, c, d, e])
}

/// Two texts, a day of January 2024, and a boolean.
type TextRecord = (String, String, Option<i64>, Option<bool>);

fn signs() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="])
}

fn parts(literal: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<Part>> {
    let part = (any::<bool>(), prop_oneof![3 => (0..EXACT.len()).prop_map(Ok), 1 => literal.prop_map(Err)]);
    prop::collection::vec(part, 1..5).prop_map(|mut parts| {
        // A number alone must be one of the type on the left, which is what single values are tried for elsewhere.
        if let [(_, part @ Err(_))] = parts.as_mut_slice() {
            *part = Ok(0);
        }
        parts
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sums_of_exact_numbers_are_what_paper_says(
        left in 0..EXACT.len(),
        sign_of_rule in signs(),
        parts in parts(proptest::string::string_regex("[0-9]{1,20}(\\.[0-9]{1,18})?").unwrap()),
        mut records in prop::collection::vec(exact_record(), 1..20),
        equal in any::<bool>(),
    ) {
        // Chance seldom makes two sides equal: here a column is compared with itself, and what comes and goes.
        let mut parts = parts;
        if equal {
            parts.retain(|(_, part)| part.is_err());
            parts.extend(parts.clone().into_iter().map(|(is_minus, part)| (!is_minus, part)));
            parts.push((false, Ok(left)));
            records.push(records[0].clone());
        }
        let expected: Vec<Option<bool>> = records.iter().map(|record| {
            let mut difference = [0; 2 * DIGITS];
            let mut is_null = record[left].is_empty();
            add(&mut difference, 1, &record[left]);
            for (is_minus, part) in &parts {
                let text = part.as_ref().map_or_else(String::as_str, |column| record[*column].as_str());
                is_null |= text.is_empty();
                add(&mut difference, if *is_minus { 1 } else { -1 }, text);
            }
            (!is_null).then(|| allows(sign_of_rule, sign(difference)))
        }).collect();
        check(&EXACT, &comparison(&EXACT, left, sign_of_rule, &parts), &records, &expected);
    }

    #[test]
    fn sums_with_floats_are_those_of_the_processor(
        sign_of_rule in signs(),
        parts in prop::collection::vec((any::<bool>(), 0_usize..3), 1..4),
        number in -1000_i32..1000,
        records in prop::collection::vec(prop::collection::vec(prop_oneof![
            (-8_i32..9).prop_map(|n| (f64::from(n) / 4.0).to_string()),
            (-1e300_f64..1e300).prop_map(|x| x.to_string()),
            Just("-0".to_owned()),
            Just(String::new()),
        ], 3), 1..20),
    ) {
        const FLOATS: [(&str, &str); 3] = [("x", "float64"), ("y", "float64"), ("z", "float64")];
        let number = (f64::from(number) / 8.0).abs();
        let mut sum: Vec<Part> = parts.iter().map(|(is_minus, column)| (*is_minus, Ok(*column))).collect();
        sum.push((false, Err(number.to_string())));
        let expected: Vec<Option<bool>> = records.iter().map(|record| {
            let value = |column: usize| record[column].parse::<f64>().ok();
            let mut total = 0.0;
            for (is_minus, column) in &parts {
                let value = value(*column)?;
                total += if *is_minus { -value } else { value };
            }
            Some(allows(sign_of_rule, value(0)?.partial_cmp(&(total + number)).unwrap()))
        }).collect();
        check(&FLOATS, &comparison(&FLOATS, 0, sign_of_rule, &sum), &records, &expected);
    }

    #[test]
    fn texts_days_and_lists_are_what_they_say(
        records in prop::collection::vec(("[ab]{0,3}", "[ab]{0,3}", prop::option::of(1_i64..6), prop::option::of(any::<bool>())), 1..20),
        text in "[ab]{1,2}",
        days in prop::collection::btree_set(1_i64..6, 1..4),
        sign_of_rule in signs(),
        is_negated in any::<bool>(),
    ) {
        const COLUMNS: [(&str, &str); 4] = [("s", "string"), ("t", "string"), ("day", "date"), ("o", "boolean")];
        let date = |day: i64| format!("2024-01-0{day}");
        let texts: Vec<Vec<String>> = records.iter().map(|(s, t, day, o)| {
            vec![s.clone(), t.clone(), day.map(date).unwrap_or_default(), o.map(|o| o.to_string()).unwrap_or_default()]
        }).collect();
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let expect = |of: &dyn Fn(&TextRecord) -> Option<bool>| records.iter().map(of).collect::<Vec<_>>();
        let (not, bang) = if is_negated { ("not ", "!") } else { ("", "") };

        let expected = expect(&|(s, t, ..)| Some(allows(sign_of_rule, some(s)?.cmp(&some(t)?))));
        check(&COLUMNS, &format!("s {sign_of_rule} t"), &texts, &expected);
        let expected = expect(&|(s, ..)| Some(allows(sign_of_rule, some(s)?.cmp(&text))));
        check(&COLUMNS, &format!("s {sign_of_rule} '{text}'"), &texts, &expected);
        let expected = expect(&|(s, ..)| Some(some(s)?.contains(&text) != is_negated));
        check(&COLUMNS, &format!("s {bang}~ '{text}'"), &texts, &expected);
        let expected = expect(&|(s, ..)| Some((some(s)? == text || s == "bbb") != is_negated));
        check(&COLUMNS, &format!("s {not}in ('{text}', 'bbb')"), &texts, &expected);
        let expected = expect(&|(_, _, day, _)| Some(days.contains(&(*day)?) != is_negated));
        let list: Vec<String> = days.iter().map(|day| date(*day)).collect();
        check(&COLUMNS, &format!("day {not}in ({})", list.join(", ")), &texts, &expected);
        let expected = expect(&|(_, _, day, _)| Some(allows(sign_of_rule, (*day)?.cmp(&3))));
        check(&COLUMNS, &format!("day {sign_of_rule} 2024-01-03"), &texts, &expected);
        let expected = expect(&|(.., o)| Some(allows(sign_of_rule, (*o)?.cmp(&is_negated))));
        check(&COLUMNS, &format!("o {sign_of_rule} {is_negated}"), &texts, &expected);
        let expected = expect(&|(.., o)| Some(o.is_none() != is_negated));
        check(&COLUMNS, &format!("o is {not}null"), &texts, &expected);
    }
}
