//! Which instance runs a job now.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// Which instance runs a job now.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_lease")]
pub struct Model {
    /// The job.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The instance.
    pub holder: Uuid,
    /// When the lease ends by itself.
    pub until: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
