//! A lead handed over, end to end: the mission's rows A1 to A8, A10, A13, A15 to A17, as two companies live them.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::Answer;
use crate::support::world::{Person, World};

/// The fields of a lead that the story looks at.
const LEAD: &str = "id number title side version archived active reason expiresAt acceptedAt declinedAt expiredAt \
    convertedAt closedAt stage { key name kind terminal } availableActions { key toStage { key } fields { key type required } } \
    opportunity { id name stage { key } value { amount currency } }";

async fn read(person: &Person, lead: &str) -> Value {
    let doc = format!("query($id: ID!) {{ lead(id: $id) {{ {LEAD} }} }}");
    let answer = person.query(&doc, json!({ "id": lead })).await.ok();
    answer.at("/lead").clone()
}

async fn call(person: &Person, mutation: &str, input: Value) -> Answer {
    let ty = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
    let doc = format!("mutation($input: {ty}!) {{ {mutation}(input: $input) {{ lead {{ {LEAD} }} }} }}");
    person.query(&doc, json!({ "input": input })).await
}

async fn act(person: &Person, mutation: &str, input: Value) -> Value {
    call(person, mutation, input).await.ok().at(&format!("/{mutation}/lead")).clone()
}

fn actions(lead: &Value) -> Vec<&str> {
    lead["availableActions"].as_array().expect("a list").iter().map(|a| a["key"].as_str().expect("a key")).collect()
}

on_both_databases! {
    async fn the_partner_sees_the_lead_with_its_actions_and_the_vendor_sees_none_of_them(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        let theirs = read(&world.as_("globex", "SALES"), &id).await;
        assert_eq!(theirs["stage"]["key"], "pending");
        assert_eq!(theirs["side"], "RECEIVER");
        assert_eq!(actions(&theirs), ["accept", "decline"]);
        assert_eq!(theirs["availableActions"][1]["fields"], json!([{ "key": "reason", "type": "LONG_TEXT", "required": true }]));
        let ours = read(&world.as_("acme", "SALES"), &id).await;
        assert_eq!(ours["side"], "SOURCE");
        assert_eq!(actions(&ours), ["withdraw", "reassign"]);
        assert_eq!(actions(&read(&world.as_("globex", "VIEWER"), &id).await), [""; 0]);
        // What is not offered is refused.
        for (action, input) in [("acceptLead", json!({})), ("declineLead", json!({ "reason": "No" })), ("closeLead", json!({}))] {
            let mut input = input;
            input["leadId"] = json!(id);
            assert_eq!(call(&world.as_("acme", "ADMIN"), action, input).await.code(), "FORBIDDEN");
        }
        // The default limit is the template's: seven days.
        assert_eq!(theirs["expiresAt"], "2026-03-09T09:00:00.000Z");
    }

    async fn an_accepted_lead_has_its_date_and_its_second_limit(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        let partner = world.as_("globex", "SALES");
        world.clock.advance(TimeDelta::hours(3));
        let lead = act(&partner, "acceptLead", json!({ "leadId": id, "expectedVersion": 1 })).await;
        assert_eq!(lead["stage"], json!({ "key": "accepted", "name": "Accepted", "kind": "ACTIVE", "terminal": false }));
        assert_eq!(lead["acceptedAt"], "2026-03-02T12:00:00.000Z");
        assert_eq!(lead["expiresAt"], "2026-04-01T12:00:00.000Z");
        assert_eq!(lead["version"], 2);
        assert_eq!(actions(&lead), ["convert", "close"]);
        let seen = read(&world.as_("acme", "SALES"), &id).await;
        assert_eq!(seen["stage"]["key"], "accepted");
        assert_eq!(seen["acceptedAt"], "2026-03-02T12:00:00.000Z");
        assert_eq!(actions(&seen), [""; 0]);
        let again = call(&partner, "acceptLead", json!({ "leadId": id })).await;
        assert_eq!(again.code(), "INVALID_TRANSITION");
        assert_eq!(again.extension("stage"), "accepted");
    }

    async fn a_declined_lead_has_its_reason_and_is_archived(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        let partner = world.as_("globex", "SALES");
        for reason in ["", "   ", "\t\n"] {
            let refused = call(&partner, "declineLead", json!({ "leadId": id, "reason": reason })).await;
            assert_eq!((refused.code(), refused.field()), ("REQUIRED", "input.reason"));
        }
        let lead = act(&partner, "declineLead", json!({ "leadId": id, "reason": "Not our region" })).await;
        assert_eq!(lead["stage"]["key"], "declined");
        assert_eq!(lead["reason"], "Not our region");
        assert_eq!(lead["declinedAt"], "2026-03-02T09:00:00.000Z");
        assert_eq!((&lead["archived"], &lead["expiresAt"]), (&json!(true), &Value::Null));
        let seen = read(&world.as_("acme", "SALES"), &id).await;
        assert_eq!((&seen["reason"], &seen["archived"]), (&json!("Not our region"), &json!(true)));
        // The archive is read-only, and out of the default list.
        let comment = "mutation($input: AddCommentInput!) { addComment(input: $input) { comment { id } } }";
        let refused = partner.query(comment, json!({ "input": { "leadId": id, "body": "Sorry" } })).await;
        assert_eq!(refused.code(), "LEAD_INACTIVE");
        let list = "query($filter: LeadFilter) { leads(filter: $filter) { edges { node { id } } } }";
        assert!(partner.query(list, json!({})).await.ok().list_at("/leads/edges").is_empty());
        let archived = partner.query(list, json!({ "filter": { "archived": true } })).await.ok();
        assert_eq!(archived.list_at("/leads/edges").len(), 1);
    }

    async fn a_lead_past_its_limit_is_expired_for_everyone_at_once(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let mut socket = vendor.socket().await;
        let doc = "subscription { activity { __typename actor { __typename ... on SystemActor { name } } \
            lead { id } ... on LeadStageChanged { action to { key } } } }";
        let mut feed = socket.subscribe(doc, json!({})).await;
        world.clock.advance(TimeDelta::days(7));
        // At once, whether or not the sweep has recorded it.
        let lead = read(&partner, &id).await;
        assert_eq!(lead["stage"]["key"], "expired");
        assert_eq!(lead["expiredAt"], "2026-03-09T09:00:00.000Z");
        assert_eq!((&lead["expiresAt"], actions(&lead)), (&Value::Null, vec![]));
        let refused = call(&partner, "acceptLead", json!({ "leadId": id })).await;
        assert_eq!((refused.code(), refused.extension("stage")), ("LEAD_EXPIRED", &json!("expired")));
        // And recorded by the system's own actor.
        let event = feed.next().await;
        assert_eq!(event["activity"], json!({
            "__typename": "LeadStageChanged", "actor": { "__typename": "SystemActor", "name": "cosell" },
            "lead": { "id": id }, "action": "expire", "to": { "key": "expired" }
        }));
        let lead = read(&vendor, &id).await;
        assert_eq!((&lead["stage"]["key"], &lead["expiredAt"]), (&json!("expired"), &json!("2026-03-09T09:00:00.000Z")));
        assert_eq!(actions(&lead), ["reassign"]);
    }
}

