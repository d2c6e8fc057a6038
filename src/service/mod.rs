//! One function a use case: load, authorise, decide, save, append to the log, in one transaction.
//!
//! This room alone opens transactions. To add a use case: a function on [`Service`] in the file of its noun, whose
//! body stands in [`transaction!`], loads through [`authorize`], and tells what happened with [`Tx::happened`].

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::Cache;
use sea_orm::{DatabaseTransaction, DbErr};
use uuid::Uuid;

use crate::{
    domain::{
        actor::Member,
        clock::Clock,
        company::{Company, Profile},
        event::Happening,
        id::{CompanyId, EventId, LeadId, MemberId},
        ids::IdSource,
        lead::WorkflowRef,
        workflow::definition::Definition,
    },
    error::{Error, ErrorCode, Result},
    service::member::Bearer,
    store::{
        self,
        db::{Db, is_retryable},
        log::NewEvent,
    },
};

pub mod activity;
pub mod audit;
mod authorize;
pub mod board;
pub mod comment;
pub mod company;
pub mod cursor;
mod duplicate;
pub mod erasure;
pub mod lead;
pub mod marketing_list;
pub mod member;
pub mod opportunity;
pub mod task;
pub mod template;
pub mod upkeep;
pub mod workflow;

/// Hears, after each commit, that companies' logs have moved. It only says 'look'; the log is the truth.
pub trait Bus: Send + Sync + fmt::Debug {
    /// These logs have moved to these positions.
    fn moved(&self, heads: &[(CompanyId, i64)]);
}

/// What an operator sets of the use cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long an idempotency key is remembered.
    pub keys_kept: TimeDelta,
    /// How long before its limit a lead's sides are told, though never before three quarters of the time have passed.
    pub warn_before: TimeDelta,
}

impl Default for Policy {
    fn default() -> Self {
        Self { keys_kept: TimeDelta::days(7), warn_before: TimeDelta::days(1) }
    }
}

/// The use cases, over one database.
#[derive(Debug)]
pub struct Service {
    db: Db,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    bus: Arc<dyn Bus>,
    /// This process, as the holder of leases.
    instance: Uuid,
    policy: Policy,
    cursors: cursor::Cursors,
    companies: Cache<CompanyId, Arc<Company>>,
    members: Cache<(String, String), Arc<member::Known>>,
    definitions: Cache<WorkflowRef, Arc<Definition>>,
    rehearsal: Option<Rehearsal>,
}

/// Whose transactions are taken back at their ends.
#[derive(Debug)]
struct Rehearsal {
    subject: String,
    profile: Profile,
}

impl Service {
    /// Opens the use cases on a database whose schema is current.
    pub async fn new(db: Db, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>, bus: Arc<dyn Bus>) -> Result<Self> {
        let key = if let Some(key) = store::company::cursor_key(db.read()).await? {
            key
        } else {
            let tx = db.begin().await?;
            let key = store::company::keep_cursor_key(&tx, rand::random::<[u8; 32]>().to_vec(), clock.now()).await?;
            tx.commit().await?;
            key
        };
        Ok(Self {
            db,
            clock,
            instance: ids.next(),
            ids,
            bus,
            policy: Policy::default(),
            cursors: cursor::Cursors::new(key),
            companies: Cache::new(10_000),
            members: Cache::new(50_000),
            definitions: Cache::new(10_000),
            rehearsal: None,
        })
    }

    /// The same with what an operator has set.
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same, but whatever it does is taken back: each use case says what it would say, and nothing is kept or told.
    /// The member acts in it, and may be one that is not recorded yet.
    pub async fn rehearsing(self, bearer: &Bearer) -> Result<(Self, Member)> {
        let refused = || Error::new(ErrorCode::Unauthenticated, "There is no such company.");
        let company = self.company_by_slug(&bearer.company).await?.ok_or_else(refused)?.id;
        let recorded = store::company::member_by_subject(self.db.read(), company, &bearer.subject).await?;
        let profile = Profile {
            id: recorded.map_or_else(|| self.fresh(), |recorded| recorded.id),
            company,
            name: bearer.name.clone().unwrap_or_else(|| bearer.subject.clone()),
            email: bearer.email.clone(),
            roles: bearer.roles.clone(),
        };
        let member = Member { id: profile.id, company, roles: bearer.roles.clone() };
        let rehearsal = Some(Rehearsal { subject: bearer.subject.clone(), profile });
        Ok((Self { rehearsal, ..self }, member))
    }

    /// The time now, cut to milliseconds.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The database, for reading.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The codec of cursors.
    pub fn cursors(&self) -> &cursor::Cursors {
        &self.cursors
    }

