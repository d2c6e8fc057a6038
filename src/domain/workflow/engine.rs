//! The decision, without I/O. See `decide`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::definition::{Action, DateKey, Definition, Stage};
use crate::{
    domain::{
        actor::{Role, Side},
        duration::TimeLimit,
    },
    error::Fault,
};

/// Who asks for an action.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// The system itself: the counter has ended.
    System,
    /// A member on one side.
    Member {
        /// The side of its company.
        side: Side,
        /// Its roles.
        roles: &'a [Role],
        /// Whether it is the owner (of an opportunity: the responsible member).
        owner: bool,
    },
}

/// What the decision needs to know of the lead or opportunity.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The key of the stage as recorded.
    pub stage: &'a str,
    /// When the running counter ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// The action that the end of the running counter triggers.
    pub on_expiry: Option<&'a str>,
    /// Not deactivated.
    pub active: bool,
    /// The limit for the answer, where the template has one.
    pub answer_within: Option<&'a TimeLimit>,
    /// The limit for the conversion, where the template has one.
    pub convert_within: Option<&'a TimeLimit>,
    /// The limit that the caller sets instead of the template's, for an action that starts a counter.
    pub expires_at_override: Option<DateTime<Utc>>,
}

/// What is to be done: nothing has been done yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The action's key.
    pub action: String,
    /// Where it stood.
    pub from: Stage,
    /// Where it is to stand.
    pub to: Stage,
    /// What changes besides, in the order of the definition.
    pub changes: Vec<Change>,
}

/// One change besides the stage.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Record this moment.
    Date(DateKey, DateTime<Utc>),
    /// The counter ends then, and triggers that action.
    StartCounter(DateTime<Utc>, String),
    /// No counter runs.
    StopCounter,
    /// In or out of the archive.
    Archived(bool),
    /// The reason shown; none where the form has none.
    Reason(Option<String>),
    /// Link this opportunity (the id as the caller gave it).
    LinkOpportunity(String),
    /// Create an opportunity from this form and link it.
    CreateOpportunity(Map<String, Value>),
    /// The deal's value as given, a `MONEY` value.
    Value(Value),
    /// The deal's close date.
    CloseDate(chrono::NaiveDate),
    /// The receiver sees nothing newer.
    EndAssignment,
    /// Pass on across this partnership (the id as the caller gave it).
    NewAssignment(String),
}

#[allow(dead_code)]
fn _sketch(_: Arc<Definition>, _: &Action, _: Fault) {}
