//! A lead as one company sees it.

use std::{collections::BTreeMap, sync::LazyLock};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::{
    actor::Side,
    company::StageMover,
    customer::Customer,
    event::FieldChange,
    global_id::{self, NodeType},
    id::{AssignmentId, CompanyId, LeadId, MemberId, OpportunityId, PartnershipId, TemplateId},
    money::Money,
    qualification::Qualification,
    workflow::definition::{DateKey, Definition, FieldType, Stage, StageKind, TrackKey},
};

/// The longest title, in characters.
pub const TITLE_MAX: usize = 200;
/// The longest description, in characters.
pub const DESCRIPTION_MAX: usize = 32_000;
/// The longest lead source, in characters.
pub const LEAD_SOURCE_MAX: usize = 255;

/// A workflow and its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WorkflowRef {
    /// The company that defined it; none for one that is shipped.
    pub owner: Option<CompanyId>,
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
    /// Whether the stage can't be moved yet (mission B3).
    pub stage_locked: bool,
    /// Where its review by the vendor stands, with its kind; none where its workflow has no status track.
    pub status: Option<(String, StageKind)>,
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
    /// Where this action leads to.
    pub expires_to: Option<Destination>,
    /// When both sides are to be told that the limit comes near; none once they have been, or where no limit runs.
    pub warn_at: Option<DateTime<Utc>>,
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
    /// What few leads have.
    pub details: Option<Box<Details>>,
    /// The vendor of its partnership; none while internal.
    pub vendor: Option<CompanyId>,
    /// Who moves the stage, as the partnership's setting now says; none while internal.
    pub stage_moved_by: Option<StageMover>,
}

/// Where the end of a counter leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The key of the stage.
    pub stage: String,
    /// Its kind.
    pub kind: StageKind,
    /// Its track.
    pub track: TrackKey,
}

/// What few leads have: kept as one document beside the columns that every lead has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Details {
    /// The code of the last rejection or disqualification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the other side was last told is missing (mission B5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The lead that has priority over it (mission B6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<LeadId>,
    /// The dates that have no column of their own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dates: BTreeMap<DateKey, DateTime<Utc>>,
    /// What the company knows of the customer's decision; never the other side's (mission C5).
    #[serde(skip_serializing_if = "Qualification::is_empty")]
    pub qualification: Qualification,
    /// What the lead was inside the source before it was shared; never the other side's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal: Option<Internal>,
    /// The latest limit that a receiver was told of since its answer: the source doesn't shorten it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promised_until: Option<DateTime<Utc>>,
    /// The counter that the last decision stopped, which goes on if that is taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
}

/// A counter that a decision stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Paused {
    /// How much of its time was left, in milliseconds.
    pub left: i64,
    /// The system action that its end triggers.
    pub then: String,
}

/// What a lead was inside its company before it was shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Internal {
    /// What it started from.
    pub template: TemplateId,
    /// What it ran on.
    pub workflow: WorkflowRef,
    /// The key of the stage that it was shared at.
    pub stage: String,
    /// What it had become by then.
    pub opportunity: Option<OpportunityId>,
}

/// A field of a lead as workflows and templates name it.
#[derive(Clone, Copy, Debug)]
pub struct LeadField {
    /// Its path, as in the API: `customer.contact.email`.
    pub path: &'static str,
    /// What its value is.
    pub kind: FieldType,
    /// Its value as text: an id as a global one, money as JSON with amount and currency.
    pub read: fn(&Lead) -> Option<String>,
}

