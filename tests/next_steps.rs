//! What an error says: what is wrong, where, why, and what to do next.

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

use common::{ACCOUNTS, Rig, side_by_side};

const LIST: &str =
    "shuffle-aws-vaults list --source-account 123456789012 --connect-timeout 1 --read-timeout 1";
const SOURCE: &str = "in the source account 123456789012, us-east-1";

fn copy(more: &str) -> String {
    format!("shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.05 {more}")
}

/// Runs commands, each of which ends with 1 and says all of the texts.
fn assert_said(cases: &[(&str, String, &[&str])]) {
    side_by_side(cases, |(sim, script, wanted)| {
        let rig = Rig::new(&format!("--vault v1=4 --vault v2=2 --job-seconds 0.05 {sim}"));
        let done = rig.run(script);
        assert_eq!(done.code, 1, "{script}: {}", done.stderr);
        for text in *wanted {
            assert!(done.stderr.contains(text), "{script}: {text}: {}", done.stderr);
        }
    });
}

#[test]
fn a_refused_call_names_account_region_vault_request_and_permission() {
    let statement =
        |action: &str| format!("{{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"*\"}}");
    let list = statement("backup:ListRecoveryPointsByBackupVault");
    let create = statement("backup:CreateBackupVault");
    assert_said(&[
        (
            "--deny ListRecoveryPointsByBackupVault",
            format!("{LIST} --vault v1"),
            &[
                &format!("Access denied when listing recovery points of v1 {SOURCE}: "),
                "(AccessDeniedException, request id ",
                &format!("Help: add to the policies of the source identity: {list}\n"),
            ],
        ),
        (
            "--deny CreateBackupVault",
            copy(""),
            &[
                "Failed to create vault: Access denied for v1 in the destination account 987654321098, us-east-1: ",
                &format!(
                    "Help: add to the policies of the destination identity: {create}, or have the vault made by others and \
                     copy with --skip-dest-setup\n"
                ),
            ],
        ),
        (
            "--deny StartCopyJob",
            copy(""),
            &[
                "4 failed: User: ",
                " error_code=AccessDeniedException request_id=",
                "Help: allow backup:StartCopyJob, and iam:PassRole",
            ],
        ),
        (
            "--fault ValidationException:ListBackupVaults=1",
            LIST.to_owned(),
            &[
                &format!("ListBackupVaults {SOURCE}: "),
                "Help: change the option that AWS complains of",
            ],
        ),
    ]);
}

#[test]
fn what_is_between_here_and_aws_is_told_apart_from_aws() {
    let without_backup = |url: &str| format!("export AWS_ENDPOINT_URL_BACKUP={url}; {LIST}");
    assert_said(&[
        (
            "",
            without_backup("http://127.0.0.1:1"),
            &[
                "cause=client error (Connect): tcp connect error: Connection refused",
                &format!("ERROR: ListBackupVaults {SOURCE}: client error (Connect): "),
                "Help: check the network, the Region us-east-1 (--region), the proxy",
            ],
        ),
        (
            "",
            without_backup("nonsense"),
            &[&format!(
                "ERROR: ListBackupVaults {SOURCE}: the endpoint `nonsense` is no URL of a service: endpoint must contain \
                 scheme (ConnectionError)\n"
            )],
        ),
        (
            "--fault html:ListBackupVaults=1",
            LIST.to_owned(),
            &[
                ": the answer cannot be read: ",
                "Help: something else than AWS may have answered",
            ],
        ),
        (
            "--fault InternalFailure:ListBackupVaults=1",
            LIST.to_owned(),
            &["(InternalFailure, request id ", "Help: this is a fault of AWS"],
        ),
    ]);
}

#[test]
fn credentials_that_are_not_there_are_told_with_where_to_mend_it() {
    let without = "export AWS_SHARED_CREDENTIALS_FILE=/none";
    assert_said(&[
        (
            "",
            format!("AWS_PROFILE=sourc {LIST}"),
            &[
                ": none are in the environment, in the AWS configuration files, ",
                "Help: AWS_PROFILE: the AWS configuration has no profile `sourc`; did you mean `source`?",
            ],
        ),
        (
            "",
            format!("{without}; printf '[default]\\nfoo\\n' > broken; AWS_CONFIG_FILE=broken {LIST}"),
            &[
                "Help: mend the AWS configuration files: could not parse profile file: error parsing broken on line 2: ",
            ],
        ),
        (
            "",
            format!("{without} AWS_CONFIG_FILE=/none; {LIST}"),
            &["Help: make a profile (aws configure sso), or set AWS_ACCESS_KEY_ID"],
        ),
        (
            "",
            format!("{without} AWS_CONFIG_FILE=/none AWS_ACCESS_KEY_ID=x; {LIST}"),
            &["Help: AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY"],
        ),
        (
            "--fault AccessDenied:AssumeRole=1",
            copy(""),
            &[
                "no AWS credentials for the destination account 987654321098: the role cannot be assumed: AssumeRole in \
                 us-east-1: ",
                "(AccessDenied, request id ",
                "Help: let the trust policy of the role name the identity",
            ],
        ),
    ]);
}

