//! What becomes of credentials, for those who report it.

use std::fmt;
use std::sync::Arc;

use super::Side;
use crate::domain::AccountId;

/// What has happened to the credentials of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialNews {
    /// They are not accepted and could not be renewed: somebody has to do something.
    Needed {
        /// What AWS, or what provides the credentials, said.
        problem: String,
        /// What renews them, as far as the configuration tells.
        advice: String,
    },
    /// There are new ones.
    Renewed,
}

type Listen = dyn Fn(Side, &AccountId, CredentialNews) + Send + Sync;

/// Who is told; nobody at first.
#[derive(Clone, Default)]
pub struct CredentialListener(Option<Arc<Listen>>);

impl CredentialListener {
    /// Tells `listen`, which must not wait.
    pub fn new(listen: impl Fn(Side, &AccountId, CredentialNews) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listen)))
    }

    /// Tells.
    pub(super) fn tell(&self, side: Side, account: &AccountId, news: CredentialNews) {
        if let Some(listen) = &self.0 {
            listen(side, account, news);
        }
    }
}

impl fmt::Debug for CredentialListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialListener").finish_non_exhaustive()
    }
}
