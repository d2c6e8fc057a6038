//! What runs by the clock. Each job runs on one instance at a time, by a lease in the database.
//!
//! To add a job: an `async fn` over the service, which takes its lease first, and its line in [`start`].

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use crate::{error::Result, service::Service};

/// How many leads are expired in one go, so that the lease is renewed in time.
const BATCH: u64 = 200;

/// Starts the jobs; they end when the handles are aborted.
pub fn start(service: &Arc<Service>, expiry_interval: Duration) -> Vec<JoinHandle<()>> {
    let expiry = service.clone();
    let keys = service.clone();
    let match_keys = service.clone();
    let warnings = service.clone();
    vec![
        tokio::spawn(every(expiry_interval, "expiry", move || expire(expiry.clone()))),
        tokio::spawn(every(expiry_interval, "expiry warnings", move || warn(warnings.clone()))),
        tokio::spawn(every(Duration::from_hours(1), "idempotency keys", move || forget(keys.clone()))),
        tokio::spawn(every(Duration::from_mins(1), "match keys", move || write_match_keys(match_keys.clone()))),
    ]
}

async fn every<F: Future<Output = Result<()>>>(interval: Duration, name: &str, job: impl Fn() -> F) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = job().await {
            tracing::warn!(%error, job = name, "a job failed; it runs again");
        }
    }
}

/// Records the expiry of the leads whose limit has passed, also of those that passed while no server ran.
async fn expire(service: Arc<Service>) -> Result<()> {
    if !service.any_due().await? || !service.take_lease("expiry").await? {
        return Ok(());
    }
    loop {
        let expired = service.expire_due(BATCH).await?;
        if expired > 0 {
            tracing::info!(expired, "leads expired");
        }
        if expired < BATCH || !service.take_lease("expiry").await? {
            return Ok(());
        }
    }
}

/// Tells of the limits that come near, also of those that came near while no server ran and have not passed.
async fn warn(service: Arc<Service>) -> Result<()> {
    if !service.any_expiring().await? || !service.take_lease("expiry warnings").await? {
        return Ok(());
    }
    while service.tell_of_limits(BATCH).await? >= BATCH && service.take_lease("expiry warnings").await? {}
    Ok(())
}

async fn forget(service: Arc<Service>) -> Result<()> {
    if service.take_lease("idempotency keys").await? {
        service.forget_old_keys().await?;
    }
    Ok(())
}

/// Writes what leads are compared by for those that were there before, once; it goes on where it was interrupted.
async fn write_match_keys(service: Arc<Service>) -> Result<()> {
    while !service.match_keys_written().await? && service.take_lease("match keys").await? {
        if service.write_match_keys(BATCH).await? {
            tracing::info!("all leads can be compared");
        }
    }
    Ok(())
}
