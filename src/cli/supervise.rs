//! What nothing can hold up: signals, deadlines and faults of the program itself.
//!
//! The work runs on threads of its own. The first thread only waits for its end, or for the moment
//! at which the process has to be gone, and then returns from `main`, which ends the process
//! whatever the other threads do: one may hang in a write to a terminal that stands still, or in a
//! sync of a disk that does not answer. The journal is whole at every moment, so nothing is lost.

use std::io;
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::copy::event::StopReason;
use crate::copy::stop::StopSource;
use crate::error::{AppError, Outcome};
use crate::report::Console;

/// The process is gone this long after the first signal, and after the runtime limit, at the
/// latest: 5 s, less the time that it takes to say so.
const STOP_LIMIT: Duration = Duration::from_millis(4900);
/// The same after the second signal: 100 ms.
const AT_ONCE: Duration = Duration::from_millis(60);
/// How long a reader of stderr may take nothing before the last lines are left unsaid.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same where the process has to be gone.
const NO_PATIENCE: Duration = Duration::from_millis(20);
/// The stack of the main thread, which debug builds need.
const STACK: usize = 8 << 20;

/// What is watched for while a command works.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// Where reasons to stop are raised.
    pub(super) stop: Arc<StopSource>,
    /// Where the last word is said.
    pub(super) console: Console,
    /// Whether the command stops by itself at a signal; the others die of it, like any program.
    pub(super) stops_at_signals: bool,
    /// Runtime limit, from now on.
    pub(super) runtime_limit: Option<Duration>,
}

/// How the work ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// By itself.
    Ended(Result<Outcome, AppError>),
    /// It did not end in time.
    Late(StopReason),
    /// By a fault of the program, which the panic hook has told of.
    Broken,
}

impl Supervisor {
    /// Runs `work` on a thread of its own until it ends or the process has to be gone.
    ///
    /// # Errors
    /// If the thread cannot be started or signals cannot be caught.
    pub(super) fn run<W>(&self, work: W) -> io::Result<Ending>
    where
        W: FnOnce() -> Result<Outcome, AppError> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.watch(work))
    }

    async fn watch<W>(&self, work: W) -> io::Result<Ending>
    where
        W: FnOnce() -> Result<Outcome, AppError> + Send + 'static,
    {
        let mut signals = if self.stops_at_signals {
            Signals::catch()?
        } else {
            Signals::default()
        };
        let (done, mut ended) = oneshot::channel();
        thread::Builder::new()
            .name("work".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                // Nobody waits for what comes too late.
                let _ = done.send(work());
            })?;
        let began = Instant::now();
        let limit = self.runtime_limit.and_then(|limit| began.checked_add(limit));
        let mut signalled = None;
        let mut at_once = None;
        loop {
            let (deadline, reason) = self.deadline(limit, signalled, at_once);
            let limit_ahead = limit.filter(|limit| Instant::now() < *limit);
            tokio::select! {
                biased;
                result = &mut ended => return Ok(match result {
                    Ok(result) => Ending::Ended(result),
                    Err(_) => Ending::Broken,
                }),
                () = signals.any() => match self.stop.signalled() {
                    StopReason::InterruptedAgain => {
                        at_once.get_or_insert(Instant::now());
                    }
                    _ => {
                        signalled.get_or_insert(Instant::now());
                    }
                },
                () = at(limit_ahead) => self.stop.raise(StopReason::RuntimeLimit),
                () = at(deadline) => {
                    // A run that has begun since may wait for its jobs.
                    let (latest, _) = self.deadline(limit, signalled, at_once);
                    if latest.is_some_and(|latest| latest <= Instant::now()) {
                        return Ok(Ending::Late(reason));
                    }
                }
            }
        }
    }

    /// When the process has to be gone, and why.
    fn deadline(
        &self,
        limit: Option<Instant>,
        signalled: Option<Instant>,
        at_once: Option<Instant>,
    ) -> (Option<Instant>, StopReason) {
        let drain = self.stop.drain().unwrap_or_default();
        let mut first = (None, StopReason::RuntimeLimit);
        for (from, time, reason) in [
            (limit, STOP_LIMIT, StopReason::RuntimeLimit),
            (
                signalled,
                STOP_LIMIT.saturating_add(drain),
                StopReason::Interrupted,
            ),
            (at_once, AT_ONCE, StopReason::InterruptedAgain),
        ] {
            let end = from.and_then(|from| from.checked_add(time));
            if end.is_some_and(|end| first.0.is_none_or(|sooner| end < sooner)) {
                first = (end, reason);
            }
        }
        first
    }

    /// Writes what is still to be said, for as long as somebody reads it. A signal cuts that short.
    pub(super) fn last_words(&self, ending: &Ending) {
        let stopped = self.stop.subscribe().borrow().is_some();
        let patience = match ending {
            Ending::Late(_) => NO_PATIENCE,
            _ if stopped => NO_PATIENCE.saturating_mul(10),
            Ending::Ended(_) | Ending::Broken => PATIENCE,
        };
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            // Whatever is lacking, why the program ends has to be read.
            self.console.written_within(patience);
            return;
        };
        runtime.block_on(async {
            let mut signals = match self.stops_at_signals.then(Signals::catch) {
                Some(Ok(signals)) => signals,
                _ => Signals::default(),
            };
            tokio::select! {
                () = self.console.written(patience) => {}
                () = signals.any() => {}
            }
        });
    }
}

