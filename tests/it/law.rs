//! The law: what a run leaves after any history is what a run from nothing would leave, table by table, and of a table
//! that is made by partitions it makes those alone of which something changed.
//!
//! Projects and histories are random. Projects are of a few models, made of all that the proof of partitions has rules
//! for; histories are of files that come late, twice, changed or not at all, of models and contracts that are written
//! anew, of people that are erased, and of tables that are rolled back and released.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use opsmart::partition::PartitionKey;
use opsmart::plan::Workspace;
use opsmart::project::{self, DayReach, ERASED, subject};
use opsmart::run::RunReport;
use opsmart::store::{CheckStatus, LocalDisk, RowSum, Snapshot, Store, TableState};
use proptest::prelude::*;

use crate::faults::run_on;
use crate::scratch::Scratch;

/// How many models a project has.
const MODELS: usize = 4;

/// A query with the columns `day`, `user_id` and `n`.
#[derive(Debug, Clone)]
enum Query {
    Events,
    Sales,
    Users,
    /// An earlier model, if there is one.
    Model(usize),
    Filter(Box<Self>, &'static str),
    Group(Box<Self>, By),
    Window(Box<Self>, By),
    Distinct(Box<Self>),
    NextDay(Box<Self>),
    Join(Box<Self>, Box<Self>, Kind, By),
    Union(Box<Self>, Box<Self>),
    In(Box<Self>, Box<Self>),
    AtLeast(Box<Self>, Box<Self>),
}

#[derive(Debug, Clone, Copy)]
enum By {
    Day,
    User,
    Both,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Inner,
    Left,
    Right,
    Full,
    Semi,
    Anti,
}

impl Query {
    /// Returns the SELECT of the model with this number.
    fn sql(&self, number: usize) -> String {
        let of = |query: &Self| query.sql(number);
        match self {
            Self::Events => "select day, user_id, n from stg_events".to_owned(),
            Self::Sales => "select day, user_id, n from stg_sales".to_owned(),
            Self::Users => "select day, user_id, n from stg_users".to_owned(),
            Self::Model(_) if number == 0 => of(&Self::Events),
            Self::Model(other) => format!("select day, user_id, n from fct_{}", other % number),
            Self::Filter(from, condition) => {
                format!("select day, user_id, n from ({}) as f where {condition}", of(from))
            }
            Self::Group(from, by) => {
                let (day, user, groups) = match by {
                    By::Day => ("day", "min(user_id)", "day"),
                    By::User => ("max(day)", "user_id", "user_id"),
                    By::Both => ("day", "user_id", "day, user_id"),
                };
                format!(
                    "select {day} as day, {user} as user_id, sum(n) as n from ({}) as g group by {groups}",
                    of(from)
                )
            }
            Self::Window(from, by) => {
                let by = match by {
                    By::Day => "day",
                    By::User => "user_id",
                    By::Both => "day, user_id",
                };
                format!("select day, user_id, sum(n) over (partition by {by}) as n from ({}) as w", of(from))
            }
            Self::Distinct(from) => format!("select distinct day, user_id, n from ({}) as d", of(from)),
            Self::NextDay(from) => {
                format!("select cast(day + interval '1 day' as date) as day, user_id, n from ({}) as s", of(from))
            }
            Self::Join(left, right, kind, by) => {
                let on = match by {
                    By::Day => "l.day = r.day",
                    By::User => "l.user_id = r.user_id",
                    By::Both => "l.day = r.day and l.user_id = r.user_id",
                };
                let (kind, made) = match kind {
                    Kind::Inner => ("inner", "l.day, r.user_id, l.n + r.n as n"),
                    Kind::Left => ("left", "l.day, r.user_id, l.n"),
                    Kind::Right => ("right", "r.day, l.user_id, r.n"),
                    Kind::Full => ("full", "coalesce(l.day, r.day) as day, l.user_id, r.n"),
                    Kind::Semi => ("left semi", "l.day, l.user_id, l.n"),
                    Kind::Anti => ("left anti", "l.day, l.user_id, l.n"),
                };
                format!("select {made} from ({}) as l {kind} join ({}) as r on {on}", of(left), of(right))
            }
            Self::Union(one, other) => format!("{} union all {}", of(one), of(other)),
            Self::In(from, other) => format!(
                "select day, user_id, n from ({}) as i where user_id in (select user_id from ({}) as o)",
                of(from),
                of(other)
            ),
            Self::AtLeast(from, other) => format!(
                "select day, user_id, n from ({}) as a where n >= (select min(n) from ({}) as o)",
                of(from),
                of(other)
            ),
        }
    }
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![4 => Just(By::Day), 1 => Just(By::User), 2 => Just(By::Both)]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Inner, Kind::Left, Kind::Right, Kind::Full, Kind::Semi, Kind::Anti])
}

