//! Says what the engine says in words of SQL, and what to write instead of what only other engines have.

use std::sync::LazyLock;

use datafusion::common::DataFusionError;
use regex::{Captures, Regex};

/// What went wrong, in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainError {
    /// What is wrong: a fragment that begins with a small letter.
    pub message: String,
    /// What to do, where that is known.
    pub help: Option<String>,
}

type Rewrite = fn(&Captures<'_>) -> (String, Option<String>);

/// What the engine says, and what that means.
const SAYINGS: &[(&str, Rewrite)] = &[
    (r"(?s)Cannot cast (?:string )?'(.*)' to (?:a )?value of (.+?) type", |found| {
        (format!("{} is no {}", quoted(&found[1]), kind(&found[2])), Some(CAST_HELP.to_owned()))
    }),
    (r"(?s)[Ee]rror parsing timestamp from '(.*)': ?(.*)", |found| {
        (format!("{} is no timestamp", quoted(&found[1])), Some("write it as 2024-05-31T18:30:00Z".to_owned()))
    }),
    (r#"(?s)Cannot cast (?:value|string) ['"](.*)['"] to (?:a )?(?:value of )?(.+?)(?: type)?$"#, |found| {
        (format!("{} is no {}", quoted(&found[1]), kind(&found[2])), Some(CAST_HELP.to_owned()))
    }),
    (r"(?s)[Cc]an't cast value (.*) to type (\S+)", |found| {
        (format!("{} does not fit into {}", &found[1], kind(&found[2])), None)
    }),
    (r"(?i)can not be used as a sliding accumulator because `retract_batch` is not implemented: (\w+)", |found| {
        let message = format!("`{}` cannot be computed over a frame that begins with the rows", &found[1]);
        (message, Some("let the frame begin `unbounded preceding`, or count: `sum(case when … then 1 else 0 end) over (…) > 0`".to_owned()))
    }),
    (r"(?i)divide by zero", |_| {
        ("division by zero".to_owned(), Some("divide by `nullif(…, 0)`: what has no divisor is null".to_owned()))
    }),
    (r"Overflow happened on: (.*)", |found| {
        (format!("the result of {} does not fit its type", &found[1]), Some(WIDER.to_owned()))
    }),
    (r"(\S+) is too (large|small) to store in a (Decimal\d+) of precision (\d+)", |found| {
        let message = format!("{} is too {} for a decimal of {} digits", &found[1], &found[2], &found[4]);
        (message, Some(WIDER.to_owned()))
    }),
    (
        r"(?s)(?:regex parse error|[Rr]egular expression did not compile|Regex error|failed to compile regex)(.*)",
        |found| {
            let why = found[1].lines().map(str::trim).rfind(|line| line.starts_with("error: "));
            let why = why.map_or_else(String::new, |why| format!(": {}", why.trim_start_matches("error: ")));
            (format!("the pattern is no regular expression{why}"), Some(PATTERN_HELP.to_owned()))
        },
    ),
    (r"Unsupported date_trunc granularity: '?(\S+?)'?\.? ", |found| (no_part(&found[1]), Some(PARTS.to_owned()))),
    (r"Unsupported date_trunc granularity: '?([^'\s.]+)", |found| (no_part(&found[1]), Some(PARTS.to_owned()))),
    (r"Date part '(.*?)' not supported", |found| (no_part(&found[1]), Some(PARTS.to_owned()))),
    (r"(?s)[Ii]nvalid timezone [“\x22'`]?([^\x22'`”:]+)", |found| {
        (
            format!("`{}` is not the name of a time zone", &found[1]),
            Some("write one such as `Asia/Shanghai`".to_owned()),
        )
    }),
    (r#"Invalid input syntax for type interval: "(.*)""#, |found| {
        let message = format!("{} is no length of time", quoted(&found[1]));
        (message, Some("write one such as `interval '7 days'` or `interval '90 minutes'`".to_owned()))
    }),
    (r"Unsupported SQL type (.*)", |found| {
        let message = format!("there is no type `{}`", found[1].to_lowercase());
        (message, Some("types are: bigint, double, decimal(18,2), varchar, boolean, date, timestamp".to_owned()))
    }),
    (r"non-boolean predicate '(.*)' returning (\S+)", |found| {
        (format!("a condition must be true or false, and this is a {}", kind(&found[2])), None)
    }),
    (r"(?s)HAVING clause references: (.*) must appear in", |found| {
        let message =
            format!("HAVING speaks of `{}`, which is neither grouped by nor aggregated", values_as_written(&found[1]));
        (message, Some("conditions on single rows stand in WHERE".to_owned()))
    }),
    (r"(?s)[Aa]ggregate functions are not allowed in the WHERE clause", |_| {
        (
            "WHERE knows no aggregates: it is asked of each row".to_owned(),
            Some("write the condition into HAVING".to_owned()),
        )
    }),
    (r"duplicate qualified field name (\S+)\.\S+", |found| {
        let message = format!("`{}` is joined with itself under one name", &found[1]);
        (message, Some("give each of them an alias: `from t as a join t as b on …`".to_owned()))
    }),
    (
        r#"(?s)unique expression names but the expression "(.*?)" at position (\d+) and ".*?" at position (\d+)"#,
        |found| {
            let number = |n: usize| found[n].parse::<usize>().unwrap_or(0) + 1;
            let name = found[1].rsplit(" AS ").next().filter(|name| !name.contains(')')).unwrap_or(&found[1]);
            let (first, second) = (number(2), number(3));
            if name.contains('(') && found[1].contains("CAST(") {
                return (format!("columns {first} and {second} {ALIKE_BUT_FOR_CASTS}"), Some(CAST_BEFORE.to_owned()));
            }
            let message = format!("columns {first} and {second} are both named `{}`", values_as_written(name));
            (message, Some("give one of them another name with `as`".to_owned()))
        },
    ),
    (r#"(?s)duplicate unqualified field name "?(.*\(.*\))"?"#, |found| {
        let message = format!("two calls {ALIKE_BUT_FOR_CASTS}: `{}`", values_as_written(&found[1]));
        (message, Some(CAST_BEFORE.to_owned()))
    }),
    (r"common type to coerce (.+) and (.+) in (I?LIKE) expression", |found| {
        let message = format!("{} compares texts, and this is {} and {}", &found[3], kind(&found[1]), kind(&found[2]));
        (message, Some("cast to text: `cast(x as varchar)`".to_owned()))
    }),
    (r"[Tt]he window (\S+) is not defined", |found| {
        (
            format!("the window `{}` is not defined", &found[1]),
            Some("add `window … as (partition by … order by …)`".to_owned()),
        )
    }),
    (r"Cannot find column with position (\d+) in SELECT clause. Valid columns: (.*)", |found| {
        (format!("there is no column {} to group by", &found[1]), Some(format!("the list has columns {}", &found[2])))
    }),
    (r"Order by column out of bounds, specified: (\d+), max: (\d+)", |found| {
        (format!("there is no column {} to order by", &found[1]), Some(format!("the list has {}", &found[2])))
    }),
    (r"(?i)Scalar subquery returned more than one row", |_| {
        let help = "aggregate in it, such as `max(x)`, or let its WHERE leave one row";
        ("a subquery that stands for one value returned more than one row".to_owned(), Some(help.to_owned()))
    }),
    (r"(?i)find the coerced type|no common type|find common type|to a common type", |_| {
        ("its arguments have no type in common".to_owned(), Some("cast one of them: `cast(x as varchar)`".to_owned()))
    }),
    (r"(?i)Too many columns! The subquery should only return one column", |_| {
        (
            "a subquery that stands for a value has more than one column".to_owned(),
            Some("select one column in it".to_owned()),
        )
    }),
    (r#"(?i)no infix parser for token Word\(Word \{ value: "(.*?)""#, |found| {
        (format!("there is no operator `{}` here", found[1].to_lowercase()), None)
    }),
    (r"(?i)recursion limit exceeded", |_| {
        (
            "it goes too deep".to_owned(),
            Some("give the inner parts a name in a WITH, or a model of their own".to_owned()),
        )
    }),
    (r"(?i)unsupported (?:ast node|sql|logical expression|join operator|binary operator)", |_| {
        ("this SQL is not understood here".to_owned(), None)
    }),
    (r"There is only support Literal types for field at idx: (\d+) in Window Function", |found| {
        let number = found[1].parse::<usize>().unwrap_or(0) + 1;
        (format!("argument {number} of this window function must be a number that stands there"), None)
    }),
];

