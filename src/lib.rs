//! Moves AWS Backup recovery points from one AWS account to another; see `docs/architecture.md`.

pub mod aws;
pub mod cli;
pub mod copy;
pub mod crash;
pub mod domain;
pub mod error;
pub mod metadata;
mod nearest;
pub mod preflight;
pub mod report;
pub mod sim;
pub mod state;
pub mod vault_policy;
pub mod verify;
