//! Asks DataFusion's binder whether the SQL makes sense, before anything runs.
//!
//! The tables of the project are empty here, but have the names and types that they will have, so what binds here
//! binds in the run.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::common::diagnostic::Diagnostic as BinderDiagnostic;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Location, Result as BinderResult, SchemaError};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility, WindowFunctionDefinition};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use futures::FutureExt;
use regex::Regex;

use super::elsewhere::unsupported;
use super::places::{self, InnerKind};
use super::query::{FunctionCall, Query};
use super::refuse::{self, Refusal};
use super::trial::{CompileCache, Trial};
use super::words::{instead_of, kind, of_arguments, of_side, plain_text};
use super::{using, warn};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean, nearest};
use crate::engine::{ORDERED_AGGREGATES, read_only};
use crate::functions;
use crate::project::{Model, Variable, timestamp};

/// Aggregates whose result depends on the order in which they see rows, whatever an ORDER BY says.
const UNORDERED_AGGREGATES: [&str; 4] =
    ["any_value", "approx_median", "approx_percentile_cont", "approx_percentile_cont_with_weight"];

/// What reads the clock of the machine.
const CLOCK_WORDS: [&str; 7] =
    ["current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "now", "today"];

/// A SELECT that was bound.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: LogicalPlan,
    /// What earlier programs made other rows of, of the same text.
    pub(super) mended: Vec<String>,
    /// What it can hardly mean.
    pub(super) warnings: Diagnostics,
}

/// Binds one SELECT against the tables known to `session`.
///
/// # Errors
/// Everything that the binder finds wrong with it, each with its place.
pub(super) fn bind(
    session: &SessionState,
    file: &SourceFile,
    query: &Query,
    value: impl Fn(&str) -> Option<Variable>,
) -> Result<Planned, Diagnostics> {
    let mut mistakes = Diagnostics::default();
    for call in query.functions().iter().filter(|call| order_is_missing(call)) {
        mistakes.push(order_needed(file.at(call.name.bytes.clone()), &call.name.text));
    }
    for unordered in query.unordered(file) {
        let help = if unordered.clause == "TABLESAMPLE" {
            "choose rows by what they hold, so that every run keeps the same ones"
        } else {
            "add an ORDER BY that leaves no ties, so that every run keeps the same rows"
        };
        let message = format!("{} keeps rows by their order", unordered.clause);
        mistakes.push(
            Diagnostic::new(Code::OrderNeeded, file.at(unordered.bytes), message)
                .label("no ORDER BY fixes it")
                .help(help),
        );
    }
    let unsupported = unsupported(file, query);
    if !unsupported.is_empty() {
        mistakes.extend(unsupported);
        return Err(mistakes);
    }
    match plan_merged(session, query.statement(value)) {
        Ok((plan, merges)) => {
            mistakes.extend(volatile_functions(file, query, &plan));
            mistakes.extend(unordered_windows(file, query, &plan));
            mistakes.extend(refuse::refused(file, query, &plan));
            let warnings = warn::warnings(file, query, &plan);
            let takes_decimals = functions::median::is_of_decimals(&plan).unwrap_or(false);
            // They are hashed, and stay as they are.
            let mended = [(merges, "merged columns"), (takes_decimals, "medians of decimals")];
            let mended =
                mended.into_iter().filter(|(is_mended, _)| *is_mended).map(|(_, what)| what.to_owned()).collect();
            mistakes.into_result(Planned { plan, mended, warnings })
        }
        Err(error) => {
            mistakes.extend(translate(session, file, query, &error));
            Err(mistakes)
        }
    }
}

/// Plans a statement and settles its types: a union or a CASE is of the type that all of its branches can be, which the
/// planner alone takes from the first. Tables must be there without waiting.
///
/// # Errors
/// What the planner or the analyser says.
pub fn plan_statement(session: &SessionState, statement: Statement) -> BinderResult<LogicalPlan> {
    plan_merged(session, statement).map(|(plan, _)| plan)
}

fn plan_merged(session: &SessionState, mut statement: Statement) -> BinderResult<(LogicalPlan, bool)> {
    let merges = match &mut statement {
        Statement::Statement(statement) => using::rewrite(session, statement)?,
        _ => false,
    };
    let planned = session.statement_to_plan(statement).now_or_never();
    let plan = planned.unwrap_or_else(|| Err(DataFusionError::Internal("a table had to be waited for".to_owned())))?;
    read_only().verify_plan(&plan)?;
    let plan = session.analyzer().execute_and_check(plan, session.config_options(), |_, _| {})?;
    Ok((plan, merges))
}

