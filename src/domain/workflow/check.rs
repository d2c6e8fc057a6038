//! Whether a definition is sound. What is not is told all at once, each fault with its place.

use std::collections::HashSet;

use super::{
    definition::{Action, Definition, Effect, Field, FieldType, Subject},
    engine::alike,
};
use crate::domain::{
    actor::{Role, Side},
    duration::{parse_day, parse_moment},
    money::parse_decimal,
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

/// The most stages, and the most actions: more is a mistake, and a decision looks at each of them.
const MAX_STAGES: usize = 50;
const MAX_ACTIONS: usize = 100;
/// The most fields of a form, and the most options of a choice.
const MAX_FIELDS: usize = 50;
const MAX_OPTIONS: usize = 100;
/// The longest key and the longest name.
const MAX_KEY: usize = 50;
const NAME: Rules = Rules::line(100);

/// Every fault of a definition. One without any can be stored and decided on.
///
/// # Errors
/// The faults, in the order of the definition.
pub fn check(definition: &Definition) -> Result<(), Vec<DefinitionFault>> {
    let mut check = Check { definition, faults: Vec::new() };
    check.head();
    check.stages();
    check.reach();
    check.limit("/actions", definition.actions.len(), MAX_ACTIONS, "actions");
    for (i, action) in definition.actions.iter().enumerate() {
        check.action(&format!("/actions/{i}"), i, action);
    }
    if check.faults.is_empty() { Ok(()) } else { Err(check.faults) }
}

struct Check<'a> {
    definition: &'a Definition,
    faults: Vec<DefinitionFault>,
}

/// What a key is made of.
#[derive(Clone, Copy)]
enum Syntax {
    /// `partner-lead`
    Workflow,
    /// `closed_converted`
    Snake,
    /// `partnershipId`
    Camel,
}

