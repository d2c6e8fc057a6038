//! The tables of cosell, as sea-orm entities: one table a file; no GraphQL, no logic.
//!
//! The DDL stands in the crate `cosell-migration`; a test of the server compares the two.

pub mod assignment;
pub mod comment;
pub mod company;
pub mod company_feed;
pub mod company_received;
pub mod company_sequence;
pub mod event;
pub mod external_reference;
pub mod idempotency_key;
pub mod installation;
pub mod job_lease;
pub mod job_progress;
pub mod lead;
pub mod lead_view;
pub mod marketing_list;
pub mod marketing_list_lead;
pub mod match_key;
pub mod member;
pub mod opportunity;
pub mod opportunity_view;
pub mod partnership;
pub mod task;
pub mod template;
pub mod workflow;