/// Makes an empty table known under `name`.
pub(super) fn register_empty(session: &SessionContext, name: &str, schema: &SchemaRef) -> BinderResult<()> {
    let table: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(Arc::clone(schema)));
    session.register_table(name, table).map(|_| ())
}

/// Returns the schema that a model's result has once it is stored.
///
/// Text becomes `Utf8`, instants microseconds of UTC (finer digits are cut off), narrow and unsigned integers `Int64`, dictionaries their values;
/// every column may be null. All of that loses nothing, or the run fails.
///
/// # Errors
/// Columns that cannot be stored: two of one name, none at all, or a type that BI tools cannot read.
pub(super) fn stored_schema(model: &Model, query: &Query, schema: &Schema) -> Result<SchemaRef, Diagnostics> {
    let mut mistakes = Diagnostics::default();
    let mut seen = BTreeSet::new();
    let mut fields = Vec::with_capacity(schema.fields().len());
    for (position, field) in schema.fields().iter().enumerate() {
        let name = field.name();
        let mistake = |message: String| {
            let bytes = query.output(&model.file, position, name).unwrap_or_else(|| last_select(&model.file));
            Diagnostic::new(Code::OutputColumn, model.file.at(bytes), message)
        };
        let is_plain =
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') && !name.starts_with('_');
        if !is_plain {
            mistakes.push(
                mistake(format!("an output column has no name of its own: `{name}`"))
                    .help("name it with `as`, in lower-case letters, digits and `_`"),
            );
        }
        if !seen.insert(name) {
            mistakes.push(
                mistake(format!("two output columns are named `{name}`"))
                    .help("give one of them another name with `as`"),
            );
        }
        match stored_type(field.data_type()) {
            Some(kind) => fields.push(Field::new(name, kind, true)),
            None => mistakes.push(
                mistake(format!(
                    "output column `{name}` is a {}, which BI tools cannot read",
                    kind(&field.data_type().to_string())
                ))
                .maybe_help(match field.data_type() {
                    DataType::Null => Some("cast the null to the type that the column should have".to_owned()),
                    DataType::Duration(_) | DataType::Interval(_) => {
                        Some("store seconds: seconds_between(started_at, ended_at)".to_owned())
                    }
                    _ => Some("cast it to a number, text, date or timestamp".to_owned()),
                }),
            ),
        }
    }
    mistakes.into_result(Arc::new(Schema::new(fields)))
}

fn stored_type(kind: &DataType) -> Option<DataType> {
    Some(match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => DataType::Int64,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) => {
            DataType::Decimal128(*p, *s)
        }
        DataType::Boolean => DataType::Boolean,
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Timestamp(
            TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond,
            _,
        ) => timestamp(),
        DataType::Dictionary(_, value) => stored_type(value)?,
        _ => return None,
    })
}

/// The last SELECT is where an output column is made, as nearly as the text alone can tell.
fn last_select(file: &SourceFile) -> std::ops::Range<usize> {
    let at = file.text.to_ascii_lowercase().rfind("select").unwrap_or(0);
    at..at + "select".len()
}

fn order_is_missing(call: &FunctionCall) -> bool {
    let name = call.name.text.as_str();
    !call.is_windowed
        && (UNORDERED_AGGREGATES.contains(&name) || ORDERED_AGGREGATES.contains(&name) && !call.is_ordered)
}

