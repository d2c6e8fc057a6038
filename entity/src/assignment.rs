//! One passing of a lead to one receiver.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// One passing of a lead to one receiver.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "assignment")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The lead.
    pub lead_id: Uuid,
    /// Partnership.
    pub partnership_id: Uuid,
    /// The receiving company at that time; none while the lead is internal.
    pub receiver_id: Uuid,
    /// Offered at.
    pub offered_at: DateTimeUtc,
    /// Answered at.
    pub answered_at: Option<DateTimeUtc>,
    /// Ended at.
    pub ended_at: Option<DateTimeUtc>,
    /// Outcome.
    pub outcome: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
