//! Where logs stand now, asked once for all who want to know at the same time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::{
    domain::id::CompanyId,
    error::{Error, Result},
    service::Service,
};

type Asked = (CompanyId, oneshot::Sender<Result<i64, Arc<Error>>>);

/// Asks for the last positions of logs. While one statement runs, those who come wait for the next one: each answer
/// was read after it was asked for, and a thousand subscribers who come at once cost a few statements.
#[derive(Debug)]
pub(super) struct Heads {
    service: Arc<Service>,
    /// Who waits for the next statement; nothing while nobody asks.
    queue: Arc<Mutex<Option<Vec<Asked>>>>,
}

impl Heads {
    pub(super) fn new(service: Arc<Service>) -> Self {
        Self { service, queue: Arc::default() }
    }

    /// The last position of a company's log.
    pub(super) async fn of(&self, company: CompanyId) -> Result<i64> {
        let (sender, answer) = oneshot::channel();
        let first = {
            let mut queue = lock(&self.queue);
            let first = queue.is_none();
            queue.get_or_insert_default().push((company, sender));
            first
        };
        if first {
            tokio::spawn(answer_all(self.service.clone(), self.queue.clone()));
        }
        match answer.await {
            Ok(Ok(head)) => Ok(head),
            Ok(Err(error)) => Err(match &*error {
                Error::Faults(faults) => Error::Faults(faults.clone()),
                Error::Internal(cause) => Error::internal(cause.to_string()),
            }),
            Err(_) => Err(Error::internal("nobody asked for the head of a log")),
        }
    }
}

fn lock(queue: &Mutex<Option<Vec<Asked>>>) -> MutexGuard<'_, Option<Vec<Asked>>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer_all(service: Arc<Service>, queue: Arc<Mutex<Option<Vec<Asked>>>>) {
    loop {
        let asked = {
            let mut queue = lock(&queue);
            match queue.as_mut().map(std::mem::take) {
                Some(asked) if !asked.is_empty() => asked,
                _ => {
                    *queue = None;
                    return;
                }
            }
        };
        let mut companies: Vec<_> = asked.iter().map(|(company, _)| *company).collect();
        companies.sort_unstable();
        companies.dedup();
        let heads = super::bounded(service.log_heads(&companies)).await;
        let heads = heads.map(HashMap::<_, _>::from_iter).map_err(Arc::new);
        for (company, sender) in asked {
            let head = heads.as_ref().map_err(Arc::clone).map(|heads| heads.get(&company).copied().unwrap_or(0));
            // Whoever asked may have gone.
            let _ = sender.send(head);
        }
    }
}
