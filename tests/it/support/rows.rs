//! Every row of a database, to show that a refused call changed none.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};

use super::database::{Database, Kind};

/// Tables whose rows change without a call: those of jobs, and the tool's own.
const OF_THEIR_OWN_ACCORD: [&str; 3] = ["job_lease", "job_progress", "seaql_migrations"];

/// Reads every table, besides the server.
pub struct Rows {
    connection: DatabaseConnection,
    /// The statement that gives each table's rows as one text.
    tables: Vec<(String, String)>,
}

/// The rows of every table, as text.
pub type Snapshot = BTreeMap<String, String>;

impl Rows {
    /// Of that database, whose schema is there already.
    pub async fn of(database: &Database) -> Self {
        let connection = sea_orm::Database::connect(&database.url).await.expect("it takes connections");
        let names = match database.kind {
            Kind::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            Kind::Postgres => "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()",
        };
        let mut tables = Vec::new();
        for name in texts(&connection, names).await {
            if OF_THEIR_OWN_ACCORD.contains(&name.as_str()) {
                continue;
            }
            let sql = match database.kind {
                Kind::Sqlite => {
                    let columns = format!("SELECT 'quote(\"' || name || '\")' FROM pragma_table_info('{name}')");
                    let row = texts(&connection, &columns).await.join(" || ' | ' || ");
                    format!("SELECT group_concat(r, char(10)) FROM (SELECT {row} AS r FROM \"{name}\" ORDER BY r)")
                }
                Kind::Postgres => {
                    format!("SELECT string_agg(t::text, chr(10) ORDER BY t::text) FROM \"{name}\" t")
                }
            };
            tables.push((name, sql));
        }
        assert!(tables.len() > 10, "these are not all tables: {tables:?}");
        Self { connection, tables }
    }

    /// What is in them now.
    pub async fn now(&self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        for (name, sql) in &self.tables {
            snapshot.insert(name.clone(), texts(&self.connection, sql).await.concat());
        }
        snapshot
    }

    /// Nothing has changed since.
    pub async fn unchanged_since(&self, before: &Snapshot, after_what: &str) {
        let now = self.now().await;
        for (table, rows) in before {
            assert_eq!(rows, &now[table], "{after_what} changed rows of {table}");
        }
    }
}

/// The first column of a statement's rows; null is nothing.
async fn texts(connection: &DatabaseConnection, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(statement).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    rows.iter().filter_map(|row| row.try_get_by_index::<Option<String>>(0).expect("a text")).collect()
}
