//! The bus: who waits for a company's log to move is woken when it does.
//!
//! [`Signals`] wake those of this process at once. Where there are other processes, a carrier (`postgres`, `nats`)
//! brings them to each other. It works beside the transactions, never in their way: what it has to tell stands in a
//! [`Wire`], the last head of each company, and what was not told in time is told once, later. It only says 'look'; the
//! log is the truth, and the feed's poll finds what the bus has lost.
//!
//! To add a carrier: its variant in [`Carrier`], its line in [`Signals::connect`], and a file whose `run` tells what
//! [`Wire::next`] gives, listens for what [`Wire::turned`] names, and says when it is here and when it is away.

mod nats;
mod postgres;

use std::{
    collections::{HashMap, HashSet},
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::metrics::counter::Counter;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{domain::id::CompanyId, service::Bus};

/// How many companies' heads wait at most to be told. More than that is left to the polls of the others.
const MOST_UNTOLD: usize = 10_000;

/// The signals of one process.
#[derive(Debug, Default)]
pub struct Signals {
    shared: Arc<Shared>,
}

/// What carries the signals of one process to the others.
#[derive(Clone)]
pub enum Carrier {
    /// LISTEN and NOTIFY of a `PostgreSQL` database.
    Postgres {
        /// Its URL, with the password.
        url: String,
        /// As it is named in the log.
        shown: String,
    },
    /// A NATS server or cluster.
    Nats {
        /// `nats://` or `tls://`, with user and password, or a token, where it wants them.
        url: String,
        /// As it is named in the log.
        shown: String,
    },
}

impl Carrier {
    fn shown(&self) -> &str {
        match self {
            Self::Postgres { shown, .. } | Self::Nats { shown, .. } => shown,
        }
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Signals {
    /// Joins the processes of the same installation, and goes on trying to as long as what carries the signals is away.
    /// `installation` is what tells it from others on the same carrier, letters and digits. Only the first call counts.
    pub fn connect(&self, carrier: Carrier, installation: &str) -> Link {
        let wire = Arc::new(Wire::new(carrier.shown(), self.shared.traffic.clone()));
        let task = if self.shared.wire.set(wire.clone()).is_ok() {
            let (shared, far, installation) = (self.shared.clone(), wire.clone(), installation.to_owned());
            Some(match carrier {
                Carrier::Postgres { url, .. } => tokio::spawn(postgres::run(shared, far, url, installation)),
                Carrier::Nats { url, .. } => tokio::spawn(nats::run(shared, far, url, installation)),
            })
        } else {
            None
        };
        Link { wire, task }
    }

    /// How the bus is doing; none where this process is alone.
    pub fn standing(&self) -> Option<Standing> {
        self.shared.wire.get().map(|wire| wire.standing())
    }

    /// What is counted of the bus; it stays at nothing where this process is alone.
    pub fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    /// How far a company's log is known to have moved.
    pub(super) fn head(&self, company: CompanyId) -> Option<i64> {
        self.shared.watched().get(&company).map(|known| known.borrow().head)
    }

    /// Hears of a company's log from now on.
    pub(super) fn watch(&self, company: CompanyId) -> Moved {
        let mut first = false;
        let known = {
            let mut watched = self.shared.watched();
            let sender = watched.entry(company).or_insert_with(|| {
                first = true;
                watch::Sender::default()
            });
            sender.subscribe()
        };
        if first {
            self.shared.turn(company);
        }
        let looks = known.borrow().looks;
        Moved { known, looks, answered: None, interest: Interest { shared: self.shared.clone(), company } }
    }

    /// These logs have moved to these positions, as this process has come to know: nobody else is told.
    pub(super) fn heard(&self, heads: &[(CompanyId, i64)]) {
        self.shared.heard(heads);
    }
}

impl Bus for Signals {
    fn moved(&self, heads: &[(CompanyId, i64)]) {
        self.shared.heard(heads);
        if let Some(wire) = self.shared.wire.get() {
            wire.tell(heads);
        }
    }
}

/// What is counted of a bus. A signal is one company's log that has moved.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Signals that the bus has taken.
    pub told: Counter,
    /// Signals that it has brought.
    pub heard: Counter,
    /// Tries to tell or to listen that failed.
    pub failures: Counter,
}

/// How a bus is doing.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Whether other servers are heard.
    pub hears: bool,
    /// Whether other servers can be told.
    pub tells: bool,
    /// How many signals it has still to take.
    pub waiting: usize,
    /// How long the oldest of them has waited; nothing where none does.
    pub oldest: Option<Duration>,
}

/// What is known of a company's log.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// It has moved to here.
    head: i64,
    /// How often it was said to look, whatever is known: something may have been missed.
    looks: u64,
}

