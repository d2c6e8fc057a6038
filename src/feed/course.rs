//! What the resolver of a subscription and whoever carries its results tell each other.

use std::sync::{
    OnceLock,
    atomic::{AtomicI64, Ordering},
};

use tokio::sync::watch;

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// As its arguments say: after a cursor, or now.
    #[default]
    AsAsked,
    /// Now, whatever its arguments say.
    Now,
    /// After this position of the log, whatever its arguments say.
    After(i64),
}

/// Why a subscription ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The company's part in the lead is over: nothing more will come.
    LeadIsOver,
    /// The partnership ended while it was followed.
    PartnershipEnded,
}

/// Before anything: no position of a log.
const NOT_STARTED: i64 = -1;

/// The course of one execution of a subscription. Put it into the request; the resolver hands it to
/// [`Feed::follow`](super::Feed::follow).
#[derive(Debug)]
pub struct Course {
    start: Start,
    until: Option<i64>,
    position: AtomicI64,
    dealt: watch::Sender<i64>,
    end: OnceLock<End>,
}

impl Default for Course {
    fn default() -> Self {
        Self::new(Start::AsAsked, None)
    }
}

impl Course {
    /// From a start, to the end of what stands at or below the position `until`, or on and on.
    pub fn new(start: Start, until: Option<i64>) -> Self {
        Self {
            start,
            until,
            position: AtomicI64::new(NOT_STARTED),
            dealt: watch::Sender::new(NOT_STARTED),
            end: OnceLock::new(),
        }
    }

    /// Where it begins.
    pub fn start(&self) -> Start {
        self.start
    }

    /// The last position that it brings.
    pub fn until(&self) -> Option<i64> {
        self.until
    }

    /// The position of the event that was handed on last. Read right after a response it is that of the response: the
    /// next event is fetched only when the next response is asked for.
    pub fn position(&self) -> i64 {
        self.position.load(Ordering::Acquire)
    }

    /// Comes back once the start is fixed: what happens from then on will come.
    pub async fn started(&self) {
        self.dealt_with(0).await;
    }

    /// Whether the start is fixed.
    pub fn has_started(&self) -> bool {
        *self.dealt.borrow() > NOT_STARTED
    }

    /// Comes back once everything up to that position has been brought, or passed over as not asked for.
    pub async fn dealt_with(&self, position: i64) {
        // The sender is a part of this and can't be gone.
        let _ = self.dealt.subscribe().wait_for(|dealt| *dealt >= position).await;
    }

    /// Why it ended, where it did so by itself.
    pub fn end(&self) -> Option<End> {
        self.end.get().copied()
    }

    /// Says that everything up to that position is dealt with; the first time, that the start is fixed.
    pub fn deal(&self, position: i64) {
        self.dealt.send_if_modified(|dealt| {
            let on = position > *dealt;
            *dealt = (*dealt).max(position);
            on
        });
    }

    pub(super) fn hand_on(&self, position: i64) {
        self.position.store(position, Ordering::Release);
    }

    pub(super) fn end_with(&self, end: End) {
        // The first reason counts.
        let _ = self.end.set(end);
    }
}
