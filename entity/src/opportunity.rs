//! An opportunity's identity; what each company sees of it stands in `opportunity_view`.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// An opportunity's identity; what each company sees of it stands in `opportunity_view`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "opportunity")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The company that the row belongs to.
    pub company_id: Uuid,
    /// Created by.
    pub created_by: Uuid,
    /// When it was created.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
