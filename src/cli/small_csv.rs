//! CSV files that an operator writes by hand: with blank lines, blanks around values, and comments.

/// The text behind a byte order mark, and a reader of it without a header. `flexible` takes records of any length.
pub(super) fn read(bytes: &[u8], flexible: bool) -> (&[u8], csv::Reader<&[u8]>) {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(flexible)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text);
    (text, reader)
}

/// The line of a record, which begins for the reader behind the record before it: blank lines and comments come
/// first.
pub(super) fn line_of(text: &[u8], record: &csv::StringRecord) -> usize {
    line_at(text, record.position())
}

fn line_at(text: &[u8], position: Option<&csv::Position>) -> usize {
    let begin = position.map_or(0, csv::Position::byte);
    let (before, rest) = text.split_at(usize::try_from(begin).unwrap_or(0).min(text.len()));
    let skipped = rest.split(|byte| *byte == b'\n').take_while(|line| {
        let line = line.trim_ascii();
        line.is_empty() || line.starts_with(b"#")
    });
    memchr::memchr_iter(b'\n', before).count() + skipped.count() + 1
}

/// What is wrong with a record, for people.
pub(super) fn problem(text: &[u8], error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = line_at(text, pos.as_ref());
            format!("line {line}: it is not UTF-8; save the file as UTF-8")
        }
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => {
            let line = line_at(text, pos.as_ref());
            format!("line {line}: {len} values instead of the {expected_len} of the first line")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        let (text, mut reader) = read(b"a,b\n\n# x\nc,\xe9\n", true);
        let error = reader.records().find_map(Result::err).unwrap();
        assert_eq!(
            problem(text, &error),
            "line 4: it is not UTF-8; save the file as UTF-8"
        );
    }
}
