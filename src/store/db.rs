//! The connection: SQLite or PostgreSQL, one writer or many.

use std::time::{Duration, Instant};

use cosell_migration::{Migrator, MigratorTrait};
use prometheus_client::metrics::{counter::Counter, histogram::Histogram};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sqlx::{
    Connection as _,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};

use super::tally;

/// How many connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct PoolSize {
    /// At most so many for reading, and on PostgreSQL for writing too.
    pub connections: u32,
    /// So many are opened at the start.
    pub at_least: u32,
    /// How long a call waits for one.
    pub wait: Duration,
    /// How long the database works for one call before it gives up; nothing: as long as it takes. On PostgreSQL it is
    /// the time of a statement, on SQLite that from the moment a connection is had.
    pub work: Option<Duration>,
}

impl Default for PoolSize {
    fn default() -> Self {
        Self { connections: 16, at_least: 1, wait: Duration::from_secs(10), work: None }
    }
}

/// The database. On SQLite there is one connection that writes beside those that read; on PostgreSQL one pool.
#[derive(Clone, Debug)]
pub struct Db {
    read: DatabaseConnection,
    write: DatabaseConnection,
    statements: Statements,
}

/// What is counted of statements.
#[derive(Clone, Debug)]
pub struct Statements {
    sent: Counter,
    /// How long each took, in seconds.
    pub seconds: Histogram,
    /// How many ended with an error.
    pub failed: Counter,
}

impl Default for Statements {
    fn default() -> Self {
        let seconds = Histogram::new([0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0]);
        Self { sent: Counter::default(), seconds, failed: Counter::default() }
    }
}

/// A pool of connections, as it stands.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// What it is for: `read` and `write` on SQLite, where they differ, else `all`.
    pub name: &'static str,
    /// Connections that wait to be used.
    pub idle: u64,
    /// Connections in use.
    pub used: u64,
    /// Most connections that there may be.
    pub max: u64,
}

impl Db {
    /// Connects to `sqlite:…` (the file is created where there is none) or `postgres://…`.
    pub async fn connect(url: &str, size: PoolSize) -> Result<Self, DbErr> {
        let statements = Statements::default();
        let (read, write) = if url.starts_with("sqlite:") {
            let write = open_sqlite(url, size, 1, &statements).await?;
            (open_sqlite(url, size, size.connections, &statements).await?, write)
        } else {
            // A migration holds one connection as its guard while it works on another.
            let pool = open(url, size, size.connections.max(2), &statements).await?;
            (pool.clone(), pool)
        };
        Ok(Self { read, write, statements })
    }

