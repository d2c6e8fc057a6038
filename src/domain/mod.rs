//! The rules, pure: no async, no database, no GraphQL, no clock, no randomness. What they need is handed in.

pub mod actor;
pub mod country;
pub mod customer;
pub mod duration;
pub mod email;
pub mod id;
pub mod money;
pub mod patch;
pub mod phone;
pub mod reference;
pub mod text;
pub mod web;
pub mod workflow;
