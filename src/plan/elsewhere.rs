//! Finds SQL that only other engines have, and says what to write here.
//!
//! The parser knows the words of many engines, the planner those of one; what it does not know it refuses by printing its
//! syntax tree, or passes over. So all of it is refused before.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, JoinOperator, PivotValueSource, Select, SelectItem, SetExpr, SetQuantifier, Spanned,
    TableFactor, TableWithJoins, UnaryOperator, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::query::{Query, bytes};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};

/// Returns everything in a query that only other engines have.
pub(super) fn unsupported(file: &SourceFile, query: &Query) -> Diagnostics {
    let mut finder = Finder { file, found: Diagnostics::default() };
    let _ = query.tree().visit(&mut finder);
    finder.found
}

struct Finder<'a> {
    file: &'a SourceFile,
    found: Diagnostics,
}

impl Finder<'_> {
    /// Says that there is no `what`, and what to write instead.
    fn no(&mut self, span: Span, what: &str, instead: impl Into<String>) {
        let at = self.file.at(bytes(self.file, span));
        let message = format!("there is no {what} here");
        self.found.push(Diagnostic::new(Code::Unsupported, at, message).help(instead));
    }

    /// The word that begins at or after a place, for what the parser keeps no span of.
    fn word_before(&self, word: &str, span: Span) -> Span {
        let end = bytes(self.file, span).start;
        let text = self.file.text.get(..end).unwrap_or_default().to_ascii_lowercase();
        match text.rfind(word) {
            Some(at) => span_of(self.file, at, word.len()),
            None => span,
        }
    }

    fn word_after(&self, word: &str, span: Span) -> Span {
        let start = bytes(self.file, span).end;
        let text = self.file.text.get(start..).unwrap_or_default().to_ascii_lowercase();
        match text.find(word) {
            Some(at) => span_of(self.file, start + at, word.len()),
            None => span,
        }
    }

    fn joins(&mut self, table: &TableWithJoins) {
        for join in &table.joins {
            let span = join.relation.span();
            match &join.join_operator {
                JoinOperator::Semi(_) => {
                    let at = self.word_before("semi", span);
                    self.no(
                        at,
                        "SEMI JOIN",
                        "write LEFT SEMI JOIN, or `where exists (select 1 from b where b.id = a.id)`",
                    );
                }
                JoinOperator::Anti(_) => {
                    let at = self.word_before("anti", span);
                    self.no(
                        at,
                        "ANTI JOIN",
                        "write LEFT ANTI JOIN, or `where not exists (select 1 from b where b.id = a.id)`",
                    );
                }
                JoinOperator::AsOf { .. } => {
                    let at = self.word_before("asof", span);
                    self.no(
                        at,
                        "ASOF JOIN",
                        "join what is not later, and keep the latest: `row_number() over (partition by a.id order by b.at desc) as n`, \
                         and `where n = 1` in a query around it",
                    );
                }
                JoinOperator::StraightJoin(_) => {
                    let at = self.word_before("straight_join", span);
                    self.no(at, "STRAIGHT_JOIN", "write JOIN: the engine chooses the order");
                }
                JoinOperator::CrossApply | JoinOperator::OuterApply => {
                    let at = self.word_before("apply", span);
                    self.no(
                        at,
                        "APPLY",
                        "join the table, and keep one row of each: `row_number() over (partition by … order by …) as n`",
                    );
                }
                JoinOperator::ArrayJoin | JoinOperator::LeftArrayJoin | JoinOperator::InnerArrayJoin => {
                    let at = self.word_before("array", span);
                    self.no(at, "ARRAY JOIN", "write `unnest(x)` in the SELECT list");
                }
                _ => {}
            }
        }
    }
}

fn span_of(file: &SourceFile, start: usize, length: usize) -> Span {
    let location = |byte: usize| {
        let (line, column) = file.at(byte..byte).line_column();
        ast_location(line, column)
    };
    Span::new(location(start), location(start + length))
}