/// DataFusion 55.2 names what is called by what it is called with, and leaves casts out.
const ALIKE_BUT_FOR_CASTS: &str = "differ in a cast alone, which the engine leaves out of names";
const CAST_BEFORE: &str =
    "cast in a query before it: `with t as (select cast(x as double) as x_double, … from …) select …`";
const CAST_HELP: &str = "write a value of that type, or `try_cast(… as …)`, which makes null of what is none";
const WIDER: &str =
    "cast to a wider type before: `cast(… as decimal(38,6))`, `cast(… as double)` or `cast(… as bigint)`";
const PATTERN_HELP: &str = "write what should stand for itself with a backslash before it: `\\(`, `\\.`, `\\*`";
const PARTS: &str = "parts are: year, quarter, month, week, day, hour, minute, second";

fn no_part(name: &str) -> String {
    format!("`{name}` is no part of a date or time that can be asked for here")
}

/// Returns a value as it stands in SQL, cut where it is long.
fn quoted(value: &str) -> String {
    const MOST: usize = 80;
    let cut: String = value.chars().take(MOST).collect();
    let dots = if cut.len() < value.len() { "…" } else { "" };
    format!("'{}{dots}'", cut.escape_debug())
}

/// Returns what the binder notes of one side of an operator.
pub(super) fn of_side(note: &str) -> String {
    note.strip_prefix("has type ")
        .map_or_else(|| note.to_owned(), |arrow| format!("is a {}", kind(arrow)).replace("a text", "text"))
}

