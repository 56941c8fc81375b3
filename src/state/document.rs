//! The layout of a state document: valid JSON, with one line for each item. Whoever looks at it can
//! use `grep` beside `jq`, and a document of a million items is written and read line by line, without
//! being in memory as a whole.
//!
//! Reading here takes exactly this layout. A document of another one, such as `jq` makes of it, or that
//! is broken, is read by `reading.rs`, which also says what is wrong with it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write};

use serde::{Deserialize, Serialize};

use super::checksum::TAIL;
use super::format::{FORMAT, RunHeader, VERSION};
use super::item_line::{self, Lines};
use super::items::Items;

/// What ends the first line, and opens the items.
const ITEMS: &str = ",\"items\":[";
/// What stands before the checksum, in the last line.
const SUM: &str = "],\"crc32\":";
/// Bytes that are read and written at a time.
const BUFFER: usize = 1 << 18;
/// The longest first line: a header, whose texts AWS bounds.
const LONGEST_HEAD: u64 = 1 << 16;

#[derive(Serialize)]
struct HeadRef<'a> {
    format: &'static str,
    version: u32,
    #[serde(flatten)]
    header: &'a RunHeader,
    sequence: u64,
    finished: bool,
}

/// What a document says of itself before its items.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    format: String,
    version: u32,
    #[serde(flatten)]
    pub(super) header: RunHeader,
    pub(super) sequence: u64,
    pub(super) finished: bool,
}

/// Writes a document.
///
/// # Errors
/// If `out` cannot be written.
pub(super) fn write(
    out: &mut impl Write,
    header: &RunHeader,
    sequence: u64,
    items: &Items,
) -> io::Result<()> {
    let counts = items.counts();
    let head = HeadRef {
        format: FORMAT,
        version: VERSION,
        header,
        sequence,
        finished: counts.left() == 0,
    };
    let mut buffer = serde_json::to_vec(&head)?;
    buffer.pop();
    buffer.extend_from_slice(ITEMS.as_bytes());
    let mut sum = crc32fast::Hasher::new();
    for (number, row) in items.rows().enumerate() {
        buffer.extend_from_slice(if number == 0 { b"\n" } else { b",\n" });
        item_line::write(&row, &mut buffer)?;
        if buffer.len() > BUFFER {
            sum.update(&buffer);
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    buffer.push(b'\n');
    buffer.extend_from_slice(SUM.as_bytes());
    sum.update(&buffer);
    out.write_all(&buffer)?;
    writeln!(out, "\"{:08x}\"}}", sum.finalize())
}

/// The first line of a document, if it is one of this layout and version, and has an end.
pub(super) fn read_head(mut file: &File) -> Option<Head> {
    let mut line = Vec::new();
    let mut input = BufReader::new(file).take(LONGEST_HEAD);
    input.read_until(b'\n', &mut line).ok()?;
    let head = parse_head(&line)?;
    let mut end = [0; SUM.len() + TAIL];
    file.seek(SeekFrom::End(-i64::try_from(end.len()).ok()?)).ok()?;
    file.read_exact(&mut end).ok()?;
    (end.starts_with(SUM.as_bytes()) && end.ends_with(b"\"}\n")).then_some(head)
}

fn parse_head(line: &[u8]) -> Option<Head> {
    let mut json = line.strip_suffix(b"\n")?.strip_suffix(ITEMS.as_bytes())?.to_vec();
    json.push(b'}');
    let head: Head = serde_json::from_slice(&json).ok()?;
    (head.format == FORMAT && head.version == VERSION).then_some(head)
}

/// A document, if it is of this layout and version, and whole.
pub(super) fn read(input: impl Read) -> Option<(Head, Items)> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut sum = crc32fast::Hasher::new();
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line).ok()?;
    let head = parse_head(&line)?;
    let mut items = Items::default();
    let mut lines = Lines::default();
    loop {
        sum.update(&line);
        line.clear();
        input.read_until(b'\n', &mut line).ok()?;
        if line.starts_with(SUM.as_bytes()) {
            break;
        }
        let item = line.strip_suffix(b"\n")?;
        lines.read(item.strip_suffix(b",").unwrap_or(item), &mut items)?;
    }
    sum.update(SUM.as_bytes());
    let wanted = format!("{SUM}\"{:08x}\"}}\n", sum.finalize());
    let is_end = input.fill_buf().ok()?.is_empty();
    (is_end && line == wanted.as_bytes()).then_some((head, items))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::format::Item;
    use crate::state::store::tests::header;

    fn items(count: usize) -> Items {
        Items::new((0..count).map(|n| Item::for_test(&format!("a:{n}"))))
    }

    fn written(count: usize) -> Vec<u8> {
        let mut document = Vec::new();
        write(&mut document, &header(), 7, &items(count)).unwrap();
        document
    }

    /// Lengths of what is written at a time.
    struct Pieces(Vec<usize>);

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_document_is_written_in_large_pieces() {
        let mut pieces = Pieces(Vec::new());
        write(&mut pieces, &header(), 7, &items(5_000)).unwrap();
        let full = pieces.0.iter().take_while(|length| **length > BUFFER).count();
        let longest = pieces.0.iter().max().unwrap();
        let all: usize = pieces.0.iter().sum();
        assert!(full >= 2 && all < (full + 1) * BUFFER + 1_000 && *longest < BUFFER + 1_000);
    }

    #[test]
    fn a_document_is_read_whole_or_not_at_all() {
        for count in [0, 1, 3] {
            let document = written(count);
            let (head, read_items) = read(document.as_slice()).unwrap();
            assert_eq!((head.sequence, head.finished), (7, count == 0));
            assert!(read_items.iter().eq(items(count).iter()));
            for place in 0..document.len() {
                assert!(read(&document[..place]).is_none(), "{place}");
            }
            assert!(read([document.as_slice(), b"\n"].concat().as_slice()).is_none());
            let text = String::from_utf8(document).unwrap();
            for (from, to) in [("\"version\":1", "\"version\":2"), (FORMAT, "other")] {
                assert!(text.contains(from));
                let head = text.split_inclusive('\n').next().unwrap();
                assert!(parse_head(head.as_bytes()).is_some());
                assert!(parse_head(head.replace(from, to).as_bytes()).is_none(), "{to}");
            }
        }
    }

    #[test]
    fn a_head_is_believed_only_of_a_document_with_an_end() {
        let document = written(1);
        let end = document.len() - SUM.len() - TAIL;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("document");
        let head_of = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_head(&File::open(&path).unwrap())
        };
        assert_eq!(head_of(&document).unwrap().sequence, 7);
        for place in [end, document.len() - 1] {
            let mut damaged = document.clone();
            damaged[place] = b'x';
            assert!(head_of(&damaged).is_none(), "{place}");
        }
    }
}