const COMMENT: &str = "mutation($input: AddCommentInput!) { addComment(input: $input) { comment { id } } }";
const CREATE_TASK: &str = "mutation($input: CreateTaskInput!) { createTask(input: $input) { task { id version state assignedCompany { slug } } } }";

on_both_databases! {
    async fn a_lead_is_converted_to_a_new_opportunity_or_to_an_existing_one(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        // Only after acceptance.
        let early = call(&partner, "convertLead", json!({ "leadId": id, "opportunity": {} })).await;
        assert_eq!(early.code(), "INVALID_TRANSITION");
        act(&partner, "acceptLead", json!({ "leadId": id })).await;
        // Exactly one of the two.
        let none = call(&partner, "convertLead", json!({ "leadId": id })).await;
        assert_eq!((none.code(), none.field()), ("REQUIRED", "input.opportunityId"));
        world.clock.advance(TimeDelta::hours(1));
        let deal = json!({ "name": "Forty seats for Initrode", "value": { "amount": "48000.50", "currency": "EUR" },
            "closeDate": "2026-06-30" });
        let lead = act(&partner, "convertLead", json!({ "leadId": id, "opportunity": deal })).await;
        assert_eq!(lead["stage"]["name"], "Closed - Converted");
        assert_eq!((&lead["convertedAt"], &lead["closedAt"]), (&json!("2026-03-02T10:00:00.000Z"), &json!("2026-03-02T10:00:00.000Z")));
        assert_eq!((&lead["expiresAt"], actions(&lead)), (&Value::Null, vec![]));
        let opportunity = &lead["opportunity"];
        assert_eq!(opportunity["value"], json!({ "amount": "48000.50", "currency": "EUR" }));
        // The vendor sees the deal on its lead, and follows it.
        let seen = read(&vendor, &id).await;
        assert_eq!(seen["opportunity"], *opportunity);
        let moved = "mutation($input: MoveOpportunityInput!) { moveOpportunity(input: $input) { opportunity { stage { key } value { amount } } } }";
        let input = |stage: &str| json!({ "input": { "opportunityId": opportunity["id"], "stage": stage } });
        partner.query(moved, input("Proposal")).await.ok();
        assert_eq!(vendor.query(moved, input("negotiation")).await.code(), "FORBIDDEN");
        let refused = partner.query(moved, input("won")).await;
        assert_eq!(refused.faults(), [("REQUIRED", "input.value"), ("REQUIRED", "input.closeDate")]);
        let won = json!({ "input": { "opportunityId": opportunity["id"], "stage": "WON", "closeDate": "2026-05-02",
            "value": { "amount": "50000", "currency": "EUR" } } });
        partner.query(moved, won).await.ok();
        let seen = read(&vendor, &id).await;
        assert_eq!(seen["opportunity"]["stage"]["key"], "won");
        assert_eq!(seen["opportunity"]["value"]["amount"], "50000.00");
        // A second lead to the same opportunity.
        let second = world.shared_lead("acme", &partnership, "Ten more seats").await;
        act(&partner, "acceptLead", json!({ "leadId": second })).await;
        let lead = act(&partner, "moveLead", json!({ "leadId": second, "stage": "Closed - Converted", "opportunityId": opportunity["id"] })).await;
        assert_eq!(lead["opportunity"]["id"], opportunity["id"]);
        assert_eq!(read(&vendor, &second).await["opportunity"]["id"], opportunity["id"]);
        // Nobody else's.
        let third = world.shared_lead("acme", &partnership, "A pilot").await;
        act(&partner, "acceptLead", json!({ "leadId": third })).await;
        let create = "mutation($input: CreateOpportunityInput!) { createOpportunity(input: $input) { opportunity { id } } }";
        let foreign = world.as_("umbrella", "SALES").query(create, json!({ "input": { "name": "Secret" } })).await.ok();
        let foreign = foreign.text_at("/createOpportunity/opportunity/id").to_owned();
        let refused = call(&partner, "convertLead", json!({ "leadId": third, "opportunityId": foreign })).await;
        assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", "input.opportunityId"));
    }

    async fn an_accepted_lead_is_closed_without_an_opportunity(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let partner = world.as_("globex", "MANAGER");
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        assert_eq!(call(&partner, "closeLead", json!({ "leadId": id })).await.code(), "INVALID_TRANSITION");
        let accepted = act(&partner, "moveLead", json!({ "leadId": id, "stage": "Accepted" })).await;
        assert_eq!(accepted["acceptedAt"], "2026-03-02T09:00:00.000Z");
        let form = json!({ "leadId": id, "action": "close", "fields": { "reason": "No budget" } });
        let lead = act(&partner, "performLeadAction", form).await;
        assert_eq!((&lead["stage"]["key"], &lead["reason"]), (&json!("closed_not_converted"), &json!("No budget")));
        assert_eq!(lead["closedAt"], "2026-03-02T09:00:00.000Z");
        assert_eq!(lead["stage"]["kind"], "LOST");
    }

    async fn the_second_limit_expires_a_lead_that_is_not_converted(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let partner = world.as_("globex", "SALES");
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        act(&partner, "acceptLead", json!({ "leadId": id })).await;
        world.clock.advance(TimeDelta::days(30) - TimeDelta::milliseconds(1));
        assert_eq!(read(&partner, &id).await["stage"]["key"], "accepted");
        world.clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(read(&partner, &id).await["stage"]["key"], "expired");
        let refused = call(&partner, "convertLead", json!({ "leadId": id, "opportunity": {} })).await;
        assert_eq!(refused.code(), "LEAD_EXPIRED");
    }

    async fn a_lead_that_expired_while_no_server_ran_is_recorded_by_the_next_one(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        world.clock.advance(TimeDelta::days(8));
        let world = world.restart().await;
        let vendor = world.as_("acme", "SALES");
        let mut socket = vendor.socket().await;
        let doc = "subscription($id: ID) { leadChanged(leadId: $id) { stage { key } expiredAt version } }";
        let mut changes = socket.subscribe(doc, json!({ "id": id })).await;
        let doc = "query($id: ID!) { lead(id: $id) { version activity { edges { node { at ... on LeadStageChanged { action } } } } } }";
        // Either the sweep was before the subscription, and the log has it, or it comes.
        let log = vendor.query(doc, json!({ "id": id })).await.ok();
        if log.at("/lead/version") == &json!(1) {
            assert_eq!(changes.next().await["leadChanged"]["stage"]["key"], "expired");
        }
        let log = vendor.query(doc, json!({ "id": id })).await.ok();
        // The newest is that its limit has passed.
        assert_eq!(log.at("/lead/activity/edges/0/node"), &json!({ "at": "2026-03-10T09:00:00.000Z" }));
        assert_eq!(log.at("/lead/activity/edges/1/node"), &json!({ "at": "2026-03-10T09:00:00.000Z", "action": "expire" }));
        assert_eq!(read(&vendor, &id).await["expiredAt"], "2026-03-09T09:00:00.000Z");
    }

    async fn limits_are_set_on_the_template_by_an_administrator_or_with_the_lead(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let admin = world.as_("acme", "ADMIN");
        let templates = admin.query("{ leadTemplates { id key answerWithin convertWithin version } }", json!({})).await.ok();
        let template = templates.at("/leadTemplates/0").clone();
        assert_eq!((&template["answerWithin"], &template["convertWithin"]), (&json!("P7D"), &json!("P30D")));
        let update = "mutation($input: UpdateLeadTemplateInput!) { updateLeadTemplate(input: $input) { template { answerWithin convertWithin version } } }";
        let input = json!({ "input": { "templateId": template["id"], "answerWithin": "PT36H", "convertWithin": null } });
        assert_eq!(world.as_("acme", "SALES").query(update, input.clone()).await.code(), "FORBIDDEN");
        let changed = admin.query(update, input).await.ok();
        assert_eq!(changed.at("/updateLeadTemplate/template"), &json!({ "answerWithin": "PT36H", "convertWithin": null, "version": 2 }));
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        let partner = world.as_("globex", "SALES");
        assert_eq!(read(&partner, &id).await["expiresAt"], "2026-03-03T21:00:00.000Z");
        assert_eq!(act(&partner, "acceptLead", json!({ "leadId": id })).await["expiresAt"], Value::Null);
        // A date with the lead counts instead of the template's.
        let input = json!({ "title": "Ten seats", "customer": { "company": "Initrode" }, "partnershipId": partnership,
            "expiresAt": "2026-03-02T18:00:00+01:00" });
        assert_eq!(act(&world.as_("acme", "INTEGRATION"), "createLead", input).await["expiresAt"], "2026-03-02T17:00:00.000Z");
    }

    async fn a_lead_is_taken_back_and_passed_on_and_the_earlier_partner_sees_nothing_newer(world: World) {
        let globex = world.partnership("acme", "globex").await;
        let initech = world.partnership("acme", "initech").await;
        let (vendor, first, second) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"), world.as_("initech", "SALES"));
        let id = world.shared_lead("acme", &globex, "Forty seats").await;
        first.query(COMMENT, json!({ "input": { "leadId": id, "body": "Who decides there?" } })).await.ok();
        assert_eq!(second.query("query($id: ID!) { lead(id: $id) { id } }", json!({ "id": id })).await.code(), "NOT_FOUND");
        // Still unanswered, it is passed on at once: for the earlier partner it is withdrawn.
        let mut socket = first.socket().await;
        let mut feed = socket.subscribe("subscription { activity { __typename ... on LeadStageChanged { action to { key } } } }", json!({})).await;
        world.clock.advance(TimeDelta::days(1));
        let lead = act(&vendor, "shareLead", json!({ "leadId": id, "partnershipId": initech })).await;
        assert_eq!((&lead["stage"]["key"], &lead["expiresAt"]), (&json!("pending"), &json!("2026-03-10T09:00:00.000Z")));
        assert_eq!(feed.next().await["activity"], json!({ "__typename": "LeadStageChanged", "action": "withdraw", "to": { "key": "withdrawn" } }));
        let frozen = read(&first, &id).await;
        assert_eq!((&frozen["stage"]["key"], actions(&frozen), &frozen["expiresAt"]), (&json!("withdrawn"), vec![], &Value::Null));
        // What follows is between the vendor and the new partner.
        second.query(COMMENT, json!({ "input": { "leadId": id, "body": "On it" } })).await.ok();
        vendor.query(COMMENT, json!({ "input": { "leadId": id, "body": "Thank you" } })).await.ok();
        let update = "mutation($input: UpdateLeadInput!) { updateLead(input: $input) { lead { title } } }";
        vendor.query(update, json!({ "input": { "leadId": id, "title": "Sixty seats" } })).await.ok();
        act(&second, "declineLead", json!({ "leadId": id, "reason": "Too small" })).await;
        assert_eq!(read(&first, &id).await, frozen);
        let thread = "query($id: ID!) { lead(id: $id) { title comments { totalCount edges { node { body } } } \
            activity { edges { node { __typename } } } } }";
        let past = first.query(thread, json!({ "id": id })).await.ok();
        assert_eq!(past.at("/lead/title"), "Forty seats");
        assert_eq!(past.at("/lead/comments"), &json!({ "totalCount": 1, "edges": [{ "node": { "body": "Who decides there?" } }] }));
        let kinds: Vec<_> = past.list_at("/lead/activity/edges").iter().map(|edge| edge["node"]["__typename"].clone()).collect();
        assert_eq!(kinds, ["LeadWithdrawn", "LeadStageChanged", "CommentAdded", "LeadShared"]);
        let present = second.query(thread, json!({ "id": id })).await.ok();
        assert_eq!(present.at("/lead/comments/totalCount"), 2);
        for (mutation, input) in [("acceptLead", json!({ "leadId": id })), ("updateLead", json!({ "leadId": id, "ownerId": null }))] {
            assert_eq!(call(&first, mutation, input).await.code(), "FORBIDDEN");
        }
        assert_eq!(first.query(COMMENT, json!({ "input": { "leadId": id, "body": "Hello?" } })).await.code(), "FORBIDDEN");
        // Declined by the second, it goes back to the first: a new passing of the same lead.
        let again = act(&vendor, "performLeadAction", json!({ "leadId": id, "action": "reassign", "fields": { "partnershipId": globex } })).await;
        assert_eq!((&again["stage"]["key"], &again["declinedAt"], &again["archived"]), (&json!("pending"), &Value::Null, &json!(false)));
        let lead = read(&first, &id).await;
        assert_eq!((&lead["title"], &lead["stage"]["key"]), (&json!("Sixty seats"), &json!("pending")));
        assert_eq!(actions(&lead), ["accept", "decline"]);
        let seconds = read(&second, &id).await;
        assert_eq!((&seconds["stage"]["key"], &seconds["reason"], actions(&seconds)), (&json!("declined"), &json!("Too small"), vec![]));
    }

    async fn a_withdrawn_lead_is_with_nobody_until_it_is_passed_on(world: World) {
        let globex = world.partnership("acme", "globex").await;
        let initech = world.partnership("acme", "initech").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = world.shared_lead("acme", &globex, "Forty seats").await;
        let lead = act(&vendor, "withdrawLead", json!({ "leadId": id, "reason": "Sold it ourselves" })).await;
        assert_eq!((&lead["stage"]["key"], actions(&lead)), (&json!("withdrawn"), vec!["reassign"]));
        let seen = read(&partner, &id).await;
        assert_eq!((&seen["stage"]["key"], &seen["reason"]), (&json!("withdrawn"), &json!("Sold it ourselves")));
        vendor.query(COMMENT, json!({ "input": { "leadId": id, "body": "Not theirs to read" } })).await.ok();
        let thread = "query($id: ID!) { lead(id: $id) { comments { totalCount } } }";
        assert_eq!(partner.query(thread, json!({ "id": id })).await.ok().at("/lead/comments/totalCount"), 0);
        act(&vendor, "shareLead", json!({ "leadId": id, "partnershipId": initech })).await;
        assert_eq!(world.as_("initech", "SALES").query(thread, json!({ "id": id })).await.ok().at("/lead/comments/totalCount"), 0);
        // Accepted, it can't be taken back.
        act(&world.as_("initech", "SALES"), "acceptLead", json!({ "leadId": id })).await;
        assert_eq!(call(&vendor, "withdrawLead", json!({ "leadId": id })).await.code(), "INVALID_TRANSITION");
    }

    async fn both_sides_comment_and_what_is_internal_never_crosses(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        let mut socket = partner.socket().await;
        let doc = "subscription($id: ID!) { commentAdded(leadId: $id) { body visibility author { name company { slug } } inReplyTo { body } } }";
        let mut live = socket.subscribe(doc, json!({ "id": id })).await;
        let mut feed = socket.subscribe("subscription { activity { ... on CommentAdded { comment { body } } } }", json!({})).await;
        let internal = vendor.query(COMMENT, json!({ "input": { "leadId": id, "body": "Don't tell them", "visibility": "INTERNAL" } })).await.ok();
        let internal = internal.text_at("/addComment/comment/id").to_owned();
        let first = vendor.query(COMMENT, json!({ "input": { "leadId": id, "body": "They need it by May" } })).await.ok();
        let first = first.text_at("/addComment/comment/id").to_owned();
        assert_eq!(live.next().await["commentAdded"], json!({ "body": "They need it by May", "visibility": "SHARED",
            "author": { "name": "acme-sales", "company": { "slug": "acme" } }, "inReplyTo": null }));
        assert_eq!(feed.next().await["activity"]["comment"]["body"], "They need it by May");
        let reply = json!({ "input": { "leadId": id, "body": "We can", "inReplyToId": first } });
        partner.query(COMMENT, reply).await.ok();
        assert_eq!(live.next().await["commentAdded"]["inReplyTo"]["body"], "They need it by May");
        // Not by id, not by reply, not by count.
        assert_eq!(partner.query("query($id: ID!) { node(id: $id) { id } }", json!({ "id": internal })).await.code(), "NOT_FOUND");
        let refused = partner.query(COMMENT, json!({ "input": { "leadId": id, "body": "?", "inReplyToId": internal } })).await;
        assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", "input.inReplyToId"));
        let thread = "query($id: ID!) { lead(id: $id) { comments(last: 2) { totalCount edges { node { body } } pageInfo { hasPreviousPage } } } }";
        let theirs = partner.query(thread, json!({ "id": id })).await.ok();
        assert_eq!(theirs.at("/lead/comments/totalCount"), 2);
        let ours = vendor.query(thread, json!({ "id": id })).await.ok();
        assert_eq!(ours.at("/lead/comments/totalCount"), 3);
        assert_eq!(ours.at("/lead/comments/pageInfo/hasPreviousPage"), true);
        assert_eq!(ours.at("/lead/comments/edges/1/node/body"), "We can");
        // Edited and removed by the author alone.
        let edit = "mutation($input: EditCommentInput!) { editComment(input: $input) { comment { body editedAt } } }";
        let input = json!({ "input": { "commentId": first, "body": "They need it by June" } });
        assert_eq!(partner.query(edit, input.clone()).await.code(), "FORBIDDEN");
        assert_eq!(vendor.query(edit, input).await.ok().text_at("/editComment/comment/editedAt"), "2026-03-02T09:00:00.000Z");
        let remove = "mutation($input: RemoveCommentInput!) { removeComment(input: $input) { lead { id } } }";
        vendor.query(remove, json!({ "input": { "commentId": first } })).await.ok();
        assert_eq!(partner.query(thread, json!({ "id": id })).await.ok().at("/lead/comments/totalCount"), 1);
    }

    async fn both_sides_set_each_other_tasks(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        let mut socket = partner.socket().await;
        let mut live = socket.subscribe("subscription { taskChanged { title state assignee { id } } }", json!({})).await;
        let mut feed = socket.subscribe("subscription { activity { ... on TaskChanged { change } } }", json!({})).await;
        let mine = json!({ "input": { "leadId": id, "title": "Ask the legal department", "visibility": "INTERNAL" } });
        vendor.query(CREATE_TASK, mine).await.ok();
        let input = json!({ "input": { "leadId": id, "title": "Call the customer", "assignTo": "RECEIVER", "dueAt": "2026-03-04T09:00:00Z" } });
        let task = vendor.query(CREATE_TASK, input).await.ok().at("/createTask/task").clone();
        assert_eq!(task["assignedCompany"]["slug"], "globex");
        assert_eq!(live.next().await["taskChanged"], json!({ "title": "Call the customer", "state": "OPEN", "assignee": null }));
        let run = |who: &Person, mutation: &str, input: Value| {
            let ty = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
            let doc = format!("mutation($input: {ty}!) {{ {mutation}(input: $input) {{ task {{ state version completedAt title }} }} }}");
            let (who, input) = (who.with_token(Some(&who.token)), json!({ "input": input }));
            async move { who.query(&doc, input).await }
        };
        let task_id = &task["id"];
        let person = partner.id().await;
        run(&partner, "assignTask", json!({ "taskId": task_id, "assigneeId": person })).await.ok();
        assert_eq!(live.next().await["taskChanged"]["assignee"]["id"], json!(person));
        assert_eq!(run(&partner, "updateTask", json!({ "taskId": task_id, "title": "Don't" })).await.code(), "FORBIDDEN");
        run(&vendor, "updateTask", json!({ "taskId": task_id, "title": "Call the customer twice" })).await.ok();
        assert_eq!(live.next().await["taskChanged"]["title"], "Call the customer twice");
        world.clock.advance(TimeDelta::hours(1));
        let done = run(&partner, "completeTask", json!({ "taskId": task_id, "expectedVersion": 3 })).await.ok();
        assert_eq!(done.at("/completeTask/task"), &json!({ "state": "DONE", "version": 4, "completedAt": "2026-03-02T10:00:00.000Z", "title": "Call the customer twice" }));
        assert_eq!(run(&vendor, "updateTask", json!({ "taskId": task_id, "title": "Late" })).await.code(), "INVALID_TRANSITION");
        run(&vendor, "reopenTask", json!({ "taskId": task_id })).await.ok();
        assert_eq!(run(&partner, "cancelTask", json!({ "taskId": task_id })).await.code(), "FORBIDDEN");
        let cancelled = run(&vendor, "cancelTask", json!({ "taskId": task_id })).await.ok();
        assert_eq!(cancelled.at("/cancelTask/task/state"), "CANCELLED");
        for change in ["CREATED", "ASSIGNED", "EDITED", "COMPLETED", "REOPENED", "CANCELLED"] {
            assert_eq!(feed.next().await["activity"]["change"], change);
        }
        let count = "query($id: ID!) { lead(id: $id) { openTaskCount tasks { totalCount } } tasks { edges { node { title } } } }";
        let theirs = partner.query(count, json!({ "id": id })).await.ok();
        assert_eq!((theirs.at("/lead/openTaskCount"), theirs.at("/lead/tasks/totalCount")), (&json!(0), &json!(1)));
        let ours = vendor.query(count, json!({ "id": id })).await.ok();
        assert_eq!((ours.at("/lead/openTaskCount"), ours.list_at("/tasks/edges").len()), (&json!(1), 2));
        // The other side sets tasks back.
        let input = json!({ "input": { "leadId": id, "title": "Send the price list", "assignTo": "SOURCE" } });
        assert_eq!(partner.query(CREATE_TASK, input).await.ok().at("/createTask/task/assignedCompany/slug"), "acme");
    }

    async fn the_other_side_sees_each_step_live(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let mut socket = partner.socket().await;
        let doc = "subscription { activity { __typename cursor lead { number stage { key } } ... on LeadStageChanged { from { key } to { key } reason } } }";
        let mut feed = socket.subscribe(doc, json!({})).await;
        let mut changes = socket.subscribe("subscription { leadChanged { stage { key } title } }", json!({})).await;
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        let shared = feed.next().await["activity"].clone();
        assert_eq!((&shared["__typename"], &shared["lead"]["stage"]["key"]), (&json!("LeadShared"), &json!("pending")));
        assert_eq!(shared["lead"]["number"], "R-1001");
        assert_eq!(changes.next().await["leadChanged"]["stage"]["key"], "pending");
        let mut socket = vendor.socket().await;
        let mut ours = socket.subscribe(doc, json!({})).await;
        act(&partner, "acceptLead", json!({ "leadId": id })).await;
        assert_eq!(ours.next().await["activity"]["to"]["key"], "accepted");
        // Its stage, and who owns it on the partner's side since.
        for _ in 0..2 {
            assert_eq!(changes.next().await["leadChanged"]["stage"]["key"], "accepted");
        }
        let update = "mutation($input: UpdateLeadInput!) { updateLead(input: $input) { lead { id } } }";
        // The vendor's own affairs stay its own.
        vendor.query(update, json!({ "input": { "leadId": id, "ownerId": null } })).await.ok();
        vendor.query(update, json!({ "input": { "leadId": id, "description": "Fifty seats" } })).await.ok();
        assert_eq!(changes.next().await["leadChanged"]["stage"]["key"], "accepted");
        act(&partner, "closeLead", json!({ "leadId": id, "reason": "No budget" })).await;
        assert_eq!(changes.next().await["leadChanged"]["stage"]["key"], "closed_not_converted");
        // A client that comes back with its last cursor gets what it missed, in order, and then goes on.
        let mut socket = partner.socket().await;
        let doc = "subscription($after: String) { activity(after: $after) { __typename ... on LeadStageChanged { to { key } } } }";
        let mut resumed = socket.subscribe(doc, json!({ "after": shared["cursor"] })).await;
        let mut kinds = Vec::new();
        for _ in 0..4 {
            kinds.push(resumed.next().await["activity"]["__typename"].clone());
        }
        assert_eq!(kinds, ["LeadStageChanged", "LeadOwnerChanged", "LeadUpdated", "LeadStageChanged"]);
        world.shared_lead("acme", &partnership, "Another").await;
        assert_eq!(resumed.next().await["activity"]["__typename"], "LeadShared");
        // Nobody else hears of it: the stranger's next event is its own.
        let stranger = world.as_("umbrella", "SALES");
        let mut socket = stranger.socket().await;
        let mut other = socket.subscribe("subscription { activity { lead { title } } }", json!({})).await;
        world.shared_lead("acme", &partnership, "Not theirs").await;
        act(&stranger, "createLead", json!({ "title": "Their own", "customer": { "company": "Initrode" } })).await;
        assert_eq!(other.next().await["activity"]["lead"]["title"], "Their own");
    }

    async fn what_another_process_writes_arrives_too(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let mut socket = world.as_("globex", "SALES").socket().await;
        let mut feed = socket.subscribe("subscription { activity { lead { title } } }", json!({})).await;
        let other = world.another_server().await;
        let vendor = world.as_("acme", "SALES");
        let elsewhere = crate::support::http::Client::new(other.addr, Some(&vendor.token));
        let create = "mutation($input: CreateLeadInput!) { createLead(input: $input) { lead { id } } }";
        let input = json!({ "input": { "title": "From elsewhere", "customer": { "company": "Initrode" }, "partnershipId": partnership } });
        elsewhere.query(create, input).await.ok();
        assert_eq!(feed.next().await["activity"]["lead"]["title"], "From elsewhere");
        other.shutdown().await;
    }

    async fn the_end_of_a_partnership_freezes_what_was_shared(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let (open, deal) = (
            world.shared_lead("acme", &partnership, "Forty seats").await,
            world.shared_lead("acme", &partnership, "A deal").await,
        );
        act(&partner, "acceptLead", json!({ "leadId": deal })).await;
        let lead = act(&partner, "convertLead", json!({ "leadId": deal, "opportunity": {} })).await;
        assert_eq!(lead["opportunity"]["name"], "A deal");
        let end = "mutation($input: EndPartnershipInput!) { endPartnership(input: $input) { partnership { state } } }";
        let input = json!({ "input": { "partnershipId": partnership } });
        assert_eq!(partner.query(end, input.clone()).await.code(), "FORBIDDEN");
        world.as_("globex", "ADMIN").query(end, input).await.ok();
        assert_eq!(call(&partner, "acceptLead", json!({ "leadId": open })).await.code(), "FORBIDDEN");
        vendor.query(COMMENT, json!({ "input": { "leadId": open, "body": "Too late" } })).await.ok();
        let thread = "query($id: ID!) { lead(id: $id) { comments { totalCount } endedAt } }";
        let seen = partner.query(thread, json!({ "id": open })).await.ok();
        assert_eq!(seen.at("/lead"), &json!({ "comments": { "totalCount": 0 }, "endedAt": "2026-03-02T09:00:00.000Z" }));
        // The deal goes on at the partner; the vendor keeps what it saw.
        let moved = "mutation($input: MoveOpportunityInput!) { moveOpportunity(input: $input) { opportunity { stage { key } } } }";
        partner.query(moved, json!({ "input": { "opportunityId": lead["opportunity"]["id"], "stage": "proposal" } })).await.ok();
        assert_eq!(read(&vendor, &deal).await["opportunity"]["stage"]["key"], "qualified");
        // A lead that nobody answered can be passed on.
        assert_eq!(actions(&read(&vendor, &open).await), ["withdraw", "reassign"]);
        let initech = world.partnership("acme", "initech").await;
        act(&vendor, "shareLead", json!({ "leadId": open, "partnershipId": initech })).await;
        assert_eq!(read(&world.as_("initech", "SALES"), &open).await["stage"]["key"], "pending");
    }
}

