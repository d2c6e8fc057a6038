//! A lead's identity; what each company sees of it stands in `lead_view`.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// A lead's identity; what each company sees of it stands in `lead_view`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "lead")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The company that created it.
    pub source_id: Uuid,
    /// Its number within that company.
    pub number: i64,
    /// The member who created it.
    pub created_by: Uuid,
    /// When it was created.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
