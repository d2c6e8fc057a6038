//! A workflow as data: stages on one track or two, and the actions that lead from one to another.
//!
//! One format for the files that are shipped and for what companies store; `docs/workflow.schema.json` is the same as
//! a JSON Schema.

use serde::{Deserialize, Serialize};

use crate::domain::{
    actor::{Role, Side},
    duration::TimeLimit,
};

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
    /// What it is for, in a sentence or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What runs on it.
    pub subject: Subject,
    /// Which way leads are shared on it; either way where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The tracks: `STAGE`, and `STATUS` where a review runs beside it.
    pub tracks: Vec<Track>,
    /// Where something can stand. A key means one stage, whatever its track.
    pub stages: Vec<Stage>,
    /// How it moves.
    pub actions: Vec<Action>,
    /// What the source may no longer change of a lead while it stands at a stage, and what a change brings about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field_rules: Vec<FieldRule>,
}

/// What holds of fields of a lead while it stands at a stage: they are fixed, or a change of them triggers a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FieldRule {
    /// The stages at which it holds, on either track.
    pub at: Vec<String>,
    /// The paths of the fields, or of what they are part of: `customer` is all below it, `*` all of the lead's content.
    /// See [`is_content`](crate::domain::lead::is_content).
    pub fields: Vec<String>,
    /// Who may change them nevertheless.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Role>,
    /// The system's action that a change triggers, in the same transaction; where absent, the fields are fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
}

impl FieldRule {
    /// Whether it speaks of the field of that path.
    pub fn covers(&self, path: &str) -> bool {
        self.fields.iter().any(|field| covers(field, path))
    }
}

/// Whether a field of a rule, which may be a part such as `customer`, covers that path.
pub fn covers(field: &str, path: &str) -> bool {
    field == ANY || path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
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

/// Which way leads are shared across a partnership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    /// Passed by the vendor (mission A).
    VendorToPartner,
    /// Submitted by the partner (mission B).
    PartnerToVendor,
}

/// One of the two ways along which a lead moves at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Track {
    /// Which one.
    pub key: TrackKey,
    /// The stage that everything starts in.
    pub initial: String,
    /// Whether nothing moves on it until an action with `UNLOCK` (mission B3). Only `STAGE` can be locked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
}

/// The tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TrackKey {
    /// Progress: `Lead.stage`.
    #[default]
    Stage,
    /// Review by the vendor: `Lead.status`.
    Status,
}

impl TrackKey {
    /// The name in definitions and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stage => "STAGE",
            Self::Status => "STATUS",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_stage(&self) -> bool {
        *self == Self::Stage
    }
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
    /// Whether it is an end: nothing leads on from it, except an action that starts a new assignment or reopens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub terminal: bool,
    /// On which track.
    #[serde(default, skip_serializing_if = "TrackKey::is_stage")]
    pub track: TrackKey,
    /// Kept for a company's own actions: no way leads there yet, on purpose (mission C11).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reserved: bool,
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

/// What somebody can do: as a rule a move from one stage to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Action {
    /// Its name in code, unique within the workflow.
    pub key: String,
    /// Its name for people, as on a button.
    pub name: String,
    /// What it does, for people, as beside the button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The stages that it is possible from, all on one track. `["*"]` is any stage at all.
    pub from: Vec<String>,
    /// The stage that it leads to, on the same track; nowhere where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Who may use it: any one of these rules is enough. Empty for an action of the system alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Rule>,
    /// Whether the system takes it by itself: when the running counter ends, or when a field is changed whose rule names
    /// it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub system: bool,
    /// What the caller fills in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// Groups of fields of which exactly one has to be given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exactly_one_of: Vec<Vec<String>>,
    /// What has to hold of the lead besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Guard>,
    /// What it does besides changing the stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
}

impl Action {
    /// Whether it passes the lead on to a receiver.
    pub fn passes_on(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::NewAssignment { .. }))
    }

    /// Whether it leads back from an end.
    pub fn reopens(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::Reopen { .. }))
    }

    /// The template that a lead goes on with when this passes it on, where that is another one.
    pub fn goes_on_with(&self) -> Option<&str> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::NewAssignment { template } => template.as_deref(),
            _ => None,
        })
    }
}

