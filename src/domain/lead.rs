//! A lead as one company sees it.

use chrono::{DateTime, Utc};

use super::{
    actor::Side,
    customer::Customer,
    id::{AssignmentId, CompanyId, LeadId, MemberId, OpportunityId, PartnershipId, TemplateId},
    money::Money,
    workflow::definition::{DateKey, StageKind},
};

/// The longest title, in characters.
pub const TITLE_MAX: usize = 200;
/// The longest description, in characters.
pub const DESCRIPTION_MAX: usize = 10_000;
/// The longest lead source, in characters.
pub const LEAD_SOURCE_MAX: usize = 100;

/// A workflow and its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkflowRef {
    /// Its key.
    pub key: String,
    /// Its version.
    pub version: i32,
}

/// A lead as one company sees it. The earlier receiver's is frozen as it was when its assignment ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Lead {
    /// The lead, the same for every company.
    pub id: LeadId,
    /// Whose view this is.
    pub company: CompanyId,
    /// That company's side.
    pub side: Side,
    /// The company that created the lead.
    pub source: CompanyId,
    /// The company that answers it; none while internal.
    pub receiver: Option<CompanyId>,
    /// The partnership it is shared across.
    pub partnership: Option<PartnershipId>,
    /// The passing that this view belongs to.
    pub assignment: Option<AssignmentId>,
    /// What it started from.
    pub template: TemplateId,
    /// What it runs on.
    pub workflow: WorkflowRef,
    /// For people: `L-1042`.
    pub number: String,
    /// What the customer needs, in a line.
    pub title: String,
    /// What the customer needs, at length.
    pub description: Option<String>,
    /// Where the lead came from, such as `Web`.
    pub lead_source: Option<String>,
    /// Whose need it is.
    pub customer: Customer,
    /// What it may be worth.
    pub value: Option<Money>,
    /// The stage as recorded; see [`Lead::expired_by`] for the stage as it is.
    pub stage: String,
    /// Its kind.
    pub stage_kind: StageKind,
    /// Who works it on this side.
    pub owner: Option<MemberId>,
    /// Not deactivated.
    pub active: bool,
    /// Read-only, and out of the default lists.
    pub archived: bool,
    /// Of the last decline, rejection, close or disqualification.
    pub reason: Option<String>,
    /// When the running counter ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// The system action that its end triggers.
    pub on_expiry: Option<String>,
    /// The stage that this action leads to.
    pub expires_to: Option<String>,
    /// When it was accepted.
    pub accepted_at: Option<DateTime<Utc>>,
    /// When it was declined.
    pub declined_at: Option<DateTime<Utc>>,
    /// When its limit passed.
    pub expired_at: Option<DateTime<Utc>>,
    /// When it was converted.
    pub converted_at: Option<DateTime<Utc>>,
    /// When it was closed, converted or not.
    pub closed_at: Option<DateTime<Utc>>,
    /// What it became.
    pub opportunity: Option<OpportunityId>,
    /// Counts the changes of this view, from 1.
    pub version: i32,
    /// When the assignment ended for this receiver; nothing newer is in the view.
    pub ended_at: Option<DateTime<Utc>>,
    /// When the lead came to this company: created by it, or shared with it.
    pub created_at: DateTime<Utc>,
    /// When this view last changed.
    pub updated_at: DateTime<Utc>,
}

impl Lead {
    /// Whether the limit has passed without its being recorded yet: such a lead is expired for every caller.
    pub fn expired_by(&self, now: DateTime<Utc>) -> bool {
        self.ended_at.is_none() && self.on_expiry.is_some() && self.expires_at.is_some_and(|at| at <= now)
    }

    /// Records a date.
    pub fn record(&mut self, date: DateKey, at: DateTime<Utc>) {
        let slot = match date {
            DateKey::Accepted => &mut self.accepted_at,
            DateKey::Declined => &mut self.declined_at,
            DateKey::Expired => &mut self.expired_at,
            DateKey::Converted => &mut self.converted_at,
            DateKey::Closed => &mut self.closed_at,
        };
        *slot = Some(at);
    }

    /// Forgets what belongs to an earlier passing, before the lead is passed on.
    pub fn start_over(&mut self) {
        self.accepted_at = None;
        self.declined_at = None;
        self.expired_at = None;
        self.converted_at = None;
        self.closed_at = None;
        self.reason = None;
    }
}

/// `L-1042`.
pub fn number(number: i64) -> String {
    format!("L-{number}")
}