/// The fields of a lead that a guard, a default of a form or a template can name, in the order of the API.
pub const FIELDS: &[LeadField] = &[
    field("id", FieldType::Lead, |l| Some(global_id::encode(NodeType::Lead, l.id.0))),
    field("title", FieldType::Text, |l| Some(l.title.clone())),
    field("description", FieldType::LongText, |l| l.description.clone()),
    field("leadSource", FieldType::Text, |l| l.lead_source.clone()),
    field("estimatedValue", FieldType::Money, |l| l.value.map(Money::to_json)),
    field("owner", FieldType::Member, |l| l.owner.map(|id| global_id::encode(NodeType::Member, id.0))),
    field("customer.company", FieldType::Text, |l| Some(l.customer.company.clone())),
    field("customer.website", FieldType::Text, |l| l.customer.website.clone()),
    field("customer.industry", FieldType::Text, |l| l.customer.industry.clone()),
    field("customer.employees", FieldType::Integer, |l| l.customer.employees.map(|n| n.to_string())),
    field("customer.address.street", FieldType::LongText, |l| l.customer.address.street.clone()),
    field("customer.address.city", FieldType::Text, |l| l.customer.address.city.clone()),
    field("customer.address.region", FieldType::Text, |l| l.customer.address.region.clone()),
    field("customer.address.postalCode", FieldType::Text, |l| l.customer.address.postal_code.clone()),
    field("customer.address.country", FieldType::Text, |l| l.customer.address.country.clone()),
    field("customer.contact.firstName", FieldType::Text, |l| l.customer.contact.first_name.clone()),
    field("customer.contact.lastName", FieldType::Text, |l| l.customer.contact.last_name.clone()),
    field("customer.contact.jobTitle", FieldType::Text, |l| l.customer.contact.job_title.clone()),
    field("customer.contact.email", FieldType::Text, |l| l.customer.contact.email.clone()),
    field("customer.contact.phone", FieldType::Text, |l| l.customer.contact.phone.as_ref().map(|p| p.e164.clone())),
    field("qualification.goal", FieldType::LongText, |l| l.details().qualification.goal.clone()),
    field("qualification.implementationOptions", FieldType::LongText, |l| {
        l.details().qualification.implementation_options.clone()
    }),
    field("qualification.procurementProcedure", FieldType::LongText, |l| {
        l.details().qualification.procurement_procedure.clone()
    }),
    field("qualification.decisionLevel", FieldType::LongText, |l| l.details().qualification.decision_level.clone()),
    field("qualification.terms", FieldType::LongText, |l| l.details().qualification.terms.clone()),
    field("qualification.decisionMaker", FieldType::LongText, |l| l.details().qualification.decision_maker.clone()),
    field("qualification.selectionCriteria", FieldType::LongText, |l| {
        l.details().qualification.selection_criteria.clone()
    }),
    field("qualification.complianceWithCriteria", FieldType::LongText, |l| {
        l.details().qualification.compliance_with_criteria.clone()
    }),
    field("qualification.channel", FieldType::LongText, |l| l.details().qualification.channel.clone()),
];

const fn field(path: &'static str, kind: FieldType, read: fn(&Lead) -> Option<String>) -> LeadField {
    LeadField { path, kind, read }
}

/// The field of that path.
pub fn field_at(path: &str) -> Option<&'static LeadField> {
    FIELDS.iter().find(|field| field.path == path)
}

/// Whether a field of that path is the lead's content: what both sides read, and what the source changes. Its owner and
/// its qualification are each side's own.
pub fn is_content(path: &str) -> bool {
    matches!(path, "title" | "description" | "leadSource" | "estimatedValue") || path.starts_with("customer.")
}

static NOTHING: LazyLock<Details> = LazyLock::new(Details::default);

impl Lead {
    /// What few leads have.
    pub fn details(&self) -> &Details {
        self.details.as_deref().unwrap_or(&NOTHING)
    }

    /// The same, to be changed.
    pub fn details_mut(&mut self) -> &mut Details {
        self.details.get_or_insert_default()
    }

