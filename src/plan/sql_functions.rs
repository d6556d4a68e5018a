//! The functions that a project writes in SQL (`sql/functions/`).
//!
//! Each is a typed expression over the values of one row, and stands in for every call: what is bound, hashed, run and
//! followed by `why` is plain SQL without them. So a changed function rebuilds the tables whose SQL calls it, and no
//! others. Arguments are cast to the types of the parameters, the result to the type that is returned.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::common::tree_node::TreeNode;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParserBuilder, Statement as ParsedStatement};
use datafusion::sql::sqlparser::ast::{
    self, CreateFunctionBody, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, FunctionReturnType, SelectItem,
    SetExpr, Spanned, Statement, Visit, Visitor, visit_expressions, visit_expressions_mut,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::query::{Query, bytes, swallowed_condition, syntax_error};
use super::trial::{CompileCache, Trial};
use super::{bind, depth, graph};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use crate::digest::{Digest, Parts};
use crate::engine;
use crate::project::{Function, Located, NAME_RULE, Project, is_name};

/// How many expressions may stand in the place of the calls of a query: calls in the arguments of calls multiply. They
/// lie in each other no deeper than what is written may.
const MOST_EXPRESSIONS: usize = 100_000;

/// What to write, for whoever wrote something else.
const EXAMPLE: &str = "write `create function half(n double) returns double return n / 2`";

/// The functions of a project.
#[derive(Debug, Clone, Default)]
pub struct SqlFunctions {
    by_name: BTreeMap<String, SqlFunction>,
    /// Those that are mistaken, so that nothing more is said where they are called.
    broken: BTreeSet<String>,
    /// What they can hardly mean.
    pub(super) warnings: Diagnostics,
}

#[derive(Debug, Clone)]
struct SqlFunction {
    parameters: Vec<Parameter>,
    /// The expression, cast to what it returns; functions stand in for its own calls.
    body: Expr,
    size: Size,
}

#[derive(Debug, Clone)]
struct Parameter {
    name: String,
    kind: ast::DataType,
    /// How often it stands in the expression.
    uses: usize,
}

/// A function as its file has it.
struct Written<'a> {
    function: &'a Function,
    parameters: Vec<Parameter>,
    /// Where its name stands.
    name: Span,
    returns: ast::DataType,
    body: Expr,
    /// The project's own functions that it calls.
    calls: Vec<Located>,
}

