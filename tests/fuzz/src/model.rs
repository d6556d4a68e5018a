//! Models: what `check` finds right can be run over any rows, and gives the same rows however they come.
//!
//! The bytes choose a query out of a grammar, so that most of them bind; with a first byte of 0xff the rest is the text.

use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use camino::{Utf8Path, Utf8PathBuf};
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use opsmart::engine::{Resources, session};
use opsmart::plan::{Tried, Workspace, is_of_the_query, plain, source_schema};
use opsmart::project::load;
use opsmart::tables::query_of;
use opsmart::transform::is_out_of_memory;

use crate::project::located;

const MODEL: &str = "sql/marts/fct_x.sql";

const FILES: &[(&str, &str)] = &[
    ("opsmart.toml", "reporting_zone = \"Asia/Shanghai\"\npaths.landing = \"in\"\n"),
    (
        "schemas/sources/t.toml",
        "from = \"{landing}/t-*.csv\"\nformat = { type = \"csv\" }\n[columns]\nid = \"int64\"\ng = \"int64\"\n\
         amount = \"decimal(12,2)\"\nbig = \"decimal(38,4)\"\nshare = \"float64\"\nword = \"string\"\n\
         at = \"timestamp\"\nday = \"date\"\nflag = \"boolean\"\n",
    ),
    (
        "schemas/sources/u.toml",
        "from = \"{landing}/u-*.csv\"\nformat = { type = \"csv\" }\n[columns]\nid = \"int64\"\nk = \"int64\"\n\
         total = \"decimal(12,2)\"\nword = \"string\"\nat = \"timestamp\"\nflag = \"boolean\"\n",
    ),
    ("sql/staging/stg_t.sql", "select id, g, amount, big, share, word, at, day, flag from t\n"),
    ("sql/staging/stg_u.sql", "select id, k, total, word, at, flag from u\n"),
];

/// Rows of `t` and `u` as NDJSON: usual ones, and those at the ends of what their types hold.
const USUAL: [&str; 2] = [
    r#"{"id":1,"g":1,"amount":"10.50","big":"3.0001","share":0.5,"word":"a b","at":"2024-03-01T10:00:00Z","day":"2024-03-01","flag":true}
{"id":2,"g":1,"amount":"0.00","big":"-7.5","share":0.0,"word":"","at":"2024-03-31T23:59:59.999999Z","day":"2024-02-29","flag":false}
{"id":3,"g":2,"amount":"-3.25","word":"5","at":"1970-01-01T00:00:00Z","day":"1970-01-01"}
{"id":4,"g":2,"amount":"7.00","big":"0","share":-1.25,"word":"2024-01-31","flag":true}
{"id":4,"share":2.5,"word":"ü%_","at":"2024-03-01T10:00:00Z","day":"2024-03-01","flag":false}
{"g":3}
{}"#,
    r#"{"id":1,"k":1,"total":"1.00","word":"a b","at":"2024-03-01T10:00:00Z","flag":true}
{"id":1,"k":2,"total":"2.50","word":"c","at":"2024-03-01T10:00:00Z","flag":false}
{"id":4,"k":2,"word":"5","at":"2025-01-01T00:00:00Z"}
{"id":9,"total":"-9.99","word":""}
{}"#,
];
const EXTREME: [&str; 2] = [
    r#"{"id":9223372036854775807,"g":-9223372036854775808,"amount":"9999999999.99","big":"9999999999999999999999999999999999.9999","share":1e308,"word":"x","at":"9999-12-31T23:59:59.999999Z","day":"9999-12-31","flag":true}
{"id":-9223372036854775808,"g":0,"amount":"-9999999999.99","big":"-9999999999999999999999999999999999.9999","share":-1e308,"word":"9223372036854775808","at":"0001-01-01T00:00:00Z","day":"0001-01-01","flag":false}
{"id":0,"g":9223372036854775807,"amount":"0.01","big":"0.0001","share":5e-324,"word":"\u0000\ud83d\ude00","at":"1969-12-31T23:59:59.999999Z","day":"1969-12-31"}"#,
    r#"{"id":9223372036854775807,"k":-1,"total":"9999999999.99","word":"x","at":"9999-12-31T23:59:59.999999Z","flag":true}
{"id":0,"k":0,"total":"-0.01","word":"\u0000","at":"0001-01-01T00:00:00Z","flag":false}"#,
];

