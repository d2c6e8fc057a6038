//! Companies' own workflows and templates (mission D3): drafted, checked, published, bound, run, moved, retired.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::{Answer, Client};
use crate::support::world::World;

/// A workflow that is nowhere in the code: the documentation's example of one.
const DEAL_REGISTRATION: &str = include_str!("../../docs/examples/deal-registration.json");

fn deal_registration() -> Value {
    serde_json::from_str(DEAL_REGISTRATION).expect("JSON")
}

async fn draft(admin: &Client, definition: &Value) -> Answer {
    let input = json!({ "definition": definition });
    admin.mutate("draftWorkflow", input, "workflow { id key workflowVersion state version }").await
}

/// Drafts and publishes a definition; the id of the version.
async fn published(admin: &Client, definition: &Value) -> String {
    let drafted = draft(admin, definition).await.ok();
    let id = drafted.text_at("/draftWorkflow/workflow/id").to_owned();
    let done = admin.mutate("publishWorkflow", json!({ "workflowId": id }), "workflow { state }").await.ok();
    assert_eq!(done.text_at("/publishWorkflow/workflow/state"), "PUBLISHED");
    id
}

async fn template(admin: &Client, workflow: &str, more: Value) -> Answer {
    let mut input = json!({ "key": "deal-registration", "name": "Deal registration", "workflowId": workflow });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.mutate("createLeadTemplate", input, "template { id key version }").await
}

async fn lead(client: &Client, more: Value) -> String {
    let mut input = json!({ "title": "Forty seats", "customer": { "company": "Initrode" } });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let created = client.mutate("createLead", input, "lead { id }").await.ok();
    created.text_at("/createLead/lead/id").to_owned()
}

async fn act(client: &Client, lead: &str, action: &str, fields: Value) -> Answer {
    let input = json!({ "leadId": lead, "action": action, "fields": fields });
    client.mutate("performLeadAction", input, "lead { stage { key } }").await
}

async fn offered(client: &Client, lead: &str) -> Vec<String> {
    let doc = "query($id: ID!) { lead(id: $id) { availableActions { key } } }";
    let found = client.query(doc, json!({ "id": lead })).await.ok();
    found.list_at("/lead/availableActions").iter().map(|action| action["key"].as_str().unwrap().to_owned()).collect()
}

fn codes(answer: &Answer) -> Vec<(String, String)> {
    let text = |error: &Value, name: &str| error["extensions"][name].as_str().unwrap_or_default().to_owned();
    answer.errors.iter().map(|error| (text(error, "code"), text(error, "field"))).collect()
}

