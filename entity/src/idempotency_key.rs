//! A creating call that was answered, so that its repetition gets the same answer.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// A creating call that was answered, so that its repetition gets the same answer.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_key")]
pub struct Model {
    /// The company that the row belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub company_id: Uuid,
    /// Key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// Operation.
    pub operation: String,
    /// Fingerprint.
    pub fingerprint: Vec<u8>,
    /// Result.
    pub result_id: Uuid,
    /// When it was created.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
