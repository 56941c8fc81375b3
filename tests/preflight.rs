//! What copies depend on is looked at before they begin: by `preflight`, and in short by `copy`.

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

use common::findings::{assert_nothing_changed, checks, copy, not_fine, preflight};
use common::{Rig, side_by_side};

const CLEAN: &str = "--vault v1=30 --resources 10 --job-seconds 0.02-0.05";

#[test]
fn accounts_that_are_ready_have_no_finding_and_nothing_is_changed() {
    let done = Rig::new(CLEAN).run(&format!(
        "{}; code=$?; ls -A; exit $code",
        preflight("").replace("--output json", "")
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_nothing_changed(&done);
    let lines: Vec<&str> = done.stdout.lines().collect();
    let (last, findings) = lines.split_last().unwrap();
    // No state directory either.
    assert_eq!(*last, "Preflight: 0 problems, 0 warnings", "{}", done.stdout);
    assert!(
        findings.iter().all(|line| line.starts_with("ok ")),
        "{}",
        done.stdout
    );
    for check in [
        "endpoint",
        "identity (source)",
        "identity (destination)",
        "clock",
        "cross_account_backup",
        "credentials (source)",
        "region_settings (source us-east-1)",
        "region_settings (destination us-east-1)",
        "role",
        "pass_role",
        "source_vault (v1)",
        "destination_vault (v1)",
        "vault_policy (v1)",
        "source_keys",
        "state_directory",
    ] {
        assert!(
            findings
                .iter()
                .any(|line| line[9..].starts_with(&format!("{check}: "))),
            "{check}: {}",
            done.stdout
        );
    }
}

#[test]
fn a_copy_looks_with_a_handful_of_calls_and_not_at_all_if_there_is_nothing_to_copy() {
    let rig = Rig::new("--vault v1=3000 --vault v2=500 --job-seconds 0.01-0.02");
    let both = copy("--vault v2 --max-in-flight 500 --workers 50");
    let done = rig.run(&format!("{both} && {both}"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(3500);
    for (operation, wanted) in [
        ("DescribeGlobalSettings", 1),
        ("DescribeRegionSettings", 2),
        ("GetRole", 1),
        ("SimulatePrincipalPolicy", 1),
        ("DescribeKey", 0),
    ] {
        assert_eq!(done.calls(operation), wanted, "{operation}");
    }
    assert!(
        !done.stderr.contains("WARNING") && !done.stderr.contains("not looked at"),
        "{}",
        done.stderr
    );
}

/// A problem of each kind that a simulator's option makes: found by `preflight`, and by `copy` before anything is
/// changed; and what the copies would have failed with.
#[test]
fn each_problem_is_found_before_anything_is_changed() {
    let cases = [
        (
            "--without cross-account-backup",
            "",
            "cross_account_backup",
            "update-global-settings",
            "cross_account_opt_in",
        ),
        (
            "--without pass-role",
            "",
            "pass_role",
            "\"iam:PassedToService\":\"backup.amazonaws.com\"",
            "role",
        ),
        (
            "--absent-role AWSBackupDefaultServiceRole",
            "",
            "role",
            "aws iam create-role",
            "role",
        ),
        (
            "",
            "--iam-role-arn arn:aws:iam::111122223333:role/elsewhere",
            "role",
            "a role of the source account",
            "role",
        ),
    ];
    side_by_side(cases, |(sim, options, check, next, cause)| {
        let rig = Rig::new(&format!("{CLEAN} {sim}"));
        let looked = rig.run(&preflight(options));
        assert_eq!(looked.code, 1, "{}", looked.stderr);
        assert_eq!(
            not_fine(&looked),
            [(check.to_owned(), "problem".to_owned(), true)],
            "{}",
            looked.stdout
        );
        assert_nothing_changed(&looked);
        let found = checks(&looked);
        let found = found
            .iter()
            .find(|finding| finding["result"] == "problem")
            .unwrap();
        let (said, to_do) = (
            found["cause"].as_str().unwrap(),
            found["next_step"].as_str().unwrap(),
        );
        assert!(to_do.contains(next), "{found}");

        for dry in ["--dry-run", ""] {
            let done = rig.run(&copy(&format!("{dry} {options}")));
            assert_eq!(done.code, 1, "{}", done.stderr);
            assert_nothing_changed(&done);
            assert!(
                done.stderr.contains(said) && done.stderr.contains(to_do),
                "{}",
                done.stderr
            );
            assert_eq!(
                done.stdout.contains("To copy: 30"),
                !dry.is_empty(),
                "{}",
                done.stdout
            );
            assert_eq!(
                done.stderr.contains("--skip-preflight"),
                dry.is_empty(),
                "{}",
                done.stderr
            );
        }
        for on in ["--skip-preflight", "--try-all"] {
            let done = rig.run(&copy(&format!("{on} {options} --summary-output s.json")));
            assert_eq!(done.code, 1, "{}", done.stderr);
            assert!(done.calls("StartCopyJob") > 0, "{}", done.stderr);
            let summary = common::json(&rig.path("s.json"));
            let failed = summary["failure_groups"][0]["cause"].as_str().unwrap();
            assert!([cause, "access_denied"].contains(&failed), "{summary:#}");
            assert_eq!(done.stderr.contains(said), on == "--try-all", "{}", done.stderr);
        }
    });
}

#[test]
fn what_may_not_be_read_stops_nothing() {
    let denied = [
        "DescribeGlobalSettings",
        "DescribeRegionSettings",
        "GetRole",
        "SimulatePrincipalPolicy",
        "DescribeKey",
    ];
    let deny: Vec<String> = denied
        .iter()
        .map(|operation| format!("--deny {operation}"))
        .collect();
    let sim = format!(
        "--vault v1=30 --types EBS --job-seconds 0.02-0.05 {}",
        deny.join(" ")
    );
    let key = "--dest-kms-key-arn arn:aws:kms:us-east-1:987654321098:key/k";
    let looked = Rig::new(&sim).run(&preflight(key));
    assert_eq!(looked.code, 0, "{}", looked.stderr);
    let found = not_fine(&looked);
    assert!(
        found
            .iter()
            .all(|(_, result, known)| result == "warning" && !known),
        "{found:?}"
    );
    let names: Vec<&str> = found.iter().map(|(check, ..)| check.as_str()).collect();
    for check in [
        "cross_account_backup",
        "region_settings",
        "role",
        "pass_role",
        "vault_key",
        "source_keys",
    ] {
        assert!(names.contains(&check), "{check}: {names:?}");
    }
    let done = Rig::new(&sim).run(&copy(key));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(
        done.stderr
            .matches("not looked at, because it cannot be read")
            .count(),
        1,
        "{}",
        done.stderr
    );
    // That of the keys of the points, which is for the plan.
    assert_eq!(done.stderr.matches("WARNING").count(), 1, "{}", done.stderr);
}

#[test]
fn warnings_are_told_and_stop_nothing() {
    let rig = Rig::new(&format!("{CLEAN} --types EFS,S3 --opted-out S3,EBS"));
    let looked = rig.run(&preflight(""));
    assert_eq!(looked.code, 0, "{}", looked.stderr);
    let found = not_fine(&looked);
    assert_eq!(
        found,
        vec![("region_settings".to_owned(), "warning".to_owned(), true); 2]
    );
    let done = rig.run(&copy(""));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let told = done.stderr.matches("not opted in: S3").count();
    assert_eq!(told, 2, "{}", done.stderr);
    assert!(
        done.stderr.contains("--resource-type-opt-in-preference S3=true"),
        "{}",
        done.stderr
    );
}

#[test]
fn what_keeps_a_plan_from_being_made_is_a_finding_too() {
    let cases = [
        ("--vault nope", "source_vault", "does not exist"),
        ("--source-account 111122223333", "identity", "111122223333"),
        ("--dest-account 111122223333", "identity", "111122223333"),
    ];
    for (options, check, said) in cases {
        let line = preflight("");
        let line = match options.split_once(' ').unwrap() {
            ("--source-account", id) => line.replace("123456789012", id),
            ("--dest-account", id) => line.replace("987654321098", id),
            _ => format!("{line} {options}"),
        };
        let done = Rig::new(CLEAN).run(&line);
        assert_eq!(done.code, 1, "{options}: {}", done.stderr);
        let found = not_fine(&done);
        assert_eq!(
            found,
            [(check.to_owned(), "problem".to_owned(), true)],
            "{options}: {}",
            done.stdout
        );
        assert!(done.stdout.contains(said), "{options}: {}", done.stdout);
    }
}

#[test]
fn each_form_has_each_finding() {
    let rig = Rig::new(CLEAN);
    let line = preflight("").replace("--output json", "--output");
    let done = rig.run(&format!(
        "{line} json > j; {line} ndjson > n; {line} csv > c; wc -l < n; wc -l < c"
    ));
    let count = common::json(&rig.path("j"))["checks"].as_array().unwrap().len();
    assert_eq!(
        done.stdout,
        format!("{count}\n{}\n", count + 1),
        "{}",
        done.stderr
    );
    let csv = std::fs::read_to_string(rig.path("c")).unwrap();
    assert!(
        csv.starts_with("check,subject,result,known,cause,next_step\nendpoint,,ok,true,"),
        "{csv}"
    );
    assert_eq!(common::json(&rig.path("j"))["ok"], true);
}

/// A session's ARN has its role's name and not its path, by which alone IAM knows it.
#[test]
fn the_policies_of_a_session_are_those_of_its_role() {
    for (role, roles_asked) in [("Migration", 1), ("service-role/AWSBackupDefaultServiceRole", 2)] {
        let rig = Rig::new(CLEAN);
        let done = rig.run(&preflight(&format!(
            "--source-role-arn arn:aws:iam::123456789012:role/{role}"
        )));
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(not_fine(&done), [], "{}", done.stdout);
        assert!(
            done.stdout.contains(":assumed-role/") && done.stdout.contains("may pass"),
            "{}",
            done.stdout
        );
        assert_eq!(done.calls("SimulatePrincipalPolicy"), roles_asked, "{role}");
        // Once for the role to be passed.
        assert_eq!(done.calls("GetRole"), roles_asked, "{role}");
    }
}

#[test]
fn credentials_that_end_too_soon_and_a_clock_that_is_off_are_warned_of() {
    // Thirty points of one resource, one after the other: hours.
    let rig = Rig::new("--vault v1=30 --resources 1 --job-seconds 0.01 --clock-skew 1200");
    let keys = r#"eval "$(curl -sf "$AWS_ENDPOINT_URL/_credentials?account=123456789012&form=env")""#;
    let done = rig.run(&format!("{keys}; {}", preflight("")));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let names: Vec<String> = not_fine(&done).into_iter().map(|(check, ..)| check).collect();
    assert_eq!(names, ["clock", "credentials"], "{}", done.stdout);
    assert!(
        done.stdout.contains("1200 s behind") || done.stdout.contains("1199 s behind"),
        "{}",
        done.stdout
    );
    // A run that is to end before that needs no better ones.
    let short = rig.run(&format!("{keys}; {}", preflight("--max-runtime-minutes 50")));
    let names: Vec<String> = not_fine(&short).into_iter().map(|(check, ..)| check).collect();
    assert_eq!(names, ["clock"], "{}", short.stdout);
}
