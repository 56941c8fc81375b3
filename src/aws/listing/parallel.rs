//! The calls of a list: as many at a time as [`Windows`] allows, and their pages in order of arrival.

use std::future::Future;
use std::mem;
use std::ops::ControlFlow;
use std::panic;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::windows::Windows;
use super::{Listed, Window};
use crate::aws::counters::CallCounters;
use crate::aws::error::ApiError;

/// Time between calls that could be sent at once: else all their answers would come at once, and lie in
/// memory together, round after round.
const APART: Duration = Duration::from_millis(10);

/// One page of a list.
#[derive(Debug)]
pub(in crate::aws) struct Page<T> {
    /// What is on it.
    pub(in crate::aws) members: Vec<T>,
    /// Where the next one begins; `None` on the last.
    pub(in crate::aws) next_token: Option<String>,
}

/// How a list is read.
#[derive(Debug)]
pub(in crate::aws) struct Listing {
    /// Its operation.
    pub(in crate::aws) operation: &'static str,
    /// What is wanted of it.
    pub(in crate::aws) whole: Window,
    /// Calls at a time.
    pub(in crate::aws) workers: usize,
    /// The time by AWS's clock.
    pub(in crate::aws) now: DateTime<Utc>,
    /// Where throttled answers are counted.
    pub(in crate::aws) counters: Arc<CallCounters>,
}

impl Listing {
    /// Reads all pages. `fetch` is asked for one page of a window; `take` gets what is new, page by page,
    /// until it breaks. The next calls are under way while it works, and no more of them than there are
    /// workers: it holds them up if it is slow.
    ///
    /// # Errors
    /// As the calls, and if AWS repeats a page token.
    pub(in crate::aws) async fn read<T, F, Fut>(
        self,
        fetch: F,
        mut take: impl FnMut(Vec<T>) -> ControlFlow<()>,
    ) -> Result<(), ApiError>
    where
        T: Listed + Send + 'static,
        F: Fn(Window, Option<String>) -> Fut,
        Fut: Future<Output = Result<Page<T>, ApiError>> + Send + 'static,
    {
        let mut windows = Windows::new(self.operation, self.whole, self.workers, self.now.timestamp());
        let mut calls = JoinSet::new();
        let mut throttles = self.counters.throttles();
        let mut fresh = Vec::new();
        loop {
            let mut apart = Duration::ZERO;
            while let Some(ask) = windows.next() {
                let (call, wait) = (fetch(ask.window, ask.token.clone()), apart);
                calls.spawn(async move {
                    if !wait.is_zero() {
                        sleep(wait).await;
                    }
                    (ask, call.await)
                });
                apart += APART;
            }
            if !fresh.is_empty() && take(mem::take(&mut fresh)).is_break() {
                return Ok(());
            }
            let began = Instant::now();
            let (ask, answer) = match calls.join_next().await {
                None => return Ok(()),
                Some(Ok(done)) => done,
                Some(Err(error)) => match error.try_into_panic() {
                    Ok(fault) => panic::resume_unwind(fault),
                    Err(_) => return Err(ApiError::cancelled(self.operation, false)),
                },
            };
            windows.pace.waited(began.elapsed());
            let now = self.counters.throttles();
            if now > throttles {
                throttles = now;
                windows.pace.throttled();
            }
            match answer {
                Ok(page) => fresh = windows.page(&ask, page.members, page.next_token.as_deref())?,
                Err(error) => windows.failed(&ask, error)?,
            }
        }
    }
}
