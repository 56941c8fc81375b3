//! `status`: what is told of a run while it is on, after it was killed, and when it is over.

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

use std::path::Path;
use std::process::Stdio;

use common::processes::{Ended, ended, until};
use common::server::{SimServer, states};
use common::{ACCOUNTS, Rig};
use serde_json::Value;

fn said(server: &SimServer, home: &Path, arguments: &str) -> Ended {
    ended(&mut server.command(home, &format!("status {arguments}")))
}

fn status(server: &SimServer, home: &Path, arguments: &str) -> Vec<Value> {
    let done = said(server, home, &format!("{arguments} --output json"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

fn number(status: &Value, member: &str) -> u64 {
    status[member]
        .as_u64()
        .unwrap_or_else(|| panic!("{member} of {status}"))
}

/// Every point stands somewhere, once.
fn assert_adds_up(status: &Value, total: u64) {
    let parts = ["completed", "failed", "skipped", "in_progress", "pending"];
    let sum: u64 = parts.iter().map(|part| number(status, part)).sum();
    assert_eq!((sum, number(status, "total_items")), (total, total), "{status}");
}

fn copy(more: &str) -> String {
    format!("copy {ACCOUNTS} --vault v1 --poll-interval 0.1 --yes {more}")
}

#[test]
fn a_run_is_told_of_while_it_is_on_when_it_was_killed_and_when_it_has_ended() {
    let server = SimServer::start("--vault v1=60 --resources 60 --job-seconds 0.5-1.5");
    let home = tempfile::tempdir().unwrap();
    let mut run = server
        .command(home.path(), &copy("--state-file s.json --external-id secret"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("nothing was copied", || {
        home.path().join("s.json").exists()
            && number(&status(&server, home.path(), "s.json")[0], "completed") > 3
    });
    let on = status(&server, home.path(), "s.json").remove(0);
    assert_adds_up(&on, 60);
    assert_eq!(on["condition"], "running", "{on}");
    let holder = format!("process {} on ", run.id());
    assert!(on["holder"].as_str().unwrap().starts_with(&holder), "{on}");
    assert_eq!(on["next_command"], Value::Null);
    assert!(
        on["rate_per_hour"].as_f64().unwrap() > 0.0 && number(&on, "remaining_seconds") > 0,
        "{on}"
    );
    assert!(on["oldest_job"]["copy_job_id"].is_string(), "{on}");
    assert_eq!(on["notes"], serde_json::json!([]));
    let text = said(&server, home.path(), "s.json").stdout;
    assert!(
        text.contains(", running (process ") && text.contains("  Oldest job: "),
        "{text}"
    );

    run.kill().unwrap();
    run.wait().unwrap();
    let before: Vec<_> = std::fs::read_dir(home.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    let killed = status(&server, home.path(), "s.json").remove(0);
    assert_adds_up(&killed, 60);
    assert_eq!(killed["condition"], "interrupted", "{killed}");
    assert!(number(&killed, "completed") >= number(&on, "completed"));
    let after: Vec<_> = std::fs::read_dir(home.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(before, after, "nothing is written and nothing taken away");

    // What it says is to be run next does go on.
    let mut command = killed["next_command"].as_str().unwrap().to_owned();
    assert!(
        !command.contains("secret") && command.contains("--resume"),
        "{command}"
    );
    command.push_str(" --quiet");
    let next = |command: &str| {
        let mut shell = server.command(home.path(), "");
        let mut words = std::process::Command::new("sh");
        words.args(["-c", command]).current_dir(home.path());
        for (name, value) in shell.get_envs() {
            words.env(name, value.unwrap_or_default());
        }
        let _ = &mut shell;
        words.env("SHUFFLE_AWS_VAULTS_EXTERNAL_ID", "secret");
        ended(&mut words)
    };
    let done = next(&command);
    assert_eq!(done.code, 0, "{command}: {}", done.stderr);
    server.assert_copied_once("v1", 60, &done.stderr);

    let over = status(&server, home.path(), "s.json").remove(0);
    assert_adds_up(&over, 60);
    assert_eq!(
        (&over["condition"], number(&over, "completed")),
        (&Value::from("ended"), 60)
    );
    let verify = over["next_command"].as_str().unwrap();
    let path = common::binary();
    let done = next(&verify.replacen("shuffle-aws-vaults", path.to_str().unwrap(), 1));
    assert_eq!(done.code, 0, "{verify}: {}", done.stderr);
    assert!(done.stdout.contains("Verified: all 60"), "{}", done.stdout);
}

#[test]
fn looking_again_and_again_sees_no_step_back_and_disturbs_nothing() {
    let server = SimServer::start("--vault v1=300 --resources 300 --job-seconds 0.02");
    let home = tempfile::tempdir().unwrap();
    // It folds its journal all the time.
    let options = "--state-file s.json --workers 10 --journal-limit 0.0001";
    let mut run = server
        .command(home.path(), &copy(options))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("no state", || home.path().join("s.json").exists());
    let (mut completed, mut looks) = (0, 0);
    while run.try_wait().unwrap().is_none() {
        let now = status(&server, home.path(), "s.json").remove(0);
        assert_adds_up(&now, 300);
        assert!(number(&now, "completed") >= completed, "{completed}: {now}");
        completed = number(&now, "completed");
        looks += 1;
    }
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(looks > 3, "{looks}");
    server.assert_copied_once("v1", 300, "");
    let over = status(&server, home.path(), "s.json").remove(0);
    assert_eq!(
        (number(&over, "completed"), &over["condition"]),
        (300, &"ended".into())
    );
}

#[test]
fn all_states_of_the_default_directory_are_shown_newest_first_and_bad_ones_named() {
    let server = SimServer::start("--vault v1=4 --vault v2=3 --job-seconds 0.05");
    let home = tempfile::tempdir().unwrap();
    let none = said(&server, home.path(), "");
    assert_eq!((none.code, none.stdout.as_str()), (0, ""));
    assert!(none.stderr.contains("no state file is in "), "{}", none.stderr);
    assert!(
        !home.path().join(".shuffle-aws-vaults").exists(),
        "nothing is made"
    );
    assert_eq!(status(&server, home.path(), ""), Vec::<Value>::new());

    for vault in ["v1", "v2"] {
        let done = ended(&mut server.command(home.path(), &copy("").replace("v1", vault)));
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    let directory = home.path().join(".shuffle-aws-vaults");
    let good = states(home.path()).remove(0);
    let bad = directory.join("state_123456789012_v1_20990101T000000Z.json");
    std::fs::write(&bad, "{").unwrap();
    std::fs::write(directory.join("notes.txt"), "{").unwrap();
    let newer = directory.join("state_123456789012_v1_20980101T000000Z.json");
    std::fs::copy(&good, &newer).unwrap();
    let text = std::fs::read_to_string(&newer).unwrap();
    std::fs::write(&newer, text.replace("\"version\":1", "\"version\":9")).unwrap();

    let all = status(&server, home.path(), "");
    assert_eq!(all.len(), 4);
    assert_eq!(all[0]["state_file"], bad.to_str().unwrap());
    assert!(all[0]["error"].as_str().unwrap().contains("Invalid JSON"));
    assert!(
        all[1]["error"].as_str().unwrap().contains("version mismatch"),
        "{}",
        all[1]
    );
    let totals: Vec<_> = all[2..].iter().map(|run| number(run, "total_items")).collect();
    assert!([4, 3].iter().all(|n| totals.contains(n)), "{totals:?}");

    let table = said(&server, home.path(), "");
    assert_eq!(table.code, 0);
    let line = |vault: &str| {
        let found = table
            .stdout
            .lines()
            .find(|line| line.trim_start().starts_with(vault));
        found
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        line("v1")[3..9],
        ["ended", "4", "4", "0", "0", "0"],
        "{}",
        table.stdout
    );
    assert!(table.stdout.contains("Invalid JSON") && table.stdout.contains("version mismatch"));
    let csv = said(&server, home.path(), "--output csv");
    assert_eq!(
        csv::Reader::from_reader(csv.stdout.as_bytes())
            .records()
            .flatten()
            .count(),
        4
    );

    // One that was asked for by name has to be there.
    let named = said(&server, home.path(), &format!("{} nothing.json", good.display()));
    assert_eq!(named.code, 1);
    assert!(named.stdout.contains("ended") && named.stdout.contains("there is no state file nothing.json"));
}

#[test]
fn failures_are_grouped_and_the_command_tries_them_again() {
    let rig = Rig::new("--vault v1=6 --resources 6 --job-seconds 0.05 --fail-share 1 --fail-message x");
    let done = rig.run(&format!(
        "shuffle-aws-vaults {} --no-circuit-breaker --quiet 2>/dev/null; shuffle-aws-vaults status --output ndjson",
        copy("")
    ));
    let run: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(run["condition"], "ended_with_failures");
    assert_eq!(run["failure_groups"][0]["count"], 6);
    let command = run["next_command"].as_str().unwrap();
    assert!(command.ends_with(".json --retry-failed"), "{command}");
}
