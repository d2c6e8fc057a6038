//! A person or machine of a company, recorded when its token is first seen.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// A person or machine of a company, recorded when its token is first seen.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "member")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The company that the row belongs to.
    pub company_id: Uuid,
    /// The token's `sub`.
    pub subject: String,
    /// As the token last said, else the subject.
    pub name: String,
    /// As the token last said.
    pub email: Option<String>,
    /// As the token last said, separated by commas.
    pub roles: String,
    /// When it was created.
    pub created_at: DateTimeUtc,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
