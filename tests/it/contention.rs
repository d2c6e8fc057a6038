//! Sixty-four clients and twenty leads: every action at once, and then the log is read as a ledger. Each lead's history
//! is a legal run of its workflow, both sides tell it in the same order, and nothing was made twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cosell::domain::audit::Watch;
use cosell::domain::event::{Event, Happening};
use cosell::domain::global_id;
use cosell::domain::id::{CompanyId, EventId, LeadId};
use cosell::domain::workflow::builtin;
use cosell::domain::workflow::definition::{ANY, Action, Definition, Effect, TrackKey};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::on_both_databases;
use crate::support::database::Kind;
use crate::support::http::Client;
use crate::support::leads::{lead_of, qualification, read};
use crate::support::world::World;

/// One entry of a lead's history, as far as a run of its workflow is concerned.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Created,
    Moved {
        from: Option<String>,
        to: String,
        action: String,
    },
    /// The lead was passed to a receiver.
    Shared,
}

/// Where a lead stands while its history is read.
#[derive(Clone, Debug)]
struct Run {
    definition: Arc<Definition>,
    stage: String,
    status: Option<String>,
    locked: bool,
    faults: Vec<String>,
}

impl Run {
    fn of(workflow: &str) -> Self {
        let definition = builtin::builtin(workflow, 2).expect("a shipped workflow");
        let mut run = Self { definition, stage: String::new(), status: None, locked: false, faults: Vec::new() };
        run.begin();
        run
    }

    /// Puts it at the beginning, on every track.
    fn begin(&mut self) {
        let initial = |track| self.definition.initial(track).map(|stage| stage.key.clone());
        let (stage, status) = (initial(TrackKey::Stage).unwrap_or_default(), initial(TrackKey::Status));
        self.locked = self.definition.track(TrackKey::Stage).is_some_and(|track| track.locked);
        (self.stage, self.status) = (stage, status);
    }

    fn at(&self, track: TrackKey) -> Option<&str> {
        match track {
            TrackKey::Stage => Some(&self.stage),
            TrackKey::Status => self.status.as_deref(),
        }
    }

    fn leaves(&self, action: &Action) -> bool {
        let here = |from: &String| {
            from == ANY || [TrackKey::Stage, TrackKey::Status].into_iter().any(|track| self.at(track) == Some(from))
        };
        action.from.iter().any(here)
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Created => self.faults.push("it was created again".to_owned()),
            Step::Shared => {
                let definition = self.definition.clone();
                let passes = |action: &&Action| action.passes_on() && action.goes_on_with().is_none();
                // An action that led here was told before; one that leads from here to here tells of itself alone.
                let led_here = |action: &Action| {
                    action.to.as_ref().is_some_and(|to| self.at(definition.track_of(action)) == Some(to))
                };
                let Some(action) = definition.actions.iter().filter(passes).find(|action| led_here(action)) else {
                    self.faults.push(format!("it was shared at {} {:?}", self.stage, self.status));
                    return;
                };
                self.begin();
                let to = action.to.clone().unwrap_or_default();
                match definition.track_of(action) {
                    TrackKey::Stage => self.stage = to,
                    TrackKey::Status => self.status = Some(to),
                }
            }
            Step::Moved { from, to, action } => self.step(from.as_deref(), to, action),
        }
    }

    fn step(&mut self, from: Option<&str>, to: &str, key: &str) {
        // It may go on with another workflow, from where that begins.
        let goes_on = self.definition.actions.iter().find(|action| action.goes_on_with().is_some());
        if let Some((action, next)) =
            goes_on.and_then(|action| Some((action.clone(), action.goes_on_with()?.to_owned())))
            && self.leaves(&action)
            && self.definition.action(key).is_none_or(|own| own.key == action.key)
        {
            self.definition = builtin::builtin(&next, 2).expect("a shipped workflow");
            self.begin();
        }
        let definition = self.definition.clone();
        let Some(action) = definition.action(key) else {
            self.faults.push(format!("the workflow has no action {key}"));
            return;
        };
        let track = definition.track_of(action);
        if from != self.at(track) {
            self.faults.push(format!("{key} left {from:?}, and it stood at {:?}", self.at(track)));
        }
        if !action.from.iter().any(|stage| stage == ANY || Some(stage.as_str()) == from) {
            self.faults.push(format!("{key} does not lead away from {from:?}"));
        }
        if action.to.as_deref() != Some(to) {
            self.faults.push(format!("{key} does not lead to {to}"));
        }
        if track == TrackKey::Stage && self.locked {
            self.faults.push(format!("{key} moved a stage that is locked"));
        }
        self.locked &= !action.effects.contains(&Effect::Unlock);
        match track {
            TrackKey::Stage => to.clone_into(&mut self.stage),
            TrackKey::Status => self.status = Some(to.to_owned()),
        }
    }
}

