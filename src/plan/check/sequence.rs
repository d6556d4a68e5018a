//! Checks of rows in an order: a column that does not fall or rise, and days without gaps.

use datafusion::arrow::datatypes::DataType;

use super::question::From;
use super::{CheckQuery, Maker, for_each, group_by, leading, not_null, quoted, stored};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::project::{Located, Monotone, NoGaps};
use crate::sql_text::identifier;

impl Maker<'_> {
    pub(super) fn monotone(&self, monotone: &Monotone, from: &From, mistakes: &mut Diagnostics) -> Option<CheckQuery> {
        let Monotone { column, is_falling, order, per } = monotone;
        let (value, order_kind) = (self.column(column, mistakes), self.column(order, mistakes));
        self.all(per, mistakes)?;
        value?;
        order_kind?;
        let given = not_null(&[column.clone(), order.clone()], None);
        let value = identifier(&column.text);
        let mut shown: Vec<String> = quoted(per, None);
        shown.push(identifier(&order.text));
        shown.push(value.clone());
        // Rows that are equal in the order stand in the one way that breaks nothing among them.
        let (direction, wrong, verb) = if *is_falling { ("desc", ">", "rise") } else { ("asc", "<", "fall") };
        let sql = format!(
            "select {}, lag({value}) over ({}order by {}, {value} {direction}) as \"value_before\" from {} where {given}",
            shown.join(", "),
            partition(per),
            identifier(&order.text),
            from.sql
        );
        let message = format!(
            "`{}` of `{}` must never {verb} in the order of `{}`{}",
            column.text,
            self.name,
            order.text,
            for_each(per)
        );
        let failing = format!("select * from ({sql}) where {value} {wrong} \"value_before\"");
        Some(CheckQuery::of(message, failing, Some(format!("select count(*) from {} where {given}", from.sql))))
    }

    pub(super) fn no_gaps(&self, no_gaps: &NoGaps, from: &From, mistakes: &mut Diagnostics) -> Option<CheckQuery> {
        let NoGaps { day, per, calendar } = no_gaps;
        let kind = self.column(day, mistakes);
        self.all(per, mistakes)?;
        self.day(day, &kind?, mistakes)?;
        let name = identifier(&day.text);
        let groups = leading(&quoted(per, None));
        let days = format!("select distinct {groups}{name} from {} where {name} is not null", from.sql);
        let tested = Some(format!("select count(*) from ({days})"));
        let message = |end: &str| format!("`{}` of `{}` must have no gaps{}{end}", day.text, self.name, for_each(per));
        let Some(calendar) = calendar else {
            let sql = format!(
                "select {groups}lag({name}) over ({}order by {name}) as \"day_before\", {name} from ({days})",
                partition(per)
            );
            let failing = format!("select * from ({sql}) where {name} > \"day_before\" + interval '1 day'");
            return Some(CheckQuery::of(message(""), failing, tested));
        };
        let schema = stored(self.workspace, self.contract, &calendar.table, mistakes)?;
        let kind = self.column_of(&calendar.table.text, schema, &calendar.day, mistakes)?;
        self.day(&calendar.day, &kind, mistakes)?;
        let open = self.from(&calendar.table.text, calendar.filter.as_ref(), mistakes)?;
        let failing = format!(
            "select {groups}\"_open\".\"_day\" as {name} from \
             (select {groups}min({name}) as \"_first\", max({name}) as \"_last\" from ({days}){}) as \"_spans\", \
             (select distinct {} as \"_day\" from {}) as \"_open\" \
             where \"_open\".\"_day\" > \"_spans\".\"_first\" and \"_open\".\"_day\" < \"_spans\".\"_last\" \
             except {days}",
            group_by(&quoted(per, None)),
            identifier(&calendar.day.text),
            open.sql
        );
        let mut asked = CheckQuery::of(message(&format!(" of the days of `{}`", calendar.table.text)), failing, tested);
        asked.others.insert(calendar.table.text.clone());
        asked.variables.extend(open.variables);
        Some(asked)
    }

    /// Reports a column that does not hold days.
    pub(super) fn day(&self, column: &Located, kind: &DataType, mistakes: &mut Diagnostics) -> Option<()> {
        if *kind == DataType::Date32 {
            return Some(());
        }
        let message = format!("`{}` is of type {kind}, and this is asked of days", column.text);
        mistakes.push(
            Diagnostic::new(Code::RuleType, self.contract.file.at(column.bytes.clone()), message)
                .help("make a column of days with local_day(…, $reporting_zone)"),
        );
        None
    }
}

fn partition(per: &[Located]) -> String {
    if per.is_empty() { String::new() } else { format!("partition by {} ", quoted(per, None).join(", ")) }
}
