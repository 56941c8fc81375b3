//! The copy engine: what to start when, and the one loop that does it.

mod breaker;
pub mod driver;
mod durations;
pub mod eligibility;
pub mod event;
pub mod failure;
mod outcomes;
pub mod plan;
mod poller;
pub mod reconcile;
mod restore;
pub mod retention;
pub mod run;
pub mod scheduler;
mod start;
pub mod stop;
pub mod window;
