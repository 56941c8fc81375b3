//! AWS Backup's nouns as typed values.
//!
//! Owns parsing and validation of everything that identifies something in AWS. Knows nothing of
//! the SDK, of files, of clocks or of the command line, so that every other module can build on it.

pub mod arn;
pub mod copy_job;
pub mod fingerprint;
pub mod ids;
pub mod recovery_point;
pub mod selection;
pub mod when;

pub use arn::{BackupVaultArn, IamRoleArn, RecoveryPointArn, ResourceArn};
pub use copy_job::{CopyJob, CopyJobState};
pub use fingerprint::{Fingerprint, Fingerprints};
pub use ids::{AccountId, BackupVaultName, CopyJobId, IdempotencyToken, Region};
pub use recovery_point::{Lifecycle, RecoveryPoint, RecoveryPointStatus, in_milliseconds};
