//! A lead as one company sees it. A receiver's row is frozen when its assignment ends.

#![allow(missing_docs, reason = "the macro writes items without documentation")]

use sea_orm::entity::prelude::*;

/// A lead as one company sees it. A receiver's row is frozen when its assignment ends.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "lead_view")]
pub struct Model {
    /// The lead.
    #[sea_orm(primary_key, auto_increment = false)]
    pub lead_id: Uuid,
    /// The company that the row belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub company_id: Uuid,
    /// SOURCE or RECEIVER.
    pub side: String,
    /// The lead's source company.
    pub source_id: Uuid,
    /// The receiving company at that time; none while the lead is internal.
    pub receiver_id: Option<Uuid>,
    /// Partnership.
    pub partnership_id: Option<Uuid>,
    /// Assignment.
    pub assignment_id: Option<Uuid>,
    /// Template.
    pub template_id: Uuid,
    /// Workflow key.
    pub workflow_key: String,
    /// Workflow version.
    pub workflow_version: i32,
    /// Number.
    pub number: String,
    /// Title.
    pub title: String,
    /// Description.
    pub description: Option<String>,
    /// Lead source.
    pub lead_source: Option<String>,
    /// Customer company.
    pub customer_company: String,
    /// Customer website.
    pub customer_website: Option<String>,
    /// Customer industry.
    pub customer_industry: Option<String>,
    /// Customer employees.
    pub customer_employees: Option<i32>,
    /// Address street.
    pub address_street: Option<String>,
    /// Address city.
    pub address_city: Option<String>,
    /// Address region.
    pub address_region: Option<String>,
    /// Address postal code.
    pub address_postal_code: Option<String>,
    /// Address country.
    pub address_country: Option<String>,
    /// Contact first name.
    pub contact_first_name: Option<String>,
    /// Contact last name.
    pub contact_last_name: Option<String>,
    /// Contact job title.
    pub contact_job_title: Option<String>,
    /// Contact email.
    pub contact_email: Option<String>,
    /// Contact phone.
    pub contact_phone: Option<String>,
    /// Contact phone typed.
    pub contact_phone_typed: Option<String>,
    /// The amount in ten-thousandths of the currency unit.
    pub value_amount: Option<i64>,
    /// ISO 4217.
    pub value_currency: Option<String>,
    /// The stage as recorded.
    pub stage_key: String,
    /// Its kind.
    pub stage_kind: String,
    /// Owner.
    pub owner_id: Option<Uuid>,
    /// Active.
    pub active: bool,
    /// Archived.
    pub archived: bool,
    /// Reason.
    pub reason: Option<String>,
    /// Expires at.
    pub expires_at: Option<DateTimeUtc>,
    /// The system action that the end of the counter triggers.
    pub on_expiry: Option<String>,
    /// The stage that this action leads to.
    pub expires_to: Option<String>,
    /// Accepted at.
    pub accepted_at: Option<DateTimeUtc>,
    /// Declined at.
    pub declined_at: Option<DateTimeUtc>,
    /// Expired at.
    pub expired_at: Option<DateTimeUtc>,
    /// Converted at.
    pub converted_at: Option<DateTimeUtc>,
    /// Closed at.
    pub closed_at: Option<DateTimeUtc>,
    /// Opportunity.
    pub opportunity_id: Option<Uuid>,
    /// Counts its changes, from 1.
    pub version: i32,
    /// When the assignment ended for this receiver; the row is frozen from then on.
    pub ended_at: Option<DateTimeUtc>,
    /// When it was created.
    pub created_at: DateTimeUtc,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
    /// `expires_at`, or the end of time: the key of the list by expiry.
    pub sort_expires: DateTimeUtc,
    /// `value_amount`, or -1: the key of the list by value.
    pub sort_value: i64,
    /// Title, customer and number in lower case.
    pub search: String,
    /// The company that defined the workflow; none for one that is shipped.
    pub workflow_owner: Option<Uuid>,
    /// Whether the stage can't be moved yet.
    pub stage_locked: bool,
    /// The key of the status.
    pub status_key: Option<String>,
    /// The status's kind.
    pub status_kind: Option<String>,
    /// The kind of the stage that the end of the counter leads to.
    pub expires_kind: Option<String>,
    /// The track of that stage.
    pub expires_track: Option<String>,
    /// What few leads have.
    #[sea_orm(column_type = "JsonBinary")]
    pub details: Option<Json>,
    /// What it had become inside its company before it was shared; also in `details`, here to be found by.
    pub internal_opportunity_id: Option<Uuid>,
    /// When both sides are to be told that the limit comes near; none once they have been.
    pub warn_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
