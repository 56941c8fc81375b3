//! Dies at the 1st, 2nd, 3rd, ... place where anything durable happens, and fails the 1st, 2nd,
//! 3rd, ... write, until a run is through; goes on after each, and looks at what AWS has been told.
//! Every run has a destination vault and a home of its own, so that one simulator serves all.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::unwrap_in_result,
    reason = "a test may fail"
)]
#![cfg(debug_assertions)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::processes::{Ended, ended};
use common::server::{SimServer, has_state, states};
use common::{ACCOUNTS, json, side_by_side};

/// Recovery points of the source vault.
const POINTS: usize = 3;
/// More places than any run passes: a loop that comes here does not end by itself.
const MOST: u64 = 400;
/// Runs side by side.
const AT_ONCE: u64 = 4;
/// How often one run is gone on with before it counts as stuck.
const MOST_RESUMES: usize = 6;

fn server(more: &str) -> SimServer {
    SimServer::start(&format!(
        "--vault v1={POINTS} --resources {POINTS} --per-resource 1000 --job-seconds 0.05-0.1 {more}"
    ))
}

fn copy(server: &SimServer, home: &Path, vault: &str, more: &str) -> Command {
    let resume = if has_state(home) { "--resume" } else { "" };
    let mut command = server.command(
        home,
        &format!("copy {ACCOUNTS} --vault v1 --dest-vault {vault} --poll-interval 0.05 {resume} {more}"),
    );
    command
        .env("SHUFFLE_AWS_VAULTS_LIST_GRACE", "0.3")
        .env("SHUFFLE_AWS_VAULTS_SUMMARY_OUTPUT", "s.json");
    command
}

/// Goes on until all is done, and checks that it is: everything once, and one whole document.
fn finish(server: &SimServer, home: &Path, vault: &str) {
    let mut told = String::new();
    for _ in 0..MOST_RESUMES {
        let done = ended(&mut copy(server, home, vault, ""));
        told.push_str(&done.stderr);
        match done.code {
            0 => {
                server.assert_copied_once(vault, POINTS, &told);
                assert_whole(home, &told);
                return;
            }
            // A start may stay in doubt: the operator is told to run it again, and does.
            2 => {}
            code => panic!("{vault}: exit {code}: {told}"),
        }
    }
    panic!("{vault} does not come to an end: {told}");
}

fn assert_whole(home: &Path, told: &str) {
    let all = states(home);
    assert_eq!(all.len(), 1, "one document, no journal, no lock: {all:?}\n{told}");
    let state = json(&all[0]);
    assert_eq!(state["finished"], true, "{told}");
    let items = state["items"].as_array().unwrap();
    assert_eq!(items.len(), POINTS);
    // `skipped` where a new run has found a copy that an earlier one made before it had a state.
    assert!(
        items
            .iter()
            .all(|i| i["status"] == "completed" || i["status"] == "skipped")
    );
}

fn home_of(homes: &Path, vault: &str) -> PathBuf {
    let home = homes.join(vault);
    std::fs::create_dir(&home).unwrap();
    home
}

