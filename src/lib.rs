//! cosell: a multi-tenant GraphQL server for partner lead sharing (co-selling).

pub mod domain;
pub mod error;
