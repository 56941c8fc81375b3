use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{TimeDelta, Utc};

use super::*;
use crate::aws::vault_access::{DestVault, VaultSetup};
use crate::aws::{ApiError, BackupVault, CredentialsLife, ErrorClass, PassRole, RegionSettings, Role, Side};
use crate::copy::plan::{PlanTally, Tally};
use crate::domain::{AccountId, BackupVaultArn, BackupVaultName, IamRoleArn, Region};
use crate::vault_policy::Copier;

fn refused() -> ApiError {
    ApiError::for_test("DescribeGlobalSettings", ErrorClass::AccessDenied, false)
}

fn to_copy(kinds: &[(&str, usize)]) -> BTreeMap<String, Tally> {
    let tally = |points| Tally {
        points,
        ..Tally::default()
    };
    kinds
        .iter()
        .map(|(kind, points)| ((*kind).to_owned(), tally(*points)))
        .collect()
}

#[test]
fn what_cannot_be_read_is_a_warning_and_known_as_such() {
    let role: IamRoleArn = "arn:aws:iam::123456789012:role/r".parse().unwrap();
    let account: AccountId = "123456789012".parse().unwrap();
    let region = Region::us_east_1();
    let facts = RoleFacts {
        role: &role,
        account: &account,
        region: &region,
    };
    for finding in [
        cross_account_backup(&Err(refused())),
        cross_account_backup(&Ok(None)),
        region_settings((Side::Source, &region), &Err(refused()), &BTreeMap::new()),
        super::role(facts, Some(&Err(refused()))),
        pass_role(&role, "arn:aws:iam::123456789012:user/u", &Err(refused())),
        pass_role(
            &role,
            "u",
            &Ok(PassRole::Depends(vec!["aws:SourceIp".to_owned()])),
        ),
        source_keys(0, Some(&(2, refused()))),
    ] {
        assert!(
            !finding.is_known && finding.verdict == Verdict::Warning,
            "{finding:?}"
        );
        assert!(finding.next_step.is_some(), "{finding:?}");
    }
}

#[test]
fn roles_that_aws_backup_cannot_copy_with_are_told_apart() {
    let account: AccountId = "123456789012".parse().unwrap();
    let region = Region::us_east_1();
    let verdict = |arn: &str, answer: Option<Role>| {
        let role = IamRoleArn::from_aws(arn);
        let facts = RoleFacts {
            role: &role,
            account: &account,
            region: &region,
        };
        let finding = super::role(facts, Some(&Ok(answer)));
        (
            finding.verdict,
            finding.cause + &finding.next_step.unwrap_or_default(),
        )
    };
    let found = |trusts_backup| {
        Some(Role {
            arn: "arn:aws:iam::123456789012:role/r".to_owned(),
            trusts_backup,
        })
    };
    let good = "arn:aws:iam::123456789012:role/r";
    assert_eq!(verdict(good, found(true)).0, Verdict::Ok);
    for (arn, answer, wanted) in [
        (good, None, "aws iam create-role"),
        (
            good,
            found(false),
            "aws iam update-assume-role-policy --role-name r",
        ),
        (
            "arn:aws:iam::111122223333:role/r",
            found(true),
            "of account 111122223333",
        ),
        (
            "arn:aws:iam::123456789012:user/r",
            found(true),
            "not the ARN of an IAM role",
        ),
        (
            "arn:aws-cn:iam::123456789012:role/r",
            found(true),
            "partition aws-cn",
        ),
        ("r", found(true), "it is no ARN"),
    ] {
        let (verdict, text) = verdict(arn, answer);
        assert!(
            verdict == Verdict::Problem && text.contains(wanted),
            "{arn}: {text}"
        );
    }
}