/// Tries 1, 2, 3, ... until `strikes` answers that nothing struck any more; answers how many did.
fn each(strikes: impl Fn(u64) -> bool + Sync) -> u64 {
    let mut struck = 0;
    for first in (1..MOST).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let hits: Vec<bool> = std::thread::scope(|scope| {
            let strikes = &strikes;
            let runs: Vec<_> = (first..first + AT_ONCE)
                .map(|k| scope.spawn(move || strikes(k)))
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        struck += hits.iter().filter(|hit| **hit).count() as u64;
        if hits.contains(&false) {
            return struck;
        }
    }
    panic!("{MOST} places, and no end");
}

fn dies_at(server: &SimServer, home: &Path, vault: &str, at: &str) -> Option<Ended> {
    dies_in(server, home, vault, at, "")
}

fn dies_in(server: &SimServer, home: &Path, vault: &str, at: &str, more: &str) -> Option<Ended> {
    let done = ended(copy(server, home, vault, more).env("SHUFFLE_AWS_VAULTS_CRASH_AT", at));
    let struck = done.stderr.contains("struck");
    assert_eq!(struck, done.code == -1, "{at}: {}: {}", done.code, done.stderr);
    assert!(struck || [0, 2].contains(&done.code), "{}", done.stderr);
    struck.then_some(done)
}

/// Has the journal folded into the document after every few lines.
const FOLDS: &str = "--journal-limit 0.0002";

fn dies_everywhere(options: &str, more: &str) {
    let server = server(options);
    let homes = tempfile::tempdir().unwrap();
    let struck = each(|k| {
        let vault = format!("d-{k}");
        let home = home_of(homes.path(), &vault);
        let struck = dies_in(&server, &home, &vault, &k.to_string(), more).is_some();
        finish(&server, &home, &vault);
        struck
    });
    println!("{options} {more}: died at each of {struck} places");
    assert!(struck >= 25, "only {struck} places");
}

#[test]
fn dies_at_every_place() {
    dies_everywhere("", "");
}

#[test]
fn dies_at_every_place_while_answers_are_lost() {
    dies_everywhere("--lost-answer-share 0.3", "");
}

#[test]
fn dies_at_every_place_while_answers_are_lost_and_tokens_do_not_help() {
    dies_everywhere("--lost-answer-share 0.3 --no-token-replay", "");
}

#[test]
fn dies_at_every_place_while_the_journal_is_folded() {
    dies_everywhere("", FOLDS);
    dies_everywhere("--lost-answer-share 0.3", FOLDS);
}

#[test]
fn dies_again_and_again_in_one_home() {
    let server = server("--lost-answer-share 0.2");
    let homes = tempfile::tempdir().unwrap();
    // Each chain steps differently through the places of the processes that follow one another.
    side_by_side([1, 2, 3, 5], |step| {
        let vault = format!("d-{step}");
        let home = home_of(homes.path(), &vault);
        let mut deaths = 0;
        let mut k = 1;
        while k < MOST && dies_at(&server, &home, &vault, &k.to_string()).is_some() {
            deaths += 1;
            k += step;
        }
        finish(&server, &home, &vault);
        println!("step {step}: died {deaths} times");
        assert!(deaths >= 3, "only {deaths} deaths");
    });
}

#[test]
fn dies_while_a_stale_journal_lies_there() {
    let server = server("");
    let homes = tempfile::tempdir().unwrap();
    // The journal of a run into another vault, whose numbers begin at 1 as well.
    let donor = home_of(homes.path(), "donor");
    dies_at(&server, &donor, "donor", "journal synced:3").unwrap();
    let journal = states(&donor)
        .into_iter()
        .find(|p| p.to_string_lossy().ends_with(".journal"))
        .unwrap();
    let stale = std::fs::read(journal).unwrap();
    assert!(!stale.is_empty());
    let struck = each(|k| {
        let vault = format!("d-{k}");
        let home = home_of(homes.path(), &vault);
        std::fs::write(home.join("s.json.journal"), &stale).unwrap();
        let run = |more: &str| {
            server
                .command(
                    &home,
                    &format!(
                        "copy {ACCOUNTS} --vault v1 --dest-vault {vault} --poll-interval 0.05 --state-file s.json {more}"
                    ),
                )
                .env("SHUFFLE_AWS_VAULTS_LIST_GRACE", "0.3")
                .env("SHUFFLE_AWS_VAULTS_CRASH_AT", if more.is_empty() { k } else { MOST * 9 }.to_string())
                .output()
                .unwrap()
        };
        let died = run("").status.code().is_none();
        let begun = home.join("s.json").exists();
        let more = if begun { "--resume" } else { "--quiet" };
        let done = run(more);
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(0), "{k}: {told}");
        server.assert_copied_once(&vault, POINTS, &told);
        assert_eq!(
            std::fs::read(home.join("s.json.journal.bak")).unwrap(),
            stale,
            "kept: {told}"
        );
        died
    });
    println!("died at each of {struck} places");
    assert!(struck >= 25, "only {struck} places");
}

/// Points that the files on disk say were, or may have been, started.
fn intended(home: &Path) -> BTreeSet<String> {
    let mut points = BTreeSet::new();
    for path in states(home) {
        let text = std::fs::read_to_string(&path).unwrap();
        match path.extension().and_then(|e| e.to_str()) {
            Some("json") => {
                let state: serde_json::Value = serde_json::from_str(&text).unwrap();
                let items = state["items"].as_array().unwrap().clone();
                points.extend(
                    items
                        .iter()
                        .filter(|i| i["attempt"] != 0)
                        .map(|i| i["recovery_point_arn"].as_str().unwrap().to_owned()),
                );
            }
            Some("journal" | "old") => {
                let lines = text.lines().filter_map(|l| l.get(9..));
                let records = lines.filter_map(|json| serde_json::from_str::<serde_json::Value>(json).ok());
                points.extend(
                    records
                        .filter(|r| r["event"] == "start_intended")
                        .map(|r| r["recovery_point_arn"].as_str().unwrap().to_owned()),
                );
            }
            _ => {}
        }
    }
    points
}

