use std::io::repeat;

use proptest::prelude::*;

use super::*;

fn all(input: impl Read) -> Result<Vec<(u64, Vec<String>)>, String> {
    let text = |problem| match problem {
        Problem::Broken { line, problem } => format!("line {line}: {problem}"),
        other => format!("{other:?}"),
    };
    let mut records = Records::new(input).map_err(text)?;
    let mut all = Vec::new();
    while let Some(record) = records.next().map_err(text)? {
        all.push((record.line, record.values().map(Cow::into_owned).collect()));
    }
    Ok(all)
}

/// Hands out its bytes one by one, so that every boundary of buffers is met.
struct Drops<'a>(&'a [u8]);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let one = buffer.len().min(1);
        self.0.read(&mut buffer[..one])
    }
}

#[test]
fn a_row_without_an_end_is_refused_before_it_is_in_memory() {
    let longer = u64::try_from(LONGEST).unwrap() * 3;
    let header = b"resourceArn\nb\n".as_slice();
    for (byte, wanted) in [
        (b'a', "line 3: the row that begins here is longer than 4 MiB"),
        (b',', "line 3: the row that begins here is longer than 4 MiB"),
        (0, "line 3: there is a NUL character in it; is this a text file?"),
    ] {
        let mut records = Records::new(header.chain(repeat(byte).take(longer))).unwrap();
        records.next().unwrap();
        records.next().unwrap();
        let Problem::Broken { line, problem } = records.next().unwrap_err() else {
            panic!("{byte}");
        };
        assert_eq!(format!("line {line}: {problem}"), wanted);
        assert!(records.raw.capacity() <= 4 * LONGEST);
    }
    let swallows = b"resourceArn\na,\n\"x\ny\",\"z".chain(repeat(b'\n').take(longer));
    assert_eq!(
        all(swallows).unwrap_err(),
        "line 4: the quotation mark that opens here is not closed within 4 MiB"
    );
}

#[test]
fn a_row_of_the_greatest_length_is_taken() {
    let text = "a".repeat(LONGEST);
    let rows = all((text.clone() + "\nb").as_bytes()).unwrap();
    assert_eq!(rows, [(1, vec![text.clone()]), (2, vec!["b".to_owned()])]);
    assert!(all((text + "a\nb").as_bytes()).is_err());
}

#[test]
fn a_quotation_mark_within_a_bare_value_is_text() {
    let rows = all(b"a,5\" disk,\"b\"\n".as_slice()).unwrap();
    assert_eq!(
        rows,
        [(1, vec!["a".to_owned(), "5\" disk".to_owned(), "b".to_owned()])]
    );
}

proptest! {
    #[test]
    fn what_the_csv_crate_writes_is_read_back(
        rows in prop::collection::vec(prop::collection::vec("[a-c,\"\n\r]{0,4}", 1..5), 0..8),
        crlf: bool,
    ) {
        let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().flexible(true).terminator(end).from_writer(Vec::new());
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let text = writer.into_inner().unwrap();
        let trimmed = |row: &Vec<String>| row.iter().map(|v| v.trim().to_owned()).collect::<Vec<_>>();
        let wanted: Vec<_> = rows.iter().map(trimmed).collect();
        for found in [all(text.as_slice()).unwrap(), all(Drops(&text)).unwrap()] {
            prop_assert_eq!(found.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), wanted.clone());
        }
    }

    #[test]
    fn what_is_taken_of_any_text_is_what_the_csv_crate_takes(text in "[ab ,\"\n\r]{0,24}") {
        if let Ok(found) = all(text.as_bytes()) {
            // Blanks beside quotation marks are ours to pass over.
            if !text.contains(' ') {
                let mut reader = csv::ReaderBuilder::new()
                    .has_headers(false)
                    .flexible(true)
                    .from_reader(text.as_bytes());
                let row = |row: csv::StringRecord| row.iter().map(|v| v.trim().to_owned()).collect::<Vec<_>>();
                let theirs: Vec<_> = reader.records().map(|r| row(r.unwrap())).collect();
                prop_assert_eq!(found.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>(), theirs);
            }
        }
        prop_assert_eq!(all(text.as_bytes()), all(Drops(text.as_bytes())));
    }
}
