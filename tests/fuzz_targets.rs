//! Every fuzz target with its corpus and with mutations of it, always the same ones: the short form of
//! `tests/fuzz/run.sh`, which needs no nightly compiler and no build of its own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_in_result,
    reason = "a test may fail"
)]

#[path = "fuzz/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Mutated inputs for each target; the environment may ask for more.
const MUTATIONS: usize = 3000;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    let all: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(!all.is_empty(), "{name} has no corpus");
    all
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut SmallRng) {
    const TELLING: &[u8] = b"\0\n\r\"',:;{}[]/\\ \t%-=0919aZ\x1b\x7f\xff\xfe\xef\xc3";
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        let length = random.random_range(0..=(bytes.len() - at).min(40));
        match random.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = *TELLING.choose(random).unwrap(),
            2 => bytes.insert(at, *TELLING.choose(random).unwrap()),
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let part = bytes[at..at + length].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let other = corpus.choose(random).unwrap();
                let from = random.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
}

fn run(name: &str, share: usize) {
    let (_, target) = targets::ALL.into_iter().find(|(n, _)| *n == name).unwrap();
    let corpus = corpus(name);
    let held = |bytes: &[u8]| {
        let outcome = catch_unwind(AssertUnwindSafe(|| target(bytes)));
        assert!(outcome.is_ok(), "{name} fails on \"{}\"", bytes.escape_ascii());
    };
    for bytes in &corpus {
        held(bytes);
    }
    let wanted = std::env::var("FUZZ_MUTATIONS").ok().and_then(|n| n.parse().ok());
    let mut random = SmallRng::seed_from_u64(1);
    for _ in 0..wanted.unwrap_or(MUTATIONS) / share {
        let mut bytes = corpus.choose(&mut random).unwrap().clone();
        mutate(&mut bytes, &corpus, &mut random);
        held(&bytes);
    }
}

#[test]
fn any_journal_is_read_or_refused() {
    run("journal", 1);
}

#[test]
fn any_state_file_is_read_or_refused() {
    run("state", 1);
}

#[test]
fn any_metadata_file_is_read_or_refused() {
    run("csv", 1);
}

#[test]
fn any_text_is_an_identifier_or_refused() {
    run("arn", 1);
}

#[test]
fn any_command_line_is_understood_or_refused() {
    run("command_line", 4);
}

#[test]
fn any_request_leaves_the_simulator_whole() {
    run("simulator", 8);
}

#[test]
fn any_run_cut_off_anywhere_is_resumed_where_it_was() {
    run("resume", 1);
}
