//! What operators see: traces, spans, metrics, health, and a log that gives nobody away.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use chrono::TimeDelta;
use cosell::domain::clock::Clock as _;
use cosell::server::RunningServer;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use regex::Regex;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::on_both_databases;
use crate::support::cli::{Cli, Running};
use crate::support::database::{Database, Kind, OnDatabase as _};
use crate::support::http::{Answer, Client};
use crate::support::keys::{AUDIENCE, ISSUER, Issuer, Key, claims};
use crate::support::leads::lead_of;
use crate::support::sse::EventStream;
use crate::support::world::{Person, SECRET, World};
use crate::support::ws::{Event, Socket};

const SOON: Duration = Duration::from_secs(30);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

async fn world() -> World {
    World::on(Database::fresh(Kind::Sqlite).await).await
}

/// The person, at another server than the world's.
fn at(server: &RunningServer, person: &Person) -> Client {
    Client::new(server.addr, Some(&person.token))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).unwrap_or_else(|| panic!("no {name} in {headers:?}")).to_str().expect("ASCII")
}

/// The ids of a `traceresponse` or `traceparent`, which is well formed.
fn ids(header: &str) -> (String, String, String) {
    let form = Regex::new("^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$").expect("a pattern");
    let parts = form.captures(header).unwrap_or_else(|| panic!("{header:?} is not well formed"));
    (parts[1].to_owned(), parts[2].to_owned(), parts[3].to_owned())
}

// Traces.

#[tokio::test]
async fn every_answer_names_its_request_and_goes_on_with_the_trace_of_its_caller() {
    let world = world().await;
    let parent = format!("00-{TRACE}-{PARENT}-01");
    for (method, path, status) in [
        (Method::POST, "/graphql", 200),
        (Method::GET, "/graphql?query={__typename}", 200),
        (Method::PUT, "/graphql", 405),
        (Method::POST, "/graphql/stream", 200),
        (Method::GET, "/livez", 200),
        (Method::GET, "/readyz", 200),
        (Method::GET, "/nothing/here", 404),
    ] {
        let request = world.nobody().request(method.clone(), path).header("traceparent", &parent);
        let request = request.header("content-type", "application/json").body(r#"{"query":"{ __typename }"}"#);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status, "{method} {path}");
        let (trace, span, flags) = ids(header(&answer.headers, "traceresponse"));
        assert_eq!(trace, TRACE);
        assert_ne!(span, PARENT, "the server's own part of the trace");
        assert_eq!(flags, "00", "nobody records it here");
        let id = header(&answer.headers, "x-request-id");
        assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
    }
}

#[tokio::test]
async fn what_names_no_trace_begins_one() {
    let world = world().await;
    let mut seen = BTreeSet::new();
    let parents = [
        vec![],
        vec!["hello".to_owned()],
        vec![format!("00-{}-{PARENT}-01", "0".repeat(32))],
        vec![format!("00-{}-{PARENT}-01", TRACE.to_uppercase())],
        vec![format!("00-{TRACE}-{PARENT}-01"), format!("00-{TRACE}-{PARENT}-01")],
    ];
    for parents in parents {
        let mut request = world.nobody().request(Method::GET, "/graphql?query={__typename}");
        for parent in &parents {
            request = request.header("traceparent", parent);
        }
        let answer = Answer::of(request.header("tracestate", "x=y")).await.ok();
        let (trace, ..) = ids(header(&answer.headers, "traceresponse"));
        assert_ne!(trace, TRACE, "{parents:?}");
        assert!(seen.insert(trace), "a trace of its own");
    }
}

#[tokio::test]
async fn the_upgrade_to_a_websocket_names_its_request_and_trace() {
    let world = world().await;
    let mut request = format!("ws://{}/graphql/ws", world.address()).into_client_request().expect("a URL");
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a value"));
    headers.insert("traceparent", format!("00-{TRACE}-{PARENT}-00").parse().expect("a value"));
    let (_socket, response) = connect_async(request).await.expect("the server upgrades");
    assert_eq!(ids(header(response.headers(), "traceresponse")).0, TRACE);
    header(response.headers(), "x-request-id");
}

#[tokio::test]
async fn the_issuer_is_asked_in_the_trace_of_the_request_that_needs_its_keys() {
    let world = world().await;
    let (old, new) = (Key::p256("old"), Key::p256("new"));
    let issuer = Issuer::start(&[&old]).await;
    let url = issuer.url();
    let server = world.another_server_with(&[("COSELL_JWT_SECRET", None), ("COSELL_JWKS_URL", Some(&url))]).await;
    let first = ids(&issuer.traces()[0]).0;
    issuer.rotate(&[&old, &new]);
    world.clock.advance(TimeDelta::minutes(1));
    let now = world.clock.now();
    let token = new.token(&claims("ann", "acme", &["SALES"], now));
    let request = Client::new(server.addr, Some(&token)).request(Method::POST, "/graphql");
    let request = request.header("traceparent", format!("00-{TRACE}-{PARENT}-01")).header("tracestate", "x=y");
    let answer = Answer::of(request.json(&json!({ "query": "{ viewer { id } }" }))).await.ok();
    let traces = issuer.traces();
    assert_eq!(traces.len(), 2, "{traces:?}");
    let (trace, span, flags) = ids(&traces[1]);
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "01"));
    assert_ne!(first, TRACE);
    assert_ne!(span, ids(header(&answer.headers, "traceresponse")).1, "a part of its own");
}

