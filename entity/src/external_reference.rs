//! A lead's record in a company's other system, such as its CRM. Never shown to the other side.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// A lead's record in a company's other system, such as its CRM. Never shown to the other side.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "external_reference")]
pub struct Model {
    /// The company that the row belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub company_id: Uuid,
    /// System.
    #[sea_orm(primary_key, auto_increment = false)]
    pub system: String,
    /// External.
    #[sea_orm(primary_key, auto_increment = false)]
    pub external_id: String,
    /// The lead.
    pub lead_id: Uuid,
    /// Url.
    pub url: Option<String>,
    /// When it was created.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
