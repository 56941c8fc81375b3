//! State files as they lie on disk: those of released versions, cut off, and damaged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::naive_bytecount,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_in_result,
    reason = "a test may fail"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use common::processes::ended;
use common::server::SimServer;
use common::{ACCOUNTS, json};
use serde_json::Value;
use shuffle_aws_vaults::state::{self, Loaded, StateError, journal_path};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/v1")
        .join(name)
}

/// A copy of a golden state that may be damaged.
fn copied(name: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.json");
    std::fs::copy(golden(name), &path).unwrap();
    std::fs::copy(journal_path(&golden(name)), journal_path(&path)).unwrap();
    (directory, path)
}

/// Every item as JSON, by recovery point.
fn items(loaded: &Loaded) -> BTreeMap<String, Value> {
    loaded
        .items
        .iter()
        .map(|item| {
            (
                item.recovery_point_arn.to_string(),
                serde_json::to_value(item).unwrap(),
            )
        })
        .collect()
}

#[test]
fn states_of_every_version_load_for_ever() {
    for (name, count, notes) in [("killed.json", 20, 0), ("every-event.json", 8, 1)] {
        let loaded = state::load(&golden(name)).unwrap();
        let expected = golden(&name.replace(".json", ".expected.json"));
        let found = items(&loaded);
        if std::env::var_os("WRITE_EXPECTED").is_some() {
            std::fs::write(&expected, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
        }
        assert_eq!(found.len(), count, "{name}");
        assert_eq!(serde_json::to_value(&found).unwrap(), json(&expected), "{name}");
        assert_eq!(loaded.notes.len(), notes, "{:?}", loaded.notes);
        assert!(!loaded.finished);
        assert_eq!(loaded.header.source_account.as_str(), "123456789012");
    }
}

#[test]
fn records_are_called_in_messages_what_they_are_called_in_the_journal() {
    let text = std::fs::read_to_string(journal_path(&golden("every-event.json"))).unwrap();
    let decoded = state::decode(text.as_bytes()).unwrap();
    let mut names = BTreeSet::new();
    for (line, text) in decoded.lines.iter().zip(text.lines()) {
        let name = line.record.name();
        assert!(text.contains(&format!("\"event\":\"{name}\"")), "{text}");
        names.insert(name);
    }
    assert!(names.len() >= 8, "{names:?}");
}

#[test]
fn a_state_of_before_is_planned_on_from() {
    let server = SimServer::start("--vault v1=12 --resources 12 --types EFS,S3,DynamoDB,EBS");
    for (name, left) in [("killed.json", 2), ("every-event.json", 3)] {
        let (directory, path) = copied(name);
        let before = std::fs::read(&path).unwrap();
        let done = ended(&mut server.command(
            directory.path(),
            &format!(
                "copy {ACCOUNTS} --vault v1 --state-file s.json --resume --dry-run --output json --no-reconcile"
            ),
        ));
        assert_eq!(done.code, 0, "{}", done.stderr);
        let plan: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(plan["vaults"][0]["to_copy"], left, "{plan}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "a dry run changes nothing");
        assert!(!directory.path().join("s.json.lock").exists());
    }
}

#[test]
fn a_journal_cut_off_anywhere_loads_up_to_its_last_whole_line() {
    let (_directory, path) = copied("killed.json");
    let whole = std::fs::read(journal_path(&path)).unwrap();
    let mut states = vec![];
    for length in 0..=whole.len() {
        let cut = &whole[..length];
        std::fs::write(journal_path(&path), cut).unwrap();
        let loaded = state::load(&path).unwrap_or_else(|error| panic!("{length}: {error}"));
        let torn = length - cut.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if torn == 0 {
            assert_eq!(loaded.notes, [""; 0], "{length}");
            states.push(items(&loaded));
        } else {
            let note = format!("s.json.journal was cut off by a crash: {torn} bytes were dropped");
            assert!(loaded.notes[0].ends_with(&note), "{:?}", loaded.notes);
            assert_eq!(states.last(), Some(&items(&loaded)), "{length}");
        }
    }
    states.dedup();
    let lines = String::from_utf8(whole).unwrap().lines().count();
    assert_eq!(states.len(), lines + 1, "each line changes something");
}

/// The damaged file was refused by name, and is as it was.
fn assert_refused(path: &Path, damaged: &Path, text: &[u8], what: &str) -> StateError {
    let error = state::load(path).map(|_| what).unwrap_err();
    assert!(
        error.to_string().contains(&damaged.display().to_string()),
        "{what}: {error}"
    );
    assert!(error.hint().is_some(), "{what}: {error}");
    assert_eq!(std::fs::read(damaged).unwrap(), text, "{what}");
    error
}

#[test]
fn flipped_bits_of_a_document_are_caught_or_do_no_harm() {
    let (_directory, path) = copied("killed.json");
    std::fs::remove_file(journal_path(&path)).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let good = items(&state::load(&path).unwrap());
    let mut harmless = 0;
    for place in (0..whole.len()).step_by(3) {
        let mut text = whole.clone();
        text[place] ^= 1 << (place % 8);
        std::fs::write(&path, &text).unwrap();
        let what = format!("byte {place}");
        if let Ok(loaded) = state::load(&path) {
            // Only in the checksum's own name or the case of its digits.
            assert_eq!(items(&loaded), good, "{what}");
            harmless += 1;
        } else {
            assert_refused(&path, &path, &text, &what);
        }
    }
    assert!(harmless < 10, "{harmless}");
}

#[test]
fn flipped_bits_of_a_journal_are_caught_with_line_and_byte() {
    let (_directory, path) = copied("killed.json");
    let journal = journal_path(&path);
    let whole = std::fs::read(&journal).unwrap();
    let good = items(&state::load(&path).unwrap());
    let last_line = whole[..whole.len() - 1]
        .iter()
        .rposition(|b| *b == b'\n')
        .unwrap()
        + 1;
    for place in 0..whole.len() {
        let mut text = whole.clone();
        text[place] ^= 1 << (place % 7);
        std::fs::write(&journal, &text).unwrap();
        let what = format!("byte {place}");
        match state::load(&path) {
            // The case of a checksum's digits.
            Ok(loaded) if loaded.notes.is_empty() => assert_eq!(items(&loaded), good, "{what}"),
            // The last newline: the line cannot be told from one that was being written.
            Ok(loaded) => assert!(place == whole.len() - 1, "{what}: {:?}", loaded.notes),
            Err(_) => {
                let error = assert_refused(&path, &journal, &text, &what);
                let StateError::DamagedJournal { line, offset, .. } = error else {
                    panic!("{what}: {error}");
                };
                assert!(offset <= place, "{what}: {offset}");
                let lines_before = text[..offset].split(|b| *b == b'\n').count() - 1;
                assert_eq!(line, lines_before + 1, "{what}");
                assert!(place >= last_line || offset + 1 < last_line, "{what}");
            }
        }
    }
}

#[test]
fn a_damaged_state_is_neither_resumed_nor_written_over() {
    let server = SimServer::start("--vault v1=12 --resources 12 --types EFS,S3,DynamoDB,EBS");
    let flip = |path: &Path, place: usize| {
        let mut text = std::fs::read(path).unwrap();
        text[place] ^= 4;
        std::fs::write(path, &text).unwrap();
        text
    };
    for journal_too in [false, true] {
        let (directory, path) = copied("killed.json");
        let damaged = if journal_too {
            journal_path(&path)
        } else {
            path.clone()
        };
        let text = flip(&damaged, 700);
        for options in ["--resume", ""] {
            let done = ended(&mut server.command(
                directory.path(),
                &format!("copy {ACCOUNTS} --vault v1 --state-file s.json {options}"),
            ));
            assert_eq!(done.code, 1, "{}", done.stderr);
            assert!(
                done.stderr.contains(if journal_too {
                    "s.json.journal is damaged at line"
                } else {
                    "s.json"
                }),
                "{}",
                done.stderr
            );
            assert!(done.stderr.contains("Help: "), "{}", done.stderr);
            assert_eq!(std::fs::read(&damaged).unwrap(), text);
        }
        assert_eq!(server.ledger()["calls"]["StartCopyJob"], Value::Null);
    }
}
