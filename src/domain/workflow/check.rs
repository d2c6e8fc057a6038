//! Whether a definition is sound. What is not is told all at once, each fault with its place.

use std::collections::HashSet;

use super::{
    definition::{
        ANY, Action, Choice, DateKey, Definition, Effect, Field, FieldRule, FieldType, Guard, RuleSide, Subject,
        TrackKey, When, covers,
    },
    engine::alike,
};
use crate::domain::{
    actor::Role,
    duration::{parse_day, parse_moment},
    lead,
    money::parse_decimal,
    opportunity,
    text::{LINE, LONG, Rules},
};

/// One thing that is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionFault {
    /// Where it is: a JSON pointer (RFC 6901) into the definition, such as `/actions/2/to`.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// The most faults that are told of one definition.
pub const MAX_FAULTS: usize = 500;

/// The most stages, and the most actions: more is a mistake, and a decision looks at each of them.
pub(super) const MAX_STAGES: usize = 50;
pub(super) const MAX_ACTIONS: usize = 100;
/// The most fields of a form, the most groups of them, and the most options of a choice.
pub(super) const MAX_FIELDS: usize = 50;
pub(super) const MAX_GROUPS: usize = 20;
pub(super) const MAX_OPTIONS: usize = 100;
/// The most rules, guards and effects of an action.
pub(super) const MAX_RULES: usize = 20;
pub(super) const MAX_GUARDS: usize = 20;
pub(super) const MAX_EFFECTS: usize = 50;
/// The most rules of fields of a definition.
pub(super) const MAX_FIELD_RULES: usize = 50;
/// The longest key and the longest name.
const MAX_KEY: usize = 50;
pub(super) const NAME: Rules = Rules::line(100);
/// The longest text that explains something.
pub(super) const TEXT: Rules = Rules::lines(1_000);
/// The longest title of a task.
pub(super) const TITLE: Rules = Rules::line(200);
/// What an opportunity that an action creates takes from its form, besides the name.
const OPPORTUNITY: &[(&str, FieldType)] = &[
    ("responsible", FieldType::Member),
    ("city", FieldType::Text),
    ("currentSituation", FieldType::LongText),
    ("estimatedRevenue", FieldType::Money),
    ("estimatedCloseDate", FieldType::Date),
    ("sellingDirection", FieldType::Text),
    ("originatingLead", FieldType::Lead),
    ("description", FieldType::LongText),
];

/// Every fault of a definition. One without any can be stored and decided on.
///
/// # Errors
/// The faults, in the order of the definition.
pub fn check(definition: &Definition) -> Result<(), Vec<DefinitionFault>> {
    let mut check = Check { definition, faults: Faults::default() };
    check.head();
    check.limit("/stages", definition.stages.len(), MAX_STAGES, "stages");
    check.limit("/actions", definition.actions.len(), MAX_ACTIONS, "actions");
    // What is too long is not looked at any further: that would take long too.
    if definition.stages.len() <= MAX_STAGES && definition.actions.len() <= MAX_ACTIONS {
        check.tracks();
        check.stages();
        check.reach();
        for (i, action) in definition.actions.iter().enumerate() {
            check.action(&format!("/actions/{i}"), i, action);
        }
        check.limit("/fieldRules", definition.field_rules.len(), MAX_FIELD_RULES, "rules of fields");
        for (i, rule) in definition.field_rules.iter().enumerate() {
            check.field_rule(&format!("/fieldRules/{i}"), rule);
        }
    }
    if check.faults.is_empty() { Ok(()) } else { Err(check.faults.into_list()) }
}

/// Faults, and how many more there are than are told.
#[derive(Default)]
pub(super) struct Faults {
    list: Vec<DefinitionFault>,
    more: usize,
}

impl Faults {
    pub(super) fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.list.len() < MAX_FAULTS {
            self.list.push(DefinitionFault { pointer: pointer.into(), message: message.into() });
        } else {
            self.more += 1;
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The faults; where some were left out, the last one says so.
    pub(super) fn into_list(mut self) -> Vec<DefinitionFault> {
        if self.more > 0 {
            self.list.pop();
            let message = format!("There are {} more faults, which are not listed.", self.more + 1);
            self.list.push(DefinitionFault { pointer: String::new(), message });
        }
        self.list
    }
}

struct Check<'a> {
    definition: &'a Definition,
    faults: Faults,
}

/// What a key is made of.
#[derive(Clone, Copy)]
pub(super) enum Syntax {
    /// `partner-lead`
    Workflow,
    /// `closed_converted`
    Snake,
    /// `partnershipId`
    Camel,
    /// `NOT_ENOUGH`
    Upper,
}

impl Syntax {
    /// The same as a regular expression of ECMA-262, without anchors.
    pub(super) fn pattern(self) -> String {
        let (first, rest) = match self {
            Self::Workflow => ("a-z", "a-z0-9-"),
            Self::Snake => ("a-z", "a-z0-9_"),
            Self::Camel => ("a-z", "a-zA-Z0-9"),
            Self::Upper => ("A-Z", "A-Z0-9_"),
        };
        format!("[{first}][{rest}]{{0,{}}}", MAX_KEY - 1)
    }
}