/// Returns a type of the engine in words.
pub(super) fn kind(arrow: &str) -> String {
    let name = arrow.split(['(', ' ']).next().unwrap_or(arrow);
    match name {
        "Int8" | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64" => "whole number".to_owned(),
        "Float16" | "Float32" | "Float64" => "number".to_owned(),
        name if name.starts_with("Decimal") => "decimal number".to_owned(),
        "Date32" | "Date64" => "date".to_owned(),
        "Timestamp" => "timestamp".to_owned(),
        "Time32" | "Time64" => "time of day".to_owned(),
        "Interval" | "Duration" => "length of time".to_owned(),
        "Boolean" => "boolean".to_owned(),
        "Utf8" | "LargeUtf8" | "Utf8View" => "text".to_owned(),
        "List" | "LargeList" | "FixedSizeList" => "list".to_owned(),
        "Struct" => "struct".to_owned(),
        "Map" => "map".to_owned(),
        "Binary" | "LargeBinary" | "BinaryView" | "FixedSizeBinary" => "bytes".to_owned(),
        "Null" => "null".to_owned(),
        _ => arrow.to_owned(),
    }
}

/// Returns what the engine says of a query, in words for people. What it says of itself is left out.
#[must_use]
pub fn plain(error: &DataFusionError) -> PlainError {
    plain_text(&error.find_root().strip_backtrace())
}

/// As [`plain`], of words that were taken from an error.
pub(super) fn plain_text(words: &str) -> PlainError {
    static SAID: LazyLock<Vec<(Regex, Rewrite)>> = LazyLock::new(|| {
        SAYINGS.iter().filter_map(|(pattern, rewrite)| Some((Regex::new(pattern).ok()?, *rewrite))).collect()
    });
    for (pattern, rewrite) in SAID.iter() {
        if let Some(found) = pattern.captures(words) {
            let (message, help) = rewrite(&found);
            return PlainError { message, help };
        }
    }
    PlainError { message: without_the_engine(words), help: None }
}

