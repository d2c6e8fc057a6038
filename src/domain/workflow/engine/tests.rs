use std::{collections::HashSet, sync::Arc};

use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::workflow::{
    builtin::builtin,
    check::check,
    definition::{Field, FieldType, Subject},
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    at("2026-11-21T09:30:00Z")
}

fn facts(stage: &str) -> Facts<'_> {
    Facts {
        stage,
        expires_at: None,
        on_expiry: None,
        active: true,
        answer_within: None,
        convert_within: None,
        expires_at_override: None,
    }
}

fn counting(stage: &str, expires_at: DateTime<Utc>) -> Facts<'_> {
    Facts { expires_at: Some(expires_at), on_expiry: Some("expire"), ..facts(stage) }
}

fn member(side: Side, roles: &[Role]) -> Caller<'_> {
    Caller::Member { side, roles, owner: false }
}

const RECEIVER: Caller<'_> = Caller::Member { side: Side::Receiver, roles: &[Role::Sales], owner: false };
const SOURCE: Caller<'_> = Caller::Member { side: Side::Source, roles: &[Role::Sales], owner: false };

fn run(
    definition: &Definition,
    facts: &Facts<'_>,
    caller: Caller<'_>,
    action: &str,
    values: &Value,
) -> Result<Decision, Refusal> {
    decide(definition, facts, caller, action, &Form { values: values.as_object().unwrap(), prefix: "input" }, now())
}

fn fault(refusal: Refusal) -> Fault {
    let mut faults = faults(refusal);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

fn faults(refusal: Refusal) -> Vec<Fault> {
    match Error::from(refusal) {
        Error::Faults(faults) => faults,
        Error::Internal(cause) => panic!("{cause}"),
    }
}

fn code(refusal: Refusal) -> ErrorCode {
    fault(refusal).code
}

fn partner_lead() -> Arc<Definition> {
    builtin("partner-lead", 1).unwrap()
}

fn opportunity() -> Arc<Definition> {
    builtin("opportunity", 1).unwrap()
}

/// A form that the action accepts.
fn filled(action: &Action) -> Map<String, Value> {
    let skipped =
        |field: &Field| action.exactly_one_of.iter().any(|group| group.iter().skip(1).any(|key| *key == field.key));
    let value = |field: &Field| match field.kind {
        FieldType::Text | FieldType::LongText => json!("a text"),
        FieldType::Integer => json!(3),
        FieldType::Decimal => json!("3.5"),
        FieldType::Money => json!({"amount": "12.50", "currency": "EUR"}),
        FieldType::Date => json!("2026-12-01"),
        FieldType::DateTime => json!("2026-12-01T00:00:00Z"),
        FieldType::Boolean => json!(true),
        FieldType::Choice => json!(field.options.as_ref().unwrap()[0]),
        FieldType::Member | FieldType::Opportunity | FieldType::Partnership => json!("an-id"),
        FieldType::OpportunityForm => json!({"name": "A deal"}),
    };
    action.fields.iter().filter(|field| !skipped(field)).map(|field| (field.key.clone(), value(field))).collect()
}

// --- The tables, written out from the design and independent of the data files ---

struct Row {
    action: &'static str,
    side: Option<Side>,
    from: &'static [&'static str],
    to: &'static str,
    machine: bool,
    form: &'static str,
}

const fn row(
    action: &'static str,
    side: Option<Side>,
    from: &'static [&'static str],
    to: &'static str,
    form: &'static str,
) -> Row {
    Row { action, side, from, to, machine: false, form }
}