on_both_databases! {
    async fn a_repeated_call_gets_its_first_answer_also_when_the_lead_has_moved_on(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let partner = world.as_("globex", "SALES");
        let id = world.shared_lead("acme", &partnership, "Forty seats").await;
        let comment = json!({ "input": { "leadId": id, "body": "We decline", "idempotencyKey": "c1" } });
        let task = json!({ "input": { "leadId": id, "title": "Tell them why", "idempotencyKey": "t1" } });
        let first = partner.query(COMMENT, comment.clone()).await.ok();
        let set = partner.query(CREATE_TASK, task.clone()).await.ok();
        act(&partner, "declineLead", json!({ "leadId": id, "reason": "Not our region" })).await;
        assert_eq!(partner.query(COMMENT, comment).await.ok().data, first.data);
        // The task ended with the passing; it is the same.
        let again = partner.query(CREATE_TASK, task).await.ok();
        assert_eq!(again.at("/createTask/task/id"), set.at("/createTask/task/id"));
        assert_eq!(again.at("/createTask/task/state"), "CANCELLED");
        let new = json!({ "input": { "leadId": id, "body": "We decline", "idempotencyKey": "c2" } });
        assert_eq!(partner.query(COMMENT, new).await.code(), "LEAD_INACTIVE");
    }
}