static ROOT: LazyLock<Utf8PathBuf> = LazyLock::new(|| {
    let above = Utf8PathBuf::from_path_buf(std::env::temp_dir()).expect("UTF-8");
    let root = above.join(format!("opsmart-fuzz-model-{}", std::process::id()));
    for (file, text) in FILES {
        fs::create_dir_all(root.join(file).parent().expect("every file has a folder")).expect("a folder");
        fs::write(root.join(file), text).expect("a file");
    }
    fs::create_dir_all(root.join("sql/marts")).expect("a folder");
    root
});

static TRIED: LazyLock<Tried> = LazyLock::new(Tried::default);

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().worker_threads(2).thread_stack_size(opsmart::plan::STACK_BYTES).build().expect("a runtime")
});

pub(crate) fn model(input: &[u8]) {
    let (rows, written) = match input {
        [0xff, rows, text @ ..] => {
            let Ok(text) = std::str::from_utf8(text) else { return };
            (*rows, Written { sql: text.to_owned(), is_certain: false })
        }
        [rows, choices @ ..] => (*rows, Grammar::new(choices).model()),
        [] => return,
    };
    // What parses and binds goes down as deep as the SQL does, as on the threads of the program.
    let check = move || check(&written, rows);
    let thread = std::thread::Builder::new().stack_size(opsmart::plan::STACK_BYTES).spawn(check).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn check(written: &Written, rows: u8) {
    if std::env::var_os("FUZZ_SHOW").is_some() {
        eprintln!("{}", written.sql);
    }
    fs::write(ROOT.join(MODEL), &written.sql).expect("a file");
    let files = [FILES, &[(MODEL, written.sql.as_str())]].concat();
    let files: Vec<(&str, &[u8])> = files.into_iter().map(|(name, text)| (name, text.as_bytes())).collect();
    let workspace =
        load(Utf8Path::new(ROOT.as_str()), None).and_then(|project| Workspace::compile_and_try(project, &TRIED));
    let workspace = match workspace {
        Ok(workspace) => workspace,
        Err(mistakes) => {
            if std::env::var_os("FUZZ_SHOW").is_some() {
                eprintln!("{}", mistakes.render(false));
            }
            return located(&mistakes, &files);
        }
    };
    let rows = match rows % 4 {
        0 | 1 => USUAL,
        2 => EXTREME,
        _ => ["", ""],
    };
    let one = RUNTIME.block_on(run(&workspace, rows, false));
    let other = RUNTIME.block_on(run(&workspace, rows, true));
    if let (Some(one), Some(other)) = (one, other)
        && written.is_certain
    {
        assert_eq!(one, other, "{}", written.sql);
    }
}

/// Runs the model, by one thread or by four over batches of one row. Returns its rows in their order as text, unless it
/// fails over a value or takes too long.
async fn run(workspace: &Workspace, rows: [&str; 2], dealt_out: bool) -> Option<Vec<String>> {
    let resources =
        Resources { memory_bytes: 256 << 20, threads: if dealt_out { 4 } else { 1 }, ..Resources::for_binding() };
    let session = session(&resources).expect("a session");
    if dealt_out {
        for set in ["batch_size = 2", "coalesce_batches = false"] {
            let _ = session.sql(&format!("set datafusion.execution.{set}")).await;
        }
    }
    for (name, rows) in ["t", "u"].iter().zip(rows) {
        let schema = source_schema(&workspace.project.sources[*name]);
        let batch = batch(&schema, rows);
        register(&session, &format!("stg_{name}"), &schema, batch, dealt_out);
    }
    let table = &workspace.tables["fct_x"];
    let plan = query_of(&session, workspace, table, clock()).expect("what is compiled binds");
    let running = async { session.execute_logical_plan(plan).await?.collect().await };
    match tokio::time::timeout(Duration::from_secs(5), running).await {
        Err(_) => None,
        Ok(Ok(batches)) => Some(lines(&batches)),
        Ok(Err(error)) => {
            of_a_value(&error);
            None
        }
    }
}

/// Makes sure that an error is about values, in words for people.
fn of_a_value(error: &DataFusionError) {
    if is_out_of_memory(error) {
        return;
    }
    assert!(is_of_the_query(error), "{error}");
    let told = plain(error).message;
    let of_the_engine = [
        "bug report",
        "nternal error",
        "rrow error",
        "DataFusion",
        "not implemented",
        "Error during planning",
        "Schema error",
        "External error",
        "signature",
        "not supported",
        "nsupported",
        "physical plan",
        "downcast",
    ];
    assert!(of_the_engine.iter().all(|word| !told.contains(word)), "{told}\n{error}");
}

fn clock() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_717_200_000, 0).expect("a time")
}

