//! Every code that the server can answer with, provoked; INTERNAL alone can't be.

use std::collections::BTreeSet;
use std::io::Write as _;

use chrono::TimeDelta;
use cosell::domain::clock::Clock as _;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::{Answer, Client};
use crate::support::keys::{Issuer, Key, claims};
use crate::support::world::{Person, World};

async fn made(person: &Person, mutation: &str, input: Value, what: &str) -> String {
    let answer = person.mutate(mutation, input, &format!("{what} {{ id }}")).await.ok();
    answer.text_at(&format!("/{mutation}/{what}/id")).to_owned()
}

on_both_databases! {
    async fn every_code_of_the_schema_is_provoked(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let pending = world.shared_lead("acme", &partnership, "Forty seats").await;
        let declined = world.shared_lead("acme", &partnership, "Forty seats").await;
        made(&partner, "declineLead", json!({ "leadId": declined, "reason": "No" }), "lead").await;
        let create = |key: &str, title: &str| json!({ "title": title, "customer": { "company": "B" }, "idempotencyKey": key });
        made(&vendor, "createLead", create("k", "A"), "lead").await;
        let mut told = BTreeSet::new();
        let mut tell = |expected: &str, answer: &Answer| {
            assert_eq!(answer.code(), expected, "{}", answer.text);
            assert!(!answer.message().is_empty());
            told.insert(expected.to_owned());
        };
        tell("UNAUTHENTICATED", &world.nobody().query("{ viewer { id } }", json!({})).await);
        tell("FORBIDDEN", &vendor.mutate("acceptLead", json!({ "leadId": pending }), "__typename").await);
        tell("NOT_FOUND", &world.as_("umbrella", "ADMIN").mutate("acceptLead", json!({ "leadId": pending }), "__typename").await);
        tell("INVALID_INPUT", &vendor.query("{ leads(first: -1) { edges { cursor } } }", json!({})).await);
        tell("REQUIRED", &partner.mutate("declineLead", json!({ "leadId": pending, "reason": " " }), "__typename").await);
        let refused = partner.mutate("closeLead", json!({ "leadId": pending }), "__typename").await;
        tell("INVALID_TRANSITION", &refused);
        assert_eq!((refused.extension("stage"), refused.extension("action")), (&json!("pending"), &json!("close")));
        let refused = vendor.mutate("addComment", json!({ "leadId": declined, "body": "But" }), "__typename").await;
        tell("LEAD_INACTIVE", &refused);
        let refused = partner.mutate("acceptLead", json!({ "leadId": pending, "expectedVersion": 7 }), "__typename").await;
        tell("CONFLICT", &refused);
        assert_eq!(refused.extension("version"), 1);
        tell("DUPLICATE", &vendor.mutate("createLead", create("k", "B"), "__typename").await);
        let deep = format!("{{ leads {{ edges {{ node {{ {}id{} }} }} }} }}", "opportunity { lead { ".repeat(9), " } }".repeat(9));
        tell("QUERY_TOO_COMPLEX", &vendor.query(&deep, json!({})).await);
        let mut socket = vendor.socket().await;
        let mut running = Vec::new();
        for _ in 0..101 {
            running.push(socket.subscribe("subscription { activity { id } }", json!({})).await);
        }
        tell("RATE_LIMITED", &running[100].refusal().await);
        let key = Key::ed25519("e");
        let issuer = Issuer::start(&[&key]).await;
        issuer.fail();
        let url = issuer.url();
        let server = world.another_server_with(&[("COSELL_JWT_SECRET", None), ("COSELL_JWKS_URL", Some(&url))]).await;
        let token = key.token(&claims("ann", "acme", &["SALES"], world.clock.now()));
        let client = Client::new(server.addr, Some(&token));
        tell("UNAVAILABLE", &client.query("{ viewer { id } }", json!({})).await);
        server.shutdown().await;
        let by_hash = json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": "0".repeat(64) } } });
        tell("PERSISTED_QUERY_NOT_FOUND", &vendor.send(by_hash.clone()).await);
        let server = world.another_server_with(&[("COSELL_DOCUMENT_CACHE_BYTES", Some("0"))]).await;
        let client = Client::new(server.addr, Some(&vendor.token));
        tell("PERSISTED_QUERY_NOT_SUPPORTED", &client.send(by_hash).await);
        server.shutdown().await;
        let mut manifest = tempfile::NamedTempFile::new().expect("a file");
        manifest.write_all(br#"{ "viewer": "{ viewer { id } }" }"#).expect("it is written");
        let path = manifest.path().to_str();
        let settings = [("COSELL_DOCUMENT_MANIFEST", path), ("COSELL_TRUSTED_DOCUMENTS_ONLY", Some("yes"))];
        let server = world.another_server_with(&settings).await;
        let client = Client::new(server.addr, Some(&vendor.token));
        client.send(json!({ "documentId": "viewer" })).await.ok();
        tell("DOCUMENT_NOT_TRUSTED", &client.query("{ viewer { id name } }", json!({})).await);
        server.shutdown().await;
        let newest = vendor.query("{ activity(last: 1) { edges { cursor } } }", json!({})).await.ok();
        let variables = json!({ "after": newest.at("/activity/edges/0/cursor") });
        world.clock.advance(TimeDelta::days(7));
        tell("LEAD_EXPIRED", &partner.mutate("acceptLead", json!({ "leadId": pending }), "__typename").await);
        world.clock.advance(TimeDelta::days(90));
        let mut socket = vendor.socket().await;
        let late = "subscription($after: String) { activity(after: $after) { id } }";
        tell("CURSOR_EXPIRED", &socket.subscribe(late, variables).await.refusal().await);

        told.insert("INTERNAL".to_owned());
        let sdl = cosell::graphql::sdl();
        let (_, codes) = sdl.split_once("enum ErrorCode {").expect("the enum");
        let codes = codes.split('}').next().expect("its end").lines().map(str::trim);
        let codes = codes.filter(|line| !line.is_empty() && line.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
        assert_eq!(told, codes.map(str::to_owned).collect());
    }

    async fn the_past_of_an_earlier_receiver_is_read_only_and_stays_as_it_was(world: World) {
        let (first, second) = (world.partnership("acme", "initech").await, world.partnership("acme", "globex").await);
        let (vendor, earlier, partner) = (world.as_("acme", "SALES"), world.as_("initech", "SALES"), world.as_("globex", "SALES"));
        let lead = world.shared_lead("acme", &first, "Forty seats").await;
        let comment = made(&earlier, "addComment", json!({ "leadId": lead, "body": "Ours" }), "comment").await;
        let task = made(&earlier, "createTask", json!({ "leadId": lead, "title": "Ours" }), "task").await;
        made(&vendor, "shareLead", json!({ "leadId": lead, "partnershipId": second }), "lead").await;
        let document = "query($id: ID!) { lead(id: $id) { version title stage { key } endedAt receiver { slug } openTaskCount
            availableActions { key } partnership { id } comments { totalCount edges { node { body } } }
            tasks { totalCount edges { node { title state } } } activity { edges { node { __typename at } } } } }";
        let past = async || earlier.query(document, json!({ "id": lead })).await.ok().at("/lead").clone();
        let before = past().await;
        assert_eq!((&before["stage"]["key"], &before["availableActions"]), (&json!("withdrawn"), &json!([])));
        for (mutation, input) in [
            ("editComment", json!({ "commentId": comment, "body": "B" })), ("removeComment", json!({ "commentId": comment })),
            ("updateTask", json!({ "taskId": task, "title": "B" })), ("completeTask", json!({ "taskId": task })),
            ("cancelTask", json!({ "taskId": task })), ("assignTask", json!({ "taskId": task, "assignTo": "SOURCE" })),
            ("addComment", json!({ "leadId": lead, "body": "B" })), ("createTask", json!({ "leadId": lead, "title": "B" })),
            ("updateLead", json!({ "leadId": lead, "ownerId": null })), ("acceptLead", json!({ "leadId": lead })),
        ] {
            assert_eq!(earlier.mutate(mutation, input, "__typename").await.code(), "FORBIDDEN", "{mutation}");
        }
        // The source may not touch that part of the thread any more either, and the new receiver does not know of it.
        assert_eq!(vendor.mutate("completeTask", json!({ "taskId": task }), "__typename").await.code(), "FORBIDDEN");
        for mutation in ["completeTask", "cancelTask"] {
            assert_eq!(partner.mutate(mutation, json!({ "taskId": task }), "__typename").await.code(), "NOT_FOUND");
        }
        let reply = json!({ "leadId": lead, "body": "B", "inReplyToId": comment });
        assert_eq!(partner.mutate("addComment", reply, "__typename").await.code(), "NOT_FOUND");
        made(&partner, "acceptLead", json!({ "leadId": lead }), "lead").await;
        made(&partner, "addComment", json!({ "leadId": lead, "body": "Theirs" }), "comment").await;
        made(&vendor, "createTask", json!({ "leadId": lead, "title": "Theirs", "assignTo": "RECEIVER" }), "task").await;
        made(&vendor, "updateLead", json!({ "leadId": lead, "description": "Fifty seats" }), "lead").await;
        made(&partner, "convertLead", json!({ "leadId": lead, "opportunity": {} }), "lead").await;
        assert_eq!(past().await, before);
        let theirs = partner.query(document, json!({ "id": lead })).await.ok();
        assert!(!theirs.text.contains("Ours") && !theirs.text.contains("initech"), "{}", theirs.text);
        assert_eq!(theirs.at("/lead/comments/totalCount"), 1);
    }

    async fn of_several_mutations_those_that_fail_leave_the_others_standing(world: World) {
        const DOCUMENT: &str = "mutation($a: AddCommentInput!, $b: AcceptLeadInput!, $c: AddCommentInput!, $d: CreateLeadInput!) {
            a: addComment(input: $a) { comment { body } } b: acceptLead(input: $b) { lead { id } }
            c: addComment(input: $c) { comment { body } } d: createLead(input: $d) { lead { id } } }";
        let partnership = world.partnership("acme", "globex").await;
        let vendor = world.as_("acme", "SALES");
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let variables = |transport: &str| {
            let comment = |order: &str| json!({ "leadId": lead, "body": format!("{order} over {transport}") });
            let faulty = json!({ "title": " ", "customer": { "company": " " } });
            json!({ "a": comment("first"), "b": { "leadId": lead }, "c": comment("second"), "d": faulty })
        };
        let over_http = vendor.query(DOCUMENT, variables("HTTP")).await;
        let mut socket = vendor.socket().await;
        let over_websocket = socket.subscribe(DOCUMENT, variables("a websocket")).await.refusal().await;
        for (answer, transport) in [(over_http, "HTTP"), (over_websocket, "a websocket")] {
            let payload = |order: &str| json!({ "comment": { "body": format!("{order} over {transport}") } });
            assert_eq!(answer.data, json!({ "a": payload("first"), "b": null, "c": payload("second"), "d": null }));
            let paths: Vec<_> = answer.errors.iter().map(|error| &error["path"]).collect();
            assert_eq!(paths, [&json!(["b"]), &json!(["d"]), &json!(["d"])], "{}", answer.text);
            let faults = [("FORBIDDEN", ""), ("REQUIRED", "input.title"), ("REQUIRED", "input.customer.company")];
            assert_eq!(answer.faults(), faults);
        }
        let seen = "query($id: ID!) { lead(id: $id) { stage { key } comments { edges { node { body } } } } leads { edges { node { id } } } }";
        let seen = vendor.query(seen, json!({ "id": lead })).await.ok();
        let bodies: Vec<_> = seen.list_at("/lead/comments/edges").iter().map(|edge| &edge["node"]["body"]).collect();
        assert_eq!(bodies, ["first over HTTP", "second over HTTP", "first over a websocket", "second over a websocket"]);
        assert_eq!((seen.text_at("/lead/stage/key"), seen.list_at("/leads/edges").len()), ("pending", 1));
    }

    async fn what_is_internal_never_crosses(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let mut socket = partner.socket().await;
        let mut feed = socket.subscribe("subscription { activity { __typename ... on CommentAdded { comment { body } } } }", json!({})).await;
        let secret = json!({ "leadId": lead, "body": "secret", "visibility": "INTERNAL" });
        let comment = made(&vendor, "addComment", secret, "comment").await;
        let task = made(&vendor, "createTask", json!({ "leadId": lead, "title": "secret", "visibility": "INTERNAL" }), "task").await;
        made(&vendor, "editComment", json!({ "commentId": comment, "body": "secret still" }), "comment").await;
        made(&vendor, "completeTask", json!({ "taskId": task }), "task").await;
        let reference = json!({ "leadId": lead, "externalReference": { "system": "salesforce", "id": "secret" } });
        made(&vendor, "updateLead", reference, "lead").await;
        made(&vendor, "updateLead", json!({ "leadId": lead, "ownerId": null }), "lead").await;
        let marker = json!({ "leadId": lead, "body": "for both" });
        let marker = made(&vendor, "addComment", marker, "comment");
        feed.nothing_until(marker, |data| data["activity"]["comment"]["body"] == "for both").await;
        let everything = "query($id: ID!) { lead(id: $id) { owner { name } externalReferences { id } openTaskCount comments { totalCount edges { node { body } } }
            tasks { totalCount edges { node { title } } } activity(first: 100) { edges { node { __typename ... on CommentAdded { comment { body } } ... on LeadUpdated { changes { after } } } } } }
            tasks { edges { node { title } } } activity(first: 100) { edges { node { __typename ... on CommentEdited { comment { body } } } } } }";
        let seen = partner.query(everything, json!({ "id": lead })).await.ok();
        assert!(!seen.text.contains("secret") && !seen.text.contains("CommentEdited") && !seen.text.contains("TaskChanged"), "{}", seen.text);
        assert_eq!((seen.at("/lead/openTaskCount"), seen.at("/lead/comments/totalCount"), seen.at("/lead/tasks/totalCount")), (&json!(0), &json!(1), &json!(0)));
        for (mutation, input, field) in [
            ("completeTask", json!({ "taskId": task }), "input.taskId"),
            ("removeComment", json!({ "commentId": comment }), "input.commentId"),
            ("addComment", json!({ "leadId": lead, "body": "B", "inReplyToId": comment }), "input.inReplyToId"),
        ] {
            let refused = partner.mutate(mutation, input, "__typename").await;
            assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", field), "{mutation}");
        }
        // Nor by a reply, or a task for the other side.
        let reply = json!({ "leadId": lead, "body": "B", "inReplyToId": comment });
        let refused = vendor.mutate("addComment", reply, "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.visibility"));
        let input = json!({ "leadId": lead, "title": "B", "visibility": "INTERNAL", "assignTo": "RECEIVER" });
        let refused = vendor.mutate("createTask", input, "__typename").await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "input.assignTo"));
        let refused = vendor.mutate("assignTask", json!({ "taskId": task, "assigneeId": partner.id().await }), "__typename").await;
        assert!(["INVALID_INPUT", "INVALID_TRANSITION"].contains(&refused.code()), "{}", refused.text);
    }
}
