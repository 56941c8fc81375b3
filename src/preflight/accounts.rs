//! The accounts, their organization, their Regions' settings, and the role that AWS Backup copies with.

use std::collections::BTreeMap;

use serde_json::json;

use super::Finding;
use crate::aws::{ApiError, CustomEndpoint, PassRole, RegionSettings, Role, Side};
use crate::copy::plan::Tally;
use crate::domain::{AccountId, IamRoleArn, Region};

/// An identity that STS has confirmed.
pub fn identity(side: Side, account: &AccountId, identity: &str) -> Finding {
    Finding::ok("identity", format!("account {account} as {identity}")).of(side.to_string())
}

/// One that could not be had.
pub fn no_identity(side: Side, problem: String, next_step: String) -> Finding {
    Finding::problem("identity", problem, next_step).of(side.to_string())
}

/// Where calls go.
pub fn endpoint(custom: Option<&CustomEndpoint>) -> Finding {
    const CHECK: &str = "endpoint";
    match custom {
        None => Finding::ok(CHECK, "calls go to AWS"),
        Some(endpoint) if endpoint.simulated => {
            Finding::ok(CHECK, format!("a rehearsal: calls go to {}", endpoint.shown()))
        }
        Some(endpoint) => Finding::warning(
            CHECK,
            format!("calls go to {} instead of AWS", endpoint.shown()),
            "unset AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_BACKUP if that is not meant",
        ),
    }
}

/// AWS copies across accounts within one partition, and not at all in China (Developer Guide, "Creating backup
/// copies across AWS accounts").
pub fn partition(source: &Region, destination: &Region) -> Finding {
    const CHECK: &str = "regions";
    let (from, to) = (source.partition(), destination.partition());
    let route = format!("from {source} to {destination}");
    if from != to {
        let next = "choose a --dest-region of the same partition as --region";
        Finding::problem(
            CHECK,
            format!("{route}: AWS copies nothing from partition {from} to {to}"),
            next,
        )
    } else if from == "aws-cn" {
        let next = "AWS Backup has no copies across accounts in its China Regions; another way is needed";
        Finding::problem(
            CHECK,
            format!("{route}: AWS copies nothing across accounts there"),
            next,
        )
    } else {
        Finding::ok(CHECK, route)
    }
}

/// Cross-account backup is switched on by the organization's management account alone.
pub fn cross_account_backup(answer: &Result<Option<bool>, ApiError>) -> Finding {
    const CHECK: &str = "cross_account_backup";
    const BOTH: &str = "both accounts must be in one AWS organization with cross-account backup switched on; see AWS \
                        Backup's settings in its management account, or allow backup:DescribeGlobalSettings";
    match answer {
        Ok(Some(true)) => Finding::ok(CHECK, "switched on in the organization"),
        Ok(Some(false)) => Finding::problem(
            CHECK,
            "cross-account backup is switched off in the organization: AWS refuses every copy to another account",
            "in the organization's management account, run: aws backup update-global-settings --global-settings \
             isCrossAccountBackupEnabled=true",
        ),
        Ok(None) => Finding::unknown(CHECK, "AWS does not say whether it is switched on", BOTH),
        Err(error) => Finding::unknown(CHECK, format!("cannot be read: {error}"), BOTH),
    }
}

/// Types that are to be copied, by the settings of a Region of one side.
pub fn region_settings(
    (side, region): (Side, &Region),
    answer: &Result<RegionSettings, ApiError>,
    to_copy: &BTreeMap<String, Tally>,
) -> Finding {
    const CHECK: &str = "region_settings";
    let subject = format!("{side} {region}");
    let settings = match answer {
        Ok(settings) => settings,
        Err(error) => {
            return Finding::unknown(
                CHECK,
                format!("cannot be read: {error}"),
                format!("allow backup:DescribeRegionSettings to the {side} identity"),
            )
            .of(subject);
        }
    };
    let out: Vec<&str> = to_copy
        .keys()
        .map(String::as_str)
        .filter(|kind| settings.opted_in.get(*kind) == Some(&false))
        .collect();
    if !out.is_empty() {
        let wanted: Vec<String> = out.iter().map(|kind| format!("{}=true", quoted(kind))).collect();
        return Finding::warning(
            CHECK,
            format!(
                "not opted in: {}; AWS Backup does not protect these types there, and may refuse copies",
                out.join(", ")
            ),
            format!(
                "in the {side} account, run: aws backup update-region-settings --region {region} \
                 --resource-type-opt-in-preference {}",
                wanted.join(",")
            ),
        )
        .of(subject);
    }
    if to_copy.contains_key("DynamoDB") && settings.fully_managed.get("DynamoDB") == Some(&false) {
        return Finding::warning(
            CHECK,
            "AWS Backup's advanced features for DynamoDB are off; copies of tables to another account need them",
            format!(
                "in the {side} account, run: aws backup update-region-settings --region {region} \
                 --resource-type-management-preference DynamoDB=true"
            ),
        )
        .of(subject);
    }
    let kinds: Vec<&str> = to_copy.keys().map(String::as_str).collect();
    let cause = if kinds.is_empty() {
        "nothing to copy depends on them".to_owned()
    } else {
        format!("opted in: {}", kinds.join(", "))
    };
    Finding::ok(CHECK, cause).of(subject)
}

