//! One server at a time on an SQLite file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::Failure;
use crate::config::DatabaseUrl;

/// How long a server waits for one that is ending: longer than an end takes.
const PATIENCE: Duration = Duration::from_secs(45);
/// How often it looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Held while a server runs on an `SQLite` file; the system takes it back when the process ends, however it ends. The
/// commands that write a little and end don't take it.
#[derive(Debug)]
pub(super) struct Lock {
    _file: Option<File>,
}

impl Lock {
    /// Waits until no other server has the database; on `PostgreSQL` there may be many.
    pub(super) async fn take(url: &DatabaseUrl) -> Result<Self, Failure> {
        Self::take_within(url, PATIENCE).await
    }

    async fn take_within(url: &DatabaseUrl, patience: Duration) -> Result<Self, Failure> {
        let Some(path) = url.sqlite_file().map(|file| beside(&file)) else { return Ok(Self { _file: None }) };
        let name = path.display();
        let failed = |error| Failure::new(format!("{name} can't be locked: {error}."));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        let began = Instant::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: Some(file) }),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if began.elapsed() >= patience => {
                    return Err(Failure::new(format!(
                        "Another server runs on {url}, and SQLite is for one: end that one first ({name} is locked), or \
                         use PostgreSQL."
                    )));
                }
                Err(TryLockError::WouldBlock) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!("another server runs on {url}: waiting {patience:?} for its end");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// `FILE.lock`, beside the file itself where a link leads to it.
fn beside(file: &Path) -> PathBuf {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let mut name = file.into_os_string();
    name.push(".lock");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_server_waits_for_the_first_and_then_gives_up() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::parse(&format!("sqlite://{}/a.db", folder.path().display())).unwrap();
        let first = Lock::take(&url).await.unwrap();
        let refused = Lock::take_within(&url, Duration::from_millis(1)).await.unwrap_err();
        assert!(refused.message.contains("a.db.lock is locked"), "{refused}");
        let second = Lock::take(&url);
        let ends = async {
            tokio::time::sleep(PAUSE / 2).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, ends);
        second.unwrap();
        Lock::take(&DatabaseUrl::parse("postgres://db/cosell").unwrap()).await.unwrap();
    }
}
