//! Source and destination vaults.

use crate::aws::vault_access::{DestVault, VaultSetup};
use crate::aws::{ApiError, BackupVault, KmsKey};
use crate::copy::eligibility::{SkipReason, is_fully_managed_type};
use crate::copy::plan::PlanTally;
use crate::domain::{AccountId, BackupVaultName};
use crate::vault_policy::{self, Access, Copier};

use super::Finding;

/// Types to copy that need a vault under a key of the customer's: AWS Backup does not manage them fully.
/// `is_managed` may know more of types than this program does.
pub fn types_with_own_key(tally: &PlanTally, is_managed: impl Fn(&str) -> bool) -> Vec<String> {
    let kinds = tally.to_copy.keys();
    kinds
        .filter(|kind| !is_fully_managed_type(kind) && !is_managed(kind))
        .cloned()
        .collect()
}

/// The source vault and what is planned of it.
pub fn source_vault(vault: &BackupVault, tally: &PlanTally) -> Finding {
    const CHECK: &str = "source_vault";
    let to_copy = tally.to_copy_total().points;
    let cause = format!(
        "about {} recovery points, {to_copy} to copy, {} passed over",
        vault.recovery_points,
        tally.skipped_total()
    );
    let finding = if to_copy + tally.under_way.points + tally.completed.points > 0 {
        Finding::ok(CHECK, cause)
    } else {
        let next = "nothing of it is to be copied; see the reasons with: shuffle-aws-vaults copy --dry-run";
        Finding::warning(CHECK, cause, next)
    };
    finding.of(vault.name.as_str())
}

/// A vault that cannot be planned.
pub fn unusable_source_vault(vault: &str, problem: String, next_step: Option<String>) -> Finding {
    unusable("source_vault", vault, problem, next_step)
}

/// A vault whose destination cannot be read.
pub fn unusable_destination_vault(vault: &str, problem: String, next_step: Option<String>) -> Finding {
    unusable("destination_vault", vault, problem, next_step)
}

/// A vault whose destination has an access policy that cannot be worked with.
pub fn unusable_policy(vault: &str, problem: String, next_step: Option<String>) -> Finding {
    unusable("vault_policy", vault, problem, next_step)
}

fn unusable(check: &'static str, vault: &str, problem: String, next_step: Option<String>) -> Finding {
    let next = next_step.unwrap_or_else(|| "mend that, then run the command again".to_owned());
    Finding::problem(check, problem, next).of(vault)
}

/// A destination vault, as it is and as it is to be.
#[derive(Debug, Clone, Copy)]
pub struct DestinationFacts<'a> {
    /// Its name.
    pub name: &'a BackupVaultName,
    /// What is there.
    pub dest: &'a DestVault,
    /// What is to be done.
    pub setup: &'a VaultSetup,
    /// `--skip-dest-setup`.
    pub is_left_alone: bool,
    /// `--dest-kms-key-arn`.
    pub new_key: Option<&'a str>,
}

/// Whether the destination vault is there, or will be.
pub fn destination_vault(facts: DestinationFacts<'_>) -> Finding {
    const CHECK: &str = "destination_vault";
    let DestinationFacts {
        name, dest, new_key, ..
    } = facts;
    let finding = match &dest.vault {
        Some(vault) if name.as_str() == "Default" => Finding::warning(
            CHECK,
            format!(
                "{}: AWS's documents say that the default vault cannot be copied to",
                vault.arn
            ),
            "choose another --dest-vault",
        ),
        Some(vault) => Finding::ok(
            CHECK,
            format!("there, with about {} recovery points", vault.recovery_points),
        ),
        None if facts.is_left_alone => Finding::problem(
            CHECK,
            format!("the destination vault {name} does not exist, and --skip-dest-setup leaves it so"),
            format!(
                "leave out --skip-dest-setup, or run: aws backup create-backup-vault --backup-vault-name {name} \
                 --encryption-key-arn KEY"
            ),
        ),
        None => Finding::ok(
            CHECK,
            format!(
                "to be made, under {}",
                new_key.unwrap_or("AWS Backup's default key")
            ),
        ),
    };
    finding.of(name.as_str())
}

/// The access policy of the destination vault.
pub fn policy(facts: DestinationFacts<'_>, copier: Copier<'_>) -> Finding {
    const CHECK: &str = "vault_policy";
    let DestinationFacts {
        name, dest, setup, ..
    } = facts;
    let account = copier.account;
    let access = match vault_policy::access(dest.policy.as_deref(), copier) {
        Ok(access) => access,
        Err(problem) => {
            let next = "mend the policy, or copy with --skip-dest-setup";
            let finding = Finding::problem(CHECK, format!("it cannot be understood: {problem}"), next);
            return finding.of(name.as_str());
        }
    };
    let finding = match &setup.policy {
        change if !access.denials.is_empty() => kept_out(CHECK, facts, &access, account, change.is_some()),
        None => Finding::ok(CHECK, format!("it lets account {account} copy into the vault")),
        Some(change) if facts.is_left_alone => Finding::problem(
            CHECK,
            format!(
                "it does not let account {account} copy into the vault, and --skip-dest-setup leaves it so"
            ),
            format!(
                "leave out --skip-dest-setup, or run: aws backup put-backup-vault-access-policy --backup-vault-name \
                 {name} --policy '{}'",
                change.new
            ),
        ),
        Some(_) => Finding::ok(
            CHECK,
            format!("one statement is to be added, which lets account {account} copy into the vault"),
        ),
    };
    finding.of(name.as_str())
}

