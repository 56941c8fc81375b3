//! The engine behind the `shuffle-aws-vaults` program. Internal: no stable interface.

pub mod copy;
pub mod domain;
pub mod state;