impl Check<'_> {
    fn fault(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.faults.push(DefinitionFault { pointer: pointer.into(), message: message.into() });
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
        };
        let fits = key.starts_with(|c: char| c.is_ascii_lowercase()) && key.chars().all(rest) && key.len() <= MAX_KEY;
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
        match definition.stage(&definition.initial) {
            None => self.fault("/initial", unknown_stage(&definition.initial)),
            Some(stage) if stage.terminal => self.fault("/initial", "The first stage must not be an end."),
            Some(_) => {}
        }
    }

    fn stages(&mut self) {
        let stages = &self.definition.stages;
        self.limit("/stages", stages.len(), MAX_STAGES, "stages");
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
            let leads_on = self.definition.actions.iter().any(|action| action.from.contains(&stage.key));
            if !stage.terminal && !leads_on {
                let message = "Nothing leads on from this stage: mark it as terminal, or add an action.";
                self.fault(format!("/stages/{i}"), message);
            }
        }
    }

    fn reach(&mut self) {
        let definition = self.definition;
        let mut reached: HashSet<&str> = HashSet::from([definition.initial.as_str()]);
        loop {
            let before = reached.len();
            for action in &definition.actions {
                if action.from.iter().any(|from| reached.contains(from.as_str())) {
                    reached.insert(&action.to);
                }
            }
            if reached.len() == before {
                break;
            }
        }
        for (i, stage) in definition.stages.iter().enumerate() {
            if !reached.contains(stage.key.as_str()) {
                let message = format!("No way leads from \"{}\" to this stage.", definition.initial);
                self.fault(format!("/stages/{i}"), message);
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
        if definition.stage(&action.to).is_none() {
            self.fault(format!("{at}/to"), unknown_stage(&action.to));
        }
        self.rules(at, action);
        self.limit(&format!("{at}/fields"), action.fields.len(), MAX_FIELDS, "fields");
        for (j, field) in action.fields.iter().enumerate() {
            if action.fields[..j].iter().any(|earlier| earlier.key == field.key) {
                self.fault(format!("{at}/fields/{j}/key"), format!("There is another field \"{}\".", field.key));
            }
            self.field(&format!("{at}/fields/{j}"), field);
        }
        for (j, group) in action.exactly_one_of.iter().enumerate() {
            self.group(&format!("{at}/exactlyOneOf/{j}"), action, group);
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
            match self.definition.stage(from) {
                None => self.fault(at, unknown_stage(from)),
                Some(stage) if stage.terminal && !action.effects.contains(&Effect::NewAssignment) => {
                    let message = format!("\"{from}\" is an end: only an action with NEW_ASSIGNMENT leads on from it.");
                    self.fault(at, message);
                }
                Some(_) => {}
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
            if !self.definition.actions.iter().any(|other| other.effects.iter().any(starts)) {
                self.fault(at, "No counter triggers this system action: a START_COUNTER has to name it in \"then\".");
            }
            if !action.effects.contains(&Effect::StopCounter) {
                // Else the counter that has ended would trigger the action again and again.
                self.fault(format!("{at}/effects"), "A system action has to stop its counter: STOP_COUNTER.");
            }
        } else if action.allow.is_empty() {
            self.fault(format!("{at}/allow"), "An action needs a rule that says who may use it.");
        }
        for (j, rule) in action.allow.iter().enumerate() {
            let at = format!("{at}/allow/{j}/roles");
            if rule.roles.is_empty() {
                self.fault(at.as_str(), "A rule needs a role.");
            }
            for (k, role) in rule.roles.iter().enumerate() {
                let at = format!("{at}/{k}");
                let passes_on = rule.side == Side::Source && action.effects.contains(&Effect::NewAssignment);
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

    fn field(&mut self, at: &str, field: &Field) {
        self.key(&format!("{at}/key"), &field.key, Syntax::Camel);
        self.name(&format!("{at}/label"), &field.label);
        match (&field.options, field.kind) {
            (None, FieldType::Choice) => self.fault(at, "A CHOICE needs its options."),
            (Some(options), FieldType::Choice) => {
                if options.is_empty() {
                    self.fault(format!("{at}/options"), "A CHOICE needs its options.");
                }
                self.limit(&format!("{at}/options"), options.len(), MAX_OPTIONS, "options");
                for (j, option) in options.iter().enumerate() {
                    self.name(&format!("{at}/options/{j}"), option);
                    if options[..j].contains(option) {
                        self.fault(format!("{at}/options/{j}"), format!("The option \"{option}\" is listed twice."));
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
                Some(field) if field.required => {
                    self.fault(at, format!("\"{key}\" is required, so it can't be one of several."));
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
            Effect::KeepReason => subject,
            Effect::KeepDeal => Subject::Opportunity,
            _ => Subject::Lead,
        };
        if subject != only {
            let what = if only == Subject::Lead { "a lead" } else { "an opportunity" };
            self.fault(at, format!("Only a workflow for {what} can have this effect."));
        }
        let field = |key: &str, kinds: &[FieldType]| {
            action.fields.iter().find(|field| field.key == key && kinds.contains(&field.kind))
        };
        match effect {
            Effect::KeepReason if field("reason", &[FieldType::Text, FieldType::LongText]).is_none() => {
                self.fault(at, "KEEP_REASON needs a field \"reason\" of type TEXT or LONG_TEXT.");
            }
            Effect::NewAssignment
                if field("partnershipId", &[FieldType::Partnership]).is_none_or(|field| !field.required) =>
            {
                self.fault(at, "NEW_ASSIGNMENT needs a required field \"partnershipId\" of type PARTNERSHIP.");
            }
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
            Effect::StartCounter { then, .. } => self.counter(at, action, then),
            _ => {}
        }
    }

    fn counter(&mut self, at: &str, action: &Action, then: &str) {
        if action.system {
            // The stage as of now looks one such step ahead, not several.
            self.fault(at, "A system action starts no counter.");
        }
        let at = format!("{at}/then");
        match self.definition.action(then) {
            Some(end) if end.system && end.from.contains(&action.to) => {}
            Some(end) if end.system => {
                self.fault(at, format!("\"{then}\" is not possible from \"{}\", where this leads to.", action.to));
            }
            Some(_) => self.fault(at, format!("\"{then}\" is not an action of the system.")),
            None => self.fault(at, format!("There is no action \"{then}\".")),
        }
    }
}

fn unknown_stage(key: &str) -> String {
    format!("There is no stage \"{key}\".")
}

/// Whether an action can't sensibly do both.
fn contradict(a: &Effect, b: &Effect) -> bool {
    use Effect::{Archive, EndAssignment, NewAssignment, StartCounter, StopCounter, Unarchive};
    let one_way = |a: &Effect, b: &Effect| {
        matches!((a, b), (Archive, Unarchive) | (StopCounter, StartCounter { .. }) | (EndAssignment, NewAssignment))
    };
    one_way(a, b) || one_way(b, a) || matches!((a, b), (StartCounter { .. }, StartCounter { .. })) && a != b
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
        FieldType::Choice => field.options.iter().flatten().any(|option| option == default),
        FieldType::Money
        | FieldType::Member
        | FieldType::Opportunity
        | FieldType::OpportunityForm
        | FieldType::Partnership => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::workflow::builtin;

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
        type Change = fn(&mut Value);
        let cases: Vec<(Change, &str, &str)> = vec![
            (|d| d["key"] = json!("Partner"), "/key", "A key is"),
            (|d| d["version"] = json!(0), "/version", "from 1"),
            (|d| d["name"] = json!(" "), "/name", "needed"),
            (|d| d["name"] = json!("a\u{202E}"), "/name", "control"),
            (|d| d["initial"] = json!("nowhere"), "/initial", "no stage \"nowhere\""),
            (|d| d["initial"] = json!("declined"), "/initial", "must not be an end"),
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
            (|d| d["actions"][EXPIRE]["key"] = json!("lapse"), "/actions/5", "No counter"),
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
                |d| d["actions"][DECLINE]["fields"][0]["options"] = json!(["a"]),
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
        ];
        for (change, pointer, says) in cases {
            let mut definition = lead();
            change(&mut definition);
            let faults = faults(definition);
            assert!(
                faults.iter().any(|(at, message)| at == pointer && message.contains(says)),
                "{pointer} {says}: {faults:#?}"
            );
        }
    }

    #[test]
    fn an_opportunity_has_no_counter_and_no_assignment() {
        for effect in [
            json!({"do": "RECORD_DATE", "date": "CLOSED"}),
            json!({"do": "START_COUNTER", "limit": "ANSWER", "then": "x"}),
            json!({"do": "END_ASSIGNMENT"}),
            json!({"do": "ARCHIVE"}),
        ] {
            let mut definition = opportunity();
            definition["actions"][0]["effects"] = json!([effect]);
            let faults = faults(definition);
            assert!(faults.iter().any(|(at, message)| at == "/actions/0/effects/0" && message.contains("for a lead")));
        }
        let mut definition = opportunity();
        definition["actions"][3]["fields"] = json!([]);
        assert!(faults(definition).iter().any(|(_, message)| message.starts_with("KEEP_DEAL needs")));
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
            ("CHOICE", "a", "c"),
        ] {
            for (default, sound) in [(good, true), (bad, false)] {
                let mut definition = opportunity();
                let mut field = json!({"key": "extra", "label": "Extra", "type": kind, "default": default});
                if kind == "CHOICE" {
                    field["options"] = json!(["a", "b"]);
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn a_mutated_definition_never_panics(
            of_lead: bool,
            steps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..8, "pending|accept|[a-z]{0,3}|\\PC{0,4}"), 1..6),
        ) {
            let mut definition = if of_lead { lead() } else { opportunity() };
            for (place, other, kind, text) in steps {
                mutate(&mut definition, place, other, kind, &text);
            }
            if let Ok(read) = serde_json::from_value::<Definition>(definition.clone())
                && let Err(faults) = check(&read)
            {
                for fault in faults {
                    // Every place is one in the document, or a member that was left out of it.
                    let parent = fault.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                    prop_assert!(
                        definition.pointer(&fault.pointer).or(definition.pointer(parent)).is_some(),
                        "{}", fault.pointer
                    );
                }
            }
        }
    }
}
