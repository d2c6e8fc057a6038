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
    definition::{
        ANY, Action, DateKey, Definition, Effect, Field, Guard, Limit, Rule, RuleSide, Stage, StageKind, TrackKey, When,
    },
    form,
};
use crate::{
    domain::{
        actor::{Role, Side},
        duration::{TimeLimit, latest},
        lead::{self, Lead},
        money::Money,
        opportunity::{self, Opportunity},
        text,
    },
    error::{Error, ErrorCode, Fault, Reason},
};

/// Who asks for an action.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// The system itself: the counter has ended.
    System,
    /// The system, because somebody changed a field whose rule names the action.
    Edit,
    /// A member on one side.
    Member {
        /// The side of its company. A company's own opportunity has it on the side of the receiver.
        side: Side,
        /// Whether its company is the vendor of the lead's partnership; none where the lead is in none.
        vendor: Option<bool>,
        /// Whether the partnership's setting names its company as one that moves the stage.
        moves_stage: bool,
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
    /// The key of the status as recorded, where there is a status track.
    pub status: Option<&'a str>,
    /// Whether the stage can't be moved yet.
    pub stage_locked: bool,
    /// When the running counter ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// The action that the end of the running counter triggers.
    pub on_expiry: Option<&'a str>,
    /// Whether the receiver's part has ended with its partnership: the source takes it back from wherever it stands.
    pub orphaned: bool,
    /// Not deactivated. (What is archived is at an end of its workflow, which says itself what leads on from there.)
    pub active: bool,
    /// The template's limits.
    pub limits: Limits<'a>,
    /// What guards and the defaults of forms read.
    pub fields: Fields<'a>,
    /// The limit that the caller sets instead of the template's, for an action that starts a counter.
    pub expires_at_override: Option<DateTime<Utc>>,
}

/// The limits of a template; none where it has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits<'a> {
    /// For the answer.
    pub answer: Option<&'a TimeLimit>,
    /// For the conversion.
    pub convert: Option<&'a TimeLimit>,
    /// From one recurring check to the next.
    pub check: Option<&'a TimeLimit>,
}

impl<'a> Limits<'a> {
    fn of(self, limit: Limit) -> Option<&'a TimeLimit> {
        match limit {
            Limit::Answer => self.answer,
            Limit::Convert => self.convert,
            Limit::Check => self.check,
        }
    }
}

/// What guards and the defaults of forms read.
#[derive(Clone, Copy, Debug, Default)]
pub enum Fields<'a> {
    /// Nothing is known.
    #[default]
    None,
    /// A lead's.
    Lead(&'a Lead),
    /// An opportunity's.
    Opportunity(&'a Opportunity),
}

impl Fields<'_> {
    /// The field of that path, as text; none where it is empty.
    pub fn read(self, path: &str) -> Option<String> {
        match self {
            Self::None => None,
            Self::Lead(lead) => (lead::field_at(path)?.read)(lead),
            Self::Opportunity(opportunity) => (opportunity::field_at(path)?.read)(opportunity),
        }
    }

    fn date(self, date: DateKey) -> Option<DateTime<Utc>> {
        match self {
            Self::None => None,
            Self::Lead(lead) => lead.date(date),
            Self::Opportunity(opportunity) => opportunity.closed_at.filter(|_| date == DateKey::Closed),
        }
    }
}

/// What is to be done: nothing has been done yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The action's key.
    pub action: String,
    /// Where it stood on the action's track: for a member as of now, for the system as recorded.
    pub from: Stage,
    /// Where it is to stand on that track; the same where the action moves nothing.
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
    /// The note shown; none where the form has none.
    Note(Option<String>),
    /// The code of a rejection or disqualification; none where the form has none.
    Code(Option<String>),
    /// The lead that has priority (the id as the caller gave it); none where the form has none.
    DuplicateOf(Option<String>),
    /// The owner on the caller's side (the id as the caller gave it).
    Owner(String),
    /// The stage can be moved from now on.
    Unlock,
    /// The stage can't be moved any more.
    Lock,
    /// Out of the archive; these dates, the reason, the code and the duplicate cleared; the counter goes on.
    Reopen(Vec<DateKey>),
    /// Activated or deactivated.
    Active(bool),
    /// Create an opportunity from what [`Decision::form`] holds, and link it.
    QualifyOpportunity,
    /// Set a task for a side, due then.
    Task(Side, String, Option<DateTime<Utc>>),
    /// Tell a side.
    Notify(Side, String),
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
    /// Pass on across this partnership (the id as the caller gave it); with the template of that key, where there is one.
    NewAssignment(String, Option<String>),
}

