//! The metadata file: a CSV with a `resourceArn` column and whatever else operators know of their
//! resources.

mod error;
mod foreign;
mod loading;
mod records;
mod rows;
mod table;

pub use error::MetadataError;
pub use table::{Keep, MetadataTable, Row};