/// Cuts off what the engine says about itself: kinds of its errors, where to send reports, its own syntax trees.
fn without_the_engine(words: &str) -> String {
    const PREFIXES: [&str; 13] = [
        "Arrow error: ",
        "Parquet error: ",
        "External error: ",
        "Execution error: ",
        "Error during planning: ",
        "This feature is not implemented: ",
        "Not yet implemented: ",
        "Internal error: ",
        "Invalid argument error: ",
        "Compute error: ",
        "Cast error: ",
        "Parser error: ",
        "Schema error: ",
    ];
    let mut rest = words.trim();
    while let Some(shorter) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = shorter.trim_start();
    }
    let rest = rest.split("This issue was likely caused by a bug").next().unwrap_or(rest);
    let first = rest.trim().lines().next().unwrap_or_default();
    // A syntax tree is printed with its spans.
    let first =
        first.split(" { ").next().filter(|_| first.contains("Span(") || first.contains("span:")).unwrap_or(first);
    let first = first.trim_end_matches(['.', ' ', ',', ':', '!']);
    if first.is_empty() { "the engine gave up".to_owned() } else { begun_small(&values_as_written(first)) }
}

/// Returns a sentence that begins with a small letter, unless its first word is written in capitals.
pub(super) fn begun_small(words: &str) -> String {
    let mut letters = words.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(_), Some(second)) if second.is_uppercase() => words.to_owned(),
        (Some(first), _) => first.to_lowercase().chain(letters).collect(),
        (None, _) => String::new(),
    }
}

/// Returns words in which literals stand as in SQL: `1` for `Int64(1)`, and `'a'` for `Utf8("a")`.
fn values_as_written(words: &str) -> String {
    static VALUE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r#"\b(?:U?Int\d+|Float\d+|Boolean|Decimal\d+|Date32)\(([^()"]*)\)|\b(?:Large)?Utf8(?:View)?\("([^"]*)"\)"#,
        )
        .ok()
    });
    let Some(value) = VALUE.as_ref() else { return words.to_owned() };
    let written = value.replace_all(words, |found: &Captures<'_>| match (found.get(1), found.get(2)) {
        (Some(number), _) => number.as_str().to_owned(),
        (_, Some(text)) => format!("'{}'", text.as_str()),
        _ => found[0].to_owned(),
    });
    written.into_owned()
}

/// Returns what the engine says of the arguments of a function, in words.
pub(super) fn of_arguments(words: &str) -> Option<PlainError> {
    static CALL: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?s)argument types '([A-Za-z_0-9]+)\((.*?)\)'\. You might").ok());
    let found = CALL.as_ref()?.captures(words)?;
    let name = found[1].to_lowercase();
    let kinds: Vec<String> = top_level(&found[2]).iter().map(|arrow| kind(arrow)).collect();
    let message = match kinds.as_slice() {
        [] => format!("`{name}` needs arguments"),
        [one] => format!("`{name}` cannot take {}", with_article(one)),
        many => format!("`{name}` cannot take ({})", many.join(", ")),
    };
    let adds = matches!(
        name.as_str(),
        "sum" | "avg" | "mean" | "median" | "stddev" | "var" | "percentile_cont" | "round" | "abs"
    );
    let first = kinds.first().map(String::as_str);
    let help = match first {
        Some("boolean") if adds => Some(
            "count what is true: `count(*) filter (where …)`; a share is `avg(case when … then 1.0 else 0 end)`"
                .to_owned(),
        ),
        Some("text") if adds => {
            Some("make it a number: in the contract, or by `try_cast(… as decimal(18,2))`".to_owned())
        }
        Some("timestamp" | "date") if adds => Some("take seconds: `seconds_between(start, end)`".to_owned()),
        _ => candidates(words),
    };
    Some(PlainError { message, help })
}

fn with_article(kind: &str) -> String {
    match kind {
        "text" => "text".to_owned(),
        other => format!("a {other}"),
    }
}

/// Returns the forms of a function that the engine names, if they say something.
fn candidates(words: &str) -> Option<String> {
    const MOST: usize = 4;
    let (_, list) = words.split_once("Candidate functions:")?;
    let mut forms: Vec<String> = Vec::new();
    for line in list.lines().map(str::trim).filter(|line| line.contains('(') && !line.contains("UserDefined")) {
        static KIND: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r"\b(U?Int\d+|Float\d+|Decimal\d*|Utf8View|LargeUtf8|Utf8|Boolean|Date32|Date64|Timestamp)\b(\([^()]*\))?").ok()
        });
        let form = KIND.as_ref().map_or_else(
            || line.to_owned(),
            |known| known.replace_all(line, |found: &Captures<'_>| kind(&found[1])).into_owned(),
        );
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms.truncate(MOST);
    (!forms.is_empty())
        .then(|| format!("it takes {}", forms.iter().map(|form| format!("`{form}`")).collect::<Vec<_>>().join(" or ")))
}