const LEAD_STAGES: [(&str, &str, StageKind, bool); 8] = [
    ("new", "New", StageKind::Open, false),
    ("pending", "Pending", StageKind::Awaiting, false),
    ("accepted", "Accepted", StageKind::Active, false),
    ("declined", "Declined", StageKind::Declined, true),
    ("expired", "Expired", StageKind::Expired, true),
    ("closed_converted", "Closed - Converted", StageKind::Won, true),
    ("closed_not_converted", "Closed - Not Converted", StageKind::Lost, true),
    ("withdrawn", "Withdrawn", StageKind::Closed, true),
];
const S: Option<Side> = Some(Side::Source);
const R: Option<Side> = Some(Side::Receiver);
const LEAD_ROWS: [Row; 8] = [
    Row { machine: true, ..row("share", S, &["new"], "pending", r#"{"partnershipId": "p"}"#) },
    row("accept", R, &["pending"], "accepted", "{}"),
    row("decline", R, &["pending"], "declined", r#"{"reason": "no budget"}"#),
    row("convert", R, &["accepted"], "closed_converted", r#"{"opportunity": {}}"#),
    row("close", R, &["accepted"], "closed_not_converted", "{}"),
    row("expire", None, &["pending", "accepted"], "expired", "{}"),
    row("withdraw", S, &["pending"], "withdrawn", "{}"),
    row("reassign", S, &["pending", "declined", "expired", "withdrawn"], "pending", r#"{"partnershipId": "p"}"#),
];
const DEAL_STAGES: [(&str, &str, StageKind, bool); 6] = [
    ("qualified", "Qualified", StageKind::Active, false),
    ("proposal", "Proposal", StageKind::Active, false),
    ("negotiation", "Negotiation", StageKind::Active, false),
    ("won", "Won", StageKind::Won, true),
    ("lost", "Lost", StageKind::Lost, true),
    ("discontinued", "Discontinued", StageKind::Closed, true),
];
const OPEN: &[&str] = &["qualified", "proposal", "negotiation"];
const DEAL_ROWS: [Row; 6] = [
    row("requalify", R, &["proposal", "negotiation"], "qualified", "{}"),
    row("propose", R, &["qualified", "negotiation"], "proposal", "{}"),
    row("negotiate", R, &["qualified", "proposal"], "negotiation", "{}"),
    row("win", R, OPEN, "won", r#"{"value": {"amount": "1", "currency": "EUR"}, "closeDate": "2026-11-21"}"#),
    row("lose", R, OPEN, "lost", r#"{"reason": "price"}"#),
    row("discontinue", R, OPEN, "discontinued", r#"{"reason": "customer gone"}"#),
];

/// What the tables say of one call.
fn expected(
    row: &Row,
    recorded: &str,
    kinds: &[(&str, &str, StageKind, bool)],
    caller: Caller<'_>,
    active: bool,
    late: bool,
) -> Option<ErrorCode> {
    let due = late && matches!(recorded, "pending" | "accepted");
    let stage = if due { "expired" } else { recorded };
    let Caller::Member { side, roles, .. } = caller else {
        return match row.side {
            Some(_) => Some(ErrorCode::Forbidden),
            None if due => None,
            None => Some(ErrorCode::InvalidTransition),
        };
    };
    let may = |role: &Role| match role {
        Role::Admin | Role::Sales | Role::Marketeer | Role::Manager => true,
        Role::Integration => row.machine,
        Role::Viewer => false,
    };
    if row.side != Some(side) || !roles.iter().any(may) {
        return Some(ErrorCode::Forbidden);
    }
    if !active {
        return Some(ErrorCode::LeadInactive);
    }
    if row.from.contains(&stage) {
        return None;
    }
    let kind = kinds.iter().find(|(key, ..)| *key == stage).unwrap().2;
    Some(if kind == StageKind::Expired { ErrorCode::LeadExpired } else { ErrorCode::InvalidTransition })
}

fn role_sets() -> Vec<Vec<Role>> {
    let mut sets: Vec<Vec<Role>> = Role::ALL.into_iter().map(|role| vec![role]).collect();
    sets.extend([vec![], vec![Role::Viewer, Role::Sales], vec![Role::Integration, Role::Viewer]]);
    sets
}

fn follows_the_table(definition: &Definition, stages: &[(&str, &str, StageKind, bool)], rows: &[Row]) {
    let found: Vec<_> = definition
        .stages
        .iter()
        .map(|stage| (stage.key.as_str(), stage.name.as_str(), stage.kind, stage.terminal))
        .collect();
    assert_eq!(found, stages);
    let found: Vec<_> = definition.actions.iter().map(|action| action.key.as_str()).collect();
    assert_eq!(found, rows.iter().map(|row| row.action).collect::<Vec<_>>());

    let sets = role_sets();
    let mut callers = vec![Caller::System];
    for side in [Side::Source, Side::Receiver] {
        for roles in &sets {
            for owner in [false, true] {
                callers.push(Caller::Member { side, roles, owner });
            }
        }
    }
    let mut allowed = 0;
    for (stage, ..) in stages {
        for (active, late) in [(true, false), (true, true), (false, false), (false, true)] {
            let end = now() + if late { TimeDelta::zero() } else { TimeDelta::milliseconds(1) };
            // The opportunity has no counter.
            let facts = if definition.subject == Subject::Lead { counting(stage, end) } else { facts(stage) };
            let facts = Facts { active, ..facts };
            for caller in &callers {
                let offered = available(definition, &facts, *caller, now());
                for row in rows {
                    let expected = expected(row, stage, stages, *caller, active, late);
                    let decision =
                        run(definition, &facts, *caller, row.action, &serde_json::from_str(row.form).unwrap());
                    let case = format!("{} from {stage}, {caller:?}, active {active}, late {late}", row.action);
                    assert_eq!(offered.iter().any(|action| action.key == row.action), expected.is_none(), "{case}");
                    match decision {
                        Ok(decision) => {
                            assert_eq!(expected, None, "{case}");
                            assert_eq!(decision.to.key, row.to, "{case}");
                            allowed += 1;
                        }
                        Err(refusal) => {
                            let fault = fault(refusal);
                            assert_eq!(Some(fault.code), expected, "{case}: {}", fault.message);
                            assert_eq!(fault.action.as_deref(), Some(row.action));
                            assert!(fault.stage.is_some());
                        }
                    }
                }
            }
        }
    }
    assert!(allowed > 0);
}

#[test]
fn a_shared_lead_follows_the_table_for_every_stage_action_and_caller() {
    follows_the_table(&partner_lead(), &LEAD_STAGES, &LEAD_ROWS);
}

#[test]
fn an_opportunity_follows_the_table_for_every_stage_action_and_caller() {
    follows_the_table(&opportunity(), &DEAL_STAGES, &DEAL_ROWS);
}

// --- What each action changes ---

fn changes_of(facts: &Facts<'_>, caller: Caller<'_>, action: &str, values: &Value) -> Vec<Change> {
    run(&partner_lead(), facts, caller, action, values).unwrap().changes
}

#[test]
fn each_action_of_a_shared_lead_changes_what_the_table_says() {
    let (week, month) = (TimeLimit::parse("P7D").unwrap(), TimeLimit::parse("P30D").unwrap());
    let limits = |facts| Facts { answer_within: Some(&week), convert_within: Some(&month), ..facts };
    let answer = Change::StartCounter(at("2026-11-28T09:30:00Z"), "expire".to_owned());
    let convert = Change::StartCounter(at("2026-12-21T09:30:00Z"), "expire".to_owned());
    let passed = Change::NewAssignment("p".to_owned());
    let date = |date| Change::Date(date, now());
    let reason = |reason: &str| Change::Reason(Some(reason.to_owned()));
    let later = now() + TimeDelta::days(1);
    for (stage, caller, action, values, changes) in [
        ("new", SOURCE, "share", json!({"partnershipId": " p "}), vec![passed.clone(), answer.clone()]),
        ("pending", RECEIVER, "accept", json!({}), vec![date(DateKey::Accepted), convert]),
        (
            "pending",
            RECEIVER,
            "decline",
            json!({"reason": " no\r\nbudget "}),
            vec![date(DateKey::Declined), reason("no\nbudget"), Change::StopCounter, Change::Archived(true)],
        ),
        (
            "accepted",
            RECEIVER,
            "convert",
            json!({"opportunityId": "o"}),
            vec![
                date(DateKey::Converted),
                date(DateKey::Closed),
                Change::StopCounter,
                Change::LinkOpportunity("o".to_owned()),
            ],
        ),
        (
            "accepted",
            RECEIVER,
            "convert",
            json!({"opportunityId": null, "opportunity": {"name": "Deal"}}),
            vec![
                date(DateKey::Converted),
                date(DateKey::Closed),
                Change::StopCounter,
                Change::CreateOpportunity(json!({"name": "Deal"}).as_object().unwrap().clone()),
            ],
        ),
        (
            "accepted",
            RECEIVER,
            "close",
            json!({}),
            vec![date(DateKey::Closed), Change::Reason(None), Change::StopCounter],
        ),
        (
            "pending",
            SOURCE,
            "withdraw",
            json!({"reason": "wrong partner"}),
            vec![reason("wrong partner"), Change::StopCounter, Change::EndAssignment],
        ),
        ("declined", SOURCE, "reassign", json!({"partnershipId": "p"}), vec![Change::Archived(false), passed, answer]),
    ] {
        let facts = limits(counting(stage, later));
        assert_eq!(changes_of(&facts, caller, action, &values), changes, "{action}");
    }
}

#[test]
fn a_won_opportunity_keeps_its_value_and_its_close_date() {
    let values = json!({"value": {"amount": "12.5", "currency": "EUR"}, "closeDate": "2026-11-21"});
    let decision = run(&opportunity(), &facts("negotiation"), RECEIVER, "win", &values).unwrap();
    let mut faults = Vec::new();
    let money = Money::parse("12.50", "EUR", "x", &mut faults).unwrap();
    let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
    assert_eq!(decision.changes, [Change::Value(money), Change::CloseDate(day)]);
    assert_eq!(decision.form.len(), 2);

    let faults = faults_of(&opportunity(), &facts("negotiation"), "win", &json!({"value": {"amount": "-1"}}));
    assert_eq!(faults, ["input.value.currency", "input.closeDate"]);
    for action in ["lose", "discontinue"] {
        let refusal = run(&opportunity(), &facts("proposal"), RECEIVER, action, &json!({"reason": " "})).unwrap_err();
        assert_eq!(code(refusal), ErrorCode::Required);
    }
}

fn faults_of(definition: &Definition, facts: &Facts<'_>, action: &str, values: &Value) -> Vec<String> {
    let refusal = run(definition, facts, RECEIVER, action, values).unwrap_err();
    faults(refusal).into_iter().map(|fault| fault.field.unwrap()).collect()
}

#[test]
fn a_decline_needs_a_reason_that_is_not_blank() {
    for values in [json!({}), json!({"reason": null}), json!({"reason": " \n\u{200B} "})] {
        let refusal = run(&partner_lead(), &facts("pending"), RECEIVER, "decline", &values).unwrap_err();
        let fault = fault(refusal);
        assert_eq!((fault.code, fault.field.as_deref()), (ErrorCode::Required, Some("input.reason")));
        assert_eq!((fault.action.as_deref(), fault.stage.as_deref()), (Some("decline"), Some("pending")));
    }
    let values = json!({"reason": "x".repeat(2001)});
    let refusal = run(&partner_lead(), &facts("pending"), RECEIVER, "decline", &values).unwrap_err();
    assert_eq!(code(refusal), ErrorCode::InvalidInput);
}

#[test]
fn a_conversion_needs_exactly_one_opportunity() {
    for (values, code, field) in [
        (json!({}), ErrorCode::Required, "input.opportunityId"),
        (json!({"opportunityId": "o", "opportunity": {}}), ErrorCode::InvalidInput, "input.opportunity"),
    ] {
        let refusal = run(&partner_lead(), &facts("accepted"), RECEIVER, "convert", &values).unwrap_err();
        let fault = fault(refusal);
        assert_eq!((fault.code, fault.field.as_deref()), (code, Some(field)));
        assert!(fault.message.contains("opportunityId or opportunity"), "{}", fault.message);
    }
}

// --- Time ---

#[test]
fn a_lead_past_its_limit_is_expired_for_everybody_at_once() {
    let lead = partner_lead();
    for stage in ["pending", "accepted"] {
        assert_eq!(as_of(&lead, &counting(stage, now() + TimeDelta::milliseconds(1)), now()).key, stage);
        assert_eq!(as_of(&lead, &counting(stage, now()), now()).key, "expired");
    }
    // A counter has no power over a stage that its action is not possible from.
    assert_eq!(as_of(&lead, &counting("declined", now()), now()).key, "declined");
    // An action of people is never taken by itself.
    let facts = Facts { expires_at: Some(now()), on_expiry: Some("accept"), ..facts("pending") };
    assert_eq!(as_of(&lead, &facts, now()).key, "pending");

    let late = counting("pending", now());
    let refusal = fault(run(&lead, &late, RECEIVER, "accept", &json!({})).unwrap_err());
    assert_eq!((refusal.code, refusal.stage.as_deref()), (ErrorCode::LeadExpired, Some("expired")));
    assert!(refusal.message.ends_with("There is nothing you can do at this stage."), "{}", refusal.message);
    let decision = run(&lead, &late, SOURCE, "reassign", &json!({"partnershipId": "p"})).unwrap();
    assert_eq!(decision.from.key, "expired");
}

#[test]
fn the_system_records_the_moment_the_limit_passed_however_late_it_comes() {
    let end = now() - TimeDelta::days(3);
    for active in [true, false] {
        let facts = Facts { active, ..counting("accepted", end) };
        let decision = run(&partner_lead(), &facts, Caller::System, "expire", &json!({})).unwrap();
        assert_eq!((decision.from.key.as_str(), decision.to.key.as_str()), ("accepted", "expired"));
        assert_eq!(decision.changes, [Change::Date(DateKey::Expired, end), Change::StopCounter]);
        assert_eq!(due(&partner_lead(), &facts, now()).unwrap().key, "expire");
    }
}

#[test]
fn the_caller_s_limit_goes_before_the_template_s_and_lies_ahead() {
    let week = TimeLimit::parse("P7D").unwrap();
    let share = |own: Option<DateTime<Utc>>, template: Option<&TimeLimit>| {
        let facts = Facts { expires_at_override: own, answer_within: template, ..facts("new") };
        run(&partner_lead(), &facts, SOURCE, "share", &json!({"partnershipId": "p"}))
    };
    let own = now() + TimeDelta::hours(1);
    let ends = |end| Change::StartCounter(end, "expire".to_owned());
    assert_eq!(share(Some(own), Some(&week)).unwrap().changes[1], ends(own));
    assert_eq!(share(Some(own), None).unwrap().changes[1], ends(own));
    assert_eq!(share(None, Some(&week)).unwrap().changes[1], ends(now() + TimeDelta::days(7)));
    assert_eq!(share(None, None).unwrap().changes[1], Change::StopCounter);
    for bad in [now(), now() - TimeDelta::days(1), now() + TimeDelta::days(3700), DateTime::<Utc>::MAX_UTC] {
        let fault = fault(share(Some(bad), Some(&week)).unwrap_err());
        assert_eq!((fault.code, fault.field.as_deref()), (ErrorCode::InvalidInput, Some("input.expiresAt")));
    }
    let facts = Facts { expires_at_override: Some(own), ..facts("accepted") };
    assert_eq!(faults_of(&partner_lead(), &facts, "close", &json!({"x": 1})), ["input.x", "input.expiresAt"]);
}

#[test]
fn a_counter_that_has_no_more_meaning_stops_without_being_told() {
    let mut lead = (*partner_lead()).clone();
    // As a company might write it: nothing said of the counter.
    lead.actions[4].effects.clear();
    lead.actions[7].effects.retain(|effect| !matches!(effect, Effect::StartCounter { .. }));
    assert_eq!(check(&lead), Ok(()));
    let later = now() + TimeDelta::days(1);
    let close = run(&lead, &counting("accepted", later), RECEIVER, "close", &json!({})).unwrap();
    assert_eq!(close.changes, [Change::StopCounter]);
    // Passed on after its end, it must not be expired again by the limit of the assignment before.
    let anew = run(&lead, &counting("pending", now()), SOURCE, "reassign", &json!({"partnershipId": "p"})).unwrap();
    assert_eq!(anew.changes.last(), Some(&Change::StopCounter));
    // One that still has a meaning runs on.
    let anew = run(&lead, &counting("pending", later), SOURCE, "reassign", &json!({"partnershipId": "p"})).unwrap();
    assert!(!anew.changes.contains(&Change::StopCounter));
}

// --- Refusals in words ---

#[test]
fn refusals_say_what_would_be_right() {
    let lead = partner_lead();
    let cases = [
        (
            facts("pending"),
            RECEIVER,
            "steal",
            "There is no action \"steal\" in this workflow. Possible for you now: accept (to Accepted), decline (to Declined).",
        ),
        (
            facts("declined"),
            RECEIVER,
            "accept",
            "accept is not possible at the stage Declined. There is nothing you can do at this stage.",
        ),
        (
            facts("declined"),
            SOURCE,
            "withdraw",
            "withdraw is not possible at the stage Declined. Possible for you now: reassign (to Pending).",
        ),
        (facts("pending"), SOURCE, "accept", "accept is for members of the company that received the lead."),
        (facts("pending"), RECEIVER, "withdraw", "withdraw is for members of the company that the lead comes from."),
        (facts("pending"), RECEIVER, "expire", "Nobody can take expire: the system takes it when the limit passes."),
        (
            facts("pending"),
            member(Side::Receiver, &[Role::Viewer]),
            "accept",
            "accept needs the role ADMIN, SALES, MARKETEER or MANAGER.",
        ),
        (
            facts("new"),
            member(Side::Source, &[Role::Viewer]),
            "share",
            "share needs the role ADMIN, SALES, MARKETEER, MANAGER or INTEGRATION.",
        ),
        (
            Facts { active: false, ..facts("pending") },
            RECEIVER,
            "accept",
            "It is deactivated and read-only until it is activated again.",
        ),
        (facts("pending"), Caller::System, "accept", "accept is a person's decision, not the system's."),
        (facts("pending"), Caller::System, "expire", "The time limit has not passed."),
    ];
    for (facts, caller, action, message) in cases {
        assert_eq!(fault(run(&lead, &facts, caller, action, &json!({})).unwrap_err()).message, message);
    }
    let long = "x".repeat(10_000);
    assert!(fault(run(&lead, &facts("pending"), RECEIVER, &long, &json!({})).unwrap_err()).message.len() < 300);
}

#[test]
fn an_owner_s_action_is_for_the_owner_alone() {
    let mut lead = (*partner_lead()).clone();
    lead.actions[1].allow = vec![
        Rule { side: Side::Receiver, roles: vec![Role::Admin, Role::Sales], owner_only: false },
        Rule { side: Side::Receiver, roles: vec![Role::Marketeer], owner_only: true },
    ];
    let accept = |roles: &[Role], owner| {
        let caller = Caller::Member { side: Side::Receiver, roles, owner };
        run(&lead, &facts("pending"), caller, "accept", &json!({})).map(|_| ()).map_err(|refusal| match refusal {
            Refusal::Forbidden { lacks, .. } => lacks,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(accept(&[Role::Sales], false), Ok(()));
    assert_eq!(accept(&[Role::Marketeer], true), Ok(()));
    assert_eq!(accept(&[Role::Marketeer], false), Err(Lack::Owner));
    assert_eq!(accept(&[Role::Marketeer, Role::Admin], false), Ok(()));
    assert_eq!(accept(&[Role::Manager], true), Err(Lack::Role(vec![Role::Admin, Role::Sales, Role::Marketeer])));
}

#[test]
fn what_stands_at_a_stage_that_its_definition_does_not_have_can_be_read_but_not_moved() {
    let facts = facts("gone");
    assert_eq!(as_of(&partner_lead(), &facts, now()).key, "unknown");
    assert!(available(&partner_lead(), &facts, RECEIVER, now()).is_empty());
    let refusal = run(&partner_lead(), &facts, RECEIVER, "accept", &json!({})).unwrap_err();
    assert_eq!(code(refusal), ErrorCode::InvalidTransition);
}

// --- Moving by stage ---

#[test]
fn a_stage_is_found_by_key_or_name_whatever_the_case() {
    let lead = partner_lead();
    for (text, key) in [
        ("accepted", "accepted"),
        ("ACCEPTED", "accepted"),
        (" Accepted ", "accepted"),
        ("Closed - Converted", "closed_converted"),
        ("closed converted", "closed_converted"),
        ("CLOSED_NOT_CONVERTED", "closed_not_converted"),
        ("closedNotConverted", "closed_not_converted"),
    ] {
        assert_eq!(find_stage(&lead, text).map(|stage| stage.key.as_str()), Some(key), "{text}");
    }
    for text in ["", " ", "-", "closed", "Won", "acceptéd"] {
        assert_eq!(find_stage(&lead, text), None, "{text}");
    }
}

#[test]
fn moving_to_a_stage_takes_the_action_that_leads_there() {
    let lead = partner_lead();
    let to = |recorded: Facts<'_>, stage: &str, caller| {
        action_to(&lead, &recorded, find_stage(&lead, stage).unwrap(), caller, now()).map(|action| action.key.clone())
    };
    assert_eq!(to(facts("pending"), "Accepted", RECEIVER).as_deref(), Ok("accept"));
    assert_eq!(to(facts("pending"), "Declined", RECEIVER).as_deref(), Ok("decline"));
    assert_eq!(to(facts("accepted"), "Closed - Converted", RECEIVER).as_deref(), Ok("convert"));
    assert_eq!(to(facts("new"), "Pending", SOURCE).as_deref(), Ok("share"));
    assert_eq!(to(facts("withdrawn"), "Pending", SOURCE).as_deref(), Ok("reassign"));
    // Refused by decide, with the reason.
    for (recorded, stage, caller, expected) in [
        (facts("pending"), "Accepted", SOURCE, ErrorCode::Forbidden),
        (facts("declined"), "Accepted", RECEIVER, ErrorCode::InvalidTransition),
        (facts("accepted"), "Accepted", RECEIVER, ErrorCode::InvalidTransition),
        (facts("pending"), "Closed - Converted", RECEIVER, ErrorCode::InvalidTransition),
        (counting("pending", now()), "Accepted", RECEIVER, ErrorCode::LeadExpired),
        (Facts { active: false, ..facts("pending") }, "Accepted", RECEIVER, ErrorCode::LeadInactive),
    ] {
        let action = to(recorded.clone(), stage, caller).unwrap();
        let refusal = run(&lead, &recorded, caller, &action, &json!({})).unwrap_err();
        assert_eq!(code(refusal), expected, "{stage} from {}", recorded.stage);
    }
    assert_eq!(code(to(facts("pending"), "Expired", RECEIVER).unwrap_err()), ErrorCode::Forbidden);
    let nowhere = fault(to(facts("pending"), "New", RECEIVER).unwrap_err());
    assert_eq!(nowhere.code, ErrorCode::InvalidTransition);
    assert_eq!(nowhere.stage.as_deref(), Some("pending"));
    assert_eq!(
        nowhere.message,
        "No action leads to New at the stage Pending. Possible for you now: accept (to Accepted), decline (to Declined)."
    );

    let deal = opportunity();
    for (from, to, key) in [
        ("qualified", "Negotiation", "negotiate"),
        ("negotiation", "qualified", "requalify"),
        ("proposal", "WON", "win"),
        ("qualified", "discontinued", "discontinue"),
    ] {
        let action = action_to(&deal, &facts(from), find_stage(&deal, to).unwrap(), RECEIVER, now()).unwrap();
        assert_eq!(action.key, key);
    }
}

// --- Any definition, any sequence of calls ---

/// Choices that a definition is built from; shaped so that it is sound.
#[derive(Clone, Debug)]
struct Plan {
    kinds: Vec<StageKind>,
    ends: Vec<bool>,
    /// For each stage but the first, where the action that reaches it comes from.
    reach: Vec<prop::sample::Index>,
    extra: Vec<(Vec<prop::sample::Index>, prop::sample::Index)>,
    lapse: Option<(Vec<prop::sample::Index>, prop::sample::Index)>,
    /// For each action: side, roles, owner only, fields, dates, counter.
    style: Vec<(bool, u8, bool, u8, u8, bool)>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let index = any::<prop::sample::Index>;
    (2usize..7).prop_flat_map(move |stages| {
        (
            prop::collection::vec(prop::sample::select(StageKind::ALL.to_vec()), stages),
            prop::collection::vec(any::<bool>(), stages),
            prop::collection::vec(index(), stages - 1),
            prop::collection::vec((prop::collection::vec(index(), 1..4), index()), 0..6),
            prop::option::weighted(0.8, (prop::collection::vec(index(), 1..4), index())),
            prop::collection::vec(any::<(bool, u8, bool, u8, u8, bool)>(), 32),
        )
            .prop_map(|(kinds, ends, reach, extra, lapse, style)| Plan {
                kinds,
                ends,
                reach,
                extra,
                lapse,
                style,
            })
    })
}

const DATES: [DateKey; 5] =
    [DateKey::Accepted, DateKey::Declined, DateKey::Expired, DateKey::Converted, DateKey::Closed];

#[expect(clippy::too_many_lines, reason = "a definition, from its head to its end")]
fn build(plan: &Plan) -> Definition {
    let key = |i: usize| format!("s{i}");
    let count = plan.kinds.len();
    let end = |i: usize| i > 0 && plan.ends[i];
    let mut moves: Vec<(Vec<usize>, usize)> = Vec::new();
    for (i, from) in plan.reach.iter().enumerate() {
        // Only from a stage that is reached itself and is no end.
        let open: Vec<usize> = (0..=i).filter(|stage| !end(*stage)).collect();
        moves.push((vec![open[from.index(open.len())]], i + 1));
    }
    for (from, to) in &plan.extra {
        let mut from: Vec<usize> = from.iter().map(|from| from.index(count)).collect();
        from.sort_unstable();
        from.dedup();
        moves.push((from, to.index(count)));
    }
    for stage in 0..count {
        if !end(stage) && !moves.iter().any(|(from, _)| from.contains(&stage)) {
            moves.push((vec![stage], (stage + 1) % count));
        }
    }
    // The system's action: from stages that an action leads to, so that a counter can be started there.
    let lapse = plan.lapse.as_ref().and_then(|(from, to)| {
        let open: Vec<usize> =
            (0..count).filter(|stage| !end(*stage) && moves.iter().any(|(_, to)| to == stage)).collect();
        if open.is_empty() {
            return None;
        }
        let mut from: Vec<usize> = from.iter().map(|from| open[from.index(open.len())]).collect();
        from.sort_unstable();
        from.dedup();
        Some((from, to.index(count)))
    });
    let mut actions = Vec::new();
    let mut started = false;
    for (i, (from, to)) in moves.iter().enumerate() {
        let (source, roles, owner_only, fields, dates, counter) = plan.style[i % plan.style.len()];
        let mut effects = Vec::new();
        let mut form = Vec::new();
        let field = |key: &str, kind: &str, required: bool| json!({"key": key, "label": key, "type": kind, "required": required});
        let mut groups = json!([]);
        if from.iter().any(|stage| end(*stage)) || fields & 64 != 0 {
            form.push(field("partnershipId", "PARTNERSHIP", true));
            effects.push(json!({"do": "NEW_ASSIGNMENT"}));
        }
        if fields & 1 != 0 {
            form.push(field("reason", "LONG_TEXT", fields & 2 != 0));
            effects.push(json!({"do": "KEEP_REASON"}));
        }
        if fields & 4 != 0 {
            form.push(field("opportunityId", "OPPORTUNITY", false));
            form.push(field("opportunity", "OPPORTUNITY_FORM", false));
            groups = json!([["opportunityId", "opportunity"]]);
            effects.push(json!({"do": "LINK_OPPORTUNITY"}));
        }
        let kinds = ["TEXT", "INTEGER", "DECIMAL", "MONEY", "DATE", "DATE_TIME", "BOOLEAN", "MEMBER"];
        if fields & 8 != 0 {
            form.push(field("extra", kinds[usize::from(fields >> 4) % kinds.len()], fields & 16 != 0));
        }
        for (j, date) in DATES.iter().enumerate() {
            if dates & (1 << j) != 0 {
                effects.push(json!({"do": "RECORD_DATE", "date": date}));
            }
        }
        match &lapse {
            Some((from, _)) if from.contains(to) && (counter || !started) => {
                started = true;
                effects.push(json!({"do": "START_COUNTER", "limit": if counter { "ANSWER" } else { "CONVERT" }, "then": "lapse"}));
            }
            _ if counter => effects.push(json!({"do": "STOP_COUNTER"})),
            _ => {}
        }
        let mut allowed: Vec<Role> =
            Role::PEOPLE.into_iter().enumerate().filter(|(j, _)| roles & (1 << j) != 0).map(|(_, role)| role).collect();
        if allowed.is_empty() {
            allowed.push(Role::Sales);
        }
        actions.push(json!({
            "key": format!("a{i}"), "name": format!("Action {i}"),
            "from": from.iter().map(|stage| key(*stage)).collect::<Vec<_>>(), "to": key(*to),
            "allow": [{"side": if source { "SOURCE" } else { "RECEIVER" }, "roles": allowed, "ownerOnly": owner_only}],
            "fields": form, "exactlyOneOf": groups, "effects": effects,
        }));
    }
    if let Some((from, to)) = &lapse {
        actions.push(json!({
            "key": "lapse", "name": "Lapse", "system": true,
            "from": from.iter().map(|stage| key(*stage)).collect::<Vec<_>>(), "to": key(*to),
            "effects": [{"do": "RECORD_DATE", "date": "EXPIRED"}, {"do": "STOP_COUNTER"}],
        }));
    }
    let stages: Vec<Value> = (0..count)
        .map(|i| json!({"key": key(i), "name": format!("Stage {i}"), "kind": plan.kinds[i], "terminal": end(i)}))
        .map(|mut stage| {
            // "s1" and "Stage 1" are one stage's; no other has them.
            if stage["terminal"] == json!(false) {
                stage.as_object_mut().unwrap().remove("terminal");
            }
            stage
        })
        .collect();
    serde_json::from_value(json!({
        "key": "any", "version": 1, "name": "Any", "subject": "LEAD", "initial": "s0",
        "stages": stages, "actions": actions,
    }))
    .unwrap()
}

/// One call of a sequence.
#[derive(Clone, Debug)]
struct Call {
    action: prop::sample::Index,
    system: bool,
    side: bool,
    roles: Vec<Role>,
    owner: bool,
    /// How the form is filled in.
    form: u8,
    junk: String,
    wait: i64,
    /// Whether the system records what is due before the call, as the sweep may have done.
    swept: bool,
    toggles: bool,
    /// Whether it keeps to what is offered.
    offered: bool,
}

fn call() -> impl Strategy<Value = Call> {
    (
        (any::<prop::sample::Index>(), prop::bool::weighted(0.1), any::<bool>(), any::<bool>()),
        prop::collection::vec(prop::sample::select(Role::ALL.to_vec()), 0..4),
        (0u8..4, "\\PC{0,4}"),
        (0i64..200, any::<bool>(), prop::bool::weighted(0.05), any::<bool>()),
    )
        .prop_map(|((action, system, side, owner), roles, (form, junk), (wait, swept, toggles, offered))| Call {
            action,
            system,
            side,
            roles,
            owner,
            form,
            junk,
            wait,
            swept,
            toggles,
            offered,
        })
}

/// A record as the service would keep it.
struct Record {
    stage: String,
    expires_at: Option<DateTime<Utc>>,
    on_expiry: Option<String>,
    active: bool,
    /// Every moment recorded, in order.
    moments: Vec<DateTime<Utc>>,
    /// The dates of the present assignment.
    dates: HashSet<DateKey>,
}

impl Record {
    fn new(definition: &Definition) -> Self {
        Self {
            stage: definition.initial.clone(),
            expires_at: None,
            on_expiry: None,
            active: true,
            moments: Vec::new(),
            dates: HashSet::new(),
        }
    }

    fn facts<'a>(&'a self, week: &'a TimeLimit, month: &'a TimeLimit) -> Facts<'a> {
        Facts {
            stage: &self.stage,
            expires_at: self.expires_at,
            on_expiry: self.on_expiry.as_deref(),
            active: self.active,
            answer_within: Some(week),
            convert_within: Some(month),
            expires_at_override: None,
        }
    }

    /// Carries a decision out; with `once`, a date recorded twice in an assignment is a fault.
    fn apply(&mut self, decision: &Decision, now: DateTime<Utc>, once: bool) -> Result<(), TestCaseError> {
        self.stage.clone_from(&decision.to.key);
        if decision.changes.iter().any(|change| matches!(change, Change::NewAssignment(_))) {
            self.dates.clear();
        }
        let earlier = self.moments.last().copied();
        let mut counters = 0;
        for change in &decision.changes {
            match change {
                Change::Date(date, at) => {
                    prop_assert!(*at <= now, "a date lies ahead");
                    prop_assert!(earlier.is_none_or(|earlier| earlier <= *at), "a date lies before an earlier one");
                    self.moments.push(*at);
                    prop_assert!(self.dates.insert(*date) || !once, "{date:?} twice");
                }
                Change::StartCounter(end, then) => {
                    prop_assert!(*end > now);
                    counters += 1;
                    (self.expires_at, self.on_expiry) = (Some(*end), Some(then.clone()));
                }
                Change::StopCounter => {
                    counters += 1;
                    (self.expires_at, self.on_expiry) = (None, None);
                }
                _ => {}
            }
        }
        prop_assert!(counters <= 1);
        Ok(())
    }
}

fn play(definition: &Definition, calls: &[Call], once: bool) -> Result<(), TestCaseError> {
    let (week, month) = (TimeLimit::parse("PT100S").unwrap(), TimeLimit::parse("PT300S").unwrap());
    let mut record = Record::new(definition);
    let mut now = now();
    for call in calls {
        now += TimeDelta::seconds(call.wait);
        record.active ^= call.toggles;
        if call.swept || once {
            let facts = record.facts(&week, &month);
            if let Some(action) = due(definition, &facts, now) {
                let seen = as_of(definition, &facts, now).key.clone();
                let empty = Map::new();
                let form = Form { values: &empty, prefix: "input" };
                let decision = decide(definition, &facts, Caller::System, &action.key, &form, now).unwrap();
                prop_assert_eq!(&decision.to.key, &seen, "what is recorded is what everybody saw");
                record.apply(&decision, now, once)?;
            }
        }
        let caller = if call.system {
            Caller::System
        } else {
            let side = if call.side { Side::Source } else { Side::Receiver };
            Caller::Member { side, roles: &call.roles, owner: call.owner }
        };
        let facts = record.facts(&week, &month);
        let stage = as_of(definition, &facts, now);
        let offered = available(definition, &facts, caller, now);
        for action in &definition.actions {
            let values = filled(action);
            let decision =
                decide(definition, &facts, caller, &action.key, &Form { values: &values, prefix: "input" }, now);
            let offers = offered.iter().any(|offered| offered.key == action.key);
            prop_assert_eq!(offers, decision.is_ok(), "{}: {:?}", action.key, decision);
            // With no form at all, what is offered is refused for the form alone, and what is not stays refused so.
            let empty = Map::new();
            match decide(definition, &facts, caller, &action.key, &Form { values: &empty, prefix: "input" }, now) {
                Ok(_) | Err(Refusal::Form { .. }) => prop_assert!(offers),
                Err(_) => prop_assert!(!offers),
            }
        }
        for to in &definition.stages {
            if let Ok(action) = action_to(definition, &facts, to, caller, now) {
                prop_assert!(!action.system && action.to == to.key);
                let reachable = offered.iter().any(|offered| !offered.system && offered.to == to.key);
                prop_assert_eq!(reachable, offered.iter().any(|offered| offered.key == action.key));
            }
        }
        // Half of the calls take what is offered, so that a sequence gets somewhere.
        let action = match offered.as_slice() {
            [_, ..] if call.offered => offered[call.action.index(offered.len())],
            _ => &definition.actions[call.action.index(definition.actions.len())],
        };
        let mut values = if call.form == 3 { Map::new() } else { filled(action) };
        if call.form == 2 {
            values.insert(call.junk.clone(), json!(call.junk));
        }
        match decide(definition, &facts, caller, &action.key, &Form { values: &values, prefix: "input" }, now) {
            Ok(decision) => {
                prop_assert!(action.from.contains(&decision.from.key), "no transition outside the table");
                prop_assert_eq!(&decision.to.key, &action.to);
                let from = if call.system { record.stage.as_str() } else { &stage.key };
                prop_assert_eq!(&decision.from.key, from);
                let anew = decision.changes.iter().any(|change| matches!(change, Change::NewAssignment(_)));
                prop_assert!(!decision.from.terminal || anew, "an end was left");
                record.apply(&decision, now, once)?;
                if !call.system {
                    record.moments.push(now);
                }
                let facts = record.facts(&week, &month);
                prop_assert_eq!(&as_of(definition, &facts, now).key, &decision.to.key, "a new stage has ended already");
                if let Some(then) = facts.on_expiry {
                    let then = definition.action(then).unwrap();
                    prop_assert!(then.from.contains(&record.stage), "a counter runs that can't end this stage");
                }
            }
            Err(refusal) => {
                let Error::Faults(faults) = Error::from(refusal) else {
                    return Err(TestCaseError::fail("a refusal is the caller's"));
                };
                prop_assert!(!faults.is_empty());
                prop_assert!(faults.iter().all(|fault| fault.action.is_some() && !fault.message.is_empty()));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_sequence_of_calls_leaves_the_table_of_any_sound_definition(
        plan in plan(),
        calls in prop::collection::vec(call(), 1..30),
    ) {
        let definition = build(&plan);
        prop_assert_eq!(check(&definition), Ok(()));
        play(&definition, &calls, false)?;
    }

    #[test]
    fn a_shared_lead_records_each_date_once_an_assignment_and_in_order(
        calls in prop::collection::vec(call(), 1..60),
    ) {
        play(&partner_lead(), &calls, true)?;
    }

    #[test]
    fn an_opportunity_never_leaves_its_end(calls in prop::collection::vec(call(), 1..40)) {
        play(&opportunity(), &calls, true)?;
    }
}
