//! The report: one page of HTML about everything that is published.
//!
//! [`gather()`] asks the published tables and returns a [`Page`], and [`render`] turns that into text.
//!
//! Promises: the page needs nothing but itself, no other file and no network; a part appears when its table is
//! published with the columns that it needs, and not otherwise; whatever stands in the data is shown as text and never
//! becomes markup or script; what is shown is bounded, and the page says where something was left out; the same
//! snapshot and the same records of runs give the same bytes.
//!
//! It does not know what a metric means: names, units and directions come from the tables and their dictionary. It
//! writes no file.

mod cells;
mod gather;
mod metrics;
mod series;

use minijinja::{AutoEscape, Environment, Value, context};
use serde::Serialize;

pub use cells::{Column, Grid};
pub use gather::{Published, gather, newest};
pub use metrics::{MetricNow, metrics};
pub use series::{Daily, Series};

/// The look that all pages share.
pub const STYLE: &str = include_str!("base.css");

/// Days of a daily series that the page shows, counted back from its last one.
pub const DAYS: u32 = 400;

/// Series of `kpi_daily` that the page holds, those of the whole company first.
pub const SERIES: usize = 600;

/// Series of any other daily table that the page holds, totals first.
pub const GROUPS: usize = 12;

/// Months that tables by month go back.
pub const MONTHS: usize = 13;

/// Characters of a text that the page shows.
pub const CHARACTERS: usize = 400;

/// Runs that the page lists, newest first.
pub const RUNS: usize = 30;

/// The language in which a page starts; a switch in it leads to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// Simplified Chinese.
    Zh,
}

impl Language {
    /// Returns the tag that HTML knows the language by.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }
}

/// Everything that the page shows.
#[derive(Debug, Serialize)]
pub struct Page {
    snapshot: String,
    run: String,
    as_of: String,
    limits: Limits,
    tables: Vec<TableAbout>,
    /// Tables of rows, by the part of the page that shows them.
    grids: std::collections::BTreeMap<&'static str, Grid>,
    /// `kpi_daily`, if it is published.
    daily: Option<Daily>,
    /// The other tables with a row a day.
    trends: Vec<Daily>,
    runs: Vec<RunAbout>,
}

#[derive(Debug, Serialize)]
struct Limits {
    days: u32,
    series: usize,
    groups: usize,
    months: usize,
    characters: usize,
    runs: usize,
}

#[derive(Debug, Serialize)]
struct TableAbout {
    name: String,
    description: Option<String>,
    grain: Option<String>,
    rows: u64,
    columns: usize,
    newest: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct RunAbout {
    run: String,
    status: String,
    started_at: String,
    chosen: String,
    seconds: Option<f64>,
    tables: Vec<(String, u64, f64)>,
    records: u64,
    error: Option<String>,
    /// The columns whose numbers moved too far, so that what it built waited.
    held_for: Vec<String>,
}

impl Page {
    /// Returns how many parts the page has, for people who wonder what is in it.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.tables.len()
    }
}

/// Returns the page as HTML that starts in `language`.
///
/// # Errors
/// When the template is broken, which the tests rule out.
pub fn render(page: &Page, language: Language) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report.html", include_str!("report.html"))?;
    let data = serde_json::to_string(page).map_err(|error| {
        minijinja::Error::new(minijinja::ErrorKind::BadSerialization, "the page").with_source(error)
    })?;
    environment.get_template("report.html")?.render(context! {
        language => language.tag(),
        data => Value::from_safe_string(inert(&data)),
        style => Value::from_safe_string([include_str!("uplot/uPlot.min.css"), STYLE, include_str!("report.css")].join("\n")),
        uplot => Value::from_safe_string(include_str!("uplot/uPlot.iife.min.js").to_owned()),
        words => Value::from_safe_string(include_str!("words.js").to_owned()),
        script => Value::from_safe_string(include_str!("report.js").to_owned()),
    })
}

/// Returns JSON that can stand in a `<script>` element: it means the same, but holds no character that HTML or an old
/// reader of JavaScript would take for its own.
fn inert(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inert_json_means_the_same_and_ends_no_script() {
        let hostile = "</script><script>alert(1)</script><!-- & \u{2028}\u{2029} \"quoted\" \\ 漢字";
        let json = serde_json::to_string(hostile).unwrap();
        let safe = inert(&json);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), hostile);
    }

    #[test]
    fn our_own_scripts_can_stand_in_a_script_element() {
        let scripts = [include_str!("uplot/uPlot.iife.min.js"), include_str!("report.js"), include_str!("words.js")];
        for script in scripts {
            assert!(!script.contains("</script") && !script.contains("<!--"));
        }
        for written in ["innerHTML", "insertAdjacentHTML", "document.write", "outerHTML", "eval(", "fetch(", "XMLHttp"]
        {
            assert!(!include_str!("report.js").contains(written), "data must not become markup: {written}");
        }
    }
}
