//! What a run remembers: a JSON document, a journal of what changed since, and a lock.
//!
//! Owns the files and the ledger's transitions. Knows nothing of AWS calls or of the screen.

mod checksum;
mod counts;
pub mod directory;
mod document;
mod error;
mod files;
mod folding;
mod format;
mod holder;
mod item_line;
mod items;
mod journal;
pub mod location;
mod lock;
mod reading;
mod shared;
pub mod space;
mod store;
mod texts;
mod transitions;

pub use counts::{Counts, Standing};
pub use error::StateError;
pub use format::{Endpoint, Item, ItemState, JournalRecord, RunHeader, VERSION};
pub use holder::{Holder, holder};
pub use items::{IllegalTransition, ItemRow, Items};
pub use journal::{JournalHandle, JournalLine, decode, encode};
pub use lock::StateLock;
pub(crate) use reading::words_of;
pub use reading::{Loaded, load};
pub use store::{Store, journal_path, old_journal_path};
