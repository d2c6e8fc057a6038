//! What is told, and to whom: every mutation, what the server does by itself, and the filters of `activity`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use cosell::domain::clock::Clock as _;
use cosell::domain::event::Event;
use cosell::domain::id::CompanyId;
use serde_json::{Value, json};

use crate::matrix::{Scene, plain};
use crate::on_both_databases;
use crate::support::leads::lead_of;
use crate::support::world::{Person, World};

/// What is told to one company, in the order of its log.
type Told = &'static [&'static str];

/// A mutation, who calls it, and what each company is told. The company of `invitePartner` that is invited is
/// `newcomer`. A company that is not here is told nothing: initech, which had most of the leads before, nor umbrella.
struct Row {
    /// As in the schema; what stands in brackets tells two rows of one field apart.
    field: &'static str,
    caller: (&'static str, &'static str),
    told: &'static [(&'static str, Told)],
}

const fn row(field: &'static str, caller: (&'static str, &'static str), told: &'static [(&'static str, Told)]) -> Row {
    Row { field, caller, told }
}

const ADMIN: (&str, &str) = ("acme", "ADMIN");
const VENDOR: (&str, &str) = ("acme", "SALES");
const PARTNER: (&str, &str) = ("globex", "SALES");

const PARTNERSHIP: &[(&str, Told)] = &[("acme", &["PARTNERSHIP_CHANGED"]), ("globex", &["PARTNERSHIP_CHANGED"])];
const STAGE: &[(&str, Told)] = &[("acme", &["LEAD_STAGE_CHANGED"]), ("globex", &["LEAD_STAGE_CHANGED"])];
const STATUS: &[(&str, Told)] = &[("acme", &["LEAD_STATUS_CHANGED"]), ("globex", &["LEAD_STATUS_CHANGED"])];
/// Who answers a lead first owns it on the receiver's side.
const ANSWERED: &[(&str, Told)] =
    &[("acme", &["LEAD_STAGE_CHANGED"]), ("globex", &["LEAD_STAGE_CHANGED", "LEAD_OWNER_CHANGED"])];
const REVIEWED: &[(&str, Told)] =
    &[("acme", &["LEAD_STATUS_CHANGED", "LEAD_OWNER_CHANGED"]), ("globex", &["LEAD_STATUS_CHANGED"])];
const TASK: &[(&str, Told)] = &[("acme", &["TASK_CHANGED"]), ("globex", &["TASK_CHANGED"])];
const LIST: &[(&str, Told)] = &[("acme", &["MARKETING_LIST_CHANGED"])];
const LISTED: &[(&str, Told)] = &[("acme", &["LEAD_MARKETING_LIST_CHANGED"])];
const WORKFLOW: &[(&str, Told)] = &[("acme", &["WORKFLOW_CHANGED"])];
const INSIDE: &[(&str, Told)] = &[("acme", &["LEAD_STAGE_CHANGED"])];
const UPDATED: &[(&str, Told)] = &[("acme", &["LEAD_UPDATED"])];

const ROWS: &[Row] = &[
    row("invitePartner", ADMIN, &[("acme", &["PARTNERSHIP_CHANGED"]), ("newcomer", &["PARTNERSHIP_CHANGED"])]),
    row("acceptPartnership", ("globex", "ADMIN"), PARTNERSHIP),
    row("suspendPartnership", ADMIN, PARTNERSHIP),
    row("resumePartnership", ADMIN, PARTNERSHIP),
    row("endPartnership", ADMIN, PARTNERSHIP),
    row("createLead", VENDOR, &[("acme", &["LEAD_CREATED"])]),
    row(
        "createLead(shared)",
        VENDOR,
        &[("acme", &["LEAD_CREATED", "LEAD_STAGE_CHANGED", "LEAD_SHARED"]), ("globex", &["LEAD_SHARED"])],
    ),
    row("updateLead", VENDOR, &[("acme", &["LEAD_UPDATED"]), ("globex", &["LEAD_UPDATED"])]),
    row("updateLead(ownerId)", VENDOR, &[("acme", &["LEAD_OWNER_CHANGED"])]),
    row("updateLead(externalReference)", VENDOR, UPDATED),
    row("updateLead(qualification)", VENDOR, UPDATED),
    // Also to the company that had the lead before: its log loses the contact too.
    row(
        "eraseCustomerData",
        ADMIN,
        &[
            ("acme", &["CUSTOMER_DATA_ERASED"]),
            ("globex", &["CUSTOMER_DATA_ERASED"]),
            ("initech", &["CUSTOMER_DATA_ERASED"]),
        ],
    ),
    row(
        "shareLead",
        VENDOR,
        &[
            ("acme", &["LEAD_SHARED"]),
            ("globex", &["LEAD_STAGE_CHANGED", "LEAD_WITHDRAWN"]),
            ("initech", &["LEAD_SHARED"]),
        ],
    ),
    row(
        "shareLead(internal)",
        VENDOR,
        &[("acme", &["LEAD_STAGE_CHANGED", "LEAD_SHARED"]), ("initech", &["LEAD_SHARED"])],
    ),
    row(
        "withdrawLead",
        VENDOR,
        &[("acme", &["LEAD_STAGE_CHANGED", "LEAD_WITHDRAWN"]), ("globex", &["LEAD_STAGE_CHANGED", "LEAD_WITHDRAWN"])],
    ),
    row("acceptLead", PARTNER, ANSWERED),
    row("declineLead", PARTNER, ANSWERED),
    row(
        "convertLead",
        PARTNER,
        &[
            ("acme", &["OPPORTUNITY_CREATED", "LEAD_STAGE_CHANGED"]),
            ("globex", &["OPPORTUNITY_CREATED", "LEAD_STAGE_CHANGED"]),
        ],
    ),
    row(
        "convertLead(existing)",
        PARTNER,
        &[
            ("acme", &["OPPORTUNITY_LINKED", "LEAD_STAGE_CHANGED"]),
            ("globex", &["OPPORTUNITY_LINKED", "LEAD_STAGE_CHANGED"]),
        ],
    ),
    row("closeLead", PARTNER, STAGE),
    row("moveLead", PARTNER, ANSWERED),
    row("performLeadAction", PARTNER, ANSWERED),
    row(
        "withdrawLead(submitted)",
        PARTNER,
        &[("acme", &["LEAD_STATUS_CHANGED", "LEAD_WITHDRAWN"]), ("globex", &["LEAD_STATUS_CHANGED", "LEAD_WITHDRAWN"])],
    ),
    row("acceptLead(submitted)", VENDOR, REVIEWED),
    row("moveLead(submitted)", VENDOR, STAGE),
    row("requestLeadInfo", VENDOR, REVIEWED),
    row("resubmitLead", PARTNER, STATUS),
    row("rejectLead", VENDOR, REVIEWED),
    row("markLeadReadyForPayout", VENDOR, STATUS),
    row("markLeadPaidOut", VENDOR, STATUS),
    row("recordRecurringCheck", VENDOR, &[("acme", &["LEAD_ACTION_TAKEN"]), ("globex", &["LEAD_ACTION_TAKEN"])]),
    row("assignLead", VENDOR, INSIDE),
    row("assignLead(marketeer)", VENDOR, &[("acme", &["LEAD_STAGE_CHANGED", "LEAD_OWNER_CHANGED"])]),
    row("reassignLead", VENDOR, &[("acme", &["LEAD_ACTION_TAKEN"])]),
    row("reassignLead(marketeer)", VENDOR, &[("acme", &["LEAD_OWNER_CHANGED"])]),
    row("qualifyLead", VENDOR, &[("acme", &["OPPORTUNITY_CREATED", "LEAD_STAGE_CHANGED"])]),
    row("disqualifyLead", VENDOR, INSIDE),
    row("deactivateLead", VENDOR, UPDATED),
    row("activateLead", VENDOR, UPDATED),
    row("createLeadTemplate", ADMIN, &[("acme", &["TEMPLATE_CREATED"])]),
    row("createLeadTemplate(default)", ADMIN, &[("acme", &["TEMPLATE_UPDATED", "TEMPLATE_CREATED"])]),
    row("updateLeadTemplate", ADMIN, &[("acme", &["TEMPLATE_UPDATED"])]),
    row("draftWorkflow", ADMIN, WORKFLOW),
    row("publishWorkflow", ADMIN, WORKFLOW),
    row("discardWorkflowDraft", ADMIN, WORKFLOW),
    row("retireWorkflow", ADMIN, WORKFLOW),
    row("moveLeadsToWorkflow(one)", ADMIN, &[("acme", &["LEAD_WORKFLOW_CHANGED"])]),
    row("createOpportunity", PARTNER, &[("globex", &["OPPORTUNITY_CREATED"])]),
    row("updateOpportunity", PARTNER, &[("acme", &["OPPORTUNITY_UPDATED"]), ("globex", &["OPPORTUNITY_UPDATED"])]),
    row(
        "moveOpportunity",
        PARTNER,
        &[("acme", &["OPPORTUNITY_STAGE_CHANGED"]), ("globex", &["OPPORTUNITY_STAGE_CHANGED"])],
    ),
    row(
        "moveOpportunity(value)",
        PARTNER,
        &[
            ("acme", &["OPPORTUNITY_STAGE_CHANGED", "OPPORTUNITY_UPDATED"]),
            ("globex", &["OPPORTUNITY_STAGE_CHANGED", "OPPORTUNITY_UPDATED"]),
        ],
    ),
    row(
        "performOpportunityAction",
        PARTNER,
        &[("acme", &["OPPORTUNITY_STAGE_CHANGED"]), ("globex", &["OPPORTUNITY_STAGE_CHANGED"])],
    ),
    row("addComment", VENDOR, &[("acme", &["COMMENT_ADDED"]), ("globex", &["COMMENT_ADDED"])]),
    row("addComment(INTERNAL)", VENDOR, &[("acme", &["COMMENT_ADDED"])]),
    row("editComment", PARTNER, &[("acme", &["COMMENT_EDITED"]), ("globex", &["COMMENT_EDITED"])]),
    row("removeComment", PARTNER, &[("acme", &["COMMENT_REMOVED"]), ("globex", &["COMMENT_REMOVED"])]),
    row("createTask", VENDOR, TASK),
    row("createTask(INTERNAL)", VENDOR, &[("acme", &["TASK_CHANGED"])]),
    row("updateTask", VENDOR, TASK),
    row("assignTask", VENDOR, TASK),
    row("completeTask", PARTNER, TASK),
    row("reopenTask", PARTNER, TASK),
    row("cancelTask", VENDOR, TASK),
    row("createMarketingList", VENDOR, LIST),
    row("renameMarketingList", VENDOR, LIST),
    row("archiveMarketingList", VENDOR, LIST),
    row("restoreMarketingList", VENDOR, LIST),
    row("addToMarketingList", VENDOR, LISTED),
    row("addToMarketingList(receiver)", PARTNER, &[("globex", &["LEAD_MARKETING_LIST_CHANGED"])]),
    row("removeFromMarketingList", VENDOR, LISTED),
    row(
        "updatePartnershipSettings",
        ADMIN,
        &[("acme", &["PARTNERSHIP_SETTINGS_CHANGED"]), ("globex", &["PARTNERSHIP_SETTINGS_CHANGED"])],
    ),
];

#[tokio::test]
async fn every_mutation_of_the_schema_has_a_row_and_every_row_a_mutation() {
    const FIELDS: &str = "{ __schema { mutationType { fields(includeDeprecated: true) { name } } } }";
    let schema = crate::support::introspect(FIELDS);
    let fields = schema["__schema"]["mutationType"]["fields"].as_array().expect("fields").iter();
    let fields: BTreeSet<_> = fields.map(|field| field["name"].as_str().expect("a name")).collect();
    let rows: BTreeSet<_> = ROWS.iter().map(|row| plain(row.field)).collect();
    assert_eq!(fields, rows);
}

/// The input of a row: the matrix's, or one of its own.
async fn input_of(scene: &Scene, field: &str) -> Value {
    let with = |mut input: Value, key: &str, value: Value| {
        input[key] = value;
        input
    };
    match field {
        "createLead(shared)" => with(scene.input("createLead").await, "partnershipId", json!(scene.partnership)),
        "updateLead(externalReference)" => {
            let reference = json!({ "system": "salesforce", "id": scene.fresh_key() });
            json!({ "leadId": scene.pending().await, "externalReference": reference })
        }
        "updateLead(qualification)" => {
            json!({ "leadId": scene.pending().await, "qualification": { "goal": "Fewer calls" } })
        }
        "eraseCustomerData" => {
            let input = scene.input("eraseCustomerData").await;
            let contact = json!({ "leadId": input["leadId"], "customer": { "contact": { "firstName": "Jo" } } });
            scene.vendor().mutate("updateLead", contact, "lead { id }").await.ok();
            input
        }
        "convertLead(existing)" => {
            let partner = scene.partner();
            let deal =
                partner.mutate("createOpportunity", json!({ "name": "A deal" }), "opportunity { id }").await.ok();
            let deal = deal.at("/createOpportunity/opportunity/id").clone();
            json!({ "leadId": scene.accepted().await, "opportunityId": deal })
        }
        "createLeadTemplate(default)" => with(scene.input("createLeadTemplate").await, "isDefault", json!(true)),
        "moveLeadsToWorkflow(one)" => {
            let input = scene.input("moveLeadsToWorkflow").await;
            let key = scene.fresh_key();
            let template = json!({ "key": key, "name": "Fair", "workflowId": input["fromWorkflowId"] });
            let admin = scene.world.as_("acme", "ADMIN");
            admin.mutate("createLeadTemplate", template, "template { id }").await.ok();
            lead_of(&admin, json!({ "templateKey": key })).await;
            input
        }
        "moveOpportunity(value)" => {
            with(scene.input("moveOpportunity").await, "value", json!({ "amount": "12.50", "currency": "EUR" }))
        }
        "addComment(INTERNAL)" | "createTask(INTERNAL)" => {
            with(scene.input(plain(field)).await, "visibility", json!("INTERNAL"))
        }
        other => scene.input(other).await,
    }
}

fn kind(event: &Event) -> String {
    let json = serde_json::to_value(&event.happening).expect("JSON");
    json["kind"].as_str().expect("a kind").to_owned()
}

/// Every company's log, read from the service itself.
struct Logs<'w> {
    world: &'w World,
    /// By slug.
    companies: Vec<(String, CompanyId)>,
    heads: BTreeMap<CompanyId, i64>,
}

impl<'w> Logs<'w> {
    async fn now(world: &'w World) -> Self {
        let service = world.server().service();
        let companies: Vec<_> =
            service.companies().await.expect("companies").into_iter().map(|one| (one.slug, one.id)).collect();
        let ids: Vec<_> = companies.iter().map(|(_, id)| *id).collect();
        let heads = service.log_heads(&ids).await.expect("heads").into_iter().collect();
        Self { world, companies, heads }
    }

    /// What each company has been told since, but for what looks like a lead that came: every lead here is of one
    /// customer.
    async fn since(&self) -> BTreeMap<String, Vec<Event>> {
        let mut told = BTreeMap::new();
        for (slug, id) in &self.companies {
            let events =
                self.world.server().service().log_after(*id, None, self.heads[id], i64::MAX, 100).await.expect("a log");
            let events: Vec<_> = events.into_iter().filter(|event| kind(event) != "LEAD_DUPLICATES_FOUND").collect();
            if !events.is_empty() {
                told.insert(slug.clone(), events);
            }
        }
        told
    }
}

/// The log of a person's company: kinds and what is asked for of them, the oldest first.
async fn log_of(person: &Person, filter: Value, selection: &str) -> Vec<Value> {
    let document = format!(
        "query($filter: ActivityFilter) {{ activity(filter: $filter, first: 100) {{ edges {{ node {{ __typename id at {selection} }} }} }} }}"
    );
    let answer = person.query(&document, json!({ "filter": filter })).await.ok();
    let mut nodes: Vec<_> = answer.list_at("/activity/edges").iter().map(|edge| edge["node"].clone()).collect();
    nodes.reverse();
    nodes
}

fn kinds_of(log: &[Value]) -> Vec<&str> {
    log.iter().map(|node| node["__typename"].as_str().expect("a type")).collect()
}

on_both_databases! {
    async fn every_mutation_is_told_to_those_who_may_know_and_to_nobody_else(world: World) {
        let scene = Scene::set(world).await;
        for row in ROWS {
            let input = input_of(&scene, row.field).await;
            let logs = Logs::now(&scene.world).await;
            let (company, role) = row.caller;
            let caller = scene.world.as_(company, role);
            let answer = caller.mutate(plain(row.field), input.clone(), "__typename").await;
            assert!(answer.errors.is_empty(), "{}: {}", row.field, answer.text);
            let told = logs.since().await;
            let newcomer = input["companySlug"].as_str().unwrap_or_default();
            let expected: BTreeMap<_, Vec<_>> = row.told.iter()
                .map(|(slug, kinds)| (if *slug == "newcomer" { newcomer } else { slug }, kinds.to_vec()))
                .collect();
            let kinds: BTreeMap<_, Vec<_>> =
                told.iter().map(|(slug, events)| (slug.as_str(), events.iter().map(kind).collect())).collect();
            let expected: BTreeMap<_, Vec<_>> = expected.into_iter()
                .map(|(slug, kinds)| (slug, kinds.into_iter().map(str::to_owned).collect()))
                .collect();
            assert_eq!(kinds, expected, "{}", row.field);
            for event in told.values().flatten() {
                assert!(event.actor.is_some(), "{}: {event:?}", row.field);
            }
            // A repetition that changes nothing tells nothing.
            if ["updateLead", "updateTask", "completeTask", "archiveMarketingList", "addToMarketingList"].contains(&row.field) {
                let logs = Logs::now(&scene.world).await;
                caller.mutate(plain(row.field), input, "__typename").await.ok();
                assert_eq!(logs.since().await, BTreeMap::new(), "{}", row.field);
            }
        }
    }

    async fn what_changed_is_told_with_its_state_before_and_after(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let (owner, clerk) = (vendor.id().await, partner.id().await);
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        // Owners: each side hears of its own.
        partner.mutate("acceptLead", json!({ "leadId": lead }), "lead { id }").await.ok();
        vendor.mutate("updateLead", json!({ "leadId": lead, "ownerId": null }), "lead { id }").await.ok();
        let owners = "... on LeadOwnerChanged { fromOwner { id } toOwner { id } }";
        let filter = json!({ "kind": ["LEAD_OWNER_CHANGED"] });
        let of = |log: Vec<Value>| -> Vec<(Value, Value)> {
            log.into_iter().map(|node| (node["fromOwner"]["id"].clone(), node["toOwner"]["id"].clone())).collect()
        };
        assert_eq!(of(log_of(&vendor, filter.clone(), owners).await), [(json!(owner), Value::Null)]);
        assert_eq!(of(log_of(&partner, filter, owners).await), [(Value::Null, json!(clerk))]);
        // Tasks.
        let input = json!({ "leadId": lead, "title": "Call", "assignTo": "RECEIVER" });
        let task = vendor.mutate("createTask", input, "task { id }").await.ok();
        let task = task.text_at("/createTask/task/id").to_owned();
        let due = "2026-03-05T09:00:00.000Z";
        let input = json!({ "taskId": task, "title": "Write", "description": "At length", "dueAt": due });
        vendor.mutate("updateTask", input, "task { id }").await.ok();
        vendor.mutate("assignTask", json!({ "taskId": task, "assigneeId": clerk }), "task { id }").await.ok();
        partner.mutate("completeTask", json!({ "taskId": task }), "task { id }").await.ok();
        let selection = "... on TaskChanged { change changes { field before after } }";
        for person in [&vendor, &partner] {
            let log = log_of(person, json!({ "kind": ["TASK_CHANGED"] }), selection).await;
            let told: Vec<_> = log.iter().map(|node| (node["change"].clone(), node["changes"].clone())).collect();
            assert_eq!(told, [
                (json!("CREATED"), json!([])),
                (json!("EDITED"), json!([
                    { "field": "title", "before": "Call", "after": "Write" },
                    { "field": "description", "before": null, "after": "At length" },
                    { "field": "dueAt", "before": null, "after": due },
                ])),
                (json!("ASSIGNED"), json!([{ "field": "assignee", "before": null, "after": clerk }])),
                (json!("COMPLETED"), json!([{ "field": "state", "before": "OPEN", "after": "DONE" }])),
            ]);
        }
        // A comment's texts are not in the log.
        let input = json!({ "leadId": lead, "body": "The word zanzibar" });
        let comment = vendor.mutate("addComment", input, "comment { id }").await.ok();
        let comment = comment.text_at("/addComment/comment/id").to_owned();
        vendor.mutate("editComment", json!({ "commentId": comment, "body": "The word timbuktu" }), "comment { id }").await.ok();
        vendor.mutate("removeComment", json!({ "commentId": comment }), "lead { id }").await.ok();
        let rows = crate::support::rows::Rows::of(&world.database).await.now().await;
        for (table, rows) in rows {
            assert!(!rows.contains("zanzibar") && !rows.contains("timbuktu"), "{table} keeps what was taken back");
        }
        // A withdrawal, with its reason.
        let lead = world.shared_lead("acme", &partnership, "Fifty seats").await;
        vendor.mutate("withdrawLead", json!({ "leadId": lead, "reason": "Sold" }), "lead { id }").await.ok();
        for person in [&vendor, &partner] {
            let filter = json!({ "leadId": lead, "kind": ["LEAD_STAGE_CHANGED", "LEAD_WITHDRAWN"] });
            let log = log_of(person, filter, "... on LeadStageChanged { to { key } } ... on LeadWithdrawn { reason }").await;
            let last: Vec<_> = log.iter().rev().take(2).collect();
            assert_eq!((&last[1]["to"]["key"], &last[0]["reason"]), (&json!("withdrawn"), &json!("Sold")), "{log:#?}");
        }
    }

    async fn a_limit_that_comes_near_is_told_once_and_one_that_has_passed_too(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let second = world.another_server().await;
        let at = |hours: i64| (world.clock.now() + TimeDelta::hours(hours)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let shared = async |hours: i64| {
            let more = json!({ "partnershipId": partnership, "expiresAt": at(hours) });
            lead_of(&vendor, more).await
        };
        let filter = |lead: &str| json!({ "leadId": lead, "kind": ["LEAD_EXPIRING", "LEAD_EXPIRED"] });
        let selection = "... on LeadExpiring { expiresAt to { key } } ... on LeadExpired { expiresAt from { key } to { key } }
            actor { __typename }";
        // Both servers look for what is due, as their jobs do too.
        let look = async || {
            for server in [world.server(), &second] {
                server.service().expire_due(100).await.expect("leads expire");
                server.service().tell_of_limits(100).await.expect("limits are told of");
            }
        };
        let (lasting, short, answered, moved) = (shared(96).await, shared(4).await, shared(96).await, shared(96).await);
        let (long_end, short_end) = (at(96), at(4));
        look().await;
        for lead in [&lasting, &short, &answered, &moved] {
            assert_eq!(log_of(&partner, filter(lead), selection).await, Vec::<Value>::new(), "not yet");
        }
        // The short one is told of when three quarters of its time have passed.
        world.clock.advance(TimeDelta::hours(3));
        look().await;
        look().await;
        for person in [&vendor, &partner] {
            let log = log_of(person, filter(&short), selection).await;
            assert_eq!(kinds_of(&log), ["LeadExpiring"]);
            assert_eq!((&log[0]["expiresAt"], &log[0]["to"]["key"]), (&json!(short_end), &json!("expired")));
            assert_eq!(log[0]["actor"]["__typename"], "SystemActor");
            assert_eq!(log_of(person, filter(&lasting), selection).await, Vec::<Value>::new());
        }
        // To be told of a limit is no change of the lead.
        let version = vendor.query("query($id: ID!) { lead(id: $id) { version } }", json!({ "id": short })).await.ok();
        assert_eq!(version.at("/lead/version"), 1);
        world.clock.advance(TimeDelta::hours(2));
        look().await;
        for person in [&vendor, &partner] {
            let log = log_of(person, filter(&short), selection).await;
            assert_eq!(kinds_of(&log), ["LeadExpiring", "LeadExpired"]);
            assert_eq!(
                (&log[1]["expiresAt"], &log[1]["from"]["key"], &log[1]["to"]["key"]),
                (&json!(short_end), &json!("pending"), &json!("expired"))
            );
            assert_eq!(log[1]["actor"]["__typename"], "SystemActor");
        }
        // One that is answered before is not told of; one whose limit is moved has another one.
        partner.mutate("declineLead", json!({ "leadId": answered, "reason": "No" }), "lead { id }").await.ok();
        let moved_end = at(200);
        vendor.mutate("updateLead", json!({ "leadId": moved, "expiresAt": moved_end }), "lead { id }").await.ok();
        world.clock.advance(TimeDelta::hours(96 - 5 - 24));
        look().await;
        for person in [&vendor, &partner] {
            let log = log_of(person, filter(&lasting), selection).await;
            assert_eq!(kinds_of(&log), ["LeadExpiring"], "a day before");
            assert_eq!(log[0]["expiresAt"], json!(long_end));
            for lead in [&answered, &moved] {
                assert_eq!(log_of(person, filter(lead), selection).await, Vec::<Value>::new());
            }
        }
        // A new limit is told of anew: the acceptance sets one.
        partner.mutate("acceptLead", json!({ "leadId": lasting }), "lead { id }").await.ok();
        world.clock.advance(TimeDelta::days(29) + TimeDelta::hours(1));
        look().await;
        let log = log_of(&partner, filter(&lasting), selection).await;
        assert_eq!(kinds_of(&log), ["LeadExpiring", "LeadExpiring"]);
        // The one that was moved was near and passed while nobody looked: only that it passed is told.
        assert_eq!(kinds_of(&log_of(&partner, filter(&moved), selection).await), ["LeadExpired"]);
        second.shutdown().await;
    }

    async fn the_log_is_filtered_by_kind_lead_actor_and_time(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let vendor = world.as_("acme", "SALES");
        let other = world.as_("acme", "MANAGER");
        let partner = world.as_("globex", "SALES");
        let mut times = vec![world.clock.now()];
        let mut leads = Vec::new();
        for title in ["Forty seats", "Fifty seats"] {
            world.clock.advance(TimeDelta::minutes(10));
            times.push(world.clock.now());
            let lead = world.shared_lead("acme", &partnership, title).await;
            for (person, body) in [(&vendor, "One"), (&other, "Two"), (&partner, "Three")] {
                world.clock.advance(TimeDelta::seconds(7));
                person.mutate("addComment", json!({ "leadId": lead, "body": body }), "comment { id }").await.ok();
                person.mutate("createTask", json!({ "leadId": lead, "title": body }), "task { id }").await.ok();
            }
            leads.push(lead);
        }
        partner.mutate("acceptLead", json!({ "leadId": leads[0] }), "lead { id }").await.ok();
        let document = "query($filter: ActivityFilter, $first: Int, $after: String, $last: Int, $before: String) {
            activity(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
                edges { cursor node { __typename id at actor { ... on Member { id } } lead { id } } }
                pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
        // The kinds as the schema names them.
        let screaming = |name: &str| {
            let mut kind = String::new();
            for letter in name.chars() {
                if letter.is_uppercase() && !kind.is_empty() {
                    kind.push('_');
                }
                kind.extend(letter.to_uppercase());
            }
            kind
        };
        for person in [&vendor, &partner] {
            let all = person.query(document, json!({ "first": 100 })).await.ok();
            let all: Vec<_> = all.list_at("/activity/edges").iter().map(|edge| edge["node"].clone()).collect();
            assert!(all.len() > 15, "{all:#?}");
            let times: Vec<_> =
                times.iter().map(|at| json!(at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))).collect();
            let leads_asked = [Value::Null, json!(leads[0]), json!(leads[1])];
            let kinds_asked = [Value::Null, json!([]), json!(["COMMENT_ADDED"]), json!(["TASK_CHANGED", "LEAD_STAGE_CHANGED"])];
            let actors_asked = [Value::Null, json!(vendor.id().await), json!(partner.id().await)];
            let times_asked = [
                (Value::Null, Value::Null), (times[1].clone(), Value::Null), (Value::Null, times[2].clone()),
                (times[1].clone(), times[2].clone()), (times[2].clone(), times[1].clone()),
            ];
            let mut hits = 0;
            for (lead, kinds) in leads_asked.iter().flat_map(|lead| kinds_asked.iter().map(move |kinds| (lead, kinds))) {
                for (actor, (since, until)) in actors_asked.iter().flat_map(|actor| times_asked.iter().map(move |times| (actor, times))) {
                    let expected: Vec<_> = all.iter().filter(|node| {
                        let at = node["at"].as_str().expect("a time");
                        (lead.is_null() || node["lead"]["id"] == *lead)
                            && kinds.as_array().is_none_or(|kinds| {
                                let kind = screaming(node["__typename"].as_str().expect("a type"));
                                kinds.iter().any(|asked| *asked == json!(kind))
                            })
                            && (actor.is_null() || node["actor"]["id"] == *actor)
                            && since.as_str().is_none_or(|since| at >= since)
                            && until.as_str().is_none_or(|until| at < until)
                    }).cloned().collect();
                    hits += expected.len();
                    let mut filter = json!({ "leadId": lead, "kind": kinds, "actorId": actor, "since": since, "until": until });
                    // Null is what is about no lead, or done by no member.
                    filter.as_object_mut().expect("an object").retain(|_, asked| !asked.is_null());
                    // Forwards and backwards, in pages of four.
                    for (size, place, cursor, more) in [("first", "after", "endCursor", "hasNextPage"), ("last", "before", "startCursor", "hasPreviousPage")] {
                        let mut found: Vec<Value> = Vec::new();
                        let mut at = Value::Null;
                        loop {
                            let mut variables = json!({ "filter": filter });
                            variables[size] = json!(4);
                            variables[place] = at;
                            let page = person.query(document, variables).await.ok();
                            let nodes = page.list_at("/activity/edges").iter().map(|edge| edge["node"].clone());
                            if size == "first" { found.extend(nodes) } else { found.splice(0..0, nodes); }
                            if page.at("/activity/pageInfo")[more] != true {
                                break;
                            }
                            at = page.at("/activity/pageInfo")[cursor].clone();
                        }
                        assert_eq!(found, expected, "{filter} {size}");
                    }
                }
            }
            assert!(hits > 100, "the filters found something");
        }
    }

    async fn what_happens_elsewhere_moves_nobody_elses_feed(world: World) {
        let scene = Scene::set(world).await;
        let lead = scene.pending().await;
        let feed = "{ activity(first: 5) { edges { cursor node { id at } } pageInfo { endCursor hasNextPage } }
            leads { edges { cursor node { id version updatedAt stage { key } } } } tasks { edges { node { id } } } }";
        let (earlier, stranger) = (scene.world.as_("initech", "ADMIN"), scene.world.as_("umbrella", "ADMIN"));
        let companies: BTreeMap<_, _> = Logs::now(&scene.world).await.companies.into_iter().collect();
        let ids = [companies["initech"], companies["umbrella"]];
        let service = scene.world.server().service().clone();
        let before = (earlier.query(feed, json!({})).await.ok().data, stranger.query(feed, json!({})).await.ok().data);
        let heads = service.log_heads(&ids).await.expect("heads");
        // The lead goes on with globex, and acme works others by itself: each step is looked at.
        let vendor = scene.vendor();
        let partner = scene.partner();
        let inside = scene.unassigned("SALES").await;
        let steps = [
            (&partner, "addComment", json!({ "leadId": lead, "body": "Hello" })),
            (&vendor, "createTask", json!({ "leadId": lead, "title": "Call", "assignTo": "RECEIVER" })),
            (&partner, "acceptLead", json!({ "leadId": lead })),
            (&vendor, "updateLead", json!({ "leadId": lead, "description": "Sixty seats" })),
            (&partner, "convertLead", json!({ "leadId": lead, "opportunity": {} })),
            (&vendor, "assignLead", json!({ "leadId": inside, "ownerId": scene.owner })),
            (&vendor, "qualifyLead", json!({ "leadId": inside, "sellingDirection": "Licences" })),
            (&vendor, "createMarketingList", json!({ "name": "Fair" })),
        ];
        for (person, mutation, input) in steps {
            person.mutate(mutation, input, "__typename").await.ok();
            let now = (earlier.query(feed, json!({})).await.ok().data, stranger.query(feed, json!({})).await.ok().data);
            assert_eq!(now, before, "{mutation}");
            assert_eq!(service.log_heads(&ids).await.expect("heads"), heads, "{mutation}");
        }
        // What acme works by itself is in acme's log alone.
        for person in [&partner, &earlier, &stranger] {
            let answer = person.query("query($id: ID!) { activity(filter: { leadId: $id }) { edges { cursor } } }", json!({ "id": inside })).await;
            assert!(answer.errors.is_empty() && answer.list_at("/activity/edges").is_empty(), "{}", answer.text);
        }
        assert!(log_of(&vendor, json!({ "leadId": inside }), "").await.len() >= 4);
    }
}