fn batch(schema: &SchemaRef, rows: &str) -> RecordBatch {
    let mut reader = arrow::json::ReaderBuilder::new(Arc::clone(schema)).build(Cursor::new(rows)).expect("a reader");
    match reader.next() {
        Some(batch) => batch.expect("rows"),
        None => RecordBatch::new_empty(Arc::clone(schema)),
    }
}

fn register(session: &SessionContext, name: &str, schema: &SchemaRef, batch: RecordBatch, dealt_out: bool) {
    let partitions: Vec<Vec<RecordBatch>> = if dealt_out {
        // The rows in another order, too.
        (0..3).map(|at| (at..batch.num_rows()).step_by(3).rev().map(|row| batch.slice(row, 1)).collect()).collect()
    } else {
        vec![vec![batch]]
    };
    let table = MemTable::try_new(Arc::clone(schema), partitions).expect("a table");
    session.register_table(name, Arc::new(table)).expect("a table");
}

fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("null").with_display_error(true);
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let mut line = String::new();
            for column in batch.columns() {
                // The last digits of a float depend on the order in which it was summed up.
                let is_float = matches!(column.data_type(), DataType::Float64 | DataType::Float32);
                let formatter = ArrayFormatter::try_new(column, &options).expect("a formatter");
                let text = formatter.value(row).to_string();
                let text = match text.parse::<f64>() {
                    Ok(number) if is_float && number.abs() < 1e300 => {
                        format!("{:.6}", number + 0.0).replace("-0.000000", "0.000000")
                    }
                    _ if is_float => String::new(),
                    _ => text,
                };
                let _ = write!(line, "{text}|");
            }
            lines.push(line);
        }
    }
    lines.sort();
    lines
}

/// A model, and whether its rows do not depend on the order of those that it reads.
struct Written {
    sql: String,
    is_certain: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Decimal,
    Float,
    Text,
    Time,
    Day,
    Bool,
}

use Kind::{Bool, Day, Decimal, Float, Int, Text, Time};

const KINDS: [Kind; 7] = [Int, Decimal, Float, Text, Time, Day, Bool];

const T: &[(&str, Kind)] = &[
    ("id", Int),
    ("g", Int),
    ("amount", Decimal),
    ("big", Decimal),
    ("share", Float),
    ("word", Text),
    ("at", Time),
    ("day", Day),
    ("flag", Bool),
];
const U: &[(&str, Kind)] = &[("id", Int), ("k", Int), ("total", Decimal), ("word", Text), ("at", Time), ("flag", Bool)];

/// A column that an expression may name, with the table before it.
type Named = (String, Kind);

/// A table of WITH.
struct Cte {
    name: String,
    columns: Vec<(String, Kind)>,
}

