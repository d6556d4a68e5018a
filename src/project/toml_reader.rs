//! A typed reader of TOML that knows where everything stands.
//!
//! A project file is read by asking its tables for the keys that they may have. Promises: a value of the wrong type, a
//! key that is missing and a key that nobody asked for each become a located diagnostic, and reading goes on. Knows
//! nothing of what the keys mean.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};
use toml::value::Datetime;

use super::job::Located;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place, SourceFile, did_you_mean};

/// Reads `file` with `understand`, which is not asked when the text is not TOML; all mistakes go to `found`.
pub(super) fn read<T>(
    file: &SourceFile,
    found: &mut Diagnostics,
    understand: impl FnOnce(Table<'_>) -> Option<T>,
) -> Option<T> {
    let (tree, errors) = DeTable::parse_recoverable(&file.text);
    // What follows the first syntax error is mostly its echo.
    if let Some(error) = errors.iter().min_by_key(|error| error.span().map_or(usize::MAX, |bytes| bytes.start)) {
        let at = error.span().map_or_else(|| file.whole(), |bytes| file.at(bytes));
        found.push(syntax_mistake(error.message(), at));
        return None;
    }
    let page = Page { file, found: RefCell::default() };
    let value =
        understand(Table { page: &page, map: tree.get_ref(), at: 0..0, asked: Vec::new(), has_free_tables: false });
    found.extend(page.found.into_inner());
    value
}

/// Turns the parser's message into plain words for what people do most.
fn syntax_mistake(parser: &str, at: Place) -> Diagnostic {
    let before = at.file.text[..at.bytes.start].rsplit('\n').next().unwrap_or_default();
    let is_nothing = at.bytes.is_empty();
    let quotes = "write text as `key = \"text\"`";
    let (message, help) = match parser {
        "duplicate key" => ("this key stands in one table twice", "remove one of them"),
        _ if parser.starts_with("string values must be quoted") && is_nothing => ("a value is missing", quotes),
        _ if parser.starts_with("string values must be quoted") => ("text must stand in quotes", quotes),
        // The parser takes a key that ends an inline table for one whose value is an empty text.
        _ if parser.starts_with("invalid literal string") && is_nothing && !before.contains('\'') => {
            ("`=` and a value are missing", "write text in quotes, and a table as `{ key = \"text\" }`")
        }
        other => return Diagnostic::new(Code::TomlSyntax, at, other),
    };
    Diagnostic::new(Code::TomlSyntax, at, message).help(help)
}

/// Returns names as people list them: `a`, `b` or `c`, each in backticks.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut quoted = names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let last = quoted.pop().unwrap_or_default();
    if quoted.is_empty() { last } else { format!("{} or {last}", quoted.join(", ")) }
}

/// A file that is being read, and the mistakes found in it so far.
struct Page<'d> {
    file: &'d SourceFile,
    found: RefCell<Diagnostics>,
}

/// A table of the file.
///
/// - Keys that were asked for are remembered, so that [`Table::finish`] can report all others.
/// - Once [`Table::other_tables`] was asked for, tables with other keys are known as well.
pub(super) struct Table<'d> {
    page: &'d Page<'d>,
    map: &'d DeTable<'d>,
    at: Range<usize>,
    asked: Vec<&'static str>,
    has_free_tables: bool,
}

impl<'d> Table<'d> {
    /// Returns the place of the table: its header, its braces, or the file for the outermost.
    pub(super) fn place(&self) -> Place {
        self.page.file.at(self.at.clone())
    }

    /// Returns a place in the file.
    pub(super) fn at(&self, bytes: Range<usize>) -> Place {
        self.page.file.at(bytes)
    }

    /// Adds a mistake.
    pub(super) fn report(&self, diagnostic: Diagnostic) {
        self.page.found.borrow_mut().push(diagnostic);
    }

    /// Reports a word of the file that means nothing here.
    pub(super) fn reject(&self, word: &Located, message: impl Into<String>, help: impl Into<String>) {
        self.report(Diagnostic::new(Code::InvalidValue, self.at(word.bytes.clone()), message).help(help));
    }

    /// Reports that `key` is missing; `example` is a line that would mend it.
    pub(super) fn missing(&self, key: &str, example: &str) {
        let message = format!("`{key}` is missing");
        self.report(Diagnostic::new(Code::MissingKey, self.place(), message).help(format!("write `{example}`")));
    }