#[test]
fn aws_copies_within_one_partition_only() {
    let region = |text: &str| text.parse::<Region>().unwrap();
    for (from, to, wanted) in [
        ("us-east-1", "eu-west-1", Verdict::Ok),
        ("us-gov-west-1", "us-gov-east-1", Verdict::Ok),
        ("us-east-1", "us-gov-west-1", Verdict::Problem),
        ("cn-north-1", "cn-northwest-1", Verdict::Problem),
    ] {
        assert_eq!(
            partition(&region(from), &region(to)).verdict,
            wanted,
            "{from} {to}"
        );
    }
}

#[test]
fn types_that_a_region_is_not_opted_in_to_are_named_with_the_command() {
    let region = Region::us_east_1();
    let settings = |opted_in: &[(&str, bool)], managed: &[(&str, bool)]| {
        let map = |all: &[(&str, bool)]| all.iter().map(|(kind, on)| ((*kind).to_owned(), *on)).collect();
        Ok(RegionSettings {
            opted_in: map(opted_in),
            fully_managed: map(managed),
        })
    };
    let look = |answer, kinds: &[(&str, usize)]| {
        region_settings((Side::Destination, &region), &answer, &to_copy(kinds))
    };
    let out = look(
        settings(&[("EBS", false), ("Storage Gateway", false)], &[]),
        &[("EBS", 1), ("Storage Gateway", 1)],
    );
    assert_eq!(out.verdict, Verdict::Warning);
    let next = out.next_step.unwrap();
    assert!(
        next.ends_with("--resource-type-opt-in-preference EBS=true,'Storage Gateway'=true"),
        "{next}"
    );
    // What is not copied, or not known to AWS, does not matter.
    assert_eq!(
        look(settings(&[("EBS", false)], &[]), &[("EFS", 1)]).verdict,
        Verdict::Ok
    );
    let tables = look(settings(&[], &[("DynamoDB", false)]), &[("DynamoDB", 1)]);
    assert!(tables.cause.contains("advanced features"), "{tables:?}");
}

#[test]
fn quotas_warn_above_their_number_and_not_at_it() {
    assert_eq!(vault_quota("v", 400_000, 600_000).verdict, Verdict::Ok);
    let full = vault_quota("v", 400_001, 600_000);
    assert!(
        full.verdict == Verdict::Warning && full.cause.contains("by default"),
        "{full:?}"
    );
    let verdicts = |kinds: &[(&str, usize)]| -> Vec<Verdict> {
        region_quotas("us-east-1", &to_copy(kinds))
            .iter()
            .map(|finding| finding.verdict)
            .collect()
    };
    assert_eq!(verdicts(&[("EFS", 5_000_000)]), []);
    assert_eq!(
        verdicts(&[("EBS", 100_000), ("EC2", 50_001)]),
        [Verdict::Ok, Verdict::Warning]
    );
}

#[test]
fn credentials_are_held_against_the_run() {
    let now = Utc::now();
    let life = CredentialsLife {
        ends_at: None,
        are_temporary_keys: false,
        are_renewable: true,
        advice: "do this".to_owned(),
    };
    let verdict = |life: CredentialsLife, hours| {
        credentials(Side::Source, &life, now, Duration::from_hours(hours)).verdict
    };
    let until = |hours, are_renewable| CredentialsLife {
        ends_at: Some(now + TimeDelta::hours(hours)),
        are_renewable,
        ..life.clone()
    };
    assert_eq!(verdict(life.clone(), 1000), Verdict::Ok);
    assert_eq!(verdict(until(1, true), 1000), Verdict::Ok);
    assert_eq!(verdict(until(3, false), 3), Verdict::Ok);
    assert_eq!(verdict(until(3, false), 4), Verdict::Warning);
    let keys = |hours| {
        let life = CredentialsLife {
            are_temporary_keys: true,
            are_renewable: false,
            ..life.clone()
        };
        verdict(life, hours)
    };
    assert_eq!((keys(1), keys(2)), (Verdict::Ok, Verdict::Warning));
}