/// Points of the file that is written when the state cannot be.
fn unsaved(home: &Path) -> Vec<serde_json::Value> {
    let names = std::fs::read_dir(home).unwrap().map(|e| e.unwrap().path());
    let mut files = names.filter(|p| p.to_string_lossy().contains("shuffle-aws-vaults-unsaved-"));
    let Some(path) = files.next() else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn fails_from(server: &SimServer, home: &Path, vault: &str, k: u64, more: &str) -> bool {
    let (kind, words) = [
        ("enospc", "No space left on device"),
        ("eio", "Input/output error"),
        ("erofs", "Read-only file system"),
    ][usize::try_from(k % 3).unwrap()];
    let done = ended(
        copy(server, home, vault, more)
            .env("SHUFFLE_AWS_VAULTS_FAIL_WRITE_AT", k.to_string())
            .env("SHUFFLE_AWS_VAULTS_FAIL_WRITE_KIND", kind),
    );
    let told = format!("{k} {kind}: exit {}: {}", done.code, done.stderr);
    if !done.stderr.contains("struck") {
        assert_eq!(done.code, 0, "{told}");
        return false;
    }
    let jobs = server.jobs_into(vault);
    if done.code == 0 {
        // All that was lost is that the lock's file could not be removed.
        assert!(done.stderr.contains("(remove) struck"), "{told}");
        server.assert_copied_once(vault, POINTS, &told);
        return true;
    }
    assert!([1, 2].contains(&done.code), "{told}");
    let named = done
        .stderr
        .lines()
        .any(|l| l.contains(words) && (l.contains(".shuffle-aws-vaults") || l.contains("s.json")));
    assert!(named, "no message names the file and the cause: {told}");
    // Fail closed: what was sent was on disk before.
    let intended = intended(home);
    for (point, states) in &jobs {
        assert!(
            intended.contains(point),
            "{point} was sent and is not on disk: {told}"
        );
        assert_eq!(states.len(), 1, "{told}");
    }
    let unsaved = unsaved(home);
    if done.stderr.contains("the state could not be saved") {
        assert_eq!(done.code, 2, "{told}");
        assert!(done.stderr.contains("--resume"), "{told}");
        for line in &unsaved {
            let point = line["recovery_point_arn"].as_str().unwrap();
            let arn = line["destination_backup_vault_arn"].as_str().unwrap();
            assert!(
                jobs.contains_key(point) || line["status"] == "starting",
                "{line} {told}"
            );
            assert!(arn.ends_with(&format!(":{vault}")), "{line}");
            assert!(
                line["copy_job_id"].is_string() || line["idempotency_token"].is_string(),
                "{line}"
            );
        }
        assert!(!unsaved.is_empty(), "{told}");
    }
    true
}

fn every_write_fails(more: &str) {
    let server = server("");
    let homes = tempfile::tempdir().unwrap();
    let struck = each(|k| {
        let vault = format!("d-{k}");
        let home = home_of(homes.path(), &vault);
        let struck = fails_from(&server, &home, &vault, k, more);
        finish(&server, &home, &vault);
        struck
    });
    println!("{more}: failed from each of {struck} writes on");
    assert!(struck >= 25, "only {struck} writes");
}

#[test]
fn every_write_fails_in_turn_and_nothing_is_sent_that_is_not_on_disk() {
    every_write_fails("");
}

#[test]
fn every_write_fails_in_turn_while_the_journal_is_folded() {
    every_write_fails(FOLDS);
}

#[test]
fn what_cannot_be_written_anywhere_is_shown() {
    let server = server("");
    let homes = tempfile::tempdir().unwrap();
    let home = home_of(homes.path(), "d-1");
    // The journal breaks after the first starts, which may all be in one write; neither the summary's directory nor the
    // temporary one is there.
    let done = ended(
        copy(&server, &home, "d-1", "")
            .env("SHUFFLE_AWS_VAULTS_SUMMARY_OUTPUT", "none/s.json")
            .env("TMPDIR", "/nonexistent")
            .env("SHUFFLE_AWS_VAULTS_FAIL_WRITE_AT", "journal write:2"),
    );
    assert_eq!(done.code, 2, "{}", done.stderr);
    let shown: Vec<serde_json::Value> = done
        .stderr
        .lines()
        .filter(|l| l.starts_with('{'))
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!(!shown.is_empty(), "{}", done.stderr);
    let jobs = server.jobs_into("d-1");
    for point in jobs.keys() {
        assert!(
            shown.iter().any(|l| l["recovery_point_arn"] == **point),
            "{point}: {}",
            done.stderr
        );
    }
    finish(&server, &home, "d-1");
}