impl SqlFunctions {
    /// Reads and binds the functions of `project`.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn of(project: &Project) -> Result<Self, Diagnostics> {
        if project.functions.is_empty() {
            return Ok(Self::default());
        }
        let session = binding_session(project)?;
        let mut mistakes = Diagnostics::default();
        let functions = Self::compile(project, &session.state(), None, &mut mistakes);
        mistakes.into_result(functions)
    }

    /// Reads and binds the functions of `project`. One that is broken is left out.
    pub(super) fn compile(
        project: &Project,
        session: &SessionState,
        tried: Option<&CompileCache>,
        mistakes: &mut Diagnostics,
    ) -> Self {
        let mut written: BTreeMap<&str, Written<'_>> = BTreeMap::new();
        for (name, function) in &project.functions {
            match Written::parse(function, project, session) {
                Ok(found) => drop(written.insert(name, found)),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        let broken = project.functions.keys().cloned().collect();
        let mut functions = Self { broken, ..Self::default() };
        let mut warnings = Diagnostics::default();
        let order = loop {
            let calls = |written: &Written<'_>| written.calls.iter().map(|call| call.text.clone()).collect();
            let edges: BTreeMap<String, BTreeSet<String>> =
                written.iter().map(|(name, written)| ((*name).to_owned(), calls(written))).collect();
            let cycles = match graph::waves(&edges) {
                Ok(waves) => break waves.concat(),
                Err(cycles) => cycles,
            };
            let place = |name: &str, next: &str| {
                let written = &written[name];
                let call = written.calls.iter().find(|call| call.text == next);
                call.map_or_else(|| written.file().whole(), |call| written.file().at(call.bytes.clone()))
            };
            cycles.iter().for_each(|cycle| mistakes.push(graph::cycle("functions", "call", cycle, place)));
            written.retain(|name, _| !cycles.iter().flatten().any(|other| other == name));
        };
        for name in order {
            let Some(written) = written.remove(name.as_str()) else { continue };
            // What stands in the way of a function that it calls has been said.
            if written.calls.iter().any(|call| functions.broken.contains(&call.text)) {
                continue;
            }
            match written.bind(&functions, session, tried, &mut warnings) {
                Ok(function) => {
                    functions.broken.remove(&name);
                    functions.by_name.insert(name, function);
                }
                Err(found) => mistakes.extend(found),
            }
        }
        functions.warnings = warnings;
        functions
    }

    /// Returns whether a query calls a function that is mistaken.
    pub(super) fn are_broken_in(&self, query: &Query) -> bool {
        query.functions().iter().any(|call| self.broken.contains(&call.name.text))
    }

    /// Returns the names of the functions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Returns a digest of the functions whose names are words of `sql`, if there are any.
    pub(super) fn digest_of(&self, sql: &str) -> Option<Digest> {
        let words: BTreeSet<String> =
            sql.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_lowercase).collect();
        let called: Vec<_> = self.by_name.iter().filter(|(name, _)| words.contains(*name)).collect();
        let mut parts = Parts::of("functions");
        for (name, function) in &called {
            parts.add(name);
            for Parameter { name, kind, .. } in &function.parameters {
                parts.add(format!("{name} {kind}"));
            }
            parts.add(function.body.to_string());
        }
        (!called.is_empty()).then(|| parts.digest())
    }

    /// Returns `statement`, which is the text of `file`, with functions in the place of their calls; nothing where it calls
    /// none.
    ///
    /// # Errors
    /// A call that does not fit its function.
    pub(super) fn expanded(&self, file: &SourceFile, statement: &Statement) -> Result<Option<Statement>, Diagnostic> {
        let calls = |expression: &Expr| match expression {
            Expr::Function(call) if called_name(call).is_some_and(|name| self.by_name.contains_key(&name)) => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        if self.by_name.is_empty() || visit_expressions(statement, calls).is_continue() {
            return Ok(None);
        }
        let mut whole = statement.clone();
        let mut expressions = 0_usize;
        let expanded = visit_expressions_mut(&mut whole, |expression| {
            let Expr::Function(call) = expression else { return ControlFlow::Continue(()) };
            let Some((name, function)) = called_name(call).and_then(|name| self.by_name.get_key_value(&name)) else {
                return ControlFlow::Continue(());
            };
            let span = call.name.span();
            let arguments = match function.arguments(file, name, call) {
                Ok(arguments) => arguments,
                Err(mistake) => return ControlFlow::Break(mistake),
            };
            // Before there is what may be too large.
            let size = function.size_with(&arguments);
            expressions = expressions.saturating_add(size.expressions);
            if expressions > MOST_EXPRESSIONS || size.depth > depth::MOST_LEVELS {
                let message = "with functions in the place of their calls, this query is too long or too deep";
                let mistake = Diagnostic::new(Code::TooDeep, file.at(bytes(file, span)), message);
                return ControlFlow::Break(mistake.help("name the inner results in a `with`, and call over those"));
            }
            *expression = function.body_with(&arguments, span);
            ControlFlow::Continue(())
        });
        match expanded {
            ControlFlow::Continue(()) => Ok(Some(whole)),
            ControlFlow::Break(mistake) => Err(mistake),
        }
    }
}

/// Returns the name that a call may have of a function of the project.
fn called_name(call: &ast::Function) -> Option<String> {
    match call.name.0.as_slice() {
        [part] => part.as_ident().map(meant),
        _ => None,
    }
}

/// Returns what a word stands for: without quotes, whatever the case of its letters.
fn meant(word: &ast::Ident) -> String {
    if word.quote_style.is_none() { word.value.to_lowercase() } else { word.value.clone() }
}

/// How many expressions there are in one, and how many lie in each other at most.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    expressions: usize,
    depth: usize,
}

