//! Where text goes: data to stdout, everything else to stderr, log lines in the guide's form.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use super::args::{GlobalArgs, When};
use super::config::from_environment;
use super::repeats::Repeats;
use crate::error::AppError;
use crate::report::{Console, LogFormat, error_object, escape_controls, sanitize};

/// When the first of them was looked at, and warnings that were shown on the screen of late.
static REPEATS: LazyLock<(Instant, Mutex<Repeats>)> =
    LazyLock::new(|| (Instant::now(), Mutex::new(Repeats::default())));

/// Tells of warnings that came too often to be shown each time: those that are due, or all.
pub(crate) fn tell_repeats(console: &Console, all: bool) {
    let (began, repeats) = &*REPEATS;
    let mut repeats = repeats.lock().unwrap_or_else(PoisonError::into_inner);
    for line in repeats.untold(began.elapsed(), all) {
        console.line(&format!("WARNING: {line}"));
    }
}

/// Log lines of ours, by level. What libraries log below an error is never shown: at the finer
/// levels the AWS SDK writes requests and commands with secrets in them.
fn is_wanted(meta: &Metadata<'_>, level: Level) -> bool {
    let ours = meta.target().starts_with("shuffle_aws_vaults");
    *meta.level() <= if ours { level } else { Level::ERROR }
}

/// Whether stderr gets colours.
pub(crate) fn use_colour(when: When) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
                && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
        }
    }
}

/// Sends log lines to the console and, if asked, to a file.
///
/// # Errors
/// If the log file cannot be opened.
pub(crate) fn start_logging(global: &GlobalArgs, console: &Console) -> Result<(), AppError> {
    let level = match (global.quiet, global.verbose) {
        (true, _) => Level::ERROR,
        (_, true) => Level::DEBUG,
        _ => Level::INFO,
    };
    let screen = TextLine {
        stamped: stamped(global),
        folds: !global.verbose,
    };
    let screen = layer(
        global.log_format,
        use_colour(global.color),
        screen,
        console.writer(),
    )
    .with_filter(filter_fn(move |meta| is_wanted(meta, level)));
    let file = match &global.log_file {
        None => None,
        Some(path) => {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|e| AppError::io(format!("open the log file {}", path.display()), e))?;
            let file = LogFile {
                file,
                failed: AtomicBool::new(false),
                console: console.clone(),
            };
            let every_line = TextLine {
                stamped: true,
                folds: false,
            };
            let layer = layer(global.log_format, false, every_line, file);
            Some(layer.with_filter(filter_fn(|meta| is_wanted(meta, Level::DEBUG))))
        }
    };
    // A second start in one process can only come from tests; the first one stands.
    let _ = Registry::default().with(screen).with(file).try_init();
    Ok(())
}

/// On a terminal the reader knows when it is; in a log file or a CI job not.
fn stamped(global: &GlobalArgs) -> bool {
    global.verbose || !io::stderr().is_terminal()
}

fn layer<S, W>(format: LogFormat, colour: bool, line: TextLine, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        // They would go to stderr past the console, and end the program if that is closed.
        .log_internal_errors(false)
        .with_ansi(colour);
    match format {
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .map_event_format(JsonLine)
            .boxed(),
        LogFormat::Text => layer.event_format(line).boxed(),
    }
}

/// The file of `--log-file`. One that cannot be written is told of once, and is no reason to stop.
#[derive(Debug)]
struct LogFile {
    file: File,
    failed: AtomicBool,
    console: Console,
}

impl Write for &LogFile {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if let Err(error) = (&self.file).write_all(text)
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            self.console
                .line(&format!("WARNING: the log file cannot be written: {error}"));
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// JSON lines in which no control character stands as it is.
#[derive(Debug)]
struct JsonLine<F>(F);

impl<S, N, F> FormatEvent<S, N> for JsonLine<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        writeln!(writer, "{}", escape_controls(line.trim_end_matches('\n')))
    }
}

