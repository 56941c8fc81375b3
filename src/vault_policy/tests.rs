use super::*;

const ROOT: &str = "arn:aws:iam::123456789012:root";

fn with<T>(work: impl FnOnce(Copier<'_>) -> T) -> T {
    let account = "123456789012".parse().unwrap();
    let role = "arn:aws:iam::123456789012:role/service-role/AWSBackupDefaultServiceRole"
        .parse()
        .unwrap();
    let vault = BackupVaultArn::from_aws("arn:aws:backup:us-east-1:987654321098:backup-vault:v1");
    work(Copier {
        account: &account,
        partition: "aws",
        role: &role,
        vault: &vault,
    })
}

fn merge(existing: Option<&str>) -> Result<Option<String>, String> {
    with(|copier| merged(existing, copier))
}

fn of(statement: &str) -> Access {
    let policy = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
    with(|copier| access(Some(&policy), copier)).unwrap()
}

#[test]
fn a_statement_is_added_and_not_a_letter_of_the_others_is_changed() {
    let deny =
        r#"{"Effect" : "Deny",  "Principal":"*","Action":"backup:DeleteRecoveryPoint","Resource":"*"}"#;
    for (statements, head, tail) in [
        (deny.to_owned(), format!("[{deny},"), "]"),
        (format!("[ {deny} ]"), format!("[ {deny},"), "]"),
        (format!("[{deny},\n{deny}\n]"), format!("[{deny},\n{deny},"), "]"),
        ("[]".to_owned(), "[".to_owned(), "]"),
    ] {
        let existing =
            format!("{{\"Statement\": {statements} ,\n \"Id\":\"x\", \"Version\":\"2008-10-17\"}}");
        let new = merge(Some(&existing)).unwrap().unwrap();
        let (before, after) = (
            format!("{{\"Statement\": {head}"),
            format!("{tail} ,\n \"Id\":\"x\", \"Version\":\"2008-10-17\"}}"),
        );
        let added = new
            .strip_prefix(&before)
            .and_then(|rest| rest.strip_suffix(&after));
        let added: Value = serde_json::from_str(added.unwrap_or_else(|| panic!("{new}"))).unwrap();
        assert_eq!(added["Principal"]["AWS"], ROOT);
        assert_eq!(added["Action"], ACTION);
        assert_eq!(
            merge(Some(&new)),
            Ok(None),
            "the second time there is nothing to do"
        );
    }
}

#[test]
fn a_policy_that_is_not_there_is_made() {
    let new = merge(None).unwrap().unwrap();
    assert_eq!(merge(Some(&new)), Ok(None));
    let new: Value = serde_json::from_str(&new).unwrap();
    assert_eq!(new["Version"], "2012-10-17");
    assert_eq!(new["Statement"].as_array().unwrap().len(), 1);
}

#[test]
fn a_sid_that_is_taken_is_not_used_again() {
    let mut policy = r#"{"Statement":{"Sid":"AllowCopyFrom123456789012","Effect":"Allow","Principal":"*","Action":"backup:CopyIntoBackupVault","Resource":"*","Condition":{}}}"#.to_owned();
    policy = merge(Some(&policy)).unwrap().unwrap();
    let value: Value = serde_json::from_str(&policy).unwrap();
    assert_eq!(value["Statement"][1]["Sid"], "AllowCopyFrom123456789012x2");
}

#[test]
fn every_shape_of_a_principal_and_an_action_is_read() {
    let allow = |principal: &str, action: &str, rest: &str| {
        of(&format!(
            r#"{{"Effect":"Allow","Principal":{principal},"Action":{action}{rest}}}"#
        ))
        .allowance
    };
    let root = format!("\"{ROOT}\"");
    let in_list = format!(r#"{{"AWS":["arn:aws:iam::111111111111:root",{root}]}}"#);
    let below = format!(r#"{{"AWS":{root}}}"#);
    let role = r#"{"AWS":"arn:aws:iam::123456789012:role/service-role/AWSBackupDefaultServiceRole"}"#;
    let copy = r#""backup:CopyIntoBackupVault""#;
    for (principal, action, rest, wanted) in [
        (r#""*""#, copy, "", Allowance::Yes),
        (r#"{"AWS":"*"}"#, copy, "", Allowance::Yes),
        (r#"{"AWS":"123456789012"}"#, copy, "", Allowance::Yes),
        (&root, copy, "", Allowance::Yes),
        (
            &below,
            r#"["backup:DescribeBackupVault","backup:copyintobackupvault"]"#,
            "",
            Allowance::Yes,
        ),
        (&in_list, r#""backup:Copy*""#, "", Allowance::Yes),
        (role, r#""*""#, "", Allowance::Yes),
        (
            &below,
            copy,
            r#","Resource":["arn:aws:backup:*:987654321098:backup-vault:v?"]"#,
            Allowance::Yes,
        ),
        (
            &below,
            copy,
            r#","Resource":"arn:aws:backup:us-east-1:987654321098:backup-vault:v2""#,
            Allowance::No,
        ),
        (
            &below,
            copy,
            r#","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#,
            Allowance::UnderCondition,
        ),
        (&below, r#""backup:CopyFromBackupVault""#, "", Allowance::No),
        (r#"{"Service":"*"}"#, copy, "", Allowance::No),
        (
            r#"{"AWS":"arn:aws:iam::123456789012:role/other"}"#,
            copy,
            "",
            Allowance::No,
        ),
        (
            r#"{"AWS":"arn:aws-cn:iam::123456789012:root"}"#,
            copy,
            "",
            Allowance::No,
        ),
        (r#"{"AWS":7}"#, copy, "", Allowance::No),
    ] {
        assert_eq!(
            allow(principal, action, rest),
            wanted,
            "{principal} {action} {rest}"
        );
    }
}

#[test]
fn a_denial_is_found_in_every_shape() {
    let denials = |rest: &str| {
        let access = of(&format!(
            r#"[{{"Effect":"Allow","Principal":"*","Action":"backup:CopyIntoBackupVault"}},{{"Effect":"Deny",{rest}}}]"#
        ));
        assert_eq!(access.allowance, Allowance::Yes);
        access.denials
    };
    let unconditional = |statement: &str| {
        vec![Denial {
            statement: statement.to_owned(),
            under_condition: false,
        }]
    };
    for (rest, wanted) in [
        (
            r#""Principal":"*","Action":"backup:*""#,
            unconditional("number 2"),
        ),
        (
            r#""Sid":"NoCopies","Principal":{"AWS":["123456789012"]},"Action":["backup:CopyIntoBackupVault"]"#,
            unconditional("\"NoCopies\""),
        ),
        (
            r#""NotPrincipal":{"AWS":"arn:aws:iam::987654321098:root"},"Action":"*""#,
            unconditional("number 2"),
        ),
        (
            r#""NotPrincipal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"*""#,
            Vec::new(),
        ),
        (
            r#""Principal":"*","NotAction":"backup:StartRestoreJob""#,
            unconditional("number 2"),
        ),
        (r#""Principal":"*","NotAction":["backup:Copy*"]"#, Vec::new()),
        (
            r#""Principal":"*","Action":"backup:DeleteRecoveryPoint""#,
            Vec::new(),
        ),
        (
            r#""Principal":"*","Action":"*","NotResource":"*:backup-vault:v1""#,
            Vec::new(),
        ),
    ] {
        assert_eq!(denials(rest), wanted, "{rest}");
    }
    let condition =
        r#""Principal":"*","Action":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}"#;
    assert!(denials(condition)[0].under_condition);
}

#[test]
fn what_is_no_policy_is_refused() {
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"Statement":"x"}"#,
        r#"{"Statement":[1]}"#,
        r#"{"Statement":[],"Statement":[]}"#,
    ] {
        assert!(merge(Some(bad)).is_err(), "{bad}");
    }
}

#[test]
fn the_difference_is_what_is_added() {
    let existing = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"backup:DeleteRecoveryPoint","Resource":"*"}}"#;
    let new = merge(Some(existing)).unwrap().unwrap();
    let shown = difference(Some(existing), &new);
    let removed: Vec<&str> = shown.lines().filter(|l| l.starts_with('-')).collect();
    assert!(removed.is_empty(), "{shown}");
    insta::assert_snapshot!(shown, @r#"
    @@ -6,4 +6,13 @@
           "Principal": "*",
           "Resource": "*"
    +    },
    +    {
    +      "Action": "backup:CopyIntoBackupVault",
    +      "Effect": "Allow",
    +      "Principal": {
    +        "AWS": "arn:aws:iam::123456789012:root"
    +      },
    +      "Resource": "*",
    +      "Sid": "AllowCopyFrom123456789012"
         }
       ],
    "#);
    let first = merge(None).unwrap().unwrap();
    let shown = difference(None, &first);
    assert!(shown.starts_with("@@ -0,0 +1,"), "{shown}");
    assert!(shown.lines().skip(1).all(|line| line.starts_with('+')), "{shown}");
}

#[test]
fn patterns_are_those_of_policies() {
    for (pattern, text, wanted) in [
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*bc", "abbc", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("a*", "b", false),
        ("", "a", false),
        ("a**", "a", true),
        ("abc", "ab", false),
    ] {
        assert_eq!(matches(pattern, text, false), wanted, "{pattern} {text}");
    }
}
