//! Tells which hashes came up more than once, with a few bits for each.

/// Bits that remember whether a place was marked once, and whether it was marked again.
#[derive(Debug)]
pub(super) struct RepeatFilter {
    /// Two bits for each place, the lower one for the first mark.
    words: Vec<u64>,
    mask: u32,
}

/// How many places there are at least for each row, so that few rows share one by chance.
const PLACES_OF_ROW: usize = 8;

impl RepeatFilter {
    /// Prepares for the hashes of so many rows.
    pub(super) fn for_rows(rows: usize) -> Self {
        let places = (rows.max(8) * PLACES_OF_ROW).next_power_of_two().min(1 << 32);
        Self { words: vec![0; places / 32], mask: u32::try_from(places - 1).unwrap_or(u32::MAX) }
    }

    fn place(&self, hash: u32) -> (usize, u32) {
        let place = hash & self.mask;
        ((place / 32) as usize, place % 32 * 2)
    }

    /// Marks the place of a hash.
    #[inline]
    pub(super) fn mark(&mut self, hash: u32) {
        let (word, shift) = self.place(hash);
        let word = &mut self.words[word];
        let once = *word >> shift & 1;
        *word |= (1 | once << 1) << shift;
    }

    /// Returns whether the place of a hash was marked more than once.
    #[inline]
    pub(super) fn is_marked_twice(&self, hash: u32) -> bool {
        let (word, shift) = self.place(hash);
        self.words[word] >> shift & 2 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_marked_twice_is_told_from_one_marked_once() {
        let mut marks = RepeatFilter::for_rows(1000);
        (0..1000).for_each(|hash| marks.mark(hash));
        (0..1000).step_by(7).for_each(|hash| marks.mark(hash));
        (0..100).for_each(|_| marks.mark(7));
        for hash in 0..2000 {
            assert_eq!(marks.is_marked_twice(hash), hash < 1000 && hash % 7 == 0, "{hash}");
        }
        // The most places are those of all hashes.
        assert_eq!(RepeatFilter::for_rows(8).mask, 63);
    }
}
