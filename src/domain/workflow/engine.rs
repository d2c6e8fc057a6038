//! The decision, without I/O.
//!
//! [`decide`] says what an action of a caller would change, or why it is refused; [`available`] lists the actions that
//! it would not refuse but for their forms. Both ask the same question of every action, so what is offered and what is
//! allowed can't differ.

use std::{fmt::Write as _, sync::LazyLock};

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value};

pub use super::form::{FieldValue, Form};
use super::{
    definition::{Action, DateKey, Definition, Effect, Limit, Rule, Stage, StageKind},
    form,
};
use crate::{
    domain::{
        actor::{Role, Side},
        duration::{TimeLimit, latest},
        money::Money,
        text,
    },
    error::{Error, ErrorCode, Fault},
};

/// Who asks for an action.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// The system itself: the counter has ended.
    System,
    /// A member on one side.
    Member {
        /// The side of its company. A company's own opportunity has it on the side of the receiver.
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
    /// Not deactivated. (What is archived is at an end of its workflow, which says itself what leads on from there.)
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
    /// Where it stood: for a member the stage as of now, for the system the recorded one.
    pub from: Stage,
    /// Where it is to stand.
    pub to: Stage,
    /// What changes besides, in the order of the definition.
    pub changes: Vec<Change>,
    /// Everything that the form held, read, by field key.
    pub form: Vec<(String, FieldValue)>,
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
    /// The deal's value.
    Value(Money),
    /// The deal's close date.
    CloseDate(NaiveDate),
    /// The receiver sees nothing newer.
    EndAssignment,
    /// Pass on across this partnership (the id as the caller gave it).
    NewAssignment(String),
}

/// Why an action is not taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The workflow has no such action.
    UnknownAction {
        /// What was asked for.
        action: String,
        /// What this caller could do instead.
        possible: Vec<Way>,
    },
    /// The caller may not, whatever the stage.
    Forbidden {
        /// What was asked for.
        action: String,
        /// The key of the stage as of now.
        stage: String,
        /// What the caller lacks.
        lacks: Lack,
    },
    /// Deactivated: read-only.
    Inactive {
        /// What was asked for.
        action: String,
        /// The key of the stage as of now.
        stage: String,
    },
    /// Not possible any more: the time limit has passed.
    Expired {
        /// What was asked for.
        action: String,
        /// The stage as of now.
        stage: Stage,
        /// What this caller could do instead.
        possible: Vec<Way>,
    },
    /// Not possible from this stage.
    Transition {
        /// What was asked for: an action, or the stage to move to.
        asked: Asked,
        /// The stage as of now.
        stage: Stage,
        /// What this caller could do instead.
        possible: Vec<Way>,
    },
    /// The system's own action, but its limit has not passed.
    NotDue {
        /// What was asked for.
        action: String,
        /// The key of the stage as recorded.
        stage: String,
    },
    /// Possible, but not with this form.
    Form {
        /// What was asked for.
        action: String,
        /// The key of the stage as of now.
        stage: String,
        /// Every fault of the form, each with its path.
        faults: Vec<Fault>,
    },
}

/// What a caller asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An action, by its key.
    Action(String),
    /// To move to a stage; its name.
    Stage(String),
}

/// What a caller could do: an action's key and the name of the stage it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The action's key.
    pub action: String,
    /// The name of the stage it leads to.
    pub to: String,
}

/// What a caller lacks for an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Its company is on the other side.
    Side(Side),
    /// It has none of these roles.
    Role(Vec<Role>),
    /// It is not the owner.
    Owner,
    /// Only the system takes it.
    System,
    /// The system takes only its own actions.
    Person,
}

/// The stage of something whose recorded stage its definition doesn't have: nothing leads on from it.
static UNKNOWN: LazyLock<Stage> = LazyLock::new(|| Stage {
    key: "unknown".to_owned(),
    name: "Unknown".to_owned(),
    kind: StageKind::Closed,
    terminal: true,
});