#[test]
fn an_option_that_the_environment_sets_is_named_by_its_variable() {
    let of = |option: &str, variable: &str| {
        format!("--{option} is set in the environment variable SHUFFLE_AWS_VAULTS_{variable}")
    };
    let after = format!(
        "{}; {}",
        of("created-after", "CREATED_AFTER"),
        of("created-before", "CREATED_BEFORE")
    );
    assert_said(&[
        (
            "",
            format!("export SHUFFLE_AWS_VAULTS_WORKERS=many; {}", copy("")),
            &[
                "invalid value 'many' for '--workers <NUM>': it must be a whole number from 1 to 50",
                &of("workers", "WORKERS"),
            ],
        ),
        (
            "",
            format!(
                "export SHUFFLE_AWS_VAULTS_CREATED_AFTER=2026-02-01 SHUFFLE_AWS_VAULTS_CREATED_BEFORE=2026-01-01; {}",
                copy("")
            ),
            &[&after],
        ),
        (
            "",
            format!(
                "export SHUFFLE_AWS_VAULTS_LIST_GRACE=x; shuffle-aws-vaults preflight {ACCOUNTS} --vault v1"
            ),
            &["Help: mend the environment variable SHUFFLE_AWS_VAULTS_LIST_GRACE, or unset it"],
        ),
        (
            "",
            copy("--dest-kms-key-arn key/1"),
            &["invalid value 'key/1' for '--dest-kms-key-arn <ARN>': it must be the ARN of a KMS key"],
        ),
    ]);
    let rig = Rig::new("--vault v1=1");
    let done = rig.run(&format!(
        "export SHUFFLE_AWS_VAULTS_WORKERS=99; {}",
        copy("--workers 77")
    ));
    assert!(done.stderr.contains("invalid value '77'"), "{}", done.stderr);
    assert!(!done.stderr.contains("environment variable"), "{}", done.stderr);
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_to_do() {
    let no_directory = "Help: check the path: the file, or the directory that it is to be in, does not exist";
    assert_said(&[
        (
            "",
            copy("--only-from none"),
            &["cannot read --only-from none: ", no_directory],
        ),
        (
            "",
            copy("--prices . --dry-run"),
            &["Help: name a file, not a directory"],
        ),
        (
            "",
            format!("printf 'v1,\\351\\n' > map; shuffle-aws-vaults copy {ACCOUNTS} --vault-map map"),
            &["--vault-map map: line 1: it is not UTF-8; save the file as UTF-8"],
        ),
        (
            "",
            copy("--summary-output none/s.json"),
            &["cannot write the summary none/s.json: No such file or directory (os error 2); check the path"],
        ),
        (
            "",
            copy("--state-file none/s.json"),
            &[
                "cannot create none/s.json.lock: ",
                "the directory none must exist",
            ],
        ),
        (
            "",
            format!("printf '{{\"format' > s.json; {}", copy("--state-file s.json")),
            &["Invalid JSON: s.json, line 1, column 8: EOF while parsing a string\n"],
        ),
        (
            "",
            format!("shuffle-aws-vaults verify {ACCOUNTS} --vault v1 --state-file none"),
            &[
                "there is no state file none\n",
                "Help: check the name; `shuffle-aws-vaults status`",
            ],
        ),
    ]);
}

#[test]
fn each_vault_that_is_missing_is_named_and_the_others_are_looked_at() {
    let rig = Rig::new("--vault production=2 --vault v2=2");
    let vaults = "--vault producton --vault v2 --vault elsewhere";
    let done = rig.run(&format!("shuffle-aws-vaults preflight {ACCOUNTS} {vaults}"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    for text in [
        "PROBLEM  source_vault (producton): the backup vault `producton` does not exist in account 123456789012, Region \
         us-east-1\n         Next: did you mean `production`? Or list the vaults with: ",
        "PROBLEM  source_vault (elsewhere): the backup vault `elsewhere` does not exist",
        "ok       source_vault (v2): about 2 recovery points, 2 to copy",
        "ok       destination_vault (v2): to be made",
        "Preflight: 2 problems, 0 warnings",
    ] {
        assert!(done.stdout.contains(text), "{text}: {}", done.stdout);
    }
    let done = rig.run(&format!("shuffle-aws-vaults copy {ACCOUNTS} {vaults}"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    for name in ["producton", "elsewhere"] {
        let text = format!("ERROR: the backup vault `{name}` does not exist");
        assert!(done.stderr.contains(&text), "{}", done.stderr);
    }
    assert_eq!(done.calls("StartCopyJob"), 0);
}

#[test]
fn a_destination_that_cannot_be_read_is_not_put_down_to_the_source() {
    let mut rig = Rig::new("--vault v1=2 --deny GetBackupVaultAccessPolicy");
    let seed = r#"{"vaults": [{"Account": "987654321098", "BackupVaultName": "v1", "RecoveryPoints": []}]}"#;
    let path = rig.write("seed.json", seed);
    rig.sim
        .extend(["--seed-file".to_owned(), path.display().to_string()]);
    let done = rig.run(&format!("shuffle-aws-vaults preflight {ACCOUNTS} --vault v1"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    let text = "PROBLEM  destination_vault (v1): Access denied when reading the access policy of v1 in the destination \
                account 987654321098, us-east-1: ";
    assert!(done.stdout.contains(text), "{}", done.stdout);
    assert!(!done.stdout.contains("PROBLEM  source_vault"), "{}", done.stdout);
}

#[test]
fn what_cannot_be_looked_for_is_told_with_what_it_may_cost() {
    let rig = Rig::new("--vault v1=2 --job-seconds 0.05 --deny ListCopyJobs");
    let done = rig.run(&copy(""));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let text = "cannot look for copy jobs that are under way already: what another run has just started may be copied \
                twice; add to the policies of the source identity: \
                {\"Effect\":\"Allow\",\"Action\":\"backup:ListCopyJobs\",\"Resource\":\"*\"}";
    assert!(done.stderr.contains(text), "{}", done.stderr);
    let done = rig.run("shuffle-aws-vaults simulate -- no-such-command");
    assert_eq!(done.code, 1, "{}", done.stderr);
    let text = "ERROR: cannot run no-such-command: No such file or directory (os error 2)\n  Help: check the command behind \
                `--`, and PATH\n";
    assert!(done.stderr.contains(text), "{}", done.stderr);
}
