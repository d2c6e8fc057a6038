//! The database schema of cosell: explicit DDL, each migration in one transaction, never edited once it has landed.
//!
//! The statements are written once, with the few words that differ between SQLite and PostgreSQL as tokens (see
//! [`Dialect`]). To add a migration, add a file named by date and purpose and list it in [`Migrator`].

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::{
    MigrationTrait, SchemaManager,
    async_trait::async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

mod m20261121_000001_lead_sharing;
mod m20261122_000001_workflows;
mod m20261122_000002_duplicates;
mod m20261122_000003_marketing_lists;
mod m20261122_000004_board;
mod m20261122_000005_audit_trail;
mod m20261122_000006_kinds;
mod m20261128_000001_shipped_versions;
mod m20261128_000002_received_numbers;
mod m20261128_000003_text;

/// The migrations in their order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_lead_sharing::Migration),
            Box::new(m20261122_000001_workflows::Migration),
            Box::new(m20261122_000002_duplicates::Migration),
            Box::new(m20261122_000003_marketing_lists::Migration),
            Box::new(m20261122_000004_board::Migration),
            Box::new(m20261122_000005_audit_trail::Migration),
            Box::new(m20261122_000006_kinds::Migration),
            Box::new(m20261128_000001_shipped_versions::Migration),
            Box::new(m20261128_000002_received_numbers::Migration),
            Box::new(m20261128_000003_text::Migration),
        ]
    }
}

/// The words of DDL that differ between the two databases.
struct Dialect {
    /// A UUID.
    uuid: &'static str,
    /// A moment in UTC with millisecond precision. On SQLite text in RFC 3339, which sorts as it should because
    /// every value is in UTC and cut to milliseconds.
    time: &'static str,
    /// A JSON document.
    json: &'static str,
    /// Bytes.
    bytes: &'static str,
    /// The literal of no bytes.
    no_bytes: &'static str,
    /// An expression for a new id.
    new_id: &'static str,
}

impl Dialect {
    fn of(backend: DbBackend) -> Self {
        match backend {
            DbBackend::Sqlite => Self {
                uuid: "BLOB",
                time: "TEXT",
                json: "TEXT",
                bytes: "BLOB",
                no_bytes: "x''",
                new_id: "randomblob(16)",
            },
            _ => Self {
                uuid: "UUID",
                time: "TIMESTAMPTZ(3)",
                json: "JSONB",
                bytes: "BYTEA",
                no_bytes: "''",
                new_id: "gen_random_uuid()",
            },
        }
    }

    fn write(&self, statement: &str) -> String {
        statement
            .replace("{uuid}", self.uuid)
            .replace("{time}", self.time)
            .replace("{json}", self.json)
            .replace("{bytes}", self.bytes)
            .replace("{no_bytes}", self.no_bytes)
            .replace("{new_id}", self.new_id)
    }
}

/// Runs statements that are separated by a line with `;` alone at its end.
async fn run(manager: &SchemaManager<'_>, statements: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let dialect = Dialect::of(connection.get_database_backend());
    for statement in statements.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        connection.execute_unprepared(&dialect.write(statement)).await?;
    }
    Ok(())
}
