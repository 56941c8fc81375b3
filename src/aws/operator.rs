//! Asking the operator at the terminal to renew credentials: one question at a time for all sides.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, mpsc, oneshot};

use super::Side;
use crate::domain::AccountId;

/// Asks the operator to renew credentials outside of the program.
#[derive(Debug)]
pub struct CredentialPrompt {
    /// Which identity is gone.
    pub side: Side,
    /// Its account.
    pub account: AccountId,
    /// What AWS, or what provides the credentials, said.
    pub problem: String,
    /// What renews them, as far as the configuration tells.
    pub advice: String,
    /// Answered with `true` once the operator has renewed them, `false` to give up.
    pub done: oneshot::Sender<bool>,
}

/// Answers of the operator, shared by both sides, which may live on one login.
#[derive(Debug, Default)]
pub struct Operator {
    /// How often the operator has said that credentials were renewed.
    renewed: AtomicU64,
    /// Held while a question is open; true once the operator has said to stop.
    stop: Mutex<bool>,
}

impl Operator {
    /// How often the operator has said that credentials were renewed.
    pub(super) fn heard(&self) -> u64 {
        self.renewed.load(Ordering::Acquire)
    }

    /// Waits until the operator says that credentials were renewed, more often than was `heard`: at
    /// once if that was said to the other side while this one waited for its turn. `None` if the
    /// program is to stop.
    pub(super) async fn ask(
        &self,
        prompts: &mpsc::Sender<CredentialPrompt>,
        heard: u64,
        prompt: impl FnOnce(oneshot::Sender<bool>) -> CredentialPrompt,
    ) -> Option<u64> {
        let mut stop = self.stop.lock().await;
        if !*stop && self.heard() == heard {
            let (done, answer) = oneshot::channel();
            prompts.send(prompt(done)).await.ok()?;
            if answer.await.unwrap_or(false) {
                self.renewed.fetch_add(1, Ordering::AcqRel);
            } else {
                *stop = true;
            }
        }
        (!*stop).then(|| self.heard())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_answer_serves_both_sides_and_stop_is_for_good() {
        let (sender, mut asked) = mpsc::channel::<CredentialPrompt>(1);
        let operator = Operator::default();
        let ask = |side| {
            operator.ask(&sender, 0, move |done| CredentialPrompt {
                side,
                account: "123456789012".parse().unwrap(),
                problem: String::new(),
                advice: String::new(),
                done,
            })
        };
        let answer = async {
            asked.recv().await.unwrap().done.send(true).unwrap();
        };
        let (one, other, ()) = tokio::join!(ask(Side::Source), ask(Side::Destination), answer);
        assert_eq!((one, other), (Some(1), Some(1)));
        assert!(asked.try_recv().is_err(), "there was a second question");

        let again = |heard| {
            operator.ask(&sender, heard, |done| CredentialPrompt {
                side: Side::Source,
                account: "123456789012".parse().unwrap(),
                problem: String::new(),
                advice: String::new(),
                done,
            })
        };
        let stop = async {
            asked.recv().await.unwrap().done.send(false).unwrap();
        };
        let (stopped, ()) = tokio::join!(again(1), stop);
        assert_eq!(stopped, None);
        assert_eq!(again(1).await, None);
    }
}