/// Returns the parts between the commas of a list; those in parentheses stay.
fn top_level(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, letter) in list.char_indices() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = list[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

/// What to write instead of functions that other engines have, by name.
const ELSEWHERE: &[(&str, &str)] = &[
    ("add_days", "`day + interval '7 days'`"),
    ("add_months", "`day + interval '1 month'`"),
    ("any", "`x in (…)`"),
    ("approx_count_distinct", "`approx_distinct(x)`"),
    ("arg_max", "`first_value(x order by y desc)`, with columns after `y` that leave no ties"),
    ("arg_min", "`first_value(x order by y)`, with columns after `y` that leave no ties"),
    ("argmax", "`first_value(x order by y desc)`, with columns after `y` that leave no ties"),
    ("argmin", "`first_value(x order by y)`, with columns after `y` that leave no ties"),
    ("max_by", "`first_value(x order by y desc)`, with columns after `y` that leave no ties"),
    ("min_by", "`first_value(x order by y)`, with columns after `y` that leave no ties"),
    ("bool", "`cast(x as boolean)`"),
    ("charindex", "`strpos(text, part)`"),
    ("collect_list", "`array_agg(x order by y)`"),
    ("group_concat", "`string_agg(x, ', ' order by y)`"),
    ("listagg", "`string_agg(x, ', ' order by y)`"),
    ("wm_concat", "`string_agg(x, ', ' order by y)`"),
    ("contains_substr", "`x like '%part%'` or `contains(x, 'part')`"),
    ("convert", "`cast(x as …)`"),
    ("convert_timezone", "`local_day(at, 'Asia/Shanghai')` for a day, `at at time zone 'Asia/Shanghai'` for a time"),
    ("count_if", "`count(*) filter (where …)`"),
    ("countif", "`count(*) filter (where …)`"),
    ("sum_if", "`sum(x) filter (where …)`"),
    ("sumif", "`sum(x) filter (where …)`"),
    ("avg_if", "`avg(x) filter (where …)`"),
    ("date", "`cast(x as date)`, or `local_day(x, $reporting_zone)` of an instant"),
    ("date_add", "`day + interval '7 days'`"),
    ("dateadd", "`day + interval '7 days'`"),
    ("date_sub", "`day - interval '7 days'`"),
    ("timestamp_add", "`at + interval '7 days'`"),
    ("timestampadd", "`at + interval '7 days'`"),
    ("date_diff", "`a - b` of dates, or `seconds_between(b, a) / 86400` of instants"),
    ("datediff", "`a - b` of dates, or `seconds_between(b, a) / 86400` of instants"),
    ("timestamp_diff", "`seconds_between(b, a)`"),
    ("timestampdiff", "`seconds_between(b, a)`"),
    (
        "months_between",
        "`(extract(year from a) - extract(year from b)) * 12 + extract(month from a) - extract(month from b)`",
    ),
    ("strftime", "`to_char(x, '%Y-%m-%d')`"),
    ("format_date", "`to_char(x, '%Y-%m-%d')`"),
    ("format_timestamp", "`to_char(x, '%Y-%m-%d %H:%M')`"),
    ("strptime", "`to_timestamp(x, '%Y-%m-%d %H:%M:%S')`"),
    ("str_to_date", "`to_date(x, '%Y-%m-%d')`"),
    ("parse_date", "`to_date(x, '%Y-%m-%d')`"),
    ("parse_timestamp", "`to_timestamp(x, '%Y-%m-%d %H:%M:%S')`"),
    ("to_number", "`cast(x as decimal(18,2))`"),
    ("to_varchar", "`cast(x as varchar)`, or `to_char(x, '%Y-%m-%d')` of a date"),
    ("day", "`extract(day from x)`"),
    ("dayofmonth", "`extract(day from x)`"),
    ("dayofweek", "`extract(dow from x)`, 0 on Sundays"),
    ("dayofyear", "`extract(doy from x)`"),
    ("hour", "`extract(hour from x)`"),
    ("last_day", "`date_trunc('month', x) + interval '1 month' - interval '1 day'`"),
    ("minute", "`extract(minute from x)`"),
    ("month", "`extract(month from x)`"),
    ("quarter", "`extract(quarter from x)`"),
    ("second", "`extract(second from x)`"),
    ("week", "`extract(week from x)`"),
    ("weekday", "`extract(dow from x)`, 0 on Sundays"),
    ("year", "`extract(year from x)`"),
    ("div", "`a / b`, which of whole numbers is one"),
    ("endswith", "`ends_with(x, 'end')`"),
    ("startswith", "`starts_with(x, 'start')`"),
    ("epoch", "`extract(epoch from x)`"),
    ("unix_timestamp", "`extract(epoch from x)`"),
    ("epoch_ms", "`extract(epoch from x) * 1000`"),
    ("from_utc_timestamp", "`x at time zone 'Asia/Shanghai'`"),
    ("getdate", "`$as_of`, the clock of the run"),
    ("sysdate", "`$as_of`, the clock of the run"),
    ("systimestamp", "`$as_of`, the clock of the run"),
    ("glob", "`x like 'part%'`"),
    ("if", "`case when … then … else … end`"),
    ("iff", "`case when … then … else … end`"),
    ("iif", "`case when … then … else … end`"),
    ("isnull", "`x is null`, or `coalesce(x, y)` with two arguments"),
    ("zeroifnull", "`coalesce(x, 0)`"),
    ("nullifzero", "`nullif(x, 0)`"),
    ("indexof", "`strpos(text, part)`"),
    ("json_extract", "`json_text(x, 'name.0.other')`"),
    ("json_extract_path_text", "`json_text(x, 'name.0.other')`"),
    ("json_extract_scalar", "`json_text(x, 'name.0.other')`"),
    ("json_extract_string", "`json_text(x, 'name.0.other')`"),
    ("json_value", "`json_text(x, 'name.0.other')`"),
    ("get_json_object", "`json_text(x, 'name.0.other')`"),
    ("len", "`length(x)`"),
    ("lcase", "`lower(x)`"),
    ("ucase", "`upper(x)`"),
    ("locate", "`strpos(text, part)`"),
    ("mid", "`substr(x, 2, 3)`"),
    ("mod", "`a % b`"),
    ("mode", "a count per value in a model before, and `row_number() over (order by count desc, value)` = 1"),
    ("now_utc", "`$as_of`, the clock of the run"),
    ("percentile", "`percentile_cont(0.5) within group (order by x)`"),
    ("percentile_disc", "`percentile_cont(0.5) within group (order by x)`"),
    ("quantile", "`percentile_cont(0.5) within group (order by x)`"),
    ("quantile_disc", "`percentile_cont(0.5) within group (order by x)`"),
    ("approx_quantile", "`percentile_cont(0.5) within group (order by x)`"),
    ("approx_percentile", "`percentile_cont(0.5) within group (order by x)`"),
    ("ratio_to_report", "`x / sum(x) over ()`"),
    ("regexp_contains", "`regexp_like(x, 'pattern')`"),
    ("regexp_matches", "`regexp_like(x, 'pattern')`, or `regexp_match` for the parts"),
    ("regexp_extract", "`regexp_match(x, 'pattern')[1]`"),
    ("regexp_substr", "`regexp_match(x, 'pattern')[1]`"),
    ("rlike", "`regexp_like(x, 'pattern')`"),
    ("safe_cast", "`try_cast(x as …)`"),
    ("safe_divide", "`a / nullif(b, 0)`"),
    ("div0", "`coalesce(a / nullif(b, 0), 0)`"),
    ("sign", "`signum(x)`"),
    ("split", "`string_to_array(x, ',')`, or `split_part(x, ',', 1)` for one part"),
    ("str_split", "`string_to_array(x, ',')`, or `split_part(x, ',', 1)` for one part"),
    ("string_split", "`string_to_array(x, ',')`, or `split_part(x, ',', 1)` for one part"),
    ("stddev_population", "`stddev_pop(x)`"),
    ("time_bucket", "`date_bin(interval '15 minutes', at)`"),
    ("try_to_date", "`try_cast(x as date)`"),
    ("try_to_number", "`try_cast(x as decimal(18,2))`"),
    ("tonumber", "`cast(x as decimal(18,2))`"),
    ("truncate", "`trunc(x, 2)`"),
    ("uniq", "`count(distinct x)`"),
    ("variance", "`var_samp(x)`"),
    ("generate_subscripts", "`unnest(range(1, 10))` in the SELECT list"),
    ("explode", "`unnest(x)` in the SELECT list"),
    ("array_size", "`array_length(x)`"),
    ("size", "`array_length(x)`"),
    ("hash", "`md5(x)`"),
    ("sha", "`sha256(x)`"),
    ("choose", "`case x when 1 then … when 2 then … end`"),
    ("to_json", "one column for each value"),
    ("to_json_string", "one column for each value"),
    ("row_to_json", "one column for each value"),
    ("logical_or", "`bool_or(x)`"),
    ("logical_and", "`bool_and(x)`"),
    ("every", "`bool_and(x)`"),
    ("conditional_true_event", "`sum(case when … then 1 else 0 end) over (… order by …)`"),
    ("square", "`power(x, 2)`"),
    ("newid", "a key of columns: the same files give the same tables"),
    ("space", "`repeat(' ', 3)`"),
    ("format", "`concat(…)`, or `to_char(x, '%Y-%m-%d')` of a date"),
    ("printf", "`concat(…)`, or `to_char(x, '%Y-%m-%d')` of a date"),
    ("width_bucket", "`floor((x - least) / width)`"),
    ("hll", "`approx_distinct(x)`"),
    ("toint", "`cast(x as bigint)`"),
    ("int", "`cast(x as bigint)`"),
    ("integer", "`cast(x as bigint)`"),
    ("double", "`cast(x as double)`"),
    ("string", "`cast(x as varchar)`"),
    ("text", "`cast(x as varchar)`"),
    ("str", "`cast(x as varchar)`"),
    ("timestamp", "`cast(x as timestamp)`"),
    ("datetime", "`cast(x as timestamp)`"),
];

/// Returns what to write instead of a function that this engine does not have and others do.
pub(super) fn instead_of(function: &str) -> Option<String> {
    let (_, words) = ELSEWHERE.iter().find(|(name, _)| *name == function)?;
    Some(format!("here it is {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_not_quoted() {
        for (words, message) in [
            ("Arrow error: Cast error: Cannot cast string 'none' to value of Int64 type", "'none' is no whole number"),
            ("Arrow error: Divide by zero error", "division by zero"),
            (
                "Arrow error: Invalid argument error: 123456 is too large to store in a Decimal128 of precision 4. Max is 9999",
                "123456 is too large for a decimal of 4 digits",
            ),
            (
                "Internal error: Function 'x' is odd.\nThis issue was likely caused by a bug in DataFusion's code. Please help",
                "function 'x' is odd",
            ),
        ] {
            assert_eq!(plain_text(words).message, message);
        }
    }

    #[test]
    fn every_saying_is_a_pattern() {
        for (pattern, _) in SAYINGS {
            assert!(Regex::new(pattern).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn what_is_written_instead_is_known_by_another_name() {
        let mut names: Vec<&str> = ELSEWHERE.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "a function is listed twice");
        let session = crate::engine::session(&crate::engine::Resources::for_binding()).unwrap().state();
        let is_known = |name: &str| {
            session.scalar_functions().contains_key(name)
                || session.aggregate_functions().contains_key(name)
                || session.window_functions().contains_key(name)
        };
        let call = Regex::new(r"\b([a-z_0-9]+)\(").unwrap();
        for (name, instead) in ELSEWHERE {
            assert!(!is_known(name), "there is a function `{name}`");
            for found in call.captures_iter(instead) {
                let syntax = ["cast", "try_cast", "decimal", "extract", "unnest"].contains(&&found[1]);
                assert!(syntax || is_known(&found[1]), "{instead}: there is no function `{}`", &found[1]);
            }
        }
    }
}
