//! Reads a condition on the values of one record.
//!
//! ```text
//! condition = column comparison sum
//!           | column ("~" | "!~") text
//!           | column ["not"] "in" "(" value {"," value} ")"
//!           | column "is" ["not"] "null"
//! sum       = ["-"] part {("+" | "-") part}
//! part      = column | value
//! ```

use std::ops::Range;

use super::bound::{self, Bound};
use super::column::{REGEX_RULE, why_no_regex};
use super::source::Columns;
use crate::diagnostic::{Code, Diagnostic, Place, did_you_mean};
use crate::project::toml_reader::Table;
use crate::project::{ColumnType, Comparison, Condition, Located, Operand, Test};

const EXAMPLES: &str = "write a column and what it is held against, such as `ended_at >= started_at`, `total = net + tax`, \
                        `status in ('new', 'open')`, `code ~ '^[A-Z]+$'` or `left_at is null`";

/// What a condition is read for.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    /// Where mistakes are reported.
    pub(super) table: &'a Table<'a>,
    /// The columns that can be named.
    pub(super) columns: &'a Columns,
    /// Who names them, told to people.
    pub(super) subject: &'a str,
    /// Whether it is to make a mark true, and so can name no other mark.
    pub(super) is_of_mark: bool,
}

/// Reads the condition that `word` is; nothing, with a mistake, where it is none.
pub(super) fn read(reader: Reader<'_>, word: &Located) -> Option<Condition> {
    let mut parser = Parser { reader, word, tokens: tokens(&word.text), at: 0 };
    let condition = parser.condition()?;
    let rest = parser.here();
    if rest.kind == Kind::End {
        return Some(condition);
    }
    let message = format!("expected nothing more, found `{}`", parser.text(rest));
    parser.report(Code::InvalidValue, rest, message, "one text asks one thing; write what else is asked as another")
}

/// A piece of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    kind: Kind,
    bytes: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A name, or a word of the language.
    Word,
    /// A number, day or instant.
    Literal,
    /// What stands in quotes.
    Text(String),
    Sign,
    /// A quote that does not close.
    Open,
    End,
}

/// The signs; one that another starts with comes after it.
const SIGNS: [&str; 13] = ["<>", "<=", ">=", "!~", "=", "<", ">", "~", "+", "-", "(", ")", ","];

/// Cuts a condition into pieces, the last of which is its end.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, length) = match first {
            _ if first.is_whitespace() => {
                at += first.len_utf8();
                continue;
            }
            '\'' => quoted(rest),
            '0'..='9' => (Kind::Literal, literal(rest)),
            _ if is_of_word(first) => (Kind::Word, rest.find(|c| !is_of_word(c)).unwrap_or(rest.len())),
            _ => (Kind::Sign, SIGNS.iter().find(|sign| rest.starts_with(**sign)).map_or(first.len_utf8(), |s| s.len())),
        };
        tokens.push(Token { kind, bytes: at..at + length });
        at += length;
    }
    tokens.push(Token { kind: Kind::End, bytes: text.len()..text.len() });
    tokens
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns how long the literal is that `rest` begins with: `-` and `+` belong to it before a digit, as in days,
/// offsets of instants and exponents.
fn literal(rest: &str) -> usize {
    let goes_on = |(at, c): &(usize, char)| match c {
        '-' | '+' => rest[at + 1..].starts_with(|next: char| next.is_ascii_digit()),
        _ => is_of_word(*c) || matches!(c, '.' | ':'),
    };
    rest.char_indices().find(|place| !goes_on(place)).map_or(rest.len(), |(at, _)| at)
}

/// Reads the text in quotes that `rest` begins with; two quotes inside it stand for one.
fn quoted(rest: &str) -> (Kind, usize) {
    let mut text = String::new();
    let mut at = 1;
    while let Some(length) = rest[at..].find('\'') {
        text.push_str(&rest[at..at + length]);
        at += length + 1;
        if !rest[at..].starts_with('\'') {
            return (Kind::Text(text), at);
        }
        text.push('\'');
        at += 1;
    }
    (Kind::Open, rest.len())
}

