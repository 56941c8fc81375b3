//! Credentials that can be renewed in the middle of a run: once for all callers, from a fresh load
//! of the AWS configuration, and never of another account than the one that was asked for.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};
use chrono::{DateTime, Utc};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::credential_news::CredentialNews;
use super::error::{ApiError, ErrorClass};
use super::loading;
use super::operator::CredentialPrompt;
use super::origin::Origin;
use super::{Context, SideSettings};

/// Credentials are renewed this long before they expire, or a fifth of their life if that is less.
const EARLY: Duration = Duration::from_mins(2);
/// Renewals in a row that may fail before the operator is needed.
const MOST_RENEWALS: u32 = 3;
/// Time between renewals that fail.
const PAUSE: Duration = Duration::from_secs(1);
/// Time between looks for renewed credentials where nobody can be asked, or a tenth of the whole
/// wait if that is less.
const WAIT_STEP: Duration = Duration::from_secs(15);

/// What a caller whose credentials were rejected does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Send the call again.
    TryAgain,
    /// Give up: nobody renewed them.
    GiveUp,
}

/// The credentials of one side.
#[derive(Debug, Clone)]
pub(super) struct RenewableCredentials {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: SideSettings,
    profile: Option<String>,
    context: Context,
    /// What calls are signed with.
    current: RwLock<Credentials>,
    /// Held while renewing, so that one renewal serves all who wait.
    renewal: Mutex<Renewal>,
    /// The operation that was rejected last, until AWS accepts one of its calls again: what other
    /// operations are answered says nothing of it.
    in_trouble: RwLock<Option<&'static str>>,
}

/// How renewing goes.
#[derive(Debug, Default)]
struct Renewal {
    /// Number of the credentials in use.
    generation: u64,
    /// When they are to be renewed without having been rejected.
    renew_at: Option<SystemTime>,
    /// Renewals since AWS last accepted a call.
    failures: u32,
    /// When waiting for renewed credentials ends.
    deadline: Option<Instant>,
    /// Nobody renewed them: no caller waits once more.
    given_up: bool,
}

/// How long credentials last, and what comes after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsLife {
    /// When they end, as whoever gave them out says.
    pub ends_at: Option<DateTime<Utc>>,
    /// Whether they are keys with a session token in the environment: these end, and nothing says when.
    pub are_temporary_keys: bool,
    /// Whether this process can get others when they end.
    pub are_renewable: bool,
    /// What to do about it.
    pub advice: String,
}

impl RenewableCredentials {
    /// How long they last.
    pub(super) async fn life(&self) -> CredentialsLife {
        let origin = Origin::find(self.shared.profile.as_deref()).await;
        let current = self.shared.current();
        CredentialsLife {
            ends_at: current.expiry().map(DateTime::from),
            are_temporary_keys: origin == Origin::Environment && current.session_token().is_some(),
            are_renewable: origin.is_renewable(),
            advice: origin.advice(),
        }
    }

    /// Credentials that STS has accepted, which came from `profile` if one was named or found.
    pub(super) fn new(
        credentials: Credentials,
        settings: SideSettings,
        profile: Option<String>,
        context: Context,
    ) -> Self {
        let renewal = Renewal {
            renew_at: renew_at(credentials.expiry(), SystemTime::now()),
            ..Renewal::default()
        };
        Self {
            shared: Arc::new(Shared {
                settings,
                profile,
                context,
                current: RwLock::new(credentials),
                renewal: Mutex::new(renewal),
                in_trouble: RwLock::new(None),
            }),
        }
    }

