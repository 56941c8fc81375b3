//! A CSV file's records, one by one, in bounded memory, each with the line on which it begins.
//!
//! The `csv` crate reads anything: a quotation mark that nothing closes swallows the rest of the
//! file, text behind a closing one is taken in, a record may be as long as memory is, and lines that
//! end in CR are not counted. Here the file decides what is copied, so all of these are refused, and
//! the messages need the right line. What both accept, both read alike (see the tests).

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use memchr::{memchr, memchr3};

use super::foreign::{self, Foreign};

/// Bytes of the longest record: far more than a row of metadata has, and no burden on memory.
pub(super) const LONGEST: usize = 4 << 20;
const BUFFER: usize = 64 << 10;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Why there is no next record.
#[derive(Debug)]
pub(super) enum Problem {
    Unreadable(io::Error),
    Foreign(Foreign),
    Broken { line: u64, problem: String },
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Where in a record the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside of quotation marks.
    Plain,
    /// Behind an opening quotation mark.
    Quoted,
    /// Behind a quotation mark that closes a value, unless another one follows at once.
    Closed,
    /// Behind blanks that follow a closing quotation mark.
    Behind,
}

/// Reads records.
#[derive(Debug)]
pub(super) struct Records<R> {
    input: BufReader<Chain<Cursor<Vec<u8>>, R>>,
    /// The line on which the next record begins.
    line: u64,
    raw: Vec<u8>,
    /// Whether there is a quotation mark in `raw`.
    quoted: bool,
    /// Where in `raw` the last value in quotation marks opens.
    opened: usize,
    /// Whether the last line ended in CR, so that LF still belongs to it.
    after_cr: bool,
    consumed: u64,
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// The line on which it begins.
    pub(super) line: u64,
    /// How many line breaks are in its values.
    pub(super) breaks: u64,
    /// It as it is in the file, without the line's end.
    pub(super) text: &'a str,
    quoted: bool,
}

impl<R: Read> Records<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// If the first bytes cannot be read, or are those of another kind of file.
    pub(super) fn new(mut input: R) -> Result<Self, Problem> {
        let mut head = Vec::with_capacity(foreign::LOOKED_AT);
        let looked_at = u64::try_from(foreign::LOOKED_AT).unwrap_or(u64::MAX);
        input.by_ref().take(looked_at).read_to_end(&mut head)?;
        if let Some(foreign) = foreign::recognise(&head) {
            return Err(Problem::Foreign(foreign));
        }
        let mut consumed = 0;
        if head.starts_with(BOM) {
            head.drain(..BOM.len());
            consumed = 3;
        }
        Ok(Self {
            input: BufReader::with_capacity(BUFFER, Cursor::new(head).chain(input)),
            line: 1,
            raw: Vec::new(),
            quoted: false,
            opened: 0,
            after_cr: false,
            consumed,
        })
    }

    /// Bytes of the file that have been taken in.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The next record that is not an empty line; `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read, or is broken here.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, Problem> {
        let line = loop {
            self.raw.clear();
            self.quoted = false;
            let more = self.fill()?;
            if !self.raw.is_empty() {
                break self.line;
            }
            if !more {
                return Ok(None);
            }
            self.line += 1;
        };
        if memchr(0, &self.raw).is_some() {
            return Err(self.nul());
        }
        let text = match std::str::from_utf8(&self.raw) {
            Ok(text) => text,
            Err(error) => {
                let (good, rest) = self.raw.split_at(error.valid_up_to());
                let byte = rest.first().copied().unwrap_or_default();
                return Err(Problem::Broken {
                    line: line + line_breaks(good),
                    problem: format!("it is not UTF-8 (byte 0x{byte:02x})"),
                });
            }
        };
        let breaks = if self.quoted { line_breaks(&self.raw) } else { 0 };
        self.line += breaks + 1;
        Ok(Some(Record {
            line,
            breaks,
            text,
            quoted: self.quoted,
        }))
    }

    /// Takes the bytes up to the end of the record into `raw`; `false` at the file's end.
    fn fill(&mut self) -> Result<bool, Problem> {
        let mut place = Place::Plain;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if chunk.is_empty() {
                return if place == Place::Quoted {
                    Err(self.unclosed())
                } else {
                    Ok(false)
                };
            }
            if std::mem::take(&mut self.after_cr) && chunk.first() == Some(&b'\n') {
                self.input.consume(1);
                self.consumed += 1;
                continue;
            }
            let found = match place {
                Place::Plain => memchr3(b'\n', b'\r', b'"', chunk),
                Place::Quoted => memchr(b'"', chunk),
                Place::Closed | Place::Behind => Some(0),
            };
            let before = found.unwrap_or(chunk.len());
            let special = chunk.get(before).copied();
            self.raw
                .extend_from_slice(chunk.get(..before).unwrap_or_default());
            let taken = before + usize::from(special.is_some());
            self.input.consume(taken);
            self.consumed += u64::try_from(taken).unwrap_or_default();
            if self.raw.len() > LONGEST {
                return Err(self.too_long(place));
            }
            if let Some(byte) = special {
                if place != Place::Quoted && matches!(byte, b'\n' | b'\r') {
                    self.after_cr = byte == b'\r';
                    return Ok(true);
                }
                self.quoted |= byte == b'"';
                place = self.step(place, byte)?;
                self.raw.push(byte);
            }
        }
    }

    /// Where the reader is behind `byte`, which is not yet in `raw` and ends no line.
    fn step(&mut self, place: Place, byte: u8) -> Result<Place, Problem> {
        Ok(match (place, byte) {
            (Place::Plain, b'"') if at_start_of_value(&self.raw) => {
                self.opened = self.raw.len();
                Place::Quoted
            }
            (Place::Plain, _) | (Place::Closed | Place::Behind, b',') => Place::Plain,
            (Place::Quoted, b'"') => Place::Closed,
            (Place::Quoted, _) | (Place::Closed, b'"') => Place::Quoted,
            (Place::Closed | Place::Behind, b' ' | b'\t') => Place::Behind,
            (Place::Closed | Place::Behind, _) => {
                let closed = self.line + line_breaks(&self.raw);
                return Err(self.at_quotation_mark(&format!(
                    "the quotation mark that opens here is closed in line {closed} with text behind it; \
                     is one missing, or not doubled within the value?"
                )));
            }
        })
    }

    fn at_quotation_mark(&self, problem: &str) -> Problem {
        let before = self.raw.get(..self.opened).unwrap_or_default();
        Problem::Broken {
            line: self.line + line_breaks(before),
            problem: problem.to_owned(),
        }
    }

    fn unclosed(&self) -> Problem {
        self.at_quotation_mark("the quotation mark that opens here is closed nowhere")
    }

    fn nul(&self) -> Problem {
        let at = memchr(0, &self.raw).unwrap_or_default();
        let before = self.raw.get(..at).unwrap_or_default();
        Problem::Broken {
            line: self.line + line_breaks(before),
            problem: "there is a NUL character in it; is this a text file?".to_owned(),
        }
    }

    fn too_long(&self, place: Place) -> Problem {
        let longest = LONGEST >> 20;
        if memchr(0, &self.raw).is_some() {
            self.nul()
        } else if place == Place::Quoted {
            self.at_quotation_mark(&format!(
                "the quotation mark that opens here is not closed within {longest} MiB"
            ))
        } else {
            Problem::Broken {
                line: self.line,
                problem: format!("the row that begins here is longer than {longest} MiB"),
            }
        }
    }
}

