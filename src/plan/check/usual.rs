//! A check that the newest days are like the days before them.
//!
//! Half a day looks like a collapse. A table that says of its rows whether they are complete (`is_complete`) is asked
//! about its complete days alone, as those that are judged and as those they are compared with.

use datafusion::arrow::datatypes::DataType;

use super::question::From;
use super::{CheckQuery, Maker, for_each, leading, quoted};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::project::{Located, Usual};
use crate::sql_text::identifier;

/// Brings the median absolute deviation to the scale of a standard deviation, and the mean one where that is 0.
/// Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (1993).
const OF_MEDIAN_DEVIATION: &str = "0.6745e0";
const OF_MEAN_DEVIATION: &str = "1.253314e0";

/// The column by which a table tells which of its days are complete.
const COMPLETE: &str = "is_complete";

impl Maker<'_> {
    /// The newest days against the median and spread of the days before each; a day is never part of its own past.
    pub(super) fn usual(&self, usual: &Usual, from: &From, mistakes: &mut Diagnostics) -> Option<CheckQuery> {
        let kind = self.column(&usual.day, mistakes);
        self.all(&usual.per, mistakes)?;
        self.day(&usual.day, &kind?, mistakes)?;
        let by: Vec<Located> = usual.per.iter().chain([&usual.day]).cloned().collect();
        let value_of_day = self.scope(self.name).aggregate(&usual.value, &by, mistakes)?;
        if !value_of_day.kind.is_numeric() {
            let message =
                format!("`{}` is of type {}, and only numbers have a usual size", usual.value.text, value_of_day.kind);
            mistakes.push(Diagnostic::new(Code::RuleType, self.contract.file.at(usual.value.bytes.clone()), message));
            return None;
        }
        let day = identifier(&usual.day.text);
        let groups = leading(&quoted(&usual.per, None));
        let of_judged = leading(&quoted(&usual.per, Some("_judged")));
        let pairs = quoted(&usual.per, Some("_judged")).into_iter().zip(quoted(&usual.per, Some("_past")));
        let mut same: Vec<String> = pairs.map(|(ours, past)| format!("({ours} is not distinct from {past})")).collect();
        if usual.same_weekday {
            same.push(r#"extract(dow from "_judged"."_day") = extract(dow from "_past"."_day")"#.to_owned());
        }
        let same: String = same.iter().flat_map(|condition| [condition.as_str(), " and "]).collect();
        let tells_complete =
            self.schema.field_with_name(COMPLETE).is_ok_and(|field| *field.data_type() == DataType::Boolean);
        let (complete, of_complete) =
            if tells_complete { (format!(" and {}", identifier(COMPLETE)), "complete ") } else { (String::new(), "") };
        let Usual { history_days, newest_days, min_points, max_z, .. } = usual;
        let (value, from) = (&value_of_day.sql, &from.sql);
        let scored = format!(
            r#"with "_days" as (
    select {groups}{day} as "_day", cast({value} as double) as "_value"
    from {from} where {day} is not null{complete} group by {groups}{day}
), "_judged" as (
    select * from "_days"
    where "_value" is not null and "_day" > (select max("_day") from "_days") - interval '{newest_days} days'
), "_pairs" as (
    select {of_judged}"_judged"."_day", "_judged"."_value", "_past"."_value" as "_before"
    from "_judged" inner join "_days" as "_past"
        on {same}"_past"."_day" < "_judged"."_day"
        and "_past"."_day" >= "_judged"."_day" - interval '{history_days} days'
    where "_past"."_value" is not null
), "_centred" as (
    select *, median("_before") over (partition by {groups}"_day") as "_median" from "_pairs"
), "_spread" as (
    select {groups}"_day", "_value", "_median", count(*) as "_points",
        median(abs("_before" - "_median")) as "_median_deviation",
        avg(abs("_before" - "_median")) as "_mean_deviation"
    from "_centred" group by {groups}"_day", "_value", "_median"
)
select {groups}"_day" as {day}, round("_value", 6) as "value", round("_median", 6) as "usual",
    round(case
        when "_median_deviation" > 0 then {OF_MEDIAN_DEVIATION} * ("_value" - "_median") / "_median_deviation"
        when "_mean_deviation" > 0 then ("_value" - "_median") / ({OF_MEAN_DEVIATION} * "_mean_deviation")
    end, 6) as "z", "_points" as "days_before"
from "_spread" where "_points" >= {min_points}"#
        );
        let days =
            if *newest_days == 1 { format!("{of_complete}day") } else { format!("{newest_days} {of_complete}days") };
        let message = format!(
            "`{}` of `{}` must be as usual on the newest {days}{}: \
             at most {max_z} robust standard deviations from the median of the {history_days} days before",
            usual.value.text,
            self.name,
            for_each(&usual.per),
        );
        let failing = format!(r#"select * from ({scored}) where abs("z") > {max_z:?}"#);
        let mut asked =
            CheckQuery::of(message, failing, Some(format!(r#"select count(*) from ({scored}) where "z" is not null"#)));
        asked.variables = value_of_day.variables;
        Some(asked)
    }
}
