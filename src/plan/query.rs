//! The text of a model, parsed: what it reads, which variables it uses, and its canonical form.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::sync::LazyLock;

use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement as ParsedStatement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, FunctionArguments, SelectItem, SetExpr, Spanned, Statement, Value, Visit, Visitor,
    visit_expressions, visit_expressions_mut, visit_relations,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::{
    ALL_KEYWORDS, ALL_KEYWORDS_INDEX, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER, RESERVED_FOR_TABLE_ALIAS,
};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Span, Token};
use regex::Regex;

use super::depth;
use super::sql_functions::SqlFunctions;
use super::words::plain_text;
use crate::diagnostic::{Code, Diagnostic, SourceFile};
use crate::project::{Located, Variable};
use crate::sql_text::identifier;

/// One SELECT, parsed.
///
/// - `canonical` is the printed syntax tree: comments, white space and the case of keywords do not show in it.
/// - `reads` names every table once, CTEs left out, in the order of the alphabet.
#[derive(Debug, Clone)]
pub struct Query {
    statement: Box<Statement>,
    /// As it is written, where functions of the project stand in for calls.
    written: Option<Box<Statement>>,
    canonical: String,
    reads: Vec<Located>,
    variables: Vec<Located>,
    functions: Vec<FunctionCall>,
}

/// A call of a function in the text.
#[derive(Debug, Clone)]
pub(super) struct FunctionCall {
    pub(super) name: Located,
    /// Whether the call or its window has an ORDER BY.
    pub(super) is_ordered: bool,
    /// Whether the call has an OVER clause.
    pub(super) is_windowed: bool,
}

/// Returns a name as it is to be written in SQL: in quotes where it would mean something else without.
#[must_use]
pub fn sql_name(name: &str) -> String {
    let parse = |sql: String| DFParserBuilder::new(&*sql).build().and_then(|mut parser| parser.parse_statements());
    let is_column = |parsed: &ParsedStatement| {
        let ParsedStatement::Statement(statement) = parsed else { return false };
        let Statement::Query(query) = statement.as_ref() else { return false };
        let SetExpr::Select(select) = query.body.as_ref() else { return false };
        match select.projection.as_slice() {
            [SelectItem::UnnamedExpr(Expr::Identifier(found)), SelectItem::UnnamedExpr(Expr::Identifier(_))] => {
                found.value == name
            }
            _ => false,
        }
    };
    // As golden tests create tables, and as models read them.
    let is_declared = parse(format!("create table {name} ({name} int, other int)")).is_ok();
    let is_read = parse(format!("select {name}, other from {name} where {name} is null"));
    let keyword = ALL_KEYWORDS.iter().position(|keyword| keyword.eq_ignore_ascii_case(name));
    let keyword = keyword.and_then(|at| ALL_KEYWORDS_INDEX.get(at));
    let is_reserved = keyword.is_some_and(|keyword| {
        [RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_TABLE_ALIAS, RESERVED_FOR_IDENTIFIER]
            .iter()
            .any(|reserved| reserved.contains(keyword))
    });
    let is_plain = !is_reserved && is_declared && is_read.is_ok_and(|parsed| parsed.front().is_some_and(is_column));
    if is_plain { name.to_owned() } else { identifier(name) }
}

impl Query {
    /// Parses the text of `file`.
    ///
    /// # Errors
    /// The place of a syntax error, or of whatever is not one SELECT.
    pub fn parse(file: &SourceFile) -> Result<Self, Diagnostic> {
        Self::parse_with(file, &SqlFunctions::default())
    }