    /// What changed between two states of a lead, field by field. Its owner is not among them.
    pub fn differences(old: &Self, new: &Self) -> Vec<FieldChange> {
        const BESIDES: &[LeadField] = &[
            field("customer.contact.phoneAsTyped", FieldType::Text, |l| {
                l.customer.contact.phone_as_typed().map(str::to_owned)
            }),
            field("expiresAt", FieldType::DateTime, |l| {
                l.expires_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true))
            }),
            field("active", FieldType::Boolean, |l| Some(l.active.to_string())),
        ];
        let text = |field: &LeadField, lead: &Self| match field.kind {
            FieldType::Money => lead.value.map(|value| format!("{value} {}", value.currency())),
            _ => (field.read)(lead),
        };
        let of = |field: &LeadField| FieldChange::of(field.path, text(field, old), text(field, new));
        let content = FIELDS.iter().filter(|field| field.path != "owner");
        content.chain(BESIDES).filter_map(of).collect()
    }

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
            other => {
                self.details_mut().dates.insert(other, at);
                return;
            }
        };
        *slot = Some(at);
    }

    /// One of its dates, where it was recorded.
    pub fn date(&self, date: DateKey) -> Option<DateTime<Utc>> {
        match date {
            DateKey::Accepted => self.accepted_at,
            DateKey::Declined => self.declined_at,
            DateKey::Expired => self.expired_at,
            DateKey::Converted => self.converted_at,
            DateKey::Closed => self.closed_at,
            other => self.details().dates.get(&other).copied(),
        }
    }

    /// Clears one of its dates.
    pub fn forget(&mut self, date: DateKey) {
        match date {
            DateKey::Accepted => self.accepted_at = None,
            DateKey::Declined => self.declined_at = None,
            DateKey::Expired => self.expired_at = None,
            DateKey::Converted => self.converted_at = None,
            DateKey::Closed => self.closed_at = None,
            other => {
                let mut details = self.details().clone();
                details.dates.remove(&other);
                self.set_details(details);
            }
        }
    }

    /// The kind of the stage where it stands on that track, as recorded.
    pub fn standing(&self, track: TrackKey) -> StageKind {
        match (track, &self.status) {
            (TrackKey::Status, Some((_, kind))) => *kind,
            _ => self.stage_kind,
        }
    }

    /// The track on which the other side answers: the review, where there is one.
    pub fn answer_track(&self) -> TrackKey {
        if self.status.is_some() { TrackKey::Status } else { TrackKey::Stage }
    }

    /// Whether it was with a receiver whose partnership has ended since: it is the source's alone again.
    pub fn is_orphaned(&self) -> bool {
        self.side == Side::Source && self.partnership.is_some() && self.assignment.is_none()
    }

    /// Forgets what belongs to an earlier passing, before the lead is passed on.
    pub fn start_over(&mut self) {
        self.accepted_at = None;
        self.declined_at = None;
        self.expired_at = None;
        self.converted_at = None;
        self.closed_at = None;
        self.reason = None;
        if let Some(details) = self.details.take() {
            let Details { qualification, internal, .. } = *details;
            self.set_details(Details { qualification, internal, ..Details::default() });
        }
    }

    /// The details as the other side may have them: without what is the company's own.
    pub fn shared_details(&self) -> Option<Box<Details>> {
        let shared = Details { qualification: Qualification::default(), internal: None, ..self.details().clone() };
        (shared != Details::default()).then(|| Box::new(shared))
    }

    /// Keeps the details; none where there is nothing in them.
    pub fn set_details(&mut self, details: Details) {
        self.details = (details != Details::default()).then(|| Box::new(details));
    }

    /// The key of the stage on that track, as recorded.
    pub fn at(&self, track: TrackKey) -> Option<&str> {
        match track {
            TrackKey::Stage => Some(&self.stage),
            TrackKey::Status => self.status.as_ref().map(|(key, _)| key.as_str()),
        }
    }

    /// Puts it at a stage.
    pub fn put(&mut self, stage: &Stage) {
        match stage.track {
            TrackKey::Stage => {
                self.stage.clone_from(&stage.key);
                self.stage_kind = stage.kind;
            }
            TrackKey::Status => self.status = Some((stage.key.clone(), stage.kind)),
        }
    }

    /// Puts it at the beginning of a workflow, on every track.
    pub fn begin(&mut self, definition: &Definition) {
        self.status = None;
        for track in &definition.tracks {
            if let Some(stage) = definition.stage(&track.initial) {
                self.put(stage);
            }
        }
        self.stage_locked = definition.track(TrackKey::Stage).is_some_and(|track| track.locked);
    }
}

/// `L-1042`: a lead that the company brought in.
pub fn number(number: i64) -> String {
    format!("L-{number}")
}

/// `R-1007`: a lead that the company received.
pub fn received_number(number: i64) -> String {
    format!("R-{number}")
}
