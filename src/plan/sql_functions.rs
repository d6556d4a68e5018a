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
    SetExpr, Spanned, Statement, visit_expressions, visit_expressions_mut,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::query::{Query, bytes, syntax_error};
use super::trial::{Trial, Tried};
use super::{bind, depth, graph};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use crate::digest::{Digest, Parts};
use crate::engine;
use crate::project::{Function, Located, Project};

/// How many expressions a query may have once functions stand in for their calls: calls in the arguments of calls
/// multiply.
const MOST_EXPRESSIONS: usize = 100_000;

/// What to write, for whoever wrote something else.
const EXAMPLE: &str = "write `create function half(n double) returns double return n / 2`";

/// The functions of a project.
#[derive(Debug, Clone, Default)]
pub struct SqlFunctions {
    by_name: BTreeMap<String, SqlFunction>,
    /// Those that are mistaken, so that nothing more is said where they are called.
    broken: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct SqlFunction {
    parameters: Vec<Parameter>,
    /// The expression, cast to what it returns; functions stand in for its own calls.
    body: Expr,
}

#[derive(Debug, Clone)]
struct Parameter {
    name: String,
    kind: ast::DataType,
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
        tried: Option<&Tried>,
        mistakes: &mut Diagnostics,
    ) -> Self {
        let mut written: BTreeMap<&str, Written<'_>> = BTreeMap::new();
        for (name, function) in &project.functions {
            match Written::parse(function, project, session) {
                Ok(found) => drop(written.insert(name, found)),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        let mut functions = Self { by_name: BTreeMap::new(), broken: project.functions.keys().cloned().collect() };
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
            match written.bind(&functions, session, tried) {
                Ok(function) => {
                    functions.broken.remove(&name);
                    functions.by_name.insert(name, function);
                }
                Err(found) => mistakes.extend(found),
            }
        }
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
            function.parameters.iter().for_each(|parameter| parts.add(&parameter.name));
            parts.add(function.body.to_string());
        }
        (!called.is_empty()).then(|| parts.digest())
    }

    /// Puts functions in the place of their calls in `statement`, which is the text of `file`.
    ///
    /// # Errors
    /// A call that does not fit its function.
    pub(super) fn expand(&self, file: &SourceFile, statement: &mut Statement) -> Result<(), Diagnostic> {
        if self.by_name.is_empty() {
            return Ok(());
        }
        let mut expressions = 0_usize;
        let expanded = visit_expressions_mut(statement, |expression| {
            let Expr::Function(call) = expression else { return ControlFlow::Continue(()) };
            let Some((name, function)) = self.called(call) else { return ControlFlow::Continue(()) };
            match function.at(file, name, call) {
                Ok(found) => *expression = found,
                Err(mistake) => return ControlFlow::Break(mistake),
            }
            let _ = visit_expressions(expression, |_| {
                expressions += 1;
                if expressions > MOST_EXPRESSIONS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if expressions > MOST_EXPRESSIONS {
                let message = "calls in the arguments of calls make this query too long";
                let mistake = Diagnostic::new(Code::TooDeep, file.at(bytes(file, expression.span())), message);
                return ControlFlow::Break(mistake.help("name the inner results in a `with`, and call over those"));
            }
            ControlFlow::Continue(())
        });
        match expanded {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(mistake) => Err(mistake),
        }
    }

    fn called(&self, call: &ast::Function) -> Option<(&str, &SqlFunction)> {
        let [part] = call.name.0.as_slice() else { return None };
        self.by_name
            .get_key_value(&part.as_ident()?.value.to_lowercase())
            .map(|(name, function)| (name.as_str(), function))
    }
}

impl SqlFunction {
    /// Returns what stands for a call.
    fn at(&self, file: &SourceFile, name: &str, call: &ast::Function) -> Result<Expr, Diagnostic> {
        let span = call.name.span();
        let misused = |message: String| {
            let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
            Diagnostic::new(Code::UnknownFunction, file.at(bytes(file, span)), message)
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
        let mut body = self.body.clone();
        let _ = visit_expressions_mut(&mut body, |expression| {
            match expression {
                Expr::Identifier(word) => {
                    let is_meant = |parameter: &Parameter| parameter.name == word.value.to_lowercase();
                    if let Some(at) = self.parameters.iter().position(is_meant) {
                        *expression = cast(arguments[at].clone(), &self.parameters[at].kind);
                    }
                }
                // What goes wrong in the function is shown where it is called.
                Expr::Value(value) => value.span = span,
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
        Ok(body)
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
        let has_more = created.or_replace
            || created.temporary
            || created.if_not_exists
            || created.behavior.is_some()
            || created.called_on_null.is_some()
            || created.parallel.is_some()
            || created.security.is_some()
            || !created.set_params.is_empty()
            || created.language.is_some();
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
            if parameters.iter().any(|parameter: &Parameter| parameter.name == word) {
                return Err(mistake(span, &format!("two parameters of it are called `{word}`")));
            }
            parameters.push(Parameter { name: word, kind: argument.data_type });
        }
        let mut calls: Vec<Located> = Vec::new();
        let refused = visit_expressions(&body, |expression| {
            match expression {
                Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                    return ControlFlow::Break((expression.span(), "a function reads no table"));
                }
                Expr::Value(value) if matches!(value.value, ast::Value::Placeholder(_)) => {
                    return ControlFlow::Break((value.span, "a function knows no variable; let it be an argument"));
                }
                Expr::Function(call) => {
                    let word = call.name.0.last().and_then(ast::ObjectNamePart::as_ident);
                    if let Some(word) = word.filter(|word| project.functions.contains_key(&word.value.to_lowercase())) {
                        calls.push(Located { text: word.value.to_lowercase(), bytes: bytes(file, word.span) });
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
        tried: Option<&Tried>,
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
        let mut statement = probe(&self.parameters, Some(body))?;
        functions.expand(file, &mut statement)?;
        let query = Query::made(file, statement.clone());
        let plan = bind::bind(session, file, &query, no_variable)?.plan;
        if looks_at_other_rows(&plan) {
            let message = format!("`{}` looks at more than one row", self.function.name);
            return Err(Diagnostic::new(Code::SqlFunction, file.at(bytes(file, self.name)), message)
                .help("a function is about the values of one row; aggregate in the model, and give it the result")
                .into());
        }
        if let Some(tried) = tried {
            Trial { session, file, query: &query, tried }.run(&plan, &plan).into_result(())?;
        }
        let body = projection(&mut statement).cloned().ok_or_else(Diagnostics::default)?;
        Ok(SqlFunction { parameters: self.parameters, body })
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
    let found = plan.exists(|node| Ok(matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_))));
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