/// What the signals and the carrier have in common.
#[derive(Debug, Default)]
struct Shared {
    /// The companies that somebody here waits for.
    watched: Mutex<HashMap<CompanyId, watch::Sender<Known>>>,
    /// None where the process is alone.
    wire: OnceLock<Arc<Wire>>,
    traffic: Traffic,
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, HashMap<CompanyId, watch::Sender<Known>>> {
        lock(&self.watched)
    }

    fn is_watched(&self, company: CompanyId) -> bool {
        self.watched().contains_key(&company)
    }

    /// The bus has brought these.
    fn brought(&self, heads: &[(CompanyId, i64)]) {
        self.traffic.heard.inc_by(heads.len() as u64);
        self.heard(heads);
    }

    /// Wakes those who wait here.
    fn heard(&self, heads: &[(CompanyId, i64)]) {
        let watched = self.watched();
        for (company, position) in heads {
            if let Some(sender) = watched.get(company) {
                // Commits may be told of out of their order; the highest counts.
                sender.send_if_modified(|known| {
                    let ahead = *position > known.head;
                    known.head = known.head.max(*position);
                    ahead
                });
            }
        }
    }

    /// Wakes those who wait here for a company, or for any, although nothing is known: the bus was away, or did not
    /// listen for the company yet.
    fn look(&self, company: Option<CompanyId>) {
        let watched = self.watched();
        let some = company.into_iter().filter_map(|company| watched.get(&company));
        let all = watched.values().filter(|_| company.is_none());
        for sender in some.chain(all) {
            sender.send_modify(|known| known.looks += 1);
        }
    }