    /// For reading outside of a transaction.
    pub fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// Begins a transaction that will write. `service` alone calls it.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        self.write
            .begin_with_options(TransactionOptions {
                // A transaction that first reads and then writes could not wait for another writer otherwise.
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            })
            .await
    }

    /// How many statements have been sent since the start.
    pub fn statements(&self) -> u64 {
        self.statements.sent.get()
    }

    /// What is counted of statements.
    pub fn counted(&self) -> &Statements {
        &self.statements
    }

    /// The pools, as they stand.
    pub fn pools(&self) -> Vec<Pool> {
        let pool = |name, size: u32, idle: usize, max: u32| {
            // The two numbers are not of one moment.
            let idle = (idle as u64).min(u64::from(size));
            Pool { name, idle, used: u64::from(size) - idle, max: max.into() }
        };
        if self.is_sqlite() {
            let named = [("read", &self.read), ("write", &self.write)];
            let pools = named.map(|(name, connection)| (name, connection.get_sqlite_connection_pool()));
            pools.map(|(name, it)| pool(name, it.size(), it.num_idle(), it.options().get_max_connections())).to_vec()
        } else {
            let it = self.read.get_postgres_connection_pool();
            vec![pool("all", it.size(), it.num_idle(), it.options().get_max_connections())]
        }
    }

    /// Whether it is the embedded one.
    pub fn is_sqlite(&self) -> bool {
        self.read.get_database_backend() == DbBackend::Sqlite
    }

    /// Brings the schema up to date, and says how many migrations that took. Several processes at once are safe: one
    /// runs them, the others wait and find them done.
    pub async fn migrate(&self) -> Result<usize, DbErr> {
        let pending = self.pending_migrations().await?.len();
        if pending == 0 {
            return Ok(0);
        }
        if self.is_sqlite() {
            return self.migrate_sqlite().await;
        }
        // A lock of the transaction: it is given back even when this process dies in the middle.
        let guard = self.write.begin().await?;
        guard.execute_unprepared("SELECT pg_advisory_xact_lock(731052, hashtext(current_schema()))").await?;
        let pending = self.pending_migrations().await?.len();
        Migrator::up(&self.write, None).await?;
        guard.commit().await?;
        Ok(pending)
    }

    /// All in one transaction, which has the write lock from its beginning: who comes second sees what the first did.
    async fn migrate_sqlite(&self) -> Result<usize, DbErr> {
        let until = Instant::now() + BUSY_LIMIT;
        let guard = loop {
            match self.begin().await {
                // Long migrations of another process outlast the driver's own patience.
                Err(error) if is_retryable(&error) && Instant::now() < until => {}
                begun => break begun?,
            }
        };
        let pending = pending(&guard).await?.len();
        Migrator::up(&guard, None).await?;
        guard.commit().await?;
        Ok(pending)
    }

    /// The names of the migrations that the schema lacks.
    ///
    /// # Errors
    /// Also where the schema has migrations that this version does not know.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, DbErr> {
        pending(&self.read).await
    }

    /// Closes every connection, after what runs on them.
    pub async fn close(self) {
        for connection in [self.write, self.read] {
            if let Err(error) = connection.close_by_ref().await {
                tracing::warn!(%error, "a database connection did not close cleanly");
            }
        }
    }
}

async fn pending(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    match Migrator::get_pending_migrations_read_only(db).await {
        Ok(pending) => Ok(pending.iter().map(|migration| migration.name().to_owned()).collect()),
        // The library calls a migration that it does not know a missing file.
        Err(DbErr::Custom(text)) if text.starts_with("Migration file of version") => {
            let names: Vec<_> = text.split('\'').skip(1).step_by(2).collect();
            Err(DbErr::Custom(format!(
                "its schema is newer than this version of cosell, which does not know {}; use the newer version",
                names.join(", ")
            )))
        }
        Err(error) => Err(error),
    }
}

/// Whether a database's URL can be used, as far as it shows without a connection.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_url(url: &str) -> Result<(), String> {
    let options = if url.starts_with("sqlite:") {
        url.parse::<SqliteConnectOptions>().map(drop)
    } else {
        url.parse::<PgConnectOptions>().map(drop)
    };
    match options {
        // The driver says of which kind its fault is; here it can be no other.
        Err(fault) => {
            Err(format!("can't be used: {}", fault.to_string().trim_start_matches("error with configuration: ")))
        }
        Ok(()) => Ok(()),
    }
}

/// How long processes that start at once on one SQLite file wait for each other.
const BUSY_LIMIT: Duration = Duration::from_mins(5);
/// How often they look.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Opens a pool on an SQLite file. Its first connection sets the file's journal mode, and SQLite does not wait for
/// another process that does the same.
async fn open_sqlite(
    url: &str,
    size: PoolSize,
    connections: u32,
    statements: &Statements,
) -> Result<DatabaseConnection, DbErr> {
    let until = Instant::now() + size.wait;
    loop {
        match open(url, size, connections, statements).await {
            Err(error) if is_retryable(&error) && Instant::now() < until => tokio::time::sleep(BUSY_PAUSE).await,
            opened => return opened,
        }
    }
}

/// How long a connection may be idle and still be trusted.
const IDLE_TEST: Duration = Duration::from_secs(30);

