//! The real world behind the ports: the only code that names an SDK.

mod sqlite;

pub use sqlite::SqliteJournal;