    async fn begin(&self) -> Result<Tx> {
        // SQLite's one writer is waited for here: what is busy now has been so for the whole wait.
        let inner = self.db.begin().await.map_err(|error| if is_retryable(&error) { busy() } else { error.into() })?;
        let clock = self.clock.clone();
        let (now, warn_before) = (clock.now(), self.policy.warn_before);
        if let Some(Rehearsal { subject, profile }) = &self.rehearsal {
            store::company::record_member(&inner, profile.id, profile.company, subject, profile, now).await?;
        }
        Ok(Tx { inner, now, clock, ids: self.ids.clone(), warn_before, events: Vec::new() })
    }

    /// Ends a transaction: appends what happened, commits, wakes the readers of the logs. `None` where another writer
    /// was in the way and the whole is to be tried again.
    async fn finish<T>(&self, tx: Tx, outcome: Result<T>, attempt: &mut u32) -> Option<Result<T>> {
        let outcome = match outcome {
            Ok(value) if self.rehearsal.is_some() => tx.take_back().await.map(|()| (value, Vec::new())),
            Ok(value) => tx.commit().await.map(|heads| (value, heads)),
            Err(error) => {
                if let Err(error) = tx.inner.rollback().await {
                    tracing::warn!(%error, "a transaction did not roll back cleanly");
                }
                Err(error)
            }
        };
        match outcome {
            Ok((value, heads)) => {
                if !heads.is_empty() {
                    self.bus.moved(&heads);
                }
                Some(Ok(value))
            }
            Err(Error::Internal(cause)) if cause.downcast_ref::<DbErr>().is_some_and(is_retryable) => {
                *attempt += 1;
                if *attempt < MAX_ATTEMPTS {
                    tracing::debug!(%cause, attempt, "another writer was in the way; trying again");
                    tokio::time::sleep(pause(*attempt)).await;
                    return None;
                }
                tracing::warn!(%cause, "gave up after {MAX_ATTEMPTS} attempts");
                Some(Err(busy()))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

const MAX_ATTEMPTS: u32 = 7;

/// How long to wait before a transaction is tried again: anything up to a bound that doubles with each attempt, so that
/// those who were in each other's way don't meet again.
fn pause(attempt: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_millis(250);
    (FIRST * 2_u32.saturating_pow(attempt.saturating_sub(1))).min(LONGEST).mul_f64(rand::random())
}

fn busy() -> Error {
    Error::new(ErrorCode::Unavailable, "The server is busy with other writers. Try again.")
}

/// Runs a body in a transaction that is tried again, whole, when another writer was in the way.
macro_rules! transaction {
    ($service:expr, $tx:ident, $body:block) => {{
        let mut attempt = 0;
        loop {
            let mut $tx = $service.begin().await?;
            let outcome: $crate::error::Result<_> = async {
                // The body may or may not tell of events.
                #[allow(unused_mut)]
                let mut $tx = &mut $tx;
                $body
            }
            .await;
            if let Some(outcome) = $service.finish($tx, outcome, &mut attempt).await {
                break outcome;
            }
        }
    }};
}
pub(crate) use transaction;

/// A transaction under way, its time, and what has happened in it.
#[derive(Debug)]
pub(crate) struct Tx {
    inner: DatabaseTransaction,
    now: DateTime<Utc>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    warn_before: TimeDelta,
    events: Vec<NewEvent>,
}

impl Tx {
    /// When to tell of a limit that is set now.
    fn warn_at(&self, limit: DateTime<Utc>) -> DateTime<Utc> {
        let quarter = TimeDelta::milliseconds((limit - self.now).num_milliseconds() / 4);
        limit - self.warn_before.min(quarter)
    }

    fn db(&self) -> &DatabaseTransaction {
        &self.inner
    }

    fn fresh<T: From<Uuid>>(&self) -> T {
        T::from(self.ids.next())
    }

    /// Takes the time again, once a lock is held: what waited for it happens after what it waited for.
    fn tick(&mut self) {
        self.now = self.clock.now();
    }

    /// Tells the audience what happened.
    fn happened(
        &mut self,
        audience: Vec<CompanyId>,
        actor: Option<MemberId>,
        lead: Option<LeadId>,
        subject: Option<Uuid>,
        happening: Happening,
    ) {
        let id: EventId = self.fresh();
        let salt = self.ids.salt();
        self.events.push(NewEvent { id, audience, actor, lead, subject, happening, salt });
    }

    async fn append(&self) -> Result<Vec<(CompanyId, i64)>> {
        if self.events.is_empty() {
            return Ok(Vec::new());
        }
        store::log::append(&self.inner, &self.events, self.now).await
    }

    async fn commit(self) -> Result<Vec<(CompanyId, i64)>> {
        let heads = self.append().await?;
        self.inner.commit().await?;
        Ok(heads)
    }

    /// Does all that a commit does, and keeps nothing of it.
    async fn take_back(self) -> Result<()> {
        self.append().await?;
        Ok(self.inner.rollback().await?)
    }
}

impl Service {
    fn fresh<T: From<Uuid>>(&self) -> T {
        T::from(self.ids.next())
    }
}
