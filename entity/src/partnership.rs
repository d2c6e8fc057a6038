//! Two companies that agreed to share leads.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// Two companies that agreed to share leads.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "partnership")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The vendor.
    pub vendor_id: Uuid,
    /// The partner.
    pub partner_id: Uuid,
    /// Which of the two invited the other.
    pub invited_by: Uuid,
    /// INVITED, ACTIVE, SUSPENDED or ENDED.
    pub state: String,
    /// Counts its changes, from 1.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTimeUtc,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
    /// Who moves the stage of submitted leads: VENDOR, PARTNER or BOTH.
    pub stage_moved_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
