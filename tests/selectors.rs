//! Which points are wanted, by the same options in `list`, `filter`, `copy` and `verify`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod common;

use common::{ACCOUNTS, Rig, json};

const LIST: &str = "shuffle-aws-vaults list --source-account 123456789012 --vault v1";
const FILTER: &str = "shuffle-aws-vaults filter --source-account 123456789012 --vault v1";
const VERIFY: &str =
    "shuffle-aws-vaults verify --source-account 123456789012 --dest-account 987654321098 --vault v1";
fn copy(more: &str) -> String {
    format!("shuffle-aws-vaults copy {ACCOUNTS} --poll-interval 0.1 {more}")
}

const SIM: &str = "--vault v1=20 --types EFS,DynamoDB --resources 4 --job-seconds 0.05";

#[test]
fn types_and_dates_choose_points() {
    let rig = Rig::new(SIM);
    let done = rig.run(&format!(
        "{LIST} --output csv > all
         {LIST} --output csv --resource-types efs | grep -c ,EFS,
         {LIST} --output csv --resource-types EFS,,DynamoDB | sort | cmp - <(sort all) && echo same
         middle=$(tail -n +2 all | cut -d, -f6 | sort | sed -n 10p)
         {LIST} --output csv --created-after $middle > late; {LIST} --output csv --created-before $middle > early
         grep -c ,$middle, late; grep -c ,$middle, early
         cat late <(tail -n +2 early) | sort | cmp - <(sort all) && echo whole
         {LIST} --output csv --created-before 20000d | wc -l"
    ));
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines, ["10", "same", "1", "0", "whole", "1"], "{}", done.stderr);
    assert!(
        done.stderr.contains("--resource-types: 1 empty elements"),
        "{}",
        done.stderr
    );
}

#[test]
fn columns_of_the_metadata_choose_points() {
    let rig = Rig::new("--vault v1=12 --types DynamoDB --resources 6");
    let row = |n: usize, rest: &str| {
        format!("arn:aws:dynamodb:us-east-1:123456789012:table/table-v1-{n:05},{rest}\n")
    };
    // Resource 4 has no environment, resource 5 no row; each resource has two points.
    let rows = [
        row(0, "APP1,Prod,Web"),
        row(1, "APP1,Test,Web"),
        row(2, "APP2,Prod,Data"),
        row(3, "APP2,Test,Data"),
        row(4, "APP2,,Data"),
    ];
    rig.write(
        "m.csv",
        &format!("resourceArn,APMID,Environment,Owner\n{}", rows.concat()),
    );
    for (options, counts) in [
        ("--where Environment=Prod", (4, 4, 4)),
        ("--where Environment=Prod --where Environment=Test", (8, 0, 4)),
        ("--where Environment=Prod,Test --where Owner=Web", (4, 6, 2)),
        ("--where-not Environment=Test", (4, 4, 4)),
        (
            "--where Owner=Data --where-not Environment=Test --allowed-apmids APP2",
            (2, 6, 4),
        ),
        ("--where environment=Prod", (0, 0, 0)),
    ] {
        let done = rig.run(&format!("{FILTER} --metadata-csv m.csv {options} --output json | jq -c '.summary | [.included, .excluded, .no_metadata]'"));
        let (a, b, c) = counts;
        if options.contains("environment") {
            assert!(done.stderr.contains("the CSV file m.csv has no column `environment`; it has resourceArn, APMID, Environment, Owner"), "{}", done.stderr);
        } else {
            assert_eq!(
                done.stdout.trim(),
                format!("[{a},{b},{c}]"),
                "{options}: {}",
                done.stderr
            );
        }
    }
}

