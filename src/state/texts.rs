//! Texts of a million items in little memory: one place for all of them, and what they begin with,
//! which ARNs of one account and Region have in common, only once.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Bytes of a block. Full blocks never change, so that a copy of the texts shares them.
const BLOCK: usize = 1 << 20;

/// Where an entry is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    block: u32,
    start: u32,
}

/// All texts, in entries of one or more. They are only ever added.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    full: Vec<Arc<Vec<u8>>>,
    open: Vec<u8>,
    beginnings: Vec<Arc<str>>,
    beginning_index: HashTable<u32>,
    /// The beginnings of late.
    latest: [u32; 4],
    hasher: RandomState,
}

impl Texts {
    /// Keeps an entry: some bytes, and texts. Answers nothing where its place has no number any more,
    /// which is after some thousand terabytes.
    pub(super) fn add(&mut self, head: &[&[u8]], texts: &[&str]) -> Option<Place> {
        // Two numbers of five bytes at most stand before each text.
        let place = self.begin(
            head,
            texts.iter().map(|text| text.len()).sum::<usize>() + 10 * texts.len(),
        )?;
        for text in texts {
            let (beginning, rest) = cut(text);
            let beginning = self.beginning(beginning)?;
            self.put(beginning, rest.as_bytes())?;
        }
        Some(place)
    }

    /// Makes room for an entry of so many bytes after its head.
    fn begin(&mut self, head: &[&[u8]], length: usize) -> Option<Place> {
        let most: usize = head.iter().map(|bytes| bytes.len()).sum::<usize>() + length;
        if !self.open.is_empty() && self.open.len() + most > BLOCK {
            self.close_block();
        }
        if self.open.capacity() == 0 {
            self.open.reserve_exact(BLOCK.max(most));
        }
        let place = Place {
            block: u32::try_from(self.full.len()).ok()?,
            start: u32::try_from(self.open.len()).ok()?,
        };
        for bytes in head {
            self.open.extend_from_slice(bytes);
        }
        Some(place)
    }

    fn put(&mut self, beginning: u32, rest: &[u8]) -> Option<()> {
        put_number(beginning, &mut self.open);
        put_number(u32::try_from(rest.len()).ok()?, &mut self.open);
        self.open.extend_from_slice(rest);
        Some(())
    }

    /// The entry that was kept there.
    pub(super) fn entry(&self, place: Place) -> Reading<'_> {
        let full = usize::try_from(place.block).ok().and_then(|at| self.full.get(at));
        let block = full.map_or(&self.open, |block| &**block);
        let start = usize::try_from(place.start).unwrap_or(usize::MAX);
        Reading {
            texts: self,
            rest: block.get(start..).unwrap_or_default(),
        }
    }

    /// Ends the block that is being filled, so that copies share it.
    pub(super) fn close_block(&mut self) {
        if !self.open.is_empty() {
            let mut block = std::mem::take(&mut self.open);
            block.shrink_to_fit();
            self.full.push(Arc::new(block));
        }
    }

    /// The number of a beginning, which is kept if it is new.
    fn beginning(&mut self, text: &str) -> Option<u32> {
        // Those of a point, its resource, its job and its copy take turns.
        let is_latest = |number: &&u32| self.beginning_of(**number) == Some(text);
        if let Some(number) = self.latest.iter().find(is_latest) {
            return Some(*number);
        }
        let number = match self.known_beginning(text) {
            Some(number) => number,
            None => self.keep_beginning(text)?,
        };
        self.latest.rotate_right(1);
        if let Some(latest) = self.latest.first_mut() {
            *latest = number;
        }
        Some(number)
    }

    fn beginning_of(&self, number: u32) -> Option<&str> {
        let beginning = self.beginnings.get(usize::try_from(number).ok()?)?;
        Some(beginning)
    }

    fn known_beginning(&self, text: &str) -> Option<u32> {
        let same = |number: &u32| self.beginning_of(*number) == Some(text);
        self.beginning_index
            .find(self.hasher.hash_one(text), same)
            .copied()
    }

    fn keep_beginning(&mut self, text: &str) -> Option<u32> {
        let number = u32::try_from(self.beginnings.len()).ok()?;
        self.beginnings.push(text.into());
        let (beginnings, hasher) = (&self.beginnings, &self.hasher);
        let hash_of = |number: &u32| {
            let text = usize::try_from(*number).ok().and_then(|at| beginnings.get(at));
            hasher.hash_one(text.map_or("", |text| &**text))
        };
        self.beginning_index
            .insert_unique(hasher.hash_one(text), number, hash_of);
        Some(number)
    }
}

/// Reads an entry, in the order in which it was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    texts: &'a Texts,
    rest: &'a [u8],
}