/// The system's action that is due: its limit has passed, and it is possible from the recorded stage.
pub fn due<'d>(definition: &'d Definition, facts: &Facts<'_>, now: DateTime<Utc>) -> Option<&'d Action> {
    if facts.expires_at? > now {
        return None;
    }
    let action = definition.action(facts.on_expiry?)?;
    (action.system && leaves(action, facts.stage)).then_some(action)
}

/// The stage as it is for every caller now. Once the limit has passed, that is the one that the system's action leads
/// to, whether or not the action has been recorded yet (mission A4, A5).
pub fn as_of<'d>(definition: &'d Definition, facts: &Facts<'_>, now: DateTime<Utc>) -> &'d Stage {
    let key = due(definition, facts, now).map_or(facts.stage, |action| &action.to);
    definition.stage(key).unwrap_or(&UNKNOWN)
}

/// What `action` with this form would do, or why it is refused. It is refused, in this order, because there is no such
/// action, because the caller may not, because the record is not active, because the stage doesn't allow it, and
/// because of the form: then with all faults at once.
///
/// For the system the form is not read.
pub fn decide(
    definition: &Definition,
    facts: &Facts<'_>,
    caller: Caller<'_>,
    action: &str,
    form: &Form<'_>,
    now: DateTime<Utc>,
) -> Result<Decision, Refusal> {
    let (action, from) = permitted(definition, facts, caller, action, now)?;
    let mut faults = Vec::new();
    let values = if action.system { Vec::new() } else { form::read(action, form, &mut faults) };
    let mut changes = changes(action, &values, facts, form.prefix, now, &mut faults);
    if runs_out(definition, facts, action, &changes, now) {
        changes.push(Change::StopCounter);
    }
    if !faults.is_empty() {
        return Err(Refusal::Form { action: action.key.clone(), stage: from.key.clone(), faults });
    }
    let to = definition.stage(&action.to).unwrap_or(&UNKNOWN);
    Ok(Decision { action: action.key.clone(), from: from.clone(), to: to.clone(), changes, form: values })
}

/// The actions that [`decide`] would not refuse this caller now, but for their forms; in the order of the definition.
pub fn available<'d>(
    definition: &'d Definition,
    facts: &Facts<'_>,
    caller: Caller<'_>,
    now: DateTime<Utc>,
) -> Vec<&'d Action> {
    let stage = as_of(definition, facts, now);
    definition
        .actions
        .iter()
        .filter(|action| obstacle(definition, facts, caller, action, stage, now).is_none())
        .collect()
}

/// The stage of that text, which is its key or its name, whatever the case; only letters and digits count.
pub fn find_stage<'d>(definition: &'d Definition, text: &str) -> Option<&'d Stage> {
    definition
        .stage(text)
        .or_else(|| definition.stages.iter().find(|stage| alike(&stage.key, text) || alike(&stage.name, text)))
}

/// The action that moves to `to` for this caller: one that it may take now; where there is none, one that leads there,
/// so that [`decide`] says why it is refused. Never an action of the system.
pub fn action_to<'d>(
    definition: &'d Definition,
    facts: &Facts<'_>,
    to: &Stage,
    caller: Caller<'_>,
    now: DateTime<Utc>,
) -> Result<&'d Action, Refusal> {
    let stage = as_of(definition, facts, now);
    let leads_there = || definition.actions.iter().filter(|action| action.to == to.key);
    let by_people = || leads_there().filter(|action| !action.system);
    let found = by_people()
        .find(|action| obstacle(definition, facts, caller, action, stage, now).is_none())
        .or_else(|| by_people().find(|action| leaves(action, &stage.key)))
        .or_else(|| by_people().find(|action| lack(caller, action).is_none()))
        .or_else(|| by_people().next());
    found.ok_or_else(|| match leads_there().next() {
        Some(action) => {
            Refusal::Forbidden { action: action.key.clone(), stage: stage.key.clone(), lacks: Lack::System }
        }
        None => Refusal::Transition {
            asked: Asked::Stage(to.name.clone()),
            stage: stage.clone(),
            possible: ways(definition, facts, caller, now),
        },
    })
}