/// Why an action is not taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The workflow has no such action.
    UnknownAction {
        /// What was asked for.
        action: String,
        /// The key of the stage as of now.
        stage: String,
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
        /// What this caller could do instead.
        possible: Vec<Way>,
    },
    /// Deactivated: read-only.
    Inactive {
        /// What was asked for.
        action: String,
        /// The key of the stage as of now.
        stage: String,
        /// What this caller could do instead.
        possible: Vec<Way>,
    },
    /// Active already: there is nothing to activate.
    Active {
        /// What was asked for.
        action: String,
        /// The key of the stage as of now.
        stage: String,
        /// What this caller could do instead.
        possible: Vec<Way>,
    },
    /// Not possible yet: the stage is locked.
    Locked {
        /// What was asked for.
        action: String,
        /// The key of the stage as of now.
        stage: String,
        /// The names of the stages that unlock it.
        until: Vec<String>,
        /// What this caller could do instead.
        possible: Vec<Way>,
    },
    /// Not possible while the other track stands where it does, or not any more.
    Guarded {
        /// Which of the two.
        reason: Reason,
        /// What was asked for.
        action: String,
        /// The key of the stage as of now.
        stage: String,
        /// What the definition says.
        message: String,
        /// What this caller could do instead.
        possible: Vec<Way>,
    },
    /// Not possible any more: the time limit has passed.
    Expired {
        /// What was asked for.
        action: String,
        /// The key of the stage as of now.
        stage: String,
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
    /// The name of the stage it leads to; none where it moves nothing.
    pub to: Option<String>,
}

/// What a caller lacks for an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Its company is on none of these sides.
    Side(Vec<RuleSide>),
    /// It has none of these roles.
    Role(Vec<Role>),
    /// It is not the owner.
    Owner,
    /// Only the system takes it: when the limit passes, or (`by_edit`) when something is changed.
    System {
        /// Whether a change of a field triggers it.
        by_edit: bool,
    },
    /// The system takes only its own actions.
    Person,
}

/// The stage of something whose recorded stage its definition doesn't have: nothing leads on from it.
static UNKNOWN: LazyLock<Stage> = LazyLock::new(|| Stage {
    key: "unknown".to_owned(),
    name: "Unknown".to_owned(),
    kind: StageKind::Closed,
    terminal: true,
    track: TrackKey::Stage,
    reserved: false,
});

/// The system's action that is due: its limit has passed, and it is possible from the recorded stage.
pub fn due<'d>(definition: &'d Definition, facts: &Facts<'_>, now: DateTime<Utc>) -> Option<&'d Action> {
    if facts.expires_at? > now {
        return None;
    }
    let action = definition.action(facts.on_expiry?)?;
    let recorded = match definition.track_of(action) {
        TrackKey::Stage => Some(facts.stage),
        TrackKey::Status => facts.status,
    };
    (action.system && recorded.is_some_and(|key| leaves(action, key))).then_some(action)
}

/// The stage as it is for every caller now. Once the limit has passed, that is the one that the system's action leads
/// to, whether or not the action has been recorded yet (mission A4, A5).
pub fn as_of<'d>(definition: &'d Definition, facts: &Facts<'_>, now: DateTime<Utc>) -> &'d Stage {
    Standing::of(definition, facts, now).stage
}

/// The status as it is for every caller now, by the same rule; none without a status track.
pub fn status_as_of<'d>(definition: &'d Definition, facts: &Facts<'_>, now: DateTime<Utc>) -> Option<&'d Stage> {
    Standing::of(definition, facts, now).status
}

/// Where something stands as of now, on each track.
#[derive(Clone, Copy)]
struct Standing<'d> {
    stage: &'d Stage,
    status: Option<&'d Stage>,
}

impl<'d> Standing<'d> {
    fn of(definition: &'d Definition, facts: &Facts<'_>, now: DateTime<Utc>) -> Self {
        let moved = due(definition, facts, now).and_then(|action| definition.stage(action.to.as_ref()?));
        let on = |track| moved.filter(|stage| stage.track == track);
        Self {
            stage: on(TrackKey::Stage).or_else(|| definition.stage(facts.stage)).unwrap_or(&UNKNOWN),
            status: on(TrackKey::Status).or_else(|| facts.status.and_then(|key| definition.stage(key))),
        }
    }

    /// Where it stands on the action's track.
    fn on(self, track: TrackKey) -> &'d Stage {
        match track {
            TrackKey::Stage => self.stage,
            TrackKey::Status => self.status.unwrap_or(&UNKNOWN),
        }
    }
}

/// What [`decide`] and [`available`] ask about, besides the action.
struct Question<'d, 'q> {
    definition: &'d Definition,
    facts: &'q Facts<'q>,
    caller: Caller<'q>,
    standing: Standing<'d>,
    now: DateTime<Utc>,
}

