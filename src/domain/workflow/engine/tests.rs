use std::{collections::HashSet, sync::Arc};

use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::domain::{
    customer::{Address, Contact, Customer},
    global_id::{self, NodeType},
    id::{CompanyId, LeadId, MemberId, TemplateId},
    lead::{Details, WorkflowRef},
    qualification::Qualification,
    workflow::{
        builtin::{all, builtin},
        check::check,
        definition::FieldType,
    },
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
        status: None,
        stage_locked: false,
        expires_at: None,
        on_expiry: None,
        active: true,
        limits: Limits::default(),
        fields: Fields::None,
        expires_at_override: None,
        orphaned: false,
    }
}

fn counting(stage: &str, expires_at: DateTime<Utc>) -> Facts<'_> {
    Facts { expires_at: Some(expires_at), on_expiry: Some("expire"), ..facts(stage) }
}

/// A member as where there is no partnership.
const fn member(side: Side, roles: &[Role]) -> Caller<'_> {
    Caller::Member { side, vendor: None, moves_stage: false, roles, owner: false }
}

/// A member of the vendor or of the partner, as where leads are submitted.
const fn party(vendor: bool, moves_stage: bool) -> Caller<'static> {
    let side = if vendor { Side::Receiver } else { Side::Source };
    Caller::Member { side, vendor: Some(vendor), moves_stage, roles: &[Role::Sales], owner: false }
}

const RECEIVER: Caller<'_> = member(Side::Receiver, &[Role::Sales]);
const SOURCE: Caller<'_> = member(Side::Source, &[Role::Sales]);

/// A lead of which everything is known.
pub(in super::super) fn whole_lead() -> Lead {
    let text = || Some("known".to_owned());
    Lead {
        id: LeadId(Uuid::from_u128(1)),
        company: CompanyId(Uuid::from_u128(2)),
        side: Side::Source,
        source: CompanyId(Uuid::from_u128(2)),
        receiver: None,
        partnership: None,
        assignment: None,
        template: TemplateId(Uuid::from_u128(3)),
        workflow: WorkflowRef { owner: None, key: "internal-lead".to_owned(), version: 1 },
        number: "L-1".to_owned(),
        title: "New line of presses".to_owned(),
        description: text(),
        lead_source: text(),
        customer: Customer {
            company: "Globex".to_owned(),
            website: text(),
            industry: text(),
            employees: Some(12),
            address: Address {
                street: text(),
                city: Some("Graz".to_owned()),
                region: text(),
                postal_code: text(),
                country: text(),
            },
            contact: Contact::default(),
        },
        value: Money::parse("12.50", "EUR", "x", &mut Vec::new()),
        stage: "assigned".to_owned(),
        stage_kind: StageKind::Active,
        stage_locked: false,
        status: None,
        owner: Some(MemberId(Uuid::from_u128(4))),
        active: true,
        archived: false,
        reason: None,
        expires_at: None,
        on_expiry: None,
        expires_to: None,
        warn_at: None,
        accepted_at: None,
        declined_at: None,
        expired_at: None,
        converted_at: None,
        closed_at: None,
        opportunity: None,
        version: 1,
        ended_at: None,
        created_at: now(),
        updated_at: now(),
        details: Some(Box::new(Details {
            qualification: Qualification {
                goal: text(),
                implementation_options: text(),
                procurement_procedure: text(),
                decision_level: text(),
                terms: text(),
                decision_maker: text(),
                selection_criteria: text(),
                compliance_with_criteria: text(),
                channel: text(),
            },
            ..Details::default()
        })),
        vendor: None,
        stage_moved_by: None,
    }
}

/// The same without anything that may be left out.
pub(in super::super) fn bare_lead() -> Lead {
    Lead {
        description: None,
        lead_source: None,
        customer: Customer {
            company: "Globex".to_owned(),
            website: None,
            industry: None,
            employees: None,
            address: Address::default(),
            contact: Contact::default(),
        },
        value: None,
        owner: None,
        details: None,
        ..whole_lead()
    }
}

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

fn submitted_lead() -> Arc<Definition> {
    builtin("submitted-lead", 1).unwrap()
}

fn internal_lead() -> Arc<Definition> {
    builtin("internal-lead", 1).unwrap()
}

/// A form that the action accepts.
fn filled(action: &Action) -> Map<String, Value> {
    let one_of_others =
        |field: &Field| action.exactly_one_of.iter().any(|group| group.iter().skip(1).any(|key| *key == field.key));
    let skipped = |field: &Field| field.read_only || one_of_others(field);
    let id = |kind| json!(global_id::encode(kind, Uuid::from_u128(7)));
    let value = |field: &Field| match field.kind {
        FieldType::Text | FieldType::LongText => json!("a text"),
        FieldType::Integer => json!(3),
        FieldType::Decimal => json!("3.5"),
        FieldType::Money => json!({"amount": "12.50", "currency": "EUR"}),
        FieldType::Date => json!("2026-12-01"),
        FieldType::DateTime => json!("2026-12-01T00:00:00Z"),
        FieldType::Boolean => json!(true),
        FieldType::Choice => json!(field.options.as_ref().unwrap()[0].value),
        FieldType::Member => id(NodeType::Member),
        FieldType::Opportunity => id(NodeType::Opportunity),
        FieldType::Partnership => id(NodeType::Partnership),
        FieldType::Lead => id(NodeType::Lead),
        FieldType::OpportunityForm => json!({"name": "A deal"}),
    };
    action.fields.iter().filter(|field| !skipped(field)).map(|field| (field.key.clone(), value(field))).collect()
}

// --- The tables, written out from the design and independent of the data files ---

/// Who may: a side, its roles, and whether only the owner.
type Who = (RuleSide, &'static [Role], bool);

struct Row {
    action: &'static str,
    who: &'static [Who],
    from: &'static [&'static str],
    to: Option<&'static str>,
    form: &'static str,
    /// Whether the lead has to be known whole.
    whole: bool,
}

const fn row(
    action: &'static str,
    who: &'static [Who],
    from: &'static [&'static str],
    to: &'static str,
    form: &'static str,
) -> Row {
    Row { action, who, from, to: Some(to), form, whole: false }
}

const fn stays(action: &'static str, who: &'static [Who], from: &'static [&'static str], form: &'static str) -> Row {
    Row { action, who, from, to: None, form, whole: false }
}