    /// Parses the text of `file`, and puts the functions of its project in the place of their calls.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and a call that does not fit its function.
    pub fn parse_with(file: &SourceFile, functions: &SqlFunctions) -> Result<Self, Diagnostic> {
        let statements = DFParserBuilder::new(depth::words(file)?)
            .with_recursion_limit(depth::PARSER_LEVELS)
            .build()
            .and_then(|mut parser| parser.parse_statements())
            .map_err(|error| syntax_error(file, &error))?;
        let mut statements = statements.into_iter();
        let statement = match (statements.next(), statements.next()) {
            (Some(ParsedStatement::Statement(statement)), None) => statement,
            (None, _) => return Err(not_one_select(file, file.at(0..0).bytes, "the file has no statement")),
            (Some(_), Some(second)) => {
                return Err(not_one_select(
                    file,
                    start_of_second(file, &second),
                    "the file has more than one statement",
                ));
            }
            (Some(_), None) => return Err(not_one_select(file, first_word(file), "this is not a SELECT")),
        };
        let Statement::Query(query) = statement.as_ref() else {
            return Err(not_one_select(file, first_word(file), "this is not a SELECT"));
        };
        if let Some(word) = writes(&query.body) {
            return Err(not_one_select(file, first_word(file), word));
        }
        if let Some(mistake) = swallowed_condition(file, &statement) {
            return Err(mistake);
        }
        let reads = reads(file, &statement).map_err(|error| syntax_error(file, &error))?;
        let query = match functions.expanded(file, &statement)? {
            Some(expanded) => Self::made(file, expanded).written_as(*statement),
            None => Self::made(file, *statement),
        };
        Ok(Self { reads, ..query })
    }

    /// Returns the query that a statement is, of which every place lies in `file`. It reads no table.
    pub(super) fn made(file: &SourceFile, statement: Statement) -> Self {
        Self {
            canonical: statement.to_string(),
            reads: Vec::new(),
            variables: variables(file, &statement),
            functions: functions(file, &statement),
            statement: Box::new(statement),
            written: None,
        }
    }

    /// Tells how it is written, where functions stand in for calls.
    pub(super) fn written_as(self, written: Statement) -> Self {
        Self { written: Some(Box::new(written)), ..self }
    }

    /// Returns the syntax tree for whoever changes it.
    pub(super) fn into_statement(self) -> Statement {
        *self.statement
    }

    /// Returns the printed syntax tree.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Returns the tables that it reads, each with the first place where it is named.
    #[must_use]
    pub fn reads(&self) -> &[Located] {
        &self.reads
    }

    /// Returns the `$name`s that it uses, without the dollar, each time that they stand in the text.
    #[must_use]
    pub fn variables(&self) -> &[Located] {
        &self.variables
    }

    /// Returns how many tables it reads, each as often as it is read, also by what WITH names; `of` tells it of a view.
    pub(super) fn tables_read(&self, of: impl Fn(&str) -> usize) -> usize {
        let Statement::Query(query) = self.statement.as_ref() else { return 0 };
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        #[expect(clippy::type_complexity, reason = "what visits the names of a body")]
        let read = |body: &dyn Fn(&mut dyn FnMut(&ast::ObjectName)), named: &BTreeMap<String, usize>| {
            let mut sum = 0_usize;
            body(&mut |name| {
                let name = name.to_string().to_lowercase();
                sum = sum.saturating_add(named.get(&name).copied().unwrap_or_else(|| of(&name)));
            });
            sum
        };
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let body = |take: &mut dyn FnMut(&ast::ObjectName)| each_relation(&cte.query, take);
            let sum = read(&body, &named);
            named.insert(cte.alias.name.value.to_lowercase(), sum);
        }
        read(&|take: &mut dyn FnMut(&ast::ObjectName)| each_relation(&query.body, take), &named)
    }

    /// Returns the syntax tree.
    pub(super) fn tree(&self) -> &Statement {
        &self.statement
    }

    /// Returns the syntax tree as it is written, with the calls of functions of the project.
    pub(super) fn written(&self) -> &Statement {
        self.written.as_ref().unwrap_or(&self.statement)
    }

    pub(super) fn functions(&self) -> &[FunctionCall] {
        &self.functions
    }

    /// Returns the bytes of the `position`-th output column where it is written, or else of the last place that names
    /// a column so.
    pub(super) fn output(&self, file: &SourceFile, position: usize, name: &str) -> Option<Range<usize>> {
        let Statement::Query(query) = self.statement.as_ref() else { return None };
        let span = outer_item(&query.body, position).or_else(|| named_item(query, name))?;
        Some(bytes(file, span)).filter(|bytes| !bytes.is_empty())
    }

    /// Returns the places where rows are chosen by their order, or by lot, and nothing fixes which.
    pub(super) fn unordered(&self, file: &SourceFile) -> Vec<Unordered> {
        let mut finder = UnorderedFinder { file, found: Vec::new() };
        let _ = self.statement.visit(&mut finder);
        finder.found
    }

    /// Returns the statement with every variable replaced by the literal that `value` gives for it. A variable without
    /// a value stays as it is.
    #[must_use]
    pub fn statement(&self, value: impl Fn(&str) -> Option<Variable>) -> ParsedStatement {
        let mut statement = self.statement.clone();
        let _ = visit_expressions_mut(&mut statement, |expression| {
            if let Some((name, span)) = placeholder(expression)
                && let Some(value) = value(name)
            {
                *expression = literal(&value, span);
            }
            ControlFlow::<()>::Continue(())
        });
        ParsedStatement::Statement(statement)
    }
}

