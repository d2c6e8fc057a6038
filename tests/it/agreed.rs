//! What was agreed stays agreed: what a side may still change once the other has answered, what ends with a passing, and
//! which way leads back from a wrong click. acme is the vendor; globex and initech are its partners.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::Answer;
use crate::support::leads::{lead_of, offered, perform, qualification, read};
use crate::support::world::{Person, World};
use crate::support::ws::Event;

/// Where a lead stands, and what its fields say.
const STANDING: &str = "stage { key } status { key } stageLocked archived reason acceptedAt declinedAt closedAt rejectedAt \
    readyForPayoutAt expiresAt openTaskCount title customer { company } estimatedValue { amount }";

async fn change(person: &Person, lead: &str, fields: Value) -> Answer {
    let mut input = fields;
    input["leadId"] = json!(lead);
    person.mutate("updateLead", input, &format!("lead {{ {STANDING} }}")).await
}

async fn call(person: &Person, mutation: &str, lead: &str, rest: Value) -> Answer {
    let mut input = rest;
    input["leadId"] = json!(lead);
    person.mutate(mutation, input, "lead { id }").await
}

async fn submitted(partner: &Person, partnership: &str) -> String {
    let more = json!({
        "templateKey": "submitted-lead", "partnershipId": partnership, "estimatedValue": { "amount": "100", "currency": "EUR" }
    });
    lead_of(partner, more).await
}

/// The kinds of what a lead's feed shows a person, the earliest first, with what tells them apart.
async fn feed(person: &Person, lead: &str) -> Vec<String> {
    const FEED: &str = "query($id: ID!) { lead(id: $id) { activity(first: 100) { edges { node { __typename \
        ... on LeadStatusChanged { action } ... on LeadStageChanged { action } ... on TaskChanged { change } \
        actor { __typename } } } } } }";
    let answer = person.query(FEED, json!({ "id": lead })).await.ok();
    let mut told: Vec<_> = answer
        .list_at("/lead/activity/edges")
        .iter()
        .map(|edge| {
            let node = &edge["node"];
            let what = node["action"].as_str().or_else(|| node["change"].as_str()).unwrap_or_default();
            format!("{} {what}", node["__typename"].as_str().expect("a name")).trim_end().to_owned()
        })
        .collect();
    told.reverse();
    told
}

fn faults(answer: &Answer) -> Vec<(String, String)> {
    answer.faults().into_iter().map(|(code, field)| (code.to_owned(), field.to_owned())).collect()
}

fn forbidden(fields: &[&str]) -> Vec<(String, String)> {
    fields.iter().map(|field| ("FORBIDDEN".to_owned(), format!("input.{field}"))).collect()
}

async fn task(person: &Person, lead: &str, more: Value) -> String {
    let mut input = json!({ "leadId": lead, "title": "Call them" });
    for (key, value) in more.as_object().into_iter().flatten() {
        input[key] = value.clone();
    }
    person.mutate("createTask", input, "task { id }").await.ok().text_at("/createTask/task/id").to_owned()
}

/// The states of the tasks of a lead that a person sees, the oldest first.
async fn states(person: &Person, lead: &str) -> Vec<String> {
    let seen = read(person, lead, "tasks(first: 100) { edges { node { state } } }").await;
    let edges = seen["tasks"]["edges"].as_array().expect("a list").iter();
    edges.map(|edge| edge["node"]["state"].as_str().expect("a state").to_owned()).collect()
}

