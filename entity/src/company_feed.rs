//! The last position in a company's event log. Its row lock puts the log in one order.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// The last position in a company's event log. Its row lock puts the log in one order.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "company_feed")]
pub struct Model {
    /// The company that the row belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub company_id: Uuid,
    /// The last position that was given.
    pub position: i64,
    /// The time of the latest event in the log; none of an empty one.
    pub last_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