/// Whether two names have the same letters and digits, whatever their case, and have any.
pub(super) fn alike(a: &str, b: &str) -> bool {
    let loose = |text: &'_ str| -> Vec<char> {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let a = loose(a);
    !a.is_empty() && a == loose(b)
}

/// Why an action is not open to a caller, before it is put into words.
enum Obstacle<'d> {
    Lack(BriefLack<'d>),
    Inactive,
    Stage,
    NotDue,
}

enum BriefLack<'d> {
    Side(Side),
    Role(&'d [Rule], Side),
    Owner,
    System,
    Person,
}

fn permitted<'d>(
    definition: &'d Definition,
    facts: &Facts<'_>,
    caller: Caller<'_>,
    key: &str,
    now: DateTime<Utc>,
) -> Result<(&'d Action, &'d Stage), Refusal> {
    let possible = || ways(definition, facts, caller, now);
    let Some(action) = definition.action(key) else {
        return Err(Refusal::UnknownAction { action: text::excerpt(key), possible: possible() });
    };
    let stage = as_of(definition, facts, now);
    let Some(obstacle) = obstacle(definition, facts, caller, action, stage, now) else {
        // The system leaves the recorded stage; for everybody else it has been left already.
        let from = if action.system { definition.stage(facts.stage).unwrap_or(stage) } else { stage };
        return Ok((action, from));
    };
    let action = action.key.clone();
    Err(match obstacle {
        Obstacle::Lack(lack) => Refusal::Forbidden { action, stage: stage.key.clone(), lacks: lack.into() },
        Obstacle::Inactive => Refusal::Inactive { action, stage: stage.key.clone() },
        Obstacle::NotDue => Refusal::NotDue { action, stage: facts.stage.to_owned() },
        Obstacle::Stage if stage.kind == StageKind::Expired => {
            Refusal::Expired { action, stage: stage.clone(), possible: possible() }
        }
        Obstacle::Stage => {
            Refusal::Transition { asked: Asked::Action(action), stage: stage.clone(), possible: possible() }
        }
    })
}

/// The one question behind [`available`] and [`decide`]; `stage` is the one as of now.
fn obstacle<'d>(
    definition: &Definition,
    facts: &Facts<'_>,
    caller: Caller<'_>,
    action: &'d Action,
    stage: &Stage,
    now: DateTime<Utc>,
) -> Option<Obstacle<'d>> {
    if let Some(lack) = lack(caller, action) {
        return Some(Obstacle::Lack(lack));
    }
    if matches!(caller, Caller::System) {
        // Time passes for a deactivated record too: what everybody sees as expired has to be recorded as such.
        let due = due(definition, facts, now).is_some_and(|due| due.key == action.key);
        return (!due).then_some(Obstacle::NotDue);
    }
    if !facts.active {
        return Some(Obstacle::Inactive);
    }
    (!leaves(action, &stage.key)).then_some(Obstacle::Stage)
}

/// What the caller lacks for the action, whatever the stage: the least of what the rules ask for.
fn lack<'d>(caller: Caller<'_>, action: &'d Action) -> Option<BriefLack<'d>> {
    let Caller::Member { side, roles, owner } = caller else {
        return (!action.system).then_some(BriefLack::Person);
    };
    if action.system {
        return Some(BriefLack::System);
    }
    let of_side = || action.allow.iter().filter(|rule| rule.side == side);
    if of_side().next().is_none() {
        return Some(BriefLack::Side(side.other()));
    }
    let mut of_role = of_side().filter(|rule| roles.iter().any(|role| rule.roles.contains(role))).peekable();
    if of_role.peek().is_none() {
        return Some(BriefLack::Role(&action.allow, side));
    }
    if of_role.any(|rule| owner || !rule.owner_only) { None } else { Some(BriefLack::Owner) }
}