/// Writes a query, as bytes choose. When they are at their end everything is the simplest.
struct Grammar<'a> {
    choices: std::slice::Iter<'a, u8>,
    is_certain: bool,
    aliases: usize,
    /// How many parts are left: a query has an end.
    left: usize,
    ctes: Vec<Cte>,
}

impl<'a> Grammar<'a> {
    fn new(choices: &'a [u8]) -> Self {
        Self { choices: choices.iter(), is_certain: true, aliases: 0, left: 300, ctes: Vec::new() }
    }

    fn pick(&mut self, of: usize) -> usize {
        self.choices.next().map_or(0, |&byte| usize::from(byte)) % of.max(1)
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.pick(one_in) == one_in - 1
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("r{}", self.aliases)
    }

    fn model(mut self) -> Written {
        let mut with = String::new();
        for number in 0..self.pick(3) {
            let shape = self.shape();
            let query = self.query(&shape, 2);
            let _ = write!(with, "{} c{number} as ({query})", if number == 0 { "with" } else { "," });
            let columns = shape.iter().enumerate().map(|(at, kind)| (format!("x{at}"), *kind)).collect();
            self.ctes.push(Cte { name: format!("c{number}"), columns });
        }
        let shape = self.shape();
        let query = self.query(&shape, 3);
        let end = if self.chance(12) {
            self.is_certain = false;
            format!(" order by x0 limit {}", self.pick(4))
        } else {
            String::new()
        };
        Written { sql: format!("{with} {query}{end}\n"), is_certain: self.is_certain }
    }

    fn shape(&mut self) -> Vec<Kind> {
        (0..=self.pick(3)).map(|_| KINDS[self.pick(7)]).collect()
    }

    fn query(&mut self, shape: &[Kind], depth: usize) -> String {
        let one = self.select(shape, depth);
        if depth == 0 || !self.chance(5) {
            return one;
        }
        let between = ["union all", "union", "except", "intersect", "union all"][self.pick(5)];
        let other = self.select(shape, depth - 1);
        format!("{one} {between} {other}")
    }

    fn select(&mut self, shape: &[Kind], depth: usize) -> String {
        let (from, columns) = self.from(depth);
        let is_grouped = self.chance(3);
        let filter = if self.chance(3) { format!(" where {}", self.value(Bool, &columns, 3)) } else { String::new() };
        if !is_grouped {
            let mut named_window = None;
            let mut items = Vec::new();
            for (at, kind) in shape.iter().enumerate() {
                let item = if self.chance(8) {
                    self.window(*kind, &columns, &mut named_window)
                } else {
                    self.value(*kind, &columns, 4)
                };
                items.push(format!("{item} as x{at}"));
            }
            let distinct = if self.chance(10) { "distinct " } else { "" };
            let window = named_window.map_or_else(String::new, |window| format!(" window w as ({window})"));
            return format!("select {distinct}{}{from}{filter}{window}", items.join(", "));
        }
        let keys: Vec<Named> = (0..self.pick(4))
            .map(|_| {
                let kind = KINDS[self.pick(7)];
                // A number would be taken for the place of a column.
                (format!("coalesce({}, null)", self.value(kind, &columns, 1)), kind)
            })
            .collect();
        let group = match (keys.len(), self.pick(6)) {
            (0, _) => String::new(),
            (_, 3) => format!(" group by rollup({})", texts(&keys)),
            (_, 4) => format!(" group by cube({})", texts(&keys)),
            (_, 5) => format!(" group by grouping sets (({}), ({}), ())", texts(&keys), keys[0].0),
            _ => format!(" group by {}", texts(&keys)),
        };
        let mut items = Vec::new();
        for (at, kind) in shape.iter().enumerate() {
            let key = keys.iter().find(|(_, own)| own == kind).map(|(key, _)| key.clone());
            let item = match key {
                Some(key) if self.pick(2) == 0 => key,
                _ => self.aggregate(*kind, &columns),
            };
            items.push(format!("{item} as x{at}"));
        }
        let having =
            if self.chance(6) { format!(" having {} >= 1", self.aggregate(Int, &columns)) } else { String::new() };
        format!("select {}{from}{filter}{group}{having}", items.join(", "))
    }

