//! The one place that talks to AWS: two identities, one client, one retry layer.
//!
//! Owns paging, time-outs, retries, error classification, credential renewal and the conversion of
//! the SDK's shapes into [`crate::domain`]. Nothing outside of this module names an SDK type.

mod backup;
mod clock;
mod convert;
mod counters;
mod credential_news;
mod credentials;
mod endpoint;
mod error;
mod keys;
mod listing;
mod loading;
mod operator;
mod origin;
mod profiles;
mod retry;
mod roles;
mod session;
pub mod throttle;
pub mod vault_access;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use backup::{BackupClient, BackupVault, CopyJobFilter, RegionSettings, StartCopyJob, StartedCopyJob};
pub use clock::AwsClock;
pub use counters::{CallCounters, CallTotals};
pub use credential_news::{CredentialListener, CredentialNews};
pub use credentials::CredentialsLife;
pub use endpoint::{CustomEndpoint, custom_endpoint};
pub use error::{ApiError, ErrorClass, SessionError};
pub use keys::KmsKey;
pub use operator::{CredentialPrompt, Operator};
pub use roles::{PassRole, Role};
pub use session::{connect, default_region};

use crate::domain::{AccountId, IamRoleArn, Region};

/// One of the two accounts of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The account that the recovery points are in.
    Source,
    /// The account that they are copied to.
    Destination,
}

impl Side {
    /// As the command line's options begin: `source`, `dest`.
    pub fn option_prefix(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "dest",
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

/// How one account is reached.
#[derive(Debug, Clone)]
pub struct SideSettings {
    /// Which one it is.
    pub side: Side,
    /// The account that the identity must belong to.
    pub account: AccountId,
    /// The Region that is called.
    pub region: Region,
    /// AWS profile, if one was named.
    pub profile: Option<String>,
    /// Role to assume on top of the profile or the default chain.
    pub role_arn: Option<IamRoleArn>,
    /// External id for that role.
    pub external_id: Option<String>,
    /// Session name for that role.
    pub role_session_name: Option<String>,
    /// Time for a connection to be made.
    pub connect_timeout: Duration,
    /// Time for an answer to begin, and to go on.
    pub read_timeout: Duration,
    /// How long expired credentials are awaited where nobody can be asked.
    pub credential_wait: Duration,
    /// Calls at a time that read one list.
    pub list_workers: usize,
}

/// What all clients of a process share.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Counts of calls, retries and throttles.
    pub counters: std::sync::Arc<CallCounters>,
    /// What answers told of AWS's clock.
    pub clock: std::sync::Arc<AwsClock>,
    /// Ends every call and every wait.
    pub cancel: CancellationToken,
    /// Where an operator can be asked for credentials; `None` off a terminal.
    pub prompts: Option<mpsc::Sender<CredentialPrompt>>,
    /// Who is told that credentials are needed, or were renewed.
    pub listener: CredentialListener,
    /// What that operator has answered.
    pub operator: std::sync::Arc<Operator>,
}
