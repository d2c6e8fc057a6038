//! The live feed: tails companies' logs and hands their events to subscribers.
//!
//! The log is the truth. A [`Signals`] only says that a log has moved; a poll stands behind it, in case nobody says so.
//! A subscriber first reads the log from its position, then follows the tail, and reads the log again wherever it fell
//! behind: nothing is lost and nothing comes twice.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use futures_util::{Stream, stream};
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::broadcast;

use crate::{
    domain::{
        actor::Member,
        company::PartnershipState,
        event::{Event, Happening},
        id::{CompanyId, LeadId},
    },
    error::{Error, ErrorCode, Result},
    service::{Service, cursor},
};

mod bus;
mod course;
mod heads;

pub use self::{
    bus::{Carrier, Link, Signals, Standing, Traffic},
    course::{Course, End, Start},
};

/// How many events are read from a log at once to catch up.
const BATCH: u64 = 500;
/// How many events the tail reads at once: fewer than subscribers may fall behind.
const STEP: u64 = 100;
/// How long a read of a log may take before it is tried again: a connection may be dead without anybody saying so.
const READ: Duration = Duration::from_secs(10);
/// How long to wait at most before a log that could not be read is read again.
const PAUSE: Duration = Duration::from_secs(1);
/// How many events a subscriber may fall behind before it reads the log again.
const BEHIND: usize = 256;

/// What an operator sets about feeds.
#[derive(Clone, Copy, Debug)]
pub struct FeedSettings {
    /// How often the logs are looked at when nothing says that they moved.
    pub poll_interval: Duration,
    /// How far back a subscription can begin; how far one likes where there is none.
    pub retention: Option<TimeDelta>,
}

/// The feeds of all companies that have subscribers on this server.
#[derive(Debug)]
pub struct Feed {
    service: Arc<Service>,
    signals: Arc<Signals>,
    heads: heads::Heads,
    settings: FeedSettings,
    tails: Mutex<HashMap<CompanyId, Tail>>,
    delay: Histogram,
}

/// What reads a company's log for all its subscribers.
#[derive(Clone, Debug)]
struct Tail {
    sender: broadcast::Sender<Arc<Event>>,
    /// Up to where it has read.
    position: Arc<AtomicI64>,
}

/// How far the tails of a server are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// How many there are: one for each company with subscribers.
    pub tails: usize,
    /// How many events the farthest behind has still to read, as far as is known.
    pub behind: i64,
}

impl Feed {
    /// Feeds over a service whose bus is `signals`. They look at the logs for as long as the feed is there.
    pub fn new(service: Arc<Service>, signals: Arc<Signals>, settings: FeedSettings) -> Arc<Self> {
        let heads = heads::Heads::new(service.clone());
        let delay = Histogram::new([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0]);
        let feed = Arc::new(Self { service, signals, heads, settings, tails: Mutex::default(), delay });
        tokio::spawn(poll(Arc::downgrade(&feed), settings.poll_interval));
        feed
    }

    /// How long after its time each event was handed to the subscribers, in seconds.
    pub fn delay(&self) -> &Histogram {
        &self.delay
    }

    /// How far the tails are.
    pub fn progress(&self) -> Progress {
        let tails = self.tails();
        let behind = tails.iter().map(|(company, tail)| {
            self.signals.head(*company).map_or(0, |head| head - tail.position.load(Ordering::Relaxed))
        });
        Progress { tails: tails.len(), behind: behind.max().unwrap_or(0).max(0) }
    }

    /// The last position of a company's log.
    pub async fn head(&self, company: CompanyId) -> Result<i64> {
        let head = self.heads.of(company).await?;
        // Whoever asks may know of it before the log's own followers do.
        self.signals.heard(&[(company, head)]);
        Ok(head)
    }

    /// The cursor of a position of a company's log, to resume after.
    pub fn cursor_at(&self, company: CompanyId, position: i64) -> String {
        self.service.cursors().text(&cursor::log(company, position))
    }

    /// The position that a subscription resumes after, from a cursor of an activity, or of a comment of the lead.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a cursor that was not given to this company; `CURSOR_EXPIRED` for one that lies farther back
    /// than the retention, with the cursor to begin at.
    pub async fn position_after(&self, member: &Member, lead: Option<LeadId>, cursor: &str) -> Result<i64> {
        let position = self.service.position_at(member, lead, cursor).await?;
        if let Some(retention) = self.settings.retention {
            self.service.refuse_older(member.company, position, retention).await?;
        }
        Ok(position)
    }

