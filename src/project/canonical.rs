//! How what a project says is written where it is hashed.
//!
//! The names are those of the first release and stay, whatever the types are called today: stored hashes are made of them.
//! A field that came later is written only where it is used.

use std::fmt;

use chrono::Weekday;

use super::{
    ColumnDoc, Comparison, Condition, CsvFormat, DayReach, FieldNames, FilesMode, Format, Keep, Late, NdjsonFormat,
    Normaliser, Operand, PartitionBy, Rules, Severity, Terms, Test, ThenLate, Variable,
};
use crate::canonical::{Canonical, Form, canonical, case, record};
use crate::digest::Digest;

impl Canonical for Format {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Csv(format) => case(f, "Csv", &[format]),
            Self::Ndjson(format) => case(f, "Ndjson", &[format]),
        }
    }
}

impl Canonical for CsvFormat {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            delimiter,
            quote,
            escape,
            names,
            skip_lines,
            comment,
            fills_short_rows,
            keeps_stray_quotes,
            trims,
            expected_header,
            header_rows,
            skips_repeated_header,
        } = self;
        let mut fields: Vec<(&str, &dyn Canonical)> = vec![
            ("delimiter", delimiter),
            ("quote", quote),
            ("escape", escape),
            ("names", names),
            ("skip_lines", skip_lines),
            ("comment", comment),
            ("fills_short_rows", fills_short_rows),
        ];
        if *keeps_stray_quotes {
            fields.push(("keeps_stray_quotes", keeps_stray_quotes));
        }
        if *trims {
            fields.push(("trims", trims));
        }
        if expected_header.is_some() {
            fields.push(("expected_header", expected_header));
        }
        if *header_rows != 1 {
            fields.push(("header_rows", header_rows));
        }
        if *skips_repeated_header {
            fields.push(("skips_repeated_header", skips_repeated_header));
        }
        record(f, "CsvFormat", &fields)
    }
}

impl Canonical for FieldNames {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("Header"),
            Self::Listed(names) => case(f, "Listed", &[names]),
            Self::Order => f.write_str("Order"),
        }
    }
}

impl Canonical for NdjsonFormat {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { explode } = self;
        record(f, "NdjsonFormat", &[("explode", explode)])
    }
}

impl Canonical for FilesMode {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replace => "Replace",
            Self::Append => "Append",
            Self::Snapshot => "Snapshot",
        })
    }
}

impl Canonical for Keep {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest(column) => case(f, "Latest", &[column]),
            Self::First(column) => case(f, "First", &[column]),
        }
    }
}

impl Canonical for Late {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, after_seconds, then } = self;
        record(f, "Late", &[("by", by), ("after_seconds", after_seconds), ("then", then)])
    }
}

impl Canonical for ThenLate {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::SetAside => "SetAside",
        })
    }
}

impl Canonical for Normaliser {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trim => "Trim",
            Self::Lower => "Lower",
            Self::Upper => "Upper",
            Self::Nfkc => "Nfkc",
            Self::Phone => "Phone",
            Self::Email => "Email",
            Self::Currency => "Currency",
            Self::Amount => "Amount",
            Self::DecimalComma => "DecimalComma",
            Self::Words => "Words",
        })
    }
}

impl Canonical for Rules {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { required, values, min, max, pattern } = self;
        let fields: [(&str, &dyn Canonical); 5] =
            [("required", required), ("values", values), ("min", min), ("max", max), ("pattern", pattern)];
        record(f, "Rules", &fields)
    }
}

/// However it is spaced.
impl Canonical for Condition {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text: _, left, is_negated, test } = self;
        write!(f, "{left} {is_negated} {}", Form(test))
    }
}

impl Canonical for Test {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(comparison, operands) => case(f, "Compare", &[comparison, operands]),
            Self::Matches(pattern) => case(f, "Matches", &[pattern]),
            Self::In(values) => case(f, "In", &[values]),
            Self::Null => f.write_str("Null"),
        }
    }
}

impl Canonical for Comparison {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "Equal",
            Self::NotEqual => "NotEqual",
            Self::Less => "Less",
            Self::LessOrEqual => "LessOrEqual",
            Self::Greater => "Greater",
            Self::GreaterOrEqual => "GreaterOrEqual",
        })
    }
}

impl Canonical for Operand {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => case(f, "Column", &[name]),
            Self::Minus(name) => case(f, "Minus", &[name]),
            Self::Value(text) => case(f, "Value", &[text]),
        }
    }
}

impl Canonical for PartitionBy {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day { column, zone } => {
                f.debug_struct("Day").field("column", &Form(column)).field("zone", &Bare(zone.name())).finish()
            }
            Self::Bucket { column, buckets } => record(f, "Bucket", &[("column", column), ("buckets", buckets)]),
        }
    }
}

impl Canonical for DayReach {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Around { before, after } => record(f, "DayReach", &[("before", before), ("after", after)]),
            Self::Week(Weekday::Mon) => f.write_str("Week"),
            Self::Week(first) => write!(f, "Week from {first}"),
            Self::Month => f.write_str("Month"),
        }
    }
}

impl Canonical for Severity {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "Error",
            Self::Warn => "Warn",
        })
    }
}

impl Canonical for Terms {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, max_rows, max_share, min_rows } = self;
        let fields: [(&str, &dyn Canonical); 4] =
            [("severity", severity), ("max_rows", max_rows), ("max_share", max_share), ("min_rows", min_rows)];
        record(f, "Terms", &fields)
    }
}

impl Canonical for Variable {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => case(f, "Integer", &[value]),
            Self::Float(value) => case(f, "Float", &[value]),
            Self::Boolean(value) => case(f, "Boolean", &[value]),
            Self::Text(value) => case(f, "Text", &[value]),
            Self::Date(value) => f.debug_tuple("Date").field(&Bare(&value.format("%Y-%m-%d").to_string())).finish(),
            Self::Timestamp(value) => {
                let text = value.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string();
                f.debug_tuple("Timestamp").field(&Bare(&text)).finish()
            }
        }
    }
}

impl Canonical for ColumnDoc {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { description, unit, en, zh } = self;
        record(f, "Words", &[("description", description), ("unit", unit), ("en", en), ("zh", zh)])
    }
}

impl Canonical for Digest {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", canonical(self.as_str()))
    }
}

/// A name without quotes.
struct Bare<'a>(&'a str);

impl fmt::Debug for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
