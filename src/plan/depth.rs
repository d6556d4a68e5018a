//! Bounds how deep SQL may go, before anything goes down into it.
//!
//! Parsers and planners call themselves once for each level of what they read, and a chain such as `a or b or c` is one
//! level for each link. What is too deep would take all of a thread's stack and end the process. So the words are counted
//! first, in a loop; threads that read SQL have [`STACK_BYTES`], which is ample for all that is let through.

use std::ops::Range;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer};

use super::query::bytes;
use crate::diagnostic::{Code, Diagnostic, SourceFile};

/// The stack of every thread that parses, plans or runs SQL. It is reserved, and used as far as it is needed.
pub const STACK_BYTES: usize = 128 << 20;

/// How many levels of expressions, set operations and joins may lie in each other.
pub(super) const MOST_LEVELS: usize = 1_000;

/// How many parentheses may lie in each other; the parser takes several steps down for each.
const MOST_NESTED: usize = 120;

/// How many steps down the parser takes; it needs a few for each pair of parentheses.
pub(super) const PARSER_LEVELS: usize = 1_000;

/// How many subqueries in expressions may lie in each other; the planner takes twice as long for each.
const MOST_SUBQUERIES: usize = 10;

/// How many tables a query may read, each as often as it is read, with those of its views and of what WITH names.
pub(super) const MOST_TABLES: usize = 1_000;

/// One pair of parentheses, or the whole text.
#[derive(Default)]
struct Frame {
    /// Set operations up to here.
    sets: usize,
    /// Joins of this SELECT up to here.
    joins: usize,
    /// Operators of this expression up to here.
    operators: usize,
    /// Whether what follows lists tables.
    lists_tables: bool,
    /// Whether it has a SELECT; `extract(day from x)` has none.
    selects: bool,
    /// Whether it stands in an expression, and not where a table does.
    in_expression: bool,
}

impl Frame {
    fn levels(&self) -> usize {
        1 + self.sets + self.joins + self.operators
    }

    fn take(&mut self, token: &Token) {
        match token {
            Token::Comma if self.lists_tables => {
                self.joins += 1;
                self.operators = 0;
            }
            Token::Comma => self.operators = 0,
            Token::SemiColon => *self = Self::default(),
            Token::Word(word) if word.quote_style.is_none() => self.take_word(word.keyword),
            token if is_operator(token) => self.operators += 1,
            _ => {}
        }
    }

    fn take_word(&mut self, word: Keyword) {
        match word {
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => {
                *self = Self {
                    sets: self.sets + 1,
                    selects: self.selects,
                    in_expression: self.in_expression,
                    ..Self::default()
                };
            }
            Keyword::JOIN => {
                self.joins += 1;
                self.operators = 0;
            }
            Keyword::FROM if self.selects => {
                self.lists_tables = true;
                self.operators = 0;
            }
            Keyword::SELECT => {
                self.lists_tables = false;
                self.selects = true;
                self.operators = 0;
            }
            Keyword::WHERE
            | Keyword::GROUP
            | Keyword::ORDER
            | Keyword::HAVING
            | Keyword::QUALIFY
            | Keyword::WINDOW
            | Keyword::LIMIT => {
                self.lists_tables = false;
                self.operators = 0;
            }
            Keyword::ON | Keyword::WHEN | Keyword::THEN | Keyword::ELSE | Keyword::BY => self.operators = 0,
            Keyword::AND
            | Keyword::OR
            | Keyword::XOR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::SIMILAR
            | Keyword::BETWEEN
            | Keyword::COLLATE
            | Keyword::AT => self.operators += 1,
            _ => {}
        }
    }
}

fn is_operator(token: &Token) -> bool {
    !matches!(
        token,
        Token::EOF
            | Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::Placeholder(_)
            | Token::Whitespace(_)
            | Token::Period
            | Token::Comma
            | Token::SemiColon
    )
}