fn leaves(action: &Action, stage: &str) -> bool {
    action.from.iter().any(|from| from == stage)
}

fn ways(definition: &Definition, facts: &Facts<'_>, caller: Caller<'_>, now: DateTime<Utc>) -> Vec<Way> {
    let way = |action: &Action| Way {
        action: action.key.clone(),
        to: definition.stage(&action.to).unwrap_or(&UNKNOWN).name.clone(),
    };
    available(definition, facts, caller, now).into_iter().map(way).collect()
}

/// Whether the action says nothing of the running counter, which yet has no more meaning: because it has ended, with its
/// action not recorded yet, or because its action is not possible from where this one leads to. Left to run it could
/// end a later stage by a limit that was set for an earlier one.
fn runs_out(
    definition: &Definition,
    facts: &Facts<'_>,
    action: &Action,
    changes: &[Change],
    now: DateTime<Utc>,
) -> bool {
    let (Some(end), Some(then)) = (facts.expires_at, facts.on_expiry) else { return false };
    let said = |change: &Change| matches!(change, Change::StartCounter(..) | Change::StopCounter);
    !changes.iter().any(said) && (end <= now || !definition.action(then).is_some_and(|then| leaves(then, &action.to)))
}

fn changes(
    action: &Action,
    values: &[(String, FieldValue)],
    facts: &Facts<'_>,
    prefix: &str,
    now: DateTime<Utc>,
    faults: &mut Vec<Fault>,
) -> Vec<Change> {
    let value = |key: &str| values.iter().find(|(found, _)| found == key).map(|(_, value)| value);
    // What the system does happened when the limit passed, however late it is recorded.
    let at = if action.system { facts.expires_at.unwrap_or(now) } else { now };
    let mut changes = Vec::with_capacity(action.effects.len() + 1);
    let mut counts = false;
    for effect in &action.effects {
        match effect {
            Effect::RecordDate { date } => changes.push(Change::Date(*date, at)),
            Effect::StartCounter { limit, then } => {
                counts = true;
                changes.push(counter(*limit, then, facts, prefix, now, faults));
            }
            Effect::StopCounter => changes.push(Change::StopCounter),
            Effect::Archive => changes.push(Change::Archived(true)),
            Effect::Unarchive => changes.push(Change::Archived(false)),
            Effect::KeepReason => changes.push(Change::Reason(match value("reason") {
                Some(FieldValue::Text(reason)) => Some(reason.clone()),
                _ => None,
            })),
            Effect::LinkOpportunity => {
                if let Some(FieldValue::Id(id)) = value("opportunityId") {
                    changes.push(Change::LinkOpportunity(id.clone()));
                }
                if let Some(FieldValue::Object(form)) = value("opportunity") {
                    changes.push(Change::CreateOpportunity(form.clone()));
                }
            }
            Effect::KeepDeal => {
                if let Some(FieldValue::Money(money)) = value("value") {
                    changes.push(Change::Value(*money));
                }
                if let Some(FieldValue::Date(date)) = value("closeDate") {
                    changes.push(Change::CloseDate(*date));
                }
            }
            Effect::EndAssignment => changes.push(Change::EndAssignment),
            Effect::NewAssignment => {
                if let Some(FieldValue::Id(id)) = value("partnershipId") {
                    changes.push(Change::NewAssignment(id.clone()));
                }
            }
        }
    }
    if facts.expires_at_override.is_some() && !counts {
        faults.push(Fault::invalid(
            format!("{prefix}.expiresAt"),
            format!("expiresAt has no meaning here: {} starts no time limit.", action.key),
        ));
    }
    changes
}