/// What is wrong with a history; nothing for a legal run that ends where the lead stands. Where the lead stood after each
/// step is added to `places`.
fn faults_of(
    workflow: &str,
    history: &[Step],
    end: (&str, Option<&str>),
    places: &mut Vec<(String, Option<String>)>,
) -> Vec<String> {
    let mut run = Run::of(workflow);
    for (place, step) in history.iter().enumerate() {
        if place > 0 {
            run.take(step);
        } else if *step != Step::Created {
            run.faults.push("it does not begin with its creation".to_owned());
            run.take(step);
        }
        places.push((run.stage.clone(), run.status.clone()));
    }
    if (run.stage.as_str(), run.status.as_deref()) != end {
        run.faults.push(format!("it ends at {} {:?}, and the lead is at {end:?}", run.stage, run.status));
    }
    run.faults
}

#[test]
fn an_illegal_run_is_found() {
    let moved = |from: &str, to: &str, action: &str| Step::Moved {
        from: Some(from.to_owned()),
        to: to.to_owned(),
        action: action.to_owned(),
    };
    let shared = || vec![Step::Created, moved("new", "pending", "share"), Step::Shared];
    let then = |more: &[Step]| [shared(), more.to_vec()].concat();
    let submitted =
        |more: &[Step]| [vec![Step::Created, moved("draft", "new", "submit"), Step::Shared], more.to_vec()].concat();
    let accepted = moved("pending", "accepted", "accept");
    let stage = |stage: &'static str| (stage, None);
    let both = |stage: &'static str, status: &'static str| (stage, Some(status));
    for (name, workflow, history, end, legal) in [
        ("created", "partner-lead", vec![Step::Created], stage("new"), true),
        ("accepted", "partner-lead", then(std::slice::from_ref(&accepted)), stage("accepted"), true),
        (
            "passed on while it is pending",
            "partner-lead",
            then(&[Step::Shared, accepted.clone()]),
            stage("accepted"),
            true,
        ),
        (
            "passed on once it was declined",
            "partner-lead",
            then(&[moved("pending", "declined", "decline"), moved("declined", "pending", "reassign"), Step::Shared]),
            stage("pending"),
            true,
        ),
        (
            "from an internal lead",
            "internal-lead",
            vec![Step::Created, moved("new", "pending", "share"), Step::Shared, accepted.clone()],
            stage("accepted"),
            true,
        ),
        (
            "a review, then progress",
            "submitted-lead",
            submitted(&[moved("new", "accepted", "accept"), moved("qualification", "proposal", "propose")]),
            both("proposal", "accepted"),
            true,
        ),
        ("without a beginning", "partner-lead", vec![accepted.clone()], stage("accepted"), false),
        ("created twice", "partner-lead", then(&[Step::Created]), stage("pending"), false),
        ("accepted twice", "partner-lead", then(&[accepted.clone(), accepted.clone()]), stage("accepted"), false),
        (
            "accepted after it was declined",
            "partner-lead",
            then(&[moved("pending", "declined", "decline"), moved("declined", "accepted", "accept")]),
            stage("accepted"),
            false,
        ),
        (
            "a step is missing",
            "partner-lead",
            then(&[moved("accepted", "closed_not_converted", "close")]),
            stage("closed_not_converted"),
            false,
        ),
        ("to another stage", "partner-lead", then(&[moved("pending", "expired", "accept")]), stage("expired"), false),
        ("no such action", "partner-lead", then(&[moved("pending", "accepted", "approve")]), stage("accepted"), false),
        ("another end", "partner-lead", then(std::slice::from_ref(&accepted)), stage("pending"), false),
        ("shared where it can't be", "partner-lead", then(&[accepted, Step::Shared]), stage("pending"), false),
        (
            "a locked stage",
            "submitted-lead",
            submitted(&[moved("qualification", "proposal", "propose")]),
            both("proposal", "new"),
            false,
        ),
        (
            "qualified before it was assigned",
            "internal-lead",
            vec![Step::Created, moved("new", "qualified", "qualify")],
            stage("qualified"),
            false,
        ),
    ] {
        let found = faults_of(workflow, &history, end, &mut Vec::new());
        assert_eq!(found.is_empty(), legal, "{name}: {found:?}");
    }
}