fn query() -> impl Strategy<Value = Query> {
    let leaf = prop_oneof![
        3 => Just(Query::Events),
        3 => Just(Query::Sales),
        1 => Just(Query::Users),
        3 => (0..MODELS).prop_map(Query::Model),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        let one = inner.clone().prop_map(Box::new);
        let two = (inner.clone().prop_map(Box::new), inner.prop_map(Box::new));
        let conditions = vec!["n % 2 = 0", "user_id > 0", "day is not null", "day > date '2024-03-02'"];
        prop_oneof![
            2 => (one.clone(), prop::sample::select(conditions)).prop_map(|(from, what)| Query::Filter(from, what)),
            3 => (one.clone(), by()).prop_map(|(from, by)| Query::Group(from, by)),
            2 => (one.clone(), by()).prop_map(|(from, by)| Query::Window(from, by)),
            1 => one.clone().prop_map(Query::Distinct),
            1 => one.prop_map(Query::NextDay),
            4 => (two.clone(), kind(), by()).prop_map(|((l, r), kind, by)| Query::Join(l, r, kind, by)),
            2 => two.clone().prop_map(|(one, other)| Query::Union(one, other)),
            1 => two.clone().prop_map(|(from, other)| Query::In(from, other)),
            1 => two.prop_map(|(from, other)| Query::AtLeast(from, other)),
        ]
    })
}

/// A model: its query, whether it has partitions, and how many days before its own they read by definition.
type Model = (Query, bool, Option<u8>);

/// A row of a landed file: its key, its day from 2024-03-01 if it has one, its hour, a user, a number.
type Row = (u8, Option<u8>, u8, u8, u8);

