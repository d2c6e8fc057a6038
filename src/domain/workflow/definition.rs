//! A workflow as data: stages, and the actions that lead from one to another.

use serde::{Deserialize, Serialize};

use crate::domain::actor::{Role, Side};

/// A workflow of one version. What is on it stays on that version until it is moved on purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Definition {
    /// Its name in code and templates, such as `partner-lead`.
    pub key: String,
    /// Counts from 1.
    pub version: i32,
    /// Its name for people.
    pub name: String,
    /// What runs on it.
    pub subject: Subject,
    /// The stage that everything starts in.
    pub initial: String,
    /// Where something can stand.
    pub stages: Vec<Stage>,
    /// How it moves.
    pub actions: Vec<Action>,
}

/// What runs on a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Subject {
    /// A lead.
    Lead,
    /// An opportunity.
    Opportunity,
}

/// Where something can stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Stage {
    /// Its name in code: lower case with underscores.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// What a client can colour and count by, whatever the workflow.
    pub kind: StageKind,
    /// Whether it is an end: nothing leads on from it, except an action that starts a new assignment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub terminal: bool,
}

/// What a client can colour and count by, whatever the workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StageKind {
    /// Not yet with the other side.
    Open,
    /// Waits for the other side's answer.
    Awaiting,
    /// Being worked.
    Active,
    /// Ended well.
    Won,
    /// Ended without success.
    Lost,
    /// Refused by the receiver.
    Declined,
    /// Not answered or not worked in time.
    Expired,
    /// Ended without an outcome to count.
    Closed,
}

impl StageKind {
    /// Every kind.
    pub const ALL: [Self; 8] =
        [Self::Open, Self::Awaiting, Self::Active, Self::Won, Self::Lost, Self::Declined, Self::Expired, Self::Closed];

    /// The name in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Awaiting => "AWAITING",
            Self::Active => "ACTIVE",
            Self::Won => "WON",
            Self::Lost => "LOST",
            Self::Declined => "DECLINED",
            Self::Expired => "EXPIRED",
            Self::Closed => "CLOSED",
        }
    }
}

/// How something moves from one stage to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Action {
    /// Its name in code, unique within the workflow.
    pub key: String,
    /// Its name for people, as on a button.
    pub name: String,
    /// The stages it is possible from.
    pub from: Vec<String>,
    /// The stage it leads to.
    pub to: String,
    /// Who may use it: any one of these rules is enough. Empty for an action of the system alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Rule>,
    /// Whether the system takes it by itself, when the running counter ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub system: bool,
    /// What the caller fills in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// Groups of fields of which exactly one has to be given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exactly_one_of: Vec<Vec<String>>,
    /// What it does besides changing the stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
}

/// Who may use an action: all that is said here has to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// The side of the caller's company.
    pub side: Side,
    /// The caller has one of these roles.
    pub roles: Vec<Role>,
    /// The caller is the lead's owner on its side (for an opportunity: the responsible member).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub owner_only: bool,
}

/// One field of an action's form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Field {
    /// Its name in the form.
    pub key: String,
    /// Its name for people.
    pub label: String,
    /// What its value is.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Whether it must be given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The values of a `CHOICE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
    /// What a client shows at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// What a form field's value is. All are JSON strings except where said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FieldType {
    /// One line of text.
    Text,
    /// Text of several lines.
    LongText,
    /// A whole number (a JSON number).
    Integer,
    /// A decimal number as a string.
    Decimal,
    /// `{"amount": "12.50", "currency": "EUR"}`.
    Money,
    /// A day, `2026-11-21`.
    Date,
    /// A moment, RFC 3339.
    DateTime,
    /// `true` or `false` (a JSON boolean).
    Boolean,
    /// One of the field's options.
    Choice,
    /// A member of the caller's company, by id.
    Member,
    /// An opportunity that the caller may see, by id.
    Opportunity,
    /// The form of a new opportunity: an object as `OpportunityInput`.
    OpportunityForm,
    /// A partnership of the caller's company, by id.
    Partnership,
}

/// What an action does besides changing the stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "SCREAMING_SNAKE_CASE", tag = "do", rename_all_fields = "camelCase")]
pub enum Effect {
    /// Records the time of the action in one of the dates of the lead.
    RecordDate {
        /// Which one.
        date: DateKey,
    },
    /// Starts a counter, in place of any that runs: when it ends the system takes `then`.
    StartCounter {
        /// Which of the template's limits it runs for.
        limit: Limit,
        /// The system action that its end triggers.
        then: String,
    },
    /// Stops the running counter.
    StopCounter,
    /// Archives the lead: it is read-only from then on.
    Archive,
    /// Takes the lead out of the archive.
    Unarchive,
    /// Keeps the form field `reason` as the reason shown on the lead.
    KeepReason,
    /// Links the opportunity of the form field `opportunityId`, or creates the one of `opportunity`.
    LinkOpportunity,
    /// Writes the form fields `value` and `closeDate`, where given, to the opportunity.
    KeepDeal,
    /// Ends the assignment: the receiver sees nothing newer.
    EndAssignment,
    /// Passes the lead to the receiver of the form field `partnershipId`: a new assignment.
    NewAssignment,
}

/// The dates that a workflow can record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DateKey {
    /// `acceptedAt`
    Accepted,
    /// `declinedAt`
    Declined,
    /// `expiredAt`
    Expired,
    /// `convertedAt`
    Converted,
    /// `closedAt`
    Closed,
}

/// The two limits of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Limit {
    /// From being offered to the answer (mission A4).
    Answer,
    /// From the acceptance to the conversion (mission A5).
    Convert,
}

impl Definition {
    /// The stage of that key.
    pub fn stage(&self, key: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.key == key)
    }

    /// The action of that key.
    pub fn action(&self, key: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.key == key)
    }
}
