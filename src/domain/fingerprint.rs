//! What stands for an identifier where a million of them have to be remembered.

use std::hash::{BuildHasher as _, RandomState};

/// 128 bits that stand for a text: few enough to keep a million, enough that two never have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64, u64);

/// Makes fingerprints by keys that nobody knows, so that nobody can choose texts that share one. Only
/// those of one maker can be compared.
#[derive(Debug, Clone, Default)]
pub struct Fingerprints([RandomState; 2]);

impl Fingerprints {
    /// The fingerprint of a text.
    pub fn of(&self, text: &str) -> Fingerprint {
        let [first, second] = &self.0;
        Fingerprint(first.hash_one(text), second.hash_one(text))
    }
}
