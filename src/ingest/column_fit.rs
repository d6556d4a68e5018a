//! Tells a column that does not fit a file at all from single values that do not.
//!
//! The one is a change of the file that somebody has to answer, and one finding says it; the others are records to
//! quarantine. Looks at one column at a time and knows nothing of the share of records that may be quarantined.

use super::parse::ValueError;
use super::problem::ColumnMismatch;
use super::quarantine::Reason;

/// Fewer values than this say nothing about a column.
pub(super) const LEAST: u64 = 20;

/// After so many values of which none fits, nothing that follows is waited for, so that what a file quarantines stays
/// small however large it is.
const ENOUGH: u64 = 100_000;

/// What a column made of a file so far.
#[derive(Debug, Clone, Default)]
pub(super) struct ColumnFit {
    /// Whether some value fits.
    fits: bool,
    /// How many records have no value and need one.
    missing: u64,
    /// How many values do not fit.
    misfits: u64,
    /// Whether those break different rules.
    is_mixed: bool,
    /// The first value that does not fit, and its line.
    first: Option<(ValueError, u64)>,
}

impl ColumnFit {
    /// Returns whether one more misfit would change anything.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        (self.first.is_none() || !self.fits) && !self.is_enough()
    }

    /// Returns whether so much was seen that what follows does not count.
    pub(super) fn is_enough(&self) -> bool {
        self.misfits + self.missing >= ENOUGH
    }

    /// Returns whether some value fits.
    pub(super) fn has_one(&self) -> bool {
        self.fits
    }

    /// Takes note that some value fits.
    #[inline]
    pub(super) fn fits(&mut self) {
        self.fits = true;
    }

    /// Takes note of a cell on `line` that does not fit.
    #[cold]
    pub(super) fn misfit(&mut self, misfit: ValueError, line: u64) {
        if matches!(misfit.reason, Reason::Null | Reason::NullKey) {
            self.missing += 1;
            return;
        }
        self.misfits += 1;
        match &mut self.first {
            None => self.first = Some((misfit, line)),
            Some((first, at)) => {
                self.is_mixed |= first.reason != misfit.reason;
                // Normalisers tell what they are not for before the rest.
                if line < *at {
                    (*first, *at) = (misfit, line);
                }
            }
        }
    }

    /// Returns the first value that does not fit, and its line.
    pub(super) fn first(&self) -> Option<&(ValueError, u64)> {
        self.first.as_ref()
    }

    /// Returns how many records lack a value that they need, if none has one.
    pub(super) fn always_missing(&self) -> Option<u64> {
        (!self.fits && self.misfits == 0 && self.missing > 0).then_some(self.missing)
    }

    /// Returns what is wrong with the column `name` as a whole: at the end of the file, or once enough was seen.
    pub(super) fn unfit(&self, name: &str, at_end: bool) -> Option<ColumnMismatch> {
        if self.fits || self.is_mixed || !(at_end || self.is_enough()) {
            return None;
        }
        let values = if self.first.is_some() { self.misfits } else { self.missing };
        // Few values say nothing, not even beside many that are not there.
        (values >= LEAST).then(|| ColumnMismatch {
            column: name.to_owned(),
            values,
            is_all: !self.is_enough(),
            first: self.first.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(reasons: &[(Reason, u64)]) -> ColumnFit {
        let mut fit = ColumnFit::default();
        for (reason, times) in reasons {
            for line in 0..*times {
                fit.misfit(ValueError { reason: *reason, message: reason.to_string() }, line + 2);
            }
        }
        fit
    }

    #[test]
    fn a_column_is_unfit_when_all_its_values_say_the_same() {
        let values = |fit: &ColumnFit| fit.unfit("a", true).map(|unfit| unfit.values);
        assert_eq!(values(&fit(&[(Reason::Type, 19)])), None);
        assert_eq!(values(&fit(&[(Reason::Type, 20)])), Some(20));
        assert_eq!(values(&fit(&[(Reason::Type, 20), (Reason::Enum, 1)])), None);
        // Records without a value say nothing of those that have one.
        assert_eq!(values(&fit(&[(Reason::Null, 300), (Reason::Type, 20)])), Some(20));
        assert_eq!(values(&fit(&[(Reason::Null, 300), (Reason::Type, 1)])), None);
        assert_eq!(values(&fit(&[(Reason::NullKey, 20)])), Some(20));
        let mut one_fits = fit(&[(Reason::Type, 20)]);
        one_fits.fits();
        assert_eq!(values(&one_fits), None);
    }

    #[test]
    fn the_first_misfit_is_kept_and_counting_ends() {
        let mut fit = fit(&[(Reason::Type, ENOUGH)]);
        assert!(!fit.is_open());
        let unfit = fit.unfit("a", false).unwrap();
        assert_eq!((unfit.values, unfit.is_all, unfit.first.unwrap().1), (ENOUGH, false, 2));
        fit.misfit(ValueError { reason: Reason::Type, message: String::new() }, 1);
        assert_eq!(fit.first().unwrap().1, 1);
    }

    #[test]
    fn values_that_do_not_fit_and_those_that_lack_are_enough_together() {
        let many = fit(&[(Reason::Null, ENOUGH - 30), (Reason::Type, 30)]);
        assert!(!many.is_open());
        let unfit = many.unfit("a", false).unwrap();
        assert_eq!((unfit.values, unfit.is_all), (30, false));
        assert_eq!(fit(&[(Reason::Null, ENOUGH - 31), (Reason::Type, 30)]).unfit("a", false), None);
    }
}