fn step_of(event: &Event) -> Option<Step> {
    match &event.happening {
        Happening::LeadCreated {} => Some(Step::Created),
        Happening::LeadShared { .. } => Some(Step::Shared),
        Happening::LeadStageChanged { from, to, action, .. }
        | Happening::LeadStatusChanged { from, to, action, .. } => Some(Step::Moved {
            from: from.as_ref().map(|stage| stage.key.clone()),
            to: to.key.clone(),
            action: action.clone(),
        }),
        _ => None,
    }
}

/// A deterministic source of chance: the same for the same client in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below the bound")
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// One of those who call.
struct Caller {
    client: Client,
    company: &'static str,
    id: String,
}

/// A lead that all are after.
struct Prize {
    id: String,
    workflow: &'static str,
    /// How many changes its source's row counts.
    changes: AtomicU32,
}

/// By company and key: the mutation and the ids that came back.
type Made = BTreeMap<(String, String), (String, BTreeSet<String>)>;

/// What all share: what is there, and what was made under each key.
struct Arena {
    prizes: Vec<Prize>,
    partnerships: [String; 2],
    deals: Vec<String>,
    owners: Vec<String>,
    tasks: Mutex<Vec<String>>,
    comments: Mutex<Vec<String>>,
    made: Mutex<Made>,
    codes: Mutex<BTreeMap<String, u32>>,
    serial: AtomicU32,
}

const KNOWN: [&str; 8] = [
    "FORBIDDEN",
    "NOT_FOUND",
    "INVALID_INPUT",
    "REQUIRED",
    "INVALID_TRANSITION",
    "LEAD_INACTIVE",
    "CONFLICT",
    "DUPLICATE",
];

/// What is tried on leads of that workflow by that company, and how often.
fn attempts(workflow: &str, company: &str) -> Vec<&'static str> {
    let mut all = vec!["addComment", "createTask", "completeTask", "editComment", "removeComment"];
    if company != (if workflow == "submitted-lead" { "globex" } else { "acme" }) {
        // Of the receiver's own side: the source's row does not count it.
        all.push("updateLead(owner)");
    }
    all.extend(match (workflow, company) {
        ("partner-lead", "acme") => {
            let mut all = vec!["shareLead", "shareLead", "shareLead", "withdrawLead", "updateLead", "acceptLead"];
            all.extend(["eraseCustomerData"; 3]);
            all
        }
        ("partner-lead", _) => vec![
            "acceptLead",
            "acceptLead",
            "declineLead",
            "declineLead",
            "convertLead",
            "convertLead(existing)",
            "closeLead",
            "moveLead",
            "performLeadAction",
            "updateLead",
            "withdrawLead",
        ],
        ("submitted-lead", "acme") => vec![
            "acceptLead",
            "requestLeadInfo",
            "rejectLead",
            "markLeadReadyForPayout",
            "markLeadPaidOut",
            "recordRecurringCheck",
            "moveLead",
            "resubmitLead",
        ],
        ("submitted-lead", "globex") => {
            vec![
                "resubmitLead",
                "resubmitLead",
                "withdrawLead",
                "shareLead",
                "shareLead",
                "moveLead",
                "updateLead",
                "acceptLead",
            ]
        }
        ("internal-lead", "acme") => vec![
            "assignLead",
            "assignLead",
            "reassignLead",
            "qualifyLead",
            "disqualifyLead",
            "deactivateLead",
            "activateLead",
            "updateLead",
            "shareLead",
            "eraseCustomerData",
            "eraseCustomerData",
        ],
        _ => vec!["acceptLead", "shareLead", "moveLead"],
    });
    all
}

