//! Live feeds: resumed without gap or repetition, shared among all who may see the same, and ended where the right to
//! see them ends.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::{SinkExt as _, StreamExt as _, future::join_all};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use crate::on_both_databases;
use crate::support::http::Client;
use crate::support::world::World;
use crate::support::ws::{Event, Socket, Subscription};

const PATIENCE: Duration = Duration::from_secs(30);
const FEED: &str =
    "subscription($lead: ID, $after: String) { activity(leadId: $lead, after: $after) { id cursor __typename } }";
const COMMENTS: &str =
    "subscription($lead: ID!, $after: String) { commentAdded(leadId: $lead, after: $after) { body } }";

async fn comment(person: &Client, lead: &str, body: &str) -> String {
    let input = json!({ "leadId": lead, "body": body });
    person.mutate("addComment", input, "comment { id }").await.ok().text_at("/addComment/comment/id").to_owned()
}

/// The whole log of a person's company, the oldest first.
async fn log(person: &Client) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = "query($after: String) { activity(first: 100, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } } }";
        let page = person.query(page, json!({ "after": after })).await.ok();
        ids.extend(
            page.list_at("/activity/edges").iter().map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()),
        );
        if page.at("/activity/pageInfo/hasNextPage") == false {
            ids.reverse();
            return ids;
        }
        after = page.at("/activity/pageInfo/endCursor").clone();
    }
}

async fn ids(feed: &mut Subscription, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(feed.next().await["activity"]["id"].as_str().expect("an id").to_owned());
    }
    ids
}

/// The operation is over, after what has come.
async fn completed(feed: &mut Subscription) {
    let event = feed.event_within(PATIENCE).await;
    assert!(matches!(&event, Event::Message(message) if message["type"] == "complete"), "{event:?}");
}

async fn feed(socket: &mut Socket, lead: Option<&str>, after: &Value) -> Subscription {
    socket.subscribe(FEED, json!({ "lead": lead, "after": after })).await
}