/// `WARNING: Transient error: Throttling (attempt 1/3) operation=ListCopyJobs`.
#[derive(Debug)]
struct TextLine {
    stamped: bool,
    /// Whether warnings that repeat are counted instead of shown.
    folds: bool,
}

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (name, colour) = match *event.metadata().level() {
            Level::ERROR => ("ERROR", anstyle::AnsiColor::Red),
            Level::WARN => ("WARNING", anstyle::AnsiColor::Yellow),
            Level::INFO => ("INFO", anstyle::AnsiColor::Green),
            Level::DEBUG => ("DEBUG", anstyle::AnsiColor::Blue),
            Level::TRACE => ("TRACE", anstyle::AnsiColor::Magenta),
        };
        let mut line = Line::default();
        event.record(&mut line);
        if self.folds && *event.metadata().level() == Level::WARN {
            let (began, repeats) = &*REPEATS;
            let mut repeats = repeats.lock().unwrap_or_else(PoisonError::into_inner);
            if !repeats.is_shown(&line.message, began.elapsed()) {
                return Ok(());
            }
        }
        if self.stamped {
            write!(
                writer,
                "{} ",
                Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
            )?;
        }
        if writer.has_ansi_escapes() {
            let style = anstyle::Style::new().fg_color(Some(colour.into()));
            write!(writer, "{style}{name}{style:#}: ")?;
        } else {
            write!(writer, "{name}: ")?;
        }
        writeln!(writer, "{}{}", sanitize(&line.message), sanitize(&line.fields))
    }
}

/// An event's message, and its other fields as ` name=value`.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write as _;
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        use fmt::Write as _;
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            let _ = write!(self.fields, " {}={value}", field.name());
        }
    }
}

/// Shows an error and what to do next.
pub(crate) fn show_error(error: &AppError, colour: bool, console: &Console) {
    let hint = hint(error);
    let hint = hint.as_deref();
    console.error(&error_text(error, hint, colour), &error.to_string(), hint);
}

/// The same before there is a console.
pub(crate) fn show_error_at_once(error: &AppError, colour: bool, format: LogFormat) {
    let hint = hint(error);
    let text = match format {
        LogFormat::Text => error_text(error, hint.as_deref(), colour),
        LogFormat::Json => error_object(&error.to_string(), hint.as_deref()),
    };
    // Nobody can be told that stderr is closed.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// What to do next, and which variables set the options that are wrong: nobody sees them on the command line.
fn hint(error: &AppError) -> Option<String> {
    let hint = error.hint()?;
    let variables = match error {
        AppError::Usage { problem, .. } => from_environment(problem),
        _ => None,
    };
    Some(match variables {
        Some(variables) => format!("{hint} ({variables})"),
        None => hint,
    })
}

/// Says a line where there is no console yet.
pub(crate) fn show_line_at_once(line: &str) {
    // Nobody can be told that stderr is closed.
    let _ = io::stderr().write_all(format!("{}\n", sanitize(line)).as_bytes());
}

fn error_text(error: &AppError, hint: Option<&str>, colour: bool) -> String {
    let style = if colour {
        anstyle::Style::new()
            .bold()
            .fg_color(Some(anstyle::AnsiColor::Red.into()))
    } else {
        anstyle::Style::new()
    };
    let text = error.to_string();
    let mut shown = format!("{style}ERROR{style:#}: {}\n", sanitize(&text));
    if let Some(hint) = hint {
        shown.push_str("  Help: ");
        shown.push_str(&sanitize(hint));
        shown.push('\n');
    }
    shown
}

/// Hands stdout to `write` and flushes it.
///
/// # Errors
/// If stdout cannot be written; a closed pipe is [`AppError::ClosedPipe`].
pub(crate) fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), AppError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    write(&mut out)
        .and_then(|()| out.flush())
        .map_err(|error| AppError::io("write to standard output", error))
}

/// Stdout for what may be millions of lines.
pub(crate) fn long_stdout() -> io::BufWriter<io::Stdout> {
    io::BufWriter::with_capacity(64 << 10, io::stdout())
}
