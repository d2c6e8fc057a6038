//! Every query lives here: entities in, domain values out.
//!
//! Reads start from a [`Scope`](scope::Scope); there is no unscoped find of what belongs to a company. To add a
//! table: a migration, an entity, and a file here whose functions take the connection and the scope.

pub mod audit;
pub mod away;
pub mod backup;
mod batch;
pub mod board;
pub mod company;
pub mod db;
pub mod duplicate;
pub mod key;
pub mod lead;
pub mod lease;
pub mod log;
pub mod marketing_list;
pub mod notify;
pub mod opportunity;
pub mod page;
mod row;
pub mod scope;
pub mod tally;
pub mod thread;
pub mod workflow;

use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, sea_query::Expr};
use uuid::Uuid;

use crate::{domain::patch::Patch, error::Error};

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Self {
        if db::is_unreachable(&error) {
            tracing::error!(%error, "the database can't be reached");
            return Self::new(
                crate::error::ErrorCode::Unavailable,
                "The server can't reach its database now. The same call may work in a moment.",
            );
        }
        if db::is_given_up(&error) {
            tracing::warn!("a statement took too long and was stopped");
            return Self::new(
                crate::error::ErrorCode::Unavailable,
                "The database took too long and was stopped. Ask for less at a time, or try again later.",
            );
        }
        Self::internal(error)
    }
}

/// That a column is one of these. On PostgreSQL they are one parameter, so that the statement's text does not depend on
/// how many there are: it is prepared once and planned once.
fn among(db: &impl ConnectionTrait, column: impl ColumnTrait, ids: impl IntoIterator<Item = Uuid>) -> Expr {
    if db.get_database_backend() == DbBackend::Postgres { column.eq_any(ids) } else { column.is_in(ids) }
}

/// What a column has to be: nothing is asked of it where the filter's field is absent, and nothing is in it where that is
/// null.
fn is(column: impl ColumnTrait, asked: Patch<Uuid>) -> Option<Expr> {
    match asked {
        Patch::Absent => None,
        Patch::Null => Some(column.is_null()),
        Patch::Value(id) => Some(column.eq(id)),
    }
}

/// A value in the database that the domain does not know: a newer version wrote it, or a hand did.
fn unknown(what: &str, value: &str) -> Error {
    Error::internal(format!("the database holds an unknown {what}: {value}"))
}

/// Those of a caller's texts that a row can have: none has a NUL, and PostgreSQL does not even take one to compare.
fn possible(texts: &[String]) -> Vec<String> {
    texts.iter().filter(|text| !text.contains('\0')).cloned().collect()
}