const PEOPLE: &[Role] = &[Role::Admin, Role::Sales, Role::Marketeer, Role::Manager];
const MACHINES_TOO: &[Role] = &[Role::Admin, Role::Sales, Role::Marketeer, Role::Manager, Role::Integration];
const S: &[Who] = &[(RuleSide::Source, PEOPLE, false)];
const R: &[Who] = &[(RuleSide::Receiver, PEOPLE, false)];
const PASSES: &[Who] = &[(RuleSide::Source, MACHINES_TOO, false)];
const VENDOR: &[Who] = &[(RuleSide::Vendor, PEOPLE, false)];
const PARTNER: &[Who] = &[(RuleSide::Partner, PEOPLE, false)];
const MOVER: &[Who] = &[(RuleSide::StageMover, PEOPLE, false)];
/// Missions C2 and C3.
const ASSIGNS: &[Who] = &[
    (RuleSide::Source, &[Role::Admin, Role::Sales], false),
    (RuleSide::Source, &[Role::Marketeer, Role::Manager], true),
];
/// Missions C4 and C7.
const OWNER: &[Who] = &[(RuleSide::Source, PEOPLE, true)];
const SYSTEM: &[Who] = &[];

type StageRow = (&'static str, &'static str, StageKind, bool);

struct Table {
    /// The stages of the track STAGE, and those of STATUS.
    stages: &'static [StageRow],
    statuses: &'static [StageRow],
    rows: &'static [Row],
    /// The system's action that the counter ends with.
    ends: Option<&'static str>,
}

