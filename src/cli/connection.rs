//! From options to clients: Regions, identities, and what the operator is told of them.

use std::sync::Arc;
use std::time::Duration;

use super::args::{ConnectionArgs, DestArgs, SourceArgs};
use crate::aws::{self, BackupClient, CallCounters, Context, SessionError, Side, SideSettings};
use crate::domain::{AccountId, IamRoleArn, Region};

/// What all clients of this process share, and where they go.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    context: Context,
    args: ConnectionArgs,
    region: Region,
}

impl Connections {
    /// Settles the Region (option, environment, profile, us-east-1) and says where calls go if not
    /// to AWS.
    pub(crate) async fn new(
        args: &ConnectionArgs,
        region: Option<Region>,
        source_profile: Option<&str>,
        context: Context,
    ) -> Self {
        let region = match region {
            Some(region) => Some(region),
            None => aws::default_region(source_profile).await,
        };
        if let Some(endpoint) = aws::custom_endpoint() {
            let kind = if endpoint.simulated {
                "simulated AWS"
            } else {
                "custom endpoint"
            };
            tracing::info!(
                "{kind} at {} is used instead of AWS (AWS_ENDPOINT_URL)",
                endpoint.shown()
            );
        }
        Self {
            context,
            args: args.clone(),
            region: region.unwrap_or_else(Region::us_east_1),
        }
    }

    /// The source Region.
    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// Counts of calls.
    pub(crate) fn counters(&self) -> &Arc<CallCounters> {
        &self.context.counters
    }

    /// The source account's client.
    ///
    /// # Errors
    /// If the identity is not the account's.
    pub(crate) async fn source(&self, args: &SourceArgs) -> Result<BackupClient, SessionError> {
        let settings = self.side(
            Side::Source,
            &args.source_account,
            self.region.clone(),
            args.source_profile.clone(),
            args.source_role_arn.clone(),
        );
        Box::pin(aws::connect(settings, self.context.clone())).await
    }

    /// The destination account's client.
    ///
    /// # Errors
    /// If the identity is not the account's.
    pub(crate) async fn destination(&self, args: &DestArgs) -> Result<BackupClient, SessionError> {
        let settings = self.side(
            Side::Destination,
            &args.dest_account,
            self.dest_region(args),
            args.dest_profile.clone(),
            args.dest_role_arn.clone(),
        );
        Box::pin(aws::connect(settings, self.context.clone())).await
    }

    /// The destination Region.
    pub(crate) fn dest_region(&self, args: &DestArgs) -> Region {
        args.dest_region.clone().unwrap_or_else(|| self.region.clone())
    }

    fn side(
        &self,
        side: Side,
        account: &AccountId,
        region: Region,
        profile: Option<String>,
        role_arn: Option<IamRoleArn>,
    ) -> SideSettings {
        SideSettings {
            side,
            account: account.clone(),
            region,
            profile,
            role_arn,
            external_id: self.args.external_id.clone(),
            role_session_name: self.args.role_session_name.clone(),
            connect_timeout: Duration::from_secs_f64(self.args.connect_timeout),
            read_timeout: Duration::from_secs_f64(self.args.read_timeout),
            credential_wait: Duration::from_secs_f64(self.args.credential_wait * 60.0),
            list_workers: usize::from(self.args.list_workers),
        }
    }
}