/// A name with blanks, as a shell takes it.
fn quoted(name: &str) -> String {
    shlex::try_quote(name).map_or_else(|_| name.to_owned(), std::borrow::Cow::into_owned)
}

/// The role of `--iam-role-arn`, and whose it has to be.
#[derive(Debug, Clone, Copy)]
pub struct RoleFacts<'a> {
    /// The role.
    pub role: &'a IamRoleArn,
    /// The source account.
    pub account: &'a AccountId,
    /// Its Region.
    pub region: &'a Region,
}

impl RoleFacts<'_> {
    /// Whether the ARN is that of a role which AWS may take.
    pub fn is_role(&self) -> bool {
        self.misshapen().is_none()
    }

    /// What is wrong with the ARN, if AWS takes no such role.
    fn misshapen(&self) -> Option<String> {
        let Some(parts) = self.role.parts() else {
            return Some("it is no ARN".to_owned());
        };
        if parts.service != "iam" || !parts.resource.starts_with("role/") {
            Some("it is not the ARN of an IAM role".to_owned())
        } else if parts.account != self.account.as_str() {
            Some(format!(
                "it is a role of account {}, and AWS Backup copies with a role of the source account {}",
                parts.account, self.account
            ))
        } else if parts.partition != self.region.partition() {
            Some(format!("it is a role of partition {}", parts.partition))
        } else {
            None
        }
    }
}

/// The role. `answer` is what IAM says of it, if it was asked.
pub fn role(facts: RoleFacts<'_>, answer: Option<&Result<Option<Role>, ApiError>>) -> Finding {
    const CHECK: &str = "role";
    let RoleFacts {
        role,
        account,
        region,
    } = facts;
    let name = role.as_str().rsplit('/').next().unwrap_or_default();
    if let Some(wrong) = facts.misshapen() {
        let example = IamRoleArn::default_for(region, account);
        let next = format!("give --iam-role-arn a role of the source account, such as {example}");
        return Finding::problem(CHECK, format!("{role}: {wrong}"), next);
    }
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    match answer {
        None => Finding::ok(CHECK, role.to_string()),
        Some(Ok(Some(found))) if found.trusts_backup => {
            Finding::ok(CHECK, format!("{role} trusts AWS Backup"))
        }
        Some(Ok(Some(_))) => Finding::problem(
            CHECK,
            format!("the trust policy of {role} does not name AWS Backup, which cannot assume it"),
            format!("run: aws iam update-assume-role-policy --role-name {name} --policy-document '{trust}'"),
        ),
        Some(Ok(None)) => Finding::problem(
            CHECK,
            format!("the role {role} does not exist in the source account"),
            format!(
                "name another with --iam-role-arn, open AWS Backup's console once, which makes its default role, or run: \
                 aws iam create-role --path /service-role/ --role-name {name} --assume-role-policy-document '{trust}' \
                 && aws iam attach-role-policy --role-name {name} --policy-arn \
                 arn:{}:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup",
                region.partition()
            ),
        ),
        Some(Err(error)) => Finding::unknown(
            CHECK,
            format!("whether {role} exists cannot be read: {error}"),
            "allow iam:GetRole on it to the source identity",
        ),
    }
}

/// Whether the source identity may pass the role to AWS Backup.
pub fn pass_role(role: &IamRoleArn, identity: &str, answer: &Result<PassRole, ApiError>) -> Finding {
    const CHECK: &str = "pass_role";
    let statement = json!({"Effect": "Allow", "Action": "iam:PassRole", "Resource": role.as_str(),
        "Condition": {"StringEquals": {"iam:PassedToService": "backup.amazonaws.com"}}});
    match answer {
        Ok(PassRole::Allowed) => Finding::ok(CHECK, format!("{identity} may pass {role} to AWS Backup")),
        Ok(PassRole::Denied(true)) => Finding::problem(
            CHECK,
            format!("a policy denies {identity} to pass {role} to AWS Backup: every start would be refused"),
            "take iam:PassRole of this role out of the statement with \"Effect\": \"Deny\", or use another identity",
        ),
        Ok(PassRole::Denied(false)) => Finding::problem(
            CHECK,
            format!("{identity} may not pass {role} to AWS Backup: every start would be refused"),
            format!("add this statement to its policies: {statement}"),
        ),
        Ok(PassRole::Depends(keys)) => Finding::unknown(
            CHECK,
            format!(
                "whether {identity} may pass {role} depends on {}",
                keys.join(", ")
            ),
            format!("make sure that its policies allow it: {statement}"),
        ),
        Err(error) => Finding::unknown(
            CHECK,
            format!("whether {identity} may pass {role} cannot be read: {error}"),
            format!("allow iam:SimulatePrincipalPolicy, or make sure that its policies have: {statement}"),
        ),
    }
}