const LEAD: Table = Table {
    stages: &[
        ("new", "New", StageKind::Open, false),
        ("pending", "Pending", StageKind::Awaiting, false),
        ("accepted", "Accepted", StageKind::Active, false),
        ("declined", "Declined", StageKind::Declined, true),
        ("expired", "Expired", StageKind::Expired, true),
        ("closed_converted", "Closed - Converted", StageKind::Won, true),
        ("closed_not_converted", "Closed - Not Converted", StageKind::Lost, true),
        ("withdrawn", "Withdrawn", StageKind::Closed, true),
    ],
    statuses: &[],
    rows: &[
        row("share", PASSES, &["new"], "pending", r#"{"partnershipId": "AwGQLFwAAHAAgAAAAAAAAAE"}"#),
        row("accept", R, &["pending"], "accepted", "{}"),
        row("decline", R, &["pending"], "declined", r#"{"reason": "no budget"}"#),
        row("convert", R, &["accepted"], "closed_converted", r#"{"opportunity": {}}"#),
        row("close", R, &["accepted"], "closed_not_converted", "{}"),
        row("expire", SYSTEM, &["pending", "accepted"], "expired", "{}"),
        row("withdraw", S, &["pending"], "withdrawn", "{}"),
        row(
            "reassign",
            S,
            &["pending", "declined", "expired", "withdrawn"],
            "pending",
            r#"{"partnershipId": "AwGQLFwAAHAAgAAAAAAAAAE"}"#,
        ),
    ],
    ends: Some("expire"),
};

const OPEN: &[&str] = &["qualified", "proposal", "negotiation"];
const DEAL: Table = Table {
    stages: &[
        ("qualified", "Qualified", StageKind::Active, false),
        ("proposal", "Proposal", StageKind::Active, false),
        ("negotiation", "Negotiation", StageKind::Active, false),
        ("won", "Won", StageKind::Won, true),
        ("lost", "Lost", StageKind::Lost, true),
        ("discontinued", "Discontinued", StageKind::Closed, true),
    ],
    statuses: &[],
    rows: &[
        row("requalify", R, &["proposal", "negotiation"], "qualified", "{}"),
        row("propose", R, &["qualified", "negotiation"], "proposal", "{}"),
        row("negotiate", R, &["qualified", "proposal"], "negotiation", "{}"),
        row("win", R, OPEN, "won", r#"{"value": {"amount": "1", "currency": "EUR"}, "closeDate": "2026-11-21"}"#),
        row("lose", R, OPEN, "lost", r#"{"reason": "price"}"#),
        row("discontinue", R, OPEN, "discontinued", r#"{"reason": "customer gone"}"#),
    ],
    ends: None,
};

const REVIEW: &[&str] = &["new", "requires_more_info"];
const PROGRESS: &[&str] = &["qualification", "proposal", "negotiation"];
const SUBMITTED: Table = Table {
    stages: &[
        ("qualification", "Qualification", StageKind::Open, false),
        ("proposal", "Proposal", StageKind::Active, false),
        ("negotiation", "Negotiation", StageKind::Active, false),
        ("won", "Won", StageKind::Won, true),
        ("lost", "Lost", StageKind::Lost, true),
    ],
    statuses: &[
        ("draft", "Draft", StageKind::Open, false),
        ("new", "New", StageKind::Awaiting, false),
        ("requires_more_info", "Requires more info", StageKind::Awaiting, false),
        ("accepted", "Accepted", StageKind::Active, false),
        ("rejected", "Rejected", StageKind::Declined, true),
        ("ready_for_payout", "Ready for payout", StageKind::Won, false),
        ("paid_out", "Paid out", StageKind::Won, true),
        ("recurring_payment", "Recurring payment", StageKind::Won, false),
        ("withdrawn", "Withdrawn", StageKind::Closed, true),
    ],
    rows: &[
        row(
            "submit",
            PASSES,
            &["draft", "rejected", "withdrawn"],
            "new",
            r#"{"partnershipId": "AwGQLFwAAHAAgAAAAAAAAAE"}"#,
        ),
        row("request_info", VENDOR, &["new"], "requires_more_info", r#"{"note": "who decides?"}"#),
        row("resubmit", PARTNER, &["requires_more_info"], "new", "{}"),
        row("accept", VENDOR, REVIEW, "accepted", "{}"),
        row("reject", VENDOR, REVIEW, "rejected", r#"{"reason": "known already", "code": "DUPLICATE"}"#),
        row("ready_for_payout", VENDOR, &["accepted"], "ready_for_payout", "{}"),
        row("pay_out", VENDOR, &["ready_for_payout"], "paid_out", "{}"),
        row("start_recurring", VENDOR, &["ready_for_payout"], "recurring_payment", "{}"),
        row("recurring_check", VENDOR, &["recurring_payment"], "recurring_payment", "{}"),
        row("end_recurring", VENDOR, &["recurring_payment"], "paid_out", "{}"),
        row("check_due", SYSTEM, &["recurring_payment"], "recurring_payment", "{}"),
        row("withdraw", S, REVIEW, "withdrawn", "{}"),
        row("requalify", MOVER, &["proposal", "negotiation"], "qualification", "{}"),
        row("propose", MOVER, &["qualification", "negotiation"], "proposal", "{}"),
        row("negotiate", MOVER, &["qualification", "proposal"], "negotiation", "{}"),
        row("win", MOVER, PROGRESS, "won", "{}"),
        row("lose", MOVER, PROGRESS, "lost", r#"{"reason": "price"}"#),
    ],
    ends: Some("check_due"),
};

const INTERNAL: Table = Table {
    stages: &[
        ("new", "New", StageKind::Open, false),
        ("assigned", "Assigned", StageKind::Active, false),
        ("qualified", "Qualified", StageKind::Won, true),
        ("disqualified", "Disqualified", StageKind::Lost, true),
        ("dropped", "Dropped", StageKind::Closed, true),
    ],
    statuses: &[],
    rows: &[
        row("assign", ASSIGNS, &["new"], "assigned", r#"{"owner": "AgGQLFwAAHAAgAAAAAAAAAE"}"#),
        row("reassign", ASSIGNS, &["assigned"], "assigned", r#"{"owner": "AgGQLFwAAHAAgAAAAAAAAAE"}"#),
        Row {
            whole: true,
            ..row("qualify", OWNER, &["assigned"], "qualified", r#"{"city": "Linz", "sellingDirection": "Presses"}"#)
        },
        row(
            "disqualify",
            OWNER,
            &["assigned"],
            "disqualified",
            r#"{"code": "NON_TARGET_CLIENT", "reason": "a school"}"#,
        ),
        stays("share", PASSES, &["new", "qualified"], r#"{"partnershipId": "AwGQLFwAAHAAgAAAAAAAAAE"}"#),
        stays("deactivate", S, &["*"], "{}"),
        stays("activate", S, &["*"], "{}"),
    ],
    ends: None,
};

/// One lead or opportunity.
#[derive(Clone, Copy, Debug)]
struct Situation {
    stage: &'static str,
    status: Option<&'static str>,
    locked: bool,
    active: bool,
    late: bool,
    /// Whether everything is known of it.
    whole: bool,
}

impl Table {
    fn row(&self, action: &str) -> &Row {
        self.rows.iter().find(|row| row.action == action).unwrap()
    }

    fn on_status(&self, row: &Row) -> bool {
        self.statuses.iter().any(|(key, ..)| row.from.contains(key))
    }

    /// What the table says of one call.
    fn expected(&self, row: &Row, at: &Situation, caller: Caller<'_>) -> Option<ErrorCode> {
        let on_status = self.on_status(row);
        let due = self.ends.map(|ends| self.row(ends)).filter(|ends| {
            let recorded = if self.on_status(ends) { at.status.unwrap() } else { at.stage };
            at.late && ends.from.contains(&recorded)
        });
        let Caller::Member { side, vendor, moves_stage, roles, owner } = caller else {
            return match due {
                _ if row.who != SYSTEM => Some(ErrorCode::Forbidden),
                Some(due) if due.action == row.action => None,
                _ => Some(ErrorCode::InvalidTransition),
            };
        };
        let may = |(asked, of, owner_only): &Who| {
            let is_on = match asked {
                RuleSide::Source => side == Side::Source,
                RuleSide::Receiver => side == Side::Receiver,
                RuleSide::Vendor => vendor == Some(true),
                RuleSide::Partner => vendor == Some(false),
                RuleSide::StageMover => moves_stage,
            };
            is_on && roles.iter().any(|role| of.contains(role)) && (owner || !owner_only)
        };
        if !row.who.iter().any(may) {
            return Some(ErrorCode::Forbidden);
        }
        match (at.active, row.action == "activate") {
            (false, false) => return Some(ErrorCode::LeadInactive),
            (true, true) => return Some(ErrorCode::InvalidTransition),
            _ => {}
        }
        let stage = match due {
            Some(due) if self.on_status(due) == on_status => due.to.unwrap(),
            _ if on_status => at.status.unwrap(),
            _ => at.stage,
        };
        if !row.from.contains(&stage) && row.from != ["*"] {
            let stages = if on_status { self.statuses } else { self.stages };
            let kind = stages.iter().find(|(key, ..)| *key == stage).unwrap().2;
            let expired = kind == StageKind::Expired;
            return Some(if expired { ErrorCode::LeadExpired } else { ErrorCode::InvalidTransition });
        }
        if at.locked && !on_status && row.to.is_some() {
            return Some(ErrorCode::InvalidTransition);
        }
        (row.whole && !at.whole).then_some(ErrorCode::Required)
    }

    /// Every situation that the table can tell from another.
    fn situations(&self) -> Vec<Situation> {
        let mut all = Vec::new();
        let statuses: Vec<_> = self.statuses.iter().map(|(key, ..)| Some(*key)).collect();
        let no = [false].as_slice();
        let both = [true, false].as_slice();
        for (stage, ..) in self.stages {
            for status in if statuses.is_empty() { vec![None] } else { statuses.clone() } {
                for locked in if status.is_some() { both } else { no } {
                    for active in both {
                        for late in if self.ends.is_some() { both } else { no } {
                            for whole in if self.rows.iter().any(|row| row.whole) { both } else { no } {
                                let (locked, active, late, whole) = (*locked, *active, *late, *whole);
                                all.push(Situation { stage, status, locked, active, late, whole });
                            }
                        }
                    }
                }
            }
        }
        all
    }

    fn callers<'a>(&self, sets: &'a [Vec<Role>]) -> Vec<Caller<'a>> {
        let mut callers = vec![Caller::System];
        let parties: &[_] = if self.statuses.is_empty() {
            &[(None, false)]
        } else {
            &[(None, false), (Some(true), true), (Some(true), false), (Some(false), true), (Some(false), false)]
        };
        for side in [Side::Source, Side::Receiver] {
            for (vendor, moves_stage) in parties {
                for roles in sets {
                    for owner in [false, true] {
                        callers.push(Caller::Member { side, vendor: *vendor, moves_stage: *moves_stage, roles, owner });
                    }
                }
            }
        }
        callers
    }
}

fn role_sets(table: &Table) -> Vec<Vec<Role>> {
    if !table.statuses.is_empty() {
        // There every rule is for the same roles.
        return vec![vec![Role::Sales], vec![Role::Integration], vec![Role::Viewer]];
    }
    let mut sets: Vec<Vec<Role>> = Role::ALL.into_iter().map(|role| vec![role]).collect();
    sets.extend([vec![], vec![Role::Viewer, Role::Sales], vec![Role::Integration, Role::Viewer]]);
    sets
}

/// Walks every stage, status and lock, every caller and every action: what the table says is what is decided, and what
/// is offered is what is decided.
fn follows(table: &Table, definition: &Definition) {
    let found = |track| {
        let stages = definition.stages.iter().filter(move |stage| stage.track == track);
        stages.map(|stage| (stage.key.as_str(), stage.name.as_str(), stage.kind, stage.terminal)).collect::<Vec<_>>()
    };
    assert_eq!(found(TrackKey::Stage), table.stages);
    assert_eq!(found(TrackKey::Status), table.statuses);
    let found: Vec<_> = definition.actions.iter().map(|action| action.key.as_str()).collect();
    assert_eq!(found, table.rows.iter().map(|row| row.action).collect::<Vec<_>>());

    let (whole, bare) = (whole_lead(), bare_lead());
    let sets = role_sets(table);
    let callers = table.callers(&sets);
    let forms: Vec<Value> = table.rows.iter().map(|row| serde_json::from_str(row.form).unwrap()).collect();
    let month = TimeLimit::parse("P1M").unwrap();
    let mut allowed = 0;
    for at in table.situations() {
        let end = now() + if at.late { TimeDelta::zero() } else { TimeDelta::milliseconds(1) };
        let facts = Facts {
            status: at.status,
            stage_locked: at.locked,
            active: at.active,
            expires_at: table.ends.map(|_| end),
            on_expiry: table.ends,
            limits: Limits { check: Some(&month), ..Limits::default() },
            fields: if definition.key == "opportunity" {
                Fields::None
            } else {
                Fields::Lead(if at.whole { &whole } else { &bare })
            },
            ..facts(at.stage)
        };
        for caller in &callers {
            let offered = available(definition, &facts, *caller, now());
            let blocked = blocked(definition, &facts, *caller, now());
            let mut open = 0;
            for (row, form) in table.rows.iter().zip(&forms) {
                let expected = table.expected(row, &at, *caller);
                let case = || format!("{}: {at:?}, {caller:?}", row.action);
                assert_eq!(offered.iter().any(|action| action.key == row.action), expected.is_none(), "{}", case());
                let lacks = blocked.iter().any(|(action, _)| action.key == row.action);
                assert_eq!(lacks, expected == Some(ErrorCode::Required), "{}", case());
                open += usize::from(expected.is_none());
                match run(definition, &facts, *caller, row.action, form) {
                    Ok(decision) => {
                        assert_eq!(expected, None, "{}", case());
                        assert_eq!(decision.to.key, row.to.unwrap_or(&decision.from.key), "{}", case());
                        allowed += 1;
                    }
                    Err(refusal) => {
                        for fault in faults(refusal) {
                            assert_eq!(Some(fault.code), expected, "{}: {}", case(), fault.message);
                            assert_eq!(fault.action.as_deref(), Some(row.action));
                            assert!(fault.stage.is_some());
                        }
                    }
                }
            }
            assert_eq!(offered.len(), open);
        }
    }
    assert!(allowed > 0);
}

#[test]
fn a_shared_lead_follows_the_table_for_every_stage_action_and_caller() {
    follows(&LEAD, &partner_lead());
}

#[test]
fn an_opportunity_follows_the_table_for_every_stage_action_and_caller() {
    follows(&DEAL, &opportunity());
}

#[test]
fn a_submitted_lead_follows_the_table_for_every_status_stage_lock_action_and_caller() {
    follows(&SUBMITTED, &submitted_lead());
}

#[test]
fn an_internal_lead_follows_the_table_for_every_stage_action_and_caller() {
    follows(&INTERNAL, &internal_lead());
}

/// Whatever is filled in: what is offered is refused for its form alone, and what is not is refused for more than that.
#[test]
fn what_is_offered_is_what_is_refused_for_nothing_but_its_form() {
    let (whole, bare) = (whole_lead(), bare_lead());
    let sets = [vec![Role::Sales], vec![Role::Manager], vec![Role::Viewer]];
    let empty = json!({});
    for (definition, table) in all().iter().zip([&LEAD, &SUBMITTED, &INTERNAL, &DEAL]) {
        for at in table.situations() {
            let facts = Facts {
                status: at.status,
                stage_locked: at.locked,
                active: at.active,
                fields: if at.whole { Fields::Lead(&whole) } else { Fields::Lead(&bare) },
                ..facts(at.stage)
            };
            for caller in table.callers(&sets) {
                let offered = available(definition, &facts, caller, now());
                for action in &definition.actions {
                    // Of a guard that holds whatever the form, the lead is to be mended, not the form.
                    let open = match run(definition, &facts, caller, &action.key, &empty) {
                        Ok(_) => true,
                        Err(Refusal::Form { faults, .. }) => {
                            faults.iter().all(|fault| fault.field.as_ref().unwrap().starts_with("input"))
                        }
                        Err(_) => false,
                    };
                    let offers = offered.iter().any(|offered| offered.key == action.key);
                    assert_eq!(offers, open, "{} of {}: {at:?}, {caller:?}", action.key, definition.key);
                }
            }
        }
    }
}

// --- What each action changes ---

fn changes_of(facts: &Facts<'_>, caller: Caller<'_>, action: &str, values: &Value) -> Vec<Change> {
    run(&partner_lead(), facts, caller, action, values).unwrap().changes
}

#[test]
fn each_action_of_a_shared_lead_changes_what_the_table_says() {
    let (week, month) = (TimeLimit::parse("P7D").unwrap(), TimeLimit::parse("P30D").unwrap());
    let limits = |facts| Facts { limits: Limits { answer: Some(&week), convert: Some(&month), check: None }, ..facts };
    let answer = Change::StartCounter(at("2026-11-28T09:30:00Z"), "expire".to_owned());
    let convert = Change::StartCounter(at("2026-12-21T09:30:00Z"), "expire".to_owned());
    let passed = Change::NewAssignment("AwGQLFwAAHAAgAAAAAAAAAE".to_owned(), None);
    let date = |date| Change::Date(date, now());
    let reason = |reason: &str| Change::Reason(Some(reason.to_owned()));
    let later = now() + TimeDelta::days(1);
    for (stage, caller, action, values, changes) in [
        (
            "new",
            SOURCE,
            "share",
            json!({"partnershipId": " AwGQLFwAAHAAgAAAAAAAAAE "}),
            vec![passed.clone(), answer.clone()],
        ),
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
            json!({"opportunityId": "BQGQLFwAAHAAgAAAAAAAAAE"}),
            vec![
                date(DateKey::Converted),
                date(DateKey::Closed),
                Change::StopCounter,
                Change::LinkOpportunity("BQGQLFwAAHAAgAAAAAAAAAE".to_owned()),
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
        (
            "declined",
            SOURCE,
            "reassign",
            json!({"partnershipId": "AwGQLFwAAHAAgAAAAAAAAAE"}),
            vec![Change::Archived(false), passed, answer],
        ),
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
    let values = json!({"reason": "x".repeat(32_001)});
    let refusal = run(&partner_lead(), &facts("pending"), RECEIVER, "decline", &values).unwrap_err();
    assert_eq!(code(refusal), ErrorCode::InvalidInput);
}

#[test]
fn a_conversion_needs_exactly_one_opportunity() {
    for (values, code, field) in [
        (json!({}), ErrorCode::Required, "input.opportunityId"),
        (
            json!({"opportunityId": "BQGQLFwAAHAAgAAAAAAAAAE", "opportunity": {}}),
            ErrorCode::InvalidInput,
            "input.opportunity",
        ),
    ] {
        let refusal = run(&partner_lead(), &facts("accepted"), RECEIVER, "convert", &values).unwrap_err();
        let fault = fault(refusal);
        assert_eq!((fault.code, fault.field.as_deref()), (code, Some(field)));
        assert!(fault.message.contains("opportunityId or opportunity"), "{}", fault.message);
    }
}

#[test]
fn each_action_of_a_submitted_lead_changes_what_the_table_says() {
    let week = TimeLimit::parse("P7D").unwrap();
    let check = |end: &str| Change::StartCounter(at(end), "check_due".to_owned());
    let date = |date| Change::Date(date, now());
    let note = |text: Option<&str>| Change::Note(text.map(str::to_owned));
    let (vendor, partner) = (party(true, false), party(false, false));
    for (status, caller, action, values, changes) in [
        (
            "draft",
            partner,
            "submit",
            json!({"partnershipId": "AwGQLFwAAHAAgAAAAAAAAAE"}),
            vec![Change::NewAssignment("AwGQLFwAAHAAgAAAAAAAAAE".to_owned(), None)],
        ),
        ("new", vendor, "request_info", json!({"note": "who?"}), vec![note(Some("who?"))]),
        ("requires_more_info", partner, "resubmit", json!({"note": "Ann"}), vec![note(Some("Ann"))]),
        ("requires_more_info", partner, "resubmit", json!({}), vec![note(None)]),
        ("new", vendor, "accept", json!({}), vec![date(DateKey::Accepted), Change::Unlock]),
        (
            "requires_more_info",
            vendor,
            "reject",
            json!({"reason": "known", "code": "DUPLICATE", "duplicateOf": "BAGQLFwAAHAAgAAAAAAAAAE"}),
            vec![
                date(DateKey::Rejected),
                Change::Reason(Some("known".to_owned())),
                Change::Code(Some("DUPLICATE".to_owned())),
                Change::DuplicateOf(Some("BAGQLFwAAHAAgAAAAAAAAAE".to_owned())),
            ],
        ),
        (
            "new",
            vendor,
            "reject",
            json!({"reason": "known"}),
            vec![
                date(DateKey::Rejected),
                Change::Reason(Some("known".to_owned())),
                Change::Code(None),
                Change::DuplicateOf(None),
            ],
        ),
        ("accepted", vendor, "ready_for_payout", json!({}), vec![date(DateKey::ReadyForPayout)]),
        ("ready_for_payout", vendor, "pay_out", json!({}), vec![date(DateKey::PaidOut)]),
        (
            "ready_for_payout",
            vendor,
            "start_recurring",
            json!({}),
            vec![date(DateKey::PaidOut), check("2026-11-28T09:30:00Z")],
        ),
        (
            "recurring_payment",
            vendor,
            "recurring_check",
            json!({"nextCheckAt": "2027-02-01T00:00:00Z"}),
            vec![date(DateKey::Checked), note(None), check("2027-02-01T00:00:00Z")],
        ),
        ("recurring_payment", vendor, "end_recurring", json!({}), vec![date(DateKey::Checked), Change::StopCounter]),
    ] {
        let facts = Facts {
            status: Some(status),
            stage_locked: true,
            limits: Limits { check: Some(&week), ..Limits::default() },
            ..facts("qualification")
        };
        let decision = run(&submitted_lead(), &facts, caller, action, &values).unwrap();
        assert_eq!(decision.changes, changes, "{action}");
        assert_eq!(decision.to.track, TrackKey::Status);
    }
}

#[test]
fn each_action_of_an_internal_lead_changes_what_the_table_says() {
    let lead = whole_lead();
    let facts = |stage| Facts { fields: Fields::Lead(&lead), ..facts(stage) };
    let caller =
        Caller::Member { side: Side::Source, vendor: None, moves_stage: false, roles: &[Role::Manager], owner: true };
    let does = |stage, action, values: Value| run(&internal_lead(), &facts(stage), caller, action, &values).unwrap();
    let date = |date| Change::Date(date, now());
    for (stage, action) in [("new", "assign"), ("assigned", "reassign")] {
        let changes = does(stage, action, json!({"owner": "AgGQLFwAAHAAgAAAAAAAAAE"})).changes;
        assert_eq!(changes, [Change::Owner("AgGQLFwAAHAAgAAAAAAAAAE".to_owned()), date(DateKey::Assigned)]);
    }
    let qualified = does("assigned", "qualify", json!({"sellingDirection": "Presses"}));
    assert_eq!(qualified.changes, [date(DateKey::Qualified), Change::QualifyOpportunity]);
    let form: Vec<_> = qualified.form.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        form,
        ["name", "responsible", "city", "sellingDirection", "originatingLead"],
        "C6: filled in from the lead"
    );

    let refused = does("assigned", "disqualify", json!({"code": "IMPOSSIBLE_TO_CONTACT", "reason": "gone"}));
    let code = |code: &str| Change::Code(Some(code.to_owned()));
    let reason = Change::Reason(Some("gone".to_owned()));
    assert_eq!(refused.changes, [date(DateKey::Disqualified), reason.clone(), code("IMPOSSIBLE_TO_CONTACT")]);
    let values = json!({"code": "DEMAND_NOT_GENERATED", "reason": "gone", "sellingDirection": "Presses"});
    let demand = does("assigned", "disqualify", values);
    let changes = [date(DateKey::Disqualified), reason, code("DEMAND_NOT_GENERATED"), Change::QualifyOpportunity];
    assert_eq!(demand.changes, changes, "C8: an opportunity by itself");

    let shared = does("qualified", "share", json!({"partnershipId": "AwGQLFwAAHAAgAAAAAAAAAE"}));
    assert_eq!(
        shared.changes,
        [Change::NewAssignment("AwGQLFwAAHAAgAAAAAAAAAE".to_owned(), Some("partner-lead".to_owned()))]
    );
    assert_eq!((shared.from.key.as_str(), shared.to.key.as_str()), ("qualified", "qualified"));
    assert_eq!(does("dropped", "deactivate", json!({})).changes, [Change::Active(false)]);
}

// --- Guards ---

#[test]
fn what_a_lead_has_to_have_is_told_at_once_and_blocks_the_action() {
    let lead = bare_lead();
    let facts = Facts { fields: Fields::Lead(&lead), ..facts("assigned") };
    let owner =
        Caller::Member { side: Side::Source, vendor: None, moves_stage: false, roles: &[Role::Sales], owner: true };
    let needed = [
        "owner",
        "qualification.goal",
        "qualification.implementationOptions",
        "qualification.procurementProcedure",
        "qualification.decisionLevel",
        "qualification.terms",
        "qualification.decisionMaker",
        "qualification.selectionCriteria",
        "qualification.complianceWithCriteria",
        "qualification.channel",
    ];
    let offered: Vec<_> =
        available(&internal_lead(), &facts, owner, now()).into_iter().map(|action| action.key.clone()).collect();
    assert_eq!(offered, ["reassign", "disqualify", "deactivate"]);
    let internal = internal_lead();
    let blocked = blocked(&internal, &facts, owner, now());
    assert_eq!(blocked.len(), 1);
    assert_eq!((blocked[0].0.key.as_str(), blocked[0].1.as_slice()), ("qualify", needed.as_slice()));

    // The form's faults and the lead's, together.
    let refusal = run(&internal_lead(), &facts, owner, "qualify", &json!({"colour": "red"})).unwrap_err();
    let found: Vec<_> = faults(refusal).into_iter().map(|fault| (fault.code, fault.field.unwrap())).collect();
    let mut expected = vec![(ErrorCode::InvalidInput, "input.colour".to_owned())];
    expected
        .extend(["responsible", "city", "sellingDirection"].map(|key| (ErrorCode::Required, format!("input.{key}"))));
    expected.extend(needed.map(|path| (ErrorCode::Required, format!("lead.{path}"))));
    assert_eq!(found, expected);

    // C8: of the one code, the same; of another, nothing.
    let refused = |code: &str| {
        let values = json!({
            "code": code, "reason": "no demand", "responsible": "AgGQLFwAAHAAgAAAAAAAAAE", "city": "Linz", "sellingDirection": "Presses",
        });
        run(&internal_lead(), &facts, owner, "disqualify", &values).map_err(faults)
    };
    assert!(refused("NON_TARGET_CLIENT").is_ok());
    let found: Vec<_> =
        refused("DEMAND_NOT_GENERATED").unwrap_err().into_iter().map(|fault| fault.field.unwrap()).collect();
    assert_eq!(found, needed.map(|path| format!("lead.{path}")));
    let message = &refused("DEMAND_NOT_GENERATED").unwrap_err()[0].message;
    assert_eq!(message, "disqualify needs the lead's owner: fill it in first.");
}

#[test]
fn a_guard_can_ask_where_the_other_track_stands() {
    let mut lead = (*submitted_lead()).clone();
    let win = lead.actions.iter_mut().find(|action| action.key == "win").unwrap();
    win.guards = vec![Guard::At { stages: vec!["accepted".to_owned()], message: "It is paid already.".to_owned() }];
    assert_eq!(check(&lead), Ok(()));
    let mover = party(true, true);
    for (status, open) in [("accepted", true), ("ready_for_payout", false), ("draft", false)] {
        let facts = Facts { status: Some(status), ..facts("proposal") };
        let offered = available(&lead, &facts, mover, now());
        assert_eq!(offered.iter().any(|action| action.key == "win"), open, "{status}");
        let decision = run(&lead, &facts, mover, "win", &json!({}));
        if open {
            assert_eq!(decision.unwrap().to.key, "won");
        } else {
            let fault = fault(decision.unwrap_err());
            assert_eq!(fault.code, ErrorCode::InvalidTransition);
            assert!(fault.message.starts_with("win is not possible: It is paid already. Possible for you now: "));
            assert!(blocked(&lead, &facts, mover, now()).is_empty(), "no field of the lead is missing");
        }
    }
}

// --- Two tracks ---

#[test]
fn a_locked_stage_stays_where_it_is_until_the_status_unlocks_it() {
    let lead = submitted_lead();
    let mover = party(true, true);
    let locked = Facts { status: Some("new"), stage_locked: true, ..facts("qualification") };
    let refusal = fault(run(&lead, &locked, mover, "propose", &json!({})).unwrap_err());
    assert_eq!((refusal.code, refusal.stage.as_deref()), (ErrorCode::InvalidTransition, Some("qualification")));
    assert_eq!(
        refusal.message,
        "propose is not possible yet: the stage is locked until the status is Accepted. Possible for you now: \
         request_info (to Requires more info), accept (to Accepted), reject (to Rejected)."
    );
    assert!(run(&lead, &locked, mover, "accept", &json!({})).unwrap().changes.contains(&Change::Unlock));
    let unlocked = Facts { status: Some("accepted"), stage_locked: false, ..locked };
    let decision = run(&lead, &unlocked, mover, "propose", &json!({})).unwrap();
    assert_eq!((decision.from.key.as_str(), decision.to.key.as_str()), ("qualification", "proposal"));
    assert_eq!(decision.to.track, TrackKey::Stage);
    // By stage too.
    let to = find_stage(&lead, "Proposal").unwrap();
    assert_eq!(action_to(&lead, &unlocked, to, mover, now()).unwrap().key, "propose");
}

#[test]
fn the_stage_is_moved_by_whom_the_partnership_names_and_the_status_by_the_vendor_alone() {
    let lead = submitted_lead();
    let facts = Facts { status: Some("accepted"), ..facts("qualification") };
    for vendor in [true, false] {
        for moves in [true, false] {
            let keys: Vec<_> = available(&lead, &facts, party(vendor, moves), now())
                .into_iter()
                .map(|action| action.key.as_str())
                .filter(|key| ["propose", "ready_for_payout"].contains(key))
                .collect();
            let mut expected = Vec::new();
            expected.extend(vendor.then_some("ready_for_payout"));
            expected.extend(moves.then_some("propose"));
            assert_eq!(keys, expected);
        }
    }
    let refusal = fault(run(&lead, &facts, party(false, false), "propose", &json!({})).unwrap_err());
    assert_eq!(refusal.code, ErrorCode::Forbidden);
    assert_eq!(
        refusal.message,
        "propose is for members of the company that the partnership's setting stageMovedBy names. There is nothing you \
         can do at this stage."
    );
    let refusal = fault(run(&lead, &facts, party(false, true), "ready_for_payout", &json!({})).unwrap_err());
    assert!(refusal.message.starts_with("ready_for_payout is for members of the vendor. "), "{}", refusal.message);
    // Shared the other way round, the vendor is still who reviews.
    let turned = Caller::Member {
        side: Side::Source,
        vendor: Some(true),
        moves_stage: false,
        roles: &[Role::Sales],
        owner: false,
    };
    assert!(run(&lead, &facts, turned, "ready_for_payout", &json!({})).is_ok());
}

#[test]
fn a_counter_of_one_track_is_none_of_the_other_s_business() {
    let lead = submitted_lead();
    let later = now() + TimeDelta::days(1);
    let counting = Facts {
        status: Some("recurring_payment"),
        expires_at: Some(later),
        on_expiry: Some("check_due"),
        ..facts("qualification")
    };
    let decision = run(&lead, &counting, party(true, true), "propose", &json!({})).unwrap();
    assert_eq!(decision.changes, [], "the check stays due");
    let due_now = Facts { expires_at: Some(now()), ..counting.clone() };
    assert_eq!(due(&lead, &due_now, now()).unwrap().key, "check_due");
    assert_eq!(status_as_of(&lead, &due_now, now()).unwrap().key, "recurring_payment");
    assert_eq!(as_of(&lead, &due_now, now()).key, "qualification");
    let decision = run(&lead, &due_now, Caller::System, "check_due", &json!({})).unwrap();
    assert_eq!((decision.from.key.as_str(), decision.to.key.as_str()), ("recurring_payment", "recurring_payment"));
    let [Change::StopCounter, Change::Task(Side::Receiver, title, Some(by)), Change::Notify(Side::Receiver, _)] =
        decision.changes.as_slice()
    else {
        panic!("{:?}", decision.changes)
    };
    assert_eq!((title.as_str(), *by), ("Check the invoices of this lead", now() + TimeDelta::days(7)));
}

#[test]
fn a_date_that_is_filled_in_ends_the_counter_instead_of_the_template_s_limit() {
    let week = TimeLimit::parse("P7D").unwrap();
    let start = |limit: Option<&TimeLimit>, values: Value| {
        let facts = Facts {
            status: Some("ready_for_payout"),
            limits: Limits { check: limit, ..Limits::default() },
            ..facts("won")
        };
        let decision = run(&submitted_lead(), &facts, party(true, false), "start_recurring", &values);
        decision.map(|decision| decision.changes[1].clone())
    };
    let ends = |end: &str| Ok(Change::StartCounter(at(end), "check_due".to_owned()));
    let chosen = json!({"nextCheckAt": "2027-01-01T00:00:00+01:00"});
    for limit in [None, Some(&week)] {
        assert_eq!(start(limit, chosen.clone()), ends("2026-12-31T23:00:00Z"));
    }
    assert_eq!(start(Some(&week), json!({})), ends("2026-11-28T09:30:00Z"));
    assert_eq!(start(Some(&week), json!({"nextCheckAt": null})), ends("2026-11-28T09:30:00Z"));
    let fault_of = |refusal| fault(refusal);
    let missing = fault_of(start(None, json!({})).unwrap_err());
    assert_eq!((missing.code, missing.field.as_deref()), (ErrorCode::Required, Some("input.nextCheckAt")), "no limit");
    for bad in ["2026-11-21T09:30:00Z", "2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z", "soon"] {
        let fault = fault(start(Some(&week), json!({ "nextCheckAt": bad })).unwrap_err());
        assert_eq!((fault.code, fault.field.as_deref()), (ErrorCode::InvalidInput, Some("input.nextCheckAt")), "{bad}");
    }
}

// --- Activation, and stages that are reserved ---

#[test]
fn a_deactivated_lead_refuses_everything_but_activation() {
    let lead = whole_lead();
    let owner =
        Caller::Member { side: Side::Source, vendor: None, moves_stage: false, roles: &[Role::Admin], owner: true };
    for (stage, ..) in INTERNAL.stages {
        let inactive = Facts { active: false, fields: Fields::Lead(&lead), ..facts(stage) };
        let internal = internal_lead();
        let offered: Vec<_> =
            available(&internal, &inactive, owner, now()).into_iter().map(|action| action.key.as_str()).collect();
        assert_eq!(offered, ["activate"], "{stage}");
        let decision = run(&internal, &inactive, owner, "activate", &json!({})).unwrap();
        assert_eq!(decision.changes, [Change::Active(true)]);
        assert_eq!((decision.from.key.as_str(), decision.to.key.as_str()), (*stage, *stage));
        for action in ["assign", "reassign", "qualify", "disqualify", "share", "deactivate"] {
            let refusal = run(&internal, &inactive, owner, action, &json!({})).unwrap_err();
            assert_eq!(code(refusal), ErrorCode::LeadInactive, "{action}");
        }
        let active = Facts { active: true, ..inactive };
        let fault = fault(run(&internal, &active, owner, "activate", &json!({})).unwrap_err());
        assert_eq!(fault.code, ErrorCode::InvalidTransition);
        assert!(fault.message.starts_with("It is active already. Possible for you now: "), "{}", fault.message);
        assert!(fault.message.contains("deactivate"), "{}", fault.message);
    }
}

#[test]
fn no_action_leads_to_a_reserved_stage_until_a_company_adds_one() {
    let lead = whole_lead();
    let at = Facts { fields: Fields::Lead(&lead), ..facts("assigned") };
    let internal = internal_lead();
    let to = find_stage(&internal, "Dropped").unwrap();
    let fault = fault(action_to(&internal, &at, to, SOURCE, now()).unwrap_err());
    assert_eq!(fault.code, ErrorCode::InvalidTransition);
    assert!(fault.message.starts_with("No action leads to Dropped at the stage Assigned."), "{}", fault.message);

    let mut own = (*internal).clone();
    own.stages.iter_mut().find(|stage| stage.key == "dropped").unwrap().reserved = false;
    let mut drop = own.actions[0].clone();
    (drop.key, drop.to) = ("drop".to_owned(), Some("dropped".to_owned()));
    (drop.from, drop.fields, drop.effects) = (vec!["new".to_owned(), "assigned".to_owned()], Vec::new(), Vec::new());
    own.actions.push(drop);
    assert_eq!(check(&own), Ok(()));
    assert_eq!(action_to(&own, &at, find_stage(&own, "Dropped").unwrap(), SOURCE, now()).unwrap().key, "drop");
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
    let decision = run(&lead, &late, SOURCE, "reassign", &json!({"partnershipId": "AwGQLFwAAHAAgAAAAAAAAAE"})).unwrap();
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
        let facts = Facts {
            expires_at_override: own,
            limits: Limits { answer: template, ..Limits::default() },
            ..facts("new")
        };
        run(&partner_lead(), &facts, SOURCE, "share", &json!({"partnershipId": "AwGQLFwAAHAAgAAAAAAAAAE"}))
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
    let anew = run(
        &lead,
        &counting("pending", now()),
        SOURCE,
        "reassign",
        &json!({"partnershipId": "AwGQLFwAAHAAgAAAAAAAAAE"}),
    )
    .unwrap();
    assert_eq!(anew.changes.last(), Some(&Change::StopCounter));
    // One that still has a meaning runs on.
    let anew = run(
        &lead,
        &counting("pending", later),
        SOURCE,
        "reassign",
        &json!({"partnershipId": "AwGQLFwAAHAAgAAAAAAAAAE"}),
    )
    .unwrap();
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
        let told = fault(run(&lead, &facts, caller, action, &json!({})).unwrap_err()).message;
        // What is possible instead comes after what is wrong.
        let instead = told.strip_prefix(message).map(str::trim_start);
        let says = |text: &str| text.starts_with("Possible for you now: ") || text.starts_with("There is nothing");
        assert!(instead.is_some_and(|text| text.is_empty() || says(text)), "{told}");
    }
    let refusal = fault(run(&lead, &facts("pending"), SOURCE, "accept", &json!({})).unwrap_err());
    assert_eq!(
        refusal.message,
        "accept is for members of the company that received the lead. Possible for you now: withdraw (to Withdrawn), \
         reassign (to Pending)."
    );
    let long = "x".repeat(10_000);
    assert!(fault(run(&lead, &facts("pending"), RECEIVER, &long, &json!({})).unwrap_err()).message.len() < 300);
}

#[test]
fn an_owner_s_action_is_for_the_owner_alone() {
    let mut lead = (*partner_lead()).clone();
    lead.actions[1].allow = vec![
        Rule { side: RuleSide::Receiver, roles: vec![Role::Admin, Role::Sales], owner_only: false },
        Rule { side: RuleSide::Receiver, roles: vec![Role::Marketeer], owner_only: true },
    ];
    let accept = |roles: &[Role], owner| {
        let caller = Caller::Member { side: Side::Receiver, vendor: None, moves_stage: false, roles, owner };
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
        let passes_on = from.iter().any(|stage| end(*stage)) || fields & 64 != 0;
        if passes_on {
            form.push(field("partnershipId", "PARTNERSHIP", true));
            effects.push(json!({"do": "NEW_ASSIGNMENT"}));
        }
        if fields & 1 != 0 {
            form.push(field("reason", "LONG_TEXT", fields & 2 != 0));
            effects.push(json!({"do": "KEEP_REASON"}));
        }
        if fields & 4 != 0 && !passes_on {
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
            "allow": [{"side": if source || passes_on { "SOURCE" } else { "RECEIVER" }, "roles": allowed, "ownerOnly": owner_only}],
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
        "key": "any", "version": 1, "name": "Any", "subject": "LEAD", "tracks": [{"key": "STAGE", "initial": "s0"}],
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
    status: Option<String>,
    locked: bool,
    expires_at: Option<DateTime<Utc>>,
    on_expiry: Option<String>,
    active: bool,
    /// Every moment recorded, in order.
    moments: Vec<DateTime<Utc>>,
    /// The dates of the present assignment.
    dates: HashSet<DateKey>,
    lead: Lead,
}

impl Record {
    fn new(definition: &Definition) -> Self {
        let mut record = Self {
            stage: String::new(),
            status: None,
            locked: false,
            expires_at: None,
            on_expiry: None,
            active: true,
            moments: Vec::new(),
            dates: HashSet::new(),
            lead: whole_lead(),
        };
        record.begin(definition);
        record
    }

    fn begin(&mut self, definition: &Definition) {
        self.stage = definition.initial(TrackKey::Stage).unwrap().key.clone();
        self.status = definition.initial(TrackKey::Status).map(|stage| stage.key.clone());
        self.locked = definition.track(TrackKey::Stage).unwrap().locked;
    }

    fn facts<'a>(&'a self, week: &'a TimeLimit, month: &'a TimeLimit) -> Facts<'a> {
        Facts {
            stage: &self.stage,
            status: self.status.as_deref(),
            stage_locked: self.locked,
            expires_at: self.expires_at,
            on_expiry: self.on_expiry.as_deref(),
            active: self.active,
            limits: Limits { answer: Some(week), convert: Some(month), check: Some(week) },
            fields: Fields::Lead(&self.lead),
            expires_at_override: None,
            orphaned: false,
        }
    }

    fn at(&self, track: TrackKey) -> &str {
        match track {
            TrackKey::Stage => &self.stage,
            TrackKey::Status => self.status.as_deref().unwrap(),
        }
    }

    /// Carries a decision out; with `once`, a date recorded twice in an assignment is a fault.
    fn apply(
        &mut self,
        definition: &Definition,
        decision: &Decision,
        now: DateTime<Utc>,
        once: bool,
    ) -> Result<(), TestCaseError> {
        if decision.changes.iter().any(|change| matches!(change, Change::NewAssignment(..))) {
            self.dates.clear();
            self.begin(definition);
        }
        match decision.to.track {
            TrackKey::Stage => self.stage.clone_from(&decision.to.key),
            TrackKey::Status => self.status = Some(decision.to.key.clone()),
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
                Change::Active(active) => {
                    prop_assert!(self.active != *active);
                    self.active = *active;
                }
                Change::Unlock => self.locked = false,
                _ => {}
            }
        }
        prop_assert!(counters <= 1);
        Ok(())
    }
}

/// Where a record stands on an action's track.
fn standing<'d>(definition: &'d Definition, facts: &Facts<'_>, action: &Action, now: DateTime<Utc>) -> &'d Stage {
    match definition.track_of(action) {
        TrackKey::Stage => as_of(definition, facts, now),
        TrackKey::Status => status_as_of(definition, facts, now).unwrap(),
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
                let seen = standing(definition, &facts, action, now).key.clone();
                let empty = Map::new();
                let form = Form { values: &empty, prefix: "input" };
                let decision = decide(definition, &facts, Caller::System, &action.key, &form, now).unwrap();
                prop_assert_eq!(&decision.to.key, &seen, "what is recorded is what everybody saw");
                record.apply(definition, &decision, now, once)?;
            }
        }
        let caller = if call.system {
            Caller::System
        } else {
            let side = if call.side { Side::Source } else { Side::Receiver };
            let vendor = definition.track(TrackKey::Status).map(|_| !call.side);
            Caller::Member { side, vendor, moves_stage: vendor.is_some(), roles: &call.roles, owner: call.owner }
        };
        let facts = record.facts(&week, &month);
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
                prop_assert!(!action.system && action.to.as_ref() == Some(&to.key));
                let reachable = offered.iter().any(|offered| !offered.system && offered.to.as_ref() == Some(&to.key));
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
                let anywhere = action.from == [ANY];
                prop_assert!(anywhere || action.from.contains(&decision.from.key), "no transition outside the table");
                prop_assert_eq!(&decision.to.key, action.to.as_ref().unwrap_or(&decision.from.key));
                let stage = standing(definition, &facts, action, now);
                let from = if call.system { record.at(definition.track_of(action)) } else { &stage.key };
                prop_assert_eq!(&decision.from.key, from);
                let anew = decision.changes.iter().any(|change| matches!(change, Change::NewAssignment(..)));
                prop_assert!(!decision.from.terminal || anew || action.to.is_none(), "an end was left");
                let moves_stage = action.to.is_some() && decision.to.track == TrackKey::Stage;
                prop_assert!(!facts.stage_locked || !moves_stage, "a locked stage was moved");
                if decision.changes.iter().any(|change| matches!(change, Change::NewAssignment(_, Some(_)))) {
                    // It goes on elsewhere.
                    return Ok(());
                }
                record.apply(definition, &decision, now, once)?;
                if !call.system {
                    record.moments.push(now);
                }
                let facts = record.facts(&week, &month);
                let stands = standing(definition, &facts, action, now);
                prop_assert_eq!(&stands.key, &decision.to.key, "a new stage has ended already");
                if let Some(then) = facts.on_expiry {
                    let then = definition.action(then).unwrap();
                    let at = record.at(definition.track_of(then));
                    prop_assert!(then.from.iter().any(|from| from == at), "a counter runs that can't end this stage");
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

    #[test]
    fn a_submitted_lead_never_moves_a_locked_stage(calls in prop::collection::vec(call(), 1..60)) {
        play(&submitted_lead(), &calls, false)?;
    }

    #[test]
    fn an_internal_lead_never_leaves_the_table(calls in prop::collection::vec(call(), 1..40)) {
        play(&internal_lead(), &calls, false)?;
    }
}
