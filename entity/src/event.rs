//! One thing that happened, as an entry of one company's log.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// One thing that happened, as an entry of one company's log.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// The company that the row belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub company_id: Uuid,
    /// Its place in the company's log: counts from 1 without gaps.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    /// The same in each company's log.
    pub id: Uuid,
    /// When it happened.
    pub at: DateTimeUtc,
    /// The member who did it; none for the system.
    pub actor_id: Option<Uuid>,
    /// The lead.
    pub lead_id: Option<Uuid>,
    /// What it is about besides the lead: a comment, a task, an opportunity, a partnership.
    pub subject_id: Option<Uuid>,
    /// What happened.
    pub kind: String,
    /// Its details, by kind.
    #[sea_orm(column_type = "JsonBinary")]
    pub content: Json,
    /// Its place in the history of its lead, or of the company's own events: counts from 1 without gaps.
    pub sequence: i64,
    /// The hash of the entry before it in that history; none for the first.
    pub previous: Option<Vec<u8>>,
    /// 16 random bytes that the content is hashed with, the same in each company's log; none once it was erased.
    pub salt: Option<Vec<u8>>,
    /// SHA-256 of the salt and the content as it was before any erasure.
    pub content_hash: Vec<u8>,
    /// SHA-256 of all of the row but the content, the salt and the erasure.
    pub hash: Vec<u8>,
    /// When personal data was erased from the content.
    pub erased_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
