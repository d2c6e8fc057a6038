//! An entry of a lead's thread.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// An entry of a lead's thread.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "comment")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The lead.
    pub lead_id: Uuid,
    /// The lead's source company.
    pub source_id: Uuid,
    /// The receiving company at that time; none while the lead is internal.
    pub receiver_id: Option<Uuid>,
    /// The author's company.
    pub company_id: Uuid,
    /// Author.
    pub author_id: Uuid,
    /// Visibility.
    pub visibility: String,
    /// Body.
    pub body: String,
    /// The comment that it answers.
    pub in_reply_to: Option<Uuid>,
    /// When it was created.
    pub created_at: DateTimeUtc,
    /// Edited at.
    pub edited_at: Option<DateTimeUtc>,
    /// When it was removed; its text is gone then.
    pub removed_at: Option<DateTimeUtc>,
    /// Counts its changes, from 1.
    pub version: i32,
}

impl ActiveModelBehavior for ActiveModel {}