    /// Returns a FROM and the columns in reach of it.
    fn from(&mut self, depth: usize) -> (String, Vec<Named>) {
        if self.chance(20) {
            return (String::new(), Vec::new());
        }
        let (table, alias, columns) = self.table(depth);
        let mut text = format!(" from {table} as {alias}");
        let named = |alias: &str, columns: &[(String, Kind)]| {
            columns.iter().map(|(name, kind)| (format!("{alias}.{name}"), *kind)).collect::<Vec<_>>()
        };
        let mut reach = named(&alias, &columns);
        let mut merged = false;
        for _ in 0..[0, 0, 1, 1, 2][self.pick(5)] {
            let (table, alias, columns) = self.table(depth.saturating_sub(1));
            let join = ["join", "left join", "right join", "full join", "cross join"][self.pick(5)];
            let own = named(&alias, &columns);
            let common = columns.iter().find(|(name, kind)| {
                *kind == Int && reach.iter().filter(|(known, _)| known.ends_with(&format!(".{name}"))).count() == 1
            });
            let on = match (join, common, self.pick(4)) {
                ("cross join", ..) => String::new(),
                (_, Some((name, _)), 2) if !merged => {
                    merged = true;
                    format!(" using ({name})")
                }
                (_, _, 3) if !merged => {
                    merged = true;
                    let _ = write!(text, " natural {join} {table} as {alias}");
                    reach.extend(own);
                    continue;
                }
                _ => {
                    let kind = KINDS[self.pick(7)];
                    let one = self.value(kind, &reach, 1);
                    let other = self.value(kind, &own, 1);
                    let more = if self.chance(4) {
                        let all: Vec<Named> = reach.iter().chain(&own).cloned().collect();
                        format!(" and {}", self.value(Bool, &all, 2))
                    } else {
                        String::new()
                    };
                    format!(" on {one} = {other}{more}")
                }
            };
            let _ = write!(text, " {join} {table} as {alias}{on}");
            reach.extend(own);
        }
        if merged && self.pick(2) == 0 {
            reach.push(("id".to_owned(), Int));
        }
        (text, reach)
    }

    fn table(&mut self, depth: usize) -> (String, String, Vec<(String, Kind)>) {
        let alias = self.alias();
        let owned = |columns: &[(&str, Kind)]| columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        match self.pick(6) {
            1 | 2 => ("stg_u".to_owned(), alias, owned(U)),
            3 if !self.ctes.is_empty() => {
                let at = self.pick(self.ctes.len());
                (self.ctes[at].name.clone(), alias, self.ctes[at].columns.clone())
            }
            4 if depth > 0 => {
                let shape = self.shape();
                let query = self.query(&shape, depth - 1);
                let columns = shape.iter().enumerate().map(|(at, kind)| (format!("x{at}"), *kind)).collect();
                (format!("({query})"), alias, columns)
            }
            5 => {
                let one = self.value(Int, &[], 1);
                let other = self.value(Text, &[], 1);
                (
                    format!("(select {one} as id, {other} as word)"),
                    alias,
                    vec![("id".to_owned(), Int), ("word".to_owned(), Text)],
                )
            }
            _ => ("stg_t".to_owned(), alias, owned(T)),
        }
    }