/// Makes sure that the text of `file` is one expression, so that it means the same in parentheses in a longer text.
///
/// # Errors
/// The place of a syntax error, or of what follows the expression.
pub(super) fn expression(file: &SourceFile) -> Result<(), Diagnostic> {
    let mut parser = Parser::new(&GenericDialect {})
        .with_recursion_limit(depth::PARSER_LEVELS)
        .with_tokens_with_locations(depth::words(file)?);
    let parsed = parser.parse_expr().and_then(|_| parser.expect_token(&Token::EOF));
    parsed.map(|_| ()).map_err(|error| parser_error(file, error))
}

/// Turns what the parser says into a diagnostic.
pub(super) fn parser_error(file: &SourceFile, error: ParserError) -> Diagnostic {
    syntax_error(file, &DataFusionError::SQL(Box::new(error), None))
}

fn each_relation(of: &impl Visit, take: &mut dyn FnMut(&ast::ObjectName)) {
    let _ = visit_relations(of, |name| {
        take(name);
        ControlFlow::<()>::Continue(())
    });
}

fn placeholder(expression: &Expr) -> Option<(&str, Span)> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => Some((name.strip_prefix('$')?, value.span)),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the name of the variable that an expression is.
pub(super) fn variable(expression: &Expr) -> Option<&str> {
    placeholder(expression).map(|(name, _)| name)
}

fn literal(value: &Variable, span: Span) -> Expr {
    let plain = |value: Value| Expr::Value(ast::ValueWithSpan { value, span });
    let text = |text: String| plain(Value::SingleQuotedString(text));
    let cast = |inner: Expr, data_type: ast::DataType| Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(inner),
        data_type,
        array: false,
        format: None,
    };
    match value {
        Variable::Integer(number) => cast(plain(Value::Number(number.to_string(), false)), ast::DataType::BigInt(None)),
        Variable::Float(number) => cast(text(number.to_string()), ast::DataType::Double(ast::ExactNumberInfo::None)),
        Variable::Boolean(flag) => plain(Value::Boolean(*flag)),
        Variable::Text(words) => text(words.clone()),
        Variable::Date(day) => cast(text(day.to_string()), ast::DataType::Date),
        Variable::Timestamp(instant) => {
            let instant = text(instant.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
            let kind = text("Timestamp(Microsecond, Some(\"UTC\"))".to_owned());
            call("arrow_cast", vec![instant, kind])
        }
    }
}

pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let unnamed = |argument| ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(argument));
    Expr::Function(ast::Function {
        name: ast::ObjectName::from(vec![ast::Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(unnamed).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Returns what a query does besides reading, if anything.
fn writes(body: &SetExpr) -> Option<&'static str> {
    match body {
        SetExpr::Select(select) if select.into.is_some() => Some("SELECT INTO writes a table"),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => Some("this changes tables"),
        SetExpr::SetOperation { left, right, .. } => writes(left).or_else(|| writes(right)),
        SetExpr::Query(query) => writes(&query.body),
        _ => None,
    }
}

/// A clause that chooses rows by an order that nothing fixes.
#[derive(Debug)]
pub(super) struct Unordered {
    pub(super) clause: &'static str,
    pub(super) bytes: Range<usize>,
}

struct UnorderedFinder<'a> {
    file: &'a SourceFile,
    found: Vec<Unordered>,
}

impl UnorderedFinder<'_> {
    fn distinct_on(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => {
                if let Some(ast::Distinct::On(columns)) = &select.distinct {
                    self.add("DISTINCT ON", columns.first().map_or_else(|| select.span(), Spanned::span));
                }
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.distinct_on(left);
                self.distinct_on(right);
            }
            _ => {}
        }
    }

    fn add(&mut self, clause: &'static str, span: Span) {
        self.found.push(Unordered { clause, bytes: bytes(self.file, span) });
    }
}

