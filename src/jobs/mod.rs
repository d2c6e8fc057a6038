//! What runs by the clock. Each job runs on one instance at a time, by a lease in the database.
//!
//! To add a job: an `async fn` over the service, which takes its lease first, and its line in [`start`].

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use tokio::{task::JoinHandle, time::Instant};

use crate::{error::Result, service::Service};

/// How many leads are expired in one go, so that the lease is renewed in time.
const BATCH: u64 = 200;

/// The name of a job, as a label.
pub type Job = [(&'static str, &'static str); 1];

/// What is counted of jobs. A run that finds nothing to do, or another server at it, counts too.
#[derive(Clone, Debug)]
pub struct Runs {
    /// Runs that did what there was to do.
    pub done: Family<Job, Counter>,
    /// Runs that failed.
    pub failed: Family<Job, Counter>,
    /// How long they took, in seconds.
    pub seconds: Family<Job, Histogram>,
    /// When the last one was done, in seconds since 1970.
    pub last_done: Family<Job, Gauge>,
}

impl Default for Runs {
    fn default() -> Self {
        let seconds = || Histogram::new([0.001, 0.01, 0.1, 1.0, 10.0, 60.0]);
        Self {
            done: Family::default(),
            failed: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            last_done: Family::default(),
        }
    }
}

impl Runs {
    fn note(&self, job: &'static str, service: &Service, took: Duration, done: bool) {
        let job = [("job", job)];
        self.seconds.get_or_create(&job).observe(took.as_secs_f64());
        // Both exist from the first run on: a count that is not there can't be watched.
        let (ran, failed) = (self.done.get_or_create_owned(&job), self.failed.get_or_create_owned(&job));
        if done {
            ran.inc();
            self.last_done.get_or_create(&job).set(service.now().timestamp());
        } else {
            failed.inc();
        }
    }
}

/// Starts the jobs; they end when the handles are aborted.
pub fn start(service: &Arc<Service>, expiry_interval: Duration, runs: &Runs) -> Vec<JoinHandle<()>> {
    let every = |interval, name, job: Run| {
        let (service, runs) = (service.clone(), runs.clone());
        tokio::spawn(every(service, interval, name, runs, job))
    };
    vec![
        every(expiry_interval, "expiry", |service| Box::pin(expire(service))),
        every(expiry_interval, "expiry warnings", |service| Box::pin(warn(service))),
        every(Duration::from_hours(1), "idempotency keys", |service| Box::pin(forget(service))),
        every(Duration::from_mins(1), "match keys", |service| Box::pin(write_match_keys(service))),
    ]
}

/// One run of a job.
type Run = fn(Arc<Service>) -> BoxFuture<'static, Result<()>>;

async fn every(service: Arc<Service>, interval: Duration, name: &'static str, runs: Runs, job: Run) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let begun = Instant::now();
        let outcome = job(service.clone()).await;
        runs.note(name, &service, begun.elapsed(), outcome.is_ok());
        if let Err(error) = outcome {
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