async fn open(
    url: &str,
    size: PoolSize,
    connections: u32,
    statements: &Statements,
) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(size.at_least.min(connections))
        .acquire_timeout(size.wait)
        // Connections stay open. sqlx 0.9's reaper of idle ones can count below zero and then never comes back.
        .idle_timeout(None)
        .max_lifetime(None)
        .sqlx_logging(false)
        .test_before_acquire(false)
        // One that was cut while it was idle is found out before it is used.
        .test_before_acquire_if_idle_for(IDLE_TEST)
        .map_sqlx_sqlite_opts(|options| {
            options
                .create_if_missing(true)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                // With WAL a power cut can lose nothing that was committed before the last checkpoint, and never
                // harms the file; FULL also keeps the last commits.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(10))
        });
    let work = size.work;
    if let Some(work) = work {
        options.statement_timeout(work);
        options.map_sqlx_sqlite_pool_opts(move |pool| {
            pool.after_connect(move |connection, _| Box::pin(give_up_after(connection, work)))
        });
    }
    options.map_sqlx_sqlite_before_acquire(move |connection, _| {
        Box::pin(async move {
            // Where a write is interrupted or the disk is full, SQLite ends the transaction by itself, and sqlx still
            // counts it as open: what came next would be a part of it, and never be committed.
            if connection.is_in_transaction() {
                return Ok(false);
            }
            if let Some(work) = work {
                give_up_after(connection, work).await?;
            }
            Ok(true)
        })
    });
    let mut connection = Database::connect(options).await?;
    let statements = statements.clone();
    connection.set_metric_callback(move |info| {
        statements.sent.inc();
        statements.seconds.observe(info.elapsed.as_secs_f64());
        if info.failed {
            statements.failed.inc();
        }
        tally::add(info.elapsed);
    });
    Ok(connection)
}

/// How often SQLite looks whether it is to give up, in instructions of its virtual machine: thousands of times a second.
const LOOK: i32 = 10_000;

/// Has SQLite give up what runs on a connection after this time from now.
async fn give_up_after(connection: &mut SqliteConnection, work: Duration) -> Result<(), sqlx::Error> {
    let until = Instant::now() + work;
    connection.lock_handle().await?.set_progress_handler(LOOK, move || Instant::now() < until);
    Ok(())
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

fn sqlx_code(error: &DbErr) -> Option<String> {
    Some(sqlx_error(error)?.as_database_error()?.code()?.into_owned())
}

/// Whether the same transaction may succeed when it is tried again: a busy or locked SQLite file (5, 6 and their extended
/// codes), or a serialisation failure (40001), a deadlock (40P01) or a lock that was not had in time (55P03) of
/// PostgreSQL.
pub fn is_retryable(error: &DbErr) -> bool {
    sqlx_code(error).is_some_and(|code| is_retryable_code(&code))
}

fn is_retryable_code(code: &str) -> bool {
    match code.parse::<u32>() {
        // An extended code of SQLite has its primary code in the lowest byte.
        Ok(code) if code < 40_000 => matches!(code & 0xff, 5 | 6),
        _ => matches!(code, "40001" | "40P01" | "55P03"),
    }
}

/// Whether the database gave up because it took too long: an interrupted statement of SQLite (9), or a cancelled one of
/// PostgreSQL (57014).
pub fn is_given_up(error: &DbErr) -> bool {
    sqlx_code(error).is_some_and(|code| matches!(code.as_str(), "9" | "57014"))
}

/// Whether the database could not be reached at all.
pub fn is_unreachable(error: &DbErr) -> bool {
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) {
        return true;
    }
    // 57P01 to 57P03: PostgreSQL is shutting down, has crashed, or is starting.
    matches!(
        sqlx_error(error),
        Some(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_))
    ) || sqlx_code(error).is_some_and(|code| code.starts_with("57P"))
}

#[cfg(test)]
mod tests {
    use super::is_retryable_code;

    #[test]
    fn what_another_writer_causes_is_tried_again_and_nothing_else() {
        // SQLITE_BUSY, its RECOVERY, SNAPSHOT and TIMEOUT; SQLITE_LOCKED, its SHAREDCACHE and VTAB; of PostgreSQL.
        for code in ["5", "261", "517", "773", "6", "262", "518", "40001", "40P01", "55P03"] {
            assert!(is_retryable_code(code), "{code}");
        }
        // Constraints, a full disk, a cancelled statement, a syntax error, a lost connection.
        for code in ["1", "13", "19", "1555", "2067", "23505", "23503", "57014", "57P01", "42601", "08006", "", "x"] {
            assert!(!is_retryable_code(code), "{code}");
        }
    }
}
