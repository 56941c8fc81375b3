//! The destination vault: there, and open to copies from the source account. Nothing is ever
//! overwritten: one statement is added to the access policy that stands.

use serde_json::{Value, json};
use thiserror::Error;

use super::backup::{BackupClient, BackupVault};
use super::error::ApiError;
use crate::crash;
use crate::domain::{AccountId, BackupVaultName};

const ACTION: &str = "backup:CopyIntoBackupVault";

/// What has to be done to a destination vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSetup {
    /// The vault as it is; `None` if it has to be created.
    pub vault: Option<BackupVault>,
    /// The whole new access policy; `None` if it need not be changed.
    pub new_policy: Option<String>,
}

impl VaultSetup {
    /// Whether there is anything to do.
    pub fn is_needed(&self) -> bool {
        self.vault.is_none() || self.new_policy.is_some()
    }
}

/// Why a destination vault cannot be made ready.
#[derive(Debug, Error)]
pub enum VaultSetupError {
    /// A call failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The policy that stands is not one that a statement can be added to.
    #[error("the access policy of the destination vault {vault} cannot be read: {problem}")]
    UnreadablePolicy {
        /// The vault.
        vault: BackupVaultName,
        /// What is wrong with it.
        problem: String,
    },
}

/// Finds out what has to be done; reads only.
///
/// # Errors
/// As the calls, and if the policy that stands cannot be understood.
pub async fn inspect(
    client: &BackupClient,
    name: &BackupVaultName,
    source: &AccountId,
) -> Result<VaultSetup, VaultSetupError> {
    let vault = client.describe_backup_vault(name).await?;
    let policy = match &vault {
        Some(_) => client.get_backup_vault_access_policy(name).await?,
        None => None,
    };
    let new_policy =
        merge_policy(policy.as_deref(), source, client.region().partition()).map_err(|problem| {
            VaultSetupError::UnreadablePolicy {
                vault: name.clone(),
                problem,
            }
        })?;
    Ok(VaultSetup { vault, new_policy })
}

/// Does it.
///
/// # Errors
/// As the calls.
pub async fn apply(
    client: &BackupClient,
    name: &BackupVaultName,
    encryption_key_arn: Option<&str>,
    setup: &VaultSetup,
) -> Result<(), ApiError> {
    if setup.vault.is_none() {
        client.create_backup_vault(name, encryption_key_arn).await?;
        crash::point("vault created");
        tracing::info!("created the backup vault {name} in account {}", client.account());
    }
    if let Some(policy) = &setup.new_policy {
        client.put_backup_vault_access_policy(name, policy).await?;
        crash::point("vault policy set");
        tracing::info!("the access policy of {name} now lets the source account copy into it");
    }
    Ok(())
}

/// The policy that lets `source` copy into the vault: `existing` with one more statement, or `None`
/// if it lets it already.
///
/// # Errors
/// If `existing` is not a policy document.
pub fn merge_policy(
    existing: Option<&str>,
    source: &AccountId,
    partition: &str,
) -> Result<Option<String>, String> {
    let mut policy: Value = match existing {
        None => json!({"Version": "2012-10-17", "Statement": []}),
        Some(text) => serde_json::from_str(text).map_err(|e| format!("it is not JSON: {e}"))?,
    };
    let root = format!("arn:{partition}:iam::{source}:root");
    let statements = policy
        .as_object_mut()
        .ok_or("it is not an object")?
        .entry("Statement")
        .or_insert_with(|| json!([]));
    if statements.is_object() {
        *statements = Value::Array(vec![statements.take()]);
    }
    let statements = statements
        .as_array_mut()
        .ok_or("`Statement` is neither an object nor a list")?;
    if statements.iter().any(|s| allows(s, source, &root)) {
        return Ok(None);
    }
    statements.push(json!({
        "Sid": format!("AllowCopyFrom{source}"),
        "Effect": "Allow",
        "Principal": {"AWS": root},
        "Action": ACTION,
        "Resource": "*"
    }));
    Ok(Some(policy.to_string()))
}

/// Whether a statement lets the whole source account copy into the vault, with no condition.
fn allows(statement: &Value, source: &AccountId, root: &str) -> bool {
    let has = |value: &Value, wanted: &dyn Fn(&str) -> bool| match value {
        Value::String(text) => wanted(text),
        Value::Array(list) => list.iter().filter_map(Value::as_str).any(wanted),
        _ => false,
    };
    let principal = statement.get("Principal").unwrap_or(&Value::Null);
    let principal = principal.get("AWS").unwrap_or(principal);
    let action = statement.get("Action").unwrap_or(&Value::Null);
    statement.get("Effect").and_then(Value::as_str) == Some("Allow")
        && statement.get("Condition").is_none()
        && has(principal, &|p| p == root || p == source.as_str() || p == "*")
        && has(action, &|a| {
            a.eq_ignore_ascii_case(ACTION) || a == "backup:*" || a == "*"
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> AccountId {
        "123456789012".parse().unwrap()
    }

    #[test]
    fn a_statement_is_added_and_the_others_stay() {
        let existing = r#"{"Version":"2012-10-17","Id":"x","Statement":{"Effect":"Deny","Principal":"*","Action":"backup:DeleteRecoveryPoint","Resource":"*"}}"#;
        let merged = merge_policy(Some(existing), &source(), "aws").unwrap().unwrap();
        let merged: Value = serde_json::from_str(&merged).unwrap();
        assert_eq!(merged["Id"], "x");
        assert_eq!(merged["Statement"][0]["Effect"], "Deny");
        assert_eq!(
            merged["Statement"][1]["Principal"]["AWS"],
            "arn:aws:iam::123456789012:root"
        );
        let again = merge_policy(Some(&merged.to_string()), &source(), "aws").unwrap();
        assert_eq!(again, None);
    }

    #[test]
    fn a_statement_under_a_condition_is_not_taken_for_granted() {
        let existing = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"backup:CopyIntoBackupVault","Condition":{}}]}"#;
        assert!(merge_policy(Some(existing), &source(), "aws").unwrap().is_some());
    }

    #[test]
    fn an_unreadable_policy_is_refused() {
        for bad in ["", "[]", r#"{"Statement":"x"}"#] {
            assert!(merge_policy(Some(bad), &source(), "aws").is_err(), "{bad}");
        }
    }
}
