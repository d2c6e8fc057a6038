//! The live feed: tails companies' logs and hands their events to subscribers.
//!
//! The log is the truth. A [`Signals`] only says that a log has moved; a poll stands behind it for what other
//! processes write. A subscriber first reads the log from its position, then follows the tail, and reads the log again
//! wherever it fell behind: nothing is lost and nothing comes twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{Stream, stream};
use tokio::sync::{broadcast, oneshot};

use crate::{
    domain::{event::Event, id::CompanyId},
    error::Result,
    service::Service,
};

mod bus;

pub use self::bus::Signals;

/// How many events are read from a log at once.
const BATCH: u64 = 500;
/// How many events a subscriber may fall behind before it reads the log again.
const BEHIND: usize = 1_024;

/// The feeds of all companies that have subscribers on this server.
#[derive(Debug)]
pub struct Feed {
    service: Arc<Service>,
    signals: Arc<Signals>,
    poll_interval: Duration,
    tails: Mutex<HashMap<CompanyId, broadcast::Sender<Arc<Event>>>>,
}

impl Feed {
    /// Feeds over a service whose bus is `signals`.
    pub fn new(service: Arc<Service>, signals: Arc<Signals>, poll_interval: Duration) -> Arc<Self> {
        Arc::new(Self { service, signals, poll_interval, tails: Mutex::default() })
    }

    /// The events of a company's log after a position, and on as they happen; from now on where there is none.
    pub async fn follow(
        self: &Arc<Self>,
        company: CompanyId,
        after: Option<i64>,
    ) -> Result<impl Stream<Item = Result<Arc<Event>>> + Send + use<>> {
        // The tail is joined before the start is fixed, so that nothing can happen between the two.
        let tail = self.join(company).await?;
        let position = match after {
            Some(position) => position,
            None => self.head(company).await?,
        };
        let follower = Follower {
            service: self.service.clone(),
            company,
            tail,
            position,
            read: Vec::new().into_iter(),
            dry: false,
            failed: false,
        };
        Ok(stream::unfold(follower, |mut follower| async move {
            let event = follower.next().await?;
            Some((event, follower))
        }))
    }

    async fn head(&self, company: CompanyId) -> Result<i64> {
        let heads = self.service.log_heads(&[company]).await?;
        Ok(heads.first().map_or(0, |(_, position)| *position))
    }

    /// The tail of a company's log, started where nobody follows it yet.
    async fn join(self: &Arc<Self>, company: CompanyId) -> Result<broadcast::Receiver<Arc<Event>>> {
        if let Some(tail) = self.tails().get(&company) {
            return Ok(tail.subscribe());
        }
        let moved = self.signals.watch(company);
        let head = self.head(company).await?;
        let mut tails = self.tails();
        if let Some(tail) = tails.get(&company) {
            return Ok(tail.subscribe());
        }
        let (sender, receiver) = broadcast::channel(BEHIND);
        tails.insert(company, sender);
        tokio::spawn(self.clone().tail(company, head, moved));
        Ok(receiver)
    }

    fn tails(&self) -> std::sync::MutexGuard<'_, HashMap<CompanyId, broadcast::Sender<Arc<Event>>>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a company's log as it moves, once for all its subscribers, for as long as there are any.
    async fn tail(self: Arc<Self>, company: CompanyId, mut position: i64, mut moved: bus::Moved) {
        loop {
            match self.service.log_above(company, position, BATCH).await {
                Ok(events) if !events.is_empty() => {
                    let sender = self.tails().get(&company).cloned();
                    let Some(sender) = sender else { return };
                    for event in events {
                        position = event.position;
                        // An error only says that nobody listens at this moment.
                        let _ = sender.send(Arc::new(event));
                    }
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, %company, "a company's log can't be read; trying again"),
            }
            {
                let mut tails = self.tails();
                // Joining takes the same lock: nobody can join a tail that has ended.
                if tails.get(&company).is_none_or(|sender| sender.receiver_count() == 0) {
                    tails.remove(&company);
                    return;
                }
            }
            // What another process writes is found by the poll.
            let _ = tokio::time::timeout(self.poll_interval, moved.past(position)).await;
        }
    }
}

/// One subscriber's place in a log.
struct Follower {
    service: Arc<Service>,
    company: CompanyId,
    tail: broadcast::Receiver<Arc<Event>>,
    position: i64,
    /// What was read from the log and is still to be handed on.
    read: std::vec::IntoIter<Event>,
    /// Whether the log has been read up to what the tail brings.
    dry: bool,
    /// Whether the log could not be read: the feed ends with that, and the subscriber comes back with its cursor.
    failed: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<Arc<Event>>> {
        loop {
            if self.failed {
                return None;
            }
            if let Some(event) = self.read.next() {
                self.position = event.position;
                return Some(Ok(Arc::new(event)));
            }
            if !self.dry {
                match self.service.log_above(self.company, self.position, BATCH).await {
                    Ok(events) => {
                        self.dry = events.is_empty();
                        self.read = events.into_iter();
                    }
                    Err(error) => {
                        self.failed = true;
                        return Some(Err(error));
                    }
                }
                continue;
            }
            match self.tail.recv().await {
                Ok(event) if event.position <= self.position => {}
                Ok(event) if event.position == self.position + 1 => {
                    self.position = event.position;
                    return Some(Ok(event));
                }
                // The tail is ahead, or has dropped what this subscriber was too slow for: the log has it.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.dry = false,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// Tells whoever began a subscription that its start is fixed: what happens from then on will come.
#[derive(Debug)]
pub struct Started(Mutex<Option<oneshot::Sender<()>>>);

impl Started {
    /// The teller and the one who is told. The latter also ends when the teller is dropped.
    pub fn channel() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Mutex::new(Some(sender))), receiver)
    }

    /// Tells it.
    pub fn tell(&self) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Nobody may be waiting any more.
        let _ = sender.map(|sender| sender.send(()));
    }
}