impl Check<'_> {
    fn fault(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.faults.add(pointer, message);
    }

    fn key(&mut self, pointer: &str, key: &str, syntax: Syntax) {
        let (rest, said): (fn(char) -> bool, _) = match syntax {
            Syntax::Workflow => (
                |c| matches!(c, 'a'..='z' | '0'..='9' | '-'),
                "a letter from a to z, then such letters, digits and '-'",
            ),
            Syntax::Snake => (
                |c| matches!(c, 'a'..='z' | '0'..='9' | '_'),
                "a letter from a to z, then such letters, digits and '_'",
            ),
            Syntax::Camel => (|c| c.is_ascii_alphanumeric(), "a letter from a to z, then letters and digits"),
            Syntax::Upper => (
                |c| matches!(c, 'A'..='Z' | '0'..='9' | '_'),
                "a letter from A to Z, then such letters, digits and '_'",
            ),
        };
        let upper = matches!(syntax, Syntax::Upper);
        let first = |c: char| if upper { c.is_ascii_uppercase() } else { c.is_ascii_lowercase() };
        let fits = key.starts_with(first) && key.chars().all(rest) && key.len() <= MAX_KEY;
        if !fits {
            self.fault(pointer, format!("A key is {said}, at most {MAX_KEY} in all."));
        }
    }

    fn name(&mut self, pointer: &str, name: &str) {
        match NAME.clean(name) {
            Ok(Some(clean)) if clean == name => {}
            Ok(Some(_)) => self.fault(pointer, "A name has no blanks at its ends."),
            Ok(None) => self.fault(pointer, "A name is needed."),
            Err(message) => self.fault(pointer, format!("A name {message}.")),
        }
    }

    fn limit(&mut self, pointer: &str, count: usize, max: usize, what: &str) {
        if count > max {
            self.fault(pointer, format!("There are {count} {what}; at most {max} are allowed."));
        }
    }

    fn head(&mut self) {
        let definition = self.definition;
        self.key("/key", &definition.key, Syntax::Workflow);
        if definition.version < 1 {
            self.fault("/version", "A version counts from 1.");
        }
        self.name("/name", &definition.name);
        if let Some(text) = &definition.description {
            self.text("/description", text);
        }
        if definition.direction.is_some() && definition.subject != Subject::Lead {
            self.fault("/direction", "Only leads are shared in a direction.");
        }
    }

    fn tracks(&mut self) {
        let definition = self.definition;
        if definition.track(TrackKey::Stage).is_none() {
            self.fault("/tracks", "The track STAGE is needed.");
        }
        for (i, track) in definition.tracks.iter().enumerate() {
            let at = format!("/tracks/{i}");
            if definition.tracks[..i].iter().any(|earlier| earlier.key == track.key) {
                self.fault(format!("{at}/key"), format!("The track {} is listed twice.", track.key.as_str()));
            }
            if track.key == TrackKey::Status && definition.subject != Subject::Lead {
                self.fault(format!("{at}/key"), "Only a lead has the track STATUS.");
            }
            match definition.stage(&track.initial) {
                None => self.fault(format!("{at}/initial"), unknown_stage(&track.initial)),
                Some(stage) if stage.track != track.key => {
                    let message = format!("The stage \"{}\" is on the track {}.", stage.key, stage.track.as_str());
                    self.fault(format!("{at}/initial"), message);
                }
                Some(stage) if stage.terminal => {
                    self.fault(format!("{at}/initial"), "The first stage must not be an end.");
                }
                Some(_) => {}
            }
            let unlocks = definition.actions.iter().any(|action| action.effects.contains(&Effect::Unlock));
            if track.locked && track.key != TrackKey::Stage {
                self.fault(format!("{at}/locked"), "Only the track STAGE can be locked.");
            } else if track.locked && !unlocks {
                self.fault(format!("{at}/locked"), "Nothing unlocks this track: an action with UNLOCK is needed.");
            }
        }
    }

    fn text(&mut self, pointer: &str, text: &str) {
        match TEXT.clean(text) {
            Ok(Some(_)) => {}
            Ok(None) => self.fault(pointer, "A text is needed, or nothing at all."),
            Err(message) => self.fault(pointer, format!("The text {message}.")),
        }
    }

    fn stages(&mut self) {
        let stages = &self.definition.stages;
        for (i, stage) in stages.iter().enumerate() {
            self.key(&format!("/stages/{i}/key"), &stage.key, Syntax::Snake);
            self.name(&format!("/stages/{i}/name"), &stage.name);
            if !stage.name.chars().any(char::is_alphanumeric) {
                self.fault(format!("/stages/{i}/name"), "A stage's name needs a letter or a digit.");
            }
            for earlier in &stages[..i] {
                if earlier.key == stage.key {
                    self.fault(format!("/stages/{i}/key"), format!("There is another stage \"{}\".", stage.key));
                } else if [&stage.key, &stage.name]
                    .into_iter()
                    .any(|text| alike(text, &earlier.key) || alike(text, &earlier.name))
                {
                    // A caller may name a stage by key or name, and only letters and digits count then.
                    let message = format!("This stage can't be told apart from \"{}\" by key and name.", earlier.key);
                    self.fault(format!("/stages/{i}"), message);
                }
            }
            if self.definition.track(stage.track).is_none() {
                let message = format!("There is no track {}.", stage.track.as_str());
                self.fault(format!("/stages/{i}/track"), message);
            }
            let leads_on = self
                .definition
                .actions
                .iter()
                .any(|action| action.from.contains(&stage.key) && (action.to.is_some() || action.passes_on()));
            if !stage.terminal && !leads_on && !stage.reserved {
                let message = "Nothing leads on from this stage: mark it as terminal, or add an action.";
                self.fault(format!("/stages/{i}"), message);
            }
        }
    }

    fn reach(&mut self) {
        let definition = self.definition;
        let mut reached: HashSet<&str> = definition.tracks.iter().map(|track| track.initial.as_str()).collect();
        loop {
            let before = reached.len();
            for action in &definition.actions {
                if let Some(to) = &action.to
                    && action.from.iter().any(|from| reached.contains(from.as_str()))
                {
                    reached.insert(to);
                }
            }
            if reached.len() == before {
                break;
            }
        }
        for (i, stage) in definition.stages.iter().enumerate() {
            match (reached.contains(stage.key.as_str()), stage.reserved) {
                (false, false) => {
                    let initial = definition.track(stage.track).map_or("", |track| &track.initial);
                    let message = format!("No way leads from \"{initial}\" to this stage.");
                    self.fault(format!("/stages/{i}"), message);
                }
                (true, true) => {
                    self.fault(format!("/stages/{i}/reserved"), "A way leads to this stage: it is not reserved.");
                }
                _ => {}
            }
        }
    }

    fn action(&mut self, at: &str, i: usize, action: &Action) {
        let definition = self.definition;
        self.key(&format!("{at}/key"), &action.key, Syntax::Snake);
        self.name(&format!("{at}/name"), &action.name);
        if definition.actions[..i].iter().any(|earlier| earlier.key == action.key) {
            self.fault(format!("{at}/key"), format!("There is another action \"{}\".", action.key));
        }
        self.from(at, action);
        if let Some(help) = &action.help {
            self.text(&format!("{at}/help"), help);
        }
        if let Some(to) = &action.to
            && definition.stage(to).is_none()
        {
            self.fault(format!("{at}/to"), unknown_stage(to));
        }
        self.rules(at, action);
        self.limit(&format!("{at}/fields"), action.fields.len(), MAX_FIELDS, "fields");
        for (j, field) in action.fields.iter().enumerate() {
            if action.fields[..j].iter().any(|earlier| earlier.key == field.key) {
                self.fault(format!("{at}/fields/{j}/key"), format!("There is another field \"{}\".", field.key));
            }
            self.field(&format!("{at}/fields/{j}"), action, field);
        }
        for (j, group) in action.exactly_one_of.iter().enumerate() {
            self.group(&format!("{at}/exactlyOneOf/{j}"), action, group);
        }
        for (j, guard) in action.guards.iter().enumerate() {
            self.guard(&format!("{at}/guards/{j}"), action, guard);
        }
        for (j, effect) in action.effects.iter().enumerate() {
            self.effect(&format!("{at}/effects/{j}"), action, j, effect);
        }
    }

    fn from(&mut self, at: &str, action: &Action) {
        if action.from.is_empty() {
            self.fault(format!("{at}/from"), "An action needs a stage that it is possible from.");
        }
        for (j, from) in action.from.iter().enumerate() {
            let at = format!("{at}/from/{j}");
            if action.from[..j].contains(from) {
                self.fault(at.as_str(), format!("The stage \"{from}\" is listed twice."));
            }
            if from == ANY {
                if action.from.len() > 1 {
                    self.fault(at, "\"*\" is any stage: it stands alone.");
                } else if action.to.is_some() || action.system {
                    self.fault(at, "Only a person's action that leads nowhere is possible from any stage.");
                }
                continue;
            }
            let track = self.definition.track_of(action);
            match self.definition.stage(from) {
                None => self.fault(at, unknown_stage(from)),
                Some(stage) if stage.terminal && action.to.is_some() && !action.passes_on() && !action.reopens() => {
                    let message =
                        format!("\"{from}\" is an end: only an action with NEW_ASSIGNMENT or REOPEN leads on from it.");
                    self.fault(at, message);
                }
                Some(stage) if stage.track != track => {
                    let message =
                        format!("\"{from}\" is on the track {}, the action on the other.", stage.track.as_str());
                    self.fault(at, message);
                }
                Some(_) => {}
            }
        }
    }

    /// A condition on the action's own form.
    fn when(&mut self, at: &str, action: &Action, when: &When) {
        let field = action.fields.iter().find(|field| field.key == when.field);
        let Some(options) = field.and_then(|field| field.options.as_ref()) else {
            self.fault(format!("{at}/field"), format!("The action has no CHOICE \"{}\".", when.field));
            return;
        };
        if when.one_of.is_empty() {
            self.fault(format!("{at}/oneOf"), "An option is needed.");
        }
        for (j, value) in when.one_of.iter().enumerate() {
            if !options.iter().any(|option| option.value == *value) {
                self.fault(format!("{at}/oneOf/{j}"), format!("\"{}\" has no option \"{value}\".", when.field));
            }
        }
    }

    /// The type of a field of the record that the workflow is for.
    fn kind_of(&self, path: &str) -> Option<FieldType> {
        match self.definition.subject {
            Subject::Lead => lead::field_at(path).map(|field| field.kind),
            Subject::Opportunity => opportunity::field_at(path).map(|field| field.kind),
        }
    }

    fn unknown_path(&self, path: &str) -> String {
        let paths: Vec<_> = match self.definition.subject {
            Subject::Lead => lead::FIELDS.iter().map(|field| field.path).collect(),
            Subject::Opportunity => opportunity::FIELDS.iter().map(|field| field.path).collect(),
        };
        format!("There is no field \"{path}\"; there are {}.", paths.join(", "))
    }

    fn guard(&mut self, at: &str, action: &Action, guard: &Guard) {
        if action.system {
            self.fault(at, "Time passes whatever the lead is like: a system action has no guards.");
        }
        match guard {
            Guard::Fields { fields, when } => {
                if fields.is_empty() {
                    self.fault(format!("{at}/fields"), "A field is needed.");
                }
                for (j, path) in fields.iter().enumerate() {
                    if self.kind_of(path).is_none() {
                        self.fault(format!("{at}/fields/{j}"), self.unknown_path(path));
                    }
                }
                if let Some(when) = when {
                    self.when(&format!("{at}/when"), action, when);
                }
            }
            Guard::Within { date, .. } => {
                if self.definition.subject == Subject::Opportunity && *date != DateKey::Closed {
                    self.fault(format!("{at}/date"), "An opportunity has the date CLOSED alone.");
                }
            }
            Guard::At { stages, message } => {
                self.text(&format!("{at}/message"), message);
                if stages.is_empty() {
                    self.fault(format!("{at}/stages"), "A stage is needed.");
                }
                let own = self.definition.track_of(action);
                for (j, key) in stages.iter().enumerate() {
                    let at = format!("{at}/stages/{j}");
                    match self.definition.stage(key) {
                        None => self.fault(at, unknown_stage(key)),
                        Some(stage) if stage.track == own => {
                            self.fault(at, format!("\"{key}\" is on the action's own track: name it in \"from\"."));
                        }
                        Some(_) => {}
                    }
                }
            }
        }
    }

    fn field_rule(&mut self, at: &str, rule: &FieldRule) {
        let definition = self.definition;
        if definition.subject != Subject::Lead {
            self.fault(at, "Only a lead has a source that changes it, and so rules of fields.");
        }
        let review = rule.review.as_ref().map(|key| definition.action(key));
        match review {
            Some(None) => self.fault(format!("{at}/review"), "There is no such action."),
            Some(Some(action)) if !action.system => {
                self.fault(
                    format!("{at}/review"),
                    "A change triggers an action of the system: \"system\" has to be true.",
                );
            }
            _ => {}
        }
        if rule.at.is_empty() {
            self.fault(format!("{at}/at"), "A stage is needed.");
        }
        for (j, key) in rule.at.iter().enumerate() {
            let at = format!("{at}/at/{j}");
            if rule.at[..j].contains(key) {
                self.fault(at.as_str(), format!("The stage \"{key}\" is listed twice."));
            }
            match (definition.stage(key), review.flatten()) {
                (None, _) => self.fault(at, unknown_stage(key)),
                (Some(_), Some(action)) if !action.from.contains(key) => {
                    self.fault(at, format!("\"{}\" is not possible from \"{key}\".", action.key));
                }
                _ => {}
            }
        }
        if rule.fields.is_empty() {
            self.fault(format!("{at}/fields"), "A field is needed.");
        }
        let content = || lead::FIELDS.iter().map(|field| field.path).filter(|path| lead::is_content(path));
        for (j, field) in rule.fields.iter().enumerate() {
            let at = format!("{at}/fields/{j}");
            if rule.fields[..j].contains(field) {
                self.fault(at.as_str(), format!("The field \"{field}\" is listed twice."));
            }
            if !content().any(|path| covers(field, path)) {
                let paths: Vec<_> = content().collect();
                let message = format!(
                    "A lead's content has no field \"{field}\"; it is customer, {}, or \"*\".",
                    paths.join(", ")
                );
                self.fault(at, message);
            }
        }
        for (j, role) in rule.except.iter().enumerate() {
            let at = format!("{at}/except/{j}");
            if rule.except[..j].contains(role) {
                self.fault(at, "The role is listed twice.");
            } else if *role == Role::Viewer {
                self.fault(at, "VIEWER reads only.");
            }
        }
    }

    fn rules(&mut self, at: &str, action: &Action) {
        if action.system {
            if !action.allow.is_empty() {
                self.fault(format!("{at}/allow"), "Nobody but the system takes a system action: it has no rules.");
            }
            if !action.fields.is_empty() {
                self.fault(format!("{at}/fields"), "Nobody fills in a form for a system action: it has no fields.");
            }
            let starts = |effect: &Effect| matches!(effect, Effect::StartCounter { then, .. } if *then == action.key);
            let counted = self.definition.actions.iter().any(|other| other.effects.iter().any(starts));
            let reviews = |rule: &FieldRule| rule.review.as_ref() == Some(&action.key);
            if !counted && !self.definition.field_rules.iter().any(reviews) {
                let message = "Nothing triggers this system action: a START_COUNTER has to name it in \"then\", or a rule \
                               of fieldRules in \"review\".";
                self.fault(at, message);
            }
            if counted && !action.effects.contains(&Effect::StopCounter) {
                // Else the counter that has ended would trigger the action again and again.
                self.fault(format!("{at}/effects"), "A system action has to stop its counter: STOP_COUNTER.");
            }
        } else if action.allow.is_empty() {
            self.fault(format!("{at}/allow"), "An action needs a rule that says who may use it.");
        }
        for (j, rule) in action.allow.iter().enumerate() {
            let of_source = action.passes_on() || action.effects.contains(&Effect::EndAssignment);
            if of_source && rule.side != RuleSide::Source {
                self.fault(format!("{at}/allow/{j}/side"), "Only the SOURCE passes a lead on or takes it back.");
            }
            let of_partnership = matches!(rule.side, RuleSide::Vendor | RuleSide::Partner | RuleSide::StageMover);
            if of_partnership && self.definition.subject == Subject::Opportunity {
                let message =
                    "An opportunity is in no partnership: its sides are RECEIVER, which works it, and SOURCE.";
                self.fault(format!("{at}/allow/{j}/side"), message);
            }
            let at = format!("{at}/allow/{j}/roles");
            if rule.roles.is_empty() {
                self.fault(at.as_str(), "A rule needs a role.");
            }
            for (k, role) in rule.roles.iter().enumerate() {
                let at = format!("{at}/{k}");
                let passes_on = rule.side == RuleSide::Source && action.passes_on();
                match role {
                    Role::Viewer => self.fault(at, "VIEWER reads only."),
                    Role::Integration if !passes_on => {
                        self.fault(at, "INTEGRATION decides nothing: it may only pass leads on (NEW_ASSIGNMENT).");
                    }
                    role if rule.roles[..k].contains(role) => self.fault(at, "The role is listed twice."),
                    _ => {}
                }
            }
        }
    }

    fn field(&mut self, at: &str, action: &Action, field: &Field) {
        self.key(&format!("{at}/key"), &field.key, Syntax::Camel);
        self.name(&format!("{at}/label"), &field.label);
        if let Some(help) = &field.help {
            self.text(&format!("{at}/help"), help);
        }
        if let Some(when) = &field.required_when {
            self.when(&format!("{at}/requiredWhen"), action, when);
            if field.required {
                self.fault(format!("{at}/requiredWhen"), "This field is required always.");
            }
        }
        if let Some(path) = &field.default_from {
            let text = |kind| matches!(kind, FieldType::Text | FieldType::LongText);
            match self.kind_of(path) {
                None => self.fault(format!("{at}/defaultFrom"), self.unknown_path(path)),
                Some(kind) if kind == field.kind || (text(kind) && text(field.kind)) => {}
                Some(kind) => {
                    let message = format!("\"{path}\" is a {}, this field a {}.", kind.as_str(), field.kind.as_str());
                    self.fault(format!("{at}/defaultFrom"), message);
                }
            }
        }
        if field.read_only && field.default.is_none() && field.default_from.is_none() {
            self.fault(format!("{at}/readOnly"), "What can't be filled in needs a default.");
        }
        match (&field.options, field.kind) {
            (None, FieldType::Choice) => self.fault(at, "A CHOICE needs its options."),
            (Some(options), FieldType::Choice) => {
                if options.is_empty() {
                    self.fault(format!("{at}/options"), "A CHOICE needs its options.");
                }
                self.limit(&format!("{at}/options"), options.len(), MAX_OPTIONS, "options");
                for (j, Choice { value, label }) in options.iter().enumerate() {
                    self.key(&format!("{at}/options/{j}/value"), value, Syntax::Upper);
                    self.name(&format!("{at}/options/{j}/label"), label);
                    if options[..j].iter().any(|earlier| earlier.value == *value) {
                        let at = format!("{at}/options/{j}/value");
                        self.fault(at, format!("The option \"{value}\" is listed twice."));
                    }
                }
            }
            (Some(_), _) => self.fault(format!("{at}/options"), "Only a CHOICE has options."),
            (None, _) => {}
        }
        if let Some(default) = &field.default
            && !fits(field, default)
        {
            self.fault(format!("{at}/default"), "The default is no value of this field's type.");
        }
    }

    fn group(&mut self, at: &str, action: &Action, group: &[String]) {
        if group.len() < 2 {
            self.fault(at, "A group needs two fields or more, of which exactly one is given.");
        }
        for (j, key) in group.iter().enumerate() {
            let at = format!("{at}/{j}");
            if group[..j].contains(key) {
                self.fault(at.as_str(), format!("The field \"{key}\" is listed twice."));
            }
            match action.fields.iter().find(|field| field.key == *key) {
                None => self.fault(at, format!("The action has no field \"{key}\".")),
                Some(field) if field.required || field.required_when.is_some() => {
                    self.fault(at, format!("\"{key}\" is required, so it can't be one of several."));
                }
                Some(field) if field.default.is_some() || field.default_from.is_some() => {
                    self.fault(at, format!("\"{key}\" is filled in by itself, so it can't be one of several."));
                }
                Some(_) => {}
            }
        }
    }

    fn effect(&mut self, at: &str, action: &Action, j: usize, effect: &Effect) {
        let subject = self.definition.subject;
        let earlier = &action.effects[..j];
        if earlier.contains(effect) {
            self.fault(at, "This effect is listed twice.");
        }
        if earlier.iter().any(|other| contradict(other, effect)) {
            self.fault(at, "This effect contradicts an earlier one.");
        }
        let only = match effect {
            Effect::KeepReason | Effect::Reopen { .. } => subject,
            Effect::KeepDeal => Subject::Opportunity,
            _ => Subject::Lead,
        };
        if subject != only {
            let what = if only == Subject::Lead { "a lead" } else { "an opportunity" };
            self.fault(at, format!("Only a workflow for {what} can have this effect."));
        }
        let field = |key: &str, kinds: &[FieldType]| field(action, key, kinds);
        match effect {
            Effect::KeepReason if field("reason", &[FieldType::Text, FieldType::LongText]).is_none() => {
                self.fault(at, "KEEP_REASON needs a field \"reason\" of type TEXT or LONG_TEXT.");
            }
            Effect::KeepNote if field("note", &[FieldType::Text, FieldType::LongText]).is_none() => {
                self.fault(at, "KEEP_NOTE needs a field \"note\" of type TEXT or LONG_TEXT.");
            }
            Effect::KeepCode if field("code", &[FieldType::Choice]).is_none() => {
                self.fault(at, "KEEP_CODE needs a field \"code\" of type CHOICE.");
            }
            Effect::KeepDuplicate if field("duplicateOf", &[FieldType::Lead]).is_none() => {
                self.fault(at, "KEEP_DUPLICATE needs a field \"duplicateOf\" of type LEAD.");
            }
            Effect::SetOwner if field("owner", &[FieldType::Member]).is_none_or(|field| !field.required) => {
                self.fault(at, "SET_OWNER needs a required field \"owner\" of type MEMBER.");
            }
            Effect::Unlock => {
                if !self.definition.track(TrackKey::Stage).is_some_and(|track| track.locked) {
                    self.fault(at, "There is nothing to unlock: the track STAGE is not locked.");
                }
                if self.definition.track_of(action) != TrackKey::Status {
                    self.fault(at, "An action of the track STATUS unlocks the other one.");
                }
            }
            Effect::Lock => {
                if !self.definition.track(TrackKey::Stage).is_some_and(|track| track.locked) {
                    self.fault(at, "There is nothing to lock: the track STAGE is not locked at first.");
                }
                if self.definition.track_of(action) != TrackKey::Status {
                    self.fault(at, "An action of the track STATUS locks the other one.");
                }
            }
            Effect::Reopen { dates } => self.reopening(at, action, dates),
            Effect::Activate | Effect::Deactivate if action.to.is_some() => {
                self.fault(at, "An action that activates or deactivates leads nowhere: it has no \"to\".");
            }
            Effect::CreateOpportunity { when } => self.creation(at, action, when.as_ref()),
            Effect::CreateTask { title, .. } => self.line(&format!("{at}/title"), title),
            Effect::Notify { message, .. } => self.text(&format!("{at}/message"), message),
            Effect::NewAssignment { template } => self.passing(at, action, template.as_deref()),
            Effect::KeepDeal
                if field("value", &[FieldType::Money]).or(field("closeDate", &[FieldType::Date])).is_none() =>
            {
                self.fault(at, "KEEP_DEAL needs a field \"value\" of type MONEY, or \"closeDate\" of type DATE.");
            }
            Effect::LinkOpportunity => {
                let both = field("opportunityId", &[FieldType::Opportunity]).is_some()
                    && field("opportunity", &[FieldType::OpportunityForm]).is_some();
                let one = |group: &Vec<String>| {
                    group.iter().any(|key| key == "opportunityId") && group.iter().any(|key| key == "opportunity")
                };
                if !both || !action.exactly_one_of.iter().any(one) {
                    self.fault(
                        at,
                        "LINK_OPPORTUNITY needs the fields \"opportunityId\" of type OPPORTUNITY and \"opportunity\" of \
                         type OPPORTUNITY_FORM, and both in one group of exactlyOneOf.",
                    );
                }
            }
            Effect::StartCounter { then, field: end, .. } => {
                if let Some(key) = end
                    && field(key, &[FieldType::DateTime]).is_none()
                {
                    self.fault(format!("{at}/field"), format!("The action has no field \"{key}\" of type DATE_TIME."));
                }
                self.counter(at, action, then);
            }
            _ => {}
        }
    }

    fn reopening(&mut self, at: &str, action: &Action, dates: &[DateKey]) {
        let definition = self.definition;
        match action.to.as_ref().and_then(|to| definition.stage(to)) {
            Some(to) if !to.terminal => {}
            _ => self.fault(at, "REOPEN leads back to a stage that is no end: \"to\" is needed."),
        }
        let from_end = action.from.iter().filter_map(|from| definition.stage(from)).any(|stage| stage.terminal);
        if from_end && !action.guards.iter().any(|guard| matches!(guard, Guard::Within { .. })) {
            self.fault(at, "An end is taken back for a while only: a guard WITHIN is needed.");
        }
        for (j, date) in dates.iter().enumerate() {
            let at = format!("{at}/dates/{j}");
            if dates[..j].contains(date) {
                self.fault(at, "The date is listed twice.");
            } else if definition.subject == Subject::Opportunity {
                self.fault(at, "The date of an opportunity's end is cleared by itself.");
            }
        }
    }

    fn creation(&mut self, at: &str, action: &Action, when: Option<&When>) {
        match field(action, "name", &[FieldType::Text]) {
            None => self.fault(at, "CREATE_OPPORTUNITY needs a field \"name\" of type TEXT."),
            // Else an opportunity would be created without one.
            Some(name) if !name.required && (when.is_none() || name.required_when.as_ref() != when) => {
                self.fault(at, "The field \"name\" has to be required whenever CREATE_OPPORTUNITY happens.");
            }
            Some(_) => {}
        }
        for (key, kind) in OPPORTUNITY {
            if let Some(j) = action.fields.iter().position(|field| field.key == *key)
                && action.fields[j].kind != *kind
            {
                let message = format!("For CREATE_OPPORTUNITY the field \"{key}\" is a {}.", kind.as_str());
                self.fault(at, message);
            }
        }
        if let Some(when) = when {
            self.when(&format!("{at}/when"), action, when);
        }
    }

    fn passing(&mut self, at: &str, action: &Action, template: Option<&str>) {
        if field(action, "partnershipId", &[FieldType::Partnership]).is_none_or(|field| !field.required) {
            self.fault(at, "NEW_ASSIGNMENT needs a required field \"partnershipId\" of type PARTNERSHIP.");
        }
        if let Some(template) = template {
            self.key(&format!("{at}/template"), template, Syntax::Workflow);
            if action.to.is_some() {
                self.fault(at, "A lead that goes on with another template leaves this workflow as it is: no \"to\".");
            }
            if action.effects.len() > 1 || action.fields.len() > 1 {
                let message = "A lead that goes on with another template is passed on by that one's own action: no other \
                               effects and fields here.";
                self.fault(at, message);
            }
        } else if action.to.is_none() {
            self.fault(at, "A lead that is passed on moves to a stage: \"to\" is needed.");
        }
    }

    fn line(&mut self, pointer: &str, text: &str) {
        match TITLE.clean(text) {
            Ok(Some(_)) => {}
            Ok(None) => self.fault(pointer, "A text is needed."),
            Err(message) => self.fault(pointer, format!("The text {message}.")),
        }
    }

    fn counter(&mut self, at: &str, action: &Action, then: &str) {
        if action.system {
            // The stage as of now looks one such step ahead, not several.
            self.fault(at, "A system action starts no counter.");
        }
        let at = format!("{at}/then");
        match self.definition.action(then) {
            Some(end) if end.system => {
                let lands = action.to.as_ref().map_or(action.from.as_slice(), std::slice::from_ref);
                if let Some(stage) = lands.iter().find(|stage| !end.from.contains(stage)) {
                    self.fault(at, format!("\"{then}\" is not possible from \"{stage}\", where this leads to."));
                }
            }
            Some(_) => self.fault(at, format!("\"{then}\" is not an action of the system.")),
            None => self.fault(at, format!("There is no action \"{then}\".")),
        }
    }
}