// Spans.

/// A collector that keeps what it is sent.
#[derive(Clone)]
struct Collector {
    url: String,
    spans: Arc<watch::Sender<Vec<Span>>>,
    calls: Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let spans = Arc::new(watch::Sender::new(vec![]));
        let collector = Self { url: format!("http://{address}"), spans, calls: Arc::default() };
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        collector
    }

    /// The span of that name, once it has come.
    async fn span(&self, name: &str) -> Span {
        let mut spans = self.spans.subscribe();
        let come = timeout(SOON, spans.wait_for(|spans| spans.iter().any(|span| span.name == name))).await;
        match come {
            Ok(Ok(spans)) => spans.iter().find(|span| span.name == name).cloned().expect("it is there"),
            _ => panic!("expected {name:?}, and these came: {:#?}", *self.spans.borrow()),
        }
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> axum::http::StatusCode {
    assert_eq!(header(&headers, "content-type"), "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP in protobuf");
    let scopes = request.resource_spans.iter().flat_map(|it| &it.scope_spans);
    let new: Vec<Span> = scopes.flat_map(|it| it.spans.clone()).collect();
    collector.calls.lock().expect("no panic under the lock").push((headers, request));
    collector.spans.send_modify(|spans| spans.extend(new));
    axum::http::StatusCode::OK
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Any| match value {
        Any::StringValue(text) => text.clone(),
        Any::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |it: &opentelemetry_proto::tonic::common::v1::AnyValue| it.value.as_ref().map(text).unwrap_or_default();
    span.attributes.iter().map(|it| (it.key.as_str(), it.value.as_ref().map(value).unwrap_or_default())).collect()
}

const CREATE: &str = "mutation Hand_over($input: CreateLeadInput!) { createLead(input: $input) { lead { id } } }";

on_both_databases! {
    async fn a_collector_gets_the_spans_of_a_request_under_the_callers_trace(world: World) {
        let collector = Collector::start().await;
        let server = world
            .another_server_with(&[
                ("COSELL_OTLP_ENDPOINT", Some(&collector.url)),
                ("COSELL_OTLP_HEADERS", Some("authorization=Bearer hush")),
                ("COSELL_OTLP_SERVICE_NAME", Some("leads")),
            ])
            .await;
        let person = world.as_("acme", "SALES");
        let input = json!({ "title": "Zqx title", "customer": { "company": "Zqx corp" } });
        let request = at(&server, &person).request(Method::POST, "/graphql");
        let request = request.header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
        let request = request.header("tracestate", "congo=t61rcWkgMzE");
        let answer = Answer::of(request.json(&json!({ "query": CREATE, "variables": { "input": input } }))).await.ok();
        let (_, span_id, flags) = ids(header(&answer.headers, "traceresponse"));
        assert_eq!(flags, "01", "it is recorded");

        let outer = collector.span("POST /graphql").await;
        assert_eq!(hex::encode(&outer.trace_id), TRACE);
        assert_eq!(hex::encode(&outer.parent_span_id), PARENT);
        assert_eq!(hex::encode(&outer.span_id), span_id);
        assert_eq!(outer.kind, SpanKind::Server as i32);
        assert_eq!(outer.trace_state, "congo=t61rcWkgMzE");
        let of_outer = attributes(&outer);
        assert_eq!(of_outer["http.route"], "/graphql");
        assert_eq!(of_outer["http.response.status_code"], "200");
        assert_eq!(of_outer["cosell.request_id"], header(&answer.headers, "x-request-id"));

        let inner = collector.span("mutation Hand_over").await;
        assert_eq!(hex::encode(&inner.trace_id), TRACE);
        assert_eq!(inner.parent_span_id, outer.span_id);
        assert!(inner.start_time_unix_nano >= outer.start_time_unix_nano);
        assert!(inner.end_time_unix_nano > inner.start_time_unix_nano);
        let of_inner = attributes(&inner);
        assert_eq!(of_inner["graphql.operation.type"], "mutation");
        assert_eq!(of_inner["graphql.operation.name"], "Hand_over");
        assert_eq!(of_inner["cosell.code"], "OK");
        assert!(of_inner["cosell.sql.statements"].parse::<u32>().expect("a number") > 1, "{of_inner:?}");

        let calls = collector.calls.lock().expect("no panic under the lock").clone();
        assert_eq!(header(&calls[0].0, "authorization"), "Bearer hush");
        let resource = format!("{:?}", calls[0].1.resource_spans[0].resource);
        assert!(resource.contains("leads"), "{resource}");
        for (_, call) in calls {
            let sent = format!("{call:?}");
            for hidden in ["Zqx", "INSERT", "SELECT", "createLead", "hush"] {
                assert!(!sent.contains(hidden), "{hidden} in {sent}");
            }
        }
    }
}

#[tokio::test]
async fn an_operation_on_a_websocket_has_a_span_and_may_name_its_trace() {
    let world = world().await;
    let collector = Collector::start().await;
    let server = world.another_server_with(&[("COSELL_OTLP_ENDPOINT", Some(&collector.url))]).await;
    let person = world.as_("acme", "SALES");
    let mut socket = Socket::connect(server.addr, &person.token).await;
    let mut payload = json!({
        "query": "query Named { viewer { id } }",
        "extensions": { "traceparent": format!("00-{TRACE}-{PARENT}-01"), "tracestate": "a=b" },
    });
    socket.send(&json!({ "id": "1", "type": "subscribe", "payload": payload }));
    let span = collector.span("query Named").await;
    assert_eq!(hex::encode(&span.trace_id), TRACE);
    assert_eq!(hex::encode(&span.parent_span_id), PARENT);
    assert_eq!(span.trace_state, "a=b");
    assert_eq!(span.kind, SpanKind::Server as i32);
    payload = json!({ "query": "query Alone { nothing }", "extensions": { "traceparent": 7 } });
    socket.send(&json!({ "id": "2", "type": "subscribe", "payload": payload }));
    let span = collector.span("query Alone").await;
    assert_ne!(hex::encode(&span.trace_id), TRACE);
    assert_eq!(span.parent_span_id, Vec::<u8>::new());
    assert_eq!(attributes(&span)["cosell.code"], "INVALID_INPUT");
    while let Event::Message(message) = socket.next_within(SOON).await {
        if message["id"] == "2" {
            break;
        }
    }
}

#[tokio::test]
async fn the_last_spans_are_sent_before_the_server_ends() {
    let world = world().await;
    let collector = Collector::start().await;
    let server = world.another_server_with(&[("COSELL_OTLP_ENDPOINT", Some(&collector.url))]).await;
    let client = Client::new(server.addr, None);
    for n in 0..100 {
        client.query(&format!("query Q{n} {{ __typename }}"), json!({})).await.ok();
    }
    server.shutdown().await;
    let spans = collector.spans.borrow();
    let names: BTreeSet<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert!((0..100).all(|n| names.contains(format!("query Q{n}").as_str())), "{names:?}");
}

#[tokio::test]
async fn what_a_caller_does_not_record_is_not_sent() {
    let world = world().await;
    let collector = Collector::start().await;
    let settings = [("COSELL_OTLP_ENDPOINT", Some(collector.url.as_str())), ("COSELL_OTLP_SAMPLE_RATIO", Some("0"))];
    let server = world.another_server_with(&settings).await;
    let client = Client::new(server.addr, None);
    let ask = async |name: &str, flags: &str| {
        let request =
            client.request(Method::POST, "/graphql").header("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"));
        Answer::of(request.json(&json!({ "query": format!("query {name} {{ __typename }}") }))).await.ok()
    };
    client.query("query Begun { __typename }", json!({})).await.ok();
    ask("Unrecorded", "00").await;
    ask("Recorded", "01").await;
    server.shutdown().await;
    let spans = collector.spans.borrow();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["query Recorded", "POST /graphql"]);
}