    fn aggregate(&mut self, kind: Kind, columns: &[Named]) -> String {
        let filter =
            if self.chance(6) { format!(" filter (where {})", self.value(Bool, columns, 2)) } else { String::new() };
        let value = self.value(kind, columns, 2);
        let call = match (kind, self.pick(6)) {
            (Int, 0) => "count(*)".to_owned(),
            (Int, 1) => {
                let other = KINDS[self.pick(7)];
                format!("count(distinct {})", self.value(other, columns, 2))
            }
            (Int | Decimal | Float, 2) => format!("sum({value})"),
            (Int | Decimal, 3) => format!("sum(distinct {value})"),
            (Float, 4) => {
                let other = [Int, Decimal, Float][self.pick(3)];
                format!("avg({})", self.value(other, columns, 2))
            }
            (Float, 5) => format!("stddev({value})"),
            (Bool, 1) => format!("bool_and({value})"),
            (Bool, _) => format!("bool_or({value})"),
            (Text, 3) => {
                self.is_certain = false;
                format!("string_agg({value}, ',' order by {value})")
            }
            (Int, 4) => format!("array_length(array_agg({value} order by {value}))"),
            (Float, 3) => format!("median({value})"),
            (_, 0 | 2) => format!("min({value})"),
            _ => format!("max({value})"),
        };
        format!("{call}{filter}")
    }

    fn window(&mut self, kind: Kind, columns: &[Named], named: &mut Option<String>) -> String {
        let value = self.value(kind, columns, 2);
        let order = {
            let other = KINDS[self.pick(7)];
            self.value(other, columns, 1)
        };
        let partition = {
            let other = KINDS[self.pick(7)];
            if self.pick(2) == 0 { format!("partition by {} ", self.value(other, columns, 1)) } else { String::new() }
        };
        let frame = match self.pick(6) {
            3 => {
                self.is_certain = false;
                " rows between 1 preceding and 1 following"
            }
            4 => " range between unbounded preceding and unbounded following",
            5 => {
                self.is_certain = false;
                " rows unbounded preceding"
            }
            _ => "",
        };
        let window = format!("{partition}order by {order}{frame}");
        let call = match (kind, self.pick(7)) {
            (Int, 0) => "rank()".to_owned(),
            (Int, 1) => "dense_rank()".to_owned(),
            (Int, 2) => {
                self.is_certain = false;
                "row_number()".to_owned()
            }
            (_, 3) => {
                self.is_certain = false;
                format!("lag({value}, 2)")
            }
            (_, 4) => {
                self.is_certain = false;
                format!("first_value({value})")
            }
            (Float, 5) => {
                self.is_certain = false;
                format!("ema({value}, 3)")
            }
            (Float, 6) => "percent_rank()".to_owned(),
            (Int | Decimal | Float, _) => format!("sum({value})"),
            (Bool, _) => format!("bool_or({value})"),
            (_, 0 | 1) => format!("min({value})"),
            _ => format!("max({value})"),
        };
        match named {
            Some(_) => format!("{call} over w"),
            None if self.pick(3) == 2 => {
                *named = Some(window);
                format!("{call} over w")
            }
            None => format!("{call} over ({window})"),
        }
    }

    fn literal(&mut self, kind: Kind) -> String {
        let of: &[&str] = match kind {
            Int => &["1", "0", "-1", "2", "7", "9223372036854775807", "-9223372036854775808", "cast(null as bigint)"],
            Decimal => &[
                "1.5",
                "0.00",
                "-0.01",
                "cast('99999999999999999999999999999999.9999' as decimal(38,4))",
                "cast(null as decimal(12,2))",
            ],
            Float => &["1e0", "0e0", "-2.5e3", "1e308", "cast('nan' as double)", "cast(null as double)"],
            Text => &["'a'", "''", "'%'", "'5'", "'2024-01-31'", "'ü'", "cast(null as varchar)"],
            Time => &[
                "$as_of",
                "timestamp '2024-02-29 12:00:00'",
                "cast('1900-01-01T00:00:00Z' as timestamp)",
                "cast(null as timestamp)",
            ],
            Day => &["date '2024-02-29'", "date '1900-01-01'", "cast(null as date)"],
            Bool => &["true", "false", "cast(null as boolean)"],
        };
        of[self.pick(of.len())].to_owned()
    }

    fn leaf(&mut self, kind: Kind, columns: &[Named]) -> String {
        let own: Vec<&Named> = columns.iter().filter(|(_, known)| *known == kind).collect();
        if own.is_empty() || self.chance(4) {
            return self.literal(kind);
        }
        own[self.pick(own.len())].0.clone()
    }

