//! `list` and `filter` through the binary.

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

use common::Rig;
use serde_json::Value;

const LIST: &str = "shuffle-aws-vaults list --source-account 123456789012";

#[test]
fn vaults_are_listed_with_totals() {
    let done = Rig::new("--vault alpha=3 --vault beta=5").run(LIST);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("alpha"));
    assert!(
        done.stdout.contains("Total: 2 vaults, 8 recovery points"),
        "{}",
        done.stdout
    );
    assert!(done.stderr.contains("simulated AWS"), "{}", done.stderr);
}

#[test]
fn five_thousand_points_are_one_json_array_and_stdout_holds_nothing_else() {
    let script = format!("{LIST} --vault big --output json -v 2>/dev/null");
    let done = Rig::new("--vault big=5000").run(&script);
    let points: Vec<Value> = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(points.len(), 5000);
    let arns: std::collections::HashSet<_> = points
        .iter()
        .map(|p| p["recovery_point_arn"].as_str().unwrap())
        .collect();
    assert_eq!(arns.len(), 5000);
    assert_eq!(points[0]["backup_vault_name"], "big");
    assert!(points[0]["creation_date"].as_str().unwrap().ends_with('Z'));
    assert!(points[0]["backup_size_bytes"].is_i64());
}

#[test]
fn each_form_has_each_point() {
    let rig = Rig::new("--vault v1=25");
    for (form, lines) in [("ndjson", 25), ("csv", 26), ("table", 28)] {
        let done = rig.run(&format!("{LIST} --vault v1 --output {form}"));
        assert_eq!(done.stdout.lines().count(), lines, "{form}: {}", done.stdout);
    }
}

#[test]
fn metadata_is_shown_with_each_point() {
    let rig = Rig::new("--vault v1=2 --resources 1 --types DynamoDB");
    rig.write(
        "m.csv",
        "resourceArn,APMID,Owner\narn:aws:dynamodb:us-east-1:123456789012:table/table-v1-00000,APP001,Team\n",
    );
    let done = rig.run(&format!("{LIST} --vault v1 --metadata-csv m.csv --output ndjson"));
    let first: Value = serde_json::from_str(done.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        first["metadata"],
        serde_json::json!({"APMID": "APP001", "Owner": "Team"}),
        "{}",
        done.stderr
    );
}

#[test]
fn a_dry_run_makes_no_call() {
    let done = Rig::new("--vault v1=2").run(&format!("{LIST} --vault v1 --dry-run"));
    assert_eq!(done.code, 0);
    assert!(
        done.stdout.contains("recovery points of the vault v1"),
        "{}",
        done.stdout
    );
    assert_eq!(done.ledger["calls"], serde_json::json!({}));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let script = format!("set -o pipefail; {LIST} --vault big --output ndjson | head -1 >/dev/null");
    let done = Rig::new("--vault big=5000").run(&script);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!done.stderr.contains("ERROR"), "{}", done.stderr);
}

/// Calls of a script's listings.
fn pages(done: &common::Done) -> u64 {
    done.calls("ListRecoveryPointsByBackupVault")
}

#[test]
fn a_short_list_costs_its_pages() {
    let done = Rig::new("--vault v1=2500").run(&format!("{LIST} --vault v1 --output csv | wc -l"));
    assert_eq!((done.stdout.trim(), pages(&done)), ("2501", 3), "{}", done.stderr);
}

#[test]
fn a_long_list_is_the_same_whatever_the_workers_and_costs_few_calls_more() {
    let same = |workers: u64, most: u64| {
        let rig = Rig::new("--vault big=20000 --latency-ms 60 --include-uncopyable");
        let done = rig.run(&format!(
            "{LIST} --vault big --output csv --list-workers 1 | cut -d, -f1 | sort > one
             {LIST} --vault big --output csv --list-workers {workers} | cut -d, -f1 | sort > many
             cmp one many && wc -l < many"
        ));
        assert_eq!((done.code, done.stdout.trim()), (0, "20009"), "{}", done.stderr);
        assert!(pages(&done) <= 21 + most, "{workers} workers: {}", pages(&done));
    };
    same(2, 21 + 2 + 16);
    same(12, 21 + 2 + 56);
}