on_both_databases! {
    async fn a_workflow_that_is_nowhere_in_the_code_is_run_to_its_end_by_both_sides(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (admin, sales) = (world.as_("globex", "ADMIN"), world.as_("globex", "SALES"));
        let (vendor, lawyer) = (world.as_("acme", "SALES"), world.as_("acme", "MANAGER"));
        let workflow = published(&admin, &deal_registration()).await;
        template(&admin, &workflow, json!({ "answerWithin": "P14D", "convertWithin": "P90D" })).await.ok();
        let id = lead(&sales, json!({ "templateKey": "deal-registration" })).await;
        assert_eq!(offered(&sales, &id).await, ["register"]);
        act(&sales, &id, "register", json!({ "partnershipId": partnership })).await.ok();

        // The vendor has never seen the workflow, and is led by it.
        let doc = "query($id: ID!) { lead(id: $id) { stage { key name kind } expiresAt template { name stages { key } }
            availableActions { key toStage { name } fields { key required requiredWhen { field oneOf } choices { value label } } }
            blockedActions { key missing } } }";
        let seen = vendor.query(doc, json!({ "id": id })).await.ok();
        assert_eq!(seen.at("/lead/stage"), &json!({ "key": "registered", "name": "Registered", "kind": "AWAITING" }));
        assert_eq!(seen.text_at("/lead/expiresAt"), "2026-03-16T09:00:00.000Z");
        assert_eq!(seen.text_at("/lead/template/name"), "Deal registration");
        assert_eq!(seen.list_at("/lead/availableActions").len(), 0, "a value has to be known first");
        assert_eq!(seen.at("/lead/blockedActions"), &json!([{ "key": "send_to_legal", "missing": ["estimatedValue"] }]));
        let refused = act(&vendor, &id, "send_to_legal", json!({ "code": "LOW" })).await;
        assert_eq!(codes(&refused), [("REQUIRED".to_owned(), "lead.estimatedValue".to_owned())]);
        let value = json!({ "leadId": id, "estimatedValue": { "amount": "90000", "currency": "EUR" } });
        sales.mutate("updateLead", value, "lead { id }").await.ok();
        let seen = vendor.query(doc, json!({ "id": id })).await.ok();
        let choices = json!([{ "value": "LOW", "label": "Low" }, { "value": "HIGH", "label": "High" }]);
        assert_eq!(seen.at("/lead/availableActions"), &json!([{
            "key": "send_to_legal", "toStage": { "name": "Legal review" },
            "fields": [
                { "key": "code", "required": true, "requiredWhen": null, "choices": choices },
                { "key": "note", "required": false, "requiredWhen": { "field": "code", "oneOf": ["HIGH"] }, "choices": null },
            ],
        }]));
        let refused = act(&vendor, &id, "send_to_legal", json!({ "code": "HIGH", "colour": "red" })).await;
        assert_eq!(codes(&refused), [
            ("INVALID_INPUT".to_owned(), "input.fields.colour".to_owned()),
            ("REQUIRED".to_owned(), "input.fields.note".to_owned()),
        ]);
        act(&vendor, &id, "send_to_legal", json!({ "code": "HIGH", "note": "They ask for source code." })).await.ok();
        let tasks = "query($id: ID!) { lead(id: $id) { reasonCode note tasks { edges { node { title dueAt } } } } }";
        let seen = vendor.query(tasks, json!({ "id": id })).await.ok();
        assert_eq!(seen.at("/lead/tasks/edges/0/node"), &json!({ "title": "Legal review", "dueAt": "2026-03-05T09:00:00.000Z" }));
        assert_eq!(seen.text_at("/lead/reasonCode"), "HIGH");
        let seen = sales.query(tasks, json!({ "id": id })).await.ok();
        assert_eq!(seen.list_at("/lead/tasks/edges").len(), 1, "what its workflow sets for the vendor, both see");
        assert_eq!(seen.text_at("/lead/note"), "They ask for source code.");
        let feed = "{ activity(first: 1, filter: { kind: [LEAD_NOTICE] }) { edges { node { ... on LeadNotice { message } } } } }";
        let told = sales.query(feed, json!({})).await.ok();
        assert_eq!(told.text_at("/activity/edges/0/node/message"), "Your deal is with the vendor's lawyers.");
        assert_eq!(vendor.query(feed, json!({})).await.ok().list_at("/activity/edges").len(), 0);

        assert_eq!(act(&vendor, &id, "protect", json!({})).await.code(), "FORBIDDEN", "the lawyers alone");
        assert_eq!(act(&sales, &id, "protect", json!({})).await.code(), "FORBIDDEN", "the vendor alone");
        act(&lawyer, &id, "protect", json!({})).await.ok();
        assert_eq!(act(&vendor, &id, "win", json!({})).await.code(), "FORBIDDEN", "the partner alone");
        let won = act(&sales, &id, "win", json!({})).await.ok();
        assert_eq!(won.text_at("/performLeadAction/lead/stage/key"), "closed_won");
        assert_eq!(offered(&sales, &id).await, Vec::<String>::new());
        let feed = "query($id: ID!) { lead(id: $id) { activity { edges { node { ... on LeadStageChanged { action to { name } } } } } } }";
        let seen = vendor.query(feed, json!({ "id": id })).await.ok();
        let moves: Vec<_> = seen
            .list_at("/lead/activity/edges")
            .iter()
            .filter_map(|edge| edge["node"]["to"]["name"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(moves, ["Closed - Won", "Protected", "Legal review"]);
    }

    async fn a_counter_of_a_companys_own_workflow_ends_by_itself(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (admin, sales) = (world.as_("globex", "ADMIN"), world.as_("globex", "SALES"));
        let workflow = published(&admin, &deal_registration()).await;
        template(&admin, &workflow, json!({ "answerWithin": "P14D" })).await.ok();
        let id = lead(&sales, json!({ "templateKey": "deal-registration", "partnershipId": partnership })).await;
        world.clock.advance(TimeDelta::days(15));
        let doc = "query($id: ID!) { lead(id: $id) { stage { key kind } expiredAt } leads(filter: { stageKind: [EXPIRED] }) { edges { node { id } } } }";
        for person in [world.as_("globex", "SALES"), world.as_("acme", "SALES")] {
            let seen = person.query(doc, json!({ "id": id })).await.ok();
            assert_eq!(seen.at("/lead"), &json!({
                "stage": { "key": "lapsed", "kind": "EXPIRED" }, "expiredAt": "2026-03-16T09:00:00.000Z",
            }));
            assert_eq!(seen.list_at("/leads/edges").len(), 1);
        }
        assert_eq!(world.server().service().expire_due(10).await.expect("the sweep runs"), 1);
        let refused = act(&world.as_("acme", "ADMIN"), &id, "refuse", json!({ "reason": "Too late" })).await;
        assert_eq!(refused.code(), "LEAD_EXPIRED");
    }

    async fn what_a_counter_takes_away_was_withdrawn_by_nobody(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (admin, sales) = (world.as_("globex", "ADMIN"), world.as_("globex", "SALES"));
        let mut definition = deal_registration();
        let actions = definition["actions"].as_array_mut().unwrap();
        let lapse = actions.iter_mut().find(|action| action["key"] == "lapse").unwrap();
        lapse["effects"].as_array_mut().unwrap().push(json!({ "do": "END_ASSIGNMENT" }));
        let workflow = published(&admin, &definition).await;
        template(&admin, &workflow, json!({ "answerWithin": "P14D" })).await.ok();
        let id = lead(&sales, json!({ "templateKey": "deal-registration", "partnershipId": partnership })).await;
        world.clock.advance(TimeDelta::days(15));
        assert_eq!(world.server().service().expire_due(10).await.expect("the sweep runs"), 1);
        let doc = "query($id: ID!) { lead(id: $id) { stage { key } }
            activity(filter: { leadId: $id, kind: [LEAD_WITHDRAWN, LEAD_EXPIRED] }) { edges { node { __typename } } } }";
        for person in [&sales, &world.as_("acme", "SALES")] {
            let seen = person.query(doc, json!({ "id": id })).await.ok();
            assert_eq!(seen.text_at("/lead/stage/key"), "lapsed");
            assert_eq!(seen.at("/activity/edges"), &json!([{ "node": { "__typename": "LeadExpired" } }]));
        }
    }

    async fn it_goes_only_the_way_that_it_says(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (admin, sales) = (world.as_("acme", "ADMIN"), world.as_("acme", "SALES"));
        let workflow = published(&admin, &deal_registration()).await;
        template(&admin, &workflow, json!({})).await.ok();
        let id = lead(&sales, json!({ "templateKey": "deal-registration" })).await;
        let refused = act(&sales, &id, "register", json!({ "partnershipId": partnership })).await;
        assert_eq!(codes(&refused), [("INVALID_INPUT".to_owned(), "input.fields.partnershipId".to_owned())]);
        assert!(refused.text.contains("from the partner to the vendor"), "{}", refused.text);
    }

    async fn a_definition_with_faults_is_refused_whole_each_fault_with_its_pointer(world: World) {
        let admin = world.as_("acme", "ADMIN");
        let mut broken = deal_registration();
        broken["actions"][1]["to"] = json!("nowhere");
        broken["actions"][2]["allow"][0]["roles"] = json!(["BOSS"]);
        broken["actions"][3]["fields"][0].as_object_mut().unwrap().remove("type");
        broken["stages"][0]["colour"] = json!("red");
        let check = "query($definition: JSON!) { checkWorkflow(definition: $definition) { pointer message } }";
        let found = admin.query(check, json!({ "definition": broken })).await.ok();
        let told = found.list_at("/checkWorkflow");
        let pointers: Vec<_> = told.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
        for pointer in ["/stages/0/colour", "/actions/2/allow/0/roles/0"] {
            assert!(pointers.contains(&pointer), "{pointers:?}");
        }
        assert!(pointers.iter().any(|pointer| pointer.starts_with("/actions/3/fields/0")), "{pointers:?}");
        let refused = draft(&admin, &broken).await;
        let extensions: Vec<_> = refused.errors.iter().map(|error| error["extensions"]["pointer"].as_str().unwrap()).collect();
        assert_eq!(extensions, pointers, "the same faults");
        assert!(refused.errors.iter().all(|error| error["extensions"]["field"] == "input.definition"));
        assert!(refused.errors.iter().all(|error| error["extensions"]["code"] == "INVALID_INPUT"));
        // Sense is told once the shape is right.
        let mut senseless = deal_registration();
        senseless["actions"][1]["to"] = json!("nowhere");
        let refused = draft(&admin, &senseless).await;
        assert!(refused.errors.iter().any(|error| error["extensions"]["pointer"] == "/actions/1/to"), "{}", refused.text);
        for nonsense in [json!(null), json!([]), json!("x"), json!({}), json!(7)] {
            let refused = draft(&admin, &nonsense).await;
            assert!(!refused.errors.is_empty(), "{nonsense}");
            assert!(refused.errors.iter().all(|error| error["extensions"]["code"] == "INVALID_INPUT"), "{}", refused.text);
        }
        let mut taken = deal_registration();
        taken["key"] = json!("partner-lead");
        assert_eq!(draft(&admin, &taken).await.code(), "DUPLICATE");
        let own = "{ workflows { key shipped state } }";
        let listed = admin.query(own, json!({})).await.ok();
        assert!(listed.list_at("/workflows").iter().all(|workflow| workflow["shipped"] == true), "nothing was kept");
        assert_eq!(listed.list_at("/workflows").len(), 8);
    }

    async fn a_draft_is_changed_until_it_is_published_and_versions_count_on(world: World) {
        let admin = world.as_("acme", "ADMIN");
        let first = draft(&admin, &deal_registration()).await.ok();
        let id = first.text_at("/draftWorkflow/workflow/id").to_owned();
        assert_eq!(first.at("/draftWorkflow/workflow"), &json!({
            "id": id, "key": "deal-registration", "workflowVersion": 1, "state": "DRAFT", "version": 1,
        }));
        let mut other = deal_registration();
        other["name"] = json!("Deals");
        other["version"] = json!(77);
        let again = draft(&admin, &other).await.ok();
        assert_eq!(again.at("/draftWorkflow/workflow"), &json!({
            "id": id, "key": "deal-registration", "workflowVersion": 1, "state": "DRAFT", "version": 2,
        }));
        let input = json!({ "definition": other, "expectedVersion": 1 });
        assert_eq!(admin.mutate("draftWorkflow", input, "workflow { id }").await.code(), "CONFLICT");
        // Nothing can be bound to a draft.
        let refused = template(&admin, &id, json!({})).await;
        assert_eq!(codes(&refused), [("INVALID_INPUT".to_owned(), "input.workflowId".to_owned())]);
        let publish = json!({ "workflowId": id, "expectedVersion": 2 });
        admin.mutate("publishWorkflow", publish.clone(), "workflow { id }").await.ok();
        assert_eq!(admin.mutate("publishWorkflow", publish, "workflow { id }").await.code(), "CONFLICT");
        let again = admin.mutate("publishWorkflow", json!({ "workflowId": id }), "workflow { id }").await;
        assert_eq!(again.code(), "INVALID_TRANSITION");
        let second = draft(&admin, &other).await.ok();
        assert_eq!(second.at("/draftWorkflow/workflow/workflowVersion"), &json!(2));
        let second = second.text_at("/draftWorkflow/workflow/id").to_owned();
        assert_ne!(second, id);
        let discard = json!({ "workflowId": second });
        admin.mutate("discardWorkflowDraft", discard.clone(), "workflowId").await.ok();
        assert_eq!(admin.mutate("discardWorkflowDraft", discard, "workflowId").await.code(), "NOT_FOUND");
        let told = admin.query("{ activity(filter: { kind: [WORKFLOW_CHANGED] }) { edges { node { ... on WorkflowChanged { fromState toState } } } } }", json!({})).await.ok();
        let told: Vec<_> = told.list_at("/activity/edges").iter().map(|edge| edge["node"]["toState"].as_str().unwrap().to_owned()).collect();
        assert_eq!(told, ["DISCARDED", "DRAFT", "PUBLISHED", "DRAFT", "DRAFT"]);
    }

    async fn a_workflow_that_leads_are_on_is_not_retired(world: World) {
        let admin = world.as_("acme", "ADMIN");
        let id = published(&admin, &deal_registration()).await;
        let bound = template(&admin, &id, json!({})).await.ok();
        let bound = bound.text_at("/createLeadTemplate/template/id").to_owned();
        let retire = json!({ "workflowId": id });
        let refused = admin.mutate("retireWorkflow", retire.clone(), "workflow { state }").await;
        assert_eq!(refused.code(), "INVALID_TRANSITION");
        assert!(refused.text.contains("Templates bind this version: deal-registration."), "{}", refused.text);
        for _ in 0..3 {
            lead(&admin, json!({ "templateKey": "deal-registration" })).await;
        }
        let refused = admin.mutate("retireWorkflow", retire.clone(), "workflow { state }").await;
        assert_eq!(refused.errors.len(), 2);
        assert!(refused.text.contains("3 leads of your company are on this version"), "{}", refused.text);
        let counted = admin.query("query($id: ID!) { workflow(id: $id) { recordCount } }", json!({ "id": id })).await.ok();
        assert_eq!(counted.at("/workflow/recordCount"), &json!(3));

        // A newer version takes the template and the leads, and the old one can go.
        let mut newer = deal_registration();
        newer["stages"][0]["key"] = json!("preparation");
        newer["tracks"][0]["initial"] = json!("preparation");
        newer["actions"][0]["from"] = json!(["preparation"]);
        let newer = published(&admin, &newer).await;
        let rebind = json!({ "templateId": bound, "workflowId": newer });
        admin.mutate("updateLeadTemplate", rebind, "template { workflowVersion }").await.ok();
        let fields = "movedCount misfits { lead { number } problem } endCursor";
        let mut call = json!({ "fromWorkflowId": id, "toWorkflowId": newer, "dryRun": true });
        let tried = admin.mutate("moveLeadsToWorkflow", call.clone(), fields).await.ok();
        assert_eq!(tried.at("/moveLeadsToWorkflow/movedCount"), &json!(0));
        assert_eq!(tried.list_at("/moveLeadsToWorkflow/misfits").len(), 3);
        assert!(tried.text_at("/moveLeadsToWorkflow/misfits/0/problem").contains("\"draft\""));
        call["stages"] = json!([{ "from": "draft", "to": "preparation" }]);
        let tried = admin.mutate("moveLeadsToWorkflow", call.clone(), fields).await.ok();
        assert_eq!(tried.at("/moveLeadsToWorkflow"), &json!({ "movedCount": 3, "misfits": [], "endCursor": null }));
        let stages = "{ leads { edges { node { stage { key } version } } } }";
        let still = admin.query(stages, json!({})).await.ok();
        assert!(still.list_at("/leads/edges").iter().all(|edge| edge["node"] == json!({ "stage": { "key": "draft" }, "version": 1 })), "a dry run changes nothing");
        call["dryRun"] = json!(false);
        admin.mutate("moveLeadsToWorkflow", call.clone(), fields).await.ok();
        let now = admin.query(stages, json!({})).await.ok();
        assert!(now.list_at("/leads/edges").iter().all(|edge| edge["node"]["stage"]["key"] == "preparation"));
        let again = admin.mutate("moveLeadsToWorkflow", call, fields).await.ok();
        assert_eq!(again.at("/moveLeadsToWorkflow/movedCount"), &json!(0), "none is left");
        let told = admin.query("{ activity(first: 1) { edges { node { ... on LeadWorkflowChanged { fromVersion toVersion } } } } }", json!({})).await.ok();
        assert_eq!(told.at("/activity/edges/0/node"), &json!({ "fromVersion": 1, "toVersion": 2 }));
        let done = admin.mutate("retireWorkflow", retire, "workflow { state retiredAt }").await.ok();
        assert_eq!(done.text_at("/retireWorkflow/workflow/state"), "RETIRED");
        let refused = template(&admin, &id, json!({ "key": "late" })).await;
        assert_eq!(codes(&refused), [("INVALID_INPUT".to_owned(), "input.workflowId".to_owned())]);
    }

    async fn leads_that_are_shared_move_with_both_sides_and_a_running_counter_has_to_fit(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (admin, sales) = (world.as_("globex", "ADMIN"), world.as_("globex", "SALES"));
        let old = published(&admin, &deal_registration()).await;
        template(&admin, &old, json!({ "answerWithin": "P14D" })).await.ok();
        let id = lead(&sales, json!({ "templateKey": "deal-registration", "partnershipId": partnership })).await;
        let mut without = deal_registration();
        let actions = without["actions"].as_array_mut().unwrap();
        let lapse = actions.iter().position(|action| action["key"] == "lapse").unwrap();
        actions[lapse]["key"] = json!("run_out");
        for action in actions.iter_mut() {
            for effect in action["effects"].as_array_mut().unwrap() {
                if effect["do"] == "START_COUNTER" {
                    effect["then"] = json!("run_out");
                }
            }
        }
        let new = published(&admin, &without).await;
        let call = json!({ "fromWorkflowId": old, "toWorkflowId": new, "leadIds": [id] });
        let fields = "movedCount misfits { leadId problem }";
        let tried = admin.mutate("moveLeadsToWorkflow", call, fields).await.ok();
        assert!(tried.text_at("/moveLeadsToWorkflow/misfits/0/problem").contains("lapse"), "{}", tried.text);
        let mut renamed = deal_registration();
        renamed["stages"][1]["key"] = json!("filed");
        renamed["stages"][1]["name"] = json!("Filed");
        for action in renamed["actions"].as_array_mut().unwrap() {
            if action["to"] == "registered" {
                action["to"] = json!("filed");
            }
            for from in action["from"].as_array_mut().unwrap() {
                if *from == "registered" {
                    *from = json!("filed");
                }
            }
        }
        let third = published(&admin, &renamed).await;
        let stages = json!([{ "from": "registered", "to": "filed" }]);
        let call = json!({ "fromWorkflowId": old, "toWorkflowId": third, "stages": stages });
        let done = admin.mutate("moveLeadsToWorkflow", call, fields).await.ok();
        assert_eq!(done.at("/moveLeadsToWorkflow/movedCount"), &json!(1), "{}", done.text);
        let doc = "query($id: ID!) { lead(id: $id) { stage { name } expiresAt version } }";
        for company in ["globex", "acme"] {
            let seen = world.as_(company, "SALES").query(doc, json!({ "id": id })).await.ok();
            assert_eq!(seen.at("/lead"), &json!({
                "stage": { "name": "Filed" }, "expiresAt": "2026-03-16T09:00:00.000Z", "version": 2,
            }), "{company}");
        }
    }

    async fn the_definition_is_read_once_and_costs_no_statement_a_lead(world: World) {
        let (admin, sales) = (world.as_("acme", "ADMIN"), world.as_("acme", "SALES"));
        let id = published(&admin, &deal_registration()).await;
        template(&admin, &id, json!({})).await.ok();
        let statements = async |selection: &str, count: usize| {
            let doc = format!("{{ leads(first: 50) {{ edges {{ node {{ {selection} }} }} }} }}");
            let mut least = u64::MAX;
            // What is in memory afterwards is not counted, nor is what jobs do in between.
            for _ in 0..5 {
                let before = world.server().service().db().statements();
                let page = sales.query(&doc, json!({})).await.ok();
                least = least.min(world.server().service().db().statements() - before);
                assert_eq!(page.list_at("/leads/edges").len(), count);
            }
            least
        };
        lead(&sales, json!({ "templateKey": "deal-registration" })).await;
        let titles = statements("title", 1).await;
        for _ in 1..50 {
            lead(&sales, json!({ "templateKey": "deal-registration" })).await;
        }
        let all = "title stage { name } availableActions { key fields { key default } } blockedActions { key }";
        assert_eq!(statements(all, 50).await, titles, "the stages and forms of fifty leads are in memory");
    }

    async fn templates_bind_workflows_with_limits_required_fields_and_defaults(world: World) {
        let (admin, sales) = (world.as_("acme", "ADMIN"), world.as_("acme", "SALES"));
        let id = published(&admin, &deal_registration()).await;
        let refused = template(&admin, &id, json!({
            "key": "Deals!", "name": " ", "answerWithin": "soon", "checkEvery": "P1M",
            "requiredFields": ["customer.contact.email", "shoeSize"],
            "defaults": [{ "field": "title", "value": "x" }, { "field": "customer.address.country", "value": "Germany" }],
        })).await;
        let mut faults = codes(&refused);
        faults.sort();
        let fault = |code: &str, field: &str| (code.to_owned(), field.to_owned());
        assert_eq!(faults, [
            fault("INVALID_INPUT", "input.answerWithin"),
            fault("INVALID_INPUT", "input.checkEvery"),
            fault("INVALID_INPUT", "input.defaults.0.field"),
            fault("INVALID_INPUT", "input.defaults.1.value"),
            fault("INVALID_INPUT", "input.key"),
            fault("INVALID_INPUT", "input.requiredFields.1"),
            fault("REQUIRED", "input.name"),
        ]);
        let more = json!({
            "requiredFields": ["customer.contact.email", "leadSource"],
            "defaults": [{ "field": "leadSource", "value": "Partner portal" }, { "field": "customer.address.country", "value": "DE" }],
            "isDefault": true, "idempotencyKey": "once",
        });
        let created = template(&admin, &id, more.clone()).await.ok();
        let again = template(&admin, &id, more).await.ok();
        assert_eq!(created.at("/createLeadTemplate/template/id"), again.at("/createLeadTemplate/template/id"));
        let twice = template(&admin, &id, json!({})).await;
        assert_eq!(codes(&twice), [fault("DUPLICATE", "input.key")]);
        let listed = sales.query("{ leadTemplates { key isDefault } }", json!({})).await.ok();
        assert_eq!(listed.at("/leadTemplates/0"), &json!({ "key": "deal-registration", "isDefault": true }));
        assert_eq!(listed.list_at("/leadTemplates").iter().filter(|template| template["isDefault"] == true).count(), 1);
        let input = json!({ "title": "Forty seats", "customer": { "company": "Initrode" } });
        let refused = sales.mutate("createLead", input, "lead { id }").await;
        assert_eq!(codes(&refused), [fault("REQUIRED", "input.customer.contact.email")]);
        let id = lead(&sales, json!({ "customer": { "company": "Initrode", "contact": { "email": "buyer@initrode.example" } } })).await;
        let doc = "query($id: ID!) { lead(id: $id) { leadSource stage { key } customer { address { country } } } }";
        let seen = sales.query(doc, json!({ "id": id })).await.ok();
        assert_eq!(seen.at("/lead"), &json!({
            "leadSource": "Partner portal", "stage": { "key": "draft" }, "customer": { "address": { "country": "DE" } },
        }));
        let clear = json!({ "leadId": id, "customer": { "contact": { "email": null } } });
        let refused = sales.mutate("updateLead", clear, "lead { id }").await;
        assert_eq!(codes(&refused), [fault("REQUIRED", "input.customer.contact.email")]);
        let template_id = created.text_at("/createLeadTemplate/template/id");
        let unset = json!({ "templateId": template_id, "isDefault": false });
        let refused = admin.mutate("updateLeadTemplate", unset, "template { id }").await;
        assert_eq!(codes(&refused), [fault("INVALID_INPUT", "input.isDefault")]);
        let clear = json!({ "templateId": template_id, "requiredFields": null, "defaults": null });
        let cleared = admin.mutate("updateLeadTemplate", clear, "template { requiredFields defaults { field } }").await.ok();
        assert_eq!(cleared.at("/updateLeadTemplate/template"), &json!({ "requiredFields": [], "defaults": [] }));
    }

    async fn the_other_side_sees_what_its_lead_is_on_and_nothing_of_what_the_template_is_bound_to_since(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (admin, vendor) = (world.as_("globex", "ADMIN"), world.as_("acme", "SALES"));
        let first = published(&admin, &deal_registration()).await;
        let created = template(&admin, &first, json!({})).await.ok();
        let id = lead(&world.as_("globex", "SALES"), json!({ "templateKey": "deal-registration", "partnershipId": partnership })).await;
        let mut secret = deal_registration();
        secret["key"] = json!("secret");
        secret["name"] = json!("A secret process");
        secret["stages"][2]["name"] = json!("Secret review");
        let secret = published(&admin, &secret).await;
        let template_id = created.text_at("/createLeadTemplate/template/id").to_owned();
        let rebind = json!({ "templateId": template_id, "workflowId": secret, "isDefault": true });
        admin.mutate("updateLeadTemplate", rebind, "template { id }").await.ok();
        let doc = "query($id: ID!) { lead(id: $id) { workflowKey workflowVersion stages { key }
            template { id name workflow workflowVersion isDefault stages { name } } } }";
        let seen = vendor.query(doc, json!({ "id": id })).await.ok();
        assert_eq!(seen.text_at("/lead/template/workflow"), "deal-registration");
        assert_eq!(seen.at("/lead/template/isDefault"), &json!(false));
        assert_eq!(seen.text_at("/lead/template/name"), "Deal registration");
        assert_eq!(seen.list_at("/lead/stages").len(), 8);
        let board = "query($id: ID!) { leadBoard(templateId: $id) { columns { stage { name } } template { workflow } } }";
        let board = vendor.query(board, json!({ "id": template_id })).await.ok();
        assert_eq!(board.text_at("/leadBoard/template/workflow"), "deal-registration");
        for answer in [&seen, &board] {
            assert!(!answer.text.to_lowercase().contains("secret"), "{}", answer.text);
        }
        // Its own side sees what the lead is on beside what starts from the template now.
        let seen = admin.query(doc, json!({ "id": id })).await.ok();
        assert_eq!(seen.text_at("/lead/workflowKey"), "deal-registration");
        assert_eq!(seen.text_at("/lead/template/workflow"), "secret");
    }

    async fn a_counter_that_lost_its_meaning_holds_nothing_up_and_what_is_kept_on_passing_on_is_kept(world: World) {
        // A status counts for the stage; the lead is then submitted anew, which puts the stage back to its beginning.
        let people = json!(["ADMIN", "SALES"]);
        let definition = json!({
            "key": "two-counters", "version": 1, "name": "Two counters", "subject": "LEAD",
            "tracks": [{ "key": "STATUS", "initial": "draft" }, { "key": "STAGE", "initial": "open" }],
            "stages": [
                { "key": "draft", "name": "Draft", "kind": "OPEN", "track": "STATUS" },
                { "key": "sent", "name": "Sent", "kind": "AWAITING", "track": "STATUS" },
                { "key": "refused", "name": "Refused", "kind": "DECLINED", "terminal": true, "track": "STATUS" },
                { "key": "open", "name": "Open", "kind": "OPEN" },
                { "key": "proposed", "name": "Proposed", "kind": "ACTIVE" },
                { "key": "dead", "name": "Dead", "kind": "EXPIRED", "terminal": true },
            ],
            "actions": [
                { "key": "send", "name": "Send", "from": ["draft", "refused"], "to": "sent",
                  "allow": [{ "side": "SOURCE", "roles": people }],
                  "fields": [
                      { "key": "partnershipId", "label": "To", "type": "PARTNERSHIP", "required": true },
                      { "key": "note", "label": "Note", "type": "LONG_TEXT" },
                  ],
                  "effects": [{ "do": "NEW_ASSIGNMENT" }, { "do": "KEEP_NOTE" }] },
                { "key": "refuse", "name": "Refuse", "from": ["sent"], "to": "refused",
                  "allow": [{ "side": "RECEIVER", "roles": people }] },
                { "key": "propose", "name": "Propose", "from": ["open"], "to": "proposed",
                  "allow": [{ "side": "SOURCE", "roles": people }],
                  "effects": [{ "do": "START_COUNTER", "limit": "ANSWER", "then": "die" }] },
                { "key": "die", "name": "Die", "from": ["proposed"], "to": "dead", "system": true,
                  "effects": [{ "do": "STOP_COUNTER" }] },
            ],
        });
        let (first, second) = (world.partnership("acme", "globex").await, world.partnership("acme", "initech").await);
        let (admin, sales) = (world.as_("acme", "ADMIN"), world.as_("acme", "SALES"));
        let workflow = published(&admin, &definition).await;
        template(&admin, &workflow, json!({ "key": "two-counters", "answerWithin": "P7D" })).await.ok();
        let id = lead(&sales, json!({ "templateKey": "two-counters" })).await;
        act(&sales, &id, "send", json!({ "partnershipId": first, "note": "They wait for you" })).await.ok();
        let doc = "query($id: ID!) { lead(id: $id) { note stage { key } expiresAt } }";
        let seen = world.as_("globex", "SALES").query(doc, json!({ "id": id })).await.ok();
        assert_eq!(seen.text_at("/lead/note"), "They wait for you", "the receiver reads what it was sent with");
        act(&sales, &id, "propose", json!({})).await.ok();
        act(&world.as_("globex", "SALES"), &id, "refuse", json!({})).await.ok();
        act(&sales, &id, "send", json!({ "partnershipId": second })).await.ok();
        for person in [&sales, &world.as_("initech", "SALES")] {
            let seen = person.query(doc, json!({ "id": id })).await.ok();
            assert_eq!(seen.at("/lead"), &json!({ "note": null, "stage": { "key": "open" }, "expiresAt": null }));
        }
        world.clock.advance(TimeDelta::days(8));
        act(&sales, &id, "propose", json!({})).await.ok();
        let input = json!({ "leadId": id, "title": "Fifty seats" });
        sales.mutate("updateLead", input, "lead { id }").await.ok();
    }

    async fn a_company_defines_its_own_opportunities(world: World) {
        let (admin, sales) = (world.as_("acme", "ADMIN"), world.as_("acme", "SALES"));
        let doc = "{ workflows { id key subject definition } }";
        let listed = admin.query(doc, json!({})).await.ok();
        let shipped = listed.list_at("/workflows").iter().find(|workflow| workflow["key"] == "opportunity").unwrap().clone();
        let mut own = shipped["definition"].clone();
        own["key"] = json!("tender");
        own["stages"][1]["name"] = json!("Tender handed in");
        let id = published(&admin, &own).await;
        let input = json!({ "key": "tender", "name": "Tender", "workflowId": id });
        admin.mutate("createLeadTemplate", input, "template { subject }").await.ok();
        let input = json!({ "name": "City hall", "templateKey": "tender" });
        let created = sales.mutate("createOpportunity", input, "opportunity { id stage { key } }").await.ok();
        let opportunity = created.text_at("/createOpportunity/opportunity/id");
        let input = json!({ "opportunityId": opportunity, "stage": "Tender handed in" });
        let moved = sales.mutate("moveOpportunity", input, "opportunity { stage { name } }").await.ok();
        assert_eq!(moved.text_at("/moveOpportunity/opportunity/stage/name"), "Tender handed in");
        let listed = sales.query("{ opportunityTemplates { key isDefault } leadTemplates { key } }", json!({})).await.ok();
        assert_eq!(listed.at("/opportunityTemplates"), &json!([
            { "key": "opportunity", "isDefault": true }, { "key": "tender", "isDefault": false },
        ]));
        let retired = admin.mutate("retireWorkflow", json!({ "workflowId": id }), "workflow { id }").await;
        assert!(retired.text.contains("1 open opportunities of your company are on this version"), "{}", retired.text);
    }

    async fn a_diagram_is_drawn_of_what_is_kept_and_of_what_is_not(world: World) {
        let viewer = world.as_("acme", "VIEWER");
        let doc = "{ workflows { id key diagram } }";
        let listed = viewer.query(doc, json!({})).await.ok();
        for workflow in listed.list_at("/workflows") {
            let draw = "query($id: ID) { workflowDiagram(id: $id) }";
            let drawn = viewer.query(draw, json!({ "id": workflow["id"] })).await.ok();
            assert_eq!(drawn.at("/workflowDiagram"), &workflow["diagram"]);
            assert!(drawn.text_at("/workflowDiagram").contains("stateDiagram-v2"), "{}", workflow["key"]);
        }
        let draw = "query($id: ID, $definition: JSON) { workflowDiagram(id: $id, definition: $definition) }";
        let drawn = viewer.query(draw, json!({ "definition": deal_registration() })).await.ok();
        assert!(drawn.text_at("/workflowDiagram").contains("Legal review"));
        assert_eq!(viewer.query(draw, json!({})).await.code(), "REQUIRED");
        let id = listed.at("/workflows/0/id");
        let both = viewer.query(draw, json!({ "id": id, "definition": deal_registration() })).await;
        assert_eq!(both.code(), "INVALID_INPUT");
        let broken = viewer.query(draw, json!({ "definition": { "key": "x" } })).await;
        assert!(broken.errors.iter().all(|error| error["extensions"]["field"] == "definition"), "{}", broken.text);
        assert_eq!(broken.errors.len(), 6, "{}", broken.text);
    }

    async fn a_shipped_workflow_and_another_companys_can_not_be_changed(world: World) {
        let (admin, other) = (world.as_("acme", "ADMIN"), world.as_("globex", "ADMIN"));
        let own = published(&admin, &deal_registration()).await;
        let listed = admin.query("{ workflows { id shipped } }", json!({})).await.ok();
        let shipped = listed.text_at("/workflows/0/id").to_owned();
        for (mutation, payload) in [("publishWorkflow", "workflow { id }"), ("retireWorkflow", "workflow { id }"), ("discardWorkflowDraft", "workflowId")] {
            assert_eq!(admin.mutate(mutation, json!({ "workflowId": shipped }), payload).await.code(), "FORBIDDEN");
            assert_eq!(other.mutate(mutation, json!({ "workflowId": own }), payload).await.code(), "NOT_FOUND");
            let sales = world.as_("acme", "SALES");
            assert_eq!(sales.mutate(mutation, json!({ "workflowId": own }), payload).await.code(), "FORBIDDEN");
        }
        let read = other.query("query($id: ID!) { workflow(id: $id) { key } }", json!({ "id": own })).await;
        assert_eq!(read.code(), "NOT_FOUND");
        let refused = template(&other, &own, json!({})).await;
        assert_eq!(codes(&refused), [("NOT_FOUND".to_owned(), "input.workflowId".to_owned())]);
        // The same key is free in another company.
        published(&other, &deal_registration()).await;
        let listed = other.query("{ workflows { key shipped } }", json!({})).await.ok();
        assert_eq!(listed.list_at("/workflows").iter().filter(|workflow| workflow["shipped"] == false).count(), 1);
    }
}
