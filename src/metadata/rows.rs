//! The rows of a metadata file, in one buffer of text, and an index of them by resource ARN.
//!
//! A row is its values in order, each with a NUL behind it, which no value has: the reader refuses
//! them. So a row takes no more memory than it has bytes in the file, and all that has to be known
//! of it is where it begins. A row for each resource as an object of its own would take four times
//! the memory, and most of the time to make them. Rows begin at every eighth byte, so that four bytes tell
//! where: the smaller the index is, the more of it is near the processor.
//!
//! Hashes are keyed by chance, anew in each process, so that nobody can make a file whose ARNs collide
//! without having watched the process. The standard library's hash, which would stand that too, takes
//! so many instructions that a processor does not get to the next look-up while it waits for memory,
//! and waiting for memory is what most of a look-up is.

use std::hash::BuildHasher as _;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use memchr::memchr;
use rapidhash::quality::RandomState;

/// Bytes between two places where a row may begin.
const STEP: usize = 8;

/// Where a row begins, in steps.
#[derive(Debug, Clone, Copy)]
struct Place(u32);

impl Place {
    /// `None` beyond 32 GiB of text.
    fn of(byte: usize) -> Option<Self> {
        u32::try_from(byte / STEP).ok().map(Self)
    }

    fn byte(self) -> usize {
        // What has no place in memory is not there.
        usize::try_from(self.0).unwrap_or(usize::MAX).saturating_mul(STEP)
    }
}

/// Rows that are being taken in.
#[derive(Debug)]
pub(super) struct Rows {
    text: String,
    /// The place of the resource ARN among the values.
    key: usize,
    hasher: RandomState,
    /// Hashes of the resources, and where their rows begin.
    found: Vec<(u64, Place)>,
    /// The row that is being taken in: where it begins, and its resource.
    begun: usize,
    hash: u64,
}

/// How many rows are for a resource that an earlier one is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Doubled {
    pub(super) count: usize,
    /// Those of them with other values.
    pub(super) contradicting: usize,
}

impl Rows {
    pub(super) fn new(key: usize) -> Self {
        Self {
            text: String::new(),
            key,
            hasher: RandomState::new(),
            found: Vec::new(),
            begun: 0,
            hash: 0,
        }
    }

    /// Adds a value to the row.
    pub(super) fn push(&mut self, value: &str) {
        self.text.push_str(value);
        self.text.push('\0');
    }

    /// Adds the resource ARN to the row.
    pub(super) fn push_arn(&mut self, arn: &str) {
        self.hash = self.hasher.hash_one(arn);
        self.push(arn);
    }

    /// Ends the row and keeps it; `false` if there are more rows than can be kept.
    #[must_use]
    pub(super) fn keep(&mut self) -> bool {
        let Some(place) = Place::of(self.begun) else {
            return false;
        };
        self.found.push((self.hash, place));
        while !self.text.len().is_multiple_of(STEP) {
            self.text.push('\0');
        }
        self.begun = self.text.len();
        true
    }

    /// Ends the row and forgets it.
    pub(super) fn forget(&mut self) {
        self.text.truncate(self.begun);
    }

    /// Makes the rows ready to be looked up. The last one of a resource counts; the text of earlier
    /// ones stays, out of reach. They have so many values each.
    ///
    /// This is done at the end, when their number is known: an index that grows has to move what is
    /// in it, and needs the memory twice.
    pub(super) fn index(self, values: usize) -> (Index, Doubled) {
        let mut doubled = Doubled::default();
        let mut places = HashTable::with_capacity(self.found.len());
        let row = |at: Place| self.text.get(at.byte()..).unwrap_or_default();
        let name = |at| value(row(at), self.key);
        // It has room for all, so that this is never asked for.
        let rehash = |&at: &Place| self.hasher.hash_one(name(at));
        for &(hash, at) in &self.found {
            match places.entry(hash, |&earlier| name(earlier) == name(at), rehash) {
                Entry::Vacant(place) => {
                    place.insert(at);
                }
                Entry::Occupied(mut place) => {
                    let all = |at| row(at).split('\0').take(values);
                    doubled.count += 1;
                    doubled.contradicting += usize::from(!all(*place.get()).eq(all(at)));
                    *place.get_mut() = at;
                }
            }
        }
        let index = Index {
            text: self.text,
            key: self.key,
            hasher: self.hasher,
            places,
        };
        (index, doubled)
    }
}

/// Rows that can be looked up.
#[derive(Debug, Default)]
pub(super) struct Index {
    text: String,
    key: usize,
    hasher: RandomState,
    /// Where rows begin.
    places: HashTable<Place>,
}

