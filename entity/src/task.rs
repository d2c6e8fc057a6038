//! Something to do on a lead.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// Something to do on a lead.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "task")]
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
    /// The creator's company.
    pub company_id: Uuid,
    /// Created by.
    pub created_by: Uuid,
    /// Assigned company.
    pub assigned_company_id: Uuid,
    /// Assignee.
    pub assignee_id: Option<Uuid>,
    /// Visibility.
    pub visibility: String,
    /// Title.
    pub title: String,
    /// Description.
    pub description: Option<String>,
    /// State.
    pub state: String,
    /// Due at.
    pub due_at: Option<DateTimeUtc>,
    /// Completed at.
    pub completed_at: Option<DateTimeUtc>,
    /// Counts its changes, from 1.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTimeUtc,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
