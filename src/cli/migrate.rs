//! `cosell migrate`.

use clap::Args;

use super::{Failure, Outcome, connect, count, say};
use crate::{config::Config, store::db::Db};

/// Bring the database's schema up to date
///
/// On SQLite every command does this by itself. On PostgreSQL run it before a new version of `cosell serve`; two at
/// once are safe.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  COSELL_DATABASE_URL=postgres://cosell@localhost/cosell cosell migrate")]
pub(super) struct Migrate {}

pub(super) async fn run(config: Config) -> Outcome {
    let db = connect(&config).await?;
    let run = up(&db, &config).await?;
    db.close().await;
    say(match run {
        0 => format!("{} is up to date: 0 migrations were run.", config.database.url),
        run => {
            format!("{} is up to date: {} run.", config.database.url, count(run, "migration was", "migrations were"))
        }
    })
}

/// Runs what is wanting, and says how many that was.
pub(super) async fn up(db: &Db, config: &Config) -> Result<usize, Failure> {
    let run = db.migrate().await;
    run.map_err(|error| Failure::new(format!("The schema of {} can't be migrated: {error}.", config.database.url)))
}