/// The field of a form that has this key and one of these types.
fn field<'a>(action: &'a Action, key: &str, kinds: &[FieldType]) -> Option<&'a Field> {
    action.fields.iter().find(|field| field.key == key && kinds.contains(&field.kind))
}

fn unknown_stage(key: &str) -> String {
    format!("There is no stage \"{key}\".")
}

/// Whether an action can't sensibly do both.
fn contradict(a: &Effect, b: &Effect) -> bool {
    use Effect::{
        Activate, Archive, CreateOpportunity, Deactivate, EndAssignment, KeepCode, KeepDuplicate, KeepReason,
        LinkOpportunity, Lock, NewAssignment, Reopen, StartCounter, StopCounter, Unarchive, Unlock,
    };
    let one_way = |a: &Effect, b: &Effect| {
        matches!(
            (a, b),
            (Archive, Unarchive)
                | (StopCounter, StartCounter { .. })
                | (EndAssignment, NewAssignment { .. })
                | (Activate, Deactivate)
                | (Lock, Unlock)
                | (
                    Reopen { .. },
                    Archive
                        | KeepReason
                        | KeepCode
                        | KeepDuplicate
                        | NewAssignment { .. }
                        | EndAssignment
                        | StopCounter
                        | StartCounter { .. }
                )
                | (CreateOpportunity { .. }, LinkOpportunity | NewAssignment { .. } | EndAssignment)
                | (LinkOpportunity, NewAssignment { .. } | EndAssignment)
        )
    };
    let twice = matches!(
        (a, b),
        (StartCounter { .. }, StartCounter { .. })
            | (NewAssignment { .. }, NewAssignment { .. })
            | (CreateOpportunity { .. }, CreateOpportunity { .. })
            | (Reopen { .. }, Reopen { .. })
    );
    one_way(a, b) || one_way(b, a) || (twice && a != b)
}

