//! What a new lead or opportunity starts from.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// What a new lead or opportunity starts from.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "template")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The company that the row belongs to.
    pub company_id: Uuid,
    /// Its name in the API, unique within the company.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// LEAD or OPPORTUNITY.
    pub subject: String,
    /// Workflow key.
    pub workflow_key: String,
    /// Workflow version.
    pub workflow_version: i32,
    /// The limit for the answer, an ISO 8601 duration.
    pub answer_within: Option<String>,
    /// The limit for the conversion, an ISO 8601 duration.
    pub convert_within: Option<String>,
    /// Whether it is taken where none is named.
    pub is_default: bool,
    /// Counts its changes, from 1.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTimeUtc,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
    /// The company that defined the workflow; none for one that is shipped.
    pub workflow_owner: Option<Uuid>,
    /// The time from one recurring check to the next, an ISO 8601 duration.
    pub check_every: Option<String>,
    /// The paths of the fields that a new lead must have.
    #[sea_orm(column_type = "JsonBinary")]
    pub required_fields: Option<Json>,
    /// What a new lead has where nobody said, by path.
    #[sea_orm(column_type = "JsonBinary")]
    pub defaults: Option<Json>,
    /// How long the first lead of a customer has priority, an ISO 8601 duration.
    pub duplicate_protection: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
