//! The few values that many items share, by number.

use std::collections::HashMap;
use std::hash::Hash;

/// Distinct values, in the order in which they came.
#[derive(Debug, Clone)]
pub(super) struct Shared<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Shared<T> {
    /// The number of a value, which is kept if it is new.
    pub(super) fn number(&mut self, value: &T) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        // There are no more values than items, whose numbers are of the same size.
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.clone());
        self.numbers.insert(value.clone(), number);
        number
    }

    /// The value of a number.
    pub(super) fn value(&self, number: u32) -> Option<T> {
        self.values.get(usize::try_from(number).ok()?).cloned()
    }
}
