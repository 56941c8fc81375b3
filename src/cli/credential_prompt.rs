//! Asking the operator at the terminal to renew credentials.

use std::io::{self, BufRead as _};

use tokio::sync::mpsc;

use crate::aws::CredentialPrompt;
use crate::report::{Console, sanitize};

/// Starts to answer requests, one after the other.
pub(super) fn start(console: Console) -> mpsc::Sender<CredentialPrompt> {
    let (sender, mut requests) = mpsc::channel::<CredentialPrompt>(1);
    // A thread of its own: it waits for the keyboard for as long as it takes.
    std::thread::spawn(move || {
        while let Some(request) = requests.blocking_recv() {
            console.line(&format!(
                "The credentials of the {} account {} are not accepted: {}\n\
                 Renew them in another terminal, then press Enter here (q and Enter to stop).\n\
                 To renew them: {}",
                request.side,
                request.account,
                sanitize(&request.problem),
                sanitize(&request.advice)
            ));
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line);
            let go_on = read.is_ok_and(|n| n > 0) && !line.trim().eq_ignore_ascii_case("q");
            // The run may have ended in the meantime.
            let _ = request.done.send(go_on);
        }
    });
    sender
}
