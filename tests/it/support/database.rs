//! The databases that every behaviour is tested on.

use tempfile::TempDir;

use super::{postgres, sqlite};

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of the test's own.
    Sqlite,
    /// A schema of the test's own.
    Postgres,
}

/// An empty database that only one test uses.
pub struct Database {
    /// Which one.
    pub kind: Kind,
    /// For `COSELL_DATABASE_URL`.
    pub url: String,
    /// Removed when the test ends.
    _folder: Option<TempDir>,
}

impl Database {
    /// A new one.
    pub async fn fresh(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => {
                let (folder, url) = sqlite::fresh_file();
                Self { kind, url, _folder: Some(folder) }
            }
            Kind::Postgres => Self { kind, url: postgres::fresh_schema().await, _folder: None },
        }
    }
}

/// What a test under [`on_both_databases`](crate::on_both_databases) can ask for as its argument.
pub trait OnDatabase {
    /// Makes it on an empty database.
    async fn on(database: Database) -> Self;
}

impl OnDatabase for Database {
    async fn on(database: Database) -> Self {
        database
    }
}

/// What a test of [`on_both_databases`](crate::on_both_databases) starts from.
pub async fn start<T: OnDatabase>(kind: Kind) -> T {
    T::on(Database::fresh(kind).await).await
}

/// Makes two tests, `NAME::sqlite` and `NAME::postgres`, of each function. The argument's type says what the test
/// starts from: anything that is [`OnDatabase`].
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$attribute:meta])* async fn $name:ident($argument:ident: $type:ty) $body:block)+) => {$(
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports, reason = "a test may need nothing of what is around it")]
            use super::*;

            async fn behaviour($argument: $type) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                behaviour($crate::support::database::start($crate::support::database::Kind::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                behaviour($crate::support::database::start($crate::support::database::Kind::Postgres).await).await;
            }
        }
    )+};
}
