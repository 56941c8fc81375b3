//! Which members of a list were handed on and may come again.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

/// Stands for what AWS knows a member by, which is six times as long: 128 bits of a hash that nobody can
/// foresee, so that no two members of a list of millions share one.
pub(super) type Key = u128;

/// Members that must not be handed on again.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Two hashes of 64 bits make a key.
    hashers: [RandomState; 2],
    keys: HashSet<Key>,
}

impl Known {
    pub(super) fn key(&self, text: &str) -> Key {
        let [one, two] = &self.hashers;
        u128::from(one.hash_one(text)) << 64 | u128::from(two.hash_one(text))
    }

    pub(super) fn has(&self, key: Key) -> bool {
        self.keys.contains(&key)
    }

    pub(super) fn add(&mut self, keys: impl IntoIterator<Item = Key>) {
        self.keys.extend(keys);
    }
}