/// In [`Action::from`]: any stage. In [`FieldRule::fields`]: any field.
pub const ANY: &str = "*";

/// Who may use an action: all that is said here has to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// The side of the caller's company.
    pub side: RuleSide,
    /// The caller has one of these roles.
    pub roles: Vec<Role>,
    /// The caller is the lead's owner on its side (for an opportunity: the responsible member).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub owner_only: bool,
}

/// How a rule names the side of a company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RuleSide {
    /// The company that created the lead; the only one while it is internal.
    Source,
    /// The company that answers it; of an opportunity the one that works it.
    Receiver,
    /// The vendor of the partnership that the lead is shared across.
    Vendor,
    /// The partner of that partnership.
    Partner,
    /// Whom that partnership's setting `stageMovedBy` names: the vendor, the partner or both (mission B3).
    StageMover,
}

/// What has to hold of a lead before an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "SCREAMING_SNAKE_CASE", tag = "need", rename_all_fields = "camelCase")]
pub enum Guard {
    /// These fields of the lead are filled in.
    Fields {
        /// Their paths, out of [`FIELDS`](crate::domain::lead::FIELDS).
        fields: Vec<String>,
        /// Only with this form; always where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        when: Option<When>,
    },
    /// The other track stands at one of these stages.
    At {
        /// Their keys.
        stages: Vec<String>,
        /// What a caller is told where it doesn't.
        message: String,
    },
    /// One of its dates is no longer ago than this.
    Within {
        /// Which date.
        date: DateKey,
        /// How long at most.
        limit: TimeLimit,
    },
}

/// A condition on a form: the field's value is one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct When {
    /// The key of a `CHOICE` of the same form.
    pub field: String,
    /// Some of its options.
    pub one_of: Vec<String>,
}

/// One field of an action's form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Field {
    /// Its name in the form.
    pub key: String,
    /// Its name for people.
    pub label: String,
    /// What to fill in, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What its value is.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Whether it must be given. A default counts: what is absent takes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Whether it must be given with some values of another field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_when: Option<When>,
    /// The values of a `CHOICE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<Choice>>,
    /// What it is where the caller leaves it out, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The path of the lead's field that it is filled in from where the caller leaves it out, out of
    /// [`FIELDS`](crate::domain::lead::FIELDS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_from: Option<String>,
    /// Whether it is what it is filled in with, and nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// One value of a `CHOICE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Choice {
    /// In code: upper case with underscores.
    pub value: String,
    /// For people.
    pub label: String,
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
    /// A lead that the caller may see, by id.
    Lead,
}