impl<'a> Record<'a> {
    /// Its values, without blanks around them.
    pub(super) fn values(self) -> Values<'a> {
        Values {
            rest: Some(self.text),
            quoted: self.quoted,
        }
    }
}

/// The values of a record.
#[derive(Debug)]
pub(super) struct Values<'a> {
    rest: Option<&'a str>,
    quoted: bool,
}

impl<'a> Iterator for Values<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        if self.quoted
            && let Some(inner) = rest.trim_start_matches([' ', '\t']).strip_prefix('"')
        {
            let (value, behind) = unquote(inner);
            self.rest = behind.split_once(',').map(|(_, next)| next);
            return Some(value);
        }
        let comma = memchr(b',', rest.as_bytes());
        let (value, behind) = comma
            .and_then(|at| rest.split_at_checked(at))
            .unwrap_or((rest, ""));
        self.rest = behind.get(1..);
        Some(Cow::Borrowed(trim(value)))
    }
}

/// A value up to its closing quotation mark, and what is behind that.
fn unquote(inner: &str) -> (Cow<'_, str>, &str) {
    let mut value = Cow::Borrowed("");
    let mut rest = inner;
    loop {
        let (part, behind) = rest.split_once('"').unwrap_or((rest, ""));
        value += part;
        match behind.strip_prefix('"') {
            Some(next) => {
                value += "\"";
                rest = next;
            }
            None => return (trimmed(value), behind),
        }
    }
}

/// `value.trim()`, which has nothing to do in most cases.
fn trim(value: &str) -> &str {
    match value.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => value,
        _ => value.trim(),
    }
}

fn trimmed(value: Cow<'_, str>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(value.trim()),
        Cow::Owned(value) => Cow::Owned(value.trim().to_owned()),
    }
}

/// Whether nothing but blanks is between the last comma and the end.
fn at_start_of_value(raw: &[u8]) -> bool {
    let last = raw.iter().rev().find(|byte| !matches!(byte, b' ' | b'\t'));
    last.is_none_or(|&byte| byte == b',')
}

/// Line ends, CRLF counted once.
fn line_breaks(text: &[u8]) -> u64 {
    let mut count = 0;
    let mut after_cr = false;
    for &byte in text {
        if byte == b'\r' || (byte == b'\n' && !after_cr) {
            count += 1;
        }
        after_cr = byte == b'\r';
    }
    count
}

#[cfg(test)]
mod tests;