    /// Returns whether the table has `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Returns the value of `key`, whatever its type.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'d>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let (name, node) = self.map.get_key_value(key)?;
        Some(Value::new(self.page, name, node))
    }

    /// Returns the text of `key`.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Located> {
        self.take(key)?.text()
    }

    /// Returns the text of `key`, which the table must have.
    pub(super) fn required_text(&mut self, key: &'static str, example: &str) -> Option<Located> {
        if !self.has(key) {
            self.missing(key, example);
        }
        self.text(key)
    }

    /// Returns the boolean of `key`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.take(key)?.boolean()
    }

    /// Returns the texts of the list `key`; empty when there is none.
    pub(super) fn list_of_text(&mut self, key: &'static str) -> Vec<Located> {
        self.take(key).map_or_else(Vec::new, |value| value.list_of_text())
    }

    /// Returns the texts of the list `key`, each of which may stand in it once.
    pub(super) fn distinct_texts(&mut self, key: &'static str) -> Vec<Located> {
        let mut distinct = Vec::<Located>::new();
        for word in self.list_of_text(key) {
            if distinct.iter().any(|known| known.text == word.text) {
                self.reject(&word, format!("`{}` stands in `{key}` twice", word.text), "remove it here");
            } else {
                distinct.push(word);
            }
        }
        distinct
    }

    /// Returns the table `key`.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Self> {
        self.take(key)?.table()
    }

    /// Returns the entries of the table `key`, whose keys are free names.
    pub(super) fn names(&mut self, key: &'static str) -> Vec<Value<'d>> {
        self.table(key).map_or_else(Vec::new, |table| table.entries())
    }

    /// Returns what the text of `key` stands for among the few that it can be.
    pub(super) fn one_of<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let word = self.text(key)?;
        let chosen = choices.iter().find(|(name, _)| *name == word.text).map(|(_, meaning)| *meaning);
        if chosen.is_none() {
            let help = format!("it can be {}", listed(choices.iter().map(|(name, _)| *name)));
            self.reject(&word, format!("`{key}` cannot be `{}`", word.text), help);
        }
        chosen
    }

    /// Returns every entry in the order of the file.
    pub(super) fn entries(&self) -> Vec<Value<'d>> {
        let mut entries = self.map.iter().map(|(name, node)| Value::new(self.page, name, node)).collect::<Vec<_>>();
        // The parser moves a table that dotted headers had begun before its own header came.
        entries.sort_by_key(|entry| entry.name.bytes.start);
        entries
    }

    /// Returns the tables whose keys were not asked for until now and are free names, in the order of the file.
    pub(super) fn other_tables(&mut self) -> Vec<Value<'d>> {
        self.has_free_tables = true;
        let mut others = self.entries();
        others.retain(|entry| entry.is_table() && !self.asked.contains(&entry.name.text.as_str()));
        others
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(self) {
        for entry in self.entries() {
            let name = entry.name.text.as_str();
            if self.asked.contains(&name) || (self.has_free_tables && entry.is_table()) {
                continue;
            }
            let help = did_you_mean(name, self.asked.iter().copied())
                .unwrap_or_else(|| format!("it can be {}", listed(self.asked.iter().copied())));
            let at = self.at(entry.name.bytes.clone());
            self.report(Diagnostic::new(Code::UnknownKey, at, format!("there is no key `{name}` here")).help(help));
        }
    }
}

/// A value of the file, and the key that it belongs to.
pub(super) struct Value<'d> {
    page: &'d Page<'d>,
    /// The key, also of the items of a list.
    pub(super) name: Located,
    node: &'d DeValue<'d>,
    bytes: Range<usize>,
}

impl<'d> Value<'d> {
    fn new(page: &'d Page<'d>, name: &Spanned<impl AsRef<str>>, node: &'d Spanned<DeValue<'d>>) -> Self {
        let bytes = unquoted(&page.file.text, name.span());
        let name = Located { text: name.get_ref().as_ref().to_owned(), bytes };
        Self { page, name, node: node.get_ref(), bytes: node.span() }
    }

    /// Returns where the value stands; a text without its quotes.
    pub(super) fn place(&self) -> Place {
        let bytes =
            if self.node.is_str() { unquoted(&self.page.file.text, self.bytes.clone()) } else { self.bytes.clone() };
        self.page.file.at(bytes)
    }

    /// Adds a mistake.
    pub(super) fn report(&self, diagnostic: Diagnostic) {
        self.page.found.borrow_mut().push(diagnostic);
    }

    /// Reports that the value means nothing here.
    pub(super) fn reject(&self, message: impl Into<String>, help: impl Into<String>) {
        self.report(Diagnostic::new(Code::InvalidValue, self.place(), message).help(help));
    }

    /// Returns a place in the file.
    pub(super) fn at(&self, bytes: Range<usize>) -> Place {
        self.page.file.at(bytes)
    }

    /// Returns whether the value is a table.
    fn is_table(&self) -> bool {
        matches!(self.node, DeValue::Table(_))
    }

