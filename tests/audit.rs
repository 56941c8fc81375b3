//! `verify` as an audit: every point with its copy, its job, keys, dates, sizes and retention.

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

use common::{ACCOUNTS, Done, Rig, json};
use serde_json::Value;

fn copy(more: &str) -> String {
    format!(
        "shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.1 --quiet --state-file s.json {more}"
    )
}

fn verify(more: &str) -> String {
    format!("shuffle-aws-vaults verify {ACCOUNTS} --vault v1 {more}")
}

fn lines(rig: &Rig, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(rig.path(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn by_result(points: &[Value]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for point in points {
        *counts.entry(point["result"].as_str().unwrap()).or_default() += 1;
    }
    counts
}

fn assert_ended(done: &Done, code: i32) {
    assert_eq!(done.code, code, "{} {}", done.stdout, done.stderr);
}

#[test]
fn every_point_is_written_once_with_its_copy_and_its_job() {
    let rig = Rig::new("--vault v1=12 --resources 6 --include-uncopyable --job-seconds 0.05");
    let outputs = ["p.ndjson", "p.json", "p.csv"]
        .map(|name| verify(&format!("--state-file s.json --points-output {name}")));
    let done = rig.run(&format!("{} && {}", copy(""), outputs.join(" && ")));
    assert_ended(&done, 0);
    let points = lines(&rig, "p.ndjson");
    let counts = by_result(&points);
    // The composite is a thirteenth.
    assert_eq!(counts["matched"], 13, "{counts:?}");
    assert_eq!(counts.len(), 2, "{counts:?}");

    // What a copied point is told with is what the state, the simulator and the vault know of it.
    let state = json(&rig.path("s.json"));
    let items = state["items"].as_array().unwrap();
    assert_eq!(points.len(), items.len());
    for item in items {
        let arn = &item["recovery_point_arn"];
        let mut of_it = points.iter().filter(|point| point["recovery_point_arn"] == *arn);
        let point = of_it.next().unwrap();
        assert!(of_it.next().is_none(), "{arn}");
        if item["status"] == "skipped" {
            assert_eq!(
                (&point["result"], &point["note"]),
                (&"not_copyable".into(), &item["reason"])
            );
            continue;
        }
        for (member, of_state) in [
            ("copy_job_id", "copy_job_id"),
            ("destination_recovery_point_arn", "destination_recovery_point_arn"),
            ("resource_arn", "resource_arn"),
            ("resource_type", "resource_type"),
            ("backup_size_bytes", "backup_size_bytes"),
            ("destination_backup_size_bytes", "backup_size_bytes"),
        ] {
            assert_eq!(point[member], item[of_state], "{member} of {point}");
        }
        assert_eq!(
            point["delete_after_days"], item["lifecycle"]["delete_after_days"],
            "{point}"
        );
        assert_eq!(
            point["destination_delete_after_days"], point["delete_after_days"],
            "{point}"
        );
        assert_eq!(
            point["creation_date"], point["destination_creation_date"],
            "{point}"
        );
        for member in [
            "completion_date",
            "destination_completion_date",
            "copied_at",
            "encryption_key_arn",
        ] {
            assert!(point[member].is_string(), "{member} of {point}");
        }
        let key = point["destination_encryption_key_arn"].as_str().unwrap();
        assert!(key.contains(":987654321098:"), "{key}");
    }

    // The three forms have the same records.
    assert_eq!(Value::Array(points.clone()), json(&rig.path("p.json")));
    let mut csv = csv::Reader::from_path(rig.path("p.csv")).unwrap();
    let header = csv.headers().unwrap().clone();
    for (row, point) in csv.records().zip(&points) {
        for (name, value) in header.iter().zip(&row.unwrap()) {
            let wanted = match &point[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(value, wanted, "{name}");
        }
    }
    assert_eq!(csv.into_records().count(), 0);
}

#[test]
fn what_is_missing_or_extra_is_a_record_and_the_missing_ones_a_list() {
    let rig = Rig::new("--vault v1=10 --vault v2=4 --resources 10 --job-seconds 0.05");
    let into = "--dest-vault both";
    let done = rig.run(&format!(
        "{} && {} && {}; echo $?; {}; echo $?",
        copy(into),
        copy(into).replace("v1", "v2").replace("s.json", "s2.json"),
        verify("--dest-vault elsewhere --points-output m.ndjson --missing-output m.txt"),
        verify(&format!(
            "{into} --points-output e.jsonl --missing-output none.txt"
        )),
    ));
    assert!(
        done.stdout.contains("\n1\n") && done.stdout.ends_with("\n0\n"),
        "{} {}",
        done.stdout,
        done.stderr
    );
    assert_eq!(
        by_result(&lines(&rig, "m.ndjson")),
        BTreeMap::from([("missing", 10)])
    );
    let list = std::fs::read_to_string(rig.path("m.txt")).unwrap();
    assert!(
        list.starts_with("# 10 recovery points of vault v1 that have no copy\n"),
        "{list}"
    );
    assert_eq!(list.lines().filter(|line| line.starts_with("arn:")).count(), 10);
    assert_eq!(list.lines().count(), 11);
    assert_eq!(
        by_result(&lines(&rig, "e.jsonl")),
        BTreeMap::from([("extra", 4), ("matched", 10)])
    );
    assert_eq!(std::fs::read_to_string(rig.path("none.txt")).unwrap(), "");
}

#[test]
fn a_file_that_cannot_be_is_told_of_before_points_are_read_and_an_old_one_stays() {
    let rig = Rig::new("--vault v1=3 --job-seconds 0.05");
    for (path, problem) in [
        ("points", "does not tell the form"),
        ("p.xml", "does not tell the form"),
        ("no/such/place/p.csv", "cannot write no/such/place/p.csv: "),
    ] {
        let done = rig.run(&verify(&format!("--points-output {path}")));
        assert_ended(&done, 1);
        assert!(
            done.stderr.contains(problem) && done.stderr.contains("  Help: "),
            "{}",
            done.stderr
        );
        assert_eq!(done.calls("ListRecoveryPointsByBackupVault"), 0, "{path}");
    }
    // A verification that breaks off leaves what was there.
    let broken = Rig::new("--vault v1=3 --fault AccessDeniedException:ListRecoveryPointsByBackupVault=1");
    broken.write("p.csv", "old");
    let done = broken.run(&verify("--points-output p.csv"));
    assert_ended(&done, 1);
    assert_eq!(std::fs::read_to_string(broken.path("p.csv")).unwrap(), "old");
    let files: Vec<_> = std::fs::read_dir(broken.home.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        files
            .iter()
            .all(|name| !name.to_string_lossy().starts_with(".report-")),
        "{files:?}"
    );
}
