//! The time, handed in: rules and use cases ask this and never the system.

use std::fmt::Debug;

use chrono::{DateTime, Utc};

/// Tells the time. Its answers are whole milliseconds, which is what both databases keep.
pub trait Clock: Send + Sync + Debug {
    /// The time now, truncated to milliseconds.
    fn now(&self) -> DateTime<Utc>;
}
