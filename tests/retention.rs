//! What retention copies really got: compared with what was asked for, by the copy and by `verify`.

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

use common::{ACCOUNTS, Rig, json, side_by_side};
use serde_json::Value;

const SIM: &str = "--vault v1=40 --resources 20 --job-seconds 0.02-0.05";

fn copy(more: &str) -> String {
    format!(
        "shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.05 --summary-output s.json {more}"
    )
}

fn verify(more: &str) -> String {
    format!("shuffle-aws-vaults verify {ACCOUNTS} --vault v1 --output json {more}")
}

#[test]
fn copies_that_are_kept_for_another_time_are_counted_and_told_once() {
    let rig = Rig::new(&format!("{SIM} --lost-lifecycle-share 0.4"));
    let done = rig.run(&format!(
        "{} && {}",
        copy("--retention days=400"),
        verify("--retention days=400")
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let summary = json(&rig.path("s.json"));
    let count = summary["other_retention"]["count"].as_u64().unwrap();
    assert!(
        (5..40).contains(&count) && summary["completed"] == 40,
        "{summary}"
    );
    let sample = summary["other_retention"]["sample"].as_str().unwrap();
    assert!(
        sample.starts_with("arn:") && sample.ends_with("to be kept 400 days, kept for ever"),
        "{sample}"
    );
    let lines: Vec<&str> = done
        .stderr
        .lines()
        .filter(|line| line.contains("another retention"))
        .collect();
    assert_eq!(lines.len(), 1, "{}", done.stderr);
    assert!(
        lines[0].starts_with(&format!("WARNING: {count} copies")) && lines[0].contains(sample),
        "{}",
        lines[0]
    );
    let verified: Value = serde_json::from_str(&done.stdout).unwrap();
    let vault = &verified["vaults"][0];
    assert_eq!(
        (&vault["other_retention"], &vault["matched"]),
        (&count.into(), &40.into()),
        "{verified}"
    );
    assert_eq!(vault["mismatched"].as_array().unwrap().len() as u64, count);
    assert_eq!(
        vault["mismatched"][0]["note"],
        "to be kept 400 days, kept for ever"
    );
}

#[test]
fn what_was_asked_for_is_what_counts() {
    // The points' own retention is 730 days.
    let cases = [
        ("", "", 0, 0),
        ("--retention source", "--retention source", 0, 0),
        ("--retention never", "--retention never", 0, 0),
        ("--retention days=30", "--retention days=30", 0, 0),
        ("--retention days=30", "", 0, 40),
        ("--retention days=30", "--retention omit", 0, 0),
        // AWS gives them that of the source then.
        ("--retention omit", "", 0, 0),
    ];
    side_by_side(cases, |(asked, expected, by_copy, by_verify)| {
        let rig = Rig::new(SIM);
        let done = rig.run(&format!("{} && {}", copy(asked), verify(expected)));
        assert_eq!(done.code, 0, "{asked}: {}", done.stderr);
        let other = &json(&rig.path("s.json"))["other_retention"];
        assert_eq!(other["count"], by_copy, "{asked}: {other}");
        assert_eq!(other["sample"], Value::Null);
        let verified: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(
            verified["vaults"][0]["other_retention"], by_verify,
            "{asked} {expected}"
        );
    });
}
