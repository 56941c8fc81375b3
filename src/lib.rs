//! Moves AWS Backup recovery points from one AWS account to another; see `docs/architecture.md`.

pub mod aws;
pub mod copy;
pub mod domain;
pub mod sim;
pub mod state;
