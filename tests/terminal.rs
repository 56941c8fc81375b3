//! What a person at a terminal sees: a real pseudo-terminal, and an emulator that keeps its screen.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_in_result,
    reason = "a test may fail"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::live::Sim;
use common::processes::{comes, send, until, wait};
use common::{ACCOUNTS, binary, side_by_side};
use pty_process::Size;
use pty_process::blocking::{Command, Pty};

const ROWS: u16 = 40;
const COLUMNS: u16 = 90;
const AT_MOST: Duration = Duration::from_millis(5500);

/// A program on a terminal.
struct Terminal {
    child: Child,
    pty: Arc<Pty>,
    screen: Arc<Mutex<vt100::Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
    hang_up: Arc<AtomicBool>,
    stand_still: Arc<AtomicBool>,
}

impl Terminal {
    fn copy(sim: &Sim, name: &str, more: &str) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(ROWS, COLUMNS)).unwrap();
        let arguments = format!("copy {ACCOUNTS} --vault v1 --poll-interval 0.2 {more}");
        let child = Command::new(binary())
            .args(arguments.split_whitespace())
            .env_clear()
            .envs(sim.env.iter().map(|(n, v)| (n, v)))
            .env("HOME", sim.home.path())
            .env("TERM", name)
            .current_dir(sim.home.path())
            .spawn(pts)
            .unwrap();
        let terminal = Self {
            child,
            pty: Arc::new(pty),
            screen: Arc::new(Mutex::new(vt100::Parser::default())),
            raw: Arc::default(),
            hang_up: Arc::default(),
            stand_still: Arc::default(),
        };
        terminal.emulate(ROWS, COLUMNS);
        terminal.read();
        terminal
    }

    /// Gives the emulator's screen a size.
    fn emulate(&self, rows: u16, columns: u16) {
        let (rows, columns) = (rows.try_into().unwrap(), columns.try_into().unwrap());
        self.screen.lock().unwrap().screen_mut().set_size(rows, columns);
    }

    /// Feeds the emulator for as long as the program writes.
    fn read(&self) {
        let pty = Arc::clone(&self.pty);
        let (screen, raw) = (Arc::clone(&self.screen), Arc::clone(&self.raw));
        let (hang_up, stand_still) = (Arc::clone(&self.hang_up), Arc::clone(&self.stand_still));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !hang_up.load(Ordering::SeqCst) {
                if stand_still.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
                // The end of the program is an error to a reader of its terminal.
                let Ok(n) = (&*pty).read(&mut buffer) else { return };
                raw.lock().unwrap().extend(&buffer[..n]);
                screen.lock().unwrap().process(&buffer[..n]);
            }
        });
    }

    fn types(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    fn resize(&self, columns: u16) {
        self.pty.resize(Size::new(ROWS, columns)).unwrap();
        self.emulate(ROWS, columns);
    }

    fn shows(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn until(&self, text: &str) {
        let shown = comes(|| self.shows().contains(text));
        assert!(shown, "no {text:?} in:\n{}", self.shows());
    }

    fn ends(&mut self, code: i32, at_most: Duration) {
        let (ended, took) = wait(&mut self.child, Duration::from_mins(1));
        // What it said last is still on its way.
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(ended, Some(code), "{}", self.shows());
        assert!(took <= at_most, "{took:?}:\n{}", self.shows());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It is gone, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ctrl_c_leaves_nothing_of_the_bar_on_the_screen() {
    let sim = Sim::start("--vault v1=60 --job-seconds 60");
    let mut terminal = Terminal::copy(&sim, "xterm-256color", "");
    terminal.until("and copy 60 recovery points");
    assert!(terminal.shows().trim_end().ends_with("[y/N]"));
    terminal.types("y\n");
    terminal.until("In Progress: 10");
    // The bar is drawn again and again, and stays where it is.
    std::thread::sleep(Duration::from_millis(2500));
    let screen = terminal.shows();
    assert_eq!(screen.matches("Progress: [").count(), 1, "{screen}");
    terminal.types("\u{3}");
    terminal.ends(2, AT_MOST);
    let screen = terminal.shows();
    let after = screen
        .split_once("Starting copy operation...")
        .unwrap()
        .1
        .trim_start();
    assert!(after.starts_with("WARNING: Interrupted by a signal"), "{screen}");
    for left in ["Progress: [", "[ ", "^C"] {
        assert!(!after.contains(left), "{left}: {screen}");
    }
    assert!(after.contains("To go on, run:"), "{screen}");
}

#[test]
fn ctrl_c_at_the_question_starts_nothing() {
    side_by_side(["\u{3}", "n\n", "\n", "\u{4}"], |keys| {
        let sim = Sim::start("--vault v1=60 --job-seconds 60");
        let mut terminal = Terminal::copy(&sim, "xterm-256color", "");
        terminal.until("[y/N]");
        terminal.types(keys);
        let stopped = keys == "\u{3}";
        terminal.ends(if stopped { 2 } else { 1 }, AT_MOST);
        let said = if stopped {
            "interrupted before anything was started"
        } else {
            "nothing was copied"
        };
        assert!(terminal.shows().contains(said), "{}", terminal.shows());
        assert_eq!(sim.ledger()["calls"].get("CreateBackupVault"), None);
    });
}

#[test]
fn several_vaults_have_a_line_each() {
    let sim = Sim::start("--vault v1=5 --vault other-vault=40 --resources 40 --job-seconds 1");
    let mut terminal = Terminal::copy(&sim, "xterm-256color", "--vault other-vault --yes");
    // The emulator joins lines that are filled up.
    terminal.until("  v1             0% (0/5)");
    terminal.until("  other-vault    0% (0/40)");
    terminal.until("Vault v1 is done: 5 completed, 0 failed, 0 skipped (1 of 2 vaults)");
    terminal.until("  v1           100% (5/5)  ");
    assert_eq!(
        terminal.shows().matches("Progress: [").count(),
        1,
        "{}",
        terminal.shows()
    );
    terminal.ends(0, Duration::from_mins(1));
    let screen = terminal.shows();
    assert!(screen.contains("  Vault other-vault: 40 completed"), "{screen}");
    assert!(!screen.contains("v1           100%"), "the bar is gone: {screen}");
}

#[test]
fn a_terminal_may_have_any_size_and_change_it() {
    let sim = Sim::start("--vault v1=60 --job-seconds 0.5");
    let mut terminal = Terminal::copy(&sim, "xterm-256color", "--yes");
    terminal.until("In Progress");
    for columns in [1, 20, 300, 2, COLUMNS] {
        terminal.resize(columns);
        std::thread::sleep(Duration::from_millis(400));
    }
    terminal.ends(0, Duration::from_mins(1));
    assert_eq!(sim.ledger()["copied_points"], 60);
    assert!(
        terminal.shows().contains("Success Rate: 100%"),
        "{}",
        terminal.shows()
    );
}

#[test]
fn a_terminal_that_goes_away_stops_the_run() {
    let sim = Sim::start("--vault v1=60 --job-seconds 60");
    let mut terminal = Terminal::copy(&sim, "xterm-256color", "--yes");
    terminal.until("In Progress: 10");
    let pty = Arc::downgrade(&terminal.pty);
    terminal.hang_up.store(true, Ordering::SeqCst);
    let (spare, _) = pty_process::blocking::open().unwrap();
    terminal.pty = Arc::new(spare);
    until("the terminal stays", || pty.strong_count() == 0);
    terminal.ends(2, AT_MOST);
    sim.assert_state_loads();
}

/// Ctrl-S, or a terminal program that hangs: nothing more is read.
#[test]
fn a_terminal_that_stands_still_holds_up_neither_the_run_nor_its_end() {
    let sim = Sim::start("--vault v1=60 --job-seconds 1");
    let mut terminal = Terminal::copy(&sim, "xterm-256color", "--yes --progress-interval 0.01");
    terminal.until("In Progress: 10");
    terminal.types("\u{13}");
    terminal.stand_still.store(true, Ordering::SeqCst);
    let started = || sim.ledger()["calls"]["StartCopyJob"].as_u64().unwrap();
    let before = started();
    until("nothing is started", || started() > before + 20);
    send("TERM", terminal.child.id());
    let (code, took) = wait(&mut terminal.child, Duration::from_mins(1));
    assert_eq!(code, Some(2));
    assert!(took <= AT_MOST, "{took:?}");
    sim.assert_state_loads();
}

#[test]
fn a_terminal_that_can_do_nothing_gets_plain_lines() {
    let sim = Sim::start("--vault v1=10 --job-seconds 0.2");
    let mut terminal = Terminal::copy(&sim, "dumb", "--yes");
    terminal.ends(0, Duration::from_mins(1));
    let raw = terminal.raw.lock().unwrap();
    let text = String::from_utf8_lossy(&raw);
    assert!(text.contains("Success Rate: 100%"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}
