//! A stand-in for AWS Backup, STS, KMS and IAM on loopback, for rehearsals and tests.
//!
//! It shares no code and no types with the client under test, or a mistake would cancel out: it knows
//! AWS's wire format and behaviour from AWS's documents alone. `docs/simulator.md` says what is
//! implemented and where it deviates.

mod backup_api;
mod clock;
mod dispatch;
mod faults;
mod iam_api;
mod identity_api;
mod jobs;
mod kms_api;
mod ledger;
mod options;
mod policies;
mod reply;
mod request;
mod seed;
mod server;
mod service;
mod sts_api;
mod types;
mod world;

pub use faults::{FaultKind, FaultSpec};
pub use options::{Lack, MaxJobs, Options, Range, SeedVault};
pub use seed::SeedError;
pub use server::{Server, SimError};
pub use world::access_key;