/// Finds window functions over rows whose order nothing fixes. The bound plan is asked, because a named window is
/// written elsewhere in the text.
fn unordered_windows(file: &SourceFile, query: &Query, plan: &LogicalPlan) -> Diagnostics {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                if let Expr::WindowFunction(call) = expression
                    && call.params.order_by.is_empty()
                {
                    match &call.fun {
                        WindowFunctionDefinition::WindowUDF(function) => drop(names.insert(function.name().to_owned())),
                        WindowFunctionDefinition::AggregateUDF(function) => {
                            let whole = &call.params.window_frame;
                            let is_whole = whole.start_bound.is_unbounded() && whole.end_bound.is_unbounded();
                            let name = function.name();
                            if !is_whole || UNORDERED_AGGREGATES.contains(&name) || ORDERED_AGGREGATES.contains(&name) {
                                names.insert(function.name().to_owned());
                            }
                        }
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    let mut mistakes = Diagnostics::default();
    for name in names {
        let place =
            query.functions().iter().find(|call| call.is_windowed && !call.is_ordered && call.name.text == name);
        let place = place.or_else(|| query.functions().iter().find(|call| call.is_windowed && call.name.text == name));
        let at = place.map_or_else(|| file.whole(), |call| file.at(call.name.bytes.clone()));
        mistakes.push(order_needed(at, &name));
    }
    mistakes
}

fn order_needed(at: crate::diagnostic::Place, name: &str) -> Diagnostic {
    let help = if name.starts_with("approx_") {
        "it estimates from rows as they come; `percentile_cont` and `median` are exact"
    } else if name == "any_value" {
        "it takes whichever row comes first; write first_value(x order by …), with an ORDER BY that leaves no ties"
    } else {
        "add an ORDER BY that leaves no ties, so that every run gives the same result"
    };
    Diagnostic::new(Code::OrderNeeded, at, format!("`{name}` depends on the order of rows"))
        .label("no ORDER BY fixes it")
        .help(help)
}

/// Returns the functions of a plan whose result depends on more than their arguments.
#[must_use]
pub fn volatile(plan: &LogicalPlan) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                let function = match expression {
                    Expr::ScalarFunction(call) => Some((call.func.name(), call.func.signature().volatility)),
                    Expr::AggregateFunction(call) => Some((call.func.name(), call.func.signature().volatility)),
                    Expr::WindowFunction(call) => Some(match &call.fun {
                        WindowFunctionDefinition::AggregateUDF(f) => (f.name(), f.signature().volatility),
                        WindowFunctionDefinition::WindowUDF(f) => (f.name(), f.signature().volatility),
                    }),
                    _ => None,
                };
                if let Some((name, volatility)) = function
                    && volatility != Volatility::Immutable
                {
                    names.insert(name.to_owned());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    names
}

/// Tells where a query calls functions whose result depends on more than their arguments.
fn volatile_functions(file: &SourceFile, query: &Query, plan: &LogicalPlan) -> Diagnostics {
    let names = volatile(plan);
    let mut mistakes = Diagnostics::default();
    let mut told = BTreeSet::new();
    let mut tell = |at: crate::diagnostic::Place, name: &str| {
        let help = if is_clock_word(name) {
            "use `$as_of`, the one clock of a run"
        } else {
            "published tables must come out the same every time; take the value from a landed file or from `[vars]`"
        };
        let message = format!("`{name}` gives another result each time");
        mistakes.push(Diagnostic::new(Code::NotImmutable, at, message).label("not immutable").help(help));
    };
    // The clock goes by several words, which the plan does not keep apart.
    let reads_clock = names.iter().any(|name| is_clock_word(name));
    for call in query.functions() {
        let name = call.name.text.as_str();
        if names.contains(name) || reads_clock && is_clock_word(name) {
            told.insert(name);
            tell(file.at(call.name.bytes.clone()), name);
        }
    }
    let is_told =
        |name: &str| told.contains(name) || is_clock_word(name) && told.iter().any(|word| is_clock_word(word));
    names.iter().filter(|name| !is_told(name)).for_each(|name| tell(file.whole(), name));
    mistakes
}

fn is_clock_word(word: &str) -> bool {
    CLOCK_WORDS.contains(&word)
}

/// Turns what the binder says into diagnostics at the places that it names.
fn translate(session: &SessionState, file: &SourceFile, query: &Query, error: &DataFusionError) -> Diagnostics {
    let mut mistakes = Diagnostics::default();
    for error in error.iter() {
        let told = error.diagnostic();
        let at = told
            .and_then(|told| told.span)
            .map_or_else(|| file.whole(), |span| file.at(offset(file, span.start)..offset(file, span.end)));
        let root = error.find_root();
        if let Some(refusal) = Refusal::of(root) {
            mistakes.push(refusal.diagnostic(file));
            continue;
        }
        let text = told.map_or_else(|| root.strip_backtrace(), |told| told.message.clone());
        let diagnostic = if let DataFusionError::SchemaError(schema, _) = root {
            let at = match schema.as_ref() {
                SchemaError::FieldNotFound { field, .. } if at.bytes.is_empty() => {
                    places::of_word(query, file, &field.name).map_or(at, |bytes| file.at(bytes))
                }
                _ if at.bytes.is_empty() => place_of_quoted(file, query, &text).unwrap_or(at),
                _ => at,
            };
            schema_mistake(schema, at, &text)
        } else if let Some(name) = text.strip_prefix("Invalid function '").and_then(|rest| rest.strip_suffix('\'')) {
            unknown_function(session, name, at)
        } else {
            let subquery = || {
                let inner = places::inner(query, file).into_iter().find(|inner| inner.kind == InnerKind::Expression)?;
                text.contains("Too many columns").then(|| file.at(inner.bytes))
            };
            let found = || place_of_quoted(file, query, &text).or_else(subquery);
            let at = if at.bytes.is_empty() { found().unwrap_or(at) } else { at };
            binding_mistake(file, at, &text, told)
        };
        mistakes.push(diagnostic);
    }
    mistakes
}

fn offset(file: &SourceFile, place: Location) -> usize {
    file.offset(usize::try_from(place.line).unwrap_or(1), usize::try_from(place.column).unwrap_or(1))
}

fn schema_mistake(error: &SchemaError, at: crate::diagnostic::Place, text: &str) -> Diagnostic {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let relation = field.relation.as_ref();
            let message = match relation {
                Some(relation) => format!("column `{}` does not exist in `{relation}`", field.name),
                None => format!("column `{}` does not exist", field.name),
            };
            let in_reach: Vec<_> =
                valid_fields.iter().filter(|c| relation.is_none() || c.relation.as_ref() == relation).collect();
            let mut names: Vec<&str> = in_reach.iter().map(|column| column.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let list = if names.is_empty() { None } else { Some(format!("columns in reach: {}", names.join(", "))) };
            Diagnostic::new(Code::UnknownColumn, at, message)
                .label("no such column")
                .maybe_help(did_you_mean(&field.name, names.iter().copied()).or(list))
        }
        SchemaError::AmbiguousReference { field } => {
            Diagnostic::new(Code::UnknownColumn, at, format!("column `{}` is in more than one table here", field.name))
                .label("which one?")
                .help(format!("write the table before it, for example `t.{}`", field.name))
        }
        _ => binding_mistake(&at.file.clone(), at, text, None),
    }
}

fn unknown_function(session: &SessionState, name: &str, at: crate::diagnostic::Place) -> Diagnostic {
    if session.window_functions().contains_key(name) {
        return Diagnostic::new(
            Code::UnknownFunction,
            at,
            format!("`{name}` looks at other rows, and needs to be told which"),
        )
        .label("no OVER clause")
        .help(format!("write `{name}(…) over (partition by … order by …)`"));
    }
    let scalars = session.scalar_functions().iter().map(|(name, function)| (name, function.signature().volatility));
    let aggregates =
        session.aggregate_functions().iter().map(|(name, function)| (name, function.signature().volatility));
    let windows = session.window_functions().iter().map(|(name, function)| (name, function.signature().volatility));
    // What is refused is not proposed.
    let allowed = scalars
        .chain(aggregates)
        .chain(windows)
        .filter(|(known, volatility)| *volatility == Volatility::Immutable && known.as_str() != "any_value")
        .map(|(known, _)| known.as_str());
    let clock = || {
        let word = nearest(name, CLOCK_WORDS)?;
        Some(format!("`{word}` gives another result each time; use `$as_of`, the one clock of a run"))
    };
    Diagnostic::new(Code::UnknownFunction, at, format!("function `{name}` does not exist"))
        .label("no such function")
        .maybe_help(instead_of(name).or_else(clock).or_else(|| did_you_mean(name, allowed)))
}

fn binding_mistake(
    file: &SourceFile,
    at: crate::diagnostic::Place,
    text: &str,
    told: Option<&BinderDiagnostic>,
) -> Diagnostic {
    let code = if text.contains("No function matches")
        || text.contains("failed to match any signature")
        || text.contains("does not support") && text.contains("Function")
    {
        Code::UnknownFunction
    } else {
        Code::Binding
    };
    // A function's own words are wrapped in those of everything that called it.
    let own = text
        .split_once("coercion failed with: ")
        .and_then(|(_, rest)| rest.split_once(". No function matches"))
        .map(|(own, _)| own);
    if let Some(own) = own {
        let words = plain_text(own);
        return Diagnostic::new(code, at, words.message).maybe_help(words.help);
    }
    if let Some(words) = of_arguments(text) {
        return Diagnostic::new(code, at, words.message).maybe_help(words.help);
    }
    let words = plain_text(text);
    let mut help: Vec<String> = words.help.into_iter().collect();
    let mut mistake = Diagnostic::new(code, at, words.message);
    if let Some(told) = told {
        for note in &told.notes {
            match note.span {
                Some(span) => {
                    mistake = mistake
                        .related(file.at(offset(file, span.start)..offset(file, span.end)), of_side(&note.message));
                }
                None if note.message.starts_with("has type") => {
                    help.push(format!("the other side {}", of_side(&note.message)));
                }
                None => help.push(note.message.clone()),
            }
        }
        // What the engine proposes depends on the order of rows, and is refused.
        help.extend(told.helps.iter().map(|help| help.message.replace("like ANY_VALUE(", "like min(")));
    }
    let help = if help.is_empty() { None } else { Some(help.join("\n").replace("ANY_VALUE(", "min(")) };
    mistake.maybe_help(help)
}

/// The analyser's errors have no place, but quote what they speak of: a function, a literal, a column, an expression.
pub(super) fn place_of_quoted(file: &SourceFile, query: &Query, text: &str) -> Option<crate::diagnostic::Place> {
    static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r#"'([^']+)'|`([^`]+)`|"([^"]+)"|SQL type (\S+)|[Ww]indow (\S+) is|qualifier (\S+)|position (\d+) in|specified: (\d+)|expected (LIMIT|OFFSET) |references: (.+) must|the (WHERE) clause|in (I?LIKE) expr"#,
        )
        .ok()
    });
    let lower = text.to_lowercase();
    let call = query.functions().iter().find(|call| {
        lower.contains(&format!("'{}'", call.name.text)) || lower.contains(&format!("{}(", call.name.text))
    });
    if let Some(call) = call {
        return Some(file.at(call.name.bytes.clone()));
    }
    let quoted = QUOTED.as_ref()?.captures_iter(text);
    let words = quoted.filter_map(|found| found.iter().skip(1).flatten().next().map(|word| word.as_str().to_owned()));
    for word in words {
        let bare = word.rsplit(['.', ' ']).next().unwrap_or_default();
        if let Some(at) = places::of_word(query, file, &word).or_else(|| places::of_word(query, file, bare)) {
            return Some(file.at(at));
        }
    }
    let is_named = |name: &str| lower.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
    let call = query.functions().iter().find(|call| is_named(&call.name.text))?;
    Some(file.at(call.name.bytes.clone()))
}

