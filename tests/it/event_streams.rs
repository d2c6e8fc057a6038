//! Operations as event streams: the "distinct connections mode" of GraphQL over Server-Sent Events.

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
                Entry::Complete => panic!("the operation is not over"),
                Entry::End => break,
            }
        }
        titles.dedup();
        assert_eq!(titles, (0..20).map(|n| format!("Lead {n}")).collect::<Vec<_>>());
        end.await.expect("the server ends");
    }
}
