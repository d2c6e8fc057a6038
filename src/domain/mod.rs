//! The rules, pure: no async, no database, no GraphQL, no clock, no randomness. What they need is handed in.

pub mod actor;
pub mod comment;
pub mod company;
pub mod event;
pub mod id;
pub mod lead;
pub mod opportunity;
pub mod task;
pub mod template;
pub mod workflow;
