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