    /// Returns the parser's own value, for keys that may have several types.
    pub(super) fn node(&self) -> &'d DeValue<'d> {
        self.node
    }

    /// Reports that the value is not of a type that its key can have.
    pub(super) fn wrong_type(&self, expected: &str) {
        let kind = match self.node {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let message = format!("`{}` is {kind}, expected {expected}", self.name.text);
        self.report(Diagnostic::new(Code::WrongType, self.page.file.at(self.bytes.clone()), message));
    }

    /// Returns the text.
    pub(super) fn text(&self) -> Option<Located> {
        if let DeValue::String(text) = self.node {
            return Some(Located { text: text.clone().into_owned(), bytes: self.place().bytes });
        }
        self.wrong_type("text");
        None
    }

    /// Returns the boolean.
    pub(super) fn boolean(&self) -> Option<bool> {
        if let DeValue::Boolean(value) = self.node {
            return Some(*value);
        }
        self.wrong_type("`true` or `false`");
        None
    }

    /// Returns the integer.
    pub(super) fn integer(&self) -> Option<i64> {
        let DeValue::Integer(written) = self.node else {
            self.wrong_type("an integer");
            return None;
        };
        let value = integer(written);
        if value.is_none() {
            self.reject(format!("`{}` does not fit into 64 bits", self.name.text), "write a smaller number");
        }
        value
    }

    /// Returns the integer or float as a float.
    pub(super) fn number(&self) -> Option<f64> {
        let value = match self.node {
            DeValue::Integer(written) if written.radix() == 10 => written.as_str().parse::<f64>().ok(),
            DeValue::Float(written) => float(written),
            _ => {
                self.wrong_type("a number");
                return None;
            }
        };
        if value.is_none() {
            self.reject(format!("`{}` is not a finite number", self.name.text), "write a number such as `0.01`");
        }
        value
    }

    /// Returns the items of the list.
    pub(super) fn list(&self) -> Vec<Self> {
        let DeValue::Array(items) = self.node else {
            self.wrong_type("a list");
            return Vec::new();
        };
        let item = |node: &'d Spanned<DeValue<'d>>| Self {
            page: self.page,
            name: self.name.clone(),
            node: node.get_ref(),
            bytes: node.span(),
        };
        items.iter().map(item).collect()
    }

    /// Returns the texts of the list.
    pub(super) fn list_of_text(&self) -> Vec<Located> {
        self.list().iter().filter_map(Self::text).collect()
    }

    /// Returns the text, or the texts of the list, for keys that may have one or several.
    pub(super) fn text_or_list(&self) -> Vec<Located> {
        match self.node {
            DeValue::Array(_) => self.list_of_text(),
            DeValue::String(_) => self.text().into_iter().collect(),
            _ => {
                self.wrong_type("text or a list of texts");
                Vec::new()
            }
        }
    }

    /// Returns the table.
    pub(super) fn table(&self) -> Option<Table<'d>> {
        if let DeValue::Table(map) = self.node {
            return Some(Table {
                page: self.page,
                map,
                at: self.bytes.clone(),
                asked: Vec::new(),
                has_free_tables: false,
            });
        }
        self.wrong_type("a table");
        None
    }

    /// Returns a text, number, date or instant as the text that stands for it in data.
    pub(super) fn scalar(&self) -> Option<Located> {
        let text = match self.node {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Integer(written) => {
                integer(written).map_or_else(|| written.to_string(), |value| value.to_string())
            }
            DeValue::Float(written) => written.as_str().trim_start_matches('+').to_owned(),
            DeValue::Datetime(written) => Datetime::to_string(written),
            DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_) => {
                self.wrong_type("text, a number or a date");
                return None;
            }
        };
        Some(Located { text, bytes: self.place().bytes })
    }
}

/// Returns the value of an integer, unless it is beyond 64 bits.
pub(super) fn integer(written: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(written.as_str(), written.radix()).ok()
}