on_both_databases! {
    async fn a_subscription_resumes_while_others_write_without_gap_or_repetition(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let mut socket = partner.socket().await;
        let mut whole = feed(&mut socket, None, &Value::Null).await;
        for n in 0..30 {
            comment(&vendor, &lead, &format!("before {n}")).await;
        }
        let first = whole.next().await["activity"].clone();
        let writers = join_all((0..4).map(|w| {
            let (vendor, lead) = (&vendor, &lead);
            async move {
                for n in 0..30 {
                    comment(vendor, lead, &format!("{w} {n}")).await;
                }
            }
        }));
        // Each comes back at another moment of the writing: when the one that follows from the start has seen so much.
        let readers = async {
            let mut resumed = Vec::new();
            let mut seen = vec![first["id"].as_str().expect("an id").to_owned()];
            for round in 0..6 {
                seen.extend(ids(&mut whole, 20).await);
                let mut socket = partner.socket().await;
                let on_lead = (round % 2 == 1).then_some(lead.as_str());
                let reader = feed(&mut socket, on_lead, &first["cursor"]).await;
                let comments = socket.subscribe(COMMENTS, json!({ "lead": lead, "after": first["cursor"] })).await;
                resumed.push((socket, reader, comments));
            }
            seen.extend(ids(&mut whole, 150 - seen.len()).await);
            (seen, resumed)
        };
        let (_, (seen, resumed)) = tokio::join!(writers, readers);
        let log = log(&partner).await;
        let from = log.iter().position(|id| *id == seen[0]).expect("the first is in the log");
        assert_eq!(seen, log[from..], "the one that was there from the start");
        for (_socket, mut reader, mut comments) in resumed {
            assert_eq!(ids(&mut reader, 149).await, log[from + 1..]);
            let mut bodies = Vec::new();
            for _ in 0..149 {
                bodies.push(comments.next().await["commentAdded"]["body"].as_str().expect("a text").to_owned());
            }
            let all = bodies.len();
            bodies.sort_unstable();
            bodies.dedup();
            assert_eq!(bodies.len(), all, "no comment comes twice");
            assert!(reader.is_silent() && comments.is_silent());
        }
    }

    async fn a_subscription_after_the_empty_text_begins_now(world: World) {
        const WRITTEN: &str = "subscription { activity(after: \"\") { ... on CommentAdded { comment { body } } } }";
        let partnership = world.partnership("acme", "globex").await;
        let vendor = world.as_("acme", "SALES");
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        comment(&vendor, &lead, "before").await;
        let mut socket = vendor.socket().await;
        let mut comments = socket.subscribe(COMMENTS, json!({ "lead": lead, "after": "" })).await;
        let mut all = feed(&mut socket, None, &json!("")).await;
        let mut written = socket.subscribe(WRITTEN, json!({})).await;
        for body in ["now", "and then"] {
            let id = comment(&vendor, &lead, body).await;
            assert_eq!(comments.next().await, json!({ "commentAdded": { "body": body } }));
            assert_eq!(written.next().await, json!({ "activity": { "comment": { "body": body } } }));
            let newest = vendor.query("{ activity(first: 1) { edges { node { id } } } }", json!({})).await.ok();
            assert_eq!(all.next().await["activity"]["id"], *newest.at("/activity/edges/0/node/id"), "of {id}");
        }
        assert!(comments.is_silent() && written.is_silent() && all.is_silent());
    }

    async fn an_event_is_resolved_once_for_all_who_may_see_the_same(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let vendor = world.as_("acme", "SALES");
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let statements = || world.server().service().db().statements();
        let mut cost = Vec::new();
        let mut everyone = Vec::new();
        for readers in [1, 24] {
            while everyone.len() < readers {
                let n = everyone.len();
                let mut socket = world.person("globex", &format!("reader-{n}"), &["SALES"]).socket().await;
                let reader = socket.subscribe(COMMENTS, json!({ "lead": lead })).await;
                everyone.push((socket, reader));
            }
            let before = statements();
            comment(&vendor, &lead, "hello").await;
            for (_, reader) in &mut everyone {
                assert_eq!(reader.next().await["commentAdded"]["body"], "hello");
            }
            cost.push(statements() - before);
        }
        assert!(cost[1] <= cost[0] + 2, "one reader and twenty-four: {cost:?} statements");
    }

    async fn what_depends_on_the_member_is_each_one_s_own(world: World) {
        let doc = "subscription($lead: ID) { leadChanged(leadId: $lead) { title availableActions { key } } }";
        let owner = world.as_("acme", "MARKETEER");
        let input = json!({ "title": "Ours", "customer": { "company": "Initrode" }, "templateKey": "internal-lead" });
        let lead = owner.mutate("createLead", input, "lead { id }").await.ok().text_at("/createLead/lead/id").to_owned();
        let people = [owner, world.person("acme", "another", &["MARKETEER"]), world.as_("acme", "VIEWER"), world.as_("acme", "ADMIN")];
        let mut readers = Vec::new();
        for person in &people {
            let mut socket = person.socket().await;
            let reader = socket.subscribe(doc, json!({ "lead": lead })).await;
            readers.push((socket, reader));
        }
        people[3].mutate("updateLead", json!({ "leadId": lead, "title": "Still ours" }), "lead { id }").await.ok();
        for (person, (_, reader)) in people.iter().zip(&mut readers) {
            let live = reader.next().await["leadChanged"].clone();
            let asked = person.query("query($id: ID!) { lead(id: $id) { title availableActions { key } } }", json!({ "id": lead })).await.ok();
            assert_eq!(live, asked.data["lead"]);
        }
        let mut offered = Vec::new();
        for (_, reader) in &mut readers {
            assert!(reader.is_silent());
        }
        for person in &people {
            let answer = person.query("query($id: ID!) { lead(id: $id) { availableActions { key } } }", json!({ "id": lead })).await.ok();
            offered.push(answer.at("/lead/availableActions").clone());
        }
        assert!(offered[0] != offered[1] && offered[1] != offered[3], "the four are not alike: {offered:?}");
    }

    async fn a_reader_that_pauses_gets_everything_in_order(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let mut request = format!("ws://{}/graphql/ws", world.address()).into_client_request().expect("a request");
        request.headers_mut().insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse().expect("a header"));
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("the server upgrades");
        let mut say = async |message: Value| socket.send(Message::text(message.to_string())).await.expect("it is open");
        say(json!({ "type": "connection_init", "payload": { "token": partner.token } })).await;
        // Each result is ten times as long as the comment: more than the sockets' buffers, the queue and the channel hold.
        let copies: Vec<_> = (0..10).map(|n| format!("b{n}: body")).collect();
        let large = COMMENTS.replace("{ body }", &format!("{{ body {} }}", copies.join(" ")));
        say(json!({ "id": "1", "type": "subscribe", "payload": { "query": large, "variables": { "lead": lead } } })).await;
        say(json!({ "type": "ping" })).await;
        let mut text = async || loop {
            let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time").expect("open");
            if let Message::Text(text) = message.expect("sound") {
                return serde_json::from_str::<Value>(&text).expect("JSON");
            }
        };
        assert_eq!(text().await["type"], "connection_ack");
        assert_eq!(text().await["type"], "pong");
        // While nobody reads.
        let long = "x".repeat(9_900);
        let vendor = Arc::new(vendor);
        for n in 0..30 {
            join_all((0..10).map(|k| {
                let body = format!("{:04} {long}", n * 10 + k);
                let (vendor, lead) = (&vendor, &lead);
                async move { comment(vendor, lead, &body).await }
            }))
            .await;
        }
        let mut got = Vec::new();
        for _ in 0..300 {
            let message = text().await;
            assert_eq!(message["type"], "next", "{message}");
            got.push(message["payload"]["data"]["commentAdded"]["body"].as_str().expect("a text")[..4].to_owned());
        }
        let order = "query($id: ID!) { activity(first: 100, filter: { leadId: $id, kind: [COMMENT_ADDED] }) { edges { node { ... on CommentAdded { comment { body } } } } } }";
        let newest = partner.query(order, json!({ "id": lead })).await.ok();
        let newest: Vec<_> = newest.list_at("/activity/edges").iter().rev()
            .map(|edge| edge["node"]["comment"]["body"].as_str().expect("a text")[..4].to_owned()).collect();
        assert_eq!(got[200..], newest);
        got.sort_unstable();
        got.dedup();
        assert_eq!(got.len(), 300, "nothing is lost and nothing comes twice");
    }

    async fn a_cursor_that_was_not_given_to_the_company_is_refused(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let theirs = world.as_("acme", "SALES").query("{ activity(first: 1) { edges { cursor } } }", json!({})).await.ok();
        let theirs = theirs.text_at("/activity/edges/0/cursor").to_owned();
        let leads = world.as_("globex", "SALES").query("{ leads(first: 1) { edges { cursor } } }", json!({})).await.ok();
        let of_leads = leads.text_at("/leads/edges/0/cursor").to_owned();
        for wrong in [theirs.as_str(), of_leads.as_str(), " ", "forged", &theirs.replace(|c: char| c.is_ascii_digit(), "A")] {
            for document in [FEED, COMMENTS] {
                let mut socket = world.as_("globex", "SALES").socket().await;
                let mut refused = socket.subscribe(document, json!({ "lead": lead, "after": wrong })).await;
                let refused = refused.refusal().await;
                assert_eq!((refused.code(), refused.field()), ("INVALID_INPUT", "after"), "{wrong}: {refused:?}");
                // Others who ask the same now are not concerned.
                let mut sound = socket.subscribe(document, json!({ "lead": lead })).await;
                comment(&world.as_("acme", "SALES"), &lead, "hello").await;
                sound.next().await;
            }
        }
    }

    async fn a_cursor_from_before_the_retention_says_where_to_begin(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let mut socket = partner.socket().await;
        let mut reader = feed(&mut socket, None, &Value::Null).await;
        comment(&vendor, &lead, "one").await;
        comment(&vendor, &lead, "two").await;
        let (one, two) = (reader.next().await["activity"].clone(), reader.next().await["activity"].clone());
        world.clock.advance(TimeDelta::days(91));
        // Whoever has everything can go on, however long that was ago.
        let mut socket = partner.socket().await;
        let mut idle = feed(&mut socket, None, &two["cursor"]).await;
        comment(&vendor, &lead, "three").await;
        let three = idle.next().await["activity"].clone();
        let refused = feed(&mut socket, None, &one["cursor"]).await.refusal().await;
        assert_eq!((refused.code(), refused.field()), ("CURSOR_EXPIRED", "after"));
        assert!(refused.message().contains("90 days"), "{}", refused.message());
        let start = refused.extension("startAfter").clone();
        let mut resumed = feed(&mut socket, None, &start).await;
        assert_eq!(resumed.next().await["activity"], three);
        // What lies between is still there to be read.
        let between = "query($after: String) { activity(first: 50, before: $after) { edges { node { id } } } }";
        let read = partner.query(between, json!({ "after": one["cursor"] })).await.ok();
        let read: Vec<_> = read.list_at("/activity/edges").iter().map(|edge| edge["node"]["id"].clone()).collect();
        assert_eq!(read, [three["id"].clone(), two["id"].clone()]);
        // One of a comment is no different.
        let thread = "query($id: ID!) { lead(id: $id) { comments(first: 1) { edges { cursor } } } }";
        let thread = partner.query(thread, json!({ "id": lead })).await.ok();
        let cursor = thread.at("/lead/comments/edges/0/cursor");
        let refused = socket.subscribe(COMMENTS, json!({ "lead": lead, "after": cursor })).await.refusal().await;
        assert_eq!(refused.code(), "CURSOR_EXPIRED");
        let mut resumed = socket.subscribe(COMMENTS, json!({ "lead": lead, "after": refused.extension("startAfter") })).await;
        assert_eq!(resumed.next().await["commentAdded"]["body"], "three");
    }

    async fn passing_a_lead_on_ends_the_earlier_partner_s_streams_of_it_with_that_event(world: World) {
        let (first, second) = (world.partnership("acme", "globex").await, world.partnership("acme", "initech").await);
        let (vendor, globex) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = world.shared_lead("acme", &first, "Forty seats").await;
        let mut socket = globex.socket().await;
        let mut activity = feed(&mut socket, Some(&lead), &Value::Null).await;
        let mut comments = socket.subscribe(COMMENTS, json!({ "lead": lead })).await;
        let mut changes = socket.subscribe("subscription($lead: ID) { leadChanged(leadId: $lead) { stage { key } } }", json!({ "lead": lead })).await;
        let mut tasks = socket.subscribe("subscription($lead: ID) { taskChanged(leadId: $lead) { title } }", json!({ "lead": lead })).await;
        let mut company = feed(&mut socket, None, &Value::Null).await;
        let mut ours = vendor.socket().await;
        let mut ours = feed(&mut ours, Some(&lead), &Value::Null).await;
        comment(&vendor, &lead, "one").await;
        let cursor = activity.next().await["activity"]["cursor"].clone();
        assert_eq!(comments.next().await["commentAdded"]["body"], "one");
        company.next().await;
        ours.next().await;
        vendor.mutate("shareLead", json!({ "leadId": lead, "partnershipId": second }), "lead { id }").await.ok();
        let mut kinds = Vec::new();
        loop {
            match activity.event_within(PATIENCE).await {
                Event::Message(message) if message["type"] == "next" => {
                    kinds.push(message["payload"]["data"]["activity"]["__typename"].as_str().expect("a name").to_owned());
                }
                Event::Message(message) if message["type"] == "complete" => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(kinds[0], "LeadStageChanged", "it sees the lead withdrawn: {kinds:?}");
        assert_eq!(changes.next().await["leadChanged"]["stage"]["key"], "withdrawn");
        completed(&mut changes).await;
        completed(&mut comments).await;
        completed(&mut tasks).await;
        for _ in &kinds {
            company.next().await;
        }
        // What follows is for the others; the company's own feed goes on.
        comment(&vendor, &lead, "not for globex").await;
        world.shared_lead("acme", &first, "Another").await;
        assert_eq!(company.next().await["activity"]["__typename"], "LeadShared");
        for _ in 0..2 {
            ours.next().await;
        }
        // Who comes back gets what it missed up to that event, and the end.
        let mut again = feed(&mut socket, Some(&lead), &cursor).await;
        let mut missed = Vec::new();
        for _ in &kinds {
            missed.push(again.next().await["activity"]["__typename"].as_str().expect("a name").to_owned());
        }
        assert_eq!(missed, kinds);
        completed(&mut again).await;
        // Where the lead comes to it anew, it can be followed anew.
        vendor.mutate("withdrawLead", json!({ "leadId": lead }), "lead { id }").await.ok();
        vendor.mutate("shareLead", json!({ "leadId": lead, "partnershipId": first }), "lead { id }").await.ok();
        let mut anew = feed(&mut socket, Some(&lead), &Value::Null).await;
        comment(&vendor, &lead, "for globex").await;
        assert_eq!(anew.next().await["activity"]["__typename"], "CommentAdded");
    }

    async fn the_end_of_a_partnership_closes_the_sockets_that_follow_its_leads(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, globex) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let mut on_lead = globex.socket().await;
        let mut activity = feed(&mut on_lead, Some(&lead), &Value::Null).await;
        let mut on_feed = globex.socket().await;
        let mut company = feed(&mut on_feed, None, &Value::Null).await;
        let mut source = vendor.socket().await;
        let mut ours = feed(&mut source, Some(&lead), &Value::Null).await;
        let mut stream = crate::support::sse::EventStream::open(&globex, COMMENTS, json!({ "lead": lead })).await;
        let end = json!({ "partnershipId": partnership });
        world.as_("acme", "ADMIN").mutate("endPartnership", end, "partnership { state }").await.ok();
        match activity.event_within(PATIENCE).await {
            Event::Closed(close) => assert_eq!((close.code, close.reason.as_str()), (4403, "Forbidden: the partnership has ended")),
            other @ Event::Message(_) => panic!("{other:?}"),
        }
        assert_eq!(stream.refusal().await, "FORBIDDEN");
        // Who follows the company's own feed hears of the end, and goes on; the source keeps its lead.
        assert_eq!(company.next().await["activity"]["__typename"], "PartnershipChanged");
        assert_eq!((on_feed.close(), source.close()), (None, None));
        comment(&vendor, &lead, "to ourselves").await;
        assert_eq!(ours.next().await["activity"]["__typename"], "CommentAdded");
        globex.mutate("createLead", json!({ "title": "Own", "customer": { "company": "Initrode" } }), "lead { id }").await.ok();
        assert_eq!(company.next().await["activity"]["__typename"], "LeadCreated");
        // Who comes back is told nothing new, and that it is over.
        let mut socket = globex.socket().await;
        completed(&mut feed(&mut socket, Some(&lead), &Value::Null).await).await;
    }

    async fn a_server_that_ends_brings_what_happened_and_closes_with_1001(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        // Nothing but the end itself tells this server of what the other one writes.
        let server = world.another_server_with(&[("COSELL_FEED_POLL_INTERVAL", Some("1h"))]).await;
        let globex = world.as_("globex", "SALES");
        let mut socket = Socket::connect(server.addr, &globex.token).await;
        let mut reader = feed(&mut socket, None, &Value::Null).await;
        let before = log(&globex).await.len();
        for n in 0..20 {
            world.shared_lead("acme", &partnership, &format!("Lead {n}")).await;
        }
        server.shutdown().await;
        let log = log(&globex).await;
        assert_eq!(ids(&mut reader, log.len() - before).await, log[before..]);
        match reader.event_within(PATIENCE).await {
            Event::Closed(close) => assert_eq!(close.code, 1001),
            other @ Event::Message(_) => panic!("{other:?}"),
        }
    }
}
