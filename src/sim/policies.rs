//! Access policies of vaults, and what they mean for copies.

use serde_json::Value;

use super::types::Vault;

const COPY: &str = "backup:CopyIntoBackupVault";

/// Whether a vault's access policy lets an account copy into it. Conditions are not evaluated: a
/// statement that has one does not count.
pub(super) fn lets_in(vault: &Vault, account: &str) -> bool {
    let policy = vault.policy.as_deref();
    let Some(policy) = policy.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return false;
    };
    let statements = match policy.get("Statement") {
        Some(Value::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let has = |effect: &str| {
        let mut all = statements.iter();
        all.any(|s| s.get("Effect").and_then(Value::as_str) == Some(effect) && applies(s, vault, account))
    };
    has("Allow") && !has("Deny")
}

fn applies(statement: &Value, vault: &Vault, account: &str) -> bool {
    let is_principal = |p: &str| p == "*" || p == account || p.split(':').nth(4) == Some(account);
    let names = |kind: Option<&Value>| texts(kind.and_then(|p| p.get("AWS")).or(kind));
    let principal = match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (None, Some(others)) => !names(Some(others)).iter().any(|p| is_principal(p)),
        (principal, _) => names(principal).iter().any(|p| is_principal(p)),
    };
    let is_copy = |a: &String| fits(&a.to_ascii_lowercase(), &COPY.to_ascii_lowercase());
    let action = match (statement.get("Action"), statement.get("NotAction")) {
        (None, Some(others)) => !texts(Some(others)).iter().any(is_copy),
        (action, _) => texts(action).iter().any(is_copy),
    };
    let resource = match statement.get("Resource") {
        None => true,
        resource => texts(resource).iter().any(|r| fits(r, &vault.arn)),
    };
    principal && action && resource && statement.get("Condition").is_none()
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// Whether a text is of a pattern in which `*` is any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(head) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match left.split_once(piece) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_are_any_text() {
        for (pattern, text, wanted) in [
            ("*", "x", true),
            ("backup:copy*", "backup:copyintobackupvault", true),
            ("backup:*vault", "backup:copyintobackupvault", true),
            ("*copy*into*", "backup:copyintobackupvault", true),
            ("backup:delete*", "backup:copyintobackupvault", false),
            ("backup", "backup:copyintobackupvault", false),
        ] {
            assert_eq!(fits(pattern, text), wanted, "{pattern}");
        }
    }
}
