use proptest::prelude::*;

use super::*;

fn header() -> PlanHeader {
    let (format, version) = PlanHeader::form();
    PlanHeader {
        format,
        version,
        created_by: "test".into(),
        created_at: DateTime::UNIX_EPOCH,
        endpoint: Endpoint::Simulated,
        source_account: "123456789012".parse().unwrap(),
        dest_account: "987654321098".parse().unwrap(),
        region: Region::us_east_1(),
        dest_region: Region::us_east_1(),
        iam_role_arn: "arn:aws:iam::123456789012:role/r".parse().unwrap(),
        retention: "source".into(),
        selection: "all".into(),
        min_remaining_days: None,
        include_expired: false,
        try_all: false,
        skip_dest_setup: false,
        dest_kms_key_arn: None,
        no_reconcile: false,
        force_recopy: false,
        vaults: Vec::new(),
    }
}

fn point(number: usize) -> PlanPoint {
    PlanPoint {
        backup_vault_name: BackupVaultName::from_aws("v1"),
        recovery_point_arn: RecoveryPointArn::from_aws(&format!(
            "arn:aws:ec2:us-east-1::snapshot/snap-{number}"
        )),
        resource_arn: ResourceArn::from_aws("arn:aws:ec2:us-east-1:123456789012:volume/vol-1"),
        resource_type: "EBS".into(),
        creation_date: DateTime::UNIX_EPOCH,
        backup_size_bytes: Some(1),
        lifecycle: Some(Lifecycle::default()),
    }
}

fn text(points: usize) -> Vec<u8> {
    let mut text = Vec::new();
    write(&header(), (0..points).map(point), &mut text).unwrap();
    text
}

#[expect(clippy::unwrap_in_result, reason = "what has failed then is the test")]
fn read(text: &[u8]) -> Result<PlanFile, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    PlanFile::read(file.path()).map_err(|error| error.to_string())
}

#[test]
fn what_is_written_is_read() {
    for count in [0, 1, 3] {
        let plan = read(&text(count)).unwrap();
        assert!(
            plan.describe()
                .starts_with(&format!("the {count} points of the plan "))
        );
        let vault = BackupVaultName::from_aws("v1");
        for number in 0..5 {
            let arn = point(number).recovery_point_arn;
            assert_eq!(plan.has(&vault, &arn), number < count);
            assert_eq!(
                plan.has_with(&vault, &arn, Some(&Lifecycle::default())),
                number < count
            );
            assert!(!plan.has_with(&vault, &arn, None));
            assert!(!plan.has(&BackupVaultName::from_aws("v2"), &arn));
        }
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_or_changed_is_none() {
    let whole = text(3);
    for length in 0..whole.len() - 1 {
        let problem = read(&whole[..length]).unwrap_err();
        assert!(
            problem.contains("cut off") || problem.contains("no plan") || problem.contains("no point"),
            "{problem}"
        );
    }
    let changed = String::from_utf8(whole.clone())
        .unwrap()
        .replace("snap-1", "snap-9");
    assert!(read(changed.as_bytes()).unwrap_err().contains("was changed"));
    let lines: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
    let less = [lines[0], lines[1], lines[3], lines[4]].concat();
    assert!(read(&less).unwrap_err().contains("was changed"));
    let newer = String::from_utf8(whole)
        .unwrap()
        .replace("\"version\":1", "\"version\":2");
    assert!(
        read(newer.as_bytes()).unwrap_err().contains("version")
            || read(newer.as_bytes()).unwrap_err().contains("form")
    );
    assert!(
        read(b"{}\n")
            .unwrap_err()
            .contains("line 1, column 2: it is no plan")
    );
}

proptest! {
    #[test]
    fn whatever_a_file_holds_it_is_this_plan_or_none(at in 0..2000_usize, byte: u8, rest in prop::option::of("\\PC{0,40}")) {
        let whole = text(3);
        let mut changed = whole.clone();
        let at = at % changed.len();
        changed[at] = byte;
        if let Some(rest) = rest {
            changed.truncate(at);
            changed.extend_from_slice(rest.as_bytes());
        }
        // The end of the last line says nothing.
        let is_same = changed == whole || changed.trim_ascii_end() == whole.trim_ascii_end();
        if !is_same {
            prop_assert!(read(&changed).is_err(), "{}", String::from_utf8_lossy(&changed));
        }
    }
}