struct Parser<'a> {
    reader: Reader<'a>,
    word: &'a Located,
    tokens: Vec<Token>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn condition(&mut self) -> Option<Condition> {
        if self.here().kind != Kind::Word {
            return self.unexpected("a column");
        }
        let token = self.next();
        let left = self.text(&token).to_owned();
        let kind = self.column(&token)?;
        let has_not = self.takes("not");
        let (test, is_negated) = if self.takes("in") {
            (self.values(kind)?, has_not)
        } else if has_not {
            return self.unexpected("`in`");
        } else if self.takes("is") {
            let is_negated = self.takes("not");
            if !self.takes("null") {
                return self.unexpected("`null`");
            }
            (Test::Null, is_negated)
        } else if let "~" | "!~" = self.text(self.here()) {
            let sign = self.next();
            (self.pattern(kind, &sign)?, self.text(&sign) == "!~")
        } else if let Some((_, comparison)) = Comparison::SIGNS.iter().find(|(sign, _)| *sign == self.text(self.here()))
        {
            self.next();
            (Test::Compare(*comparison, self.sum(kind)?), false)
        } else {
            return self.unexpected("a comparison");
        };
        Some(Condition { text: self.word.text.trim().to_owned(), left, is_negated, test })
    }

    /// Reads the values in parentheses that a column of type `kind` is looked for among.
    fn values(&mut self, kind: ColumnType) -> Option<Test> {
        if !self.takes("(") {
            return self.unexpected("`(`");
        }
        let mut values = Vec::new();
        loop {
            let is_negative = self.takes_sign("-", kind)?;
            let token = self.next();
            values.push(self.value(&token, is_negative, kind)?);
            if self.takes(")") {
                return Some(Test::In(values));
            }
            if !self.takes(",") {
                return self.unexpected("`,` or `)`");
            }
        }
    }

    fn pattern(&mut self, kind: ColumnType, sign: &Token) -> Option<Test> {
        if kind != ColumnType::String {
            let message = format!("`{}` does not fit a column of type `{kind}`", self.text(sign));
            return self.report(Code::RuleType, sign, message, "it is for `string`");
        }
        let token = self.next();
        let Kind::Text(pattern) = &token.kind else {
            return self.unexpected_at(&token, "a regular expression in single quotes");
        };
        match why_no_regex(pattern) {
            None => Some(Test::Matches(pattern.clone())),
            Some(why) => {
                let message = format!("`{}` is not a regular expression: {why}", self.text(&token));
                self.report(Code::InvalidValue, &token, message, REGEX_RULE)
            }
        }
    }

    /// Reads what a column of type `kind` is compared with.
    fn sum(&mut self, kind: ColumnType) -> Option<Vec<Operand>> {
        let mut parts = Vec::new();
        let mut is_minus = self.takes_sign("-", kind)?;
        loop {
            let token = self.next();
            let is_column = token.kind == Kind::Word && !matches!(self.text(&token), "true" | "false");
            let of = if is_column { Some(self.comparable(&token, kind)?) } else { None };
            parts.push((token, is_minus, of));
            if self.takes_sign("+", kind)? {
                is_minus = false;
            } else if self.takes_sign("-", kind)? {
                is_minus = true;
            } else {
                break;
            }
        }
        let is_alone = parts.len() == 1;
        let has_float = parts.iter().filter_map(|(_, _, of)| *of).chain([kind]).any(|of| of == ColumnType::Float64);
        let operand = |(token, is_minus, of): &(Token, bool, Option<ColumnType>)| {
            let text = self.text(token);
            Some(match of {
                Some(_) if *is_minus => Operand::Minus(text.to_owned()),
                Some(_) => Operand::Column(text.to_owned()),
                None if is_alone => Operand::Value(self.value(token, *is_minus, kind)?),
                None if has_float => Operand::Value(self.value(token, *is_minus, ColumnType::Float64)?),
                None => {
                    let exact = ColumnType::exact(text).unwrap_or(ColumnType::Decimal { precision: 38, scale: 38 });
                    Operand::Value(self.value(token, *is_minus, exact)?)
                }
            })
        };
        parts.iter().map(operand).collect()
    }

    /// Passes over a sign that only numbers can have before them, and returns whether it was there.
    fn takes_sign(&mut self, sign: &str, kind: ColumnType) -> Option<bool> {
        let is_there = self.text(self.here()) == sign;
        if is_there && !kind.is_number() {
            let message = format!("`{sign}` is for numbers, and the column on the left is of type `{kind}`");
            return self.report(Code::RuleType, &self.here().clone(), message, "compare it with one column or value");
        }
        if is_there {
            self.next();
        }
        Some(is_there)
    }

    /// Returns the type of a column that a column of type `left` is compared with.
    fn comparable(&self, token: &Token, left: ColumnType) -> Option<ColumnType> {
        let kind = self.column(token)?;
        if left == kind || (left.is_number() && kind.is_number()) {
            return Some(kind);
        }
        let named = self.text(&self.tokens[0]);
        let message = format!("`{named}` is of type `{left}` and `{}` of type `{kind}`", self.text(token));
        self.report(Code::RuleType, token, message, "compare two numbers, or two columns of one type")
    }

    /// Returns the type of a column.
    fn column(&self, token: &Token) -> Option<ColumnType> {
        let Reader { columns, subject, is_of_mark, .. } = self.reader;
        let name = self.text(token);
        let Some(declared) = columns.get(name) else {
            let message = format!("{subject} names the column `{name}`, which is not declared");
            let help = did_you_mean(name, columns.keys().map(String::as_str))
                .unwrap_or_else(|| "declare it under `[columns]`; text stands in single quotes".to_owned());
            return self.report(Code::ContractColumn, token, message, help);
        };
        if is_of_mark && declared.true_if.is_some() {
            let message = format!("`{name}` is a mark itself, and {subject} goes by what files and paths give");
            return self.report(Code::InvalidValue, token, message, format!("write here what makes `{name}` true"));
        }
        declared.column.as_ref().map(|column| column.kind)
    }

    /// Returns the value of type `kind` that a token stands for, as the text that stands for it in data.
    fn value(&self, token: &Token, is_negative: bool, kind: ColumnType) -> Option<String> {
        let written = self.text(token);
        let text = match &token.kind {
            Kind::Text(text) if !is_negative => text.clone(),
            Kind::Word | Kind::Literal if is_negative => format!("-{written}"),
            Kind::Word | Kind::Literal => written.to_owned(),
            _ => return self.unexpected_at(token, "a value"),
        };
        let is_value = match kind {
            ColumnType::String => matches!(token.kind, Kind::Text(_)),
            ColumnType::Boolean => matches!(written, "true" | "false"),
            _ => token.kind == Kind::Literal && Bound::parse(&text, kind).is_some(),
        };
        if is_value {
            return Some(text);
        }
        let help = match kind {
            ColumnType::String => "write text in single quotes".to_owned(),
            ColumnType::Boolean => "write `true` or `false`".to_owned(),
            kind if kind.is_number() && written.contains(['+', '-']) => {
                "`+` and `-` of a sum have spaces around them".to_owned()
            }
            kind => format!("write a value such as `{}`", bound::example(kind)),
        };
        self.report(Code::RuleType, token, format!("`{written}` is not a value of type `{kind}`"), help)
    }

    fn here(&self) -> &Token {
        &self.tokens[self.at]
    }

    /// Passes over a token; the last one stays.
    fn next(&mut self) -> Token {
        let token = self.here().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// Passes over a word or sign if it is the next.
    fn takes(&mut self, written: &str) -> bool {
        let is_there = self.text(self.here()) == written;
        if is_there {
            self.next();
        }
        is_there
    }

    fn text(&self, token: &Token) -> &'a str {
        &self.word.text[token.bytes.clone()]
    }

    fn unexpected<T>(&self, expected: &str) -> Option<T> {
        self.unexpected_at(self.here(), expected)
    }

    fn unexpected_at<T>(&self, token: &Token, expected: &str) -> Option<T> {
        if token.kind == Kind::Open {
            let help = "end text with a single quote; two of them inside it stand for one";
            return self.report(Code::InvalidValue, token, "a quote does not close", help);
        }
        let found = match token.kind {
            Kind::End => "the end".to_owned(),
            _ => format!("`{}`", self.text(token)),
        };
        self.report(Code::InvalidValue, token, format!("expected {expected}, found {found}"), EXAMPLES)
    }

    fn report<T>(&self, code: Code, token: &Token, message: impl Into<String>, help: impl Into<String>) -> Option<T> {
        let mistake = Diagnostic::new(code, self.place(token), message).help(help);
        self.reader.table.report(mistake);
        None
    }

    /// Returns where a token stands in the file.
    fn place(&self, token: &Token) -> Place {
        let whole = self.reader.table.at(self.word.bytes.clone());
        let written = &whole.file.text[whole.bytes.clone()];
        // As far as nothing is written with escapes, the text stands in the file as it is.
        if written.get(..token.bytes.end) == self.word.text.get(..token.bytes.end) {
            let start = whole.bytes.start;
            self.reader.table.at(start + token.bytes.start..start + token.bytes.end)
        } else {
            whole
        }
    }
}
