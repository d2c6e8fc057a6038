//! What jobs need besides the use cases: leases, and the end of what is kept for a time.

use chrono::Duration;

use super::{Service, transaction};
use crate::{error::Result, store};

/// How long a lease holds when its holder dies.
const LEASE: Duration = Duration::seconds(30);

impl Service {
    /// Takes or renews the lease of a job for this instance; `false` while another one holds it.
    pub async fn take_lease(&self, job: &str) -> Result<bool> {
        transaction!(self, tx, { store::lease::take(tx.db(), job, self.instance, tx.now, tx.now + LEASE).await })
    }

    /// Whether the limit of any lead has passed without its being recorded.
    pub async fn any_due(&self) -> Result<bool> {
        Ok(!store::lead::due(self.db().read(), self.now(), 1).await?.is_empty())
    }

    /// How long the limit that passed first has passed without its being recorded; zero where there is none.
    pub async fn expiry_lag(&self) -> Result<Duration> {
        let now = self.now();
        let first = store::lead::first_due(self.db().read(), now).await?;
        Ok(first.map_or_else(Duration::zero, |limit| now - limit))
    }

    /// Whether the limit of any lead comes near without its sides having been told.
    pub async fn any_expiring(&self) -> Result<bool> {
        Ok(!store::lead::expiring(self.db().read(), self.now(), 1).await?.is_empty())
    }

    /// Forgets the idempotency keys that are older than the operator has them kept.
    pub async fn forget_old_keys(&self) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let some = transaction!(self, tx, { store::key::forget(tx.db(), tx.now - self.policy.keys_kept).await })?;
            if some == 0 {
                return Ok(forgotten);
            }
            forgotten += some;
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.db().read().ping().await?;
        Ok(())
    }

    /// Gives back the leases that this instance holds.
    pub async fn release_leases(&self) -> Result<()> {
        transaction!(self, tx, { store::lease::release_all(tx.db(), self.instance).await })
    }
}