/// Plans a SELECT that a person typed, against the tables that `session` knows. What need not come out the same every
/// time, such as `now()`, is allowed here.
///
/// # Errors
/// Everything that the binder finds wrong, each at its place in `file`.
pub fn plan_query(session: &SessionState, file: &SourceFile, query: &Query) -> Result<LogicalPlan, Diagnostics> {
    plan_query_with(session, file, query, |_| None)
}

/// As [`plan_query`], where variables have values.
///
/// # Errors
/// As [`plan_query`].
pub fn plan_query_with(
    session: &SessionState,
    file: &SourceFile,
    query: &Query,
    value: impl Fn(&str) -> Option<Variable>,
) -> Result<LogicalPlan, Diagnostics> {
    if let Some(variable) = query.variables().iter().find(|variable| value(&variable.text).is_none()) {
        let at = file.at(variable.bytes.clone());
        return Err(Diagnostic::new(Code::UnknownVariable, at, format!("`${}` has no value here", variable.text))
            .help("variables belong to models; write the value")
            .into());
    }
    unsupported(file, query).into_result(())?;
    let plan =
        plan_statement(session, query.statement(value)).map_err(|error| translate(session, file, query, &error))?;
    refuse::refused(file, query, &plan).into_result(plan)
}

/// Makes sure that a query that somebody typed does not fail whatever the tables hold.
///
/// # Errors
/// What fails, each at its place in `file`.
pub fn try_query(
    session: &SessionState,
    file: &SourceFile,
    query: &Query,
    plan: &LogicalPlan,
) -> Result<(), Diagnostics> {
    Trial { session, file, query, tried: &CompileCache::default() }.run(plan, plan).into_result(())
}