#[test]
fn a_list_of_points_is_copied_and_what_is_missing_afterwards_too() {
    let rig = Rig::new(SIM);
    let done = rig.run(&format!(
        "{LIST} --output csv | tail -n +2 | cut -d, -f1 | head -8 > eight
         (echo '# of one day'; head -5 eight; echo arn:aws:backup:us-east-1:123456789012:recovery-point:gone) > five
         {} --only-from five --state-file s.json --output json | jq .completed
         {VERIFY} --missing-output missing.csv > /dev/null; wc -l < missing.csv
         {} --only-from missing.csv --exclude-from eight --output json | jq .completed
         {} --only-from eight --state-file s.json --resume --output json | jq .completed
         {VERIFY}",
        copy("--vault v1"),
        copy("--vault v1"),
        copy("--vault v1"),
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(
        lines[..4],
        ["5", "16", "12", "8"],
        "{}\n{}",
        done.stdout,
        done.stderr
    );
    assert!(done.stdout.contains("Verified: all 20"), "{}", done.stdout);
    done.assert_copied_once(20);
    let told = "1 of the 6 recovery points that five names are in none of the vaults";
    assert!(done.stderr.contains(told), "{}", done.stderr);
    assert!(done.stderr.contains("planning anew"), "{}", done.stderr);
    let selection = json(&rig.path("s.json"))["selection"].to_string();
    assert!(selection.contains("only from eight (8 points, "), "{selection}");
}

#[test]
fn the_plan_names_the_filters_and_counts_what_they_leave() {
    let rig = Rig::new(SIM);
    let done = rig.run(&copy(
        "--vault v1 --dry-run --resource-types EFS --created-after 9999d",
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    for text in ["types: EFS; made after 9999d", "To copy: 10 recovery points"] {
        assert!(done.stdout.contains(text), "{text}: {}", done.stdout);
    }
    assert_eq!(done.calls("StartCopyJob"), 0);
}

#[test]
fn what_cannot_be_meant_is_refused_before_any_call() {
    let rig = Rig::new(SIM);
    rig.write("bad", "arn:aws:ec2:us-east-1::snapshot/snap-1\nsnap-2\n");
    rig.write("none", "# nothing\n");
    for (command, wanted) in [
        (
            "shuffle-aws-vaults list --source-account 123456789012 --resource-types EBS",
            "--resource-types chooses recovery points, and vaults are listed without --vault",
        ),
        (&format!("{LIST} --resource-types ,"), "holds no value"),
        (
            &format!("{LIST} --created-after yesterday"),
            "`yesterday` is no date",
        ),
        (
            &format!("{LIST} --created-after 2026-02-01 --created-before 2026-01-01"),
            "--created-after 2026-02-01 is not before --created-before 2026-01-01",
        ),
        (
            &format!("{LIST} --only-from bad"),
            "bad: line 2: `snap-2` is no ARN of a recovery point",
        ),
        (
            &format!("{LIST} --exclude-from none"),
            "it names no recovery point",
        ),
        (&format!("{LIST} --only-from absent"), "absent"),
        (&format!("{FILTER} --where Owner=Web"), "--metadata-csv"),
        (
            &format!("{FILTER} --metadata-csv m.csv --where Web"),
            "it must be COLUMN=VALUE",
        ),
    ] {
        let done = rig.run(command);
        assert_eq!(done.code, 1, "{command}: {}", done.stderr);
        assert!(done.stderr.contains(wanted), "{command}: {}", done.stderr);
        assert_eq!(done.ledger["calls"], serde_json::json!({}), "{command}");
    }
}

#[test]
fn names_that_are_not_there_are_told_with_those_that_come_nearest() {
    let rig = Rig::new("--vault production-backups=6 --types EBS,EFS");
    rig.write("m.csv", "resourceArn,APMID,Owner\n");
    let list = "shuffle-aws-vaults list --source-account 123456789012 --vault";
    for (command, wanted) in [
        (
            format!("{list} production-backup"),
            "did you mean `production-backups`?",
        ),
        (
            format!("{list} production-backups --resource-types EBSS,EFS"),
            "no recovery point is of type `EBSS`; did you mean `EBS` or `EFS`? there are EBS, EFS",
        ),
        (
            format!("{list} production-backups --metadata-csv m.csv --where Ownr=x"),
            "did you mean `Owner`?",
        ),
        (
            format!("{list} production-backups --source-profile destinaton"),
            "has no profile `destinaton`; did you mean `destination`?",
        ),
    ] {
        let done = rig.run(&command);
        assert!(done.stderr.contains(wanted), "{command}: {}", done.stderr);
    }
}
