//! Which partitions of its inputs each partition of a table is made from.
//!
//! A table with `partition` in its contract is made partition by partition where it is proved ([`proof`]) that a partition
//! reads, of some of its inputs, the partition of the same key and no other. Inputs of which that is not proved are read
//! as a whole, and a change to one of them makes the table anew.

mod proof;

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::LogicalPlan;

pub(in crate::plan) use proof::Proof;
use proof::{Lead, Leads, Prover};

use crate::project::{DayReach, PartitionBy};

/// How a stored model is made by partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitioned {
    /// What its rows are told apart by.
    pub by: PartitionBy,
    /// The days that a partition reads of aligned inputs by definition; without, its own alone, by proof.
    pub reach: Option<DayReach>,
    /// The inputs of which a partition reads the partition of the same key alone.
    pub aligned: BTreeSet<String>,
    /// The inputs that every partition reads as a whole, and why.
    pub whole: BTreeMap<String, &'static str>,
}

/// What is known of the tables of a project, model by model.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    known: BTreeMap<String, Proof>,
    by: BTreeMap<String, PartitionBy>,
}

impl Proofs {
    /// Adds a dataset or stored table that has partitions.
    pub(super) fn add(&mut self, name: &str, by: &PartitionBy, schema: &Schema) {
        let columns = schema.fields().iter().map(|field| {
            let is_it = field.name() == by.column();
            if is_it { Leads::from([(name.to_owned(), wanted(by, field.data_type()))]) } else { Leads::new() }
        });
        self.known.insert(name.to_owned(), Proof::of_table(name, columns.collect()));
        self.by.insert(name.to_owned(), by.clone());
    }

    /// Returns whether there is anything to prove.
    pub(super) fn is_empty(&self) -> bool {
        self.by.is_empty()
    }

    /// Returns what is proved of a query.
    pub(super) fn prove(&self, plan: &LogicalPlan, zone: Tz) -> Proof {
        Prover { known: &self.known, zone }.prove(plan)
    }

    /// Returns what is known of a table, if anything is.
    pub(super) fn of(&self, name: &str) -> Option<&Proof> {
        self.known.get(name)
    }

    /// Adds a view, which stands for what it reads.
    pub(super) fn add_view(&mut self, name: &str, proof: Proof) {
        self.known.insert(name.to_owned(), proof);
    }

    /// Returns a column of a plan that leads to the partition of each of `inputs` which a row is made from.
    pub(super) fn leads(&self, plan: &LogicalPlan, zone: Tz, inputs: &[&str]) -> Option<usize> {
        let (first, others) = inputs.split_first()?;
        let by = self.by.get(*first)?;
        if !others.iter().all(|other| self.by.get(*other).is_some_and(|other| other.is_like(by))) {
            return None;
        }
        let proof = self.prove(plan, zone);
        let fields = plan.schema().fields().iter();
        fields.zip(&proof.columns).position(|(field, leads)| {
            let wanted = wanted(by, field.data_type());
            inputs.iter().all(|input| leads.get(*input) == Some(&wanted))
        })
    }

    /// Returns how a table with such columns is made by partitions.
    pub(super) fn partitioned(
        &self,
        (by, reach): (&PartitionBy, Option<DayReach>),
        schema: &Schema,
        proof: &Proof,
    ) -> Option<Partitioned> {
        let (at, field) = schema.column_with_name(by.column())?;
        let wanted = wanted(by, field.data_type());
        let leads = proof.columns.get(at)?;
        let mut found = Partitioned { by: by.clone(), reach, aligned: BTreeSet::new(), whole: BTreeMap::new() };
        for input in &proof.inputs {
            let why = match self.by.get(input) {
                None => "it has no partitions",
                Some(other) if !other.is_like(by) => "it is partitioned in another way",
                Some(_) if reach.is_some() || leads.get(input) == Some(&wanted) => {
                    found.aligned.insert(input.clone());
                    continue;
                }
                Some(_) => proof.lost.get(input).copied().unwrap_or("its days are not those of the table"),
            };
            found.whole.insert(input.clone(), why);
        }
        Some(found)
    }
}

/// Returns how a value of such a type leads to a partition.
fn wanted(by: &PartitionBy, kind: &DataType) -> Lead {
    match (by, kind) {
        (PartitionBy::Day { .. }, DataType::Timestamp(..)) => Lead::Instant,
        _ => Lead::Key,
    }
}