impl Visitor for UnorderedFinder<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        if query.order_by.is_none() {
            if query.limit_clause.is_some() || query.fetch.is_some() {
                let limit = query.limit_clause.as_ref().map_or_else(|| query.span(), Spanned::span);
                self.add("LIMIT", limit);
            }
            self.distinct_on(&query.body);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &ast::TableFactor) -> ControlFlow<()> {
        if let ast::TableFactor::Table { sample: Some(_), name, .. } = table {
            self.add("TABLESAMPLE", name.span());
        }
        ControlFlow::Continue(())
    }
}

/// Finds `a is distinct from b and c`, which the parser reads as `a is distinct from (b and c)`: a condition that
/// quietly means something else.
pub(super) fn swallowed_condition(file: &SourceFile, statement: &Statement) -> Option<Diagnostic> {
    let found = visit_expressions(statement, |expression| {
        if let Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) = expression
            && let Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor, .. } =
                right.as_ref()
        {
            return ControlFlow::Break(bytes(file, expression.span()));
        }
        ControlFlow::Continue(())
    });
    let ControlFlow::Break(at) = found else { return None };
    let message = "`is distinct from` takes the `and` or `or` after it into its right side";
    Some(
        Diagnostic::new(Code::SqlSyntax, file.at(at), message)
            .help("put parentheses around the comparison: (a is distinct from b)"),
    )
}

/// Returns where an item of the outermost SELECT list is named, or written if it has no name.
fn outer_item(body: &SetExpr, position: usize) -> Option<Span> {
    match body {
        SetExpr::Select(select) => {
            let is_listed =
                |item: &SelectItem| matches!(item, SelectItem::ExprWithAlias { .. } | SelectItem::UnnamedExpr(_));
            select.projection.iter().all(is_listed).then(|| select.projection.get(position)).flatten().map(item_span)
        }
        SetExpr::Query(query) => outer_item(&query.body, position),
        SetExpr::SetOperation { left, .. } => outer_item(left, position),
        _ => None,
    }
}

/// Returns where the last item called `name` stands in a query or its CTEs.
fn named_item(query: &ast::Query, name: &str) -> Option<Span> {
    let here = match query.body.as_ref() {
        SetExpr::Select(select) => select.projection.iter().rev().find(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.value.eq_ignore_ascii_case(name),
            SelectItem::UnnamedExpr(expression) => expression.to_string().eq_ignore_ascii_case(name),
            _ => false,
        }),
        _ => None,
    };
    let inside =
        || query.with.iter().flat_map(|with| with.cte_tables.iter().rev()).find_map(|cte| named_item(&cte.query, name));
    here.map(item_span).or_else(inside)
}

fn item_span(item: &SelectItem) -> Span {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => alias.span,
        other => other.span(),
    }
}

fn reads(file: &SourceFile, statement: &Statement) -> Result<Vec<Located>, DataFusionError> {
    let whole = ParsedStatement::Statement(Box::new(statement.clone()));
    let (tables, _) = resolve_table_references(&whole, true)?;
    let names: BTreeSet<String> = tables.iter().map(ToString::to_string).collect();
    let mut found: Vec<Located> = Vec::new();
    let _ = visit_relations(statement, |name| {
        let text = name
            .0
            .iter()
            .filter_map(|part| part.as_ident())
            .map(|word| if word.quote_style.is_none() { word.value.to_lowercase() } else { word.value.clone() })
            .collect::<Vec<_>>()
            .join(".");
        if names.contains(&text)
            && !found.iter().any(|known| known.text == text)
            && let (Some(first), Some(last)) = (name.0.first(), name.0.last())
            && let (Some(first), Some(last)) = (first.as_ident(), last.as_ident())
        {
            found.push(Located { text, bytes: bytes(file, first.span).start..bytes(file, last.span).end });
        }
        ControlFlow::<()>::Continue(())
    });
    found.sort_by(|a, b| a.text.cmp(&b.text));
    Ok(found)
}