/// Returns the value of a float, unless it is not finite.
pub(super) fn float(written: &DeFloat<'_>) -> Option<f64> {
    written.as_str().parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Returns the bytes between the quotes of a text that stands at `bytes`, or `bytes` where there are none.
fn unquoted(text: &str, bytes: Range<usize>) -> Range<usize> {
    let raw = text.get(bytes.clone()).unwrap_or_default();
    let width = if raw.len() >= 6 && (raw.starts_with("\"\"\"") || raw.starts_with("'''")) {
        3
    } else {
        usize::from(raw.len() >= 2 && raw.starts_with(['"', '\'']))
    };
    bytes.start + width..bytes.end - width
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str, understand: impl FnOnce(Table<'_>)) -> Vec<String> {
        let file = SourceFile::new("a.toml", text);
        let mut found = Diagnostics::default();
        read(&file, &mut found, |table| {
            understand(table);
            Some(())
        });
        let words = |d: &Diagnostic| {
            let (line, column) = d.at.line_column();
            let marked = &d.at.file.text[d.at.bytes.clone()];
            format!("{line}:{column} {} {} @{marked}", d.code.as_str(), d.message)
        };
        found.iter().map(words).collect()
    }

    #[test]
    fn a_key_that_nobody_asked_for_is_reported_with_the_nearest_that_was() {
        let file = SourceFile::new("a.toml", "from = \"x\"\ndescripton = \"y\"\n'zz' = 1\n");
        let mut found = Diagnostics::default();
        read(&file, &mut found, |mut table| {
            table.text("from")?;
            table.text("description");
            table.finish();
            Some(())
        });
        let help = found.iter().map(|d| d.help.clone().unwrap()).collect::<Vec<_>>();
        assert_eq!(help, ["did you mean `description`?", "it can be `from` or `description`"]);
        assert_eq!(found.iter().last().unwrap().at.line_column(), (3, 2));
    }

    #[test]
    fn tables_with_free_names_stand_beside_known_keys() {
        let found = mistakes("b = 1\n[z]\n[a]\n[[c]]\n[x]\n", |mut table| {
            table.text("x");
            let others = table.other_tables().into_iter().map(|entry| entry.name.text).collect::<Vec<_>>();
            assert_eq!(others, ["z", "a"]);
            table.finish();
        });
        assert_eq!(
            found,
            [
                "5:1 E0106 `x` is a table, expected text @[x]",
                "1:1 E0104 there is no key `b` here @b",
                "4:3 E0104 there is no key `c` here @c",
            ]
        );
    }

    #[test]
    fn wrong_types_and_missing_keys_are_placed_exactly() {
        let text = "a = 1\n[t]\nb = \"yes\"\nl = [\"x\", 2.5]\n";
        let found = mistakes(text, |mut table| {
            table.required_text("a", "a = \"x\"");
            let mut inner = table.table("t").unwrap();
            inner.boolean("b");
            inner.list_of_text("l");
            inner.required_text("from", "from = \"x\"");
        });
        assert_eq!(
            found,
            [
                "1:5 E0106 `a` is an integer, expected text @1",
                "3:5 E0106 `b` is text, expected `true` or `false` @\"yes\"",
                "4:11 E0106 `l` is a float, expected text @2.5",
                "2:1 E0105 `from` is missing @[t]",
            ]
        );
    }

    #[test]
    fn a_text_stands_between_its_quotes() {
        for text in ["a = \"bad\"", "a = 'bad'", "a = \"\"\"bad\"\"\"", "a = '''bad'''"] {
            let found = mistakes(text, |mut table| {
                table.one_of("a", &[("good", ())]);
            });
            assert!(found[0].ends_with("E0107 `a` cannot be `bad` @bad"), "{found:?}");
        }
        let found = mistakes("a = ''", |mut table| {
            table.one_of("a", &[("good", ())]);
        });
        assert_eq!(found, ["1:6 E0107 `a` cannot be `` @"]);
    }

    #[test]
    fn only_the_first_syntax_error_is_shown() {
        let found = mistakes("a = 1\nb = hello\nc = world\n", |_| unreachable!());
        assert_eq!(found, ["2:5 E0103 text must stand in quotes @hello"]);
        assert_eq!(mistakes("a = \n", |_| ()), ["1:5 E0103 a value is missing @"]);
        assert_eq!(mistakes("a = { b }\n", |_| ()), ["1:9 E0103 `=` and a value are missing @"]);
        assert_eq!(mistakes("a = 1\na = 2\n", |_| ()), ["2:1 E0103 this key stands in one table twice @a"]);
    }

    #[test]
    fn integers_are_read_in_every_base_and_never_wrap() {
        let found = mistakes("a = 0xff\nb = 99999999999999999999\nc = 1e999\n", |mut table| {
            assert_eq!(table.take("a").unwrap().integer(), Some(255));
            assert_eq!(table.take("b").unwrap().integer(), None);
            assert_eq!(table.take("c").unwrap().number(), None);
        });
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn entries_keep_the_order_of_the_file() {
        mistakes("[c.z]\n[c.a]\nx = 1\n[c.m]\n", |mut table| {
            let names = table.names("c").into_iter().map(|entry| entry.name.text).collect::<Vec<_>>();
            assert_eq!(names, ["z", "a", "m"]);
        });
    }

    #[test]
    fn names_are_listed_as_people_do() {
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
