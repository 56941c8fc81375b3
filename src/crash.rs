//! Named places at which a debug build can be made to die, or its disk to fail, so that tests can
//! do so at every single one. A release build has none of it.
//!
//! - `SHUFFLE_AWS_VAULTS_CRASH_AT=K` kills the process at the K-th point that it reaches,
//!   `=NAME:N` when NAME is reached for the N-th time: no unwinding, no destructors.
//! - `SHUFFLE_AWS_VAULTS_FAIL_WRITE_AT=K` fails the K-th and every later write to the program's
//!   files; `SHUFFLE_AWS_VAULTS_FAIL_WRITE_KIND=enospc|eio|erofs` says as what.
//! - `SHUFFLE_AWS_VAULTS_FAIL_LOCK=1` fails locking as a file system without locks does.

use std::io;

/// A place after a step that must not be lost or done twice: kills the process if its time has come.
pub fn point(name: &'static str) {
    if cfg!(debug_assertions) {
        armed::point(name);
    }
}

/// A place before something is written, renamed or removed.
///
/// # Errors
/// If the disk is to fail.
pub fn write_fault(name: &'static str) -> io::Result<()> {
    if cfg!(debug_assertions) {
        armed::write_fault(name)
    } else {
        Ok(())
    }
}

/// The place before a lock is taken.
///
/// # Errors
/// If locks are to be unknown here.
pub fn lock_fault(name: &'static str) -> io::Result<()> {
    if cfg!(debug_assertions) {
        armed::lock_fault(name)
    } else {
        Ok(())
    }
}

mod armed {
    use std::collections::HashMap;
    use std::io::{self, Write as _};
    use std::sync::{LazyLock, Mutex, PoisonError};

    use rustix::io::Errno;

    /// When to strike.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) enum At {
        /// At the K-th place of all.
        Any(u64),
        /// When this place is reached for the N-th time.
        Named(String, u64),
    }

    /// What was asked for, and how often each place was reached.
    #[derive(Debug, Default)]
    pub(super) struct Plan {
        pub(super) at: Option<At>,
        all: u64,
        named: HashMap<&'static str, u64>,
    }

    impl Plan {
        fn from_environment(variable: &str) -> Self {
            let at = std::env::var(variable).ok().map(|text| {
                parse(&text).unwrap_or_else(|| {
                    say(&format!("{variable}={text} is neither a number nor NAME:N"));
                    std::process::abort()
                })
            });
            Self {
                at,
                ..Self::default()
            }
        }

        /// Counts a place: its number among all if its time has come or is past.
        pub(super) fn reached(&mut self, name: &'static str) -> Option<u64> {
            self.all += 1;
            let times = self.named.entry(name).or_insert(0);
            *times += 1;
            let due = match self.at.as_ref()? {
                At::Any(k) => self.all >= *k,
                At::Named(wanted, n) => wanted == name && *times >= *n,
            };
            due.then_some(self.all)
        }
    }

    pub(super) fn parse(text: &str) -> Option<At> {
        if let Some((name, times)) = text.split_once(':') {
            return Some(At::Named(name.to_owned(), times.parse().ok()?));
        }
        text.parse().ok().map(At::Any)
    }

    static CRASH: LazyLock<Mutex<Plan>> =
        LazyLock::new(|| Mutex::new(Plan::from_environment("SHUFFLE_AWS_VAULTS_CRASH_AT")));
    static WRITES: LazyLock<Mutex<(Plan, bool)>> =
        LazyLock::new(|| Mutex::new((Plan::from_environment("SHUFFLE_AWS_VAULTS_FAIL_WRITE_AT"), false)));

    pub(super) fn point(name: &'static str) {
        let mut plan = CRASH.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = plan.reached(name) {
            say(&format!("crash point {number} ({name}) struck"));
            // The lock is still held: no other thread passes a point before the process is gone.
            std::process::abort();
        }
    }

    pub(super) fn write_fault(name: &'static str) -> io::Result<()> {
        let mut guard = WRITES.lock().unwrap_or_else(PoisonError::into_inner);
        let (plan, struck) = &mut *guard;
        let number = plan.reached(name);
        if number.is_none() && !*struck {
            return Ok(());
        }
        if !*struck {
            *struck = true;
            say(&format!(
                "write fault {} ({name}) struck",
                number.unwrap_or_default()
            ));
        }
        let kind = std::env::var("SHUFFLE_AWS_VAULTS_FAIL_WRITE_KIND");
        Err(match kind.as_deref() {
            Ok("eio") => Errno::IO,
            Ok("erofs") => Errno::ROFS,
            _ => Errno::NOSPC,
        }
        .into())
    }

    pub(super) fn lock_fault(name: &'static str) -> io::Result<()> {
        if std::env::var_os("SHUFFLE_AWS_VAULTS_FAIL_LOCK").is_none() {
            return Ok(());
        }
        say(&format!("lock fault ({name}) struck"));
        Err(Errno::NOLCK.into())
    }

    fn say(text: &str) {
        // Nobody can be told that stderr is closed.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::armed::{At, Plan, parse};

    fn plan(text: &str) -> Plan {
        let mut plan = Plan::default();
        plan.at = parse(text);
        plan
    }

    #[test]
    fn a_number_counts_all_places_and_a_name_its_own() {
        assert_eq!(parse("3"), Some(At::Any(3)));
        assert_eq!(parse("x:2"), Some(At::Named("x".to_owned(), 2)));
        assert_eq!(parse("x"), None);
        let mut third = plan("3");
        assert_eq!(
            ["a", "b", "a", "b"].map(|name| third.reached(name)),
            [None, None, Some(3), Some(4)]
        );
        let mut named = plan("a:2");
        assert_eq!(
            ["a", "b", "a", "b"].map(|name| named.reached(name)),
            [None, None, Some(3), None]
        );
        assert_eq!(Plan::default().reached("a"), None);
    }
}
