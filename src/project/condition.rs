//! Conditions on the values of one record: rules that it must keep to, and what makes a mark true.

use std::cmp::Ordering;
use std::fmt;

/// A rule on the values of one record. A record of which the condition does not hold is quarantined; one that has a null
/// among the values keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRule {
    /// Its name, unique in its contract.
    pub name: String,
    /// What must hold.
    pub condition: Condition,
    /// With which reason a record is quarantined of which it does not.
    pub reason: RuleReason,
}

/// With which reason a rule quarantines records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleReason {
    /// No other fits.
    Rule,
    /// Prices of a day that do not lie between its lowest and its highest.
    Ohlc,
    /// Numbers that do not add up.
    Sum,
    /// A program's doing.
    Bot,
    /// A trial, or an insider's doing.
    Test,
}

impl RuleReason {
    /// Every reason as it is written.
    pub const NAMES: [(&str, Self); 5] = [
        ("E_RULE", Self::Rule),
        ("E_OHLC", Self::Ohlc),
        ("E_SUM", Self::Sum),
        ("E_BOT", Self::Bot),
        ("E_TEST", Self::Test),
    ];
}

impl fmt::Display for RuleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES.iter().find(|(_, reason)| reason == self).map_or("", |(name, _)| name))
    }
}

/// What can be asked of the values of one record.
///
/// - It holds or does not; where one of the values is null, neither, unless null is what it asks for.
/// - Every column that it names is declared, and of a type that it can be asked of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The condition as the contract has it.
    pub text: String,
    /// The column on the left.
    pub left: String,
    /// Whether the opposite is meant, as in `not in`.
    pub is_negated: bool,
    /// What is asked.
    pub test: Test,
}

/// What can be asked of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// How it compares with the sum of these, of which there is one at least, and several only of numbers.
    Compare(Comparison, Vec<Operand>),
    /// Whether its text matches a regular expression somewhere.
    Matches(String),
    /// Whether it is one of these values, each as the text that stands for it in data.
    In(Vec<String>),
    /// Whether it is null.
    Null,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Every comparison with its sign.
    pub const SIGNS: [(&str, Self); 6] = [
        ("=", Self::Equal),
        ("<>", Self::NotEqual),
        ("<", Self::Less),
        ("<=", Self::LessOrEqual),
        (">", Self::Greater),
        (">=", Self::GreaterOrEqual),
    ];

    /// Returns whether values that stand in this order keep it.
    #[must_use]
    pub fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// A part of what a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// Another column.
    Column(String),
    /// A column that is taken away.
    Minus(String),
    /// A value, as the text that stands for it in data.
    Value(String),
}

impl Operand {
    /// Returns the name of the column, if it is one.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Column(name) | Self::Minus(name) => Some(name),
            Self::Value(_) => None,
        }
    }
}