    fn value(&mut self, kind: Kind, columns: &[Named], depth: usize) -> String {
        if depth == 0 || self.left == 0 || self.pick(3) == 0 {
            return self.leaf(kind, columns);
        }
        self.left -= 1;
        let down = depth - 1;
        let shape = self.pick(if kind == Bool { 14 } else { 12 });
        // What all kinds have.
        match shape {
            0 => {
                let (one, other) = (self.value(kind, columns, down), self.value(kind, columns, down));
                return format!("coalesce({one}, {other})");
            }
            1 => {
                let (when, then) = (self.value(Bool, columns, down), self.value(kind, columns, down));
                let other = if self.pick(2) == 0 {
                    format!(" else {}", self.value(kind, columns, down))
                } else {
                    String::new()
                };
                return format!("case when {when} then {then}{other} end");
            }
            2 => {
                let (one, other) = (self.value(kind, columns, down), self.value(kind, columns, 1));
                return format!("nullif({one}, {other})");
            }
            3 if self.left > 100 => {
                self.left -= 50;
                let alias = self.alias();
                let (table, own) = if self.pick(2) == 0 { ("stg_t", T) } else { ("stg_u", U) };
                let own: Vec<Named> = own.iter().map(|(name, kind)| (format!("{alias}.{name}"), *kind)).collect();
                let inner = self.value(kind, &own, 1);
                let aggregate = if kind == Bool { "bool_or" } else { "max" };
                let outer = columns.iter().find(|(_, kind)| *kind == Int).filter(|_| self.pick(2) == 0).cloned();
                let filter = outer.map_or_else(String::new, |(outer, _)| format!(" where {alias}.id = {outer}"));
                return format!("(select {aggregate}({inner}) from {table} as {alias}{filter})");
            }
            4 => {
                let of = self.value(Int, columns, down);
                let (one, other) = (self.value(kind, columns, down), self.value(kind, columns, down));
                return format!("case {of} when 1 then {one} when {} then {other} end", self.literal(Int));
            }
            5 if kind != Bool => {
                let (one, other) = (self.value(kind, columns, down), self.value(kind, columns, down));
                return format!("{}({one}, {other})", ["greatest", "least"][self.pick(2)]);
            }
            6 => {
                let list: Vec<String> = (0..=self.pick(3)).map(|_| self.value(kind, columns, down)).collect();
                return format!("make_array({})[{}]", list.join(", "), self.pick(4));
            }
            _ => {}
        }
        let mut of = |kind: Kind| self.value(kind, columns, down);
        match (kind, shape) {
            (Int, 7) => {
                let (one, other) = (of(Int), of(Int));
                let operator = ["+", "-", "*", "/", "%"][self.pick(5)];
                format!("({one} {operator} {other})")
            }
            (Int, 8) => {
                let links: Vec<String> = (0..2 + self.pick(20)).map(|_| self.leaf(Int, columns)).collect();
                format!("({})", links.join([" + ", " - ", " * "][self.pick(3)]))
            }
            (Int, 9) => {
                let text = of(Text);
                [format!("length({text})"), format!("try_cast({text} as bigint)"), format!("cast({text} as bigint)")]
                    [self.pick(3)]
                .clone()
            }
            (Int, 10) => {
                let time = of(Time);
                format!("cast(extract({} from {time}) as bigint)", ["year", "dow", "hour", "epoch"][self.pick(4)])
            }
            (Int, _) => {
                let value = of(Decimal);
                [
                    format!("cast({value} as bigint)"),
                    format!("-{}", self.leaf(Int, columns)),
                    format!("abs({})", self.leaf(Int, columns)),
                ][self.pick(3)]
                .clone()
            }
            (Decimal, 7 | 8) => {
                let (one, other) = (of(Decimal), of(Decimal));
                format!("({one} {} {other})", ["+", "-", "*", "/", "%"][self.pick(5)])
            }
            (Decimal, 9) => format!("round({}, 1)", of(Decimal)),
            (Decimal, 10) => format!("abs({})", of(Decimal)),
            (Decimal, _) => format!("cast({} as decimal(20,4))", of([Int, Float, Text][depth % 3])),
            (Float, 7 | 8) => {
                let (one, other) = (of(Float), of(Float));
                format!("({one} {} {other})", ["+", "-", "*", "/"][self.pick(4)])
            }
            (Float, 9) => format!("sqrt({})", of(Float)),
            (Float, 10) => format!("wilson_lower({}, {})", of(Float), of(Int)),
            (Float, _) => format!("seconds_between({}, {})", of(Time), of(Time)),
            (Text, 7 | 8) => format!("({} || {})", of(Text), of([Text, Int, Day, Decimal][depth % 4])),
            (Text, 9) => format!("substr({}, {}, 2)", of(Text), of(Int)),
            (Text, 10) => {
                let text = of(Text);
                [
                    format!("upper({text})"),
                    format!("trim({text})"),
                    format!("split_part({text}, ' ', 2)"),
                    format!("json_text({text}, 'a.b')"),
                    format!("regexp_replace({text}, 'a+', 'b')"),
                    format!("lpad({text}, 5, '-')"),
                ][self.pick(6)]
                .clone()
            }
            (Text, _) => {
                let other = [Int, Decimal, Float, Time, Day, Bool][self.pick(6)];
                format!("cast({} as varchar)", self.value(other, columns, down))
            }
            (Time, 7 | 8) => format!("({} + interval '1 month')", of(Time)),
            (Time, 9) => format!("date_trunc('{}', {})", ["week", "month", "hour"][depth % 3], of(Time)),
            (Time, 10) => format!("cast({} as timestamp)", of(Day)),
            (Time, _) => format!("date_bin(interval '15 minutes', {})", of(Time)),
            (Day, 7 | 8) => format!("cast({} as date)", of(Time)),
            (Day, 9) => format!("local_day({}, $reporting_zone)", of(Time)),
            (Day, 10) => format!("cast({} + interval '1 month' as date)", of(Day)),
            (Day, _) => format!("try_cast({} as date)", of(Text)),
            (Bool, 7 | 8) => {
                let (one, other) = (of(Bool), of(Bool));
                format!("({one} {} {other})", ["and", "or"][self.pick(2)])
            }
            (Bool, 9) => format!("not {}", of(Bool)),
            (Bool, 10) => {
                let other = KINDS[self.pick(7)];
                format!("({} is {}null)", self.value(other, columns, down), ["", "not "][self.pick(2)])
            }
            (Bool, 11) => {
                let other = [Int, Text, Day][self.pick(3)];
                let (one, list) =
                    (self.value(other, columns, down), [self.literal(other), self.literal(other)].join(", "));
                format!("({one} {}in ({list}))", ["", "not "][self.pick(2)])
            }
            (Bool, 12) => match self.pick(3) {
                0 => format!("({} like {})", self.value(Text, columns, down), self.literal(Text)),
                1 => {
                    let (alias, own) = (self.alias(), self.value(Int, columns, 1));
                    format!("exists (select 1 from stg_u as {alias} where {alias}.id = {own})")
                }
                _ => {
                    let (alias, own) = (self.alias(), self.value(Int, columns, 1));
                    format!("({own} {}in (select {alias}.id from stg_u as {alias}))", ["", "not "][self.pick(2)])
                }
            },
            (Bool, _) => {
                let other = KINDS[self.pick(7)];
                let (one, two) = (self.value(other, columns, down), self.value(other, columns, down));
                let operator = ["=", "<>", "<", ">=", "is distinct from", "is not distinct from"][self.pick(6)];
                format!("({one} {operator} {two})")
            }
        }
    }
}

fn texts(columns: &[Named]) -> String {
    columns.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(", ")
}
