//! `--plan-out` and `--plan`: a plan is done exactly, or what has changed is told. `--prices`: what it costs.

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

use common::processes::ended;
use common::server::SimServer;
use common::{ACCOUNTS, Rig, side_by_side};
use serde_json::Value;

const SIM: &str = "--vault v1=20 --vault v2=10 --types EFS --job-seconds 0.05-0.1";
const OUT: &str = "--dry-run --plan-out p.ndjson --output json";

fn copy(more: &str) -> String {
    format!("shuffle-aws-vaults copy {ACCOUNTS} --poll-interval 0.1 {more}")
}

fn lines(rig: &Rig) -> Vec<Value> {
    let text = std::fs::read_to_string(rig.path("p.ndjson")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_plan_names_every_point_and_is_done_exactly() {
    let rig = Rig::new(SIM);
    rig.write("three.txt", "");
    let plan = rig.run(&copy(&format!("--all-vaults --retention days=9000 {OUT}")));
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert_eq!(plan.calls("StartCopyJob") + plan.calls("CreateBackupVault"), 0);
    let lines = lines(&rig);
    assert_eq!(lines.len(), 32, "a header, the points, an ending");
    assert_eq!(lines[0]["retention"], "days=9000");
    assert_eq!(lines[0]["vaults"][0]["to_copy"], 20);
    assert_eq!(lines[1]["lifecycle"]["delete_after_days"], 9000);
    assert_eq!(lines[31]["points"], 30);
    let shown: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(shown["total"]["to_copy"], 30);
    // The command that it tells does it, and the plan's options hold where none is given.
    let told = plan
        .stderr
        .lines()
        .find_map(|line| line.split_once("To do exactly that, run: "))
        .unwrap()
        .1;
    let told = told.replace(" --output json", "");
    assert!(told.ends_with("--plan p.ndjson"), "{told}");
    let done = rig.run(&format!(
        "{told} && {}",
        copy("--plan p.ndjson --dry-run; echo $?")
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(30);
    assert_eq!(rig.states().len(), 2);
    // What is done cannot be done again.
    assert!(done.stdout.ends_with("1\n"), "{}", done.stdout);
    assert!(
        done.stderr
            .contains("20 points of v1 would be skipped as already_copied, such as arn:aws:"),
        "{}",
        done.stderr
    );
    let done = Rig {
        sim: rig.sim.clone(),
        ..Rig::new("")
    };
    std::fs::copy(rig.path("p.ndjson"), done.path("p.ndjson")).unwrap();
    let audit = format!("shuffle-aws-vaults verify {ACCOUNTS} --points-output points.json");
    let other = done.run(&format!("{} && {audit}; true", copy("--plan p.ndjson")));
    other.assert_copied_once(30);
    let points = common::json(&done.path("points.json"));
    assert_eq!(points.as_array().unwrap().len(), 30);
    for point in points.as_array().unwrap() {
        assert_eq!(point["destination_delete_after_days"], 9000, "{point}");
    }
}

#[test]
fn what_has_come_since_is_left_alone_and_what_has_changed_is_told() {
    let rig = Rig::new("--vault v1=20 --types EFS --job-seconds 0.05-0.1");
    assert_eq!(rig.run(&copy(&format!("--vault v1 {OUT}"))).code, 0);
    // More points of the same vault, later.
    let more = Rig {
        sim: vec![
            "--vault".into(),
            "v1=25".into(),
            "--types".into(),
            "EFS".into(),
            "--job-seconds".into(),
            "0.05".into(),
            "--resources".into(),
            "10".into(),
        ],
        ..Rig::new("")
    };
    std::fs::copy(rig.path("p.ndjson"), more.path("p.ndjson")).unwrap();
    let done = more.run(&copy("--plan p.ndjson --summary-output s.json"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(20);
    let summary = common::json(&more.path("s.json"));
    assert_eq!(summary["skipped_by_reason"]["not_in_plan"], 5, "{summary}");
    // What could not be copied anyway is told as that.
    let sim = "--vault v1=20 --types EBS --resources 20 --aws-managed-key-share 0.5 --job-seconds 0.05 --random-seed 3";
    let managed = Rig::new(sim);
    let key = "--dest-kms-key-arn arn:aws:kms:us-east-1:987654321098:key/1";
    let done = managed.run(&format!(
        "{} && {}",
        copy(&format!(
            "--vault v1 {key} --dry-run --plan-out p.ndjson > /dev/null"
        )),
        copy("--plan p.ndjson --summary-output s.json")
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let summary = common::json(&managed.path("s.json"));
    let reasons = summary["skipped_by_reason"].as_object().unwrap();
    assert_eq!(
        reasons.keys().collect::<Vec<_>>(),
        ["aws_managed_key"],
        "{summary}"
    );
    // Fewer points.
    let fewer = Rig::new("--vault v1=15 --types EFS --resources 10 --job-seconds 0.05");
    std::fs::copy(rig.path("p.ndjson"), fewer.path("p.ndjson")).unwrap();
    let done = fewer.run(&copy("--plan p.ndjson --summary-output s.json"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr
            .contains("5 points of v1 would be gone from the vault, such as arn:aws:backup:"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("nothing was changed"), "{}", done.stderr);
    assert_eq!(done.calls("StartCopyJob") + done.calls("CreateBackupVault"), 0);
    assert_eq!(common::json(&fewer.path("s.json"))["exit_code"], 1);
    assert!(fewer.states().is_empty());
}

#[test]
fn a_plan_is_resumed_as_a_plan() {
    let rig = Rig::new("--vault v1=40 --types EFS --resources 40 --job-seconds 0.3-0.6");
    rig.write("only.txt", "# none yet\n");
    let script = format!(
        "{list} | head -20 > only.txt; {plan} && set -m
         {run} & pid=$!; until_calls StartCopyJob 12; kill -INT $pid; wait $pid; echo $?
         sleep 1; {run} --resume; echo $?",
        list = "shuffle-aws-vaults list --source-account 123456789012 --vault v1 --output ndjson | jq -r .recovery_point_arn",
        plan = copy("--vault v1 --only-from only.txt --dry-run --plan-out p.ndjson > /dev/null"),
        run = copy("--plan p.ndjson --state-file s.json"),
    );
    let done = rig.run(&script);
    assert_eq!(done.stdout, "2\n0\n", "{}", done.stderr);
    done.assert_copied_once(20);
    let state = common::json(&rig.path("s.json"));
    assert!(
        state["selection"]
            .as_str()
            .unwrap_or_default()
            .starts_with("the 20 points of the plan p.ndjson"),
        "{}",
        state["selection"]
    );
}

#[test]
fn options_that_differ_from_the_plans_are_told_and_nothing_is_done() {
    let rig = Rig::new(SIM);
    assert_eq!(rig.run(&copy(&format!("--vault v1 {OUT}"))).code, 0);
    let cut = std::fs::read(rig.path("p.ndjson")).unwrap();
    rig.write("empty.ndjson", "");
    std::fs::write(rig.path("cut.ndjson"), &cut[..cut.len() / 2]).unwrap();
    rig.write("csv.csv", "a,b\n");
    side_by_side(
        [
            (
                "--plan p.ndjson --retention never",
                "--retention is source in the plan and never here",
            ),
            (
                "--plan p.ndjson --try-all",
                "--try-all is set here, and was not in the plan",
            ),
            (
                "--plan p.ndjson --region eu-west-1",
                "--region is us-east-1 in the plan and eu-west-1 here",
            ),
            (
                "--plan p.ndjson --min-remaining-days 3",
                "--min-remaining-days is 3 here, and the plan has none",
            ),
            (
                "--plan p.ndjson --dest-vault other",
                "--dest-vault is v1 in the plan and other here",
            ),
            (
                "--plan p.ndjson --vault v2",
                "the vault v2 is not in the plan; the vault v1 is not copied here",
            ),
            (
                "--plan p.ndjson --vault v1 --resource-types EFS",
                "the selection is all in the plan and types: EFS here",
            ),
            ("--plan p.ndjson --plan-out q.ndjson", "cannot be used with"),
            ("--plan none.ndjson", "read --plan none.ndjson"),
            ("--plan empty.ndjson", "line 1, column 0: it is no plan: EOF"),
            ("--plan csv.csv", "line 1, column 1: it is no plan: "),
            ("--plan cut.ndjson", "cut.ndjson: "),
            (
                "--vault v1 --dry-run --plan-out no/such/place",
                "write the plan no/such/place",
            ),
        ],
        |(options, wanted)| {
            let own = Rig {
                sim: rig.sim.clone(),
                ..Rig::new("")
            };
            for name in ["p.ndjson", "empty.ndjson", "cut.ndjson", "csv.csv"] {
                std::fs::copy(rig.path(name), own.path(name)).unwrap();
            }
            let done = own.run(&copy(options));
            assert_eq!(done.code, 1, "{options}: {}", done.stderr);
            assert!(done.stderr.contains(wanted), "{options}: {}", done.stderr);
            assert_eq!(done.calls("StartCopyJob") + done.calls("CreateBackupVault"), 0);
        },
    );
}

/// Between plan and run somebody makes the destination vault.
#[test]
fn a_set_up_that_is_no_longer_the_plans_is_told() {
    let server = SimServer::start("--vault v1=5 --job-seconds 0.1");
    let home = tempfile::tempdir().unwrap();
    let run = |more: &str| {
        ended(&mut server.command(
            home.path(),
            &format!("copy {ACCOUNTS} --poll-interval 0.1 {more}"),
        ))
    };
    assert_eq!(run("--vault v1 --dry-run --plan-out p.ndjson").code, 0);
    assert_eq!(
        run("--vault v1 --dry-run --plan p.ndjson").code,
        0,
        "nothing has changed"
    );
    let other = run("--vault v1 --resource-types S3");
    assert_eq!(other.code, 0, "{}", other.stderr);
    let done = run("--plan p.ndjson");
    assert_eq!(done.code, 1);
    assert!(
        done.stderr
            .contains("the set-up of v1 was to be: create the destination vault v1")
            && done.stderr.contains("and is now: nothing"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_plan_of_a_rehearsal_is_not_done_against_aws() {
    let rig = Rig::new("--vault v1=5");
    assert_eq!(rig.run(&copy(&format!("--vault v1 {OUT}"))).code, 0);
    let text = std::fs::read_to_string(rig.path("p.ndjson")).unwrap();
    assert!(text.contains("\"endpoint\":\"simulated\""));
    // With the right checksum, as if it had been made against AWS.
    let made = text.replace("\"endpoint\":\"simulated\"", "\"endpoint\":\"aws\"");
    let covered = made.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n";
    let ending = format!(
        "{{\"points\":5,\"crc32\":\"{:08x}\"}}\n",
        crc32fast::hash(covered.as_bytes())
    );
    rig.write("p.ndjson", &(covered + &ending));
    let done = rig.run(&copy("--plan p.ndjson"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("made against another AWS endpoint"),
        "{}",
        done.stderr
    );
}

#[test]
fn prices_give_an_upper_bound_and_what_has_none_is_told() {
    let rig = Rig::new("--vault v1=20 --types EFS,S3 --resources 10");
    rig.write(
        "prices.csv",
        "resource_type,storage_per_gib_month,transfer_per_gib,currency\nEFS,0.5,0.25,USD\n",
    );
    let plan = rig.run(&copy("--vault v1 --prices prices.csv --dry-run --output json"));
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let bytes = plan["total"]["by_resource_type"][0]["bytes"].as_f64().unwrap();
    let wanted = (bytes / f64::from(1 << 30) * 0.5 * 100.0).ceil() / 100.0;
    assert_eq!(plan["cost"]["storage_per_month"], wanted, "{}", plan["cost"]);
    assert_eq!(plan["cost"]["transfer"], 0.0, "within a Region");
    assert_eq!(plan["cost"]["unpriced"][0]["resource_type"], "S3");
    let plan = rig.run(&copy(
        "--vault v1 --prices prices.csv --dry-run --dest-region eu-west-1",
    ));
    assert!(
        plan.stdout
            .contains(&format!("Cost at most: {wanted:.2} USD a month for storage")),
        "{}",
        plan.stdout
    );
    assert!(!plan.stdout.contains(" 0.00 USD once"), "{}", plan.stdout);
    assert!(
        plan.stdout
            .contains("Not counted, as the table has no price: S3 (10 points)"),
        "{}",
        plan.stdout
    );
    rig.write("prices.csv", "resource_type,storage_per_gib_month\nEFS,a lot\n");
    let plan = rig.run(&copy("--vault v1 --prices prices.csv --dry-run"));
    assert_eq!(plan.code, 1);
    assert!(
        plan.stderr.contains("prices.csv: line 2: `a lot` is no price"),
        "{}",
        plan.stderr
    );
}