fn ast_location(line: usize, column: usize) -> datafusion::sql::sqlparser::tokenizer::Location {
    datafusion::sql::sqlparser::tokenizer::Location::new(line as u64, column as u64)
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        if let Some(fetch) = &query.fetch {
            let span = fetch.quantity.as_ref().map_or_else(|| query.span(), Spanned::span);
            let at = self.word_before("fetch", span);
            self.no(at, "FETCH", "write LIMIT, after an ORDER BY that leaves no ties");
        }
        if let Some(lock) = query.locks.first() {
            let span = lock.of.as_ref().map_or_else(|| query.span(), Spanned::span);
            self.no(span, "FOR UPDATE", "leave it out: nobody changes what is read");
        }
        if let Some(ast::LimitClause::LimitOffset { limit_by, .. }) = &query.limit_clause
            && let Some(first) = limit_by.first()
        {
            let instead =
                "number the rows with `row_number() over (partition by … order by …) as n`, and keep `n <= …`";
            self.no(first.span(), "LIMIT BY", instead);
        }
        self.sets(&query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if let Some(top) = &select.top {
            let span = select.projection.first().map_or_else(|| top.span_or(select), Spanned::span);
            let at = self.word_before("top", span);
            self.no(at, "TOP", "write LIMIT at the end, after an ORDER BY that leaves no ties");
        }
        if select.projection.is_empty()
            && select.select_token.0.span.start.line > 0
            && select.flavor == ast::SelectFlavor::Standard
        {
            self.no(select.select_token.0.span, "SELECT without columns", "name them, or write `*`");
        }
        if let Some(view) = select.lateral_views.first() {
            self.no(view.lateral_view.span(), "LATERAL VIEW", "write `unnest(x)` in the SELECT list");
        }
        if let Some(condition) = &select.prewhere {
            self.no(condition.span(), "PREWHERE", "write WHERE");
        }
        if let Some(first) = select.cluster_by.first().or(select.distribute_by.first()) {
            self.no(first.span(), "CLUSTER BY or DISTRIBUTE BY", "leave it out: the engine deals rows out");
        }
        if let Some(first) = select.sort_by.first() {
            self.no(first.span(), "SORT BY", "write ORDER BY");
        }
        if !select.connect_by.is_empty() {
            let instead = "write `with recursive`, with a condition that ends it";
            let at = self.word_after("connect", select.from.last().map_or_else(|| select.span(), Spanned::span));
            self.no(at, "CONNECT BY", instead);
        }
        for table in &select.from {
            self.joins(table);
        }
        for item in &select.projection {
            if let SelectItem::Wildcard(options) = item
                && options.opt_rename.is_some()
            {
                self.no(item.span(), "RENAME in a list", "name the columns: `select a as b, c`");
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Pivot { table, aggregate_functions, value_column, value_source, .. } => {
                let at = self.word_after("pivot", table.span());
                self.no(at, "PIVOT", pivot(aggregate_functions, value_column, value_source));
            }
            TableFactor::Unpivot { table, value, name, columns, .. } => {
                let at = self.word_after("unpivot", table.span());
                let one = columns.first().map_or_else(|| "a".to_owned(), |column| column.expr.to_string());
                let instead = format!(
                    "write a SELECT for each column and UNION ALL between them: `select …, '{one}' as {}, {one} as {value} from …`",
                    name.value
                );
                self.no(at, "UNPIVOT", instead);
            }
            TableFactor::MatchRecognize { table, .. } => {
                let at = self.word_after("match_recognize", table.span());
                self.no(
                    at,
                    "MATCH_RECOGNIZE",
                    "compare each row with the one before: `lag(x) over (partition by … order by …)`",
                );
            }
            TableFactor::JsonTable { .. } | TableFactor::OpenJsonTable { .. } => {
                self.no(
                    table.span(),
                    "JSON_TABLE",
                    "let the contract make rows of an array (`explode`), or take values with `json_text`",
                );
            }
            TableFactor::XmlTable { .. } => {
                self.no(table.span(), "XMLTABLE", "land the rows as CSV or JSON");
            }
            TableFactor::UNNEST { with_ordinality: true, .. } => {
                let instead = "number them yourself: `unnest(range(1, array_length(x) + 1)) as n` beside `unnest(x)`";
                self.no(table.span(), "WITH ORDINALITY", instead);
            }
            TableFactor::UNNEST { with_offset: true, .. } => {
                let instead = "number them yourself: `unnest(range(0, array_length(x))) as n` beside `unnest(x)`";
                self.no(table.span(), "WITH OFFSET", instead);
            }
            TableFactor::NestedJoin { table_with_joins, .. } => self.joins(table_with_joins),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let span = expression.span();
        match expression {
            Expr::BinaryOp { op, .. } => {
                if let Some(instead) = no_operator(op) {
                    self.no(span, &format!("operator `{op}`"), instead);
                }
            }
            Expr::UnaryOp { op, .. }
                if !matches!(op, UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not) =>
            {
                self.no(
                    span,
                    &format!("operator `{op}` before a value"),
                    "write a function, such as `abs(x)` or `sqrt(x)`",
                );
            }
            Expr::RLike { expr, .. } => self.no(expr.span(), "RLIKE", "write `regexp_like(x, 'pattern')`"),
            Expr::Like { any: true, .. } | Expr::ILike { any: true, .. } => {
                self.no(span, "LIKE ANY", "write one LIKE for each pattern, with OR between them");
            }
            Expr::Convert { expr, .. } => self.no(expr.span(), "CONVERT", "write `cast(x as …)`"),
            Expr::Collate { expr, .. } => {
                self.no(expr.span(), "COLLATE", "compare `lower(x)`, or texts as they are: by their bytes");
            }
            Expr::IsNormalized { expr, .. } => {
                self.no(expr.span(), "IS NORMALIZED", "let the contract normalise the column");
            }
            Expr::Ceil { field, expr } | Expr::Floor { field, expr } => match field {
                ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) => {}
                ast::CeilFloorKind::DateTimeField(_) => {
                    self.no(expr.span(), "rounding to a part of a date", "write `date_trunc('month', x)`");
                }
                ast::CeilFloorKind::Scale(_) => {
                    self.no(expr.span(), "rounding up or down to digits", "write `floor(x * 100) / 100`");
                }
            },
            Expr::AtTimeZone { time_zone, .. } => {
                let is_text = matches!(time_zone.as_ref(), Expr::Value(_));
                if !is_text {
                    self.no(
                        time_zone.span(),
                        "AT TIME ZONE of an expression",
                        "write the zone as text, or a variable: `at time zone $reporting_zone`",
                    );
                }
            }
            Expr::Cast { format: Some(_), expr, .. } => {
                self.no(
                    expr.span(),
                    "CAST with FORMAT",
                    "write `to_char(x, '%Y-%m-%d')`, `to_date(x, '%d.%m.%Y')` or `to_timestamp(x, '…')`",
                );
            }
            Expr::InUnnest { array_expr, .. } => self.no(array_expr.span(), "IN UNNEST", "write `array_has(array, x)`"),
            Expr::MatchAgainst { columns, .. } => {
                let at = columns.first().map_or(span, Spanned::span);
                self.no(at, "MATCH … AGAINST", "write `x ilike '%word%'`");
            }
            Expr::OuterJoin(inner) => self.no(inner.span(), "`(+)`", "write LEFT JOIN … ON"),
            Expr::Prior(inner) => {
                self.no(inner.span(), "PRIOR", "write `with recursive`, with a condition that ends it");
            }
            Expr::MemberOf(_) => self.no(span, "MEMBER OF", "write `array_has(array, x)`"),
            Expr::Prefixed { value, prefix } => {
                self.no(value.span(), &format!("text with the prefix `{}`", prefix.value), "write it without");
            }
            Expr::Function(call) => self.call(call),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Finder<'_> {
    fn sets(&mut self, body: &SetExpr) {
        if let SetExpr::SetOperation { left, right, op, set_quantifier } = body {
            let is_union = matches!(op, ast::SetOperator::Union);
            let is_known = is_union
                || matches!(op, ast::SetOperator::Except | ast::SetOperator::Intersect)
                    && matches!(set_quantifier, SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None);
            if !is_known {
                let at = self.word_before(&op.to_string().to_lowercase(), right.span());
                let instead = if matches!(op, ast::SetOperator::Minus) {
                    "write EXCEPT"
                } else {
                    "name the columns in both, in one order"
                };
                self.no(at, format!("{op} {set_quantifier}").trim_end(), instead);
            }
            self.sets(left);
            self.sets(right);
        }
    }

    fn call(&mut self, call: &ast::Function) {
        let ast::FunctionArguments::List(list) = &call.args else { return };
        for clause in &list.clauses {
            let (what, instead) = match clause {
                ast::FunctionArgumentClause::Limit(_) => ("LIMIT in a call", "keep the rows in a query before"),
                ast::FunctionArgumentClause::OnOverflow(_) => ("ON OVERFLOW", "leave it out: texts may be long"),
                ast::FunctionArgumentClause::Having(_) => (
                    "HAVING in a call",
                    "write `first_value(x order by y desc)`, with columns after `y` that leave no ties",
                ),
                ast::FunctionArgumentClause::Separator(_) => ("SEPARATOR", "write `string_agg(x, ', ' order by y)`"),
                _ => continue,
            };
            self.no(call.name.span(), what, instead);
        }
    }
}

/// What the parser knows to be there although it keeps no place of it.
trait SpanOr {
    fn span_or(&self, select: &Select) -> Span;
}

impl SpanOr for ast::Top {
    fn span_or(&self, select: &Select) -> Span {
        select.select_token.0.span
    }
}

/// Returns what to write instead of an operator that there is not.
fn no_operator(op: &BinaryOperator) -> Option<&'static str> {
    use BinaryOperator as B;
    Some(match op {
        B::DuckIntegerDivide | B::MyIntegerDivide => "`/` of whole numbers is one; else write `floor(a / b)`",
        B::Arrow | B::LongArrow | B::HashArrow | B::HashLongArrow => "write `json_text(x, 'name.0.other')`",
        B::ArrowAt | B::AtArrow => "write `array_has_all(a, b)`",
        B::AtAt | B::AtQuestion | B::Question | B::QuestionAnd | B::QuestionPipe | B::HashMinus => {
            "take the value out with `json_text(x, 'name.0.other')` and compare it"
        }
        B::Assignment => "write `=`",
        B::Match | B::Regexp => "write `regexp_like(x, 'pattern')`",
        B::PGOverlap | B::Overlaps => "write `a_begin < b_end and b_begin < a_end`",
        B::PGStartsWith => "write `starts_with(x, 'start')`",
        B::PGCustomBinaryOperator(_) => "write a function or an operator of SQL",
        B::Custom(word) if word != ":" => "write a function or an operator of SQL",
        B::DoubleHash
        | B::LtDashGt
        | B::AndLt
        | B::AndGt
        | B::LtLtPipe
        | B::PipeGtGt
        | B::AndLtPipe
        | B::PipeAndGt
        | B::LtCaret
        | B::GtCaret
        | B::QuestionHash
        | B::QuestionDash
        | B::QuestionDashPipe
        | B::QuestionDoublePipe
        | B::At
        | B::TildeEq => "shapes and places are not known here; compare numbers",
        _ => return None,
    })
}

/// Returns what to write instead of a PIVOT.
fn pivot(functions: &[ast::ExprWithAlias], columns: &[Expr], source: &PivotValueSource) -> String {
    let call = functions.first().map_or_else(|| "count(*)".to_owned(), |function| function.expr.to_string());
    let column = columns.first().map_or_else(|| "kind".to_owned(), ToString::to_string);
    let value = match source {
        PivotValueSource::List(values) => values.first().map(|value| value.expr.to_string()),
        _ => None,
    };
    let value = value.unwrap_or_else(|| "'mail'".to_owned());
    let name: String = value.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let name = if name.is_empty() { "value".to_owned() } else { name.to_lowercase() };
    format!(
        "write a column for each value, and GROUP BY the rest: `{call} filter (where {column} = {value}) as {name}`"
    )
}