    /// Number of the credentials in use, once no renewal is under way or due; a caller notes it
    /// before it sends. Renewing here, and not inside of the call, keeps a long renewal from looking
    /// like a time-out of the call, which would leave a start in doubt.
    ///
    /// # Errors
    /// If they were rejected and nobody renewed them.
    pub(super) async fn settled(&self, operation: &'static str) -> Result<u64, ApiError> {
        let shared = &self.shared;
        let mut renewal = shared.renewal.lock().await;
        if renewal.given_up {
            let text = format!("the {} credentials were not renewed", shared.settings.side);
            return Err(ApiError::local(
                operation,
                "NoCredentials",
                text,
                ErrorClass::Credentials,
            ));
        }
        if renewal.renew_at.is_some_and(|at| at <= SystemTime::now()) {
            match shared.load().await {
                Ok(fresh) => shared.replace(&mut renewal, fresh),
                Err(problem) => shared.renew_later(&mut renewal, &problem),
            }
        }
        Ok(renewal.generation)
    }

    /// AWS accepted them for an operation.
    pub(super) fn accepted(&self, operation: &'static str) {
        let trouble = &self.shared.in_trouble;
        if *trouble.read().unwrap_or_else(PoisonError::into_inner) == Some(operation) {
            *trouble.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// AWS rejected those of `generation`: renews them, or waits for somebody who does.
    pub(super) async fn rejected(&self, generation: u64, error: &ApiError) -> Next {
        let shared = &self.shared;
        let mut renewal = shared.renewal.lock().await;
        if renewal.given_up || shared.context.cancel.is_cancelled() {
            return Next::GiveUp;
        }
        if renewal.generation != generation {
            return Next::TryAgain;
        }
        tracing::warn!("Credential error detected: {}", error.code);
        if shared.is_new_trouble(error.operation) {
            renewal.failures = 0;
            renewal.deadline = None;
        }
        let mut problem = error.to_string();
        while renewal.failures < MOST_RENEWALS {
            if renewal.failures > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            renewal.failures += 1;
            tracing::info!("Refreshing credentials and retrying...");
            match shared.load().await {
                Ok(fresh) => {
                    shared.replace(&mut renewal, fresh);
                    return Next::TryAgain;
                }
                Err(failure) => {
                    problem = failure.to_string();
                    tracing::warn!(
                        "the {} credentials cannot be renewed: {problem}",
                        shared.settings.side
                    );
                }
            }
        }
        if let Some(fresh) = shared.await_renewal(&mut renewal, problem).await {
            shared.replace(&mut renewal, fresh);
            Next::TryAgain
        } else {
            renewal.given_up = true;
            Next::GiveUp
        }
    }
}

impl Shared {
    /// Notes that an operation was rejected; answers whether none was before.
    fn is_new_trouble(&self, operation: &'static str) -> bool {
        let mut trouble = self.in_trouble.write().unwrap_or_else(PoisonError::into_inner);
        trouble.replace(operation).is_none()
    }

    async fn load(&self) -> Result<Credentials, ApiError> {
        loading::renew(&self.settings, self.profile.as_deref()).await
    }

    fn replace(&self, renewal: &mut Renewal, fresh: Credentials) {
        renewal.renew_at = renew_at(fresh.expiry(), SystemTime::now());
        renewal.generation += 1;
        self.context.counters.renewal();
        let side = self.settings.side;
        let current = self.current();
        if (current.access_key_id(), current.session_token())
            == (fresh.access_key_id(), fresh.session_token())
        {
            tracing::info!("the {side} credentials were read again, and are still the same");
        } else {
            tracing::info!("the {side} credentials were renewed");
        }
        self.tell(CredentialNews::Renewed);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    fn current(&self) -> Credentials {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A renewal ahead of time failed: the old ones are used until AWS rejects them, which it may do
    /// later than our clock says.
    fn renew_later(&self, renewal: &mut Renewal, problem: &ApiError) {
        let now = SystemTime::now();
        let left = self.current().expiry().and_then(|at| at.duration_since(now).ok());
        renewal.renew_at = left.map(|left| now + (left / 4).clamp(PAUSE, WAIT_STEP));
        tracing::warn!(
            "the {} credentials expire soon and cannot be renewed yet: {problem}",
            self.settings.side
        );
    }

    /// After the last failed renewal: asks on a terminal, else looks again and again.
    async fn await_renewal(&self, renewal: &mut Renewal, problem: String) -> Option<Credentials> {
        let origin = Origin::find(self.profile.as_deref()).await;
        self.tell(CredentialNews::Needed {
            problem: problem.clone(),
            advice: origin.advice(),
        });
        let renewed = if !origin.is_renewable() {
            Err(problem)
        } else if self.context.prompts.is_some() {
            self.ask(problem, &origin).await
        } else {
            self.look_again(renewal, problem, &origin).await
        };
        renewed
            .inspect_err(|problem| {
                tracing::error!(
                    "the {} are gone: {problem}; {}, then run the command again, with --resume if a copy was under way",
                    self.name(),
                    origin.advice()
                );
            })
            .ok()
    }

    fn tell(&self, news: CredentialNews) {
        let SideSettings { side, account, .. } = &self.settings;
        self.context.listener.tell(*side, account, news);
    }

    /// Side, account and profile.
    fn name(&self) -> String {
        let SideSettings { side, account, .. } = &self.settings;
        match &self.profile {
            Some(profile) => format!("{side} credentials (account {account}, profile {profile})"),
            None => format!("{side} credentials (account {account})"),
        }
    }

    async fn ask(&self, mut problem: String, origin: &Origin) -> Result<Credentials, String> {
        let mut heard = self.context.operator.heard();
        while let Some(prompts) = &self.context.prompts {
            let prompt = |done| CredentialPrompt {
                side: self.settings.side,
                account: self.settings.account.clone(),
                problem: problem.clone(),
                advice: origin.advice(),
                done,
            };
            match self.context.operator.ask(prompts, heard, prompt).await {
                Some(answer) => heard = answer,
                None => break,
            }
            match self.load().await {
                Ok(fresh) => return Ok(fresh),
                Err(failure) => {
                    problem = failure.to_string();
                    tracing::warn!("the {} still do not work: {problem}", self.name());
                }
            }
        }
        Err(problem)
    }

    async fn look_again(
        &self,
        renewal: &mut Renewal,
        mut problem: String,
        origin: &Origin,
    ) -> Result<Credentials, String> {
        let wait = self.settings.credential_wait;
        let deadline = *renewal.deadline.get_or_insert_with(|| {
            tracing::warn!(
                "the {} do not work any more; waiting up to {} s for renewed ones: {}",
                self.name(),
                wait.as_secs_f64(),
                origin.advice()
            );
            Instant::now() + wait
        });
        let step = WAIT_STEP.min(wait / 10);
        while Instant::now() < deadline {
            tokio::time::sleep_until(deadline.min(Instant::now() + step)).await;
            match tokio::time::timeout_at(deadline + step, self.load()).await {
                Ok(Ok(fresh)) => return Ok(fresh),
                Ok(Err(failure)) => {
                    problem = failure.to_string();
                    tracing::debug!("the {} still do not work: {problem}", self.name());
                }
                Err(_) => break,
            }
        }
        Err(problem)
    }
}

/// When credentials are to be renewed without a rejection. Those that our clock takes for expired
/// when they are new, or that tell no end, are used until AWS rejects them: the clock may be wrong.
fn renew_at(expiry: Option<SystemTime>, now: SystemTime) -> Option<SystemTime> {
    let expiry = expiry?;
    let left = expiry.duration_since(now).ok().filter(|left| !left.is_zero())?;
    Some(expiry - EARLY.min(left / 5))
}

impl ProvideCredentials for RenewableCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Ok(self.shared.current()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_renewed_before_their_end_but_not_at_once() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let after = |seconds: u64| Some(now + Duration::from_secs(seconds));
        assert_eq!(renew_at(after(3600), now), after(3480));
        assert_eq!(renew_at(after(10), now), after(8));
        assert_eq!(renew_at(None, now), None);
        assert_eq!(renew_at(Some(now), now), None);
        assert_eq!(renew_at(Some(now - Duration::from_mins(1)), now), None);
    }
}
