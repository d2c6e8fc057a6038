//! An opportunity as one company sees it.

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    actor::Side,
    id::{CompanyId, MemberId, OpportunityId, TemplateId},
    lead::WorkflowRef,
    money::Money,
    workflow::definition::StageKind,
};

/// The longest name, in characters.
pub const NAME_MAX: usize = 200;

/// The deal that a lead became, as one company sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Opportunity {
    /// The opportunity, the same for every company.
    pub id: OpportunityId,
    /// Whose view this is.
    pub company: CompanyId,
    /// `Receiver` for the company that works the deal, `Source` for one that sourced its lead.
    pub side: Side,
    /// What it started from.
    pub template: TemplateId,
    /// What it runs on.
    pub workflow: WorkflowRef,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// What it is worth.
    pub value: Option<Money>,
    /// When it is expected to close, or closed.
    pub close_date: Option<NaiveDate>,
    /// The stage.
    pub stage: String,
    /// Its kind.
    pub stage_kind: StageKind,
    /// Who works it.
    pub responsible: Option<MemberId>,
    /// Why it was lost or discontinued.
    pub reason: Option<String>,
    /// When it was won, lost or discontinued.
    pub closed_at: Option<DateTime<Utc>>,
    /// Counts the changes of this view, from 1.
    pub version: i32,
    /// When the partnership ended for this company; nothing newer is in the view.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it came to this company.
    pub created_at: DateTime<Utc>,
    /// When this view last changed.
    pub updated_at: DateTime<Utc>,
}
