//! The rules, pure: no async, no database, no GraphQL, no clock, no randomness. What they need is handed in.

pub mod actor;
#[cfg(test)]
pub(crate) mod arbitrary;
pub mod audit;
pub mod clock;
pub mod comment;
pub mod company;
pub mod country;
pub mod customer;
pub mod duplicate;
pub mod duration;
pub mod email;
pub mod event;
pub mod global_id;
pub mod id;
pub mod ids;
pub mod lead;
pub mod marketing_list;
pub mod money;
pub mod opportunity;
pub mod page;
pub mod patch;
pub mod phone;
pub mod qualification;
pub mod reference;
pub mod task;
pub mod template;
pub mod text;
pub mod viewer;
pub mod web;
pub mod workflow;
