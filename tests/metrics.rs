//! `--metrics-file`: Prometheus' text format, with the numbers of the summary.

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

fn copy(more: &str) -> String {
    format!("shuffle-aws-vaults copy {ACCOUNTS} --poll-interval 0.1 --yes {more}")
}

/// Samples by name and labels, read as strictly as Prometheus does.
fn samples(text: &str) -> BTreeMap<String, u64> {
    let mut samples = BTreeMap::new();
    let mut metric = String::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            rest.split(' ').next().unwrap().clone_into(&mut metric);
            assert!(rest.len() > metric.len() + 1, "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, metric);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(["gauge", "counter"].contains(&kind));
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let (of, labels) = name.split_once('{').unwrap();
            assert_eq!(of, metric, "{line}");
            assert!(
                labels.starts_with("source_account=\"123456789012\",dest_account=\"987654321098\""),
                "{line}"
            );
            assert!(labels.ends_with("\"}"), "{line}");
            let before = samples.insert(name.to_owned(), value.parse().unwrap());
            assert_eq!(before, None, "{line}");
        }
    }
    samples
}

fn sum(samples: &BTreeMap<String, u64>, with: &str) -> u64 {
    samples
        .iter()
        .filter(|(name, _)| name.contains(with))
        .map(|(_, value)| value)
        .sum()
}

#[test]
fn the_numbers_are_there_while_a_run_is_on_and_are_the_summarys_at_the_end() {
    let rig = Rig::new(
        "--vault v1=30 --vault v2=10 --resources 40 --job-seconds 0.4-0.6 --fail-share 0.3 --random-seed 4",
    );
    let done = rig.run(&format!(
        "{} & pid=$!; until_calls StartCopyJob 30; cp m.prom during.prom; wait $pid; echo $?",
        copy("--vault v1,v2 --metrics-file m.prom --progress-interval 0.1 --summary-output s.json")
    ));
    assert_eq!(done.stdout, "1\n", "{}", done.stderr);
    let read = |name| samples(&std::fs::read_to_string(rig.path(name)).unwrap());
    let (during, after) = (read("during.prom"), read("m.prom"));
    let summary = json(&rig.path("s.json"));
    assert_eq!((sum(&during, "_running"), sum(&after, "_running")), (1, 0));
    assert_eq!(sum(&during, "_exit_code") + sum(&during, "_end_timestamp"), 0);
    assert_eq!(sum(&after, "_exit_code"), 1);
    for state in ["completed", "failed", "skipped", "in_progress", "pending"] {
        let wanted = summary[state].as_u64().unwrap();
        assert_eq!(sum(&after, &format!("state=\"{state}\"")), wanted, "{state}");
    }
    for samples in [&during, &after] {
        assert_eq!(sum(samples, "_vaults_recovery_points{"), 40);
    }
    assert_eq!(
        sum(&after, "_failed_recovery_points{"),
        summary["failed"].as_u64().unwrap()
    );
    assert_eq!(
        sum(&after, "operation=\"StartCopyJob\""),
        summary["calls"]["StartCopyJob"].as_u64().unwrap()
    );
    assert!(
        sum(&during, "_oldest_copy_job") > 1_000_000_000 && sum(&after, "_start_timestamp") > 1_000_000_000
    );
}

#[test]
fn another_user_may_read_it_and_failures_before_a_resume_are_in_it_from_the_start() {
    let rig = Rig::new("--vault v1=40 --resources 40 --job-seconds 0.2-0.4 --fail-share 0.5 --random-seed 4");
    let copy = copy("--vault v1 --workers 4 --metrics-file m.prom --progress-interval 0.1");
    let done = rig.run(&format!(
        "umask 022; set -m; {copy} & pid=$!
         until grep -q 'failed_recovery_points{{.*}} [1-9]' m.prom; do sleep 0.05; done
         kill -INT $pid; wait $pid; stat -c %a m.prom; cp m.prom first.prom
         {copy} --resume & pid=$!
         until grep -q 'state=\"pending\"}} [1-9]' m.prom && grep -q 'running{{.*}} 1' m.prom; do sleep 0.01; done
         cp m.prom second.prom; wait $pid"
    ));
    assert_eq!(done.stdout, "644\n", "{}", done.stderr);
    let failed = |name, with| {
        let text = std::fs::read_to_string(rig.path(name)).unwrap();
        sum(&samples(&text), with)
    };
    let before = failed("first.prom", "_failed_recovery_points{");
    assert!(before > 0);
    assert_eq!(before, failed("first.prom", "state=\"failed\""));
    assert!(failed("second.prom", "_failed_recovery_points{") >= before);
    assert!(failed("m.prom", "_failed_recovery_points{") > before);
}

#[test]
fn what_cannot_be_written_is_told_and_a_run_of_nothing_has_an_end() {
    let rig = Rig::new("--vault v1=2 --job-seconds 0.05");
    let done = rig.run(&copy("--vault v1 --metrics-file no/such/place"));
    assert_eq!(done.code, 1);
    assert!(
        done.stderr.contains("cannot write no/such/place"),
        "{}",
        done.stderr
    );
    assert_eq!(done.calls("GetCallerIdentity"), 0);
    let done = rig.run(&copy("--vault nowhere --metrics-file m.prom"));
    assert_eq!(done.code, 1);
    let samples = samples(&std::fs::read_to_string(rig.path("m.prom")).unwrap());
    assert_eq!((sum(&samples, "_exit_code"), sum(&samples, "_running")), (1, 0));
    // A place that goes away is told of once, and harms nothing.
    let done = rig.run(&format!(
        "mkdir d; {} & pid=$!; until_calls StartCopyJob 1; rm -r d; wait $pid; echo $?",
        copy("--vault v1 --metrics-file d/m.prom --progress-interval 0.05")
    ));
    assert_eq!(done.stdout, "0\n", "{}", done.stderr);
    assert_eq!(
        done.stderr.matches("cannot write the metrics d/m.prom").count(),
        1,
        "{}",
        done.stderr
    );
}
