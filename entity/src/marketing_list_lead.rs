//! That a lead is on a marketing list.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// That a lead is on a marketing list.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "marketing_list_lead")]
pub struct Model {
    /// The list.
    #[sea_orm(primary_key, auto_increment = false)]
    pub list_id: Uuid,
    /// The lead.
    #[sea_orm(primary_key, auto_increment = false)]
    pub lead_id: Uuid,
    /// The company that the list belongs to.
    pub company_id: Uuid,
    /// Who added it.
    pub added_by: Uuid,
    /// When it was added.
    pub added_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