impl<'a> Reading<'a> {
    /// The next bytes.
    pub(super) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    /// The next text: the number of its beginning, and the rest.
    fn parts(&mut self) -> Option<(u32, &'a [u8])> {
        let beginning = take_number(&mut self.rest)?;
        let length = usize::try_from(take_number(&mut self.rest)?).ok()?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some((beginning, text))
    }

    /// The next text.
    pub(super) fn text(&mut self) -> Option<String> {
        let (beginning, rest) = self.parts()?;
        let rest = std::str::from_utf8(rest).ok()?;
        Some([self.texts.beginning_of(beginning)?, rest].concat())
    }
}

/// Seven bits a byte, the lowest first; all but the last have the eighth bit.
fn put_number(mut number: u32, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = (number & 0x7f).to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn take_number(bytes: &mut &[u8]) -> Option<u32> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
        shift += 7;
    }
}

/// What a text begins with, up to its last separator: of an ARN that is all but the resource's own id.
fn cut(text: &str) -> (&str, &str) {
    let end = memchr::memrchr2(b':', b'/', text.as_bytes()).map_or(0, |at| at + 1);
    text.split_at_checked(end).unwrap_or(("", text))
}

/// Distinct texts by number, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    places: Vec<Place>,
    /// Each number beside the hash of its text: without it a table that grows would have to look at every
    /// text again, wherever in memory it is.
    index: HashTable<(u32, Hash)>,
    hasher: RandomState,
}

/// The half of a hash that is kept. Tables go by both ends of a hash, so that it is spread again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hash(u32);

impl Hash {
    fn of(hasher: &RandomState, text: (u32, &[u8])) -> Self {
        let [a, b, c, d, ..] = hasher.hash_one(text).to_ne_bytes();
        Self(u32::from_ne_bytes([a, b, c, d]))
    }

    fn spread(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl Names {
    /// The text of this number.
    pub(super) fn text(&self, texts: &Texts, number: u32) -> Option<String> {
        texts.entry(place(&self.places, number)?).text()
    }

    /// The number of a text.
    pub(super) fn find(&self, texts: &Texts, text: &str) -> Option<u32> {
        let (beginning, rest) = cut(text);
        let wanted = (texts.known_beginning(beginning)?, rest.as_bytes());
        let hash = Hash::of(&self.hasher, wanted);
        let same =
            |(number, of): &(u32, Hash)| *of == hash && parts(texts, &self.places, *number) == Some(wanted);
        self.index.find(hash.spread(), same).map(|(number, _)| *number)
    }

    /// The number of a text, which is kept if it is new.
    pub(super) fn number(&mut self, texts: &mut Texts, text: &str) -> Option<(u32, Found)> {
        let (beginning, rest) = cut(text);
        let (beginning, rest) = (texts.beginning(beginning)?, rest.as_bytes());
        let wanted = (beginning, rest);
        let (places, hash) = (&mut self.places, Hash::of(&self.hasher, wanted));
        let same = |(number, of): &(u32, Hash)| *of == hash && parts(texts, places, *number) == Some(wanted);
        match self.index.entry(hash.spread(), same, |(_, hash)| hash.spread()) {
            Entry::Occupied(known) => Some((known.get().0, Found::Known)),
            Entry::Vacant(free) => {
                let number = u32::try_from(places.len()).ok()?;
                free.insert((number, hash));
                places.push(texts.begin(&[], rest.len() + 10)?);
                texts.put(beginning, rest)?;
                Some((number, Found::New))
            }
        }
    }

    /// The same texts without the means to find them: for a copy that is only written down.
    pub(super) fn without_index(&self) -> Self {
        Self {
            places: self.places.clone(),
            ..Self::default()
        }
    }
}

/// Whether a text was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Known,
    New,
}

fn parts<'a>(texts: &'a Texts, places: &[Place], number: u32) -> Option<(u32, &'a [u8])> {
    texts.entry(place(places, number)?).parts()
}