#[tokio::test]
async fn a_collector_that_is_away_or_says_nothing_stops_nobody() {
    let world = world().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let silent_url = format!("http://{}", silent.local_addr().expect("a bound socket"));
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gone_url = format!("http://{}", gone.local_addr().expect("a bound socket"));
    drop(gone);
    for url in [silent_url, gone_url] {
        let server = world.another_server_with(&[("COSELL_OTLP_ENDPOINT", Some(&url))]).await;
        let client = Client::new(server.addr, None);
        // More than the queue takes.
        let asked = async {
            for _ in 0..50 {
                let some = (0..60).map(|_| client.query("query Q { __typename }", json!({})));
                for answer in futures_util::future::join_all(some).await {
                    answer.ok();
                }
            }
        };
        timeout(4 * SOON, asked).await.expect("nobody waits for the collector");
        let begun = Instant::now();
        server.shutdown().await;
        // The order of the end allows for twice 10 seconds; a collector that is waited for would take more.
        assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    }
}

// Metrics.

/// One line of the metrics.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

fn samples(text: &str) -> Vec<Sample> {
    let line = Regex::new(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$").expect("a pattern");
    let label = Regex::new(r#"([a-z_]+)="([^"]*)""#).expect("a pattern");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|text| {
            let parts = line.captures(text).unwrap_or_else(|| panic!("no sample: {text:?}"));
            let labels = parts.get(2).map_or("", |it| it.as_str());
            let labels = label.captures_iter(labels).map(|it| (it[1].to_owned(), it[2].to_owned())).collect();
            Sample { name: parts[1].to_owned(), labels, value: parts[3].parse().expect("a number") }
        })
        .collect()
}

/// Everything that the metrics say now.
struct Metrics(Vec<Sample>);

impl Metrics {
    async fn of(server: &RunningServer) -> Self {
        Self::at(server.metrics_addr.expect("it has metrics")).await
    }

    async fn at(address: SocketAddr) -> Self {
        let answer = Answer::of(Client::new(address, None).request(Method::GET, "/metrics")).await;
        assert_eq!(answer.status, StatusCode::OK);
        let content = header(&answer.headers, "content-type");
        assert_eq!(content, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        assert!(answer.text.ends_with("# EOF\n"));
        Self(samples(&answer.text))
    }

    /// The sum of the samples of that name with these labels.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |it: &&Sample| {
            it.name == name && labels.iter().all(|(label, value)| it.labels.get(*label).is_some_and(|it| it == value))
        };
        self.0.iter().filter(fits).map(|it| it.value).sum()
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|it| it.name == name)
    }
}