fn counter(
    limit: Limit,
    then: &str,
    facts: &Facts<'_>,
    prefix: &str,
    now: DateTime<Utc>,
    faults: &mut Vec<Fault>,
) -> Change {
    let template = match limit {
        Limit::Answer => facts.answer_within,
        Limit::Convert => facts.convert_within,
    };
    let end = match (facts.expires_at_override, template) {
        (Some(end), _) => {
            let fault = if end <= now {
                Some("expiresAt must be in the future.")
            } else if end > latest(now) {
                Some("expiresAt must be at most ten years from now.")
            } else {
                None
            };
            if let Some(message) = fault {
                faults.push(Fault::invalid(format!("{prefix}.expiresAt"), message));
            }
            end
        }
        (None, Some(limit)) => limit.after(now),
        (None, None) => return Change::StopCounter,
    };
    Change::StartCounter(end, then.to_owned())
}

impl From<BriefLack<'_>> for Lack {
    fn from(lack: BriefLack<'_>) -> Self {
        match lack {
            BriefLack::Side(side) => Self::Side(side),
            BriefLack::Role(rules, side) => {
                let asked = |role: &Role| rules.iter().any(|rule| rule.side == side && rule.roles.contains(role));
                Self::Role(Role::ALL.into_iter().filter(asked).collect())
            }
            BriefLack::Owner => Self::Owner,
            BriefLack::System => Self::System,
            BriefLack::Person => Self::Person,
        }
    }
}

fn instead(possible: &[Way]) -> String {
    if possible.is_empty() {
        return "There is nothing you can do at this stage.".to_owned();
    }
    let mut text = "Possible for you now: ".to_owned();
    for (i, way) in possible.iter().enumerate() {
        let _ = write!(text, "{}{} (to {})", if i > 0 { ", " } else { "" }, way.action, way.to);
    }
    text.push('.');
    text
}

impl Lack {
    fn message(&self, action: &str) -> String {
        match self {
            Self::Side(Side::Source) => format!("{action} is for members of the company that the lead comes from."),
            Self::Side(Side::Receiver) => format!("{action} is for members of the company that received the lead."),
            Self::Role(roles) => {
                let roles = form::list(roles.iter().map(|role| role.as_str()), "or");
                format!("{action} needs the role {roles}.")
            }
            Self::Owner => format!("{action} is for the owner alone."),
            Self::System => format!("Nobody can take {action}: the system takes it when the limit passes."),
            Self::Person => format!("{action} is a person's decision, not the system's."),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let fault = match refusal {
            Refusal::UnknownAction { action, possible } => {
                let message = format!("There is no action \"{action}\" in this workflow. {}", instead(&possible));
                Fault::new(ErrorCode::InvalidInput, message).action(action)
            }
            Refusal::Forbidden { action, stage, lacks } => {
                Fault::new(ErrorCode::Forbidden, lacks.message(&action)).action(action).stage(stage)
            }
            Refusal::Inactive { action, stage } => {
                let message = "It is deactivated and read-only until it is activated again.";
                Fault::new(ErrorCode::LeadInactive, message).action(action).stage(stage)
            }
            Refusal::Expired { action, stage, possible } => {
                let message =
                    format!("{action} is not possible any more: the time limit has passed. {}", instead(&possible));
                Fault::new(ErrorCode::LeadExpired, message).action(action).stage(stage.key)
            }
            Refusal::Transition { asked, stage, possible } => {
                let (what, action) = match asked {
                    Asked::Action(action) => (format!("{action} is not possible"), Some(action)),
                    Asked::Stage(to) => (format!("No action leads to {to}"), None),
                };
                let message = format!("{what} at the stage {}. {}", stage.name, instead(&possible));
                Fault { action, ..Fault::new(ErrorCode::InvalidTransition, message).stage(stage.key) }
            }
            Refusal::NotDue { action, stage } => {
                Fault::new(ErrorCode::InvalidTransition, "The time limit has not passed.").action(action).stage(stage)
            }
            Refusal::Form { action, stage, faults } => {
                let whole = |fault: Fault| fault.action(action.clone()).stage(stage.clone());
                return faults.into_iter().map(whole).collect::<Vec<_>>().into();
            }
        };
        fault.into()
    }
}

#[cfg(test)]
mod tests;