impl Size {
    fn of(expression: &Expr) -> Self {
        #[derive(Default)]
        struct Counter {
            size: Size,
            depth: usize,
        }
        impl Visitor for Counter {
            type Break = ();

            fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
                self.depth += 1;
                self.size.expressions += 1;
                self.size.depth = self.size.depth.max(self.depth);
                ControlFlow::Continue(())
            }

            fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
                self.depth -= 1;
                ControlFlow::Continue(())
            }
        }
        let mut counter = Counter::default();
        let _ = expression.visit(&mut counter);
        counter.size
    }
}

impl SqlFunction {
    fn of(mut parameters: Vec<Parameter>, body: Expr) -> Self {
        let _ = visit_expressions(&body, |expression| {
            if let Expr::Identifier(word) = expression
                && let Some(parameter) = parameters.iter_mut().find(|parameter| parameter.name == meant(word))
            {
                parameter.uses += 1;
            }
            ControlFlow::<()>::Continue(())
        });
        Self { parameters, size: Size::of(&body), body }
    }

    /// Returns the arguments of a call.
    fn arguments(&self, file: &SourceFile, name: &str, call: &ast::Function) -> Result<Vec<Expr>, Diagnostic> {
        let misused = |message: String| {
            let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
            Diagnostic::new(Code::UnknownFunction, file.at(bytes(file, call.name.span())), message)
                .help(format!("it is called as `{name}({})`", names.join(", ")))
        };
        let is_plain = call.filter.is_none()
            && call.over.is_none()
            && call.null_treatment.is_none()
            && call.within_group.is_empty()
            && matches!(call.parameters, FunctionArguments::None);
        let arguments = match &call.args {
            FunctionArguments::None => Some(Vec::new()),
            FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => {
                list.args.iter().map(value_of).collect::<Option<Vec<_>>>()
            }
            _ => None,
        };
        let (true, Some(arguments)) = (is_plain, arguments) else {
            return Err(misused(format!("`{name}` is a function of values, and takes nothing else")));
        };
        if arguments.len() != self.parameters.len() {
            let wanted = match self.parameters.len() {
                0 => "no argument".to_owned(),
                1 => "one argument".to_owned(),
                several => format!("{several} arguments"),
            };
            return Err(misused(format!("`{name}` takes {wanted}, and gets {} here", arguments.len())));
        }
        Ok(arguments)
    }

    /// Returns the size of what stands for a call with these arguments, its depth as an upper bound.
    fn size_with(&self, arguments: &[Expr]) -> Size {
        let mut size = self.size;
        let mut deepest = 0;
        for (parameter, argument) in self.parameters.iter().zip(arguments) {
            let Size { expressions, depth } = Size::of(argument);
            size.expressions = size.expressions.saturating_add(parameter.uses.saturating_mul(expressions + 1));
            deepest = deepest.max(depth + 1);
        }
        size.depth += deepest;
        size
    }

    /// Returns what stands for a call whose name is at `span`.
    fn body_with(&self, arguments: &[Expr], span: Span) -> Expr {
        let mut body = self.body.clone();
        let _ = visit_expressions_mut(&mut body, |expression| {
            match expression {
                // An argument that stands here already is not looked at again.
                Expr::Identifier(word) => {
                    let name = meant(word);
                    if let Some(at) = self.parameters.iter().position(|parameter| parameter.name == name) {
                        *expression = cast(arguments[at].clone(), &self.parameters[at].kind);
                    }
                }
                // What goes wrong in the function is shown where it is called.
                Expr::Value(value) | Expr::TypedString(ast::TypedString { value, .. }) => value.span = span,
                Expr::Case { case_token, end_token, .. } => {
                    case_token.0.span = span;
                    end_token.0.span = span;
                }
                Expr::Function(function) => {
                    for part in &mut function.name.0 {
                        if let ast::ObjectNamePart::Identifier(word) = part {
                            word.span = span;
                        }
                    }
                }
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        });
        body
    }
}

impl<'a> Written<'a> {
    fn file(&self) -> &'a SourceFile {
        &self.function.file
    }