/// What `action` with this form would do, or why it is refused. It is refused, in this order, because there is no such
/// action, because the caller may not, because the record is not active, because the stage doesn't allow it, because of
/// the other track, and because of fields of the form and of the lead: then with all faults at once.
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
    let question = Question::new(definition, facts, caller, now);
    let (action, from) = question.permitted(action)?;
    let mut faults = Vec::new();
    // What the end of a counter brings happened when the limit passed, however late it is recorded.
    let at = if matches!(caller, Caller::System) { facts.expires_at.unwrap_or(now) } else { now };
    let values = if action.system { Vec::new() } else { form::read(action, form, facts.fields, &mut faults) };
    missing(action, facts.fields, Some(&values), &mut faults);
    let mut changes = changes(action, &values, facts, form.prefix, now, at, &mut faults);
    let to = action.to.as_deref().map_or(from, |to| definition.stage(to).unwrap_or(&UNKNOWN));
    if runs_out(definition, facts, to, &changes, now) {
        changes.push(Change::StopCounter);
    }
    if !faults.is_empty() {
        return Err(Refusal::Form { action: action.key.clone(), stage: from.key.clone(), faults });
    }
    Ok(Decision { action: action.key.clone(), from: from.clone(), to: to.clone(), changes, form: values })
}

/// The actions that [`decide`] would not refuse this caller now, but for their forms; in the order of the definition.
pub fn available<'d>(
    definition: &'d Definition,
    facts: &Facts<'_>,
    caller: Caller<'_>,
    now: DateTime<Utc>,
) -> Vec<&'d Action> {
    Question::new(definition, facts, caller, now).available()
}

/// The actions that this caller could take now, were it not for fields of the lead that are still empty; each with
/// their paths. In the order of the definition.
pub fn blocked<'d>(
    definition: &'d Definition,
    facts: &Facts<'_>,
    caller: Caller<'_>,
    now: DateTime<Utc>,
) -> Vec<(&'d Action, Vec<&'d str>)> {
    let question = Question::new(definition, facts, caller, now);
    let open = definition.actions.iter().filter(|action| question.obstacle(action).is_none());
    open.map(|action| (action, lacking(action, facts.fields, None)))
        .filter(|(_, lacking)| !lacking.is_empty())
        .collect()
}

/// A field of an action's form as this record fills it in at first.
pub fn default_of(field: &Field, fields: Fields<'_>) -> Option<String> {
    form::default_text(field, fields)
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
    let question = Question::new(definition, facts, caller, now);
    let stage = question.standing.on(to.track);
    let leads_there = || definition.actions.iter().filter(|action| action.to.as_ref() == Some(&to.key));
    let by_people = || leads_there().filter(|action| !action.system);
    let found = by_people()
        .find(|action| question.obstacle(action).is_none())
        .or_else(|| by_people().find(|action| leaves(action, &stage.key)))
        .or_else(|| by_people().find(|action| lack(caller, action).is_none()))
        .or_else(|| by_people().next());
    found.ok_or_else(|| match leads_there().next() {
        Some(action) => {
            let by_edit = !action.effects.contains(&Effect::StopCounter);
            let (action, stage) = (action.key.clone(), stage.key.clone());
            Refusal::Forbidden { action, stage, lacks: Lack::System { by_edit }, possible: question.ways() }
        }
        None => Refusal::Transition {
            asked: Asked::Stage(to.name.clone()),
            stage: stage.clone(),
            possible: question.ways(),
        },
    })
}

/// Refuses a caller that would name the owner by hand though the workflow has actions for that and it may take none of
/// them, at whatever stage: those rules would not hold otherwise (mission C2, C3).
///
/// # Errors
/// What it lacks for the first of these actions.
pub fn may_name_owner(
    definition: &Definition,
    facts: &Facts<'_>,
    caller: Caller<'_>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let names = |action: &&Action| action.effects.contains(&Effect::SetOwner);
    let of_side = |action: &&Action| action.allow.iter().any(|rule| caller.is_on(rule.side));
    let lacks = || {
        let actions = definition.actions.iter().filter(names).filter(of_side);
        actions.map(|action| Some((action, lack(caller, action)?)))
    };
    match lacks().next().flatten() {
        Some((action, lack)) if lacks().all(|lack| lack.is_some()) => Err(Refusal::Forbidden {
            action: action.key.clone(),
            stage: facts.stage.to_owned(),
            lacks: lack.in_full(caller),
            possible: Question::new(definition, facts, caller, now).ways(),
        }),
        _ => Ok(()),
    }
}

