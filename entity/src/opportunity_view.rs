//! An opportunity as one company sees it.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// An opportunity as one company sees it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "opportunity_view")]
pub struct Model {
    /// Opportunity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub opportunity_id: Uuid,
    /// The company that the row belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub company_id: Uuid,
    /// SOURCE or RECEIVER.
    pub side: String,
    /// Template.
    pub template_id: Uuid,
    /// Workflow key.
    pub workflow_key: String,
    /// Workflow version.
    pub workflow_version: i32,
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// The amount in ten-thousandths of the currency unit.
    pub value_amount: Option<i64>,
    /// ISO 4217.
    pub value_currency: Option<String>,
    /// The day on which the deal is expected to close, or closed (ISO 8601).
    pub close_date: Option<String>,
    /// The stage as recorded.
    pub stage_key: String,
    /// Its kind.
    pub stage_kind: String,
    /// Responsible.
    pub responsible_id: Option<Uuid>,
    /// Reason.
    pub reason: Option<String>,
    /// Closed at.
    pub closed_at: Option<DateTimeUtc>,
    /// Counts its changes, from 1.
    pub version: i32,
    /// Ended at.
    pub ended_at: Option<DateTimeUtc>,
    /// When it was created.
    pub created_at: DateTimeUtc,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
    /// The company that defined the workflow; none for one that is shipped.
    pub workflow_owner: Option<Uuid>,
    /// The town that the customer is in.
    pub city: Option<String>,
    /// How the matter stands at the customer's.
    pub current_situation: Option<String>,
    /// The line of products or services that is sold.
    pub selling_direction: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