impl FieldType {
    /// The name in definitions and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::LongText => "LONG_TEXT",
            Self::Integer => "INTEGER",
            Self::Decimal => "DECIMAL",
            Self::Money => "MONEY",
            Self::Date => "DATE",
            Self::DateTime => "DATE_TIME",
            Self::Boolean => "BOOLEAN",
            Self::Choice => "CHOICE",
            Self::Member => "MEMBER",
            Self::Opportunity => "OPPORTUNITY",
            Self::OpportunityForm => "OPPORTUNITY_FORM",
            Self::Partnership => "PARTNERSHIP",
            Self::Lead => "LEAD",
        }
    }
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
        /// The key of a `DATE_TIME` field of the form that sets its end instead, where it is filled in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<String>,
    },
    /// Stops the running counter.
    StopCounter,
    /// Archives the lead: it is read-only from then on.
    Archive,
    /// Takes the lead out of the archive.
    Unarchive,
    /// Keeps the form field `reason` as the reason shown on the lead.
    KeepReason,
    /// Keeps the form field `note` as the note shown on the lead; an empty one clears it (mission B5).
    KeepNote,
    /// Keeps the form field `code` as the code of the last rejection or disqualification (missions B6, C7).
    KeepCode,
    /// Keeps the form field `duplicateOf` as the lead that has priority; shown only to who may see that one (B6).
    KeepDuplicate,
    /// Makes the member of the form field `owner` the lead's owner on the caller's side (missions C2, C3).
    SetOwner,
    /// Unlocks the track `STAGE` (mission B3).
    Unlock,
    /// Locks the track `STAGE` again, where it stands.
    Lock,
    /// Takes back a decision: the record leaves the archive, these dates and the reason, code and duplicate that were kept
    /// are cleared, and a counter that the decision stopped goes on with the time that was left.
    Reopen {
        /// The dates that the decision recorded.
        dates: Vec<DateKey>,
    },
    /// Activates the lead again (mission C10). The action is offered on deactivated leads, and on no others.
    Activate,
    /// Deactivates the lead: it is read-only, and left out of lists that don't ask for it (mission C10).
    Deactivate,
    /// Creates an opportunity out of the form fields `name`, `responsible`, `city`, `currentSituation`,
    /// `estimatedRevenue`, `estimatedCloseDate`, `sellingDirection` and `description`, and links it (missions C6, C8).
    CreateOpportunity {
        /// Only with this form; always where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        when: Option<When>,
    },
    /// Sets a task that only its own side sees.
    CreateTask {
        /// Whose.
        side: Side,
        /// What is to be done, in a line.
        title: String,
        /// How long from then it is due, an ISO 8601 duration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_in: Option<TimeLimit>,
    },
    /// Tells one side in its activity.
    Notify {
        /// Which one.
        side: Side,
        /// What it is told.
        message: String,
    },
    /// Links the opportunity of the form field `opportunityId`, or creates the one of `opportunity`.
    LinkOpportunity,
    /// Writes the form fields `value` and `closeDate`, where given, to the opportunity.
    KeepDeal,
    /// Ends the assignment: the receiver sees nothing newer.
    EndAssignment,
    /// Passes the lead to the receiver of the form field `partnershipId`: a new assignment. All tracks start anew.
    NewAssignment {
        /// The key of the company's template that it goes on with, in place of the workflow that it is on: it is passed
        /// on by that one's own action. What it was before stays on the source's own record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        template: Option<String>,
    },
}

/// The dates that a workflow can record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// `assignedAt`
    Assigned,
    /// `qualifiedAt`
    Qualified,
    /// `disqualifiedAt`
    Disqualified,
    /// `rejectedAt`
    Rejected,
    /// `readyForPayoutAt`
    ReadyForPayout,
    /// `paidOutAt`
    PaidOut,
    /// `checkedAt`: of the last recurring check
    Checked,
}

impl DateKey {
    /// What a person reads: "the lead was ...".
    pub const fn described(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Converted => "converted",
            Self::Closed => "closed",
            Self::Assigned => "assigned",
            Self::Qualified => "qualified",
            Self::Disqualified => "disqualified",
            Self::Rejected => "rejected",
            Self::ReadyForPayout => "made ready for payout",
            Self::PaidOut => "paid out",
            Self::Checked => "checked",
        }
    }
}

/// The limits of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Limit {
    /// From being offered to the answer (mission A4).
    Answer,
    /// From the acceptance to the conversion (mission A5).
    Convert,
    /// From one recurring check to the next (mission B8).
    Check,
}

impl Definition {
    /// The stage of that key.
    pub fn stage(&self, key: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.key == key)
    }

    /// The track of that key.
    pub fn track(&self, key: TrackKey) -> Option<&Track> {
        self.tracks.iter().find(|track| track.key == key)
    }

    /// The stage that everything starts in on that track.
    pub fn initial(&self, track: TrackKey) -> Option<&Stage> {
        self.stage(&self.track(track)?.initial)
    }

    /// Whether a counter runs for that limit of the template.
    pub fn counts(&self, asked: Limit) -> bool {
        let starts = |effect: &Effect| matches!(effect, Effect::StartCounter { limit, .. } if *limit == asked);
        self.actions.iter().any(|action| action.effects.iter().any(starts))
    }

    /// The track that an action is on; that of `from` any stage is `STAGE`.
    pub fn track_of(&self, action: &Action) -> TrackKey {
        let to = action.to.as_ref().and_then(|to| self.stage(to));
        let stage = to.or_else(|| self.stage(action.from.first().filter(|from| *from != ANY)?));
        stage.map_or(TrackKey::Stage, |stage| stage.track)
    }

    /// The action of that key.
    pub fn action(&self, key: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.key == key)
    }
}