impl Index {
    /// The row of each of these resources, and all text behind it.
    ///
    /// All hashes come first, then the places where the rows are likely to be, then the rows: no step waits for
    /// the same step of another resource, so that a processor fetches several of them from memory at a time. One
    /// resource after the other takes twice as long.
    pub(super) fn find_all<'a>(&self, arns: impl Iterator<Item = &'a str> + Clone) -> Vec<Option<&str>> {
        let hashes: Vec<u64> = arns.clone().map(|arn| self.hasher.hash_one(arn)).collect();
        // Of several rows with the same few bits of a hash the first: hardly ever another one.
        let first = |&hash: &u64| self.places.find(hash, |_| true).copied();
        let likely: Vec<Option<Place>> = hashes.iter().map(first).collect();
        let found = arns.zip(hashes).zip(likely).map(|((arn, hash), likely)| {
            let row = self.row_if(likely?, arn);
            row.or_else(|| self.find(arn, hash))
        });
        found.collect()
    }

    fn find(&self, arn: &str, hash: u64) -> Option<&str> {
        let at = self.places.find(hash, |&at| self.row_if(at, arn).is_some())?;
        Some(self.row(*at))
    }

    fn row(&self, at: Place) -> &str {
        self.text.get(at.byte()..).unwrap_or_default()
    }

    /// The row at a place, if it is this resource's.
    fn row_if(&self, at: Place, arn: &str) -> Option<&str> {
        let row = self.row(at);
        let name = skip(row, self.key).as_bytes();
        let is_it = name.starts_with(arn.as_bytes())
            && name.get(arn.len()) == Some(&0)
            // With one in it, it might look like two values.
            && memchr(0, arn.as_bytes()).is_none();
        is_it.then_some(row)
    }

    /// Number of resources.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

/// A value of a row.
pub(super) fn value(row: &str, place: usize) -> &str {
    let rest = skip(row, place);
    let end = memchr(0, rest.as_bytes());
    end.and_then(|end| rest.get(..end)).unwrap_or_default()
}

/// A row without so many values at its beginning.
fn skip(row: &str, values: usize) -> &str {
    let mut rest = row;
    for _ in 0..values {
        let end = memchr(0, rest.as_bytes());
        rest = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
    }
    rest
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_arn_is_found_as_a_whole_or_not_at_all() {
        let mut rows = Rows::new(0);
        for arn in ["a", "ab", "b"] {
            rows.push_arn(arn);
            rows.push("c");
            assert!(rows.keep());
        }
        let (index, _) = rows.index(2);
        let there = ["a", "ab", "b"];
        let absent = ["", "c", "abc", "a\0", "a\0c", "a\0c\0", "a\0c\0ab"];
        let found = index.find_all(there.into_iter().chain(absent));
        let names = found.iter().map(|row| row.map(|row| value(row, 0)));
        let wanted = there.map(Some).into_iter().chain(absent.map(|_| None));
        assert_eq!(names.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    }

    #[test]
    fn places_reach_as_far_as_they_are_said_to() {
        for byte in [0, 8, 34_359_738_360] {
            assert_eq!(Place::of(byte).map(Place::byte), Some(byte));
        }
        assert!(Place::of(34_359_738_368).is_none(), "32 GiB");
    }

    proptest! {
        #[test]
        fn rows_are_found_as_in_a_map(
            rows in prop::collection::vec((prop::array::uniform3("[ab:ä]{0,2}"), any::<bool>()), 0..40),
            key in 0..3_usize,
        ) {
            let mut taken = Rows::new(key);
            let mut map: HashMap<&str, &[String; 3]> = HashMap::new();
            let mut wanted = Doubled::default();
            for (row, keep) in &rows {
                for (place, value) in row.iter().enumerate() {
                    if place == key { taken.push_arn(value) } else { taken.push(value) }
                }
                if !keep {
                    taken.forget();
                    continue;
                }
                prop_assert!(taken.keep());
                if let Some(earlier) = map.insert(&row[key], row) {
                    wanted.count += 1;
                    wanted.contradicting += usize::from(earlier != row);
                }
            }
            let (index, doubled) = taken.index(3);
            prop_assert_eq!((index.len(), doubled), (map.len(), wanted));
            let all = index.find_all(rows.iter().map(|(row, _)| row[key].as_str()));
            prop_assert_eq!(all.len(), rows.len());
            for ((row, _), found) in rows.iter().zip(all) {
                let found = found.map(|found| [0, 1, 2].map(|place| value(found, place)));
                let wanted = map.get(row[key].as_str()).map(|row| row.each_ref().map(String::as_str));
                prop_assert_eq!(found, wanted);
            }
        }
    }
}