/// What becomes of a change of a field, where the lead stands.
#[derive(Clone, Copy, Debug)]
pub enum Editing<'d> {
    /// It is free.
    Free,
    /// It triggers this action of the system.
    Reviewed(&'d Action),
    /// The field is fixed at this stage.
    Fixed(&'d Stage),
}

/// What becomes of a change of the field of that path by a member of the source, as the definition's rules of fields say.
/// Where several hold, the strictest does. What nobody else works is its own to change.
pub fn editing<'d>(
    definition: &'d Definition,
    facts: &Facts<'_>,
    roles: &[Role],
    path: &str,
    now: DateTime<Utc>,
) -> Editing<'d> {
    // What was typed is a part of the number.
    let path = if path == "customer.contact.phoneAsTyped" { "customer.contact.phone" } else { path };
    let mut editing = Editing::Free;
    if facts.orphaned || definition.field_rules.is_empty() || !lead::is_content(path) {
        return editing;
    }
    let Standing { stage, status } = Standing::of(definition, facts, now);
    for rule in definition.field_rules.iter().filter(|rule| rule.covers(path)) {
        let Some(at) = [Some(stage), status].into_iter().flatten().find(|stage| rule.at.contains(&stage.key)) else {
            continue;
        };
        if rule.except.iter().any(|role| roles.contains(role)) {
            continue;
        }
        match rule.review.as_ref().and_then(|key| definition.action(key)) {
            Some(action) => editing = Editing::Reviewed(action),
            None => return Editing::Fixed(at),
        }
    }
    editing
}

/// The paths of a lead's content that are fixed at the stage that an action leads to, and were not before.
pub fn fixes(definition: &Definition, action: &Action) -> Vec<&'static str> {
    let fixed_at = |stage: &str, path: &str| {
        let rules = &definition.field_rules;
        rules.iter().any(|rule| rule.review.is_none() && rule.covers(path) && rule.at.iter().any(|at| at == stage))
    };
    let Some(to) = &action.to else { return Vec::new() };
    let content = lead::FIELDS.iter().map(|field| field.path).filter(|path| lead::is_content(path));
    content.filter(|path| fixed_at(to, path) && !action.from.iter().all(|from| fixed_at(from, path))).collect()
}

