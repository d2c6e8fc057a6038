//! Rows read by the places of their columns: finding a column by its name costs more than reading its value.

use std::sync::Arc;

use sea_orm::{DbErr, QueryResult, RuntimeErr};
use sqlx::{Decode, Postgres, Row, Sqlite, Type, postgres::PgRow, sqlite::SqliteRow};

/// The columns of a row, one after the other in the order of the statement.
#[derive(Clone, Copy)]
pub(super) struct Columns<'r> {
    row: Driver<'r>,
    next: usize,
}

#[derive(Clone, Copy)]
enum Driver<'r> {
    Postgres(&'r PgRow),
    Sqlite(&'r SqliteRow),
}

impl<'r> Columns<'r> {
    /// From the first column on.
    pub(super) fn of(row: &'r QueryResult) -> Result<Self, DbErr> {
        let postgres = row.try_as_pg_row().map(Driver::Postgres);
        let row = postgres.or_else(|| row.try_as_sqlite_row().map(Driver::Sqlite));
        Ok(Self { row: row.ok_or_else(|| DbErr::Type("a row of another database".to_owned()))?, next: 0 })
    }

    /// The next column's value.
    pub(super) fn next<T>(&mut self) -> Result<T, DbErr>
    where
        T: Decode<'r, Postgres> + Type<Postgres> + Decode<'r, Sqlite> + Type<Sqlite>,
    {
        let place = self.next;
        self.next += 1;
        match self.row {
            Driver::Postgres(row) => row.try_get(place),
            Driver::Sqlite(row) => row.try_get(place),
        }
        .map_err(|error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))
    }
}
