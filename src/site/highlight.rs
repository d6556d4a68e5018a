//! SQL as pieces that a page can colour.
//!
//! It tells words from texts, numbers and comments, and knows the tables of the project. It does not parse: a keyword
//! that serves as a name is coloured as a keyword.

use serde::Serialize;

/// A piece of SQL.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Piece {
    /// What it is: `k`eyword, `t`ext, `n`umber, `c`omment, `v`ariable, `f`unction, `r`eference to a table, or nothing.
    pub(super) class: &'static str,
    /// Its text, as written.
    pub(super) text: String,
}

const KEYWORDS: [&str; 71] = [
    "all",
    "and",
    "any",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cast",
    "cross",
    "current",
    "date",
    "desc",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "false",
    "fetch",
    "filter",
    "first",
    "following",
    "for",
    "from",
    "full",
    "group",
    "grouping",
    "having",
    "in",
    "inner",
    "intersect",
    "interval",
    "is",
    "join",
    "last",
    "lateral",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "null",
    "nulls",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "preceding",
    "qualify",
    "range",
    "recursive",
    "right",
    "row",
    "rows",
    "select",
    "sets",
    "then",
    "timestamp",
    "true",
    "unbounded",
    "union",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
];

/// Cuts SQL into pieces; put together they are the SQL again.
pub(super) fn pieces(sql: &str, is_table: impl Fn(&str) -> bool) -> Vec<Piece> {
    let mut found: Vec<Piece> = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (class, length) = if rest.starts_with("--") {
            ("c", rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            ("c", rest.find("*/").map_or(rest.len(), |end| end + 2))
        } else if first == '\'' || first == '"' {
            (if first == '"' { "" } else { "t" }, quoted(rest, first))
        } else if first == '$' {
            ("v", 1 + word(&rest[1..]))
        } else if first.is_ascii_digit() {
            ("n", rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len()))
        } else if first.is_alphabetic() || first == '_' {
            let length = word(rest);
            let name = rest[..length].to_lowercase();
            let is_call = rest[length..].starts_with('(');
            let class = if KEYWORDS.contains(&name.as_str()) {
                "k"
            } else if is_call {
                "f"
            } else if is_table(&name) {
                "r"
            } else {
                ""
            };
            (class, length)
        } else {
            ("", first.len_utf8())
        };
        let (text, after) = rest.split_at(length.max(first.len_utf8()));
        rest = after;
        match found.last_mut() {
            Some(last) if last.class == class && class.is_empty() => last.text.push_str(text),
            _ => found.push(Piece { class, text: text.to_owned() }),
        }
    }
    found
}

fn word(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// Returns the length of a quoted text at the start of `text`; a doubled quote does not end it.
fn quoted(text: &str, quote: char) -> usize {
    let mut after = 1;
    while let Some(end) = text[after..].find(quote) {
        after += end + 1;
        if !text[after..].starts_with(quote) {
            return after;
        }
        after += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(sql: &str) -> String {
        let piece = |piece: Piece| match piece.class {
            "" => piece.text,
            class => format!("{class}[{}]", piece.text),
        };
        pieces(sql, |name| name == "orders").into_iter().map(piece).collect()
    }

    #[test]
    fn words_texts_numbers_comments_and_tables_are_told_apart() {
        assert_eq!(
            marked("select sum(a) as \"from\" from orders -- it's\nwhere b = 'it''s -- no' and $x > 1.5"),
            "k[select] f[sum](a) k[as] \"from\" k[from] r[orders] c[-- it's]\nk[where] b = t['it''s -- no'] k[and] v[$x] > n[1.5]"
        );
        assert_eq!(marked("/* select */ 订单"), "c[/* select */] 订单");
    }

    #[test]
    fn whatever_is_cut_can_be_put_together_again() {
        for sql in ["'never ends", "/* never ends", "$", "\"", "a''b", "é1'é'", ""] {
            let again: String = pieces(sql, |_| false).into_iter().map(|piece| piece.text).collect();
            assert_eq!(again, sql);
        }
    }
}