    fn parse(function: &'a Function, project: &Project, session: &SessionState) -> Result<Self, Diagnostic> {
        let file = &function.file;
        let mistake = |span: Span, message: &str| {
            Diagnostic::new(Code::SqlFunction, file.at(bytes(file, span)), message.to_owned()).help(EXAMPLE)
        };
        let statements = DFParserBuilder::new(depth::words(file)?)
            .with_recursion_limit(depth::PARSER_LEVELS)
            .build()
            .and_then(|mut parser| parser.parse_statements())
            .map_err(|error| syntax_error(file, &error))?;
        let mut statements = statements.into_iter();
        let (Some(ParsedStatement::Statement(statement)), None) = (statements.next(), statements.next()) else {
            return Err(mistake(Span::empty(), "a file of `sql/functions/` is exactly one function"));
        };
        if let Some(mistake) = swallowed_condition(file, &statement) {
            return Err(mistake);
        }
        let Statement::CreateFunction(created) = *statement else {
            return Err(mistake(Span::empty(), "this is not a function"));
        };
        let span = created.name.span();
        let written = created.name.to_string();
        if written != function.name {
            let message = format!("the function is called `{written}`, and its file `{}.sql`", function.name);
            return Err(mistake(span, &message).help("call both alike"));
        }
        let is_known = session.scalar_functions().contains_key(&written)
            || session.aggregate_functions().contains_key(&written)
            || session.window_functions().contains_key(&written);
        if is_known {
            let message = format!("there is a function `{written}` already");
            return Err(mistake(span, &message).help("call it otherwise: a name means one function"));
        }
        let has_more = created.or_alter
            || created.or_replace
            || created.temporary
            || created.if_not_exists
            || created.behavior.is_some()
            || created.called_on_null.is_some()
            || created.parallel.is_some()
            || created.security.is_some()
            || !created.set_params.is_empty()
            || created.using.is_some()
            || created.language.is_some()
            || created.determinism_specifier.is_some()
            || created.options.is_some()
            || created.remote_connection.is_some();
        let (false, Some(FunctionReturnType::DataType(returns)), Some(CreateFunctionBody::Return(body))) =
            (has_more, created.return_type, created.function_body)
        else {
            return Err(mistake(
                span,
                "a function has typed parameters, `returns` with a type, and `return` with an expression; nothing else",
            ));
        };
        let mut parameters = Vec::new();
        for argument in created.args.unwrap_or_default() {
            let (None, Some(name), None) = (argument.mode, argument.name, argument.default_expr) else {
                return Err(mistake(span, "every parameter is a name and a type"));
            };
            let word = name.value.to_lowercase();
            if !is_name(&word) {
                return Err(mistake(span, &format!("`{word}` cannot be the name of a parameter")).help(NAME_RULE));
            }
            if parameters.iter().any(|parameter: &Parameter| parameter.name == word) {
                return Err(mistake(span, &format!("two parameters of it are called `{word}`")));
            }
            parameters.push(Parameter { name: word, kind: argument.data_type, uses: 0 });
        }
        let mut calls: Vec<Located> = Vec::new();
        let refused = visit_expressions(&body, |expression| {
            match expression {
                Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                    return ControlFlow::Break((expression.span(), "a function reads no table"));
                }
                Expr::CompoundIdentifier(_) => {
                    return ControlFlow::Break((
                        expression.span(),
                        "a function knows its parameters alone, by their names",
                    ));
                }
                Expr::Value(value) if matches!(value.value, ast::Value::Placeholder(_)) => {
                    return ControlFlow::Break((value.span, "a function knows no variable; let it be an argument"));
                }
                Expr::Function(call) => {
                    if let Some(text) = called_name(call).filter(|name| project.functions.contains_key(name)) {
                        calls.push(Located { text, bytes: bytes(file, call.name.span()) });
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        });
        if let ControlFlow::Break((span, message)) = refused {
            return Err(mistake(span, message));
        }
        Ok(Self { function, name: span, parameters, returns, body, calls })
    }

    /// Binds the expression over values of the parameters' types.
    fn bind(
        self,
        functions: &SqlFunctions,
        session: &SessionState,
        tried: Option<&CompileCache>,
        warnings: &mut Diagnostics,
    ) -> Result<SqlFunction, Diagnostics> {
        let file = self.file();
        let no_variable = |_: &str| None;
        // A type that does not exist is no mistake of the expression.
        for parameter in &self.parameters {
            let probe = Query::made(file, probe(std::slice::from_ref(parameter), None)?);
            if bind::bind(session, file, &probe, no_variable).is_err() {
                let message = format!("`{}` is of the type `{}`, which there is not", parameter.name, parameter.kind);
                return Err(Diagnostic::new(Code::SqlFunction, file.at(bytes(file, self.name)), message)
                    .help("write a type of SQL, such as bigint, double, decimal(18, 2), varchar, date or timestamp")
                    .into());
            }
        }
        let body = cast(self.body, &self.returns);
        let written = probe(&self.parameters, Some(body))?;
        let mut statement = functions.expanded(file, &written)?.unwrap_or_else(|| written.clone());
        let query = Query::made(file, statement.clone()).written_as(written);
        let bind::Planned { plan, warnings: found, .. } = bind::bind(session, file, &query, no_variable)?;
        warnings.extend(found);
        if looks_at_other_rows(&plan) {
            let message = format!("`{}` looks at more than one row, or makes several", self.function.name);
            return Err(Diagnostic::new(Code::SqlFunction, file.at(bytes(file, self.name)), message)
                .help("a function is about the values of one row; aggregate in the model, and give it the result")
                .into());
        }
        if let Some(tried) = tried {
            Trial { session, file, query: &query, tried }.run(&plan, &plan).into_result(())?;
        }
        let body = projection(&mut statement).cloned().ok_or_else(Diagnostics::default)?;
        Ok(SqlFunction::of(self.parameters, body))
    }
}

/// Opens a session in which SQL of `project` is bound, and none is run.
pub(super) fn binding_session(project: &Project) -> Result<SessionContext, Diagnostics> {
    engine::session(&engine::Resources::for_binding()).map_err(|error| {
        let message = format!("the engine does not start: {}", error.strip_backtrace());
        Diagnostic::new(Code::Binding, project.settings.file.whole(), message).into()
    })
}

/// Returns a SELECT of an expression over one row without values for `parameters`.
fn probe(parameters: &[Parameter], body: Option<Expr>) -> Result<Statement, Diagnostics> {
    let columns: Vec<String> = parameters
        .iter()
        .map(|parameter| {
            format!("cast(null as {}) as {}", parameter.kind, crate::sql_text::identifier(&parameter.name))
        })
        .collect();
    let columns = if columns.is_empty() { "0 as \"no parameter\"".to_owned() } else { columns.join(", ") };
    let text = format!("select 0 as value from (select {columns}) as \"the parameters\"");
    let file = SourceFile::new("function", text);
    let mut statement = Query::parse(&file)?.into_statement();
    if let (Some(body), Some(item)) = (body, projection(&mut statement)) {
        *item = body;
    }
    Ok(statement)
}

fn projection(statement: &mut Statement) -> Option<&mut Expr> {
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    match select.projection.first_mut()? {
        SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

fn looks_at_other_rows(plan: &LogicalPlan) -> bool {
    use LogicalPlan::{Aggregate, Unnest, Window};
    let found = plan.exists(|node| Ok(matches!(node, Aggregate(_) | Window(_) | Unnest(_))));
    found.unwrap_or(true)
}

fn cast(expression: Expr, kind: &ast::DataType) -> Expr {
    Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(expression),
        data_type: kind.clone(),
        array: false,
        format: None,
    }
}

/// Returns the expression of an argument that is one.
fn value_of(argument: &FunctionArg) -> Option<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression.clone()),
        _ => None,
    }
}
