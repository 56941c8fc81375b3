//! Points that failed: listed from state files, tried again by their cause, and as a list of points.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_in_result,
    reason = "a test may fail"
)]

mod common;

use std::collections::BTreeSet;

use common::{ACCOUNTS, Rig, json};
use serde_json::Value;

const CAUSES: [(&str, &str); 2] = [
    ("Insufficient privileges to perform this action.", "role"),
    ("The option group og-1 was not found", "option_group"),
];

/// A simulator in which copy jobs fail of both causes in turn.
fn rig(points: u32) -> Rig {
    let mut rig = Rig::new(&format!(
        "--vault v1={points} --resources {points} --types EFS,DynamoDB --job-seconds 0.05 --fail-share 1"
    ));
    for (message, _) in CAUSES {
        rig.sim.extend(["--fail-message", message].map(str::to_owned));
    }
    rig
}

fn copy(more: &str) -> String {
    format!(
        "shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.1 --no-circuit-breaker --state-file s.json {more}"
    )
}

fn listed(rig: &Rig, arguments: &str) -> (i32, String, String) {
    let done = rig.run(&format!("shuffle-aws-vaults failures {arguments}"));
    (done.code, done.stdout, done.stderr)
}

fn of_cause<'a>(points: &'a [Value], cause: &str) -> BTreeSet<&'a str> {
    let of_it = points.iter().filter(|point| point["cause"] == cause);
    of_it
        .map(|point| point["recovery_point_arn"].as_str().unwrap())
        .collect()
}

#[test]
fn failures_are_listed_by_cause_in_every_form() {
    let rig = rig(30);
    let done = rig.run(&copy("--failed-out failed.txt"));
    assert_eq!(done.code, 1, "{}", done.stderr);

    let (code, text, _) = listed(&rig, "s.json --output json");
    assert_eq!(code, 0);
    let points: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(points.len(), 30);
    for (message, cause) in CAUSES {
        let of_it = of_cause(&points, cause);
        assert!(!of_it.is_empty(), "{cause}: {text}");
        let (_, shown, _) = listed(&rig, "s.json");
        assert!(
            shown.contains(&format!("{} failed: {message} ({cause})\n  Help: ", of_it.len())),
            "{shown}"
        );
        let (_, lines, _) = listed(&rig, &format!("s.json --output ndjson --cause {cause}"));
        let lines: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(of_cause(&lines, cause), of_it);
        assert_eq!(lines.len(), of_it.len());
    }
    let (_, both, _) = listed(&rig, "s.json --output csv --cause role,option_group");
    let mut rows = csv::Reader::from_reader(both.as_bytes());
    let messages: BTreeSet<String> = rows.records().map(|row| row.unwrap()[7].to_owned()).collect();
    assert_eq!(messages, CAUSES.map(|(message, _)| message.to_owned()).into());

    // The list has the same points, and nothing else but comments.
    let list = std::fs::read_to_string(rig.path("failed.txt")).unwrap();
    let arns: BTreeSet<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let all = points
        .iter()
        .map(|point| point["recovery_point_arn"].as_str().unwrap());
    assert_eq!(arns, all.collect());
    assert!(list.contains(" failed: Insufficient privileges"), "{list}");
}

#[test]
fn what_failed_is_tried_again_by_its_cause() {
    let rig = rig(30);
    let done = rig.run(&format!(
        "{}; shuffle-aws-vaults failures s.json --output json",
        copy("")
    ));
    let points: Vec<Value> = serde_json::from_str(&done.stdout).unwrap();
    let [roles, groups] = CAUSES.map(|(_, cause)| of_cause(&points, cause).len());
    assert!(roles > 0 && groups > 0, "{}", done.stdout);

    // In a world without failures, those that are tried again are copied.
    let mended = |more: &str| {
        let options = "--vault v1=30 --resources 30 --types EFS,DynamoDB --job-seconds 0.05";
        let again = Rig::new(options);
        std::fs::copy(rig.path("s.json"), again.path("s.json")).unwrap();
        let done = again.run(&copy(more));
        let summary = json(&again.path("sum.json"));
        (done, summary["completed"].as_u64().unwrap(), again)
    };
    let count = |n: usize| u64::try_from(n).unwrap();
    for (more, wanted) in [
        ("--retry-failed=role", roles),
        ("--retry-failed=option_group,role", 30),
        ("--retry-failed=option_group --retry-failed=role", 30),
        ("--retry-failed=gone", 0),
        ("--retry-failed=all", 30),
        ("--retry-failed", 30),
        ("", 0),
    ] {
        let (done, completed, again) = mended(&format!(
            "--resume --summary-output sum.json --failed-out f.txt {more}"
        ));
        assert_eq!(completed, count(wanted), "{more}: {}", done.stderr);
        done.assert_copied_once(count(wanted));
        assert_eq!(done.code, i32::from(wanted < 30), "{more}: {}", done.stderr);
        let list = std::fs::read_to_string(again.path("f.txt")).unwrap();
        let left = list.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(left, 30 - wanted, "{more}");
        assert_eq!(list.is_empty(), wanted == 30, "{more}: {list}");
    }
}

#[test]
fn a_cause_that_there_is_not_is_an_error_that_lists_those_there_are() {
    let rig = Rig::new("--vault v1=2 --job-seconds 0.05");
    for command in [
        copy("--resume --retry-failed=rolle"),
        "shuffle-aws-vaults failures s.json --cause rolle".to_owned(),
    ] {
        let done = rig.run(&command);
        assert_eq!(done.code, 1, "{}", done.stderr);
        for text in [
            "rolle",
            "vault_policy",
            "option_group",
            "a similar value exists: 'role'",
        ] {
            assert!(done.stderr.contains(text), "{text}: {}", done.stderr);
        }
    }
    let done = rig.run(&copy("--retry-failed=role"));
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("--resume"), "{}", done.stderr);
}

#[test]
fn a_list_that_cannot_be_written_is_told_of_and_an_old_one_stays() {
    let rig = rig(4);
    std::fs::create_dir(rig.path("d")).unwrap();
    let done = rig.run(&copy("--failed-out d"));
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("cannot write d: "), "{}", done.stderr);
    // One that a run without failures leaves is empty, whatever was there.
    let good = Rig::new("--vault v1=2 --job-seconds 0.05");
    good.write("failed.txt", "arn:old\n");
    let done = good.run(&copy("--failed-out failed.txt"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(std::fs::read_to_string(good.path("failed.txt")).unwrap(), "");
}

#[test]
fn state_files_that_cannot_be_read_are_named_and_the_others_listed() {
    let rig = rig(4);
    rig.write("rubbish.json", "{");
    let done = rig.run(&copy(""));
    assert_eq!(done.code, 1);
    let (code, text, said) = listed(&rig, "nothing.json s.json rubbish.json --output json");
    assert_eq!(code, 1);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&text).unwrap().len(), 4);
    for wanted in ["there is no state file nothing.json", "rubbish.json, line 1"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let (code, text, _) = listed(&rig, "nothing.json rubbish.json");
    assert_eq!((code, text.as_str()), (1, ""), "that none failed is not known");
    let (code, text, _) = listed(&rig, "s.json s.json --output csv | head -1");
    assert_eq!((code, text.lines().count()), (0, 1));
}
