//! A company's own list of leads.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// A company's own list of leads.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "marketing_list")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The company that it belongs to.
    pub company_id: Uuid,
    /// Its name as it was typed.
    pub name: String,
    /// The name as it is compared: no two lists of a company that are not in the archive have the same.
    pub name_key: String,
    /// How many leads are on it.
    pub lead_count: i32,
    /// Since when it is in the archive; none while it is not.
    pub archived_at: Option<DateTimeUtc>,
    /// Counts its changes, from 1.
    pub version: i32,
    /// Created by.
    pub created_by: Uuid,
    /// When it was created.
    pub created_at: DateTimeUtc,
    /// When its name or place last changed.
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
