//! A value by which a company's leads are compared, to find those of one customer.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// A value by which a company's leads are compared, to find those of one customer.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "match_key")]
pub struct Model {
    /// The company whose leads are compared.
    #[sea_orm(primary_key, auto_increment = false)]
    pub company_id: Uuid,
    /// `NAME`, `DOMAIN`, `EMAIL` or `PHONE`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// In its normal form.
    #[sea_orm(primary_key, auto_increment = false)]
    pub value: String,
    /// Since when the company has the lead with this key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub created_at: DateTimeUtc,
    /// The lead.
    #[sea_orm(primary_key, auto_increment = false)]
    pub lead_id: Uuid,
    /// Until when its being the first is protected; for ever where there is none.
    pub protected_until: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
