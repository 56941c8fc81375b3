//! Several vaults in one run: which they are, where each goes, and one `--resume` for all.

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

const OWN: &str = "aws/efs/automatic-backup-vault";
const THREE: &str = "--vault v1=10 --vault v2=20 --vault aws/efs/automatic-backup-vault=5 --vault empty=0 --job-seconds 0.05-0.1";

fn copy(more: &str) -> String {
    format!("shuffle-aws-vaults copy {ACCOUNTS} --poll-interval 0.1 {more}")
}

fn verify(more: &str) -> String {
    format!("shuffle-aws-vaults verify {ACCOUNTS} {more}")
}

/// Copies by the vault that they went to.
fn copies(done: &Done) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for copy in done.ledger["copies"].as_array().unwrap() {
        let vault = copy["destination_backup_vault_arn"].as_str().unwrap();
        let name = vault.split(':').next_back().unwrap().to_owned();
        *copies.entry(name).or_default() += 1;
    }
    copies
}

fn counted(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

#[test]
fn all_vaults_go_where_the_map_says_and_else_to_their_own_names() {
    let rig = Rig::new(THREE);
    rig.write(
        "map.csv",
        &format!("{OWN},efs-backups\n# not there\nnowhere,v1\n"),
    );
    let vaults = "--all-vaults --vault-map map.csv";
    let done = rig.run(&format!(
        "{} && {}",
        copy(&format!("{vaults} --summary-output s.json")),
        verify(&format!("{vaults} --output json"))
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(35);
    assert_eq!(
        copies(&done),
        counted(&[("efs-backups", 5), ("v1", 10), ("v2", 20)])
    );
    assert!(
        done.stderr.contains("map.csv: nowhere is not among the vaults"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr
            .contains("  Vault v2: 20 completed, 0 failed, 0 skipped"),
        "{}",
        done.stderr
    );
    assert_eq!(json(&rig.path("s.json"))["vaults"].as_array().unwrap().len(), 3);
    let verified: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(verified["complete"], true);
    assert_eq!(rig.states().len(), 3);
}

#[test]
fn a_map_alone_names_the_vaults_and_two_may_go_into_one() {
    let rig = Rig::new("--vault v1=10 --vault v2=20 --vault v3=3 --job-seconds 0.05-0.1");
    rig.write("map.csv", "v1,all\nv2,all\n");
    let done = rig.run(&format!(
        "{} && {} && {}",
        copy("--vault-map map.csv"),
        copy("--vault-map map.csv"),
        verify("--vault-map map.csv")
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(30);
    assert_eq!(copies(&done), counted(&[("all", 30)]));
}

#[test]
fn a_vault_may_be_left_out_and_one_of_awss_own_needs_a_name() {
    let rig = Rig::new(THREE);
    let done = rig.run(&copy("--all-vaults"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains(OWN)
            && done
                .stderr
                .contains("--vault-map, or leave it out with --exclude-vault"),
        "{}",
        done.stderr
    );
    assert_eq!(done.calls("StartCopyJob"), 0);
    let done = rig.run(&copy(&format!(
        "--all-vaults --exclude-vault {OWN},v1 --exclude-vault nowhere"
    )));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(copies(&done), counted(&[("v2", 20)]));
    assert!(done.stderr.contains("--exclude-vault nowhere"), "{}", done.stderr);
    let done = rig.run(&copy(&format!("--vault {OWN} --dest-vault efs")));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(copies(&done), counted(&[("efs", 5)]));
}

#[test]
fn one_resume_goes_on_with_all_and_begins_what_was_not_reached() {
    let rig = Rig::new("--vault v1=20 --vault v2=20 --vault v3=20 --resources 20 --job-seconds 0.3-0.6");
    let all = copy("--all-vaults --summary-output s.json");
    // The state of one is lost, as if the process had died before it was begun.
    let done = rig.run(&format!(
        "set -m; {all} & pid=$!; until_calls StartCopyJob 15; kill -INT $pid; wait $pid; echo $?
         rm ~/.shuffle-aws-vaults/state_*_v2_*
         sleep 1.5; {all} --resume --verbose; echo $?; cp s.json done.json
         {all} --resume; echo $?"
    ));
    assert_eq!(done.stdout, "2\n0\n0\n", "{}", done.stderr);
    done.assert_copied_once(60);
    assert!(
        done.stderr
            .contains("vault v2 has no state yet and is begun anew"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("Resuming copy operation..."),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("copy --source-account 123456789012 --dest-account 987654321098 --poll-interval 0.1 --all-vaults --summary-output s.json --resume\n"), "{}", done.stderr);
    assert_eq!(json(&rig.path("done.json"))["success_rate"], 100.0);
}

/// Vaults are read side by side, and what comes from a pipe comes once.
#[test]
fn the_metadata_file_of_several_vaults_is_read_once() {
    let rig = Rig::new(
        "--vault v1=4 --vault v2=4 --vault v3=4 --types DynamoDB --resources 4 --latency-ms 20 --job-seconds 0.05",
    );
    let rows: Vec<String> = (1..=3)
        .map(|n| format!("arn:aws:dynamodb:us-east-1:123456789012:table/table-v{n}-00001,APP\\n"))
        .collect();
    let csv = format!("printf 'resourceArn,APMID\\n{}'", rows.concat());
    let options = "--all-vaults --metadata-csv - --allowed-apmids APP --yes";
    let done = rig.run(&format!("{csv} | {}", copy(options)));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(3);
}

#[test]
fn a_resume_of_several_needs_one_that_was_begun() {
    let rig = Rig::new("--vault v1=2 --vault v2=2");
    let done = rig.run(&copy("--vault v1,v2 --resume"));
    assert_eq!(done.code, 1);
    assert!(
        done.stderr.contains("any of the vaults v1, v2"),
        "{}",
        done.stderr
    );
    assert_eq!(done.calls("StartCopyJob"), 0);
    assert!(rig.states().is_empty());
}

#[test]
fn many_vaults_cost_no_more_looks_at_jobs_than_one() {
    let polls = |sim: &str| {
        let rig = Rig::new(&format!("{sim} --job-seconds 2"));
        let done = rig.run(&copy(
            "--all-vaults --no-reconcile --workers 50 --progress json --progress-interval 1",
        ));
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.assert_copied_once(24);
        (done.calls("ListCopyJobs"), done.stderr)
    };
    let (one, _) = polls("--vault v1=24 --resources 24");
    let vaults: Vec<String> = (10..34).map(|n| format!("--vault v{n}=1")).collect();
    let (many, said) = polls(&vaults.join(" "));
    assert!(said.contains("backup-vault:v33: 1 to copy, "), "{said}");
    assert!(
        said.contains("24 destination vaults are created, 24 access policies"),
        "{said}"
    );
    assert!(
        !said.contains("backup:CopyIntoBackupVault"),
        "not the policy of each: {said}"
    );
    assert!(many < one * 3, "{many} looks at 24 vaults, {one} at one");
    let finished = said.lines().find(|line| line.contains("\"finished\"")).unwrap();
    let finished: serde_json::Value = serde_json::from_str(finished).unwrap();
    assert_eq!(finished["vaults"].as_array().unwrap().len(), 24);
    assert_eq!(finished["vaults"][0]["completed"], 1);
}

#[test]
fn options_that_do_not_go_together_are_told() {
    let rig = Rig::new("--vault v1=2");
    rig.write("bad.csv", "v1,d1\nv2\n");
    for (options, wanted) in [
        (
            "",
            "--vault, several with --vault repeated or a --vault-map, or take --all-vaults",
        ),
        ("--all-vaults --vault v1", "cannot be used with"),
        ("--vault v1 --exclude-vault v2", "--all-vaults"),
        (
            "--all-vaults --dest-vault xx",
            "--dest-vault belongs to one source vault",
        ),
        (
            "--all-vaults --state-file s.json",
            "--state-file belongs to one source vault",
        ),
        (
            "--vault v1 --dest-vault xx --vault-map bad.csv",
            "both name destination vaults",
        ),
        ("--vault-map bad.csv", "bad.csv: line 2: 1 values"),
        ("--vault-map none.csv", "read --vault-map none.csv"),
        ("--vault v1 --vault-map /dev/null", "it names no vaults"),
    ] {
        let done = rig.run(&copy(options));
        assert_eq!(done.code, 1, "{options}: {}", done.stderr);
        assert!(done.stderr.contains(wanted), "{options}: {}", done.stderr);
        assert_eq!(done.calls("StartCopyJob"), 0);
    }
}