/// Whether a client could show this default in such a field.
fn fits(field: &Field, default: &str) -> bool {
    match field.kind {
        FieldType::Text => matches!(LINE.clean(default), Ok(Some(_))),
        FieldType::LongText => matches!(LONG.clean(default), Ok(Some(_))),
        FieldType::Integer => default.parse::<i64>().is_ok(),
        FieldType::Decimal => parse_decimal(default).is_ok(),
        FieldType::Date => parse_day(default).is_ok(),
        FieldType::DateTime => parse_moment(default).is_ok(),
        FieldType::Boolean => matches!(default, "true" | "false"),
        FieldType::Choice => field.options.iter().flatten().any(|option| option.value == default),
        FieldType::Money
        | FieldType::Member
        | FieldType::Opportunity
        | FieldType::OpportunityForm
        | FieldType::Partnership
        | FieldType::Lead => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        domain::{
            actor::Side,
            workflow::{
                builtin,
                diagram::mermaid,
                engine::{Caller, Facts, Fields, Form, Limits, action_to, available, decide},
                read::read,
            },
        },
        error::Error,
    };

    fn submitted() -> Value {
        serde_json::to_value(&*builtin::builtin("submitted-lead", 1).unwrap()).unwrap()
    }

    fn internal() -> Value {
        serde_json::to_value(&*builtin::builtin("internal-lead", 1).unwrap()).unwrap()
    }

    fn lead() -> Value {
        serde_json::to_value(&*builtin::builtin("partner-lead", 1).unwrap()).unwrap()
    }

    fn opportunity() -> Value {
        serde_json::to_value(&*builtin::builtin("opportunity", 1).unwrap()).unwrap()
    }

    fn faults(json: Value) -> Vec<(String, String)> {
        let definition: Definition = serde_json::from_value(json).unwrap();
        check(&definition).err().unwrap_or_default().into_iter().map(|fault| (fault.pointer, fault.message)).collect()
    }

    /// The actions of the shipped workflow by their place.
    const SHARE: usize = 0;
    const ACCEPT: usize = 1;
    const DECLINE: usize = 2;
    const CONVERT: usize = 3;
    const EXPIRE: usize = 5;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn each_fault_is_told_with_its_place() {
        let cases: Vec<(Change, &str, &str)> = vec![
            (|d| d["key"] = json!("Partner"), "/key", "A key is"),
            (|d| d["version"] = json!(0), "/version", "from 1"),
            (|d| d["name"] = json!(" "), "/name", "needed"),
            (|d| d["name"] = json!("a\u{202E}"), "/name", "control"),
            (|d| d["description"] = json!(" "), "/description", "or nothing at all"),
            (|d| d["tracks"] = json!([]), "/tracks", "STAGE is needed"),
            (|d| d["tracks"][0]["initial"] = json!("nowhere"), "/tracks/0/initial", "no stage \"nowhere\""),
            (|d| d["tracks"][0]["initial"] = json!("declined"), "/tracks/0/initial", "must not be an end"),
            (|d| d["tracks"][0]["locked"] = json!(true), "/tracks/0/locked", "Nothing unlocks"),
            (
                |d| d["tracks"].as_array_mut().unwrap().push(json!({"key": "STAGE", "initial": "new"})),
                "/tracks/1/key",
                "listed twice",
            ),
            (|d| d["stages"][1]["track"] = json!("STATUS"), "/stages/1/track", "no track STATUS"),
            (|d| d["stages"][1]["reserved"] = json!(true), "/stages/1/reserved", "not reserved"),
            (|d| d["stages"][1]["key"] = json!("new"), "/stages/1/key", "another stage \"new\""),
            (|d| d["stages"][1]["name"] = json!("NEW!"), "/stages/1", "told apart"),
            (|d| d["stages"][1]["name"] = json!("***"), "/stages/1/name", "letter or a digit"),
            (|d| d["stages"][1]["key"] = json!("Pending"), "/stages/1/key", "A key is"),
            (|d| d["stages"][5]["terminal"] = json!(false), "/stages/5", "Nothing leads on"),
            (
                |d| {
                    let alone = json!({"key": "x", "name": "X", "kind": "OPEN", "terminal": true});
                    d["stages"].as_array_mut().unwrap().push(alone);
                },
                "/stages/8",
                "No way leads",
            ),
            (|d| d["actions"][ACCEPT]["key"] = json!("share"), "/actions/1/key", "another action"),
            (|d| d["actions"][ACCEPT]["key"] = json!("a-b"), "/actions/1/key", "A key is"),
            (|d| d["actions"][ACCEPT]["from"] = json!([]), "/actions/1/from", "needs a stage"),
            (|d| d["actions"][ACCEPT]["from"] = json!(["pending", "pending"]), "/actions/1/from/1", "twice"),
            (|d| d["actions"][ACCEPT]["from"] = json!(["pending", "x"]), "/actions/1/from/1", "no stage \"x\""),
            (|d| d["actions"][ACCEPT]["from"] = json!(["pending", "declined"]), "/actions/1/from/1", "is an end"),
            (|d| d["actions"][DECLINE]["to"] = json!("x"), "/actions/2/to", "no stage"),
            (|d| d["actions"][ACCEPT]["allow"] = json!([]), "/actions/1/allow", "needs a rule"),
            (|d| d["actions"][ACCEPT]["allow"][0]["roles"] = json!([]), "/actions/1/allow/0/roles", "needs a role"),
            (
                |d| d["actions"][ACCEPT]["allow"][0]["roles"] = json!(["SALES", "VIEWER"]),
                "/actions/1/allow/0/roles/1",
                "reads only",
            ),
            (
                |d| d["actions"][ACCEPT]["allow"][0]["roles"] = json!(["INTEGRATION"]),
                "/actions/1/allow/0/roles/0",
                "decides nothing",
            ),
            (|d| d["actions"][SHARE]["allow"][0]["side"] = json!("RECEIVER"), "/actions/0/allow/0/roles/4", "nothing"),
            (
                |d| d["actions"][SHARE]["allow"][0]["side"] = json!("VENDOR"),
                "/actions/0/allow/0/side",
                "Only the SOURCE",
            ),
            (
                |d| d["actions"][ACCEPT]["allow"][0]["roles"] = json!(["SALES", "SALES"]),
                "/actions/1/allow/0/roles/1",
                "twice",
            ),
            (|d| d["actions"][ACCEPT]["help"] = json!(""), "/actions/1/help", "or nothing"),
            (|d| d["actions"][ACCEPT]["from"] = json!(["*"]), "/actions/1/from/0", "leads nowhere"),
            (|d| d["actions"][ACCEPT]["from"] = json!(["*", "new"]), "/actions/1/from/0", "stands alone"),
            (
                |d| drop(d["actions"][SHARE].as_object_mut().unwrap().remove("to")),
                "/actions/0/effects/0",
                "\"to\" is needed",
            ),
            (|d| d["actions"][SHARE]["effects"][0]["template"] = json!("other"), "/actions/0/effects/0", "no \"to\""),
            (
                |d| d["actions"][SHARE]["effects"][0]["template"] = json!("Other"),
                "/actions/0/effects/0/template",
                "A key is",
            ),
            (
                |d| d["actions"][EXPIRE]["allow"] = json!([{"side": "SOURCE", "roles": ["ADMIN"]}]),
                "/actions/5/allow",
                "no rules",
            ),
            (
                |d| d["actions"][EXPIRE]["fields"] = json!([{"key": "a", "label": "A", "type": "TEXT"}]),
                "/actions/5/fields",
                "no fields",
            ),
            (
                |d| d["actions"][EXPIRE]["effects"] = json!([{"do": "RECORD_DATE", "date": "EXPIRED"}]),
                "/actions/5/effects",
                "STOP_COUNTER",
            ),
            (|d| d["actions"][EXPIRE]["key"] = json!("lapse"), "/actions/5", "Nothing triggers"),
            (|d| d["actions"][EXPIRE]["from"] = json!(["pending"]), "/actions/1/effects/1/then", "not possible from"),
            (
                |d| d["actions"][ACCEPT]["effects"][1]["then"] = json!("close"),
                "/actions/1/effects/1/then",
                "not an action of",
            ),
            (|d| d["actions"][ACCEPT]["effects"][1]["then"] = json!("x"), "/actions/1/effects/1/then", "no action"),
            (
                |d| d["actions"][DECLINE]["fields"][0]["type"] = json!("CHOICE"),
                "/actions/2/fields/0",
                "needs its options",
            ),
            (
                |d| d["actions"][DECLINE]["fields"][0]["options"] = json!([{"value": "A", "label": "A"}]),
                "/actions/2/fields/0/options",
                "Only a CHOICE",
            ),
            (|d| d["actions"][DECLINE]["fields"][0]["key"] = json!("a_b"), "/actions/2/fields/0/key", "A key is"),
            (|d| d["actions"][DECLINE]["fields"][0]["label"] = json!(""), "/actions/2/fields/0/label", "needed"),
            (|d| d["actions"][DECLINE]["fields"][0]["key"] = json!("why"), "/actions/2/effects/1", "\"reason\""),
            (
                |d| {
                    let field = d["actions"][DECLINE]["fields"][0].clone();
                    d["actions"][DECLINE]["fields"].as_array_mut().unwrap().push(field);
                },
                "/actions/2/fields/1/key",
                "another field",
            ),
            (
                |d| d["actions"][SHARE]["fields"][0]["required"] = json!(false),
                "/actions/0/effects/0",
                "\"partnershipId\"",
            ),
            (
                |d| d["actions"][CONVERT]["fields"][0]["required"] = json!(true),
                "/actions/3/exactlyOneOf/0/0",
                "required",
            ),
            (
                |d| d["actions"][CONVERT]["exactlyOneOf"] = json!([["opportunityId", "x"]]),
                "/actions/3/exactlyOneOf/0/1",
                "no field \"x\"",
            ),
            (|d| d["actions"][CONVERT]["exactlyOneOf"] = json!([]), "/actions/3/effects/3", "exactlyOneOf"),
            (|d| d["actions"][CONVERT]["exactlyOneOf"] = json!([[]]), "/actions/3/exactlyOneOf/0", "two fields"),
            (
                |d| d["actions"][CONVERT]["fields"][1]["type"] = json!("TEXT"),
                "/actions/3/effects/3",
                "OPPORTUNITY_FORM",
            ),
            (
                |d| d["actions"][DECLINE]["effects"][0] = json!({"do": "ARCHIVE"}),
                "/actions/2/effects/3",
                "listed twice",
            ),
            (
                |d| d["actions"][DECLINE]["effects"][0] = json!({"do": "UNARCHIVE"}),
                "/actions/2/effects/3",
                "contradicts",
            ),
            (
                |d| d["actions"][DECLINE]["effects"][0] = json!({"do": "KEEP_DEAL"}),
                "/actions/2/effects/0",
                "for an opportunity",
            ),
            (
                |d| d["actions"][CONVERT]["fields"][0]["defaultFrom"] = json!("title"),
                "/actions/3/fields/0/defaultFrom",
                "is a TEXT, this field a OPPORTUNITY",
            ),
            (
                |d| d["actions"][CONVERT]["fields"][0]["defaultFrom"] = json!("title"),
                "/actions/3/exactlyOneOf/0/0",
                "filled in by itself",
            ),
        ];
        told(lead, cases);
    }

    fn second(key: &str) -> Value {
        serde_json::to_value(&*builtin::builtin(key, 2).unwrap()).unwrap()
    }

    #[test]
    fn each_fault_of_a_way_back_and_of_a_rule_of_fields_is_told_with_its_place() {
        let lead: fn() -> Value = || second("submitted-lead");
        told(
            lead,
            vec![
                (|d| d["actions"][5]["guards"] = json!([]), "/actions/5/effects/0", "a guard WITHIN"),
                (|d| d["actions"][5]["to"] = json!("withdrawn"), "/actions/5/effects/0", "no end"),
                (
                    |d| d["actions"][5]["effects"][0]["dates"] = json!(["REJECTED", "REJECTED"]),
                    "/actions/5/effects/0/dates/1",
                    "twice",
                ),
                (|d| d["actions"][5]["effects"] = json!([]), "/actions/5/from/0", "NEW_ASSIGNMENT or REOPEN"),
                (|d| d["actions"][3]["effects"][0] = json!({"do": "LOCK"}), "/actions/3/effects/1", "contradicts"),
                (|d| d["actions"][18]["effects"] = json!([{"do": "LOCK"}]), "/actions/18/effects/0", "track STATUS"),
                (|d| d["fieldRules"][1]["review"] = json!("gone"), "/fieldRules/1/review", "no such action"),
                (|d| d["fieldRules"][1]["review"] = json!("accept"), "/fieldRules/1/review", "of the system"),
                (|d| d["fieldRules"][1]["at"] = json!(["accepted", "new"]), "/fieldRules/1/at/1", "not possible from"),
                (|d| d["fieldRules"][0]["at"] = json!(["accepted", "accepted"]), "/fieldRules/0/at/1", "twice"),
                (
                    |d| d["fieldRules"][0]["fields"] = json!(["customer.", "owner"]),
                    "/fieldRules/0/fields/0",
                    "no field",
                ),
                (|d| d["fieldRules"][0]["fields"] = json!(["customer", "owner"]), "/fieldRules/0/fields/1", "no field"),
                (|d| d["fieldRules"][0]["except"] = json!(["SALES", "SALES"]), "/fieldRules/0/except/1", "twice"),
                (|d| d["fieldRules"] = json!([]), "/actions/6", "Nothing triggers"),
            ],
        );
        let deal: fn() -> Value = || second("opportunity");
        told(
            deal,
            vec![
                (
                    |d| d["actions"][6]["guards"][0]["date"] = json!("DECLINED"),
                    "/actions/6/guards/0/date",
                    "CLOSED alone",
                ),
                (
                    |d| d["actions"][6]["effects"][0]["dates"] = json!(["CLOSED"]),
                    "/actions/6/effects/0/dates/0",
                    "by itself",
                ),
                (|d| d["fieldRules"] = json!([{"at": ["won"], "fields": ["title"]}]), "/fieldRules/0", "Only a lead"),
            ],
        );
    }

    type Change = fn(&mut Value);

    fn told(definition: fn() -> Value, cases: Vec<(Change, &str, &str)>) {
        for (change, pointer, says) in cases {
            let mut definition = definition();
            change(&mut definition);
            let faults = faults(definition);
            assert!(
                faults.iter().any(|(at, message)| at == pointer && message.contains(says)),
                "{pointer} {says}: {faults:#?}"
            );
        }
    }

    /// The place of an action in a definition as JSON.
    fn at<'a>(definition: &'a mut Value, key: &str) -> &'a mut Value {
        definition["actions"].as_array_mut().unwrap().iter_mut().find(|action| action["key"] == key).unwrap()
    }

    #[test]
    fn each_fault_of_two_tracks_is_told_with_its_place() {
        told(
            submitted,
            vec![
                (|d| d["tracks"][0]["locked"] = json!(true), "/tracks/0/locked", "Only the track STAGE"),
                (|d| d["tracks"][0]["initial"] = json!("qualification"), "/tracks/0/initial", "is on the track STAGE"),
                (|d| d["tracks"][1]["locked"] = json!(false), "/actions/3/effects/1", "not locked"),
                (|d| at(d, "accept")["effects"] = json!([]), "/tracks/1/locked", "Nothing unlocks"),
                (
                    |d| at(d, "propose")["effects"] = json!([{"do": "UNLOCK"}]),
                    "/actions/13/effects/0",
                    "of the track STATUS",
                ),
                (
                    |d| at(d, "accept")["from"] = json!(["new", "proposal"]),
                    "/actions/3/from/1",
                    "is on the track STAGE, the action on the other",
                ),
                (|d| at(d, "accept")["to"] = json!("proposal"), "/actions/3/from/0", "on the track STATUS"),
                (
                    |d| at(d, "win")["guards"] = json!([{"need": "AT", "stages": ["proposal"], "message": "No."}]),
                    "/actions/15/guards/0/stages/0",
                    "own track",
                ),
                (
                    |d| at(d, "win")["guards"] = json!([{"need": "AT", "stages": ["x"], "message": "No."}]),
                    "/actions/15/guards/0/stages/0",
                    "no stage",
                ),
                (
                    |d| at(d, "win")["guards"] = json!([{"need": "AT", "stages": [], "message": "No."}]),
                    "/actions/15/guards/0/stages",
                    "needed",
                ),
                (
                    |d| at(d, "win")["guards"] = json!([{"need": "AT", "stages": ["accepted"], "message": ""}]),
                    "/actions/15/guards/0/message",
                    "needed",
                ),
                (
                    |d| at(d, "check_due")["guards"] = json!([{"need": "FIELDS", "fields": ["title"]}]),
                    "/actions/10/guards/0",
                    "no guards",
                ),
                (
                    |d| at(d, "start_recurring")["effects"][1]["field"] = json!("when"),
                    "/actions/7/effects/1/field",
                    "no field \"when\" of type DATE_TIME",
                ),
                (
                    |d| {
                        at(d, "check_due")["effects"][1] =
                            json!({"do": "START_COUNTER", "limit": "CHECK", "then": "check_due"});
                    },
                    "/actions/10/effects/1",
                    "starts no counter",
                ),
                (
                    |d| at(d, "check_due")["effects"][1]["title"] = json!("a\nb"),
                    "/actions/10/effects/1/title",
                    "one line",
                ),
                (|d| at(d, "check_due")["effects"][1]["title"] = json!(" "), "/actions/10/effects/1/title", "needed"),
                (
                    |d| at(d, "check_due")["effects"][2]["message"] = json!(" "),
                    "/actions/10/effects/2/message",
                    "needed",
                ),
                (
                    |d| at(d, "reject")["fields"][0]["options"] = json!([]),
                    "/actions/4/fields/0/options",
                    "needs its options",
                ),
                (
                    |d| at(d, "reject")["fields"][0]["options"][0]["value"] = json!("Other"),
                    "/actions/4/fields/0/options/0/value",
                    "A key is",
                ),
                (
                    |d| at(d, "reject")["fields"][0]["options"][0]["value"] = json!("OTHER"),
                    "/actions/4/fields/0/options/3/value",
                    "listed twice",
                ),
                (
                    |d| at(d, "reject")["fields"][0]["options"][0]["label"] = json!(""),
                    "/actions/4/fields/0/options/0/label",
                    "needed",
                ),
                (|d| at(d, "reject")["fields"] = json!([]), "/actions/4/effects/1", "\"reason\""),
                (|d| at(d, "reject")["fields"] = json!([]), "/actions/4/effects/2", "\"code\" of type CHOICE"),
                (|d| at(d, "reject")["fields"] = json!([]), "/actions/4/effects/3", "\"duplicateOf\" of type LEAD"),
                (|d| at(d, "request_info")["fields"] = json!([]), "/actions/1/effects/0", "\"note\""),
                (
                    |d| at(d, "withdraw")["allow"][0]["side"] = json!("PARTNER"),
                    "/actions/11/allow/0/side",
                    "Only the SOURCE",
                ),
            ],
        );
    }

    #[test]
    fn each_fault_of_a_form_is_told_with_its_place() {
        told(
            internal,
            vec![
                (|d| at(d, "assign")["fields"][0]["required"] = json!(false), "/actions/0/effects/0", "\"owner\""),
                (|d| at(d, "activate")["to"] = json!("new"), "/actions/6/effects/0", "leads nowhere"),
                (
                    |d| at(d, "activate")["effects"] = json!([{"do": "ACTIVATE"}, {"do": "DEACTIVATE"}]),
                    "/actions/6/effects/1",
                    "contradicts",
                ),
                (
                    |d| at(d, "qualify")["guards"][0]["fields"] = json!(["owner", "colour"]),
                    "/actions/2/guards/0/fields/1",
                    "no field \"colour\"; there are id, title",
                ),
                (|d| at(d, "qualify")["guards"][0]["fields"] = json!([]), "/actions/2/guards/0/fields", "needed"),
                (
                    |d| at(d, "disqualify")["guards"][0]["when"]["field"] = json!("reason"),
                    "/actions/3/guards/0/when/field",
                    "no CHOICE \"reason\"",
                ),
                (
                    |d| at(d, "disqualify")["guards"][0]["when"]["oneOf"] = json!([]),
                    "/actions/3/guards/0/when/oneOf",
                    "needed",
                ),
                (
                    |d| at(d, "disqualify")["guards"][0]["when"]["oneOf"] = json!(["NO"]),
                    "/actions/3/guards/0/when/oneOf/0",
                    "no option \"NO\"",
                ),
                (
                    |d| at(d, "disqualify")["fields"][2]["requiredWhen"]["field"] = json!("x"),
                    "/actions/3/fields/2/requiredWhen/field",
                    "no CHOICE \"x\"",
                ),
                (
                    |d| at(d, "disqualify")["fields"][3]["required"] = json!(true),
                    "/actions/3/fields/3/requiredWhen",
                    "required always",
                ),
                (
                    |d| at(d, "disqualify")["effects"][3]["when"]["oneOf"] = json!(["NON_TARGET_CLIENT"]),
                    "/actions/3/effects/3",
                    "\"name\" has to be required whenever",
                ),
                (
                    |d| drop(at(d, "disqualify")["effects"][3].as_object_mut().unwrap().remove("when")),
                    "/actions/3/effects/3",
                    "\"name\" has to be required whenever",
                ),
                (
                    |d| at(d, "disqualify")["effects"][3]["when"]["oneOf"] = json!(["NO"]),
                    "/actions/3/effects/3/when/oneOf/0",
                    "no option",
                ),
                (|d| at(d, "qualify")["fields"][0]["required"] = json!(false), "/actions/2/effects/1", "\"name\""),
                (|d| at(d, "qualify")["fields"][0]["type"] = json!("LONG_TEXT"), "/actions/2/effects/1", "\"name\""),
                (
                    |d| at(d, "qualify")["fields"][2]["type"] = json!("DATE"),
                    "/actions/2/effects/1",
                    "\"city\" is a TEXT",
                ),
                (
                    |d| at(d, "qualify")["fields"][2]["type"] = json!("DATE"),
                    "/actions/2/fields/2/defaultFrom",
                    "is a TEXT, this field a DATE",
                ),
                (
                    |d| at(d, "qualify")["fields"][0]["defaultFrom"] = json!("name"),
                    "/actions/2/fields/0/defaultFrom",
                    "no field \"name\"",
                ),
                (
                    |d| drop(at(d, "qualify")["fields"][7].as_object_mut().unwrap().remove("defaultFrom")),
                    "/actions/2/fields/7/readOnly",
                    "needs a default",
                ),
                (
                    |d| at(d, "qualify")["effects"] = json!([{"do": "CREATE_OPPORTUNITY"}, {"do": "LINK_OPPORTUNITY"}]),
                    "/actions/2/effects/1",
                    "contradicts",
                ),
                (|d| d["stages"][4]["reserved"] = json!(false), "/stages/4", "No way leads"),
            ],
        );
    }

    #[test]
    fn a_stage_that_is_reserved_needs_no_way() {
        let mut definition = internal();
        assert_eq!(definition["stages"][4]["reserved"], json!(true));
        definition["stages"][4].as_object_mut().unwrap().remove("terminal");
        assert_eq!(faults(definition), []);
    }

    #[test]
    fn what_is_much_too_long_is_not_looked_at_any_further() {
        let mut definition = lead();
        definition["stages"] =
            (0..10_000).map(|i| json!({"key": format!("s{i}"), "name": "x", "kind": "OPEN"})).collect();
        let found = faults(definition);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "/stages");

        let mut definition = lead();
        let field = json!({"key": "1", "label": "", "type": "TEXT"});
        for action in definition["actions"].as_array_mut().unwrap() {
            action["fields"] = std::iter::repeat_n(field.clone(), 100).collect();
        }
        let found = faults(definition);
        assert_eq!(found.len(), MAX_FAULTS);
        assert!(found.last().unwrap().1.contains("more faults"));
    }

    #[test]
    fn an_opportunity_has_no_counter_and_no_assignment() {
        for effect in [
            json!({"do": "RECORD_DATE", "date": "CLOSED"}),
            json!({"do": "START_COUNTER", "limit": "ANSWER", "then": "x"}),
            json!({"do": "END_ASSIGNMENT"}),
            json!({"do": "ARCHIVE"}),
            json!({"do": "SET_OWNER"}),
            json!({"do": "UNLOCK"}),
            json!({"do": "DEACTIVATE"}),
            json!({"do": "CREATE_OPPORTUNITY"}),
        ] {
            let mut definition = opportunity();
            definition["actions"][0]["effects"] = json!([effect]);
            let faults = faults(definition);
            assert!(faults.iter().any(|(at, message)| at == "/actions/0/effects/0" && message.contains("for a lead")));
        }
        let mut definition = opportunity();
        definition["actions"][3]["fields"] = json!([]);
        assert!(faults(definition).iter().any(|(_, message)| message.starts_with("KEEP_DEAL needs")));
        let mut definition = opportunity();
        definition["direction"] = json!("VENDOR_TO_PARTNER");
        definition["actions"][0]["allow"][0]["side"] = json!("VENDOR");
        definition["tracks"].as_array_mut().unwrap().push(json!({"key": "STATUS", "initial": "proposal"}));
        let faults = faults(definition);
        assert!(faults.iter().any(|(at, _)| at == "/direction"), "{faults:?}");
        assert!(faults.iter().any(|(at, _)| at == "/actions/0/allow/0/side"), "{faults:?}");
        assert!(faults.iter().any(|(at, message)| at == "/tracks/1/key" && message.contains("Only a lead")));
    }

    #[test]
    fn a_default_has_to_be_a_value_of_its_field() {
        for (kind, good, bad) in [
            ("TEXT", "a", "a\nb"),
            ("INTEGER", "3", "x"),
            ("DECIMAL", "3.5", "3,5"),
            ("DATE", "2026-11-21", "today"),
            ("DATE_TIME", "2026-11-21T00:00:00Z", "now"),
            ("BOOLEAN", "true", "yes"),
            ("CHOICE", "A", "C"),
        ] {
            for (default, sound) in [(good, true), (bad, false)] {
                let mut definition = opportunity();
                let mut field = json!({"key": "extra", "label": "Extra", "type": kind, "default": default});
                if kind == "CHOICE" {
                    field["options"] = json!([{"value": "A", "label": "A"}, {"value": "B", "label": "B"}]);
                }
                definition["actions"][0]["fields"] = json!([field]);
                assert_eq!(faults(definition).is_empty(), sound, "{kind} {default}");
            }
        }
    }

    #[test]
    fn every_fault_comes_at_once() {
        let mut definition = lead();
        definition["version"] = json!(-1);
        definition["actions"][ACCEPT]["to"] = json!("x");
        definition["actions"][DECLINE]["allow"] = json!([]);
        assert!(faults(definition).len() >= 3);
    }

    /// Every place in a document, so that a mutation can pick one.
    fn places(value: &Value, at: &str, into: &mut Vec<String>) {
        into.push(at.to_owned());
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), into)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, value)| places(value, &format!("{at}/{i}"), into));
            }
            _ => {}
        }
    }

    fn mutate(definition: &mut Value, place: prop::sample::Index, other: prop::sample::Index, kind: u8, text: &str) {
        let mut all = Vec::new();
        places(definition, "", &mut all);
        let other = definition.pointer(&all[other.index(all.len())]).cloned().unwrap_or(Value::Null);
        let Some(here) = definition.pointer_mut(&all[place.index(all.len())]) else { return };
        match (kind, here) {
            (0, here) => *here = other,
            (1, Value::Array(items)) => items.clear(),
            (2, Value::Array(items)) => items.push(other),
            (3, Value::Array(items)) => items.truncate(1),
            (4, Value::Object(map)) => {
                if let Some(key) = map.keys().next().cloned() {
                    map.remove(&key);
                }
            }
            (5, Value::Bool(flag)) => *flag = !*flag,
            (_, Value::String(old)) => text.clone_into(old),
            _ => {}
        }
    }

    /// Every place is one in the document, or a member that was left out of it.
    fn all_resolve(document: &Value, faults: &[DefinitionFault]) -> Result<(), TestCaseError> {
        for fault in faults {
            let parent = fault.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
            prop_assert!(document.pointer(&fault.pointer).or(document.pointer(parent)).is_some(), "{}", fault.pointer);
        }
        Ok(())
    }

    /// Asks for every action of a definition, at every stage.
    fn decide_on(definition: &Definition) {
        let now = "2026-11-21T09:30:00Z".parse().unwrap();
        let values =
            serde_json::Map::from_iter([("reason".to_owned(), json!("so")), ("code".to_owned(), json!("OTHER"))]);
        let caller = |side| Caller::Member {
            side,
            vendor: Some(side == Side::Receiver),
            moves_stage: true,
            roles: &Role::ALL,
            owner: true,
        };
        for stage in &definition.stages {
            let facts = Facts {
                stage: &stage.key,
                status: Some(&stage.key),
                stage_locked: stage.terminal,
                expires_at: Some(now),
                on_expiry: definition.actions.first().map(|action| action.key.as_str()),
                active: !stage.reserved,
                limits: Limits::default(),
                fields: Fields::None,
                expires_at_override: None,
                orphaned: false,
            };
            for caller in [Caller::System, caller(Side::Source), caller(Side::Receiver)] {
                available(definition, &facts, caller, now);
                let _ = action_to(definition, &facts, stage, caller, now);
                for action in &definition.actions {
                    let form = Form { values: &values, prefix: "input" };
                    if let Err(refusal) = decide(definition, &facts, caller, &action.key, &form, now) {
                        let _ = Error::from(refusal);
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn a_mutated_definition_never_panics(
            of in 0..4_usize,
            steps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..8, "pending|accept|[a-z]{0,3}|\\PC{0,4}"), 1..6),
        ) {
            let mut definition = [lead, submitted, internal, opportunity][of]();
            for (place, other, kind, text) in steps {
                mutate(&mut definition, place, other, kind, &text);
            }
            if let Ok(whole) = serde_json::from_value::<Definition>(definition.clone()) {
                if let Err(faults) = check(&whole) {
                    all_resolve(&definition, &faults)?;
                }
                // Sound or not, it is decided on and drawn without a panic.
                mermaid(&whole);
                decide_on(&whole);
            }
            match read(&definition) {
                Ok(sound) => {
                    let written = serde_json::to_value(&sound).unwrap();
                    prop_assert_eq!(read(&written), Ok(sound));
                }
                Err(faults) => {
                    prop_assert!(!faults.is_empty());
                    all_resolve(&definition, &faults)?;
                }
            }
        }
    }
}