/// The system's action that ends a stage by its limit, where the stage of one track has one: which a limit that is set
/// where no counter runs is for.
pub fn ended_by<'d>(definition: &'d Definition, facts: &Facts<'_>) -> Option<&'d Action> {
    let starts = |action: &Action| {
        let names = |effect: &Effect| matches!(effect, Effect::StartCounter { then, .. } if *then == action.key);
        definition.actions.iter().any(|other| other.effects.iter().any(names))
    };
    let expires = |action: &Action| {
        action.to.as_ref().and_then(|to| definition.stage(to)).is_some_and(|stage| stage.kind == StageKind::Expired)
    };
    let here =
        |action: &Action| leaves(action, facts.stage) || facts.status.is_some_and(|status| leaves(action, status));
    definition.actions.iter().find(|action| action.system && here(action) && expires(action) && starts(action))
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
    Active,
    Stage,
    Locked,
    Guarded(&'d str),
    TooLate(DateKey, &'d TimeLimit),
    NotDue,
}

enum BriefLack<'d> {
    Side(&'d [Rule]),
    Role(&'d [Rule]),
    Owner,
    System { by_edit: bool },
    Person,
}

impl<'d, 'q> Question<'d, 'q> {
    fn new(definition: &'d Definition, facts: &'q Facts<'q>, caller: Caller<'q>, now: DateTime<Utc>) -> Self {
        Self { definition, facts, caller, standing: Standing::of(definition, facts, now), now }
    }

    fn permitted(&self, key: &str) -> Result<(&'d Action, &'d Stage), Refusal> {
        let definition = self.definition;
        let possible = || self.ways();
        let Some(action) = definition.action(key) else {
            let stage = self.standing.stage.key.clone();
            return Err(Refusal::UnknownAction { action: text::excerpt(key), stage, possible: possible() });
        };
        let Some(obstacle) = self.obstacle(action) else {
            if !matches!(self.caller, Caller::System) {
                return Ok((action, self.left_by(action).unwrap_or(&UNKNOWN)));
            }
            // The system leaves the recorded stage; for everybody else it has been left already.
            let track = definition.track_of(action);
            let recorded = match track {
                TrackKey::Stage => Some(self.facts.stage),
                TrackKey::Status => self.facts.status,
            };
            let recorded = recorded.and_then(|key| definition.stage(key));
            return Ok((action, recorded.unwrap_or(self.standing.on(track))));
        };
        let stage = self.standing.on(definition.track_of(action));
        let action = action.key.clone();
        Err(match obstacle {
            Obstacle::Lack(lack) => {
                let (stage, lacks) = (stage.key.clone(), lack.in_full(self.caller));
                Refusal::Forbidden { action, stage, lacks, possible: possible() }
            }
            Obstacle::Inactive => Refusal::Inactive { action, stage: stage.key.clone(), possible: possible() },
            Obstacle::Active => Refusal::Active { action, stage: stage.key.clone(), possible: possible() },
            Obstacle::NotDue => Refusal::NotDue { action, stage: self.facts.stage.to_owned() },
            Obstacle::Locked => {
                let unlocks = definition.actions.iter().filter(|action| action.effects.contains(&Effect::Unlock));
                let mut until: Vec<_> =
                    unlocks.filter_map(|action| Some(definition.stage(action.to.as_ref()?)?.name.clone())).collect();
                until.dedup();
                Refusal::Locked { action, stage: stage.key.clone(), until, possible: possible() }
            }
            Obstacle::Guarded(message) => Refusal::Guarded {
                reason: Reason::GuardFailed,
                action,
                stage: stage.key.clone(),
                message: message.to_owned(),
                possible: possible(),
            },
            Obstacle::TooLate(date, limit) => {
                let message = format!("it was {} longer than {limit} ago.", date.described());
                Refusal::Guarded {
                    reason: Reason::TooLate,
                    action,
                    stage: stage.key.clone(),
                    message,
                    possible: possible(),
                }
            }
            Obstacle::Stage if stage.kind == StageKind::Expired => {
                Refusal::Expired { action, stage: stage.key.clone(), possible: possible() }
            }
            Obstacle::Stage => {
                Refusal::Transition { asked: Asked::Action(action), stage: stage.clone(), possible: possible() }
            }
        })
    }

    /// The one question behind [`available`] and [`decide`].
    fn obstacle(&self, action: &'d Action) -> Option<Obstacle<'d>> {
        if let Some(lack) = lack(self.caller, action) {
            return Some(Obstacle::Lack(lack));
        }
        if matches!(self.caller, Caller::System) {
            // Time passes for a deactivated record too: what everybody sees as expired has to be recorded as such.
            let due = due(self.definition, self.facts, self.now).is_some_and(|due| due.key == action.key);
            return (!due).then_some(Obstacle::NotDue);
        }
        match (self.facts.active, action.effects.contains(&Effect::Activate)) {
            (false, false) => return Some(Obstacle::Inactive),
            (true, true) => return Some(Obstacle::Active),
            _ => {}
        }
        // The earlier receiver's view is on a workflow that the lead would leave.
        if action.goes_on_with().is_some()
            && matches!(self.facts.fields, Fields::Lead(lead) if lead.partnership.is_some())
        {
            return Some(Obstacle::Stage);
        }
        let Some(stage) = self.left_by(action) else { return Some(Obstacle::Stage) };
        let now = self.now;
        let late = action.guards.iter().find_map(|guard| match guard {
            Guard::Within { date, limit } => {
                let open = self.facts.fields.date(*date).is_some_and(|at| limit.after(at) >= now);
                (!open).then_some(Obstacle::TooLate(*date, limit))
            }
            _ => None,
        });
        if late.is_some() {
            return late;
        }
        if stage.track == TrackKey::Stage && self.facts.stage_locked && action.to.is_some() {
            return Some(Obstacle::Locked);
        }
        let other = match stage.track {
            TrackKey::Stage => self.standing.status,
            TrackKey::Status => Some(self.standing.stage),
        };
        action.guards.iter().find_map(|guard| match guard {
            Guard::At { stages, message } => {
                (!other.is_some_and(|stage| stages.contains(&stage.key))).then_some(Obstacle::Guarded(message))
            }
            Guard::Fields { .. } | Guard::Within { .. } => None,
        })
    }

    /// Where it stands now on the action's track, if the action is possible from there. A key means one stage, so that
    /// the track need not be looked up.
    fn left_by(&self, action: &Action) -> Option<&'d Stage> {
        let stands = |from: &String| {
            let Standing { stage, status } = self.standing;
            if *from == stage.key || from == ANY { Some(stage) } else { status.filter(|status| *from == status.key) }
        };
        action.from.iter().find_map(stands).or_else(|| self.taken_back_by(action))
    }

    /// Where a lead stands that its receiver's company has lost with the partnership, for what takes it back or passes it
    /// on: these are possible then from every stage that is no end.
    fn taken_back_by(&self, action: &Action) -> Option<&'d Stage> {
        // Of several that pass it on, the last one does so from later stages.
        let passes_on = |action: &&Action| action.passes_on() && action.goes_on_with().is_none();
        let last = || self.definition.actions.iter().rev().find(passes_on).is_some_and(|last| last.key == action.key);
        if !self.facts.orphaned || !(action.effects.contains(&Effect::EndAssignment) || last()) {
            return None;
        }
        let stage = self.standing.on(self.definition.track_of(action));
        let moves = action.to.as_ref() != Some(&stage.key);
        (!stage.terminal && (moves || action.passes_on())).then_some(stage)
    }

    fn available(&self) -> Vec<&'d Action> {
        let possible = |action: &&Action| self.obstacle(action).is_none();
        let open = |action: &&Action| lacking(action, self.facts.fields, None).is_empty();
        // Most are not possible from here, which is soonest seen. What the system takes is possible from elsewhere.
        let here = |action: &&Action| matches!(self.caller, Caller::System) || self.left_by(action).is_some();
        self.definition.actions.iter().filter(here).filter(possible).filter(open).collect()
    }

    fn ways(&self) -> Vec<Way> {
        let way = |action: &Action| Way {
            action: action.key.clone(),
            to: action.to.as_ref().map(|to| self.definition.stage(to).unwrap_or(&UNKNOWN).name.clone()),
        };
        self.available().into_iter().map(way).collect()
    }
}

/// The paths of the record's fields that the action needs and that are empty; with no form, of what it needs with every
/// form.
fn lacking<'d>(action: &'d Action, fields: Fields<'_>, form: Option<&[(String, FieldValue)]>) -> Vec<&'d str> {
    let mut lacking = Vec::new();
    for guard in &action.guards {
        if let Guard::Fields { fields: paths, when } = guard
            && when.as_ref().is_none_or(|when| form.is_some_and(|form| holds(when, form)))
        {
            lacking.extend(paths.iter().map(String::as_str).filter(|path| fields.read(path).is_none()));
        }
    }
    lacking
}

fn missing(action: &Action, fields: Fields<'_>, form: Option<&[(String, FieldValue)]>, faults: &mut Vec<Fault>) {
    for path in lacking(action, fields, form) {
        let what = if matches!(fields, Fields::Opportunity(_)) { "opportunity" } else { "lead" };
        let message = format!("{} needs the {what}'s {path}: fill it in first.", action.key);
        faults.push(Fault::required(format!("{what}.{path}"), message));
    }
}

/// Whether a condition holds of a form that was read.
fn holds(when: &When, form: &[(String, FieldValue)]) -> bool {
    form.iter().any(|(key, value)| match value {
        FieldValue::Text(text) => *key == when.field && when.one_of.contains(text),
        _ => false,
    })
}

/// What the caller lacks for the action, whatever the stage: the least of what the rules ask for.
fn lack<'d>(caller: Caller<'_>, action: &'d Action) -> Option<BriefLack<'d>> {
    let Caller::Member { roles, owner, .. } = caller else {
        return (!action.system).then_some(BriefLack::Person);
    };
    if action.system {
        return Some(BriefLack::System { by_edit: !action.effects.contains(&Effect::StopCounter) });
    }
    let of_side = || action.allow.iter().filter(|rule| caller.is_on(rule.side));
    if of_side().next().is_none() {
        return Some(BriefLack::Side(&action.allow));
    }
    let mut of_role = of_side().filter(|rule| roles.iter().any(|role| rule.roles.contains(role))).peekable();
    if of_role.peek().is_none() {
        return Some(BriefLack::Role(&action.allow));
    }
    if of_role.any(|rule| owner || !rule.owner_only) { None } else { Some(BriefLack::Owner) }
}

impl Caller<'_> {
    fn is_on(&self, asked: RuleSide) -> bool {
        let Self::Member { side, vendor, moves_stage, .. } = *self else { return false };
        match asked {
            RuleSide::Source => side == Side::Source,
            RuleSide::Receiver => side == Side::Receiver,
            RuleSide::Vendor => vendor == Some(true),
            RuleSide::Partner => vendor == Some(false),
            RuleSide::StageMover => moves_stage,
        }
    }
}

