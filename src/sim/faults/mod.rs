//! Faults on demand: what `--fault` can ask for, which call is hit, and how a broken answer is sent.

mod delivery;
mod errors;
mod plan;
mod rate;
mod spec;

pub(super) use delivery::{AnswerBody, CutOff, Delivery, send};
pub(super) use errors::{load_balancer_page, page, refusal};
pub(super) use plan::FaultPlan;
pub(super) use rate::CallRate;
pub use spec::{FaultKind, FaultSpec};