fn variables(file: &SourceFile, statement: &Statement) -> Vec<Located> {
    let mut found = Vec::new();
    let _ = visit_expressions(statement, |expression| {
        if let Some((name, span)) = placeholder(expression) {
            found.push(Located { text: name.to_owned(), bytes: bytes(file, span) });
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

fn functions(file: &SourceFile, statement: &Statement) -> Vec<FunctionCall> {
    let mut found = Vec::new();
    let _ = visit_expressions(statement, |expression| {
        if let Expr::Function(function) = expression
            && let Some(word) = function.name.0.last().and_then(|part| part.as_ident())
        {
            let in_arguments = match &function.args {
                FunctionArguments::List(list) => {
                    list.clauses.iter().any(|clause| matches!(clause, ast::FunctionArgumentClause::OrderBy(_)))
                }
                _ => false,
            };
            let in_window = match &function.over {
                Some(ast::WindowType::WindowSpec(window)) => {
                    !window.order_by.is_empty() || window.window_name.is_some()
                }
                // A named window's own clause is elsewhere; DataFusion has resolved it, and the binder sees its order.
                Some(ast::WindowType::NamedWindow(_)) => true,
                None => false,
            };
            found.push(FunctionCall {
                name: Located { text: word.value.to_lowercase(), bytes: bytes(file, word.span) },
                is_ordered: in_arguments || in_window || !function.within_group.is_empty(),
                is_windowed: function.over.is_some(),
            });
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

/// Returns the bytes of a parser's span; an empty span stands for the start of the file.
pub(super) fn bytes(file: &SourceFile, span: Span) -> Range<usize> {
    let offset = |line: u64, column: u64| {
        file.offset(usize::try_from(line).unwrap_or(1).max(1), usize::try_from(column).unwrap_or(1).max(1))
    };
    if span.start.line == 0 {
        return 0..0;
    }
    offset(span.start.line, span.start.column)..offset(span.end.line, span.end.column)
}

fn not_one_select(file: &SourceFile, bytes: Range<usize>, words: &str) -> Diagnostic {
    Diagnostic::new(Code::NotOneSelect, file.at(bytes), format!("a model is exactly one SELECT: {words}"))
        .help("what else should happen belongs into a job or a contract")
}

/// Returns the bytes of the first word that is not in a comment.
fn first_word(file: &SourceFile) -> Range<usize> {
    let mut at = 0;
    for line in file.text.split_inclusive('\n') {
        let trimmed = line.trim_start();
        if !trimmed.is_empty() && !trimmed.starts_with("--") {
            let start = at + line.len() - trimmed.len();
            let length = trimmed.find(|c: char| !c.is_alphanumeric()).unwrap_or(trimmed.len());
            return start..start + length;
        }
        at += line.len();
    }
    0..0
}

/// Returns the bytes of the semicolon that ends the first statement, as near as the text shows it.
fn start_of_second(file: &SourceFile, _: &ParsedStatement) -> Range<usize> {
    let at = file.text.find(';').unwrap_or(0);
    at..at + 1
}

/// Turns a parser's error, whose place stands only in its words, into a diagnostic.
pub(super) fn syntax_error(file: &SourceFile, error: &DataFusionError) -> Diagnostic {
    static PLACE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?s)^(.*?) at Line: (\d+), Column: (\d+)").ok());
    let words = match error.find_root() {
        DataFusionError::SQL(parser, _) => parser.to_string(),
        other => other.strip_backtrace(),
    };
    let words = words.trim_start_matches("sql parser error: ");
    let found = PLACE.as_ref().and_then(|place| place.captures(words));
    let (message, bytes) = match &found {
        Some(found) => {
            let number = |n: usize| found[n].parse::<usize>().unwrap_or(1);
            let start = file.offset(number(2), number(3));
            let rest = &file.text[start..];
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (found[1].to_owned(), start..start + word.max(usize::from(!rest.is_empty())))
        }
        None if words.contains("EOF") => (words.to_owned(), file.text.trim_end().len()..file.text.trim_end().len()),
        None => (words.to_owned(), 0..0),
    };
    let told = plain_text(message.trim_start_matches("ParserError(\"").trim_end_matches("\")"));
    Diagnostic::new(Code::SqlSyntax, file.at(bytes), format!("this is not SQL: {}", told.message)).maybe_help(told.help)
}
