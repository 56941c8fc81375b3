//! `--events`: every point's story is in the stream, and whoever reads it cannot harm the run.

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

use std::collections::BTreeMap;

use common::{ACCOUNTS, Rig, json};
use serde_json::Value;

fn copy(more: &str) -> String {
    format!("shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.1 --yes {more}")
}

fn events(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

fn count(events: &[Value], name: &str) -> usize {
    events.iter().filter(|event| event["event"] == name).count()
}

#[test]
fn a_run_and_its_resume_are_one_story_in_which_every_point_ends() {
    let rig = Rig::new("--vault v1=40 --resources 40 --job-seconds 0.6-0.9 --fail-share 0.2 --random-seed 5");
    let begun = copy("--events e.ndjson --summary-output s.json --progress-interval 0.2");
    let done = rig.run(&format!(
        "set -m; {begun} & pid=$!; until_calls StartCopyJob 15; kill -INT $pid; wait $pid; echo $?
         printf '{{\"cut off' >> e.ndjson; sleep 1; {begun} --resume; echo $?"
    ));
    assert_eq!(done.stdout, "2\n1\n", "{}", done.stderr);
    let text = std::fs::read_to_string(rig.path("e.ndjson")).unwrap();
    let text: Vec<&str> = text.lines().filter(|line| *line != "{\"cut off").collect();
    let all = events(&text.join("\n"));
    let summary = json(&rig.path("s.json"));
    assert!(
        all.iter()
            .all(|event| event["schema_version"] == 1 && event["timestamp"].is_string())
    );
    let runs: std::collections::BTreeSet<&str> = all
        .iter()
        .filter(|event| {
            ["run_begun", "item_completed", "run_finished"]
                .iter()
                .any(|name| event["event"] == *name)
        })
        .map(|event| event["run_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        runs.into_iter().collect::<Vec<_>>(),
        [summary["run_id"].as_str().unwrap()]
    );
    for (event, times) in [
        ("command_begun", 2),
        ("planned", 2),
        ("run_begun", 2),
        ("stop_asked", 1),
        ("state_saved", 2),
        ("run_finished", 2),
    ] {
        assert_eq!(count(&all, event), times, "{event}");
    }
    assert!(count(&all, "progress") >= 1);
    // Each point ends once, with the numbers of the summary.
    let mut ends: BTreeMap<&str, &str> = BTreeMap::new();
    for event in &all {
        let name = event["event"].as_str().unwrap();
        if ["item_completed", "item_failed"].contains(&name) {
            assert_eq!(event["backup_vault_name"], "v1");
            let before = ends.insert(event["recovery_point_arn"].as_str().unwrap(), name);
            assert_eq!(before, None, "{event}");
        }
        if name == "item_failed" {
            assert!(
                ["cause", "error_message", "copy_job_id"]
                    .iter()
                    .all(|member| event[member].is_string()),
                "{event}"
            );
        }
    }
    assert_eq!(ends.len(), 40);
    let completed = ends.values().filter(|name| **name == "item_completed").count();
    assert_eq!(summary["completed"], completed);
    let last = all.last().unwrap();
    assert_eq!(
        (&last["event"], &last["exit_code"], &last["completed"]),
        (&"run_finished".into(), &1.into(), &summary["completed"])
    );
    // In one process the numbers have no gap.
    let second = all
        .iter()
        .rposition(|event| event["event"] == "command_begun")
        .unwrap();
    for process in [&all[..second], &all[second..]] {
        let numbers: Vec<u64> = process
            .iter()
            .map(|event| event["sequence"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=process.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn readers_that_are_gone_or_never_read_and_full_disks_harm_nothing() {
    for (how, wanted) in [
        (
            "--events - | head -n 1 > /dev/null; exit ${PIPESTATUS[0]}",
            "standard output takes no more events",
        ),
        ("--events - | sleep 1; exit ${PIPESTATUS[0]}", ""),
        ("--events /dev/full", "/dev/full takes no more events"),
    ] {
        let rig = Rig::new("--vault v1=200 --resources 200 --job-seconds 0.05");
        let done = rig.run(&copy(&format!("--workers 20 {how}")));
        assert_eq!(done.code, 0, "{how}: {}", done.stderr);
        done.assert_copied_once(200);
        assert!(done.stderr.contains(wanted), "{how}: {}", done.stderr);
    }
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_anything_is_asked() {
    let rig = Rig::new("--vault v1=2");
    for (options, wanted) in [
        (
            "--events no/such/place",
            "open the file of --events no/such/place",
        ),
        ("--events - --output json", "--events - and the plan of --dry-run"),
        ("--events - --dry-run", "--events - and the plan of --dry-run"),
    ] {
        let done = rig.run(&copy(options));
        assert_eq!(done.code, 1, "{options}");
        assert!(done.stderr.contains(wanted), "{options}: {}", done.stderr);
        assert_eq!(done.calls("GetCallerIdentity"), 0);
    }
    // What comes to nothing has an end too.
    let done = rig.run(&copy("--events -").replace("--vault v1", "--vault nowhere"));
    let all = events(&done.stdout);
    assert_eq!(all.last().unwrap()["event"], "run_finished", "{}", done.stdout);
    assert_eq!(all.last().unwrap()["exit_code"], 1);
}
