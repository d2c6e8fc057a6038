//! A SQLite file of its own for every test.

use tempfile::TempDir;

/// A folder that goes when it is dropped, and the URL of a database in it that does not exist yet.
pub fn fresh_file() -> (TempDir, String) {
    let folder = tempfile::Builder::new().prefix("cosell-sqlite.").tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("cosell.db").display());
    (folder, url)
}
