//! The list of mistakes that a project can contain.

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// The kinds of mistake; the number's first two digits name the stage that finds it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Returns the code as it is printed, for example `E0301`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Returns whether it is no mistake, but what can hardly be meant.
            #[must_use]
            pub const fn is_warning(self) -> bool {
                matches!(self.as_str().as_bytes(), [b'W', ..])
            }

            /// Returns what the code stands for, in a sentence or two.
            #[must_use]
            pub fn explanation(self) -> String {
                match self { $(Self::$name => [$($doc,)+].map(str::trim).join(" "),)+ }
            }
        }
    };
}

codes! {
    /// There is no `opsmart.toml` in this folder or any folder above it.
    NoProject = "E0101",
    /// A project file cannot be read, or is not UTF-8 text.
    Unreadable = "E0102",
    /// A TOML file does not parse.
    TomlSyntax = "E0103",
    /// A key that this file does not have.
    UnknownKey = "E0104",
    /// A key that this file must have is missing.
    MissingKey = "E0105",
    /// A value is of the wrong TOML type.
    WrongType = "E0106",
    /// A value is of the right TOML type, but not one that means anything here.
    InvalidValue = "E0107",
    /// Two files have one stem, so one name would mean two things.
    DuplicateStem = "E0108",
    /// A file's name does not fit the folder that it lies in.
    Misnamed = "E0109",
    /// The environment named with `--env` is not declared in `opsmart.toml`.
    UnknownEnvironment = "E0110",

    /// A table that no contract or model provides.
    UnknownTable = "E0201",
    /// Models that read each other, or datasets that reference each other, in a cycle.
    Cycle = "E0202",
    /// A layer reads what it must not.
    LayerReads = "E0203",
    /// A dataset that has no contract, where a job takes it in or a column references it.
    UnknownDataset = "E0204",
    /// A selector that cannot be read, or that selects nothing.
    Selector = "E0205",
    /// A contract for a model that has no SQL file.
    NoSuchModel = "E0206",
    /// A `$name` that is neither built in nor declared under `[vars]`.
    UnknownVariable = "E0207",
    /// A job that is not in `jobs/`.
    UnknownJob = "E0208",
    /// A metric that no file of `schemas/metrics/` declares.
    UnknownMetric = "E0209",

    /// SQL that does not parse.
    SqlSyntax = "E0301",
    /// SQL that is not exactly one SELECT.
    NotOneSelect = "E0302",
    /// A column that the tables in reach do not have, or that several have.
    UnknownColumn = "E0303",
    /// Types that do not fit, or another rule of SQL that the query breaks.
    Binding = "E0304",
    /// A function that does not exist, or not with these arguments.
    UnknownFunction = "E0305",
    /// A function whose result depends on more than its arguments, such as the wall clock.
    NotImmutable = "E0306",
    /// A result that depends on the order of rows, without an ORDER BY that fixes it.
    OrderNeeded = "E0307",
    /// An output column that cannot be stored: without a name, named twice, or of a type that BI tools cannot read.
    OutputColumn = "E0308",
    /// A column that an outer join with USING merges, where the text does not say from which side it comes.
    MergedColumn = "E0309",
    /// A length of time of which the engine says something else than it is.
    LengthOfTime = "E0310",
    /// SQL to which the engine is known to give a wrong answer.
    EngineFault = "E0311",
    /// A file of `sql/functions/` that is no function, or not one about the values of one row.
    SqlFunction = "E0312",

    /// A subquery that depends on the rows around it in a way that cannot be computed.
    Correlated = "E0320",
    /// A literal or an argument with which an expression fails whatever the data.
    NeverWorks = "E0321",
    /// SQL that goes deeper, or names more tables, than can be planned.
    TooDeep = "E0322",
    /// SQL of other engines that this one does not have.
    Unsupported = "E0323",
    /// A query that means something but cannot be planned.
    NotPlanned = "E0324",

    /// A pattern of dates and times without `%`, which stands for itself.
    PatternWithoutPercent = "W0301",
    /// An exclusive or of bits, written as other databases write a power.
    XorForPower = "W0302",
    /// An integer divided by an integer where a fraction is meant.
    IntegerDivision = "W0303",
    /// A time that was asked for in a zone, and is taken in UTC after all.
    ZoneIsDropped = "W0304",
    /// A part of a text that begins before the text.
    SubstringFromTheEnd = "W0305",

    /// A column type that does not exist.
    UnknownType = "E0401",
    /// A contract names a column that the table does not have.
    ContractColumn = "E0402",
    /// A rule that does not fit the column's type.
    RuleType = "E0403",
    /// A `from` that cannot be read as a path, or that leaves its folder.
    LandingPath = "E0404",
    /// The formula of a metric that counts nothing, or puts together what does not go together.
    MetricFormula = "E0405",

    /// A schedule or a name of a job that the scheduler it is generated for cannot keep.
    Scheduler = "E0501",
}