on_both_databases! {
    async fn a_partner_does_not_change_the_customer_that_the_vendor_accepted(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = submitted(&partner, &partnership).await;
        // Before the answer the partner fills it in as it likes.
        change(&partner, &id, json!({ "customer": { "company": "Initrode Ltd" } })).await.ok();
        assert_eq!(read(&partner, &id, "fixedFields reviewedFields").await, json!({ "fixedFields": [], "reviewedFields": [] }));
        call(&vendor, "acceptLead", &id, json!({})).await.ok();
        let refused = change(&partner, &id, json!({
            "customer": { "company": "Big Customer", "website": "https://big.example" },
            "estimatedValue": { "amount": "900000", "currency": "EUR" }
        })).await;
        assert_eq!(faults(&refused), forbidden(&["customer.company", "customer.website"]), "{}", refused.text);
        assert_eq!(refused.errors[0]["extensions"]["stage"], "accepted");
        let message = refused.errors[0]["message"].as_str().expect("a message");
        assert!(message.starts_with("customer.company is fixed at the stage Accepted"), "{message}");
        for (person, role) in [(&world.as_("globex", "ADMIN"), "ADMIN"), (&world.as_("globex", "INTEGRATION"), "INTEGRATION")] {
            let refused = change(person, &id, json!({ "customer": { "company": "Big Customer" } })).await;
            assert_eq!(faults(&refused), forbidden(&["customer.company"]), "{role}");
        }
        let seen = read(&vendor, &id, STANDING).await;
        assert_eq!((&seen["customer"]["company"], &seen["status"]["key"]), (&json!("Initrode Ltd"), &json!("accepted")));
        // The same again is no change.
        change(&partner, &id, json!({ "customer": { "company": "Initrode Ltd" } })).await.ok();
        assert_eq!(read(&vendor, &id, "status { key }").await, json!({ "status": { "key": "accepted" } }));
        let told = read(&partner, &id, "fixedFields reviewedFields").await;
        assert_eq!(told["fixedFields"], json!(["customer.company", "customer.website"]));
        let reviewed = told["reviewedFields"].as_array().expect("a list");
        assert!(reviewed.contains(&json!("estimatedValue")) && reviewed.contains(&json!("customer.contact.email")), "{told}");
        // The vendor changes nothing of it anyway.
        assert_eq!(read(&vendor, &id, "fixedFields").await["fixedFields"].as_array().map(Vec::len), Some(18));
    }

    async fn a_change_of_what_was_accepted_puts_the_lead_back_to_review_and_tells_the_vendor(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let changes = [
            json!({ "estimatedValue": { "amount": "900000", "currency": "EUR" } }), json!({ "estimatedValue": null }),
            json!({ "title": "Nine hundred seats" }), json!({ "customer": { "contact": { "email": "else@big.example" } } }),
            json!({ "description": "All of it", "ownerId": null }),
        ];
        for fields in changes {
            let id = submitted(&partner, &partnership).await;
            call(&vendor, "acceptLead", &id, json!({})).await.ok();
            perform(&vendor, &id, "propose", json!({})).await.ok();
            let answer = change(&partner, &id, fields.clone()).await.ok().at("/updateLead/lead").clone();
            for lead in [answer, read(&vendor, &id, STANDING).await] {
                assert_eq!(
                    (&lead["status"]["key"], &lead["acceptedAt"], &lead["stageLocked"], &lead["stage"]["key"]),
                    (&json!("new"), &Value::Null, &json!(true), &json!("proposal")), "{fields}"
                );
            }
            assert_eq!(perform(&vendor, &id, "negotiate", json!({})).await.code(), "INVALID_TRANSITION");
            let told = feed(&vendor, &id).await;
            assert_eq!(told[told.len() - 3..], ["LeadUpdated", "LeadStatusChanged review_again", "LeadNotice"], "{fields}");
            // Accepted again, it goes on where it was.
            call(&vendor, "acceptLead", &id, json!({})).await.ok();
            perform(&vendor, &id, "negotiate", json!({})).await.ok();
        }
        // What is each side's own changes nothing that was agreed.
        let id = submitted(&partner, &partnership).await;
        call(&vendor, "acceptLead", &id, json!({})).await.ok();
        let own = json!({ "ownerId": null, "leadSource": "Fair", "externalReference": { "system": "crm", "id": "17" } });
        assert_eq!(change(&partner, &id, own).await.ok().at("/updateLead/lead/status/key"), &json!("accepted"));
    }

    async fn nothing_changes_once_a_submitted_lead_is_to_be_paid(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = submitted(&partner, &partnership).await;
        call(&vendor, "acceptLead", &id, json!({})).await.ok();
        for (mutation, rest) in [
            ("markLeadReadyForPayout", json!({})), ("markLeadPaidOut", json!({ "recurring": true })), ("markLeadPaidOut", json!({})),
        ] {
            call(&vendor, mutation, &id, rest).await.ok();
            let refused = change(&partner, &id, json!({
                "title": "Other", "description": "Other", "leadSource": "Other", "estimatedValue": null,
                "customer": { "company": "Other", "address": { "city": "Wien" }, "contact": { "phone": "+43 316 123456" } }
            })).await;
            assert_eq!(faults(&refused), forbidden(&[
                "title", "description", "leadSource", "estimatedValue", "customer.company", "customer.address.city",
                "customer.contact.phone",
            ]), "{mutation}: {}", refused.text);
        }
    }

    async fn the_title_and_customer_of_a_lead_are_fixed_for_its_vendor_once_the_partner_has_accepted(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = lead_of(&vendor, json!({ "partnershipId": partnership })).await;
        change(&vendor, &id, json!({ "title": "Fifty seats" })).await.ok();
        // The receiver sees before it accepts what that fixes.
        let actions = read(&partner, &id, "availableActions { key fixesFields }").await;
        let accept = actions["availableActions"].as_array().unwrap().iter().find(|action| action["key"] == "accept").unwrap();
        let fixes = accept["fixesFields"].as_array().unwrap();
        assert!(fixes.contains(&json!("title")) && fixes.contains(&json!("customer.address.city")), "{accept}");
        assert!(!fixes.contains(&json!("estimatedValue")), "{accept}");
        call(&partner, "acceptLead", &id, json!({})).await.ok();
        let refused = change(&vendor, &id, json!({ "title": "Ten seats", "customer": { "address": { "city": "Wien" } } })).await;
        assert_eq!(faults(&refused), forbidden(&["title", "customer.address.city"]));
        change(&vendor, &id, json!({ "description": "Ask for Ann", "estimatedValue": { "amount": "5", "currency": "EUR" } })).await.ok();
        call(&partner, "closeLead", &id, json!({})).await.ok();
        let refused = change(&vendor, &id, json!({ "description": "Never mind" })).await;
        assert_eq!(faults(&refused), forbidden(&["description"]));
    }

    async fn a_company_s_own_workflow_says_what_is_fixed_for_whom(world: World) {
        let admin = world.as_("acme", "ADMIN");
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let shipped = cosell::domain::workflow::builtin::builtin("partner-lead", 2).expect("it is shipped");
        let mut own = serde_json::to_value(&*shipped).unwrap();
        own["key"] = json!("own-lead");
        own["fieldRules"] = json!([
            { "at": ["new"], "fields": ["leadSource"], "except": ["ADMIN"] },
            { "at": ["pending"], "fields": ["customer.contact"], "except": ["SALES"] },
        ]);
        let drafted = admin.mutate("draftWorkflow", json!({ "definition": own }), "workflow { id }").await.ok();
        let workflow = drafted.text_at("/draftWorkflow/workflow/id");
        admin.mutate("publishWorkflow", json!({ "workflowId": workflow }), "workflow { id }").await.ok();
        let input = json!({ "key": "own-lead", "name": "Own", "workflowId": workflow });
        admin.mutate("createLeadTemplate", input, "template { id }").await.ok();
        let id = lead_of(&vendor, json!({ "templateKey": "own-lead", "leadSource": "Web" })).await;
        assert_eq!(faults(&change(&vendor, &id, json!({ "leadSource": "Fair" })).await), forbidden(&["leadSource"]));
        change(&admin, &id, json!({ "leadSource": "Fair" })).await.ok();
        call(&vendor, "shareLead", &id, json!({ "partnershipId": partnership })).await.ok();
        let contact = json!({ "customer": { "contact": { "lastName": "Ray" } } });
        assert_eq!(faults(&change(&admin, &id, contact.clone()).await), forbidden(&["customer.contact.lastName"]));
        change(&vendor, &id, contact).await.ok();
        // Its rules hold, not those of the shipped one.
        call(&partner, "acceptLead", &id, json!({})).await.ok();
        change(&vendor, &id, json!({ "title": "Ten seats" })).await.ok();
        // A rule that makes no sense is refused with its place.
        own["fieldRules"] = json!([
            { "at": ["nowhere"], "fields": ["qualification.goal"] }, { "at": ["new"], "fields": ["*"], "review": "accept" },
            { "at": ["pending"], "fields": ["title"], "except": ["VIEWER"], "review": "gone" },
        ]);
        let refused = admin.mutate("draftWorkflow", json!({ "definition": own }), "workflow { id }").await;
        let pointers: Vec<_> = refused.errors.iter().map(|error| error["extensions"]["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, [
            "/fieldRules/0/at/0", "/fieldRules/0/fields/0", "/fieldRules/1/review", "/fieldRules/1/at/0",
            "/fieldRules/2/review", "/fieldRules/2/except/0",
        ]);
    }

    async fn an_opportunity_that_another_company_follows_is_not_linked_to_a_third_one_s_lead(world: World) {
        let (first, second) = (world.partnership("acme", "globex").await, world.partnership("initech", "globex").await);
        let (acme, initech, globex) = (world.as_("acme", "SALES"), world.as_("initech", "SALES"), world.as_("globex", "SALES"));
        let ours = lead_of(&acme, json!({ "partnershipId": first, "title": "Secret plan of Acme" })).await;
        let theirs = lead_of(&initech, json!({ "partnershipId": second })).await;
        for lead in [&ours, &theirs] {
            call(&globex, "acceptLead", lead, json!({})).await.ok();
        }
        let converted = globex.mutate("convertLead", json!({ "leadId": ours, "opportunity": {} }), "opportunity { id }").await.ok();
        let deal = converted.text_at("/convertLead/opportunity/id").to_owned();
        let link = json!({ "leadId": theirs, "opportunityId": deal });
        let refused = globex.mutate("convertLead", link.clone(), "lead { id }").await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.opportunityId"));
        assert!(!refused.text.contains("Acme") && !refused.text.contains("acme"), "{}", refused.text);
        // Nor once the first one's part is over.
        world.as_("acme", "ADMIN").mutate("endPartnership", json!({ "partnershipId": first }), "partnership { id }").await.ok();
        let refused = globex.mutate("convertLead", link, "lead { id }").await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.opportunityId"));
        let nothing = initech.query("query($id: ID!) { opportunity(id: $id) { id } }", json!({ "id": deal })).await;
        assert_eq!(nothing.code(), "NOT_FOUND");
        // Another lead of the same company may lead to the same deal.
        let third = lead_of(&initech, json!({ "partnershipId": second })).await;
        call(&globex, "acceptLead", &third, json!({})).await.ok();
        let converted = globex.mutate("convertLead", json!({ "leadId": theirs, "opportunity": {} }), "opportunity { id }").await.ok();
        let deal = converted.text_at("/convertLead/opportunity/id").to_owned();
        call(&globex, "convertLead", &third, json!({ "opportunityId": deal })).await.ok();
    }

    async fn a_source_follows_a_deal_for_as_long_as_the_passing_that_it_came_of(world: World) {
        let admin = world.as_("acme", "ADMIN");
        let (first, second) = (world.partnership("acme", "globex").await, world.partnership("acme", "initech").await);
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        // The source's own workflow: a lead is converted again and again, and passed on after that.
        let shipped = cosell::domain::workflow::builtin::builtin("partner-lead", 2).expect("it is shipped");
        let mut own = serde_json::to_value(&*shipped).unwrap();
        own["key"] = json!("own-lead");
        let stages = own["stages"].as_array_mut().unwrap().iter_mut();
        stages.filter(|stage| stage["key"] == "closed_converted").for_each(|stage| stage["terminal"] = json!(false));
        for action in own["actions"].as_array_mut().unwrap() {
            match action["key"].as_str().unwrap() {
                "convert" => action["from"] = json!(["accepted", "closed_converted"]),
                "reassign" => action["from"].as_array_mut().unwrap().push(json!("closed_converted")),
                "withdraw" => action["from"] = json!(["pending", "closed_converted"]),
                _ => {}
            }
        }
        let drafted = admin.mutate("draftWorkflow", json!({ "definition": own }), "workflow { id }").await.ok();
        let workflow = drafted.text_at("/draftWorkflow/workflow/id");
        admin.mutate("publishWorkflow", json!({ "workflowId": workflow }), "workflow { id }").await.ok();
        let input = json!({ "key": "own-lead", "name": "Own", "workflowId": workflow });
        admin.mutate("createLeadTemplate", input, "template { id }").await.ok();
        let name = async |person: &Person, deal: &str| {
            let seen = person.query("query($id: ID!) { opportunity(id: $id) { name } }", json!({ "id": deal })).await;
            seen.data["opportunity"]["name"].as_str().map(str::to_owned)
        };
        let rename = async |deal: &str, name: &str| {
            partner.mutate("updateOpportunity", json!({ "opportunityId": deal, "name": name }), "opportunity { id }").await.ok();
        };
        for how in ["linked anew", "passed on", "withdrawn", "end of the partnership"] {
            let id = lead_of(&vendor, json!({ "templateKey": "own-lead", "partnershipId": first })).await;
            call(&partner, "acceptLead", &id, json!({})).await.ok();
            let convert = json!({ "leadId": id, "opportunity": { "name": "First" } });
            let deal = partner.mutate("convertLead", convert, "opportunity { id }").await.ok();
            let deal = deal.text_at("/convertLead/opportunity/id").to_owned();
            assert_eq!(name(&vendor, &deal).await.as_deref(), Some("First"));
            match how {
                "linked anew" => { call(&partner, "convertLead", &id, json!({ "opportunity": { "name": "Second" } })).await.ok(); }
                "passed on" => { call(&vendor, "shareLead", &id, json!({ "partnershipId": second })).await.ok(); }
                "withdrawn" => { call(&vendor, "withdrawLead", &id, json!({})).await.ok(); }
                _ => { admin.mutate("endPartnership", json!({ "partnershipId": first }), "partnership { id }").await.ok(); }
            }
            rename(&deal, "Ours alone").await;
            assert_eq!(name(&vendor, &deal).await.as_deref(), Some("First"), "{how}");
            assert_eq!(name(&partner, &deal).await.as_deref(), Some("Ours alone"), "{how}");
            let linked = read(&vendor, &id, "opportunity { name }").await;
            match how {
                "linked anew" => assert_eq!(linked["opportunity"]["name"], "Second"),
                "passed on" => assert_eq!(linked["opportunity"], Value::Null),
                _ => assert_eq!(linked["opportunity"]["name"], "First"),
            }
        }
    }

    async fn a_limit_is_lengthened_after_the_acceptance_and_never_shortened(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = lead_of(&vendor, json!({ "partnershipId": partnership })).await;
        // What is not answered yet can be withdrawn anyway.
        change(&vendor, &id, json!({ "expiresAt": "2026-03-04T09:00:00Z" })).await.ok();
        call(&partner, "acceptLead", &id, json!({})).await.ok();
        for at in ["2026-03-02T09:00:01Z", "2026-04-01T08:59:59.999Z"] {
            let refused = change(&vendor, &id, json!({ "expiresAt": at })).await;
            assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.expiresAt"));
            assert!(refused.message().contains("2026-04-01T09:00:00.000Z"), "{}", refused.text);
        }
        change(&vendor, &id, json!({ "expiresAt": "2026-05-01T09:00:00Z" })).await.ok();
        // That is promised too.
        assert_eq!(change(&vendor, &id, json!({ "expiresAt": "2026-04-15T09:00:00Z" })).await.code(), "INVALID_INPUT");
        // One that is removed can be set again, no earlier than it was.
        assert_eq!(change(&vendor, &id, json!({ "expiresAt": null })).await.ok().at("/updateLead/lead/expiresAt"), &Value::Null);
        assert_eq!(change(&vendor, &id, json!({ "expiresAt": "2026-04-15T09:00:00Z" })).await.code(), "INVALID_INPUT");
        change(&vendor, &id, json!({ "expiresAt": "2026-05-02T09:00:00Z" })).await.ok();
        assert_eq!(read(&partner, &id, "expiresAt").await["expiresAt"], "2026-05-02T09:00:00.000Z");
        world.clock.advance(TimeDelta::days(61));
        assert_eq!(read(&partner, &id, "stage { key }").await["stage"]["key"], "expired");
        // One that was accepted without a limit gets none.
        let template = vendor.query("{ leadTemplates { id key } workflows { id key workflowVersion shipped } }", json!({})).await.ok();
        let of = |list: &str, key: &str| {
            let found = template.list_at(list).iter().find(|it| it["key"] == key && it["workflowVersion"].as_i64().unwrap_or(1) == 1);
            found.expect("it is there")["id"].clone()
        };
        let admin = world.as_("acme", "ADMIN");
        let change_template = |change: Value| {
            let mut input = change;
            input["templateId"] = of("/leadTemplates", "partner-lead");
            admin.mutate("updateLeadTemplate", input, "template { id }")
        };
        change_template(json!({ "convertWithin": null })).await.ok();
        let id = lead_of(&vendor, json!({ "partnershipId": partnership })).await;
        call(&partner, "acceptLead", &id, json!({})).await.ok();
        let refused = change(&vendor, &id, json!({ "expiresAt": "2027-01-01T00:00:00Z" })).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.expiresAt"));
        // Nor is a template bound to the version that knew none of this.
        let refused = change_template(json!({ "workflowId": of("/workflows", "partner-lead") })).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.workflowId"));
        // So too for the answer: what had none gets one.
        let id = lead_of(&vendor, json!({ "partnershipId": partnership })).await;
        change(&vendor, &id, json!({ "expiresAt": null })).await.ok();
        world.clock.advance(TimeDelta::days(30));
        let at = (chrono::DateTime::parse_from_rfc3339("2026-06-02T10:00:00Z").unwrap()).to_rfc3339();
        change(&vendor, &id, json!({ "expiresAt": at })).await.ok();
        world.clock.advance(TimeDelta::days(2));
        assert_eq!(read(&partner, &id, "stage { key }").await["stage"]["key"], "expired");
        // Nothing that it stands at ends by a limit.
        let refused = change(&vendor, &id, json!({ "expiresAt": "2027-01-01T00:00:00Z" })).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.expiresAt"));
    }

    async fn the_open_tasks_of_both_sides_end_with_the_passing(world: World) {
        let first = world.partnership("acme", "globex").await;
        let second = world.partnership("acme", "initech").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        for how in ["decline", "withdraw", "reassign", "expired and reassigned", "end of the partnership"] {
            let id = lead_of(&vendor, json!({ "partnershipId": first })).await;
            // Two that both see, one that is done by then, and one of each side's own.
            task(&vendor, &id, json!({ "assignTo": "RECEIVER" })).await;
            task(&partner, &id, json!({ "assignTo": "SOURCE" })).await;
            let done = task(&vendor, &id, json!({})).await;
            vendor.mutate("completeTask", json!({ "taskId": done }), "task { id }").await.ok();
            task(&vendor, &id, json!({ "visibility": "INTERNAL" })).await;
            task(&partner, &id, json!({ "visibility": "INTERNAL" })).await;
            assert_eq!(read(&partner, &id, "openTaskCount").await["openTaskCount"], 3);
            match how {
                "decline" => { call(&partner, "declineLead", &id, json!({ "reason": "No" })).await.ok(); }
                "withdraw" => { call(&vendor, "withdrawLead", &id, json!({})).await.ok(); }
                "reassign" => { call(&vendor, "shareLead", &id, json!({ "partnershipId": second })).await.ok(); }
                "expired and reassigned" => {
                    world.clock.advance(TimeDelta::days(8));
                    call(&vendor, "shareLead", &id, json!({ "partnershipId": second })).await.ok();
                }
                _ => { world.as_("acme", "ADMIN").mutate("endPartnership", json!({ "partnershipId": first }), "partnership { id }").await.ok(); }
            }
            // What only the source sees is its own to do, unless the lead is read-only.
            let own = if how == "decline" { "CANCELLED" } else { "OPEN" };
            assert_eq!(states(&vendor, &id).await, ["CANCELLED", "CANCELLED", "DONE", own], "{how}");
            assert_eq!(states(&partner, &id).await, ["CANCELLED", "CANCELLED", "DONE", "CANCELLED"], "{how}");
            assert_eq!(read(&partner, &id, "openTaskCount").await["openTaskCount"], 0, "{how}");
            assert_eq!(read(&vendor, &id, "openTaskCount").await["openTaskCount"], i32::from(own == "OPEN"), "{how}");
            for (person, least) in [(&vendor, 2), (&partner, 3)] {
                let told = feed(person, &id).await;
                let cancelled = told.iter().filter(|what| *what == "TaskChanged CANCELLED").count();
                assert_eq!(cancelled, least + usize::from(how == "decline" && least == 2), "{how}: {told:?}");
            }
            let mine = partner.query("{ tasks(filter: { state: [OPEN] }) { edges { node { id } } } }", json!({})).await.ok();
            assert_eq!(mine.list_at("/tasks/edges").len(), 0, "{how}");
        }
    }

    async fn a_lead_goes_to_the_same_partner_again_once_the_earlier_passing_has_its_outcome(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = lead_of(&vendor, json!({ "partnershipId": partnership })).await;
        let again = json!({ "partnershipId": partnership });
        let refused = call(&vendor, "shareLead", &id, again.clone()).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.partnershipId"));
        call(&partner, "declineLead", &id, json!({ "reason": "Not now" })).await.ok();
        call(&vendor, "shareLead", &id, again.clone()).await.ok();
        let seen = read(&partner, &id, STANDING).await;
        assert_eq!((&seen["stage"]["key"], &seen["declinedAt"], &seen["reason"]), (&json!("pending"), &Value::Null, &Value::Null));
        world.clock.advance(TimeDelta::days(8));
        call(&vendor, "shareLead", &id, again.clone()).await.ok();
        assert!(offered(&partner, &id).await.contains(&"accept".to_owned()));
        call(&partner, "acceptLead", &id, json!({})).await.ok();
        world.clock.advance(TimeDelta::days(31));
        call(&vendor, "shareLead", &id, again.clone()).await.ok();
        assert_eq!(read(&partner, &id, "acceptedAt stage { key }").await, json!({ "acceptedAt": null, "stage": { "key": "pending" } }));
        assert!(feed(&partner, &id).await.contains(&"LeadShared".to_owned()));
        // So too one that was submitted and rejected.
        let id = submitted(&partner, &partnership).await;
        call(&vendor, "rejectLead", &id, json!({ "reason": "Too small" })).await.ok();
        change(&partner, &id, json!({ "estimatedValue": { "amount": "5000", "currency": "EUR" } })).await.ok();
        call(&partner, "shareLead", &id, again).await.ok();
        assert_eq!(read(&vendor, &id, "status { key } reason").await, json!({ "status": { "key": "new" }, "reason": null }));
    }

    async fn the_earlier_partner_hears_that_its_part_is_over_and_its_stream_ends(world: World) {
        const FEED: &str = "subscription($id: ID!) { activity(leadId: $id) { __typename at } }";
        let first = world.partnership("acme", "globex").await;
        let second = world.partnership("acme", "initech").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        for how in ["pending", "declined", "expired"] {
            let id = lead_of(&vendor, json!({ "partnershipId": first })).await;
            match how {
                "declined" => { call(&partner, "declineLead", &id, json!({ "reason": "No" })).await.ok(); }
                "expired" => { world.clock.advance(TimeDelta::days(8)); }
                _ => {}
            }
            let mut socket = partner.socket().await;
            let mut stream = socket.subscribe(FEED, json!({ "id": id })).await;
            world.clock.advance(TimeDelta::hours(1));
            call(&vendor, "shareLead", &id, json!({ "partnershipId": second })).await.ok();
            let told = loop {
                let event = stream.next().await["activity"].clone();
                if event["__typename"] == "LeadWithdrawn" {
                    break event;
                }
            };
            let end = stream.event_within(Duration::from_secs(30)).await;
            assert!(matches!(&end, Event::Message(message) if message["type"] == "complete"), "{how}: {end:?}");
            let seen = read(&partner, &id, "endedAt").await;
            assert_eq!(seen["endedAt"], told["at"], "{how}");
            // It learns nothing of who has it now.
            let all = partner.query("query($id: ID!) { lead(id: $id) { receiver { slug } activity(first: 50) { edges { node { __typename } } } } }", json!({ "id": id })).await.ok();
            assert!(!all.text.contains("initech"), "{}", all.text);
        }
    }

    async fn the_side_that_is_to_do_a_task_or_set_it_says_whether_it_is_done(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = lead_of(&vendor, json!({ "partnershipId": partnership })).await;
        let own = task(&vendor, &id, json!({})).await;
        let done = |person: &Person, task: &str, mutation: &'static str| {
            let input = json!({ "taskId": task });
            let person = person.at(person.address());
            async move { person.mutate(mutation, input, "task { state }").await }
        };
        assert_eq!(done(&partner, &own, "completeTask").await.code(), "FORBIDDEN");
        done(&vendor, &own, "completeTask").await.ok();
        assert_eq!(done(&partner, &own, "reopenTask").await.code(), "FORBIDDEN");
        let theirs = task(&vendor, &id, json!({ "assignTo": "RECEIVER" })).await;
        done(&partner, &theirs, "completeTask").await.ok();
        done(&vendor, &theirs, "reopenTask").await.ok();
        done(&vendor, &theirs, "completeTask").await.ok();
    }

    async fn an_action_that_names_an_owner_and_nothing_else_is_possible_on_a_shared_lead(world: World) {
        let admin = world.as_("acme", "ADMIN");
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let shipped = cosell::domain::workflow::builtin::builtin("partner-lead", 2).expect("it is shipped");
        let mut own = serde_json::to_value(&*shipped).unwrap();
        own["key"] = json!("own-lead");
        own["actions"].as_array_mut().unwrap().push(json!({
            "key": "take", "name": "Take", "from": ["accepted"], "allow": [{ "side": "RECEIVER", "roles": ["SALES"] }],
            "fields": [{ "key": "owner", "label": "Owner", "type": "MEMBER", "required": true }],
            "effects": [{ "do": "SET_OWNER" }]
        }));
        let drafted = admin.mutate("draftWorkflow", json!({ "definition": own }), "workflow { id }").await.ok();
        let workflow = drafted.text_at("/draftWorkflow/workflow/id");
        admin.mutate("publishWorkflow", json!({ "workflowId": workflow }), "workflow { id }").await.ok();
        let input = json!({ "key": "own-lead", "name": "Own", "workflowId": workflow });
        admin.mutate("createLeadTemplate", input, "template { id }").await.ok();
        let id = lead_of(&vendor, json!({ "templateKey": "own-lead", "partnershipId": partnership })).await;
        call(&partner, "acceptLead", &id, json!({})).await.ok();
        let other = world.as_("globex", "MANAGER").id().await;
        perform(&partner, &id, "take", json!({ "owner": other })).await.ok();
        assert_eq!(read(&partner, &id, "owner { id }").await["owner"]["id"], json!(other));
    }

    async fn a_lead_whose_partnership_ended_is_the_source_s_again_wherever_it_stood(world: World) {
        let admin = world.as_("acme", "ADMIN");
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let other = world.partnership("acme", "initech").await;
        for way in ["shareLead", "withdrawLead"] {
            let partnership = world.partnership("acme", "globex").await;
            let id = lead_of(&vendor, json!({ "partnershipId": partnership })).await;
            call(&partner, "acceptLead", &id, json!({})).await.ok();
            assert_eq!(offered(&vendor, &id).await, Vec::<String>::new());
            admin.mutate("endPartnership", json!({ "partnershipId": partnership }), "partnership { id }").await.ok();
            assert_eq!(offered(&vendor, &id).await, ["withdraw", "reassign"]);
            // It is its own to change as well.
            change(&vendor, &id, json!({ "title": "Ten seats" })).await.ok();
            let rest = if way == "shareLead" { json!({ "partnershipId": other }) } else { json!({}) };
            call(&vendor, way, &id, rest).await.ok();
            let theirs = read(&partner, &id, "stage { key } title availableActions { key }").await;
            assert_eq!(theirs, json!({ "stage": { "key": "accepted" }, "title": "Forty seats", "availableActions": [] }));
            let stage = if way == "shareLead" { "pending" } else { "withdrawn" };
            assert_eq!(read(&vendor, &id, "stage { key }").await["stage"]["key"], stage);
        }
        // A partner takes back what it had submitted and the vendor had accepted.
        let partnership = world.partnership("acme", "globex").await;
        let id = submitted(&partner, &partnership).await;
        call(&vendor, "acceptLead", &id, json!({})).await.ok();
        admin.mutate("endPartnership", json!({ "partnershipId": partnership }), "partnership { id }").await.ok();
        assert_eq!(offered(&partner, &id).await, ["submit", "withdraw"]);
        perform(&partner, &id, "withdraw", json!({})).await.ok();
        // So too what waits for the vendor, to another one.
        let partnership = world.partnership("acme", "globex").await;
        let elsewhere = world.partnership("initech", "globex").await;
        let id = submitted(&partner, &partnership).await;
        admin.mutate("endPartnership", json!({ "partnershipId": partnership }), "partnership { id }").await.ok();
        assert_eq!(offered(&partner, &id).await, ["submit", "withdraw"]);
        call(&partner, "shareLead", &id, json!({ "partnershipId": elsewhere })).await.ok();
        // What had its end stays there.
        let partnership = world.partnership("acme", "globex").await;
        let id = lead_of(&vendor, json!({ "partnershipId": partnership })).await;
        call(&partner, "acceptLead", &id, json!({})).await.ok();
        call(&partner, "convertLead", &id, json!({ "opportunity": {} })).await.ok();
        admin.mutate("endPartnership", json!({ "partnershipId": partnership }), "partnership { id }").await.ok();
        assert_eq!(offered(&vendor, &id).await, Vec::<String>::new());
    }

    async fn a_check_of_a_lead_that_nobody_owns_is_a_task_of_its_side(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = submitted(&partner, &partnership).await;
        call(&vendor, "acceptLead", &id, json!({})).await.ok();
        call(&vendor, "markLeadReadyForPayout", &id, json!({})).await.ok();
        call(&vendor, "markLeadPaidOut", &id, json!({ "recurring": true })).await.ok();
        change(&vendor, &id, json!({ "ownerId": null })).await.ok();
        world.clock.advance(TimeDelta::days(32));
        world.server().service().expire_due(10).await.expect("the checks are recorded");
        let seen = read(&vendor, &id, "openTaskCount tasks { edges { node { title assignee { id } assignedCompany { slug } createdBy { name } } } }").await;
        assert_eq!(seen, json!({ "openTaskCount": 1, "tasks": { "edges": [{ "node": {
            "title": "Check the invoices of this lead", "assignee": null, "assignedCompany": { "slug": "acme" },
            "createdBy": { "name": "Workflow" }
        } }] } }));
        assert_eq!(read(&partner, &id, "openTaskCount").await["openTaskCount"], 0);
    }

    async fn a_conversion_takes_over_what_is_left_out_and_leaves_empty_what_is_null(world: World) {
        const DEAL: &str = "opportunity { name description city value { amount } }";
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let told = json!({ "description": "All of it", "estimatedValue": { "amount": "12.5", "currency": "EUR" } });
        let all = json!({ "name": "Forty seats", "description": "All of it", "city": "Graz", "value": { "amount": "12.50" } });
        let nothing = json!({ "name": "Deal", "description": null, "city": null, "value": null });
        let null = json!({ "name": "Deal", "description": null, "city": null, "value": null });
        for (form, expected) in [(json!({}), &all), (null.clone(), &nothing)] {
            for (mutation, extra) in [("convertLead", json!({})), ("moveLead", json!({ "stage": "Closed - Converted" }))] {
                let mut more = told.clone();
                more["partnershipId"] = json!(partnership);
                let id = lead_of(&vendor, more).await;
                call(&partner, "acceptLead", &id, json!({})).await.ok();
                let mut rest = extra;
                rest["opportunity"] = form.clone();
                call(&partner, mutation, &id, rest).await.ok();
                assert_eq!(&read(&partner, &id, DEAL).await["opportunity"], expected, "{mutation} {form}");
            }
        }
        let mut more = told.clone();
        more["partnershipId"] = json!(partnership);
        let id = lead_of(&vendor, more).await;
        call(&partner, "acceptLead", &id, json!({})).await.ok();
        let refused = call(&partner, "convertLead", &id, json!({ "opportunity": { "name": null } })).await;
        assert_eq!((refused.code(), refused.field()), ("REQUIRED", "input.opportunity.name"));
        // So too what a company qualifies for itself.
        let form = |more: Value| {
            let mut form = json!({ "sellingDirection": "Licences" });
            for (key, value) in more.as_object().into_iter().flatten() {
                form[key] = value.clone();
            }
            form
        };
        let empty = json!({ "description": null, "estimatedRevenue": null, "name": "Deal", "city": "Graz" });
        for (mutation, rest, expected) in [
            ("qualifyLead", form(json!({})), all.clone()),
            ("qualifyLead", form(empty), json!({ "name": "Deal", "description": null, "city": "Graz", "value": null })),
            ("disqualifyLead", form(json!({ "code": "DEMAND_NOT_GENERATED", "reason": "Too early" })), all),
        ] {
            let mut more = told.clone();
            more["templateKey"] = json!("internal-lead");
            more["qualification"] = qualification();
            let id = lead_of(&vendor, more).await;
            call(&vendor, "assignLead", &id, json!({ "ownerId": vendor.id().await })).await.ok();
            for (field, length) in [("name", 201), ("city", 201), ("sellingDirection", 201), ("currentSituation", 2001)] {
                let mut long = rest.clone();
                long[field] = json!("x".repeat(length));
                let refused = call(&vendor, mutation, &id, long).await;
                assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", &*format!("input.{field}")));
            }
            call(&vendor, mutation, &id, rest).await.ok();
            assert_eq!(read(&vendor, &id, DEAL).await["opportunity"], expected, "{mutation}");
        }
    }

    /// A partner tries, from the registration to the payout, to be paid for what the vendor never agreed to.
    async fn the_vendor_is_never_fooled_by_a_hostile_partner(world: World) {
        const SEEN: &str = "title customer { company } estimatedValue { amount } status { key } acceptedAt";
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, manager) = (world.as_("acme", "SALES"), world.as_("acme", "MANAGER"));
        let (partner, machine) = (world.as_("globex", "ADMIN"), world.as_("globex", "INTEGRATION"));
        let agreed = |lead: &Value| (lead["title"].clone(), lead["customer"]["company"].clone(), lead["estimatedValue"].clone());

        // It registers something small, and has it accepted.
        let id = submitted(&partner, &partnership).await;
        let at_first = read(&vendor, &id, SEEN).await;
        call(&vendor, "acceptLead", &id, json!({})).await.ok();
        // It makes it something else, as a person and as a machine, at once and field by field.
        let other = json!({ "customer": { "company": "Big Customer" }, "estimatedValue": { "amount": "900000", "currency": "EUR" } });
        for person in [&partner, &machine] {
            assert_eq!(faults(&change(person, &id, other.clone()).await), forbidden(&["customer.company"]));
        }
        assert_eq!(agreed(&read(&vendor, &id, SEEN).await), agreed(&at_first), "all or nothing");
        // Nor can it accept, pay or reopen by itself.
        for action in ["accept", "review_again", "reconsider", "ready_for_payout", "pay_out", "not_ready"] {
            assert_eq!(perform(&partner, &id, action, json!({})).await.code(), "FORBIDDEN", "{action}");
        }
        // The value alone can be raised, which the vendor hears of before it pays.
        change(&partner, &id, json!({ "estimatedValue": { "amount": "900000", "currency": "EUR" } })).await.ok();
        let seen = read(&vendor, &id, SEEN).await;
        assert_eq!((&seen["status"]["key"], &seen["acceptedAt"]), (&json!("new"), &Value::Null));
        assert_eq!(call(&vendor, "markLeadReadyForPayout", &id, json!({})).await.code(), "INVALID_TRANSITION");
        assert_eq!(feed(&vendor, &id).await.last().unwrap(), "LeadNotice");
        // A race: the vendor acts on what it read, and what it read is no longer so.
        let read_before = read(&vendor, &id, "version").await["version"].clone();
        change(&partner, &id, json!({ "estimatedValue": { "amount": "990000", "currency": "EUR" } })).await.ok();
        let accept = json!({ "expectedVersion": read_before });
        assert_eq!(call(&vendor, "acceptLead", &id, accept).await.code(), "CONFLICT");
        // The vendor sends it back; the partner puts it right, and is accepted.
        call(&vendor, "requestLeadInfo", &id, json!({ "note": "Why so much?" })).await.ok();
        change(&partner, &id, json!({ "estimatedValue": { "amount": "100", "currency": "EUR" } })).await.ok();
        call(&partner, "resubmitLead", &id, json!({})).await.ok();
        call(&vendor, "acceptLead", &id, json!({})).await.ok();
        // It sets the vendor's task as done, and keeps one open that nobody could close.
        let theirs = task(&vendor, &id, json!({})).await;
        assert_eq!(partner.mutate("completeTask", json!({ "taskId": theirs }), "task { id }").await.code(), "FORBIDDEN");
        // Won: from here on nothing changes, until it is paid and after.
        call(&vendor, "markLeadReadyForPayout", &id, json!({})).await.ok();
        let won = read(&vendor, &id, SEEN).await;
        for mutation in [None, Some("markLeadPaidOut")] {
            if let Some(mutation) = mutation {
                call(&vendor, mutation, &id, json!({})).await.ok();
            }
            for fields in [json!({ "title": "Other" }), json!({ "estimatedValue": null }), json!({ "customer": { "contact": { "lastName": "X" } } })] {
                let refused = change(&partner, &id, fields).await;
                assert_eq!(refused.code(), "FORBIDDEN");
            }
            assert_eq!(agreed(&read(&vendor, &id, SEEN).await), agreed(&won));
        }
        // What is paid is paid: neither side takes that back.
        for person in [&partner, &manager] {
            assert!(offered(person, &id).await.iter().all(|action| action == "propose" || action == "negotiate" || action == "win" || action == "lose"));
        }
    }

    async fn a_decision_is_taken_back_for_a_while_by_who_leads_the_side_that_took_it(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let (manager, admin) = (world.as_("globex", "MANAGER"), world.as_("globex", "ADMIN"));
        // A decline: the rest of the seven days goes on from when it is taken back.
        let id = lead_of(&vendor, json!({ "partnershipId": partnership })).await;
        task(&partner, &id, json!({})).await;
        world.clock.advance(TimeDelta::days(2));
        call(&partner, "declineLead", &id, json!({ "reason": "Wrong button" })).await.ok();
        for person in [&partner, &vendor, &world.as_("acme", "ADMIN"), &world.as_("globex", "MARKETEER")] {
            assert_eq!(perform(person, &id, "reconsider", json!({})).await.code(), "FORBIDDEN");
            assert!(!offered(person, &id).await.contains(&"reconsider".to_owned()));
        }
        world.clock.advance(TimeDelta::days(10));
        assert_eq!(offered(&manager, &id).await, ["reconsider"]);
        perform(&manager, &id, "reconsider", json!({})).await.ok();
        for person in [&partner, &vendor] {
            let lead = read(person, &id, STANDING).await;
            assert_eq!(
                (&lead["stage"]["key"], &lead["archived"], &lead["reason"], &lead["declinedAt"], &lead["expiresAt"]),
                (&json!("pending"), &json!(false), &Value::Null, &Value::Null, &json!("2026-03-19T09:00:00.000Z")),
            );
            // Its tasks stay as they ended.
            assert_eq!(lead["openTaskCount"], 0);
            assert_eq!(feed(person, &id).await.last().unwrap(), "LeadStageChanged reconsider");
        }
        // A close, with what was left of the thirty days.
        call(&partner, "acceptLead", &id, json!({})).await.ok();
        world.clock.advance(TimeDelta::days(1));
        call(&partner, "closeLead", &id, json!({ "reason": "Wrong lead" })).await.ok();
        world.clock.advance(TimeDelta::days(14));
        perform(&admin, &id, "reopen", json!({})).await.ok();
        let lead = read(&vendor, &id, STANDING).await;
        assert_eq!(
            (&lead["stage"]["key"], &lead["closedAt"], &lead["reason"], &lead["expiresAt"]),
            (&json!("accepted"), &Value::Null, &Value::Null, &json!("2026-04-27T09:00:00.000Z")),
        );
        call(&partner, "closeLead", &id, json!({})).await.ok();
        world.clock.advance(TimeDelta::days(14) + TimeDelta::milliseconds(1));
        assert_eq!(offered(&admin, &id).await, Vec::<String>::new());
        let late = perform(&admin, &id, "reopen", json!({})).await;
        assert_eq!(late.code(), "INVALID_TRANSITION");
        assert!(late.message().contains("it was closed longer than P14D ago"), "{}", late.text);
    }

    async fn a_rejection_a_disqualification_and_a_lost_deal_are_taken_back_too(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let (manager, theirs) = (world.as_("acme", "MANAGER"), world.as_("globex", "MANAGER"));
        let id = submitted(&partner, &partnership).await;
        let other = submitted(&partner, &partnership).await;
        call(&vendor, "rejectLead", &id, json!({ "reason": "Twice", "code": "DUPLICATE", "duplicateOfId": other })).await.ok();
        assert_eq!(perform(&theirs, &id, "reconsider", json!({})).await.code(), "FORBIDDEN");
        perform(&manager, &id, "reconsider", json!({})).await.ok();
        let seen = read(&vendor, &id, "status { key } rejectedAt reason rejectionCode duplicateOf { id }").await;
        assert_eq!(seen, json!({ "status": { "key": "new" }, "rejectedAt": null, "reason": null, "rejectionCode": null, "duplicateOf": null }));
        call(&vendor, "acceptLead", &id, json!({})).await.ok();
        call(&vendor, "markLeadReadyForPayout", &id, json!({})).await.ok();
        perform(&manager, &id, "not_ready", json!({})).await.ok();
        perform(&vendor, &id, "lose", json!({ "reason": "Price" })).await.ok();
        perform(&manager, &id, "reopen", json!({})).await.ok();
        assert_eq!(read(&partner, &id, "stage { key } closedAt reason").await, json!({ "stage": { "key": "negotiation" }, "closedAt": null, "reason": null }));

        let id = lead_of(&vendor, json!({ "templateKey": "internal-lead" })).await;
        call(&vendor, "assignLead", &id, json!({ "ownerId": vendor.id().await })).await.ok();
        call(&vendor, "disqualifyLead", &id, json!({ "code": "IMPOSSIBLE_TO_CONTACT", "reason": "No answer" })).await.ok();
        perform(&manager, &id, "reconsider", json!({})).await.ok();
        let seen = read(&vendor, &id, "stage { key } disqualifiedAt reason disqualificationCode").await;
        assert_eq!(seen, json!({ "stage": { "key": "assigned" }, "disqualifiedAt": null, "reason": null, "disqualificationCode": null }));

        let made = vendor.mutate("createOpportunity", json!({ "name": "Deal" }), "opportunity { id }").await.ok();
        let deal = made.text_at("/createOpportunity/opportunity/id").to_owned();
        for end in ["lose", "discontinue"] {
            let act = |action: &str, fields: Value| json!({ "opportunityId": deal, "action": action, "fields": fields });
            vendor.mutate("performOpportunityAction", act(end, json!({ "reason": "Price" })), "opportunity { id }").await.ok();
            let refused = vendor.mutate("performOpportunityAction", act("reopen", json!({})), "opportunity { id }").await;
            assert_eq!(refused.code(), "FORBIDDEN");
            let open = "opportunity { stage { key } reason closedAt }";
            let reopened = manager.mutate("performOpportunityAction", act("reopen", json!({})), open).await.ok();
            let expected = json!({ "stage": { "key": "negotiation" }, "reason": null, "closedAt": null });
            assert_eq!(reopened.at("/performOpportunityAction/opportunity"), &expected);
        }
    }
}
