//! A copy of an `SQLite` database while others read and write it.

use std::path::Path;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr, Statement};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use super::db::Db;

/// What a copy holds, once it was looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// How many companies.
    pub companies: i64,
    /// How many events, of all companies' logs.
    pub events: i64,
    /// The newest migration of its schema.
    pub schema: String,
}

/// Writes the database as it is at this moment into a file, which has to be empty or absent. Nobody waits for it: it reads
/// one snapshot. What the file holds is not yet safe from a power cut.
///
/// # Errors
/// What the database says; such as that the disk is full.
pub async fn copy(db: &Db, file: &Path) -> Result<(), DbErr> {
    let file = file.to_str().ok_or_else(|| DbErr::Custom("the file's name is no text".to_owned()))?;
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [file.into()]);
    db.read().execute_raw(statement).await.map(drop)
}

/// Looks through a copy that nobody else uses: every page and index, and every foreign key.
///
/// # Errors
/// What is wrong with it.
pub async fn examine(file: &Path) -> Result<Copied, DbErr> {
    // Not a byte of it is changed, and no other file is made beside it.
    let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
    let mut connection = options.disable_statement_logging().connect().await.map_err(failed)?;
    let examined = look_through(&mut connection).await;
    connection.close().await.map_err(failed)?;
    examined
}

async fn look_through(connection: &mut SqliteConnection) -> Result<Copied, DbErr> {
    let said: Vec<String> = sqlx::query("PRAGMA integrity_check(20)")
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?
        .iter()
        .map(|row| row.get(0))
        .collect();
    if said != ["ok"] {
        return Err(DbErr::Custom(format!("the file is damaged: {}", said.join("; "))));
    }
    let lost = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut *connection).await.map_err(failed)?;
    if let Some(row) = lost.first() {
        let table: String = row.get(0);
        return Err(DbErr::Custom(format!("{} rows refer to what is not there, the first in {table}", lost.len())));
    }
    let counts = "SELECT (SELECT count(*) FROM company), (SELECT count(*) FROM event), \
                  (SELECT max(version) FROM seaql_migrations)";
    let row = sqlx::query(counts).fetch_one(&mut *connection).await.map_err(failed)?;
    Ok(Copied { companies: row.get(0), events: row.get(1), schema: row.get(2) })
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}
