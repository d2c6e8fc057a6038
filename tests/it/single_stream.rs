//! One event stream for many operations: the "single connection mode" of GraphQL over Server-Sent Events.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::http::{Answer, Client};
use crate::support::keys::{claims, hs256};
use crate::support::sse::{Entry, EventStream};
use crate::support::world::{SECRET, World};

const PATH: &str = "/graphql/stream";
const TOKEN: &str = "x-graphql-event-stream-token";
const FEED: &str = "subscription { activity { __typename lead { title } } }";
const SLUG: &str = "{ viewer { company { slug } } }";
const NEVER: (&str, Option<&str>) = ("COSELL_FEED_POLL_INTERVAL", Some("1h"));

/// A stream that a client has reserved.
#[derive(Clone)]
struct Reserved {
    client: Client,
    token: String,
}

impl Reserved {
    async fn by(client: &Client) -> Self {
        let answer = Answer::of(client.request(Method::PUT, PATH)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers["cache-control"], "private, no-store");
        let token: uuid::Uuid = answer.text.parse().expect("a token");
        assert_eq!(token.get_version_num(), 4, "a random one");
        Self { client: client.clone(), token: answer.text }
    }

    fn request(&self, method: Method) -> RequestBuilder {
        self.client.request(method, PATH).header(TOKEN, &self.token)
    }

    async fn open(&self) -> EventStream {
        EventStream::of(self.request(Method::GET).header("accept", "text/event-stream")).await
    }

    fn asking(&self, id: &str, document: &str, variables: &Value) -> RequestBuilder {
        let body = json!({ "query": document, "variables": variables, "extensions": { "operationId": id } });
        self.request(Method::POST).json(&body)
    }

    /// Begins an operation, which has to be taken.
    async fn begin(&self, id: &str, document: &str) {
        let answer = Answer::of(self.asking(id, document, &json!({}))).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::ACCEPTED, ""));
    }

    async fn stop(&self, id: &str) {
        let path = format!("{PATH}?operationId={id}");
        let answer = Answer::of(self.client.request(Method::DELETE, &path).header(TOKEN, &self.token)).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
    }

    /// What is said of it to who asks.
    async fn status(&self) -> StatusCode {
        Answer::of(self.request(Method::DELETE)).await.status
    }

    /// Waits until it is gone.
    async fn gone(&self) {
        let gone = async {
            while self.status().await != StatusCode::NOT_FOUND {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone).await.expect("it goes");
    }
}

/// What comes next, which is a result: the operation's id, and its response.
async fn next(stream: &mut EventStream) -> (String, Value) {
    match stream.entry().await {
        Entry::Next(mut data) => {
            assert_eq!(data.as_object().map(serde_json::Map::len), Some(2), "{data}");
            (data["id"].as_str().expect("an id").to_owned(), data["payload"].take())
        }
        other => panic!("expected a result, but got {other:?}"),
    }
}

fn over(id: &str) -> Entry {
    Entry::CompleteOf(id.to_owned())
}

async fn lead(client: &Client, title: &str) {
    let input = json!({ "title": title, "customer": { "company": "Initrode" } });
    client.mutate("createLead", input, "lead { id }").await.ok();
}

fn said(answer: &Answer) -> (StatusCode, &str) {
    (answer.status, answer.code())
}

