//! What survives a crash: a document, and the bytes of a journal that may end in half a line.

use chrono::{DateTime, Utc};

use crate::copy::run::VaultLedger;
use crate::state::{Item, Items, JournalLine, JournalRecord, decode, encode};

/// The state file of one vault.
#[derive(Debug)]
pub(super) struct Disk {
    document: Vec<Item>,
    sequence: u64,
    journal: Vec<u8>,
    written: u64,
    created_at: DateTime<Utc>,
}

impl Disk {
    pub(super) fn new(document: Vec<Item>, created_at: DateTime<Utc>) -> Self {
        Self {
            document,
            sequence: 0,
            journal: Vec::new(),
            written: 0,
            created_at,
        }
    }

    pub(super) fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// Appends whole lines, or, where the process dies on the way, as much of them as `share` says.
    pub(super) fn append(&mut self, records: &[JournalRecord], share: Option<f64>) -> Result<(), String> {
        let mut bytes = Vec::new();
        for record in records {
            self.written += 1;
            let line = JournalLine {
                sequence: self.written,
                record: record.clone(),
            };
            encode(&line, &mut bytes).map_err(|e| e.to_string())?;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a length of some kilobytes"
        )]
        let length = share.map_or(bytes.len(), |share| (bytes.len() as f64 * share) as usize);
        self.journal.extend(bytes.iter().take(length));
        Ok(())
    }

    /// What a new process reads.
    pub(super) fn load(&mut self) -> Result<Items, String> {
        let mut items = Items::new(self.document.iter().cloned());
        let decoded = decode(&self.journal).map_err(|bad| format!("{bad:?}"))?;
        for line in decoded.lines {
            if line.sequence > self.sequence {
                if line.sequence != self.sequence + 1 {
                    return Err(format!("line {} follows {}", line.sequence, self.sequence));
                }
                items.apply(&line.record).map_err(|e| e.to_string())?;
                self.sequence = line.sequence;
            }
        }
        Ok(items)
    }

    /// Folds everything into the document; the journal goes, unless the process dies first.
    pub(super) fn fold(&mut self, items: &Items, dies: bool) {
        self.document = items.iter().collect();
        self.sequence = self.sequence.max(self.written);
        if !dies {
            self.journal.clear();
            self.written = self.sequence;
        }
    }

    /// After a load: lines that were torn are gone, and numbers go on from the last whole one.
    pub(super) fn begin(&mut self, ledger: &VaultLedger, dies: bool) {
        self.document = ledger.items.iter().collect();
        if !dies {
            self.journal.clear();
            self.written = self.sequence;
        }
    }
}