const METRICS: (&str, Option<&str>) = ("COSELL_METRICS_LISTEN", Some("127.0.0.1:0"));

/// Waits until the metrics say something.
async fn until(server: &RunningServer, what: &str, holds: impl Fn(&Metrics) -> bool) -> Metrics {
    let end = Instant::now() + SOON;
    loop {
        let metrics = Metrics::of(server).await;
        if holds(&metrics) {
            return metrics;
        }
        assert!(Instant::now() < end, "{what} did not come: {:#?}", metrics.0);
        // Each look costs the machine a little.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

on_both_databases! {
    async fn operations_are_counted_by_name_kind_and_code(world: World) {
        let server = world.another_server_with(&[METRICS]).await;
        let person = world.as_("acme", "SALES");
        let client = at(&server, &person);
        client.query("query Who { viewer { id } }", json!({})).await.ok();
        client.query("query Who { viewer { id } }", json!({})).await.ok();
        client.query("query Who { nothing }", json!({})).await.code();
        client.query("{ viewer { id } }", json!({})).await.ok();
        let input = json!({ "input": { "title": "", "customer": { "company": "Initrode" } } });
        assert_eq!(client.query(CREATE, input).await.code(), "REQUIRED");
        Client::new(server.addr, None).query("query Stranger { __typename }", json!({})).await.ok();
        Client::new(server.addr, Some("no.token.this")).query("query Who { viewer { id } }", json!({})).await.code();
        Answer::of(client.request(Method::GET, "/nothing")).await;

        let metrics = until(&server, "the last request", |it| {
            it.sum("cosell_http_requests_total", &[("route", "(other)"), ("status", "404")]) > 0.5
        })
        .await;
        let is = |labels: &[(&str, &str)], expected: f64| {
            let sum = metrics.sum("cosell_operations_total", labels);
            assert!((sum - expected).abs() < 0.5, "{labels:?}: {sum}, not {expected}: {:#?}", metrics.0);
        };
        is(&[("name", "Who"), ("kind", "query"), ("code", "OK")], 2.0);
        is(&[("name", "Who"), ("kind", "query"), ("code", "INVALID_INPUT")], 1.0);
        is(&[("name", "(none)"), ("kind", "query"), ("code", "OK")], 1.0);
        is(&[("name", "Hand_over"), ("kind", "mutation"), ("code", "REQUIRED")], 1.0);
        is(&[("name", "Stranger")], 0.0);
        is(&[("name", "(other)"), ("kind", "query"), ("code", "OK")], 1.0);
        is(&[("name", "(none)"), ("kind", "(none)"), ("code", "UNAUTHENTICATED")], 1.0);
        let timed = metrics.sum("cosell_operation_duration_seconds_count", &[("name", "Who"), ("kind", "query")]);
        assert!((timed - 3.0).abs() < 0.5, "{timed}");
        assert!(metrics.sum("cosell_sql_statement_duration_seconds_count", &[]) > 5.0);
        assert!(metrics.sum("cosell_http_requests_total", &[("route", "/graphql"), ("method", "POST"), ("status", "401")]) > 0.5);
        assert!((metrics.sum("cosell_database_up", &[]) - 1.0).abs() < 0.1);
        assert!(metrics.sum("cosell_database_connections", &[]) > 0.5);
        assert!(metrics.sum("cosell_resident_memory_bytes", &[]) > 1e6);
    }
}

#[tokio::test]
async fn clients_can_not_make_metrics_without_end() {
    let world = world().await;
    let server = world.another_server_with(&[METRICS]).await;
    let client = at(&server, &world.as_("acme", "SALES"));
    for n in 0..300 {
        client.query(&format!("query Q{n} {{ __typename }}"), json!({})).await.ok();
    }
    client.query(&format!("query {} {{ __typename }}", "Q".repeat(500)), json!({})).await.ok();
    let all = |it: &Metrics| it.sum("cosell_operations_total", &[]) > 300.5;
    let metrics = until(&server, "the last request", all).await;
    let names: BTreeSet<_> = metrics.0.iter().filter_map(|it| it.labels.get("name")).collect();
    assert!(names.len() <= 202, "{}", names.len());
    assert!(metrics.sum("cosell_operations_total", &[("name", "(other)")]) > 100.5);
}

on_both_databases! {
    async fn what_is_open_is_counted_and_so_is_the_way_of_events(world: World) {
        const WATCH: &str = "subscription Watch { activity { id } }";
        let server = world.another_server_with(&[METRICS]).await;
        let person = world.as_("acme", "SALES");
        let client = at(&server, &person);
        let mut socket = Socket::connect(server.addr, &person.token).await;
        let mut feed = socket.subscribe(WATCH, json!({})).await;
        let mut stream = EventStream::open(&client, WATCH, json!({})).await;
        let open = |it: &Metrics, count: f64| {
            let is = |name, count: f64| (it.sum(name, &[]) - count).abs() < 0.5;
            is("cosell_websockets_open", count)
                && is("cosell_event_streams_open", count)
                && is("cosell_subscriptions_running", 2.0 * count)
        };
        let metrics = until(&server, "both", |it| open(it, 1.0)).await;
        assert!((metrics.sum("cosell_feed_tails", &[]) - 1.0).abs() < 0.1);
        assert!(metrics.sum("cosell_feed_delay_seconds_count", &[]) < 0.5);
        client.query(CREATE, json!({ "input": { "title": "A", "customer": { "company": "B" } } })).await.ok();
        feed.next().await;
        stream.next().await;
        let metrics = Metrics::of(&server).await;
        assert!(metrics.sum("cosell_feed_delay_seconds_count", &[]) > 0.5);
        assert!(metrics.sum("cosell_feed_behind_events", &[]) < 0.5);
        feed.complete();
        drop(stream);
        socket.send_raw(Message::Close(None));
        while let Event::Message(_) = socket.next_within(SOON).await {}
        let over = |it: &Metrics| {
            let labels = [("name", "Watch"), ("kind", "subscription")];
            open(it, 0.0) && it.sum("cosell_operations_total", &labels) > 1.5
        };
        let metrics = until(&server, "the end of both", over).await;
        assert!(metrics.sum("cosell_operation_duration_seconds_count", &[("name", "Watch")]) < 0.5);
    }

    async fn a_lead_past_its_limit_waits_to_be_recorded_for_all_to_see(world: World) {
        // Its job runs once at the start and then not for an hour.
        let server = world.another_server_with(&[METRICS, ("COSELL_EXPIRY_INTERVAL", Some("1h"))]).await;
        let ran = |it: &Metrics| it.sum("cosell_job_runs_total", &[("job", "expiry")]) > 0.5;
        let metrics = until(&server, "the first run", ran).await;
        assert!(metrics.sum("cosell_expiry_lag_seconds", &[]).abs() < 0.001);
        assert!(metrics.sum("cosell_job_last_done_time_seconds", &[("job", "expiry")]) > 1e9);
        assert!((metrics.sum("cosell_job_failures_total", &[])).abs() < 0.1);

        let partnership = world.partnership("acme", "globex").await;
        let limit = world.clock.now() + TimeDelta::hours(2);
        let more = json!({ "partnershipId": partnership, "expiresAt": limit });
        lead_of(&world.as_("acme", "SALES"), more).await;
        // The world's own server would record it: while another one holds the lease it does not.
        world.clock.set(limit - TimeDelta::seconds(10));
        assert!(server.service().take_lease("expiry").await.expect("the database answers"));
        world.clock.set(limit + TimeDelta::seconds(15));
        let metrics = Metrics::of(&server).await;
        assert!((metrics.sum("cosell_expiry_lag_seconds", &[]) - 15.0).abs() < 0.001);
        world.clock.set(limit + TimeDelta::seconds(60));
        until(&server, "its record", |it| it.sum("cosell_expiry_lag_seconds", &[]).abs() < 0.001).await;
    }
}

#[tokio::test]
async fn the_listener_of_metrics_serves_nothing_else_and_the_main_one_no_metrics() {
    let world = world().await;
    let server = world.another_server_with(&[METRICS]).await;
    let address = server.metrics_addr.expect("it has metrics");
    let client = Client::new(address, None);
    for path in ["/", "/graphql", "/livez", "/readyz", "/metrics/"] {
        assert_eq!(Answer::of(client.request(Method::GET, path)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let posted = Answer::of(client.request(Method::POST, "/metrics")).await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
    let main = Answer::of(Client::new(server.addr, None).request(Method::GET, "/metrics")).await;
    assert_eq!(main.status, StatusCode::NOT_FOUND);
    assert!(world.server().metrics_addr.is_none(), "they are off where nobody has asked for them");
}

#[tokio::test]
async fn metrics_are_served_while_the_server_winds_up() {
    let world = world().await;
    let server = world.another_server_with(&[METRICS]).await;
    let (address, metrics) = (server.addr, server.metrics_addr.expect("it has metrics"));
    let body = r#"{"query":"{ __typename }"}"#;
    let mut slow = TcpStream::connect(address).await.expect("it listens");
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.expect("it reads");
    let in_flight = |it: &Metrics| it.sum("cosell_http_requests_in_flight", &[]) > 0.5;
    until(&server, "the slow request", in_flight).await;
    let ending = tokio::spawn(server.shutdown());
    // Once it takes no connections any more it winds up.
    let end = Instant::now() + SOON;
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < end, "it still listens");
    }
    assert!(Metrics::at(metrics).await.sum("cosell_http_requests_in_flight", &[]) > 0.5);
    slow.write_all(body.as_bytes()).await.expect("it reads on");
    let mut answer = String::new();
    timeout(SOON, slow.read_to_string(&mut answer)).await.expect("in time").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    timeout(SOON, ending).await.expect("in time").expect("no panic");
    assert!(TcpStream::connect(metrics).await.is_err(), "then it is over");
}

#[tokio::test]
async fn each_metric_stands_in_the_page_and_no_other_does() {
    let world = world().await;
    let server = world.another_server_with(&[METRICS]).await;
    let client = at(&server, &world.as_("acme", "SALES"));
    client.query("query Q { viewer { id } }", json!({})).await.ok();
    let ready = |it: &Metrics| it.has("cosell_operations_total") && it.has("cosell_job_runs_total");
    until(&server, "something of each", ready).await;
    let address = server.metrics_addr.expect("it has metrics");
    let text = Answer::of(Client::new(address, None).request(Method::GET, "/metrics")).await.text;
    let families = |word: &str| -> BTreeMap<String, String> {
        let start = format!("# {word} ");
        let lines = text.lines().filter_map(|line| line.strip_prefix(&start)?.split_once(' '));
        lines.map(|(name, rest)| (name.to_owned(), rest.trim_end_matches('.').to_owned())).collect()
    };
    let (types, helps) = (families("TYPE"), families("HELP"));
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/signals.md")).expect("the page");
    let rows: BTreeMap<&str, &str> =
        page.lines().filter_map(|line| line.strip_prefix("| `cosell_")?.split_once("` | ")).collect();
    let mut documented = BTreeSet::new();
    for (name, kind) in &types {
        // A counter's samples are named so.
        let full = if kind == "counter" { format!("{name}_total") } else { name.clone() };
        let full = if kind == "info" { format!("{name}_info") } else { full };
        let short = full.strip_prefix("cosell_").expect("the prefix").to_owned();
        let row = rows.get(short.as_str()).unwrap_or_else(|| panic!("docs/signals.md lacks {full} ({kind})"));
        assert!(row.starts_with(&format!("{kind} | ")), "{full} is a {kind}: {row}");
        assert!(row.contains(&helps[name]), "{full} is: {}. The page says: {row}", helps[name]);
        documented.insert(short);
    }
    for name in rows.keys() {
        assert!(documented.contains(*name), "docs/signals.md has cosell_{name}, which is not documented");
    }
}

// Health.

on_both_databases! {
    async fn readiness_names_each_component(world: World) {
        let answer = Answer::of(world.nobody().request(Method::GET, "/readyz")).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "ok\ndatabase: ok\nbus: ok\n"));
        let answer = Answer::of(world.nobody().request(Method::GET, "/livez")).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "ok\n"));
        world.server().service().db().clone().close().await;
        let end = Instant::now() + SOON;
        loop {
            let answer = Answer::of(world.nobody().request(Method::GET, "/readyz")).await;
            if answer.status == 503 {
                assert_eq!(answer.text, "not ready\ndatabase: does not answer\nbus: ok\n");
                break;
            }
            assert!(Instant::now() < end, "{}", answer.text);
        }
        let answer = Answer::of(world.nobody().request(Method::GET, "/livez")).await;
        assert_eq!(answer.status, 200, "the process runs all the same");
    }
}