/// The moment, or never.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// SIGINT, SIGTERM and SIGHUP.
#[derive(Debug, Default)]
pub(super) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
}

impl Signals {
    pub(super) fn catch() -> io::Result<Self> {
        // A request for a progress line that comes too early must not end the program.
        drop(signal(SignalKind::user_defined1())?);
        Ok(Self {
            interrupt: Some(signal(SignalKind::interrupt())?),
            terminate: Some(signal(SignalKind::terminate())?),
            hangup: if hangup_is_ignored() {
                None
            } else {
                Some(signal(SignalKind::hangup())?)
            },
        })
    }

    /// The next one.
    pub(super) async fn any(&mut self) {
        async fn next(signal: &mut Option<Signal>) {
            let came = match signal {
                Some(signal) => signal.recv().await,
                None => None,
            };
            if came.is_none() {
                std::future::pending::<()>().await;
            }
        }
        tokio::select! {
            () = next(&mut self.interrupt) => {}
            () = next(&mut self.terminate) => {}
            () = next(&mut self.hangup) => {}
        }
    }
}

/// Whether the program was started with SIGHUP ignored, as `nohup` does: it is to outlive its
/// terminal then. Known on Linux only.
fn hangup_is_ignored() -> bool {
    const HANGUP_BIT: u64 = 1;
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask & HANGUP_BIT != 0)
    })
}

/// A fault of the program is told in one line, wherever it happens.
pub(super) fn tell_of_faults(console: &Console) {
    let console = console.clone();
    std::panic::set_hook(Box::new(move |info| {
        let text = fault(info);
        if console.is_own_thread() {
            use io::Write as _;
            // Nobody can be told that stderr is closed.
            let _ = writeln!(io::stderr(), "{text}");
        } else {
            console.line(&text);
        }
    }));
}

/// Texts that were put together at run time are left out: nobody knows what is in them.
fn fault(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(
        || "unknown place".to_owned(),
        |at| format!("{}:{}", at.file(), at.line()),
    );
    let text = info.payload().downcast_ref::<&'static str>().copied();
    format!(
        "ERROR: a fault in this program, at {place}: {}\n  Help: the state on disk is whole, and --resume goes on \
         with it; please report this line and the output of --version (see \"Getting help\" in USER_GUIDE.md)",
        text.unwrap_or("its text is not shown, as it may hold secrets")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    fn supervisor(runtime_limit: Option<Duration>) -> Supervisor {
        Supervisor {
            stop: Arc::new(StopSource::new(CancellationToken::new())),
            console: Console::start(crate::report::LogFormat::Text).unwrap(),
            stops_at_signals: false,
            runtime_limit,
        }
    }

    #[test]
    fn work_that_hangs_is_left_soon_after_the_runtime_limit() {
        let began = std::time::Instant::now();
        let supervisor = supervisor(Some(Duration::from_millis(200)));
        let hangs = || {
            thread::sleep(Duration::from_mins(5));
            Ok(Outcome::Done)
        };
        let ending = supervisor.run(hangs).unwrap();
        assert!(
            matches!(ending, Ending::Late(StopReason::RuntimeLimit)),
            "{ending:?}"
        );
        let took = began.elapsed();
        assert!(took >= STOP_LIMIT && took < STOP_LIMIT * 2, "{took:?}");
        let raised = *supervisor.stop.subscribe().borrow();
        assert_eq!(raised, Some(StopReason::RuntimeLimit));
    }

    #[test]
    fn a_fault_ends_the_work_and_nobody_waits_for_ever() {
        let ending = supervisor(None).run(|| panic!("on purpose")).unwrap();
        assert!(matches!(ending, Ending::Broken), "{ending:?}");
    }

    #[test]
    fn what_the_work_answers_is_handed_on() {
        let ending = supervisor(None).run(|| Ok(Outcome::Child(7))).unwrap();
        assert!(
            matches!(ending, Ending::Ended(Ok(Outcome::Child(7)))),
            "{ending:?}"
        );
    }

    #[test]
    fn the_sooner_deadline_counts_and_a_run_may_wait_for_its_jobs() {
        let supervisor = supervisor(None);
        let now = Instant::now();
        let secs = Duration::from_secs;
        let of = |limit, signalled, at_once| supervisor.deadline(limit, signalled, at_once);
        assert_eq!(of(None, None, None).0, None);
        assert_eq!(
            of(None, Some(now), None),
            (Some(now + STOP_LIMIT), StopReason::Interrupted)
        );
        supervisor.stop.run_begins(secs(60));
        assert_eq!(of(None, Some(now), None).0, Some(now + STOP_LIMIT + secs(60)));
        assert_eq!(
            of(Some(now + secs(10)), Some(now), None),
            (Some(now + secs(10) + STOP_LIMIT), StopReason::RuntimeLimit)
        );
        assert_eq!(
            of(None, Some(now), Some(now)),
            (Some(now + AT_ONCE), StopReason::InterruptedAgain)
        );
    }
}