/// Something that happens between two runs.
#[derive(Debug, Clone)]
enum Event {
    /// A file of a dataset comes, or takes another's place.
    Land(&'static str, u8, Vec<Row>),
    /// A file comes again under another name.
    Copy(&'static str, u8, u8),
    /// A file goes.
    Remove(&'static str, u8),
    /// A model is written anew.
    Edit(usize, Model),
    /// A model has partitions from now on, or none.
    Part(usize, bool),
    /// A dataset has partitions from now on, or none.
    Divide(&'static str, bool),
    /// Of versions of one row the first stays from now on, or the last.
    KeepFirst(bool),
    /// A user is never to be taken in again.
    Erase(u8),
    /// The tables before are in force again, and what is built waits.
    Rollback,
    /// What waits is in force.
    Release,
}

fn model() -> impl Strategy<Value = Model> {
    (query(), prop::bool::weighted(0.85), prop::option::weighted(0.15, 0..3_u8))
}

fn event() -> impl Strategy<Value = Event> {
    let dataset = || prop::sample::select(vec!["events", "sales", "users"]);
    let row = (0..6_u8, prop::option::weighted(0.9, 0..5_u8), 0..24_u8, 0..3_u8, 0..9_u8);
    prop_oneof![
        8 => (dataset(), 0..4_u8, prop::collection::vec(row, 1..6)).prop_map(|(d, f, rows)| Event::Land(d, f, rows)),
        1 => (dataset(), 0..4_u8, 0..4_u8).prop_map(|(d, from, to)| Event::Copy(d, from, to)),
        1 => (dataset(), 0..4_u8).prop_map(|(d, f)| Event::Remove(d, f)),
        2 => (0..MODELS, model()).prop_map(|(number, model)| Event::Edit(number, model)),
        2 => (0..MODELS, any::<bool>()).prop_map(|(number, has_partitions)| Event::Part(number, has_partitions)),
        1 => (prop::sample::select(vec!["events", "sales"]), any::<bool>()).prop_map(|(d, is)| Event::Divide(d, is)),
        1 => any::<bool>().prop_map(Event::KeepFirst),
        1 => (0..3_u8).prop_map(Event::Erase),
        1 => Just(Event::Rollback),
        1 => Just(Event::Release),
    ]
}

const DATASETS: [&str; 3] = ["events", "sales", "users"];

/// What every model promises; some keep it and some do not.
const PROMISES: &str = "
[checks]
few = { holds = \"n < 9\", severity = \"warn\" }
once = { unique = [\"day\", \"user_id\"], severity = \"warn\" }
users = { unique = [\"user_id\", \"n\"], severity = \"warn\", max_rows = 2 }
";

/// A project, what lands in it, and what it has taken in.
struct World {
    scratch: Scratch,
    models: Vec<Model>,
    landed: BTreeMap<(&'static str, u8), String>,
    admitted: BTreeMap<(&'static str, u8), String>,
    /// Rises with every row; three rows in succession are of one age, so that the order of their files decides.
    version: u32,
    /// The datasets that have partitions.
    divided: BTreeSet<&'static str>,
    keeps_first: bool,
    erased: BTreeSet<u8>,
    /// Whether the next run reads all files again, so that none may go before it.
    is_read_again: bool,
    /// What has happened so far, in as few lines as will do to make it happen again.
    story: Vec<String>,
}

impl World {
    fn new(models: Vec<Model>) -> Self {
        let mut world = Self {
            scratch: Scratch::empty(),
            story: vec![format!("{models:?}")],
            models,
            landed: BTreeMap::new(),
            admitted: BTreeMap::new(),
            version: 0,
            divided: BTreeSet::from(["events", "sales"]),
            keeps_first: false,
            erased: BTreeSet::new(),
            is_read_again: false,
        };
        world.write_project(&world.scratch);
        world.happens(&Event::Land("events", 0, vec![(0, Some(0), 7, 0, 1), (1, Some(1), 20, 1, 2)]));
        world.happens(&Event::Land("sales", 0, vec![(0, Some(0), 0, 0, 3), (0, Some(1), 0, 1, 4)]));
        world.happens(&Event::Land("users", 0, vec![(0, None, 0, 0, 5)]));
        world
    }

    fn write_project(&self, to: &Scratch) {
        to.write("opsmart.toml", "reporting_zone = \"Asia/Shanghai\"\n[paths]\nlanding = \"landing\"\n");
        to.write("jobs/all.toml", "ingest = [\"events\", \"sales\", \"users\"]\n");
        for name in DATASETS {
            let columns = "id = \"int64!\"\nversion = \"int64!\"\nday = \"date\"\nat = \"timestamp\"\nuser_id = \"int64\"\nn = \"int64\"\n";
            let keep = if self.keeps_first { "first" } else { "latest" };
            let keep = if name == "events" {
                format!("key = [\"id\"]\nkeep = {{ {keep} = \"version\" }}\n")
            } else {
                String::new()
            };
            let day = if name == "events" { "at" } else { "day" };
            let is_divided = self.divided.contains(name);
            let partition = if is_divided { format!("partition = {{ day = \"{day}\" }}\n") } else { String::new() };
            let contract = format!(
                r#"from = "{{landing}}/{name}-*.csv"
format = {{ type = "csv" }}
files = "replace"
{keep}{partition}[columns]
{columns}"#
            );
            to.write(&format!("schemas/sources/{name}.toml"), &contract);
        }
        let digest = |user: &u8| format!("\"{}\"", subject("events", "user_id", user.to_string().as_bytes()));
        let digests: Vec<String> = self.erased.iter().map(digest).collect();
        to.write(ERASED, &format!("[events]\nuser_id = [{}]\n", digests.join(", ")));
        to.write(
            "sql/staging/stg_events.sql",
            "select local_day(at, $reporting_zone) as day, user_id, n from events\n",
        );
        to.write("sql/staging/stg_sales.sql", "select day, user_id, n from sales\n");
        to.write("sql/staging/stg_users.sql", "select date '2024-03-01' as day, user_id, n from users\n");
        for number in 0..self.models.len() {
            self.write_model(to, number);
        }
    }

    fn write_model(&self, to: &Scratch, number: usize) {
        let (query, has_partitions, reach) = &self.models[number];
        to.write(&format!("sql/marts/fct_{number}.sql"), &format!("{}\n", query.sql(number)));
        let partition = match (has_partitions, reach) {
            (false, _) => String::new(),
            (true, None) => "partition = { day = \"day\" }\n".to_owned(),
            (true, Some(days)) => {
                format!("partition = {{ day = \"day\" }}\nreach = {{ before = \"{days} days\", after = \"1 day\" }}\n")
            }
        };
        to.write(&format!("schemas/models/fct_{number}.toml"), &format!("{partition}{PROMISES}"));
    }

    fn happens(&mut self, event: &Event) {
        self.story.push(format!("{event:?}"));
        match event {
            Event::Land(dataset, file, rows) => {
                let mut text = String::from("id,version,day,at,user_id,n\n");
                for (id, day, hour, user, n) in rows {
                    self.version += 1;
                    let version = self.version / 3;
                    let day = day.map(|day| format!("2024-03-0{}", day + 1));
                    let at = day.as_ref().map(|day| format!("{day}T{hour:02}:00:00Z")).unwrap_or_default();
                    text.push_str(&format!("{id},{version},{},{at},{user},{n}\n", day.unwrap_or_default()));
                }
                self.landed.insert((dataset, *file), text);
            }
            Event::Copy(dataset, from, to) => {
                if let Some(text) = self.landed.get(&(*dataset, *from)).cloned() {
                    self.landed.insert((dataset, *to), text);
                }
            }
            Event::Remove(dataset, file) => {
                if !self.is_read_again {
                    self.landed.remove(&(*dataset, *file));
                }
            }
            Event::Edit(number, model) => {
                self.models[*number] = model.clone();
                self.write_model(&self.scratch, *number);
            }
            Event::Part(number, has_partitions) => {
                self.models[*number].1 = *has_partitions;
                self.write_model(&self.scratch, *number);
            }
            Event::Divide(dataset, is_divided) => {
                // Its files are read again, as below.
                let mut files = self.admitted.keys().filter(|(of, _)| of == dataset);
                if self.divided.contains(dataset) != *is_divided && files.all(|file| self.landed.contains_key(file)) {
                    self.is_read_again = true;
                    if *is_divided {
                        self.divided.insert(dataset);
                    } else {
                        self.divided.remove(dataset);
                    }
                    self.write_project(&self.scratch);
                }
            }
            Event::KeepFirst(keeps_first) => {
                self.keeps_first = *keeps_first;
                self.write_project(&self.scratch);
            }
            Event::Erase(user) => {
                // Files are read again, so all that count have to be there.
                if self.admitted.keys().all(|file| self.landed.contains_key(file)) {
                    self.is_read_again = true;
                    self.erased.insert(*user);
                    self.write_project(&self.scratch);
                }
            }
            Event::Rollback => drop(self.scratch.run(&["rollback", "--quiet"])),
            Event::Release => drop(self.scratch.run(&["release", "--quiet"])),
        }
    }

    fn run(&mut self, name: &str) -> RunReport {
        self.story.push(name.to_owned());
        let folder = self.scratch.path("landing");
        for ((dataset, file), _) in self.admitted.iter().filter(|(file, _)| !self.landed.contains_key(file)) {
            let _ = std::fs::remove_file(folder.join(format!("{dataset}-{file}.csv")));
        }
        land(&self.scratch, &self.landed);
        self.admitted.extend(self.landed.clone());
        self.is_read_again = false;
        run_on(&self.scratch, Arc::new(LocalDisk), name).unwrap()
    }

    /// Returns what a run from nothing leaves, what its promises came to, and the states of its tables.
    fn rebuilt(&self) -> (Snapshot, Vec<Judged>, BTreeMap<String, TableState>) {
        let scratch = Scratch::empty();
        self.write_project(&scratch);
        land(&scratch, &self.admitted);
        run_on(&scratch, Arc::new(LocalDisk), "rebuilt").unwrap();
        let store = store(&scratch);
        (snapshot(&store), judged(&store), states(&store))
    }
}

/// A promise, what it came to, how many rows break it, and of how many.
type Judged = (String, CheckStatus, u64, Option<u64>);

fn judged(store: &Store) -> Vec<Judged> {
    let outcomes = store.outcomes(&snapshot(store).check_results).unwrap().into_iter();
    outcomes.map(|(name, outcome)| (name, outcome.state, outcome.failing_rows, outcome.tested_rows)).collect()
}

fn land(scratch: &Scratch, files: &BTreeMap<(&'static str, u8), String>) {
    for ((dataset, file), text) in files {
        scratch.write(&format!("landing/{dataset}-{file}.csv"), text);
    }
}

fn store(scratch: &Scratch) -> Store {
    Store::open(&scratch.path("warehouse"), Arc::new(LocalDisk))
}

fn snapshot(store: &Store) -> Snapshot {
    store.snapshot(store.reference().unwrap().unwrap().newest()).unwrap()
}

fn states(store: &Store) -> BTreeMap<String, TableState> {
    let tables = snapshot(store).tables.into_iter();
    tables.map(|(name, entry)| (name.clone(), store.table(&name, &entry.state).unwrap())).collect()
}

/// Returns the partitions in which two states of a table differ.
fn moved(before: Option<&TableState>, after: &TableState) -> BTreeSet<PartitionKey> {
    let sums = |state: &TableState| state.partition_sums();
    let (before, after): (BTreeMap<PartitionKey, RowSum>, _) = (before.map(sums).unwrap_or_default(), sums(after));
    let keys = before.keys().chain(after.keys()).copied();
    keys.filter(|key| before.get(key) != after.get(key)).collect()
}

/// Asserts that of tables made by partitions nothing was made of which nothing changed.
fn assert_least(world: &World, report: &RunReport, before: &BTreeMap<String, TableState>) {
    let after = states(&store(&world.scratch));
    let workspace = Workspace::compile(project::load(world.scratch.root(), None).unwrap()).unwrap();
    for table in &report.tables {
        let partitioned = workspace.tables[&table.table].partitioned.as_ref();
        let (Some(partitioned), Some(partition_counts)) = (partitioned, table.partitions) else { continue };
        let content =
            |states: &BTreeMap<String, TableState>, name: &String| states.get(name).map(TableState::content_hash);
        let is_same = partitioned.whole.keys().all(|input| content(before, input) == content(&after, input));
        let made =
            |states: &BTreeMap<String, TableState>| Some(states.get(&table.table)?.built_from.as_ref()?.base.clone());
        // What was made of a table that has had no partitions since may differ in any of them.
        let were_told_apart =
            partitioned.aligned.iter().all(|input| before.get(input).is_some_and(|state| state.partition.is_some()));
        if !is_same || made(before) != made(&after) || !were_told_apart {
            continue;
        }
        let moved: BTreeSet<PartitionKey> =
            partitioned.aligned.iter().flat_map(|input| moved(before.get(input), &after[input])).collect();
        let days = match partitioned.reach {
            Some(DayReach::Around { before, after }) => 1 + before + after,
            _ => 1,
        };
        let digests = |states: &BTreeMap<String, TableState>| states[&table.table].built_from.clone();
        assert!(
            partition_counts.built <= moved.len() * days as usize,
            "{table:?} made more than {moved:?}, by {partitioned:?}\nfrom {:?}\nto {:?}\nafter {}",
            digests(before),
            digests(&after),
            world.story.join("\n")
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn a_run_leaves_what_a_run_from_nothing_leaves(
        models in prop::collection::vec(model(), MODELS),
        history in prop::collection::vec(prop::collection::vec(event(), 1..4), 1..5),
    ) {
        let mut world = World::new(models);
        world.run("first");
        for (number, events) in history.iter().enumerate() {
            let before = states(&store(&world.scratch));
            events.iter().for_each(|event| world.happens(event));
            let report = world.run(&format!("run-{number}"));
            let store = store(&world.scratch);
            let (now, (rebuilt, promises, meant_states)) = (snapshot(&store), world.rebuilt());
            prop_assert_eq!(judged(&store), promises);
            for (name, entry) in rebuilt.tables.iter().filter(|(name, _)| !name.starts_with("dq_")) {
                let found = &now.tables[name];
                let (found, meant) = ((&found.content_hash, found.rows), (&entry.content_hash, entry.rows));
                prop_assert_eq!(found, meant, "{} after {}", name, world.story.join("\n"));
                let (found, meant) = (&states(&store)[name], &meant_states[name]);
                if found.partition == meant.partition {
                    let (found, meant) = (found.partition_sums(), meant.partition_sums());
                    prop_assert_eq!(found, meant, "partitions of {} after {}", name, world.story.join("\n"));
                }
            }
            assert_least(&world, &report, &before);
        }
    }
}

/// Cases that were broken once.
#[test]
fn a_column_that_is_the_same_in_all_rows_is_no_order() {
    let boxed = Box::new;
    let join = Query::Join(boxed(Query::Distinct(boxed(Query::Users))), boxed(Query::Sales), Kind::Left, By::Day);
    let mut world = World::new(vec![(join, true, None)]);
    world.run("first");
    world.happens(&Event::Land("sales", 0, vec![(0, None, 0, 0, 0)]));
    world.run("second");
    world.happens(&Event::Land("users", 0, vec![(0, None, 0, 0, 0), (0, None, 0, 0, 0)]));
    world.run("third");
    assert_eq!(
        snapshot(&store(&world.scratch)).tables["fct_0"].content_hash,
        world.rebuilt().0.tables["fct_0"].content_hash
    );
}

#[test]
fn a_change_is_seen_where_no_dataset_has_partitions() {
    let boxed = Box::new;
    let union = Query::Union(
        boxed(Query::Filter(boxed(Query::Events), "n % 2 = 0")),
        boxed(Query::Group(boxed(Query::Sales), By::Day)),
    );
    let mut world = World::new(vec![(union, true, None)]);
    world.run("first");
    world.happens(&Event::Divide("events", false));
    world.run("second");
    world.happens(&Event::Land("events", 0, vec![(0, None, 3, 1, 0)]));
    world.happens(&Event::Divide("sales", false));
    world.run("third");
    world.happens(&Event::Erase(1));
    world.run("fourth");
    let (rebuilt, promises, _) = world.rebuilt();
    let store = store(&world.scratch);
    assert_eq!(snapshot(&store).tables["fct_0"].content_hash, rebuilt.tables["fct_0"].content_hash);
    assert_eq!(judged(&store), promises);
}

/// How many histories are tried: a few with all other tests, many where that is asked for.
fn cases() -> u32 {
    std::env::var("LAW_HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(12)
}