impl Arena {
    /// The input of one attempt.
    async fn input(&self, attempt: &str, prize: &Prize, caller: &Caller, chance: &mut Chance) -> Value {
        let lead = json!(prize.id);
        let serial = || self.serial.fetch_add(1, Ordering::Relaxed);
        let stages =
            ["accepted", "declined", "closed_not_converted", "proposal", "negotiation", "qualification", "won"];
        match attempt {
            "declineLead" | "rejectLead" => json!({ "leadId": lead, "reason": "Not our region" }),
            "convertLead" => json!({ "leadId": lead, "opportunity": { "name": "A deal" } }),
            "convertLead(existing)" => json!({ "leadId": lead, "opportunityId": chance.pick(&self.deals) }),
            "moveLead" => json!({ "leadId": lead, "stage": chance.pick(&stages), "reason": "Moved" }),
            "performLeadAction" => {
                json!({ "leadId": lead, "action": chance.pick(&["accept", "close", "share", "propose"]) })
            }
            "shareLead" => json!({ "leadId": lead, "partnershipId": chance.pick(&self.partnerships) }),
            // The title is fixed once it was accepted; the other never is.
            "updateLead" if chance.below(3) == 0 => json!({ "leadId": lead, "title": format!("Title {}", serial()) }),
            "updateLead" => json!({ "leadId": lead, "leadSource": format!("Fair {}", serial()) }),
            "updateLead(owner)" => json!({ "leadId": lead, "ownerId": caller.id }),
            "eraseCustomerData" => json!({ "leadId": lead, "reason": "The customer asked for it" }),
            "requestLeadInfo" => json!({ "leadId": lead, "note": "Who decides?" }),
            "markLeadPaidOut" => json!({ "leadId": lead, "recurring": chance.below(3) > 0 }),
            "assignLead" | "reassignLead" => json!({ "leadId": lead, "ownerId": chance.pick(&self.owners) }),
            "qualifyLead" => json!({ "leadId": lead, "sellingDirection": "Licences" }),
            "disqualifyLead" => json!({ "leadId": lead, "code": "NON_TARGET_CLIENT", "reason": "Too small" }),
            "addComment" => json!({ "leadId": lead, "body": "Hello" }),
            "createTask" => json!({ "leadId": lead, "title": "Call them" }),
            "completeTask" => {
                let tasks = self.tasks.lock().await;
                json!({ "taskId": if tasks.is_empty() { &prize.id } else { chance.pick(&tasks) } })
            }
            "editComment" | "removeComment" => {
                let comments = self.comments.lock().await;
                let mut input =
                    json!({ "commentId": if comments.is_empty() { &prize.id } else { chance.pick(&comments) } });
                if attempt == "editComment" {
                    input["body"] = json!(format!("Edited {}", serial()));
                }
                input
            }
            _ => json!({ "leadId": lead }),
        }
    }