/// Reads the words of `file`, and makes sure that nothing that goes down into what they say goes too deep.
///
/// # Errors
/// What is no word of SQL; or the place from which on it is too deep, and what to write instead.
pub(super) fn words(file: &SourceFile) -> Result<Vec<TokenWithSpan>, Diagnostic> {
    let tokens = Tokenizer::new(&GenericDialect {}, &file.text)
        .tokenize_with_location()
        .map_err(|error| super::query::parser_error(file, error.into()))?;
    let mut frames = vec![Frame::default()];
    // The levels of all frames but the last.
    let mut below = 0;
    let mut tables = 0;
    let mut before = Keyword::NoKeyword;
    let mut last = &Token::EOF;
    for TokenWithSpan { token, span } in &tokens {
        let Some(frame) = frames.last_mut() else { break };
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                below += frame.levels();
                let stands_for_table = match last {
                    Token::Comma => frame.lists_tables,
                    Token::LParen => !frame.in_expression,
                    Token::Word(word) => matches!(
                        word.keyword,
                        Keyword::FROM
                            | Keyword::JOIN
                            | Keyword::LATERAL
                            | Keyword::AS
                            | Keyword::MATERIALIZED
                            | Keyword::UNION
                            | Keyword::ALL
                            | Keyword::EXCEPT
                            | Keyword::INTERSECT
                            | Keyword::DISTINCT
                    ),
                    Token::EOF => true,
                    _ => false,
                };
                frames.push(Frame { in_expression: !stands_for_table, ..Frame::default() });
            }
            Token::Word(word) if word.keyword == Keyword::CASE && word.quote_style.is_none() => {
                below += frame.levels();
                frames.push(Frame::default());
            }
            Token::RParen | Token::RBracket | Token::RBrace => close(&mut frames, &mut below),
            Token::Word(word) if word.keyword == Keyword::END && word.quote_style.is_none() => {
                close(&mut frames, &mut below);
            }
            token => frame.take(token),
        }
        if let Token::Word(word) = token {
            let is_compared = word.keyword == Keyword::FROM && before == Keyword::DISTINCT;
            let in_query = frames.last().is_some_and(|frame| frame.selects);
            if matches!(word.keyword, Keyword::FROM | Keyword::JOIN) && in_query && !is_compared {
                tables += 1;
            }
            before = word.keyword;
        }
        if !matches!(token, Token::Whitespace(_)) {
            last = token;
        }
        let subqueries = || frames.iter().filter(|frame| frame.selects && frame.in_expression).count();
        if matches!(token, Token::Word(word) if word.keyword == Keyword::SELECT) && subqueries() > MOST_SUBQUERIES {
            return Err(too_deep(file, *span, "subqueries lie in each other too deep")
                .help(format!("up to {MOST_SUBQUERIES} may; give the inner ones a name in a WITH, or join them")));
        }
        if frames.len() > MOST_NESTED {
            return Err(too_deep(file, *span, "parentheses lie in each other too deep").help(format!(
                "up to {MOST_NESTED} may; give the inner ones a name in a WITH, or a model of their own"
            )));
        }
        if below + frames.last().map_or(0, Frame::levels) > MOST_LEVELS {
            return Err(too_deep(file, *span, "this query goes too deep")
                .help(format!("a chain of more than {MOST_LEVELS} operators or unions becomes a list: `x in (…)`, rows of a landed file, or several models")));
        }
        if tables > MOST_TABLES {
            return Err(too_many_tables(file, bytes(file, *span)));
        }
    }
    Ok(tokens)
}

/// Says that a query reads too many tables, at the one that is too much or that stands for many.
pub(super) fn too_many_tables(file: &SourceFile, at: Range<usize>) -> Diagnostic {
    let message = format!("this query reads tables more than {MOST_TABLES} times, with those behind views and WITH");
    Diagnostic::new(Code::TooDeep, file.at(at), message)
        .help("store what is read often: a model in `sql/marts/`, or `stored = true` in the contract of a view")
}

fn close(frames: &mut Vec<Frame>, below: &mut usize) {
    if frames.len() > 1 {
        frames.pop();
        if let Some(frame) = frames.last_mut() {
            *below -= frame.levels();
            // What stands in parentheses is an operand: `a[1][2]` goes a level down with each.
            frame.operators += 1;
        }
    }
}

fn too_deep(file: &SourceFile, span: Span, message: &str) -> Diagnostic {
    Diagnostic::new(Code::TooDeep, file.at(bytes(file, span)), message).label("from here on")
}
