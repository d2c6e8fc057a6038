//! The source of ids of a running server.

use std::sync::{Arc, Mutex};

use uuid::{ContextV7, Timestamp, Uuid};

use crate::domain::{audit::Salt, clock::Clock, ids::IdSource};

/// UUIDs of version 7 (RFC 9562): in the order of their time, and random besides.
#[derive(Debug)]
pub struct TimeOrdered {
    clock: Arc<dyn Clock>,
    context: Mutex<ContextV7>,
}

impl TimeOrdered {
    /// Ids by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, context: Mutex::new(ContextV7::new()) }
    }
}

impl IdSource for TimeOrdered {
    fn next(&self) -> Uuid {
        let now = self.clock.now();
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let context = self.context.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Uuid::new_v7(Timestamp::from_unix(&*context, seconds, now.timestamp_subsec_nanos()))
    }

    fn salt(&self) -> Salt {
        Salt(rand::random())
    }
}
