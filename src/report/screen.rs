//! Standard error as a file, and as the terminal that the bar is drawn on.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::TermLike;

/// Bytes handed to the system at once, so that it can be told whether the reader reads.
const CHUNK: usize = 4096;
/// Time between tries where somebody has made stderr non-blocking.
const FULL: Duration = Duration::from_millis(20);
/// Rows and columns of a terminal that does not tell its size.
const USUAL: (u16, u16) = (24, 80);

/// Standard error. A reader that has gone, or a terminal, is no reason to stop copying, so that
/// nothing here fails.
#[derive(Debug, Default)]
pub(super) struct Stderr {
    /// Grows with every write that it took.
    taken: AtomicU64,
}

impl Stderr {
    /// Writes all of it, or as much as can be written at all.
    pub(super) fn write(&self, mut text: &[u8]) {
        let mut stderr = io::stderr();
        while !text.is_empty() {
            let chunk = text.get(..CHUNK).unwrap_or(text);
            match stderr.write(chunk) {
                Ok(n) if n > 0 => {
                    text = text.get(n..).unwrap_or_default();
                    self.taken.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(FULL),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// A number that grows for as long as somebody reads.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// The terminal. The library's own keeps what it could not write for ever, and its errors, once the
/// terminal has gone, may end the program.
#[derive(Debug)]
pub(super) struct Screen {
    stderr: Arc<Stderr>,
    drawing: Mutex<String>,
}

impl Screen {
    /// Where the bar is drawn; `None` where stderr is no terminal.
    pub(super) fn new(stderr: &Arc<Stderr>) -> Option<Self> {
        io::stderr().is_terminal().then(|| Self {
            stderr: Arc::clone(stderr),
            drawing: Mutex::default(),
        })
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "the library asks for results, and nothing here fails"
    )]
    fn draw(&self, text: &str) -> io::Result<()> {
        self.drawing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(text);
        Ok(())
    }

    fn step(&self, count: usize, direction: char) -> io::Result<()> {
        match count {
            0 => Ok(()),
            _ => self.draw(&format!("\u{1b}[{count}{direction}")),
        }
    }

    /// Rows of the terminal.
    pub(super) fn rows() -> u16 {
        Self::size().0
    }

    fn size() -> (u16, u16) {
        let size = console::Term::stderr().size_checked();
        size.filter(|(rows, columns)| *rows > 0 && *columns > 0)
            .unwrap_or(USUAL)
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        Self::size().1
    }

    fn height(&self) -> u16 {
        Self::size().0
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        self.step(count, 'A')
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        self.step(count, 'B')
    }

    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        self.step(count, 'C')
    }

    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        self.step(count, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.draw(text)?;
        self.draw("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draw(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw("\r\u{1b}[2K")
    }

    /// The bar's last line is filled up to the terminal's edge, where the `^C` that the terminal
    /// echoes at Ctrl-C would begin a new line, and the bar would be cleared one line too low. At
    /// the line's beginning it does no harm.
    fn flush(&self) -> io::Result<()> {
        let mut drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
        if !drawing.is_empty() {
            drawing.push('\r');
            self.stderr.write(drawing.as_bytes());
            drawing.clear();
        }
        Ok(())
    }
}