fn leaves(action: &Action, stage: &str) -> bool {
    action.from.iter().any(|from| from == stage || from == ANY)
}

/// Whether the action says nothing of the running counter, which yet has no more meaning: because it has ended, with its
/// action not recorded yet, or because its action is not possible from where this one leads to. Left to run it could
/// end a later stage by a limit that was set for an earlier one.
fn runs_out(definition: &Definition, facts: &Facts<'_>, to: &Stage, changes: &[Change], now: DateTime<Utc>) -> bool {
    let (Some(end), Some(then)) = (facts.expires_at, facts.on_expiry) else { return false };
    let said = |change: &Change| matches!(change, Change::StartCounter(..) | Change::StopCounter);
    if changes.iter().any(said) {
        return false;
    }
    let Some(then) = definition.action(then) else { return true };
    // A counter of the other track goes on, whatever happens on this one.
    end <= now || (definition.track_of(then) == to.track && !leaves(then, &to.key))
}

fn changes(
    action: &Action,
    values: &[(String, FieldValue)],
    facts: &Facts<'_>,
    prefix: &str,
    now: DateTime<Utc>,
    at: DateTime<Utc>,
    faults: &mut Vec<Fault>,
) -> Vec<Change> {
    let value = |key: &str| values.iter().find(|(found, _)| found == key).map(|(_, value)| value);
    let text = |key: &str| match value(key) {
        Some(FieldValue::Text(text) | FieldValue::Id(text)) => Some(text.clone()),
        _ => None,
    };
    let mut changes = Vec::with_capacity(action.effects.len() + 1);
    let mut counts = false;
    for effect in &action.effects {
        match effect {
            Effect::RecordDate { date } => changes.push(Change::Date(*date, at)),
            Effect::StartCounter { limit, then, field } => {
                counts = true;
                let given = |key: &String| value(key).is_some();
                let chooses = field.as_ref().filter(|key| !given(key) && facts.expires_at_override.is_none());
                if let (Some(key), None) = (chooses, facts.limits.of(*limit)) {
                    let message = format!("{key} is needed: the template has no limit to take in its place.");
                    faults.push(Fault::required(format!("{prefix}.{key}"), message));
                }
                let chosen = field.as_ref().and_then(|key| match value(key) {
                    Some(FieldValue::DateTime(end)) => Some((*end, key.as_str())),
                    _ => None,
                });
                changes.push(counter(*limit, then, chosen, facts, prefix, now, faults));
            }
            Effect::StopCounter => changes.push(Change::StopCounter),
            Effect::Archive => changes.push(Change::Archived(true)),
            Effect::Unarchive => changes.push(Change::Archived(false)),
            Effect::KeepReason => changes.push(Change::Reason(text("reason"))),
            Effect::KeepNote => changes.push(Change::Note(text("note"))),
            Effect::KeepCode => changes.push(Change::Code(text("code"))),
            Effect::KeepDuplicate => changes.push(Change::DuplicateOf(text("duplicateOf"))),
            Effect::SetOwner => changes.extend(text("owner").map(Change::Owner)),
            Effect::Unlock => changes.push(Change::Unlock),
            Effect::Lock => changes.push(Change::Lock),
            Effect::Reopen { dates } => changes.push(Change::Reopen(dates.clone())),
            Effect::Activate => changes.push(Change::Active(true)),
            Effect::Deactivate => changes.push(Change::Active(false)),
            Effect::CreateOpportunity { when } => {
                if when.as_ref().is_none_or(|when| holds(when, values)) {
                    changes.push(Change::QualifyOpportunity);
                }
            }
            Effect::CreateTask { side, title, due_in } => {
                let due = due_in.as_ref().map(|limit| limit.after(at));
                changes.push(Change::Task(*side, title.clone(), due));
            }
            Effect::Notify { side, message } => changes.push(Change::Notify(*side, message.clone())),
            Effect::LinkOpportunity => {
                changes.extend(text("opportunityId").map(Change::LinkOpportunity));
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
            Effect::NewAssignment { template } => {
                changes.extend(text("partnershipId").map(|id| Change::NewAssignment(id, template.clone())));
            }
        }
    }
    // A lead that goes on with another template has its limit set there.
    let elsewhere = |change: &Change| matches!(change, Change::NewAssignment(_, Some(_)));
    if facts.expires_at_override.is_some() && !counts && !changes.iter().any(elsewhere) {
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
    chosen: Option<(DateTime<Utc>, &str)>,
    facts: &Facts<'_>,
    prefix: &str,
    now: DateTime<Utc>,
    faults: &mut Vec<Fault>,
) -> Change {
    let template = facts.limits.of(limit);
    let end = match (chosen.or(facts.expires_at_override.map(|end| (end, "expiresAt"))), template) {
        (Some((end, field)), _) => {
            let fault = if end <= now {
                Some(format!("{field} must be in the future."))
            } else if end > latest(now) {
                Some(format!("{field} must be at most ten years from now."))
            } else {
                None
            };
            if let Some(message) = fault {
                faults.push(Fault::invalid(format!("{prefix}.{field}"), message));
            }
            end
        }
        (None, Some(limit)) => limit.after(now),
        (None, None) => return Change::StopCounter,
    };
    Change::StartCounter(end, then.to_owned())
}

impl BriefLack<'_> {
    fn in_full(&self, caller: Caller<'_>) -> Lack {
        match self {
            Self::Side(rules) => {
                let mut sides = Vec::new();
                for rule in *rules {
                    if !sides.contains(&rule.side) {
                        sides.push(rule.side);
                    }
                }
                Lack::Side(sides)
            }
            Self::Role(rules) => {
                let asked = |role: &Role| rules.iter().any(|rule| caller.is_on(rule.side) && rule.roles.contains(role));
                Lack::Role(Role::ALL.into_iter().filter(asked).collect())
            }
            Self::Owner => Lack::Owner,
            Self::System { by_edit } => Lack::System { by_edit: *by_edit },
            Self::Person => Lack::Person,
        }
    }
}

fn instead(possible: &[Way]) -> String {
    if possible.is_empty() {
        return "There is nothing you can do at this stage.".to_owned();
    }
    let mut text = "Possible for you now: ".to_owned();
    for (i, way) in possible.iter().enumerate() {
        let _ = write!(text, "{}{}", if i > 0 { ", " } else { "" }, way.action);
        if let Some(to) = &way.to {
            let _ = write!(text, " (to {to})");
        }
    }
    text.push('.');
    text
}

impl RuleSide {
    const fn described(self) -> &'static str {
        match self {
            Self::Source => "the company that the lead comes from",
            Self::Receiver => "the company that received the lead",
            Self::Vendor => "the vendor",
            Self::Partner => "the partner",
            Self::StageMover => "the company that the partnership's setting stageMovedBy names",
        }
    }
}