on_both_databases! {
    async fn what_was_written_before_the_lead_was_shared_stays_with_its_source(world: World) {
        let globex = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = act(&vendor, "createLead", json!({ "title": "Forty seats", "customer": { "company": "Initrode" } })).await;
        let id = lead["id"].as_str().expect("an id").to_owned();
        let early = vendor.query(COMMENT, json!({ "input": { "leadId": id, "body": "Between us" } })).await.ok();
        let early = early.text_at("/addComment/comment/id").to_owned();
        let task = vendor.query(CREATE_TASK, json!({ "input": { "leadId": id, "title": "Prepare" } })).await.ok();
        let task = task.text_at("/createTask/task/id").to_owned();
        act(&vendor, "shareLead", json!({ "leadId": id, "partnershipId": globex })).await;
        let mut socket = partner.socket().await;
        let mut feed = socket.subscribe("subscription { activity { __typename } }", json!({})).await;
        let edit = "mutation($input: EditCommentInput!) { editComment(input: $input) { comment { body } } }";
        vendor.query(edit, json!({ "input": { "commentId": early, "body": "Still between us" } })).await.ok();
        let done = "mutation($input: CompleteTaskInput!) { completeTask(input: $input) { task { state } } }";
        vendor.query(done, json!({ "input": { "taskId": task } })).await.ok();
        let remove = "mutation($input: RemoveCommentInput!) { removeComment(input: $input) { lead { id } } }";
        vendor.query(remove, json!({ "input": { "commentId": early } })).await.ok();
        // The partner's next event is what is said to it.
        vendor.query(COMMENT, json!({ "input": { "leadId": id, "body": "Welcome" } })).await.ok();
        assert_eq!(feed.next().await["activity"]["__typename"], "CommentAdded");
        let log = partner.query("{ activity { edges { node { __typename } } } }", json!({})).await.ok();
        let kinds: Vec<_> = log.list_at("/activity/edges").iter().map(|edge| edge["node"]["__typename"].clone()).collect();
        assert_eq!(kinds, ["CommentAdded", "LeadShared", "PartnershipChanged", "PartnershipChanged"]);
    }

    async fn what_is_internal_goes_on_when_the_lead_is_taken_back(world: World) {
        let globex = world.partnership("acme", "globex").await;
        let vendor = world.as_("acme", "SALES");
        let id = world.shared_lead("acme", &globex, "Forty seats").await;
        let task = json!({ "input": { "leadId": id, "title": "Find another", "visibility": "INTERNAL" } });
        let task = vendor.query(CREATE_TASK, task).await.ok().text_at("/createTask/task/id").to_owned();
        act(&vendor, "withdrawLead", json!({ "leadId": id })).await;
        let done = "mutation($input: CompleteTaskInput!) { completeTask(input: $input) { task { state lead { openTaskCount } } } }";
        let done = vendor.query(done, json!({ "input": { "taskId": task } })).await.ok();
        assert_eq!(done.at("/completeTask/task"), &json!({ "state": "DONE", "lead": { "openTaskCount": 0 } }));
    }

    async fn a_version_read_before_a_lead_was_taken_back_is_not_the_current_one_again(world: World) {
        let globex = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let id = world.shared_lead("acme", &globex, "Forty seats").await;
        let before = read(&partner, &id).await["version"].clone();
        act(&vendor, "withdrawLead", json!({ "leadId": id })).await;
        act(&vendor, "updateLead", json!({ "leadId": id, "title": "Four seats" })).await;
        act(&vendor, "shareLead", json!({ "leadId": id, "partnershipId": globex })).await;
        let refused = call(&partner, "acceptLead", json!({ "leadId": id, "expectedVersion": before })).await;
        assert_eq!((refused.code(), refused.field()), ("CONFLICT", "input.expectedVersion"));
        let now = read(&partner, &id).await["version"].clone();
        act(&partner, "acceptLead", json!({ "leadId": id, "expectedVersion": now })).await;
    }

    async fn the_limits_of_a_template_are_its_own_companys_affair(world: World) {
        let globex = world.partnership("acme", "globex").await;
        let id = world.shared_lead("acme", &globex, "Forty seats").await;
        let doc = "query($id: ID!) { lead(id: $id) { template { key name answerWithin version stages { key } } } }";
        let ours = world.as_("acme", "VIEWER").query(doc, json!({ "id": id })).await.ok();
        assert_eq!(ours.at("/lead/template/answerWithin"), "P7D");
        let theirs = world.as_("globex", "SALES").query(doc, json!({ "id": id })).await.ok();
        assert_eq!((theirs.at("/lead/template/answerWithin"), theirs.at("/lead/template/version")), (&Value::Null, &Value::Null));
        assert_eq!(theirs.text_at("/lead/template/key"), "partner-lead");
        assert_eq!(theirs.list_at("/lead/template/stages").len(), 8);
    }

    async fn a_new_partnership_shows_an_opportunity_as_it_is(world: World) {
        let first = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = world.shared_lead("acme", &first, "Forty seats").await;
        act(&partner, "acceptLead", json!({ "leadId": lead })).await;
        let deal = act(&partner, "convertLead", json!({ "leadId": lead, "opportunity": {} })).await["opportunity"].clone();
        let end = "mutation($input: EndPartnershipInput!) { endPartnership(input: $input) { partnership { state } } }";
        world.as_("acme", "ADMIN").query(end, json!({ "input": { "partnershipId": first } })).await.ok();
        let moved = "mutation($input: MoveOpportunityInput!) { moveOpportunity(input: $input) { opportunity { stage { key } } } }";
        partner.query(moved, json!({ "input": { "opportunityId": deal["id"], "stage": "negotiation" } })).await.ok();
        let second = world.partnership("acme", "globex").await;
        let more = world.shared_lead("acme", &second, "Ten more").await;
        act(&partner, "acceptLead", json!({ "leadId": more })).await;
        act(&partner, "convertLead", json!({ "leadId": more, "opportunityId": deal["id"] })).await;
        assert_eq!(read(&vendor, &more).await["opportunity"]["stage"]["key"], "negotiation");
        partner.query(moved, json!({ "input": { "opportunityId": deal["id"], "stage": "proposal" } })).await.ok();
        assert_eq!(read(&vendor, &more).await["opportunity"]["stage"]["key"], "proposal");
    }
}