fn place(places: &[Place], number: u32) -> Option<Place> {
    places.get(usize::try_from(number).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn add(texts: &mut Texts, text: &str) -> Place {
        texts.add(&[], &[text]).unwrap()
    }

    #[test]
    fn a_copy_shares_what_is_closed_and_stays_as_it_was() {
        let mut texts = Texts::default();
        let first = add(&mut texts, "arn:aws:ec2:r::snapshot/snap-1");
        texts.close_block();
        let copy = texts.clone();
        let second = add(&mut texts, "arn:aws:ec2:r::snapshot/snap-2");
        for (texts, place, text) in [
            (&texts, second, "snap-2"),
            (&texts, first, "snap-1"),
            (&copy, first, "snap-1"),
        ] {
            assert_eq!(
                texts.entry(place).text(),
                Some(format!("arn:aws:ec2:r::snapshot/{text}"))
            );
        }
        assert!(Arc::ptr_eq(&copy.full[0], &texts.full[0]));
        assert_eq!(texts.beginnings.len(), 1);
    }

    #[test]
    fn an_entry_is_read_as_it_was_made_whatever_its_length() {
        let mut texts = Texts::default();
        let long = "a:".to_owned() + &"x".repeat(BLOCK + 7);
        let entries: [&[&str]; 4] = [&["", "b/c"], &[&long, "d"], &[], &["\u{e9}"]];
        let places: Vec<Place> = entries
            .iter()
            .map(|texts_of| texts.add(&[&[7], &[9]], texts_of).unwrap())
            .collect();
        for (place, wanted) in places.into_iter().zip(entries) {
            let mut entry = texts.entry(place);
            assert_eq!(entry.bytes(), Some([7, 9]));
            for text in wanted {
                assert!(entry.text().as_deref() == Some(text));
            }
        }
        assert_eq!(
            texts.full.len(),
            2,
            "a block for what came before, and one for the long one alone"
        );
    }

    #[test]
    fn a_block_is_full_only_when_an_entry_may_not_fit() {
        let text = "r:abc";
        for (less, blocks) in [(0, 0), (1, 1)] {
            // Two texts, and one of those by number: each with room for its two numbers.
            let filled = |length: usize| {
                let mut texts = Texts::default();
                let head = vec![0; BLOCK + less - length];
                texts.add(&[&head], &[]).unwrap();
                assert_eq!((texts.open.capacity(), texts.full.len()), (BLOCK, 0));
                texts
            };
            let mut texts = filled(2 + 2 * (text.len() + 10));
            texts.add(&[&[1, 2]], &[text, text]).unwrap();
            assert_eq!(texts.full.len(), blocks);
            let mut texts = filled("abc".len() + 10);
            Names::default().number(&mut texts, text).unwrap();
            assert_eq!(texts.full.len(), blocks);
            for _ in 0..2 {
                texts.close_block();
                assert_eq!(texts.full.len(), blocks + 1, "an empty block is none");
            }
        }
    }

    #[test]
    fn a_text_is_cut_behind_its_last_separator() {
        for (beginning, rest) in [
            ("arn:a:b/", "c"),
            ("a/b:", "c"),
            ("a:", ""),
            (":", "a"),
            ("", "abc"),
            ("", ""),
        ] {
            assert_eq!(cut(&[beginning, rest].concat()), (beginning, rest));
        }
    }

    #[test]
    fn numbers_of_every_length_are_read_back() {
        for number in [0, 1, 127, 128, 16_383, 16_384, 1 << 28, u32::MAX] {
            let mut bytes = Vec::new();
            put_number(number, &mut bytes);
            let mut rest = bytes.as_slice();
            assert_eq!((take_number(&mut rest), rest.len()), (Some(number), 0));
        }
        assert_eq!(take_number(&mut [0xff; 6].as_slice()), None);
        assert_eq!(take_number(&mut [0x80].as_slice()), None);
    }

    /// Of so many texts some ten pairs have the same 32 bits of hash; each is found all the same.
    #[test]
    fn texts_of_one_hash_are_told_apart() {
        let (mut texts, mut names) = (Texts::default(), Names::default());
        for n in 0..300_000_u32 {
            let text = format!("{n}");
            assert_eq!(names.find(&texts, &text), None);
            assert_eq!(names.number(&mut texts, &text), Some((n, Found::New)));
        }
        for n in 0..300_000_u32 {
            assert_eq!(names.find(&texts, &format!("{n}")), Some(n));
        }
    }

    proptest! {
        #[test]
        fn what_was_added_is_found_by_its_text_and_by_its_number(words in prop::collection::vec("[a:/\u{e9}]{0,6}", 0..60)) {
            let (mut texts, mut names) = (Texts::default(), Names::default());
            let mut added: Vec<String> = Vec::new();
            for word in &words {
                let known = added.iter().position(|w| w == word).map(|at| u32::try_from(at).unwrap());
                prop_assert_eq!(names.find(&texts, word), known);
                if known.is_none() {
                    let (number, found) = names.number(&mut texts, word).unwrap();
                    prop_assert_eq!(found, Found::New);
                    prop_assert_eq!(usize::try_from(number).unwrap(), added.len());
                    added.push(word.clone());
                }
            }
            for (number, word) in (0u32..).zip(&added) {
                prop_assert_eq!(names.text(&texts, number), Some(word.clone()));
                prop_assert_eq!(names.find(&texts, word), Some(number));
                prop_assert_eq!(names.number(&mut texts, word), Some((number, Found::Known)));
            }
            prop_assert_eq!(names.places.len(), added.len());
        }
    }
}
