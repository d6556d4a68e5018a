//! A SQL file and the layer that it belongs to.

use crate::diagnostic::SourceFile;

/// One SELECT in `sql/<folder>/<name>.sql`. Whether its text is one SELECT is found out by [`crate::plan`].
#[derive(Debug, Clone)]
pub struct Model {
    /// The table's name: the file's stem.
    pub name: String,
    /// The layer, told by the folder.
    pub layer: Layer,
    /// The SQL.
    pub file: SourceFile,
}

/// One function in `sql/functions/<name>.sql`. Whether its text is one is found out by [`crate::plan`].
#[derive(Debug, Clone)]
pub struct Function {
    /// The function's name: the file's stem.
    pub name: String,
    /// The SQL.
    pub file: SourceFile,
}

/// The layers of a project, in the order in which data flows through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Several landed datasets made the one that staging tidies.
    Base,
    /// Names and types of one landed dataset made tidy.
    Staging,
    /// Joins and re-graining with one purpose each.
    Intermediate,
    /// Dimensions and facts: what the business calls things.
    Marts,
    /// What `schemas/metrics/` declares, counted. No folder: nobody writes them.
    Metrics,
    /// What the business watches.
    Kpi,
    /// How people and teams do.
    Performance,
    /// What may go wrong.
    Risk,
    /// Queries that must return no rows.
    Checks,
}

impl Layer {
    /// Every layer that has a folder, in order.
    pub const ALL: [Self; 8] = [
        Self::Base,
        Self::Staging,
        Self::Intermediate,
        Self::Marts,
        Self::Kpi,
        Self::Performance,
        Self::Risk,
        Self::Checks,
    ];

    /// Returns the layer that the prefix of a name tells.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.prefixes().iter().any(|prefix| name.starts_with(prefix)))
    }

    /// Returns the folder below `sql/`.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Staging => "staging",
            Self::Intermediate => "intermediate",
            Self::Marts => "marts",
            Self::Metrics => "metrics",
            Self::Kpi => "kpi",
            Self::Performance => "performance",
            Self::Risk => "risk",
            Self::Checks => "checks",
        }
    }

    /// Returns the prefixes that names in this layer start with.
    #[must_use]
    pub fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Base => &["base_"],
            Self::Staging => &["stg_"],
            Self::Intermediate => &["int_"],
            Self::Marts => &["dim_", "fct_"],
            Self::Metrics => &["metric_"],
            Self::Kpi => &["kpi_"],
            Self::Performance => &["perf_"],
            Self::Risk => &["risk_"],
            Self::Checks => &["assert_"],
        }
    }

    /// Returns whether models of this layer may read models of `other`. Landed datasets are read where
    /// [`reads_landed`](Self::reads_landed) says so.
    #[must_use]
    pub fn may_read(self, other: Self) -> bool {
        match self {
            Self::Base | Self::Staging => other == Self::Base,
            Self::Intermediate => matches!(other, Self::Staging | Self::Intermediate),
            Self::Marts => matches!(other, Self::Staging | Self::Intermediate | Self::Marts),
            Self::Metrics => matches!(other, Self::Intermediate | Self::Marts | Self::Metrics | Self::Kpi),
            Self::Kpi => matches!(other, Self::Marts | Self::Metrics | Self::Kpi),
            Self::Performance => matches!(other, Self::Marts | Self::Metrics | Self::Kpi | Self::Performance),
            Self::Risk => matches!(other, Self::Marts | Self::Metrics | Self::Kpi | Self::Risk),
            Self::Checks => other != Self::Checks,
        }
    }

    /// Returns whether models of this layer may read landed datasets.
    #[must_use]
    pub fn reads_landed(self) -> bool {
        matches!(self, Self::Base | Self::Staging | Self::Checks)
    }

    /// Returns whether tables of this layer are stored and published.
    #[must_use]
    pub fn is_published(self) -> bool {
        matches!(self, Self::Marts | Self::Kpi | Self::Performance | Self::Risk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_tells_the_layer() {
        assert_eq!(Layer::of("fct_orders"), Some(Layer::Marts));
        assert_eq!(Layer::of("base_orders"), Some(Layer::Base));
        assert_eq!(Layer::of("orders"), None);
    }
}
