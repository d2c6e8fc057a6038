//! The bus within one process: who waits for a company's log to move is woken when it does.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::{domain::id::CompanyId, service::Bus};

/// The signals of one process.
#[derive(Debug, Default)]
pub struct Signals {
    heads: Mutex<HashMap<CompanyId, watch::Sender<i64>>>,
}

impl Signals {
    fn heads(&self) -> std::sync::MutexGuard<'_, HashMap<CompanyId, watch::Sender<i64>>> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears of a company's log from now on.
    pub(super) fn watch(&self, company: CompanyId) -> Moved {
        let mut heads = self.heads();
        // Those that nobody watches any more go at this occasion.
        heads.retain(|_, sender| sender.receiver_count() > 0);
        Moved(heads.entry(company).or_insert_with(|| watch::Sender::new(0)).subscribe())
    }
}

impl Signals {
    /// Wakes who waits for these logs.
    pub(super) fn heard(&self, heads: &[(CompanyId, i64)]) {
        let watched = self.heads();
        for (company, position) in heads {
            if let Some(sender) = watched.get(company) {
                // Commits may be told of out of their order; the highest counts.
                sender.send_if_modified(|head| {
                    let ahead = *position > *head;
                    *head = (*head).max(*position);
                    ahead
                });
            }
        }
    }
}

impl Bus for Signals {
    fn moved(&self, heads: &[(CompanyId, i64)]) {
        self.heard(heads);
    }
}

/// Waits for a company's log to move.
#[derive(Debug)]
pub(super) struct Moved(watch::Receiver<i64>);

impl Moved {
    /// Comes back when the log is known to have moved past this position.
    pub(super) async fn past(&mut self, position: i64) {
        if self.0.wait_for(|head| *head > position).await.is_err() {
            // The sender goes only with its last receiver, which this is.
            std::future::pending::<()>().await;
        }
    }
}