on_both_databases! {
    async fn one_stream_carries_what_many_requests_ask_for(world: World) {
        let person = world.as_("acme", "SALES");
        let reserved = Reserved::by(&person).await;
        // What is asked for before the stream is open waits for it.
        reserved.begin("early", SLUG).await;
        let mut stream = reserved.open().await;
        let (id, payload) = next(&mut stream).await;
        assert_eq!((id.as_str(), &payload["data"]["viewer"]["company"]["slug"]), ("early", &json!("acme")));
        assert_eq!(stream.entry().await, over("early"));
        reserved.begin("feed", FEED).await;
        reserved.begin("tasks", "subscription { taskChanged { title } }").await;
        // Whoever has the answer has not missed anything that happens after it.
        reserved.begin("write", "mutation { createLead(input: { title: \"Ours\", customer: { company: \"Initrode\" } }) { lead { id title } } }").await;
        let (mut got, mut ours) = (Vec::new(), Value::Null);
        for _ in 0..3 {
            match stream.entry().await {
                Entry::Next(data) if data["id"] == "write" => ours = data["payload"]["data"]["createLead"]["lead"].clone(),
                Entry::Next(data) => {
                    assert_eq!(data["payload"]["data"]["activity"]["lead"]["title"], "Ours", "{data}");
                    got.push(data["id"].clone());
                }
                done => assert_eq!(done, over("write")),
            }
        }
        assert_eq!((got, &ours["title"]), (vec![json!("feed")], &json!("Ours")));
        // One is stopped, the other goes on; the id is free.
        reserved.stop("feed").await;
        reserved.stop("feed").await;
        lead(&person, "More").await;
        reserved.begin("feed", SLUG).await;
        assert_eq!(next(&mut stream).await.0, "feed");
        assert_eq!(stream.entry().await, over("feed"));
        let input = json!({ "leadId": ours["id"], "title": "Call back" });
        person.mutate("createTask", input, "task { id }").await.ok();
        let (id, payload) = next(&mut stream).await;
        assert_eq!((id.as_str(), &payload["data"]["taskChanged"]["title"]), ("tasks", &json!("Call back")));
        // GET asks too, and the token may stand in the URL, as that of the stream.
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("token", &reserved.token).append_pair("query", SLUG)
            .append_pair("extensions", r#"{"operationId":"by get"}"#).finish();
        let answer = Answer::of(person.request(Method::GET, &format!("{PATH}?{query}"))).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        assert_eq!(next(&mut stream).await.0, "by get");
        assert_eq!(stream.entry().await, over("by get"));
        let other = Reserved::by(&person).await;
        let path = format!("{PATH}?token={}", other.token);
        let mut stream = EventStream::of(person.request(Method::POST, &path).header("accept", "text/event-stream")).await;
        other.begin("1", SLUG).await;
        assert_eq!(next(&mut stream).await.0, "1");
    }

    async fn what_is_refused_is_refused_by_the_request_and_what_a_resolver_refuses_by_the_stream(world: World) {
        let person = world.as_("acme", "SALES");
        let reserved = Reserved::by(&person).await;
        let mut stream = reserved.open().await;
        let ask = async |document: &str| Answer::of(reserved.asking("1", document, &json!({}))).await;
        for invalid in ["?", "{ nothing }", "subscription { nothing }", "query A { viewer { id } } query B { viewer { id } }"] {
            let answer = ask(invalid).await;
            assert_eq!(said(&answer), (StatusCode::BAD_REQUEST, "INVALID_INPUT"), "{invalid}");
        }
        let deep = format!("{{ {} }}", (0..200).map(|n| format!("a{n}: __typename")).collect::<Vec<_>>().join(" "));
        assert_eq!(said(&ask(&deep).await), (StatusCode::BAD_REQUEST, "QUERY_TOO_COMPLEX"));
        // It is asked for well, and refused where it is executed.
        let answer = Answer::of(reserved.asking("2", "subscription($after: String) { activity(after: $after) { id } }", &json!({ "after": "forged" }))).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        let (id, payload) = next(&mut stream).await;
        assert_eq!((id.as_str(), &payload["errors"][0]["extensions"]["code"]), ("2", &json!("INVALID_INPUT")));
        assert_eq!(stream.entry().await, over("2"));
        // By GET nothing is changed; a body is JSON; an operation has an id, by which it is told from others.
        let get = format!("{PATH}?query=mutation%7BremoveComment%28input:%7BcommentId:%22x%22%7D%29%7Blead%7Bid%7D%7D%7D&extensions=%7B%22operationId%22:%221%22%7D");
        let answer = Answer::of(person.request(Method::GET, &get).header(TOKEN, &reserved.token)).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{}", answer.text);
        let form = reserved.request(Method::POST).body(json!({ "query": SLUG, "extensions": { "operationId": "1" } }).to_string());
        assert_eq!(Answer::of(form).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        for id in [json!(null), json!(""), json!(7), json!("x".repeat(257))] {
            let answer = Answer::of(reserved.request(Method::POST).json(&json!({ "query": SLUG, "extensions": { "operationId": id } }))).await;
            assert_eq!((said(&answer), answer.faults()[0].1), ((StatusCode::BAD_REQUEST, "INVALID_INPUT"), "extensions.operationId"), "{id}");
        }
        assert_eq!(reserved.status().await, StatusCode::BAD_REQUEST, "which operation?");
        reserved.begin("1", FEED).await;
        assert_eq!(said(&ask(SLUG).await), (StatusCode::CONFLICT, "CONFLICT"));
        let html = reserved.asking("3", SLUG, &json!({})).header("accept", "text/html");
        assert_eq!(Answer::of(html).await.status, StatusCode::NOT_ACCEPTABLE);
        let html = person.request(Method::PUT, PATH).header("accept", "text/html");
        assert_eq!(Answer::of(html).await.status, StatusCode::NOT_ACCEPTABLE);
        let answer = Answer::of(reserved.request(Method::PATCH)).await;
        assert_eq!((answer.status, answer.headers["allow"].as_bytes()), (StatusCode::METHOD_NOT_ALLOWED, b"GET, HEAD, POST, PUT, DELETE".as_slice()));
        // Through all this the stream has gone on, and no text breaks out of its event.
        reserved.stop("1").await;
        let name = "a\r\n\nevent: complete\ndata:\n\n\"}";
        reserved.begin(name, SLUG).await;
        assert_eq!(next(&mut stream).await.0, name);
        assert_eq!(stream.entry().await, over(name));
    }

    async fn a_stream_is_its_member_s_alone_and_open_once(world: World) {
        let person = world.as_("acme", "SALES");
        let reserved = Reserved::by(&person).await;
        let unknown = Reserved { client: person.clone(), token: uuid::Uuid::from_u128(7).to_string() };
        let forged = Reserved { client: person.clone(), token: "forged".to_owned() };
        let of = |client: &Client| Reserved { client: client.clone(), token: reserved.token.clone() };
        let (colleague, stranger) = (of(&world.as_("acme", "ADMIN")), of(&world.as_("globex", "SALES")));
        let answers = async |it: &Reserved| {
            let mut answers = Vec::new();
            for request in [
                it.request(Method::GET).header("accept", "text/event-stream"),
                it.asking("1", SLUG, &json!({})),
                it.asking("1", "{", &json!({})),
                it.request(Method::DELETE),
            ] {
                let answer = Answer::of(request).await;
                assert_eq!(said(&answer), (StatusCode::NOT_FOUND, "NOT_FOUND"), "{}", answer.text);
                answers.push(answer.text);
            }
            answers
        };
        let expected = answers(&unknown).await;
        for other in [&forged, &colleague, &stranger] {
            assert_eq!(answers(other).await, expected);
        }
        // Nobody has none, whatever it says, and can't get one.
        let nobody = of(&world.nobody());
        for request in [
            nobody.request(Method::GET).header("accept", "text/event-stream"),
            nobody.asking("1", SLUG, &json!({})),
            nobody.request(Method::DELETE),
            world.nobody().request(Method::PUT, PATH),
        ] {
            let answer = Answer::of(request).await;
            assert_eq!(said(&answer), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"));
            assert!(answer.headers.contains_key("www-authenticate"));
        }
        // A fresh token of the member does.
        let again = of(&world.as_("acme", "SALES"));
        let mut stream = again.open().await;
        let second = Answer::of(reserved.request(Method::GET).header("accept", "text/event-stream")).await;
        assert_eq!(said(&second), (StatusCode::CONFLICT, "CONFLICT"));
        reserved.begin("1", SLUG).await;
        assert_eq!(next(&mut stream).await.0, "1");
        // With its connection it is gone, and another is had under another token.
        drop(stream);
        reserved.gone().await;
        answers(&reserved).await;
        let answer = Answer::of(reserved.request(Method::PUT)).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_ne!(answer.text, reserved.token);
        // HEAD opens nothing.
        let reserved = Reserved { client: person.clone(), token: answer.text };
        reserved.request(Method::HEAD).header("accept", "text/event-stream").send().await.expect("the server answers");
        reserved.open().await;
    }

    async fn a_stream_that_nobody_opens_is_gone_in_time_and_gives_its_seat_back(world: World) {
        let server = world.another_server_with(&[("COSELL_WS_INIT_TIMEOUT", Some("1s")), ("COSELL_WS_MAX_SOCKETS", Some("2"))]).await;
        let person = Client::new(server.addr, Some(&world.as_("acme", "SALES").token));
        let (first, second) = (Reserved::by(&person).await, Reserved::by(&person).await);
        let full = Answer::of(person.request(Method::PUT, PATH)).await;
        assert_eq!(said(&full), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
        let full = Answer::of(crate::support::sse::request(&person, FEED, &json!({}))).await;
        assert_eq!(said(&full), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
        // Its operations go with it; that of which is open stays.
        let mut open = first.open().await;
        second.begin("1", FEED).await;
        second.gone().await;
        let third = Reserved::by(&person).await;
        first.begin("1", SLUG).await;
        assert_eq!(next(&mut open).await.0, "1");
        drop(open);
        first.gone().await;
        third.gone().await;
        server.shutdown().await;
    }

    async fn operations_on_a_stream_are_bounded(world: World) {
        let server = world.another_server_with(&[("COSELL_WS_MAX_OPERATIONS", Some("2"))]).await;
        let person = Client::new(server.addr, Some(&world.as_("acme", "SALES").token));
        let reserved = Reserved::by(&person).await;
        let mut stream = reserved.open().await;
        reserved.begin("1", FEED).await;
        reserved.begin("2", FEED).await;
        let answer = Answer::of(reserved.asking("3", SLUG, &json!({}))).await;
        assert_eq!(said(&answer), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
        reserved.stop("2").await;
        reserved.begin("3", SLUG).await;
        assert_eq!(next(&mut stream).await.0, "3");
        assert_eq!(stream.entry().await, over("3"));
        server.shutdown().await;
    }

    async fn a_stream_that_takes_nothing_is_ended(world: World) {
        let server = world.another_server_with(&[("COSELL_WS_SEND_TIMEOUT", Some("1s")), ("COSELL_WS_INIT_TIMEOUT", Some("10m"))]).await;
        let person = Client::new(server.addr, Some(&world.as_("acme", "SALES").token));
        let reserved = Reserved::by(&person).await;
        // Nobody takes what waits for the stream to be opened.
        let mut asked = 0;
        while Answer::of(reserved.asking(&asked.to_string(), SLUG, &json!({}))).await.status == StatusCode::ACCEPTED {
            asked += 1;
            assert!(asked < 1000, "it goes on and on");
        }
        reserved.gone().await;
        server.shutdown().await;
    }

    async fn a_stream_ends_with_its_token_and_an_operation_with_its_own(world: World) {
        let now = cosell::domain::clock::Clock::now(&*world.clock);
        let token = |minutes: i64| {
            let mut claims = claims("acme-sales", "acme", &["SALES"], now);
            claims["exp"] = json!((now + TimeDelta::minutes(minutes)).timestamp());
            hs256(SECRET.as_bytes(), &claims)
        };
        let server = world.another_server_with(&[("COSELL_WS_PING_INTERVAL", Some("50ms"))]).await;
        let client = |minutes| Client::new(server.addr, Some(&token(minutes)));
        let reserved = Reserved::by(&client(10)).await;
        let mut stream = reserved.open().await;
        let with = |minutes| Reserved { client: client(minutes), ..reserved.clone() };
        with(5).begin("short", FEED).await;
        with(20).begin("long", FEED).await;
        let ended = async |stream: &mut EventStream, operation: &str| {
            let (id, payload) = next(stream).await;
            assert_eq!((id.as_str(), &payload["errors"][0]["extensions"]["code"]), (operation, &json!("UNAUTHENTICATED")));
            assert!(payload.get("data").is_none());
            assert_eq!(stream.entry().await, over(operation));
        };
        world.clock.advance(TimeDelta::minutes(6));
        ended(&mut stream, "short").await;
        with(20).begin("query", SLUG).await;
        assert_eq!(next(&mut stream).await.0, "query");
        assert_eq!(stream.entry().await, over("query"));
        world.clock.advance(TimeDelta::minutes(6));
        ended(&mut stream, "long").await;
        assert_eq!(stream.entry().await, Entry::End);
        assert_eq!(with(20).status().await, StatusCode::NOT_FOUND);
        server.shutdown().await;
    }

    async fn the_end_of_a_server_brings_what_happened_to_the_stream_and_ends_it_without_complete(world: World) {
        // Nothing but the end itself tells this server of what the other one writes.
        let server = world.another_server_with(&[NEVER]).await;
        let person = world.as_("acme", "SALES");
        let reserved = Reserved::by(&Client::new(server.addr, Some(&person.token))).await;
        let mut stream = reserved.open().await;
        let idle = Reserved::by(&Client::new(server.addr, Some(&person.token))).await;
        reserved.begin("1", FEED).await;
        reserved.begin("2", FEED).await;
        idle.begin("1", FEED).await;
        for n in 0..10 {
            lead(&person, &format!("Lead {n}")).await;
        }
        let end = tokio::spawn(server.shutdown());
        let mut titles = [Vec::new(), Vec::new()];
        loop {
            match stream.entry().await {
                Entry::Next(data) => {
                    let of = usize::from(data["id"] == "2");
                    let event = &data["payload"]["data"]["activity"];
                    // They look like each other, which is told too.
                    if event["__typename"] == "LeadCreated" {
                        titles[of].push(event["lead"]["title"].clone());
                    }
                }
                Entry::End => break,
                other => panic!("the operations are not over: {other:?}"),
            }
        }
        let all: Vec<_> = (0..10).map(|n| format!("Lead {n}")).collect();
        assert_eq!(titles, [all.clone(), all]);
        end.await.expect("the server ends");
    }
}
