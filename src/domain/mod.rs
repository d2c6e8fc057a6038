//! The rules, pure: no async, no database, no GraphQL, no clock, no randomness. What they need is handed in.

pub mod actor;
pub mod clock;
pub mod id;
pub mod viewer;
pub mod workflow;