impl Lack {
    const fn reason(&self) -> Reason {
        match self {
            Self::Side(_) => Reason::OtherSide,
            Self::Role(_) => Reason::RoleRequired,
            Self::Owner => Reason::OwnerOnly,
            Self::System { .. } => Reason::SystemOnly,
            Self::Person => Reason::PersonOnly,
        }
    }

    fn message(&self, action: &str) -> String {
        match self {
            Self::Side(sides) => {
                let sides = form::list(sides.iter().map(|side| side.described()), "or");
                format!("{action} is for members of {sides}.")
            }
            Self::Role(roles) => {
                let roles = form::list(roles.iter().map(|role| role.as_str()), "or");
                format!("{action} needs the role {roles}.")
            }
            Self::Owner => format!("{action} is for the owner alone."),
            Self::System { by_edit: false } => {
                format!("Nobody can take {action}: the system takes it when the limit passes.")
            }
            Self::System { by_edit: true } => {
                format!("Nobody can take {action}: the system takes it when what was agreed is changed.")
            }
            Self::Person => format!("{action} is a person's decision, not the system's."),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let fault = match refusal {
            Refusal::UnknownAction { action, stage, possible } => {
                let message = format!("There is no action \"{action}\" in this workflow. {}", instead(&possible));
                Fault::because(Reason::UnknownAction, message).action(action).stage(stage)
            }
            Refusal::Forbidden { action, stage, lacks, possible } => {
                let message = format!("{} {}", lacks.message(&action), instead(&possible));
                Fault::because(lacks.reason(), message).action(action).stage(stage)
            }
            Refusal::Inactive { action, stage, possible } => {
                let message =
                    format!("It is deactivated and read-only until it is activated again. {}", instead(&possible));
                Fault::new(ErrorCode::LeadInactive, message).action(action).stage(stage)
            }
            Refusal::Active { action, stage, possible } => {
                let message = format!("It is active already. {}", instead(&possible));
                Fault::because(Reason::AlreadyActive, message).action(action).stage(stage)
            }
            Refusal::Locked { action, stage, until, possible } => {
                let until = form::list(until.iter().map(String::as_str), "or");
                let message = format!(
                    "{action} is not possible yet: the stage is locked until the status is {until}. {}",
                    instead(&possible)
                );
                Fault::because(Reason::StageLocked, message).action(action).stage(stage)
            }
            Refusal::Guarded { reason, action, stage, message, possible } => {
                let message = format!("{action} is not possible: {message} {}", instead(&possible));
                Fault::because(reason, message).action(action).stage(stage)
            }
            Refusal::Expired { action, stage, possible } => {
                let message =
                    format!("{action} is not possible any more: the time limit has passed. {}", instead(&possible));
                Fault::new(ErrorCode::LeadExpired, message).action(action).stage(stage)
            }
            Refusal::Transition { asked, stage, possible } => {
                let (what, action) = match asked {
                    Asked::Action(action) => (format!("{action} is not possible"), Some(action)),
                    Asked::Stage(to) => (format!("No action leads to {to}"), None),
                };
                let message = format!("{what} at the stage {}. {}", stage.name, instead(&possible));
                Fault { action: action.map(Into::into), ..Fault::because(Reason::WrongStage, message).stage(stage.key) }
            }
            Refusal::NotDue { action, stage } => {
                Fault::because(Reason::NotDue, "The time limit has not passed.").action(action).stage(stage)
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
pub(super) mod tests;