#[test]
fn a_clock_that_is_off_is_said_to_be() {
    assert_eq!(clock(TimeDelta::zero()).verdict, Verdict::Ok);
    for (seconds, wanted) in [(600, "600 s behind"), (-600, "600 s ahead of")] {
        let finding = clock(TimeDelta::seconds(seconds));
        assert!(finding.cause.contains(wanted), "{finding:?}");
    }
}

#[test]
fn state_needs_room_for_a_document_and_more_for_its_journal() {
    let space = |free, points| Space {
        directory: "/s".into(),
        unwritable: None,
        free,
        points,
        journal: 64 << 20,
    };
    for (free, points, wanted) in [
        (None, 1, Verdict::Ok),
        (Some(0), 0, Verdict::Ok),
        (Some(599_999_999), 1_000_000, Verdict::Problem),
        (Some(600_000_000), 1_000_000, Verdict::Warning),
        (Some(1_268_000_000), 1_000_000, Verdict::Ok),
        (Some(3_600), 1, Verdict::Ok),
    ] {
        assert_eq!(
            state_directory(&space(free, points)).verdict,
            wanted,
            "{free:?} {points}"
        );
    }
    assert_eq!(room_for_state(&space(Some(0), 1)).verdict, Verdict::Warning);
    assert_eq!(room_for_state(&space(None, 1)).verdict, Verdict::Ok);
    let unwritable = Space {
        unwritable: Some("no".to_owned()),
        ..space(Some(u64::MAX), 1)
    };
    assert_eq!(state_directory(&unwritable).verdict, Verdict::Problem);
}

#[test]
fn a_policy_that_denies_is_a_problem_unless_under_a_condition() {
    let account: AccountId = "123456789012".parse().unwrap();
    let (role, vault) = (IamRoleArn::from_aws("r"), BackupVaultArn::from_aws("v"));
    let copier = Copier {
        account: &account,
        partition: "aws",
        role: &role,
        vault: &vault,
    };
    let name = BackupVaultName::from_aws("v1");
    let allow = r#"{"Effect":"Allow","Principal":"*","Action":"backup:*"}"#;
    let deny =
        |more: &str| format!(r#"{{"Effect":"Deny","Principal":"*","Action":"backup:*","Sid":"No"{more}}}"#);
    let verdict = |statements: &[&str]| {
        let text = format!(r#"{{"Statement":[{}]}}"#, statements.join(","));
        let dest = DestVault {
            vault: None,
            policy: Some(text),
        };
        let setup = VaultSetup {
            create: false,
            policy: None,
        };
        let facts = DestinationFacts {
            name: &name,
            dest: &dest,
            setup: &setup,
            is_left_alone: false,
            new_key: None,
        };
        let finding = policy(facts, copier);
        (finding.verdict, finding.cause)
    };
    assert_eq!(verdict(&[allow]).0, Verdict::Ok);
    let (denied, cause) = verdict(&[allow, &deny("")]);
    assert!(denied == Verdict::Problem && cause.contains("\"No\""), "{cause}");
    assert_eq!(
        verdict(&[allow, &deny(r#","Condition":{"Bool":{}}"#)]).0,
        Verdict::Warning
    );
    assert_eq!(verdict(&["1"]).0, Verdict::Problem);
}

#[test]
fn a_vault_without_anything_to_copy_is_warned_of() {
    let vault = BackupVault {
        name: BackupVaultName::from_aws("v"),
        arn: BackupVaultArn::from_aws("v"),
        recovery_points: 3,
        encryption_key_arn: None,
        locked: true,
        min_retention_days: Some(7),
        max_retention_days: None,
    };
    let mut tally = PlanTally::default();
    assert_eq!(source_vault(&vault, &tally).verdict, Verdict::Warning);
    tally.completed.points = 1;
    assert_eq!(source_vault(&vault, &tally).verdict, Verdict::Ok);
    assert_eq!(vault_lock(&vault, 0).verdict, Verdict::Ok);
    let lock = vault_lock(&vault, 2);
    assert!(
        lock.verdict == Verdict::Problem && lock.cause.contains("7 to any number of days"),
        "{lock:?}"
    );
}
