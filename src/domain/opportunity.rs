//! An opportunity as one company sees it.

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    actor::Side,
    event::FieldChange,
    global_id::{self, NodeType},
    id::{CompanyId, MemberId, OpportunityId, TemplateId},
    lead::WorkflowRef,
    money::Money,
    workflow::definition::{FieldType, StageKind},
};

/// The longest name, in characters.
pub const NAME_MAX: usize = 200;

/// The longest text of [`Opportunity::current_situation`], in characters.
pub const SITUATION_MAX: usize = 2_000;
/// The longest city and the longest selling direction, in characters.
pub const LINE_MAX: usize = 200;

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
    /// The city that the customer is in.
    pub city: Option<String>,
    /// How the matter stands at the customer's.
    pub current_situation: Option<String>,
    /// The line of products or services that is sold.
    pub selling_direction: Option<String>,
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

/// A field of an opportunity as workflows name it.
#[derive(Clone, Copy, Debug)]
pub struct OpportunityField {
    /// Its path, as in the API.
    pub path: &'static str,
    /// What its value is.
    pub kind: FieldType,
    /// Its value as text: an id as a global one, money as JSON with amount and currency.
    pub read: fn(&Opportunity) -> Option<String>,
}

/// The fields of an opportunity that a guard or a default of a form can name.
pub const FIELDS: &[OpportunityField] = &[
    field("name", FieldType::Text, |o| Some(o.name.clone())),
    field("description", FieldType::LongText, |o| o.description.clone()),
    field("city", FieldType::Text, |o| o.city.clone()),
    field("currentSituation", FieldType::LongText, |o| o.current_situation.clone()),
    field("sellingDirection", FieldType::Text, |o| o.selling_direction.clone()),
    field("value", FieldType::Money, |o| o.value.map(Money::to_json)),
    field("closeDate", FieldType::Date, |o| o.close_date.map(|date| date.to_string())),
    field("responsible", FieldType::Member, |o| o.responsible.map(|id| global_id::encode(NodeType::Member, id.0))),
];

const fn field(path: &'static str, kind: FieldType, read: fn(&Opportunity) -> Option<String>) -> OpportunityField {
    OpportunityField { path, kind, read }
}

/// The field of that path.
pub fn field_at(path: &str) -> Option<&'static OpportunityField> {
    FIELDS.iter().find(|field| field.path == path)
}

impl Opportunity {
    /// What changed between two states of an opportunity, field by field.
    pub fn differences(old: &Self, new: &Self) -> Vec<FieldChange> {
        let text = |field: &OpportunityField, opportunity: &Self| match field.kind {
            FieldType::Money => opportunity.value.map(|value| format!("{value} {}", value.currency())),
            _ => (field.read)(opportunity),
        };
        let of = |field: &OpportunityField| FieldChange::of(field.path, text(field, old), text(field, new));
        FIELDS.iter().filter_map(of).collect()
    }
}
