//! Preflights, and what they found.

use serde_json::Value;

use super::{ACCOUNTS, Done};

pub fn preflight(more: &str) -> String {
    format!("shuffle-aws-vaults preflight {ACCOUNTS} --vault v1 --output json {more}")
}

pub fn copy(more: &str) -> String {
    format!("shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.05 {more}")
}

/// The findings of a preflight.
pub fn checks(done: &Done) -> Vec<Value> {
    let document: Value =
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", done.stderr));
    document["checks"].as_array().unwrap().clone()
}

/// Those of them that are not fine: check, result, known.
pub fn not_fine(done: &Done) -> Vec<(String, String, bool)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    checks(done)
        .iter()
        .filter(|finding| finding["result"] != "ok")
        .map(|finding| {
            assert!(
                finding["next_step"].as_str().is_some_and(|next| !next.is_empty()),
                "{finding}"
            );
            (
                text(&finding["check"]),
                text(&finding["result"]),
                finding["known"].as_bool().unwrap(),
            )
        })
        .collect()
}

pub fn assert_nothing_changed(done: &Done) {
    for operation in ["CreateBackupVault", "PutBackupVaultAccessPolicy", "StartCopyJob"] {
        assert_eq!(done.calls(operation), 0, "{operation}: {}", done.stderr);
    }
}
