//! Where new ids and salts come from: handed in, as time is.

use uuid::Uuid;

use super::audit::Salt;

/// A source of ids that were never given before, and of what nobody can guess.
pub trait IdSource: Send + Sync + std::fmt::Debug {
    /// The next id.
    fn next(&self) -> Uuid;

    /// 16 bytes that nobody can guess.
    fn salt(&self) -> Salt;
}