#[test]
fn points_that_are_deleted_meanwhile_hide_and_double_no_other() {
    let rig = Rig::new("--vault big=12000 --latency-ms 150");
    let done = rig.run(&format!(
        "{LIST} --vault big --output ndjson --list-workers 1 | jq -r .recovery_point_arn | sort > before
         awk 'NR % 200 == 0' before > doomed
         path=$AWS_ENDPOINT_URL/backup-vaults/big/recovery-points
         key='authorization: AWS4-HMAC-SHA256 Credential=AKIA123456789012SIMS/20260101/us-east-1/backup/aws4_request'
         {LIST} --vault big --output ndjson | jq -r .recovery_point_arn | sort > during &
         jq -Rr '@uri' doomed | sed \"s|^|$path/|\" | xargs -P 6 -n 10 curl -sf -X DELETE -H \"$key\" > /dev/null
         wait
         sort -c -u during && comm -23 before during > missed && comm -23 missed doomed && comm -13 before during"
    ));
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{}", done.stderr);
    assert_eq!(done.calls("DeleteRecoveryPoint"), 60);
}

#[test]
fn a_throttled_list_goes_on_with_fewer_calls() {
    let rig = Rig::new("--vault big=12000 --calls-per-second 4 --burst 4");
    let done = rig.run(&format!("{LIST} --vault big --output csv | sort -u | wc -l"));
    assert_eq!((done.code, done.stdout.trim()), (0, "12001"), "{}", done.stderr);
}

fn metadata(rig: &Rig) {
    let row = |n: usize, apmid: &str| {
        format!("arn:aws:dynamodb:us-east-1:123456789012:table/table-v1-{n:05},{apmid}\n")
    };
    let rows = [row(0, "APP001"), row(1, "APP002"), row(2, "APP003"), row(3, " ")].concat();
    rig.write("m.csv", &format!("resourceArn,APMID\n{rows}"));
}

#[test]
fn filters_take_what_is_allowed_and_not_excluded() {
    // Points 0 to 9 over the resources 0 to 4: two points each; resource 4 has no row.
    let rig = Rig::new("--vault v1=10 --resources 5 --types DynamoDB");
    metadata(&rig);
    let filter = "shuffle-aws-vaults filter --source-account 123456789012 --vault v1 --metadata-csv m.csv";
    for (options, counts) in [
        ("--allowed-apmids APP001,APP002", (4, 2, 4)),
        ("--excluded-apmids APP001", (4, 2, 4)),
        (
            "--allowed-apmids APP001,APP002 --excluded-apmids APP002",
            (2, 4, 4),
        ),
        ("--allowed-apmids app001", (0, 6, 4)),
        ("", (10, 0, 0)),
    ] {
        let done = rig.run(&format!("{filter} {options} --output json"));
        assert_eq!(done.code, 0, "{}", done.stderr);
        let answer: Value = serde_json::from_str(&done.stdout).unwrap();
        let n = |name: &str| answer["summary"][name].as_u64().unwrap();
        assert_eq!(
            (n("included"), n("excluded"), n("no_metadata")),
            counts,
            "{options}"
        );
        assert_eq!(
            answer["recovery_points"].as_array().unwrap().len() as u64,
            counts.0
        );
    }
    let done = rig.run(&format!("{filter} --allowed-apmids APP001"));
    assert!(
        done.stderr.contains("No metadata found for resource"),
        "{}",
        done.stderr
    );
    assert!(
        done.stdout.contains("Included: 2 recovery points"),
        "{}",
        done.stdout
    );
}

#[test]
fn bad_input_gets_one_message_and_exit_1() {
    let rig = Rig::new("--vault v1=1");
    rig.write("no-arn.csv", "APMID\nx\n");
    let filter = "shuffle-aws-vaults filter --source-account 123456789012 --vault v1";
    for (command, message) in [
        (
            format!("{LIST} --vault v2x"),
            "the backup vault `v2x` does not exist",
        ),
        (
            format!("{LIST} --vault v1 --metadata-csv none.csv"),
            "CSV file not found: none.csv",
        ),
        (
            format!("{LIST} --vault v1 --metadata-csv no-arn.csv"),
            "CSV file missing 'resourceArn' column",
        ),
        (format!("{filter} --allowed-apmids A"), "--metadata-csv"),
        (
            format!("{filter} --allowed-apmids , --metadata-csv no-arn.csv"),
            "holds no value",
        ),
        (
            "shuffle-aws-vaults list --source-account 12".to_owned(),
            "12 digits",
        ),
        (
            "shuffle-aws-vaults list --source-account 111111111111".to_owned(),
            "111111111111",
        ),
        (format!("{LIST} --vault 'a b'"), "not a backup vault name"),
    ] {
        let done = rig.run(&command);
        assert_eq!(done.code, 1, "{command}: {}", done.stderr);
        assert!(done.stderr.contains(message), "{command}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{command}");
    }
}