/// Statements that keep an account out, or may.
fn kept_out(
    check: &'static str,
    facts: DestinationFacts<'_>,
    access: &Access,
    account: &AccountId,
    is_incomplete: bool,
) -> Finding {
    let all: Vec<&str> = access
        .denials
        .iter()
        .map(|denial| denial.statement.as_str())
        .collect();
    let statements = all.join(" and ");
    if access.denials.iter().any(|denial| !denial.under_condition) {
        return Finding::problem(
            check,
            format!(
                "it keeps account {account} out: statement {statements} denies backup:CopyIntoBackupVault"
            ),
            format!(
                "take that account out of the statement; see: aws backup get-backup-vault-access-policy \
                 --backup-vault-name {}",
                facts.name
            ),
        );
    }
    let to_come = if is_incomplete {
        " (a statement that lets it in is still to be added)"
    } else {
        ""
    };
    Finding::warning(
        check,
        format!("statement {statements} may keep account {account} out, under a condition{to_come}"),
        "make sure that the condition is not met by these copies",
    )
}

/// A vault that is to be made without a key, for types that need one.
pub fn missing_key(name: &BackupVaultName, own_key: &[String]) -> Option<Finding> {
    (!own_key.is_empty()).then(|| {
        Finding::problem(
            "vault_key",
            format!(
                "the destination vault {name} does not exist, and a vault under the default key takes no recovery points \
                 of {}",
                own_key.join(", ")
            ),
            "name a customer managed KMS key of the destination account with --dest-kms-key-arn",
        )
        .of(name.as_str())
    })
}

/// The key of the destination vault, of those that have one or will: `answer` is what KMS says of it.
pub fn vault_key(
    facts: DestinationFacts<'_>,
    own_key: &[String],
    (arn, answer): (&str, &Result<KmsKey, ApiError>),
) -> Finding {
    const CHECK: &str = "vault_key";
    let DestinationFacts { name, dest, .. } = facts;
    let is_there = dest.vault.is_some();
    let finding = match answer {
        Err(error) if error.code == "NotFoundException" => Finding::problem(
            CHECK,
            format!("the key {arn} does not exist"),
            if is_there {
                "a vault keeps its key for ever: choose another --dest-vault"
            } else {
                "check --dest-kms-key-arn: it is a key of the destination account, in its Region"
            },
        ),
        Err(error) => Finding::unknown(
            CHECK,
            format!("who manages the key {arn} cannot be read: {error}"),
            "allow kms:DescribeKey on it to the destination identity",
        ),
        Ok(key) if !key.enabled => Finding::problem(
            CHECK,
            format!("the key {arn} is disabled or about to be deleted"),
            format!(
                "run, in the destination account: aws kms enable-key --key-id {}",
                key.arn
            ),
        ),
        Ok(key) if key.by_aws && !own_key.is_empty() => Finding::problem(
            CHECK,
            format!(
                "the destination vault {name} is under a key that AWS manages, and takes no recovery points of {}",
                own_key.join(", ")
            ),
            if is_there {
                "a vault keeps its key for ever: choose another --dest-vault, and a customer managed key for it with \
                 --dest-kms-key-arn"
            } else {
                "name a customer managed KMS key of the destination account with --dest-kms-key-arn"
            },
        ),
        Ok(key) if key.by_aws => Finding::ok(CHECK, "managed by AWS, which these types can do with"),
        Ok(key) => Finding::ok(CHECK, format!("{}, managed by the customer", key.arn)),
    };
    finding.of(name.as_str())
}

/// Keys of points to copy that are disabled or about to be deleted.
pub fn unusable_keys(keys: &[String]) -> Option<Finding> {
    let first = keys.first()?;
    Some(Finding::warning(
        "source_keys",
        format!(
            "disabled or about to be deleted, so that copies of their points fail: {}",
            keys.join(", ")
        ),
        format!("in the source account, run for each: aws kms enable-key --key-id {first}"),
    ))
}

/// Points under keys that AWS manages. `unknown`: keys that KMS does not say the manager of, and why.
pub fn source_keys(managed: usize, unknown: Option<&(usize, ApiError)>) -> Finding {
    const CHECK: &str = "source_keys";
    if managed > 0 {
        return Finding::warning(
            CHECK,
            format!(
                "{managed} recovery points are under keys that AWS manages, and cannot be copied to another account \
                 ({})",
                SkipReason::AwsManagedKey.as_str()
            ),
            "copy them within the source account first, to a vault under a customer managed key, which encrypts them anew; \
             then copy that vault",
        );
    }
    match unknown {
        Some((keys, error)) => Finding::unknown(
            CHECK,
            format!("who manages {keys} keys of the recovery points cannot be read: {error}"),
            "allow kms:DescribeKey on them to the source identity",
        ),
        None => Finding::ok(CHECK, "no recovery point to copy is under a key that AWS manages"),
    }
}

/// The lock of the destination vault, against the retention of each point.
pub fn vault_lock(vault: &BackupVault, outside: usize) -> Finding {
    const CHECK: &str = "vault_lock";
    let range = format!(
        "{} to {} days",
        vault.min_retention_days.unwrap_or(1),
        vault
            .max_retention_days
            .map_or_else(|| "any number of".to_owned(), |days| days.to_string())
    );
    let finding = if !vault.locked {
        Finding::ok(CHECK, "not locked")
    } else if outside == 0 {
        Finding::ok(CHECK, format!("it takes retentions of {range}, and all are"))
    } else {
        Finding::problem(
            CHECK,
            format!(
                "the lock of the destination vault {} takes retentions of {range}, and {outside} recovery points would \
                 have another",
                vault.name
            ),
            "choose a --retention within that range, or --try-all to let AWS decide",
        )
    };
    finding.of(vault.name.as_str())
}
