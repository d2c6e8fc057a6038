//! cosell: a multi-tenant GraphQL server for partner lead sharing (co-selling).

pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod error;
pub mod feed;
pub mod graphql;
pub mod http;
pub mod ids;
pub mod import;
pub mod jobs;
pub mod operation;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
