//! The copy engine: what to start when, and the one loop that does it.

pub mod event;
pub mod failure;
pub mod retention;
pub mod scheduler;
pub mod stop;
pub mod window;