    /// The events of a company's log, or those of them about one lead, from where the course begins, or after `after`
    /// where it begins as asked: up to where it ends, or on as they happen. What can't be read now is tried again.
    ///
    /// With a lead it ends by itself once the company's part in the lead is over.
    ///
    /// # Errors
    /// Where the log can't be read at the start.
    pub async fn follow(
        self: &Arc<Self>,
        company: CompanyId,
        lead: Option<LeadId>,
        after: Option<i64>,
        course: Arc<Course>,
    ) -> Result<impl Stream<Item = Arc<Event>> + Send + use<>> {
        let (tail, up_to) = match course.until() {
            Some(until) => (None, until),
            // The tail is joined before the start is fixed, so that nothing can happen between the two.
            None => (Some(self.join(company).await?), self.head(company).await?),
        };
        let position = match course.start() {
            Start::AsAsked => after.unwrap_or(up_to),
            Start::Now => up_to,
            Start::After(position) => position,
        };
        course.deal(position);
        let follower = Follower {
            feed: self.clone(),
            company,
            lead,
            course,
            tail,
            position,
            behind: Some(up_to),
            read: Vec::new().into_iter(),
            last_batch: false,
            doubt: None,
            ending: None,
        };
        Ok(stream::unfold(follower, |mut follower| async move {
            let event = follower.next().await?;
            Some((event, follower))
        }))
    }

    /// The tail of a company's log, started where nobody follows it yet.
    async fn join(self: &Arc<Self>, company: CompanyId) -> Result<broadcast::Receiver<Arc<Event>>> {
        if let Some(tail) = self.tails().get(&company) {
            return Ok(tail.sender.subscribe());
        }
        let moved = self.signals.watch(company);
        let head = self.head(company).await?;
        let mut tails = self.tails();
        if let Some(tail) = tails.get(&company) {
            return Ok(tail.sender.subscribe());
        }
        let (sender, receiver) = broadcast::channel(BEHIND);
        let tail = Tail { sender, position: Arc::new(AtomicI64::new(head)) };
        tails.insert(company, tail.clone());
        tokio::spawn(self.clone().tail(company, head, moved, tail));
        Ok(receiver)
    }

    fn tails(&self) -> MutexGuard<'_, HashMap<CompanyId, Tail>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a company's log as it moves, once for all its subscribers, for as long as there are any.
    async fn tail(self: Arc<Self>, company: CompanyId, mut position: i64, mut moved: bus::Moved, tail: Tail) {
        loop {
            match bounded(self.service.log_after(company, None, position, i64::MAX, STEP)).await {
                Ok(events) if !events.is_empty() => {
                    let now = self.service.now();
                    for event in events {
                        position = event.position;
                        // The clock of the server that wrote it may be ahead of this one's.
                        self.delay.observe((now - event.at).to_std().unwrap_or_default().as_secs_f64());
                        // An error only says that nobody listens at this moment.
                        let _ = tail.sender.send(Arc::new(event));
                    }
                    tail.position.store(position, Ordering::Relaxed);
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, %company, "a company's log can't be read; trying again");
                    tokio::time::sleep(self.settings.poll_interval.min(PAUSE)).await;
                    if !self.left(company) {
                        continue;
                    }
                    return;
                }
            }
            if self.left(company) {
                return;
            }
            tokio::select! {
                () = moved.past(position) => {}
                () = tail.sender.closed() => {}
            }
        }
    }

    /// Whether nobody follows a company any more; its tail is taken away then. Joining takes the same lock, so nobody
    /// can join a tail that has ended.
    fn left(&self, company: CompanyId) -> bool {
        let mut tails = self.tails();
        let left = tails.get(&company).is_none_or(|tail| tail.sender.receiver_count() == 0);
        if left {
            tails.remove(&company);
        }
        left
    }
}

/// Reads something, for a bounded time.
async fn bounded<T>(reading: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::new(ErrorCode::Unavailable, "The database does not answer. Try again."));
    tokio::time::timeout(READ, reading).await.unwrap_or_else(late)
}

/// Looks where the followed logs stand, all in one statement, for as long as the feed is there.
async fn poll(feed: Weak<Feed>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(feed) = feed.upgrade() else { return };
        let companies: Vec<_> = feed.tails().keys().copied().collect();
        if companies.is_empty() {
            continue;
        }
        match bounded(feed.service.log_heads(&companies)).await {
            Ok(heads) => feed.signals.heard(&heads),
            Err(error) => tracing::warn!(%error, "the logs can't be looked at; trying again"),
        }
    }
}