// The log.

/// One `cosell serve` in a process of its own, on the world's database.
struct Process {
    running: Running,
    address: SocketAddr,
}

impl Process {
    fn start(world: &World, settings: &[(&str, &str)]) -> Self {
        let mut cli = Cli::new()
            .env("COSELL_DATABASE_URL", &world.database.url)
            .env("COSELL_LISTEN", "127.0.0.1:0")
            .env("COSELL_JWT_SECRET", SECRET)
            .env("COSELL_JWT_ISSUER", ISSUER)
            .env("COSELL_JWT_AUDIENCE", AUDIENCE);
        for (name, value) in settings {
            cli = cli.env(name, *value);
        }
        let mut running = cli.start(["serve"]);
        let line = block_in_place(|| running.line_with("cosell listens on", SOON));
        let address = line.split("://").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
        Self { running, address: address.parse().expect("an address and a port") }
    }

    /// Ends it, and says all that it has logged.
    fn log(self) -> String {
        self.running.signal("TERM");
        let output = block_in_place(|| self.running.output());
        output.ok();
        output.stderr
    }
}

/// Does everything that could come to be logged, with marks in all of it.
async fn story(world: &World, address: SocketAddr, partnership: &str) {
    let mut claims = claims("zqxsubject", "acme", &["SALES", "ADMIN"], "2026-03-02T09:00:00Z".parse().expect("a time"));
    claims["exp"] = json!(4_000_000_000_u64);
    claims["name"] = json!("Zqxmember");
    claims["email"] = json!("zqxmember@acme.example");
    let token = crate::support::keys::hs256(SECRET.as_bytes(), &claims);
    let person = Client::new(address, Some(&token));
    let partner = Client::new(address, Some(&world.as_("globex", "SALES").token));
    let input = json!({
        "title": "Zqxtitle", "description": "zqxdescription", "partnershipId": partnership,
        "idempotencyKey": "zqxkey",
        "customer": { "company": "Zqxcorp", "website": "https://zqxsite.example", "contact": {
            "firstName": "Zqxfirst", "lastName": "Zqxlast", "email": "zqxmail@zqxhost.example", "phone": "+436607770001"
        } },
    });
    let created = person.mutate("createLead", input.clone(), "lead { id }").await.ok();
    let lead = created.text_at("/createLead/lead/id").to_owned();
    let mut socket = Socket::connect(address, &token).await;
    let watch = "subscription Watch($lead: ID!) { commentAdded(leadId: $lead) { id body } }";
    let mut comments = socket.subscribe(watch, json!({ "lead": lead })).await;
    let mut stream = EventStream::open(&partner, "subscription { activity { id } }", json!({})).await;
    let comment = json!({ "leadId": lead, "body": "zqxcomment" });
    partner.mutate("addComment", comment, "comment { id }").await.ok();
    comments.next().await;
    stream.next().await;
    socket.send(&json!({ "id": "zqxid", "type": "subscribe", "payload": {
        "query": "query Q($a: ID!) { lead(id: $a) { id } }", "variables": { "a": "zqxvariable" } } }));
    while let Event::Message(message) = socket.next_within(SOON).await {
        if message["id"] == "zqxid" && message["type"] != "next" {
            break;
        }
    }
    socket.send(&json!({ "id": "zqxid", "type": "zqxtype" }));
    while let Event::Message(_) = socket.next_within(SOON).await {}
    let other = Socket::open(address).await;
    other.init(Some("zqxbad.token.here"));
    drop(other);

    // What is refused.
    let refused = async |client: &Client, body: Value| {
        let answer = client.send(body).await;
        assert!(!answer.errors.is_empty(), "{}", answer.text);
    };
    let mut bad = input;
    bad["customer"]["contact"]["email"] = json!("zqxmail is none");
    bad["customer"]["contact"]["phone"] = json!("zqxphone");
    bad["idempotencyKey"] = json!("zqxother");
    refused(&person, json!({ "query": "mutation($i: CreateLeadInput!) { createLead(input: $i) { lead { id } } }", "variables": { "i": bad } })).await;
    refused(
        &person,
        json!({ "query": "query($a: Int!) { leads(first: $a) { totalCount } }", "variables": { "a": "zqxvariable" } }),
    )
    .await;
    refused(&person, json!({ "query": "{ lead(id: \"zqxliteral\") { zqxfield } }" })).await;
    refused(&person, json!({ "query": "{ zqxsyntax(", "operationName": "zqxname" })).await;
    refused(&person, json!({ "query": 7, "variables": { "a": "zqxvariable" } })).await;
    refused(&person, json!({ "query": "{ lead(id: \"bGVhZDp6cXg\\u0000zqxnul\") { id } }" })).await;
    refused(&Client::new(address, Some("zqxbad.token.here")), json!({ "query": "{ viewer { id } }" })).await;
    refused(&Client::new(address, Some(&format!("{token}zqxbad"))), json!({ "query": "{ viewer { id } }" })).await;
    for path in [
        "/graphql?query=query(%24a:ID!){lead(id:%24a){id}}&variables={%22a%22:%22zqxvariable%22}",
        "/graphql?query=zqxquery&variables=zqxvariable",
        "/zqxpath?token=zqxquery",
        "/%0azqxpath%1b[31m",
        "/readyz?zqxquery",
    ] {
        let request = person.request(Method::GET, path).header("x-mark", "zqxheader").header("user-agent", "zqxagent");
        Answer::of(request.header("cookie", "a=zqxcookie").header("x-forwarded-for", "203.0.113.77")).await;
    }
    let text = person.request(Method::POST, "/graphql").header("content-type", "text/zqxtype").body("zqxbody");
    assert_eq!(Answer::of(text).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let broken = person.request(Method::POST, "/graphql").header("content-type", "application/json");
    assert_eq!(Answer::of(broken.body("{\"zqxbody")).await.status, StatusCode::BAD_REQUEST);
    // No HTTP at all.
    let mut raw = TcpStream::connect(address).await.expect("it listens");
    raw.write_all(b"ZQX /zqxraw HTTP/9\r\nzqx\x1b[31m: \n\n").await.expect("it reads");
    let _ = timeout(SOON, raw.read_to_end(&mut Vec::new())).await;
    let changed = json!({ "leadId": lead, "patch": { "title": "Zqxtitle2" } });
    person.mutate("updateLead", changed, "lead { id }").await;
}

/// What must not be found, whatever its case.
fn is_quiet(log: &str) {
    for mark in ["zqx", "7770001", "203.0.113.77", SECRET, "eyj", "bearer ", "select ", "insert into"] {
        for line in log.lines() {
            assert!(!line.to_lowercase().contains(&mark.to_lowercase()), "{mark:?} is in the log: {line}");
        }
    }
}

on_both_databases! {
    async fn the_log_gives_nobody_away_however_much_is_logged(world: World) {
        let partnership = world.partnership("acme", "globex").await;
        let collector = Collector::start().await;
        for (filter, format) in [("trace", "json"), ("debug,cosell=trace", "text"), ("info", "json")] {
            let process = Process::start(&world, &[
                ("COSELL_LOG", filter),
                ("COSELL_LOG_FORMAT", format),
                ("COSELL_OTLP_ENDPOINT", &collector.url),
                ("COSELL_OTLP_HEADERS", "x-key=zqxcollector"),
            ]);
            story(&world, process.address, &partnership).await;
            let log = process.log();
            is_quiet(&log);
            assert!(log.lines().filter(|line| line.contains("request_id")).count() > 15, "{log}");
        }
        let sent = format!("{:?}", collector.calls.lock().expect("no panic under the lock"));
        let known = sent.replace("zqxcollector", "");
        assert!(!known.to_lowercase().contains("zqx"), "{known}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_set_that_can_not_be_fetched_does_not_show_its_secrets() {
    let world = world().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = gone.local_addr().expect("a bound socket");
    drop(gone);
    let url = format!("http://zqxuser:zqxpassword@{address}/keys?key=zqxquery");
    let settings = [("COSELL_JWT_SECRET", ""), ("COSELL_JWKS_URL", url.as_str()), ("COSELL_LOG", "trace")];
    let log = Process::start(&world, &settings).log();
    is_quiet(&log);
    let line = log.lines().find(|line| line.contains("the issuer's keys can't be fetched")).expect("it says so");
    assert!(line.contains(&format!("url=http://{address}/keys")) && line.contains("refused"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_line_says_how_a_request_went() {
    let world = world().await;
    let process = Process::start(&world, &[("COSELL_LOG_FORMAT", "json")]);
    let person = world.as_("acme", "SALES");
    let client = Client::new(process.address, Some(&person.token));
    let request = client.request(Method::POST, "/graphql").header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
    let asked = Answer::of(request.json(&json!({ "query": "query Who { viewer { id } }" }))).await.ok();
    let refused = client.query("{ nothing }", json!({})).await;
    Answer::of(client.request(Method::GET, "/readyz")).await;
    let mut socket = Socket::connect(process.address, &person.token).await;
    socket.send(&json!({ "id": "1", "type": "subscribe", "payload": { "query": "query Over { viewer { id } }" } }));
    while let Event::Message(message) = socket.next_within(SOON).await {
        if message["type"] == "complete" {
            break;
        }
    }
    let log = process.log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let of = |answer: &Answer| {
        let id = header(&answer.headers, "x-request-id");
        let found: Vec<_> = lines.iter().filter(|line| line["request_id"] == id).collect();
        assert_eq!(found.len(), 1, "one line of {id}: {log}");
        found[0].clone()
    };
    let line = of(&asked);
    let wanted = json!({
        "level": "INFO", "target": "cosell::access", "message": "request", "method": "POST", "route": "/graphql",
        "status": 200, "kind": "query", "operation": "Who", "code": "OK", "trace_id": TRACE,
    });
    for (name, value) in wanted.as_object().expect("an object") {
        assert_eq!(&line[name], value, "{name} in {line}");
    }
    assert_eq!(line["span_id"], ids(header(&asked.headers, "traceresponse")).1);
    assert!(line["ms"].as_f64().is_some_and(|ms| ms > 0.0), "{line}");
    assert!(
        line["sql"].as_u64().is_some() && line["member"].as_str().is_some_and(|it| uuid::Uuid::parse_str(it).is_ok())
    );
    assert_eq!(of(&refused)["code"], "INVALID_INPUT");
    let routes: Vec<_> = lines.iter().filter_map(|line| line["route"].as_str()).collect();
    assert_eq!(routes.iter().filter(|route| **route == "/readyz").count(), 0, "nobody wants to read these");
    let over = lines.iter().find(|line| line["operation"] == "Over").expect("the operation on the websocket");
    assert_eq!((&over["route"], &over["code"], &over["kind"]), (&json!("/graphql/ws"), &json!("OK"), &json!("query")));
    assert!(over["trace_id"].is_string() && over["member"].is_string(), "{over}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_write_lines_of_their_own_into_the_log() {
    let world = world().await;
    let nasty = "x\n2026-03-02T09:00:00Z  INFO forged\r\u{1b}[31mred\u{202e}\u{2028}";
    let begins = Regex::new(r"^\d{4}-\d\d-\d\dT[0-9:.]+Z +(TRACE|DEBUG|INFO|WARN|ERROR) \S+: ").expect("a pattern");
    for format in ["json", "text"] {
        let settings = [("COSELL_LOG", "trace"), ("COSELL_LOG_FORMAT", format)];
        let process = Process::start(&world, &settings);
        let client = Client::new(process.address, Some(&world.as_("acme", "SALES").token));
        let input = json!({ "title": nasty, "customer": { "company": nasty } });
        client.mutate("createLead", input, "lead { id }").await;
        for name in [nasty, "a\\nb"] {
            let body = json!({ "query": "query A { __typename } query B { __typename }", "operationName": name });
            client.send(body).await;
        }
        client.send(json!({ "query": nasty })).await;
        Answer::of(client.request(Method::GET, "/%0Aforged%1B%5B31m?a=%0Aforged")).await;
        let mut socket = Socket::connect(process.address, &world.as_("acme", "SALES").token).await;
        socket.send(&json!({ "id": nasty, "type": "subscribe", "payload": { "query": "{ viewer { id } }" } }));
        socket.send(&json!({ "id": nasty, "type": nasty }));
        while let Event::Message(_) = socket.next_within(SOON).await {}
        let mut raw = TcpStream::connect(process.address).await.expect("it listens");
        raw.write_all(b"GET /\x1b[31m HTTP/1.1\r\nhost: x\r\nx: a\x1b[31m\r\n\r\n").await.expect("it reads");
        let _ = timeout(SOON, raw.read_to_end(&mut Vec::new())).await;
        let log = process.log();
        let today = log.lines().count();
        assert!(today > 5, "{log}");
        for line in log.split_terminator('\n') {
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}' || c == '\u{2028}'), "{line:?}");
            if format == "json" {
                assert!(serde_json::from_str::<Value>(line).is_ok_and(|it| it["level"].is_string()), "{line}");
            } else {
                assert!(begins.is_match(line) && !line.starts_with("2026-03-02"), "{line}");
            }
        }
    }
}
