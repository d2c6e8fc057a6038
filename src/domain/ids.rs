//! Where new ids come from: handed in, as time is.

use uuid::Uuid;

/// A source of ids that were never given before.
pub trait IdSource: Send + Sync + std::fmt::Debug {
    /// The next id.
    fn next(&self) -> Uuid;
}