/// One subscriber's place in a log.
struct Follower {
    feed: Arc<Feed>,
    company: CompanyId,
    /// Only what is about this lead.
    lead: Option<LeadId>,
    course: Arc<Course>,
    /// Nothing where the course has an end.
    tail: Option<broadcast::Receiver<Arc<Event>>>,
    /// Up to where everything has been handed on or passed over.
    position: i64,
    /// Up to where the log is to be read before the tail is followed.
    behind: Option<i64>,
    /// What was read from the log and is still to be handed on.
    read: std::vec::IntoIter<Event>,
    /// Whether there is nothing more to read up to `behind`.
    last_batch: bool,
    /// The end that the last event may have been.
    doubt: Option<End>,
    /// The end that it was. What was written with it is still to be handed on.
    ending: Option<End>,
}

impl Follower {
    async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            // Whoever asks for the next event has dealt with the last one.
            self.course.deal(self.position);
            if let Some(end) = self.doubt.take()
                && let Some(last) = self.last_if_over().await
            {
                self.ending = Some(end);
                self.tail = None;
                self.behind = Some(last);
                self.last_batch = false;
            }
            if let Some(event) = self.read.next() {
                self.position = event.position;
                return Some(self.hand_on(Arc::new(event)));
            }
            if let Some(up_to) = self.behind {
                self.catch_up(up_to).await;
                if self.behind.is_none() && self.tail.is_none() {
                    self.course.deal(self.position);
                    if let Some(end) = self.ending {
                        self.course.end_with(end);
                    }
                    return None;
                }
                continue;
            }
            let tail = self.tail.as_mut()?;
            match tail.recv().await {
                Ok(event) if event.position <= self.position => {}
                Ok(event) if event.position == self.position + 1 => {
                    self.position = event.position;
                    if self.lead.is_none() || event.lead == self.lead {
                        return Some(self.hand_on(event));
                    }
                    self.pass_over(&event);
                }
                // The tail is ahead, or has dropped what this subscriber was too slow for: the log has it.
                Ok(event) => self.behind = Some(event.position),
                // The next one that it still has says how far.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    fn hand_on(&mut self, event: Arc<Event>) -> Arc<Event> {
        self.course.hand_on(event.position);
        if self.lead.is_some() && self.tail.is_some() && event.happening.may_end_part() {
            self.doubt = Some(End::LeadIsOver);
        }
        event
    }

    fn pass_over(&mut self, event: &Event) {
        if let Happening::PartnershipChanged { to, .. } = &event.happening
            && PartnershipState::parse(to) == Some(PartnershipState::Ended)
        {
            self.doubt = Some(End::PartnershipEnded);
        }
    }

    /// Reads the next part of the log, up to a position.
    async fn catch_up(&mut self, up_to: i64) {
        if self.last_batch || self.position >= up_to {
            self.position = self.position.max(up_to);
            self.behind = None;
            self.last_batch = false;
            // The end may have been among what was read, or before.
            self.doubt = self.lead.and(Some(End::LeadIsOver)).filter(|_| self.tail.is_some());
            return;
        }
        let reading = self.feed.service.log_after(self.company, self.lead, self.position, up_to, BATCH);
        match bounded(reading).await {
            Ok(events) => {
                self.last_batch = u64::try_from(events.len()).is_ok_and(|read| read < BATCH);
                self.read = events.into_iter();
            }
            Err(error) => self.wait_after(&error).await,
        }
    }

    /// Where the log stood when the company's part in the lead was over; nothing where it is not.
    async fn last_if_over(&self) -> Option<i64> {
        let lead = self.lead?;
        loop {
            let read = async {
                let over = bounded(self.feed.service.is_over(self.company, lead)).await?;
                if over { self.feed.head(self.company).await.map(Some) } else { Ok(None) }
            };
            match read.await {
                Ok(last) => return last,
                Err(error) => self.wait_after(&error).await,
            }
        }
    }

    async fn wait_after(&self, error: &Error) {
        tracing::warn!(%error, company = %self.company, "a log can't be read; trying again");
        tokio::time::sleep(self.feed.settings.poll_interval.min(PAUSE)).await;
    }
}