    async fn attempt(&self, caller: &Caller, chance: &mut Chance) {
        // A lead that the company has a part in, as a rule.
        let mut prize = chance.pick(&self.prizes);
        let stranger = |prize: &Prize| match prize.workflow {
            "partner-lead" => false,
            "submitted-lead" => caller.company == "initech",
            _ => caller.company != "acme",
        };
        while stranger(prize) && chance.below(10) > 0 {
            prize = chance.pick(&self.prizes);
        }
        let attempt = *chance.pick(&attempts(prize.workflow, caller.company));
        let mutation = attempt.split('(').next().expect("a name");
        let mut input = self.input(attempt, prize, caller, chance).await;
        let takes_key = [
            "shareLead",
            "convertLead",
            "moveLead",
            "performLeadAction",
            "qualifyLead",
            "disqualifyLead",
            "recordRecurringCheck",
            "addComment",
            "createTask",
        ];
        let creates = ["addComment", "createTask"].contains(&mutation);
        if !creates && chance.below(6) == 0 {
            input["expectedVersion"] = json!(1 + chance.below(5));
        }
        let mut key = None;
        if mutation == "eraseCustomerData" {
            // Nothing is left to erase the second time: then it changes nothing.
            let text = format!("{mutation} {}", prize.id);
            input["idempotencyKey"] = json!(text);
            key = Some(text);
        } else if takes_key.contains(&mutation) && chance.below(2) == 0 {
            // Few keys, so that they are used again, by others and at the same moment. What else is in the input is
            // in the key as well, so that its content is the same.
            let mut text = format!("{mutation} {}", chance.below(2));
            for value in input.as_object().expect("an object").values() {
                write!(text, " {value}").expect("a text");
            }
            let mut hasher = std::hash::DefaultHasher::new();
            text.hash(&mut hasher);
            let text = format!("{mutation} {:x}", hasher.finish());
            input["idempotencyKey"] = json!(text);
            key = Some(text);
        }
        let payload = match mutation {
            "addComment" | "editComment" => "comment { id }",
            "createTask" | "completeTask" => "task { id }",
            _ => "lead { id version }",
        };
        let answer = caller.client.mutate(mutation, input.clone(), payload).await;
        if !answer.errors.is_empty() {
            for (code, _) in answer.faults() {
                assert!(KNOWN.contains(&code), "{attempt} {input}: {}", answer.text);
                *self.codes.lock().await.entry(code.to_owned()).or_default() += 1;
            }
            return;
        }
        *self.codes.lock().await.entry(format!("{attempt} done")).or_default() += 1;
        let noun = payload.split(' ').next().expect("a noun");
        let id = answer.text_at(&format!("/{mutation}/{noun}/id")).to_owned();
        match mutation {
            "addComment" => self.comments.lock().await.push(id.clone()),
            "createTask" => self.tasks.lock().await.push(id.clone()),
            _ => {}
        }
        let first = match key {
            Some(key) => {
                let mut made = self.made.lock().await;
                let known = made
                    .entry((caller.company.to_owned(), key))
                    .or_insert_with(|| (mutation.to_owned(), BTreeSet::new()));
                let first = known.1.is_empty();
                known.1.insert(id);
                first
            }
            None => true,
        };
        // What the source's row of the lead counts: all but what is in its thread, and who owns it on the other side.
        if first && noun == "lead" && mutation != "removeComment" && attempt != "updateLead(owner)" {
            prize.changes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn lead_id(id: &str) -> LeadId {
    LeadId(global_id::decode(id).expect("a global id").1)
}

/// The whole log of a company, in its order.
async fn log_of(world: &World, company: CompanyId) -> Vec<Event> {
    let mut log: Vec<Event> = Vec::new();
    loop {
        let above = log.last().map_or(0, |event| event.position);
        let page = world.server().service().log_after(company, None, above, i64::MAX, 500).await.expect("a log");
        if page.is_empty() {
            return log;
        }
        log.extend(page);
    }
}

/// Reads every log as a ledger.
async fn check(world: &World, arena: &Arena) {
    let service = world.server().service();
    let companies = service.companies().await.expect("companies");
    let mut logs = HashMap::new();
    for company in &companies {
        let log = log_of(world, company.id).await;
        for (place, event) in log.iter().enumerate() {
            assert_eq!(event.position, i64::try_from(place).expect("a place") + 1, "{}: a gap", company.slug);
        }
        let (wrong, histories) =
            service.verify_audit(company.id, None, &mut Watch::default()).await.expect("the audit trail is read");
        assert_eq!(wrong, [], "the audit trail of {}", company.slug);
        assert_eq!(histories.iter().map(|history| history.records).sum::<u64>(), log.len() as u64);
        logs.insert(company.slug.as_str(), log);
    }
    for prize in &arena.prizes {
        let (id, source) = (lead_id(&prize.id), if prize.workflow == "submitted-lead" { "globex" } else { "acme" });
        let of_lead =
            |slug: &str| logs[slug].iter().filter(|event| event.lead == Some(id)).cloned().collect::<Vec<Event>>();
        let selection = "version stage { key } status { key }";
        let lead = read(&world.as_(source, "ADMIN"), &prize.id, selection).await;
        let end = (lead["stage"]["key"].as_str().expect("a stage"), lead["status"]["key"].as_str());
        let told: Vec<_> = of_lead(source).into_iter().filter_map(|event| Some((event.id, step_of(&event)?))).collect();
        let history: Vec<_> = told.iter().map(|(_, step)| step.clone()).collect();
        let mut places = Vec::new();
        let found = faults_of(prize.workflow, &history, end, &mut places);
        assert!(found.is_empty(), "{} as {source} sees it: {found:#?} in {history:#?}", prize.workflow);
        let places: HashMap<EventId, _> = told.iter().map(|(id, _)| *id).zip(places).collect();
        let changes = prize.changes.load(Ordering::Relaxed);
        assert_eq!(lead["version"], changes + 1, "{}: its version counts its changes", prize.workflow);
        let mine: Vec<_> = of_lead(source).iter().map(|event| event.id).collect();
        for other in ["acme", "globex", "initech", "umbrella"].into_iter().filter(|slug| *slug != source) {
            let theirs = of_lead(other);
            assert!(other != "umbrella" || theirs.is_empty(), "a stranger is told nothing");
            // What both were told of came in the same order.
            let shared = |log: &[EventId], with: &[EventId]| -> Vec<EventId> {
                log.iter().filter(|id| with.contains(id)).copied().collect()
            };
            let ids: Vec<_> = theirs.iter().map(|event| event.id).collect();
            assert_eq!(shared(&ids, &mine), shared(&mine, &ids), "{} and {other}", prize.workflow);
            // Its own view of the lead ends where its own log says.
            let mut place: Option<(String, Option<String>)> = None;
            for event in &theirs {
                let Some(step) = step_of(event) else { continue };
                if let Some(known) = places.get(&event.id) {
                    place = Some(known.clone());
                } else if let (Step::Moved { from, to, action }, Some((stage, status))) = (&step, place.as_mut()) {
                    assert_eq!(action, "withdraw", "only a passing on is told to the earlier receiver alone");
                    let track = if status.is_some() { status.as_mut().expect("a status") } else { stage };
                    assert_eq!(from.as_ref(), Some(&*track), "what was withdrawn stood there");
                    track.clone_from(to);
                } else {
                    panic!("{other} was told of {step:?} before the lead was shared with it");
                }
            }
            if let Some((stage, status)) = place {
                let seen = read(&world.as_(other, "ADMIN"), &prize.id, selection).await;
                let end = (seen["stage"]["key"].as_str(), seen["status"]["key"].as_str());
                assert_eq!(end, (Some(stage.as_str()), status.as_deref()), "{} as {other} sees it", prize.workflow);
            }
        }
    }
    // Each key made one thing, and each thing that was made was told once.
    for ((company, key), (mutation, ids)) in &*arena.made.lock().await {
        assert_eq!(ids.len(), 1, "{mutation} with the key {key} of {company} made {ids:?}");
    }
    let mut made = BTreeMap::new();
    for event in &logs["acme"] {
        if matches!(event.happening, Happening::CommentAdded {} | Happening::OpportunityCreated {}) {
            *made.entry(event.subject).or_insert(0) += 1;
        }
    }
    assert!(made.values().all(|times| *times == 1), "{made:?}");
}

on_both_databases! {
    async fn whatever_sixty_four_clients_do_to_twenty_leads_is_a_legal_run(world: World) {
        const CALLS: usize = 20;
        let partnerships = [world.partnership("acme", "globex").await, world.partnership("acme", "initech").await];
        let second = if world.database.kind == Kind::Postgres { Some(world.another_server().await) } else { None };
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let mut prizes = Vec::new();
        for number in 0..20 {
            let (workflow, person, more) = match number % 4 {
                0 | 1 => ("partner-lead", &vendor, json!({ "partnershipId": partnerships[number % 3 % 2] })),
                2 => ("submitted-lead", &partner, json!({ "templateKey": "submitted-lead", "partnershipId": partnerships[0] })),
                _ => ("internal-lead", &vendor, json!({ "templateKey": "internal-lead", "qualification": qualification() })),
            };
            let mut more = more;
            // Each of another customer: whether leads look alike is not the question here.
            more["customer"] = json!({
                "company": format!("Customer {number} of {workflow}"), "address": { "city": "Graz" },
                "contact": { "email": format!("jo@customer-{number}.example") },
            });
            prizes.push(Prize { id: lead_of(person, more).await, workflow, changes: AtomicU32::new(0) });
        }
        let mut deals = Vec::new();
        for _ in 0..3 {
            let made = partner.mutate("createOpportunity", json!({ "name": "A deal" }), "opportunity { id }").await.ok();
            deals.push(made.text_at("/createOpportunity/opportunity/id").to_owned());
        }
        let owners = vec![vendor.id().await, world.as_("acme", "MANAGER").id().await];
        let arena = Arena {
            prizes,
            partnerships,
            deals,
            owners,
            tasks: Mutex::default(),
            comments: Mutex::default(),
            made: Mutex::default(),
            codes: Mutex::default(),
            serial: AtomicU32::new(0),
        };
        let mut callers = Vec::new();
        for number in 0..64 {
            let roles = ["SALES", "SALES", "MANAGER", "ADMIN", "SALES", "MARKETEER", "SALES", "INTEGRATION", "MANAGER", "VIEWER"];
            let (company, role) = match number % 8 {
                0..=2 => ("acme", roles[number % 10]),
                3..=6 => ("globex", roles[(number / 8 + number) % 10]),
                _ => ("initech", "SALES"),
            };
            let person = world.as_(company, role);
            let id = person.id().await;
            let client = match &second {
                Some(second) if number % 2 == 1 => Client::new(second.addr, Some(&person.token)),
                _ => person.with_token(Some(&person.token)),
            };
            callers.push(Caller { client, company, id });
        }
        let arena = Arc::new(arena);
        let clients = callers.into_iter().zip(1_u64..).map(|(caller, number)| {
            let arena = Arc::clone(&arena);
            tokio::spawn(async move {
                let mut chance = Chance(0x9e37_79b9_7f4a_7c15 ^ (number * 0x1234_5678_9abc));
                for _ in 0..CALLS {
                    arena.attempt(&caller, &mut chance).await;
                }
            })
        });
        for client in join_all(clients.collect::<Vec<_>>()).await {
            client.expect("a client found what it should not");
        }
        let codes = arena.codes.lock().await.clone();
        let done: u32 = codes.iter().filter(|(name, _)| name.ends_with(" done")).map(|(_, count)| count).sum();
        assert!(done > 200, "too little came through: {codes:#?}");
        for code in ["FORBIDDEN", "INVALID_TRANSITION", "CONFLICT", "NOT_FOUND"] {
            assert!(codes.contains_key(code), "nobody was told {code}: {codes:#?}");
        }
        assert!(codes.contains_key("eraseCustomerData done"), "nothing was erased: {codes:#?}");
        check(&world, &arena).await;
        if let Some(second) = second {
            second.shutdown().await;
        }
    }
}