    /// Somebody has begun to wait for the company, or nobody waits for it any more.
    fn turn(&self, company: CompanyId) {
        if let Some(wire) = self.wire.get() {
            lock(&wire.turned).insert(company);
            wire.turns.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a company's log to move.
#[derive(Debug)]
pub(super) struct Moved {
    known: watch::Receiver<Known>,
    /// How many of the looks this one has taken.
    looks: u64,
    /// The head and the position of the last answer.
    answered: Option<(i64, i64)>,
    // Fields are dropped in their order: when this one goes, the receiver is no longer counted.
    interest: Interest,
}

impl Moved {
    /// Comes back when the log is known to have moved past this position, or has to be looked at for another reason.
    ///
    /// Who comes back with the same position has found nothing there: the head that it was woken by (of a database that
    /// was set back, or a stranger's on the bus) is forgotten. It does not wake again, nor hide a smaller one that is
    /// true.
    pub(super) async fn past(&mut self, position: i64) {
        if let Some((head, before)) = self.answered.take()
            && before == position
        {
            self.interest.forget(head, position);
        }
        let looks = self.looks;
        let news = |known: &Known| known.looks != looks || known.head > position;
        let Ok(known) = self.known.wait_for(news).await.map(|known| *known) else {
            // The sender goes only with its last receiver, which this is.
            return std::future::pending().await;
        };
        self.looks = known.looks;
        self.answered = Some((known.head, position));
    }
}

/// That somebody waits for a company.
#[derive(Debug)]
struct Interest {
    shared: Arc<Shared>,
    company: CompanyId,
}

impl Interest {
    /// The log, which was read up to this position, does not have that head.
    fn forget(&self, head: i64, position: i64) {
        if let Some(sender) = self.shared.watched().get(&self.company) {
            sender.send_if_modified(|known| {
                if known.head == head && head > position {
                    known.head = position;
                }
                false
            });
        }
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        {
            let mut watched = self.shared.watched();
            if watched.get(&self.company).is_none_or(|sender| sender.receiver_count() > 0) {
                return;
            }
            watched.remove(&self.company);
        }
        self.shared.turn(self.company);
    }
}

/// What lies between the signals of this process and the others: what is to be told, what is to be listened for, and
/// whether the carrier is there. Whoever adds to it never waits.
#[derive(Debug)]
struct Wire {
    /// The carrier, as it is named in the log.
    name: String,
    untold: Mutex<Untold>,
    /// There is something to tell.
    news: Notify,
    /// All was told.
    told: Notify,
    /// The companies for which this process may have to begin or to stop listening.
    turned: Mutex<HashSet<CompanyId>>,
    turns: Notify,
    presence: Mutex<Presence>,
    traffic: Traffic,
}

#[derive(Debug, Default)]
struct Untold {
    heads: HashMap<CompanyId, i64>,
    /// Since when the oldest of them waits.
    since: Option<Instant>,
    /// Those that are being told right now: how many, and since when the oldest waits.
    under_way: Option<(usize, Instant)>,
    /// Whether the last try to tell failed.
    failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Unknown,
    Here,
    Away,
}

type Heads = HashMap<CompanyId, i64>;

impl Wire {
    fn new(name: &str, traffic: Traffic) -> Self {
        Self {
            name: name.to_owned(),
            traffic,
            untold: Mutex::default(),
            news: Notify::new(),
            told: Notify::new(),
            turned: Mutex::default(),
            turns: Notify::new(),
            presence: Mutex::new(Presence::Unknown),
        }
    }

    /// Leaves heads to be told.
    fn tell(&self, heads: &[(CompanyId, i64)]) {
        {
            let mut untold = lock(&self.untold);
            for (company, position) in heads {
                untold.add(*company, *position);
            }
        }
        self.news.notify_one();
    }

    /// All that is to be told, once there is something. [`Self::done`] or [`Self::again`] has to follow.
    async fn next(&self) -> Heads {
        loop {
            {
                let mut untold = lock(&self.untold);
                if !untold.heads.is_empty() {
                    let since = untold.since.take().unwrap_or_else(Instant::now);
                    untold.under_way = Some((untold.heads.len(), since));
                    return mem::take(&mut untold.heads);
                }
            }
            self.news.notified().await;
        }
    }

    /// What [`Self::next`] gave was told.
    fn done(&self) {
        {
            let mut untold = lock(&self.untold);
            untold.failed = false;
            if let Some((count, _)) = untold.under_way.take() {
                self.traffic.told.inc_by(count as u64);
            }
        }
        self.told.notify_one();
    }

    /// What [`Self::next`] gave could not be told, and is still to be.
    fn again(&self, heads: Heads) {
        self.traffic.failures.inc();
        let mut untold = lock(&self.untold);
        untold.failed = true;
        let since = untold.under_way.take().map(|(_, since)| since);
        for (company, position) in heads {
            untold.add(company, position);
        }
        // They have waited longer than what came meanwhile.
        untold.since = since.or(untold.since);
    }

    fn standing(&self) -> Standing {
        let hears = *lock(&self.presence) != Presence::Away;
        let untold = lock(&self.untold);
        let under_way = untold.under_way.map_or(0, |(count, _)| count);
        let oldest = untold.under_way.map(|(_, since)| since).or(untold.since);
        Standing {
            hears,
            tells: !untold.failed,
            waiting: untold.heads.len() + under_way,
            oldest: oldest.map(|since| since.elapsed()),
        }
    }

    /// Waits until all is told.
    async fn all_told(&self) {
        loop {
            {
                let untold = lock(&self.untold);
                if untold.heads.is_empty() && untold.under_way.is_none() {
                    return;
                }
            }
            self.told.notified().await;
        }
    }

    /// The companies whose listeners have come or gone since the last call.
    fn turned(&self) -> HashSet<CompanyId> {
        mem::take(&mut *lock(&self.turned))
    }

    /// The carrier is there.
    fn here(&self) {
        let before = mem::replace(&mut *lock(&self.presence), Presence::Here);
        match before {
            Presence::Unknown => tracing::info!("the bus {} is there", self.name),
            Presence::Away => tracing::info!("the bus {} is back: events of other servers come at once", self.name),
            Presence::Here => {}
        }
    }

    /// The carrier is not there; it is tried again.
    fn away(&self, why: &dyn fmt::Display) {
        self.traffic.failures.inc();
        let before = mem::replace(&mut *lock(&self.presence), Presence::Away);
        if before == Presence::Away {
            tracing::debug!("the bus {} is still away: {why}", self.name);
        } else {
            tracing::warn!(
                "the bus {} is away ({why}): events of other servers arrive within feed.poll_interval; trying again",
                self.name
            );
        }
    }
}

impl Untold {
    fn add(&mut self, company: CompanyId, position: i64) {
        if self.heads.len() >= MOST_UNTOLD && !self.heads.contains_key(&company) {
            return;
        }
        self.since.get_or_insert_with(Instant::now);
        let head = self.heads.entry(company).or_insert(position);
        *head = position.max(*head);
    }
}

/// The place of one process among the others. Dropped, it goes on until the process ends.
pub struct Link {
    wire: Arc<Wire>,
    task: Option<JoinHandle<()>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.wire.name)
    }
}

impl Link {
    /// What is wrong with it now, in a sentence without an end; nothing where all is well. It does not name the bus: it
    /// is told to whoever asks.
    pub fn complaint(&self) -> Option<&'static str> {
        let Standing { hears, tells, .. } = self.wire.standing();
        if !hears {
            Some("away: events of other servers arrive within feed.poll_interval")
        } else if !tells {
            Some("takes nothing: events of this server reach other servers within their feed.poll_interval")
        } else {
            None
        }
    }

    /// Tells what is still to be told, for so long at most, and ends. Says whether all was told.
    pub async fn close(&self, within: Duration) -> bool {
        let all = tokio::time::timeout(within, self.wire.all_told()).await.is_ok();
        if let Some(task) = &self.task {
            task.abort();
        }
        all
    }
}

#[cfg(test)]
mod tests;
