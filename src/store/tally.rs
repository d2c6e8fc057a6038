//! How many statements a piece of work sends, and how long the database takes for them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use tracing::Instrument as _;

tokio::task_local! {
    static CURRENT: Arc<Tally>;
}

/// What was counted so far.
#[derive(Debug, Default)]
pub struct Tally {
    statements: AtomicU64,
    micros: AtomicU64,
}

impl Tally {
    /// How many statements were answered.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// How long they took, all together; those that ran side by side count each for itself.
    pub fn time(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }
}

/// Counts what this work sends, and what it hands to [`spawn`].
pub async fn counted<T>(tally: Arc<Tally>, work: impl Future<Output = T>) -> T {
    CURRENT.scope(tally, work).await
}

/// Spawns a part of the present work: it counts, and is logged, with it.
pub fn spawn<F>(part: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let part = part.in_current_span();
    match CURRENT.try_with(Arc::clone) {
        Ok(tally) => tokio::spawn(CURRENT.scope(tally, part)),
        Err(_) => tokio::spawn(part),
    }
}

pub(super) fn add(took: Duration) {
    // Nobody counts what jobs and tails do.
    let _ = CURRENT.try_with(|tally| {
        tally.statements.fetch_add(1, Ordering::Relaxed);
        tally.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    });
}
