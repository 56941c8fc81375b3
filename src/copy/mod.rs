//! The copy engine: what to start when, and the one loop that does it.

pub mod assumptions;
mod breaker;
mod call;
pub mod cost;
mod doubt;
pub mod driver;
mod durations;
pub mod eligibility;
mod engine;
pub mod event;
pub mod evidence;
pub mod failure;
mod failure_texts;
pub mod forecast;
pub mod job_times;
mod outcomes;
pub mod plan;
mod poller;
pub mod reconcile;
mod resource_queues;
pub mod retention;
pub mod run;
pub mod scheduler;
pub mod settle;
mod share;
#[cfg(test)]
mod simulation;
pub mod source_keys;
pub mod stop;
pub mod window;
