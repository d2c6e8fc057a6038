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
}

impl ActiveModelBehavior for ActiveModel {}
