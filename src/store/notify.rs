//! PostgreSQL's LISTEN and NOTIFY, on connections of their own: the pool's are for queries.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions},
};

/// The longest that connecting or a statement may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells channels something.
#[derive(Debug)]
pub struct Notifier {
    url: String,
    name: String,
    connection: Option<PgConnection>,
}

impl Notifier {
    /// Connects when it has something to tell. `name` is the connection's in `pg_stat_activity`, 63 bytes at most.
    pub fn new(url: String, name: String) -> Self {
        Self { url, name, connection: None }
    }

    /// Tells each channel its text, all in one statement. After an error the next call connects again.
    pub async fn notify(&mut self, channels: &[String], texts: &[String]) -> Result<(), sqlx::Error> {
        // Taken out, so that a connection on which something went wrong, or was given up, is not used again.
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => within(connect(&self.url, &self.name)).await?,
        };
        self.connection = Some(within(send(connection, channels, texts)).await?);
        Ok(())
    }
}

/// The connections say in `pg_stat_activity` what they are for.
fn options(url: &str, name: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(url.parse::<PgConnectOptions>()?.application_name(name))
}

async fn connect(url: &str, name: &str) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect_with(&options(url, name)?).await?;
    // What is told is of no worth after a crash: nobody waits until it is on disk.
    connection.execute("SET synchronous_commit TO off").await?;
    Ok(connection)
}

async fn send(
    mut connection: PgConnection,
    channels: &[String],
    texts: &[String],
) -> Result<PgConnection, sqlx::Error> {
    sqlx::query("SELECT pg_notify(channel, text) FROM unnest($1::text[], $2::text[]) AS told(channel, text)")
        .bind(channels)
        .bind(texts)
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

/// Hears what channels are told.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Listener {
    /// Connects. `name` is the connection's in `pg_stat_activity`, 63 bytes at most.
    pub async fn connect(url: &str, name: &str) -> Result<Self, sqlx::Error> {
        // The listener wants a pool. It never connects again by itself, because whoever uses it has to know.
        let pool =
            PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).idle_timeout(None).max_lifetime(None);
        let mut listener =
            within(async { PgListener::connect_with(&pool.connect_with(options(url, name)?).await?).await }).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        Ok(Self(listener))
    }

    /// Begins to hear some channels and hears others no more; when it comes back, PostgreSQL has done so.
    pub async fn change(&mut self, listen: &[String], unlisten: &[String]) -> Result<(), sqlx::Error> {
        let mut statements = String::new();
        for (word, channels) in [("LISTEN", listen), ("UNLISTEN", unlisten)] {
            for channel in channels {
                statements.extend([word, " \"", &channel.replace('"', "\"\""), "\";"]);
            }
        }
        if !statements.is_empty() {
            within(self.0.execute(AssertSqlSafe(statements))).await?;
        }
        Ok(())
    }

    /// Asks PostgreSQL for a sign of life.
    pub async fn ping(&mut self) -> Result<(), sqlx::Error> {
        within(self.0.execute("SELECT 1")).await?;
        Ok(())
    }

    /// Waits until something is told, and returns all that has come: channels and texts. Nothing is lost when the wait
    /// is given up: sqlx takes a message out of its buffer only when it is there in full.
    pub async fn hear(&mut self) -> Result<Vec<(String, String)>, sqlx::Error> {
        let told = |told: &PgNotification| (told.channel().to_owned(), told.payload().to_owned());
        let first = self.0.try_recv().await?.ok_or_else(|| {
            sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "the connection was lost"))
        })?;
        let mut all = vec![told(&first)];
        while let Some(next) = self.0.next_buffered() {
            all.push(told(&next));
        }
        Ok(all)
    }
}

async fn within<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let timed_out = |_| sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time"));
    tokio::time::timeout(PATIENCE, work).await.map_err(timed_out)?
}
