//! Records for machines, one after the other: a JSON array, a JSON object a line, or CSV.

use std::io::{self, Write};

use serde::Serialize;

use super::OutputFormat;
use super::text::csv_error;

/// Writes records as they come. A table is not written here.
#[derive(Debug)]
pub(super) struct Records {
    format: OutputFormat,
    columns: &'static [&'static str],
    written: bool,
}

impl Records {
    /// For records of these members, in this order.
    pub(super) fn new(format: OutputFormat, columns: &'static [&'static str]) -> Self {
        Self {
            format,
            columns,
            written: false,
        }
    }

    /// Writes what comes before the first record.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub(super) fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            OutputFormat::Json => write!(out, "["),
            OutputFormat::Csv => csv_record(self.columns, out),
            OutputFormat::Ndjson | OutputFormat::Table => Ok(()),
        }
    }

    /// Writes a record.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub(super) fn record(&mut self, record: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
        let first = !std::mem::replace(&mut self.written, true);
        match self.format {
            OutputFormat::Json => {
                write!(out, "{}", if first { "\n  " } else { ",\n  " })?;
                Ok(serde_json::to_writer(out, record)?)
            }
            OutputFormat::Ndjson => {
                serde_json::to_writer(&mut *out, record)?;
                writeln!(out)
            }
            OutputFormat::Csv => csv_record(record, out),
            OutputFormat::Table => Ok(()),
        }
    }

    /// Writes what comes after the last record.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub(super) fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        self.close(out)?;
        match self.format {
            OutputFormat::Json => writeln!(out),
            OutputFormat::Ndjson | OutputFormat::Csv | OutputFormat::Table => Ok(()),
        }
    }

    /// Ends the records where more of a document follows them.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub(super) fn close(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            OutputFormat::Json => write!(out, "{}]", if self.written { "\n" } else { "" }),
            OutputFormat::Ndjson | OutputFormat::Csv | OutputFormat::Table => Ok(()),
        }
    }
}

/// Bytes of a line, about: a writer for each of a million lines must not make room for more.
const LINE: usize = 512;

/// Writes a line of CSV.
///
/// # Errors
/// If `out` cannot be written.
pub(super) fn csv_record(record: impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .buffer_capacity(LINE)
        .from_writer(out);
    writer.serialize(record).map_err(csv_error)?;
    writer.flush()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Fails unless the members of a record, as JSON has them, are these columns.
    pub(in crate::report) fn assert_columns(record: &impl Serialize, columns: &[&str]) {
        let text = serde_json::to_string(record).unwrap();
        let places: Vec<_> = columns
            .iter()
            .map(|name| text.find(&format!("\"{name}\":")))
            .collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
        let members = serde_json::to_value(record).unwrap();
        assert_eq!(members.as_object().unwrap().len(), columns.len());
    }

    #[test]
    fn no_record_and_several_are_whole_documents() {
        for (format, none, two) in [
            (OutputFormat::Json, "[]\n", "[\n  {\"a\":1},\n  {\"a\":2}\n]\n"),
            (OutputFormat::Ndjson, "", "{\"a\":1}\n{\"a\":2}\n"),
            (OutputFormat::Csv, "a\n", "a\n1\n2\n"),
        ] {
            #[derive(Serialize)]
            struct Row {
                a: u8,
            }
            for (rows, wanted) in [(&[][..], none), (&[1, 2], two)] {
                let mut out = Vec::new();
                let mut records = Records::new(format, &["a"]);
                records.begin(&mut out).unwrap();
                for a in rows {
                    records.record(&Row { a: *a }, &mut out).unwrap();
                }
                records.end(&mut out).unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), wanted);
            }
        }
    }
}
