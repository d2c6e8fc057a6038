//! Operations as event streams: the "distinct connections mode" of GraphQL over Server-Sent Events. The other mode has
//! its tests in `single_stream.rs`.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::{Answer, Client};
use crate::support::keys::{claims, hs256};
use crate::support::sse::{Entry, EventStream, request};
use crate::support::world::{SECRET, World};

const FEED: &str = "subscription($after: String) { activity(after: $after) { __typename cursor lead { title } } }";
const QUERY: &str = "{ viewer { company { slug } } }";
const CHANGED: &str = "subscription { leadChanged { title } }";
const ASKED: &str =
    "subscription($after: String) { activity(after: $after) { cursor ... on CommentAdded { comment { body } } } }";

async fn comment(world: &World, lead: &str, body: &str) {
    world
        .as_("acme", "SALES")
        .mutate("addComment", json!({ "leadId": lead, "body": body }), "comment { id }")
        .await
        .ok();
}

on_both_databases! {
    async fn a_subscription_comes_as_a_stream_and_resumes_after_its_cursor(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let partner = world.as_("globex", "SALES");
        let mut feed = EventStream::open(&partner, FEED, json!({})).await;
        // Whoever has the answer's head misses nothing that happens after it.
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let shared = feed.next().await["activity"].clone();
        assert_eq!((&shared["__typename"], &shared["lead"]["title"]), (&json!("LeadShared"), &json!("Forty seats")));
        drop(feed);
        comment(&world, &lead, "one").await;
        comment(&world, &lead, "two").await;
        let mut feed = EventStream::open(&partner, FEED, json!({ "after": shared["cursor"] })).await;
        assert_eq!(feed.next().await["activity"]["__typename"], "CommentAdded");
        assert_eq!(feed.next().await["activity"]["__typename"], "CommentAdded");
        world.shared_lead("acme", &partnership, "Another").await;
        assert_eq!(feed.next().await["activity"]["lead"]["title"], "Another");
    }

    async fn queries_and_mutations_are_streams_of_one_result(world: World) {
        let person = world.as_("acme", "SALES");
        let mut stream = EventStream::open(&person, "{ viewer { company { slug } } }", json!({})).await;
        assert_eq!(stream.next().await["viewer"]["company"]["slug"], "acme");
        assert_eq!(stream.entry().await, Entry::Complete);
        assert_eq!(stream.entry().await, Entry::End);
        let create = "mutation { createLead(input: { title: \"By stream\", customer: { company: \"Initrode\" } }) { lead { title } } }";
        let mut stream = EventStream::open(&person, create, json!({})).await;
        assert_eq!(stream.next().await["createLead"]["lead"]["title"], "By stream");
        assert_eq!(stream.entry().await, Entry::Complete);
        let get = |query: &str| {
            let path = format!("/graphql/stream?{}", url::form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish());
            person.request(Method::GET, &path).header("accept", "text/event-stream")
        };
        let answer = Answer::of(get("{ viewer { company { slug } } }")).await;
        assert!(answer.text.contains("event: next") && answer.text.contains("event: complete"), "{}", answer.text);
        let answer = Answer::of(get("mutation { removeComment(input: { commentId: \"x\" }) { lead { id } } }")).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::METHOD_NOT_ALLOWED, "INVALID_INPUT"));
    }

    async fn who_is_not_let_in_hears_it_by_the_status_and_what_is_refused_by_the_stream(world: World) {
        let person = world.as_("acme", "SALES");
        let status = async |request: reqwest::RequestBuilder| Answer::of(request).await.status;
        assert_eq!(status(request(&world.bearer_of("forged"), FEED, &json!({}))).await, StatusCode::UNAUTHORIZED);
        let plain = person.request(Method::POST, "/graphql/stream").header("accept", "application/json");
        assert_eq!(status(plain.json(&json!({ "query": FEED }))).await, StatusCode::NOT_ACCEPTABLE);
        let form = person.request(Method::POST, "/graphql/stream").header("accept", "text/event-stream");
        assert_eq!(status(form.body(r#"{"query":"{ viewer { id } }"}"#)).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let broken = person.request(Method::POST, "/graphql/stream").header("content-type", "application/json");
        assert_eq!(status(broken.body("{")).await, StatusCode::BAD_REQUEST);
        let refusal = async |client: &Client, document: &str, variables: Value| {
            EventStream::open(client, document, variables).await.refusal().await
        };
        assert_eq!(refusal(&person, "subscription { nothing }", json!({})).await, "INVALID_INPUT");
        assert_eq!(refusal(&person, FEED, json!({ "after": "forged" })).await, "INVALID_INPUT");
        assert_eq!(refusal(&world.nobody(), FEED, json!({})).await, "UNAUTHENTICATED");
        let lead = person.mutate("createLead", json!({ "title": "Ours", "customer": { "company": "Initrode" } }), "lead { id }").await;
        let on_it = "subscription($id: ID!) { activity(leadId: $id) { id } }";
        let stranger = world.as_("umbrella", "SALES");
        assert_eq!(refusal(&stranger, on_it, json!({ "id": lead.at("/createLead/lead/id") })).await, "NOT_FOUND");
    }

    async fn a_stream_ends_with_its_token_and_says_so(world: World) {
        let now = cosell::domain::clock::Clock::now(&*world.clock);
        let mut claims = claims("acme-sales", "acme", &["SALES"], now);
        claims["exp"] = json!((now + TimeDelta::minutes(5)).timestamp());
        let token = hs256(SECRET.as_bytes(), &claims);
        let server = world.another_server_with(&[("COSELL_WS_PING_INTERVAL", Some("50ms"))]).await;
        let client = Client::new(server.addr, Some(&token));
        let mut feed = EventStream::open(&client, FEED, json!({})).await;
        world.clock.advance(TimeDelta::minutes(6));
        assert_eq!(feed.refusal().await, "UNAUTHENTICATED");
        server.shutdown().await;
    }

    async fn a_member_has_so_many_streams_and_sockets_at_a_time(world: World) {
        let server = world.another_server_with(&[("COSELL_WS_MAX_SOCKETS", Some("2"))]).await;
        let person = world.as_("acme", "SALES");
        let client = Client::new(server.addr, Some(&person.token));
        let stream = EventStream::open(&client, FEED, json!({})).await;
        let socket = crate::support::ws::Socket::connect(server.addr, &person.token).await;
        let answer = Answer::of(request(&client, FEED, &json!({}))).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
        let mut third = crate::support::ws::Socket::open(server.addr).await;
        third.init(Some(&person.token));
        let close = third.closed_within(Duration::from_secs(10)).await;
        assert_eq!((close.code, close.reason.contains("may have 2")), (1013, true), "{close:?}");
        // Others are not concerned, and a place that is given back can be taken.
        let other = world.as_("acme", "ADMIN");
        drop(EventStream::open(&Client::new(server.addr, Some(&other.token)), FEED, json!({})).await);
        drop((stream, socket));
        let again = async {
            loop {
                let response = request(&client, FEED, &json!({})).send().await.expect("the server answers");
                if response.status() == StatusCode::OK {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), again).await.expect("a place becomes free");
        server.shutdown().await;
    }

    async fn the_end_of_a_server_brings_what_happened_and_ends_streams_without_complete(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        // Nothing but the end itself tells this server of what the other one writes.
        let server = world.another_server_with(&[("COSELL_FEED_POLL_INTERVAL", Some("1h"))]).await;
        let partner = world.as_("globex", "SALES");
        let mut feed = EventStream::open(&Client::new(server.addr, Some(&partner.token)), FEED, json!({})).await;
        for n in 0..20 {
            world.shared_lead("acme", &partnership, &format!("Lead {n}")).await;
        }
        let end = tokio::spawn(server.shutdown());
        let mut titles = Vec::new();
        loop {
            match feed.entry().await {
                Entry::Next(result) => titles.push(result["data"]["activity"]["lead"]["title"].clone()),
                Entry::End => break,
                other => panic!("the operation is not over: {other:?}"),
            }
        }
        titles.dedup();
        assert_eq!(titles, (0..20).map(|n| format!("Lead {n}")).collect::<Vec<_>>());
        end.await.expect("the server ends");
    }

    async fn the_usual_endpoint_answers_with_a_stream_who_asks_for_one(world: World) {
        let person = world.as_("acme", "SALES");
        let post = |accept: &str, document: &str| {
            person.request(Method::POST, "/graphql").header("accept", accept).json(&json!({ "query": document }))
        };
        for accept in ["text/event-stream", "text/event-stream, multipart/mixed", "text/event-stream, application/json"] {
            let mut stream = EventStream::of(post(accept, QUERY)).await;
            assert_eq!(stream.next().await["viewer"]["company"]["slug"], "acme");
            assert_eq!((stream.entry().await, stream.entry().await), (Entry::Complete, Entry::End));
        }
        let path = format!("/graphql?{}", url::form_urlencoded::Serializer::new(String::new()).append_pair("query", QUERY).finish());
        let mut stream = EventStream::of(person.request(Method::GET, &path).header("accept", "text/event-stream")).await;
        assert_eq!(stream.next().await["viewer"]["company"]["slug"], "acme");
        // What only takes it, or likes it less, gets JSON; the second is what urql sends with each query.
        for accept in [
            "*/*",
            "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed",
            "text/event-stream;q=0.9, application/json",
        ] {
            let answer = Answer::of(post(accept, QUERY)).await;
            assert_eq!(answer.at("/viewer/company/slug"), "acme", "{accept}");
        }
        // What is refused is refused as at /graphql/stream.
        let mut refused = EventStream::of(post("text/event-stream", "{ nothing }")).await;
        assert_eq!(refused.refusal().await, "INVALID_INPUT");
        let answer = Answer::of(post("text/event-stream", QUERY).header("authorization", "Bearer x")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let answer = Answer::of(person.request(Method::PUT, "/graphql").header("accept", "text/event-stream")).await;
        assert_eq!((answer.status, answer.headers["allow"].as_bytes()), (StatusCode::METHOD_NOT_ALLOWED, b"GET, HEAD, POST".as_slice()));
        // A subscription, and what happens after the head of the answer.
        let mut feed = EventStream::of(post("text/event-stream", "subscription { activity { lead { title } } }")).await;
        person.mutate("createLead", json!({ "title": "Ours", "customer": { "company": "Initrode" } }), "lead { id }").await.ok();
        assert_eq!(feed.next().await["activity"]["lead"]["title"], "Ours");
    }

    async fn a_stream_that_is_cut_off_goes_on_after_its_last_event_id(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let partner = world.as_("globex", "SALES");
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let task = |title: &str| {
            let input = json!({ "leadId": lead, "title": title });
            let seller = world.as_("acme", "SALES");
            async move { seller.mutate("createTask", input, "task { id }").await.ok() }
        };
        // None of these says where to begin.
        for (document, pick) in [
            ("subscription { activity { ... on CommentAdded { comment { body } } } }", "/activity/comment/body"),
            ("subscription($id: ID!) { activity(leadId: $id) { ... on CommentAdded { comment { body } } } }", "/activity/comment/body"),
            ("subscription($id: ID!) { commentAdded(leadId: $id) { body } }", "/commentAdded/body"),
            ("subscription { taskChanged { title } }", "/taskChanged/title"),
            ("subscription($id: ID!) { taskChanged(leadId: $id) { title } }", "/taskChanged/title"),
        ] {
            let happens = async |text: &str| {
                if document.contains("taskChanged") { task(text).await; } else { comment(&world, &lead, text).await; }
            };
            let variables = if document.contains("$id") { json!({ "id": lead }) } else { json!({}) };
            let took = |result: &Value| result.pointer(pick).cloned().unwrap_or_else(|| panic!("{pick}: {result}"));
            let mut stream = EventStream::open(&partner, document, variables.clone()).await;
            // Before anything has come it stands where it began.
            let begin = stream.last_id().await;
            happens("one").await;
            assert_eq!(took(&stream.next().await), "one", "{document}");
            happens("two").await;
            let id = stream.last_id().await;
            assert_ne!(id, begin);
            drop(stream);
            happens("three").await;
            let mut stream = EventStream::resume(&partner, document, variables.clone(), &id).await;
            assert_eq!(took(&stream.next().await), "two", "{document}");
            assert_eq!(took(&stream.next().await), "three");
            happens("four").await;
            assert_eq!(took(&stream.next().await), "four");
            let last = stream.last_id().await;
            drop(stream);
            // Nothing is left; what comes next comes once.
            let mut stream = EventStream::resume(&partner, document, variables.clone(), &last).await;
            happens("five").await;
            assert_eq!(took(&stream.next().await), "five", "{document}");
            let mut whole = EventStream::resume(&partner, document, variables, &begin).await;
            for text in ["one", "two", "three", "four", "five"] {
                assert_eq!(took(&whole.next().await), text, "{document}");
            }
        }
    }

    async fn leads_that_changed_come_after_a_last_event_id_too(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let partner = world.as_("globex", "SALES");
        let mut stream = EventStream::open(&partner, CHANGED, json!({})).await;
        world.shared_lead("acme", &partnership, "One").await;
        assert_eq!(stream.next().await["leadChanged"]["title"], "One");
        let id = stream.last_id().await;
        drop(stream);
        world.shared_lead("acme", &partnership, "Two").await;
        let mut stream = EventStream::resume(&partner, CHANGED, json!({}), &id).await;
        assert_eq!(stream.next().await["leadChanged"]["title"], "Two");
    }

    async fn a_last_event_id_wins_over_after_and_is_a_cursor_like_any_other(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let partner = world.as_("globex", "SALES");
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let mut stream = EventStream::open(&partner, ASKED, json!({})).await;
        let begin = stream.last_id().await;
        comment(&world, &lead, "one").await;
        comment(&world, &lead, "two").await;
        let one = stream.next().await["activity"].clone();
        // An event's id is the cursor that it has.
        assert_eq!(one["cursor"], stream.last_id().await);
        for after in [json!(begin), json!("forged"), Value::Null] {
            let mut stream = EventStream::resume(&partner, ASKED, json!({ "after": after }), &stream.last_id().await).await;
            assert_eq!(stream.next().await["activity"]["comment"]["body"], "two", "{after}");
        }
        let written = format!("subscription {{ activity(after: {begin:?}) {{ ... on CommentAdded {{ comment {{ body }} }} }} }}");
        let mut resumed = EventStream::resume(&partner, &written, json!({}), &stream.last_id().await).await;
        assert_eq!(resumed.next().await["activity"]["comment"]["body"], "two");
        // An empty one is none, and operations of one result do not ask for it.
        let mut new = EventStream::resume(&partner, ASKED, json!({}), "").await;
        comment(&world, &lead, "three").await;
        assert_eq!(new.next().await["activity"]["comment"]["body"], "three");
        let mut query = EventStream::resume(&partner, "{ viewer { company { slug } } }", json!({}), "forged").await;
        assert_eq!(query.next().await["viewer"]["company"]["slug"], "globex");
        assert_eq!(query.last_id().await, "");
    }

    async fn a_last_event_id_that_is_none_of_the_company_s_is_refused_as_after_is(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let (vendor, partner) = (world.as_("acme", "SALES"), world.as_("globex", "SALES"));
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        comment(&world, &lead, "one").await;
        let mut stream = EventStream::open(&vendor, FEED, json!({})).await;
        let theirs = stream.last_id().await;
        let thread = "query($id: ID!) { lead(id: $id) { comments(first: 1) { edges { cursor } } } }";
        let of_comment = partner.query(thread, json!({ "id": lead })).await.ok().text_at("/lead/comments/edges/0/cursor").to_owned();
        let refused = async |request: reqwest::RequestBuilder| {
            let error = EventStream::of(request).await.refused().await;
            let of = |name: &str| error["extensions"][name].as_str().unwrap_or_default().to_owned();
            (of("code"), of("field"), of("startAfter"))
        };
        let asked = || request(&partner, FEED, &json!({}));
        let invalid = ("INVALID_INPUT".to_owned(), "Last-Event-ID".to_owned(), String::new());
        for wrong in [theirs.as_str(), of_comment.as_str(), "forged", "0", "a b", "data: x"] {
            assert_eq!(refused(asked().header("last-event-id", wrong)).await, invalid, "{wrong}");
        }
        let not_ascii = reqwest::header::HeaderValue::from_bytes(b"caf\xe9").expect("a value");
        assert_eq!(refused(asked().header("last-event-id", not_ascii)).await, invalid);
        let twice = asked().header("last-event-id", &theirs).header("last-event-id", &theirs);
        assert_eq!(refused(twice).await, invalid);
        assert_eq!(EventStream::of(request(&world.nobody(), FEED, &json!({})).header("last-event-id", &theirs)).await.refusal().await, "UNAUTHENTICATED");
        // One from before the retention says where to begin.
        let mut feed = EventStream::open(&partner, FEED, json!({})).await;
        comment(&world, &lead, "two").await;
        feed.next().await;
        let id = feed.last_id().await;
        comment(&world, &lead, "three").await;
        drop(feed);
        world.clock.advance(TimeDelta::days(91));
        let partner = world.as_("globex", "SALES");
        comment(&world, &lead, "four").await;
        let (code, field, start) = refused(request(&partner, FEED, &json!({})).header("last-event-id", &id)).await;
        assert_eq!((code.as_str(), field.as_str()), ("CURSOR_EXPIRED", "Last-Event-ID"));
        let body = "subscription { activity { ... on CommentAdded { comment { body } } } }";
        let mut feed = EventStream::resume(&partner, body, json!({}), &start).await;
        assert_eq!(feed.next().await["activity"]["comment"]["body"], "four");
    }

    async fn no_text_breaks_out_of_its_event(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
        let partner = world.as_("globex", "SALES");
        let mut stream = EventStream::open(&partner, "subscription($id: ID!) { commentAdded(leadId: $id) { body } }", json!({ "id": lead })).await;
        let text = "a\n\nevent: complete\ndata:\n\nid: x\u{2028}b\ndata: {}";
        comment(&world, &lead, text).await;
        // The stream's reader takes nothing but whole events of the protocol, each field in one line.
        assert_eq!(stream.next().await["commentAdded"]["body"], text.replace('\u{2028}', "\n"));
        // So does a document that comes back in an error.
        let mut refused = EventStream::open(&partner, "{ viewer { a\r\n\r\nevent } }", json!({})).await;
        assert_eq!(refused.refusal().await, "INVALID_INPUT");
    }
}
