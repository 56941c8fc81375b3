//! The few values that many items share, by number.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Distinct values, in the order in which they came.
#[derive(Debug, Clone)]
pub(super) struct Shared<T> {
    values: Vec<T>,
    places: HashMap<T, usize>,
    /// The place of the latest value, which is often the next one's too.
    latest: usize,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            places: HashMap::new(),
            latest: 0,
        }
    }
}

impl<T: Clone + Eq + Hash> Shared<T> {
    /// The number of a value, which is made and kept if it is new.
    pub(super) fn number<Q>(&mut self, value: &Q, make: impl FnOnce() -> T) -> u32
    where
        Q: ?Sized + Eq + Hash,
        T: Borrow<Q>,
    {
        let latest = self.values.get(self.latest);
        if latest.is_none_or(|latest| latest.borrow() != value) {
            self.latest = match self.places.get(value) {
                Some(place) => *place,
                None => self.keep(make()),
            };
        }
        // There are no more values than items, whose numbers are of the same size.
        u32::try_from(self.latest).unwrap_or(u32::MAX)
    }

    fn keep(&mut self, value: T) -> usize {
        let place = self.values.len();
        self.values.push(value.clone());
        self.places.insert(value, place);
        place
    }

    /// The value of a number.
    pub(super) fn value(&self, number: u32) -> Option<T> {
        self.values.get(usize::try_from(number).ok()?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_number_whichever_came_last() {
        let mut shared = Shared::<String>::default();
        for (value, number) in [("a", 0), ("b", 1), ("b", 1), ("a", 0), ("c", 2), ("b", 1)] {
            assert_eq!(shared.number(value, || value.to_owned()), number, "{value}");
        }
        let values: Vec<Option<String>> = (0..4).map(|number| shared.value(number)).collect();
        assert_eq!(
            values,
            [
                Some("a".to_owned()),
                Some("b".to_owned()),
                Some("c".to_owned()),
                None
            ]
        );
    }
}
