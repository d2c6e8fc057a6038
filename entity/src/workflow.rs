//! A version of a company's own workflow.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// A version of a company's own workflow.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workflow")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The company that the row belongs to.
    pub company_id: Uuid,
    /// Its name in code, the same for each version.
    pub key: String,
    /// Counts the versions of the key, from 1.
    pub workflow_version: i32,
    /// DRAFT, PUBLISHED or RETIRED.
    pub state: String,
    /// The definition.
    #[sea_orm(column_type = "JsonBinary")]
    pub definition: Json,
    /// Counts the changes of the row, from 1.
    pub version: i32,
    /// The member who drafted it.
    pub created_by: Uuid,
    /// When it was published.
    pub published_at: Option<DateTimeUtc>,
    /// When it was retired.
    pub retired_at: Option<DateTimeUtc>,
    /// When it was created.
    pub created_at: DateTimeUtc,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
