//! The library's own integration for axum, mounted over our executor and held against the audits that our own handlers
//! pass (`clients.rs`).
//!
//! What it fails is pinned, by lists that a new version of the library may change. Fewer: see decision 0003, maybe take the
//! stock integration. More: either a fault in `operation::Guarded`, or a step back of the library's.
#![allow(clippy::unused_async, reason = "the library's macros ask for it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_graphql::{Error, Executor, ID, Object, Result, Schema, SimpleObject, Subscription};
use async_graphql_axum::{GraphQL, GraphQLSubscription};
use axum::Router;
use cosell::operation::{Compiler, Guarded, Limits, Traits};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio_stream::wrappers::BroadcastStream;

use crate::support::http::Client;
use crate::support::node::{AUDITS, Tools};
use crate::support::ws::{Event, Socket};
use crate::support::ws_audit::{self, Subject};

const PATIENCE: Duration = Duration::from_secs(20);

/// By graphql-http's ids. Fewer: see decision 0003, maybe take the stock integration.
const FAILS_OVER_HTTP: &[&str] = &[
    "4655", "47DE", "80D8", "9C48", "9ABE", "423L", "8764", "3E3A", "865D", "556A", "D586", "51FE", "74FF", "5E5B",
    "86EE",
];

/// By the names of `support::ws_audit`. Fewer: see decision 0003, maybe take the stock integration.
const FAILS_ON_A_WEBSOCKET: &[&str] = &[
    "graphql-transport-ws is spoken where it is offered after its predecessor",
    "the predecessor graphql-ws is not spoken",
    "4429 comes with the protocol's reason",
    "without connection_init in time it closes with 4408",
    "a ping does not stand for connection_init",
    "on a query before connection_init it closes with 4401",
    "on what is no JSON it closes with 4400",
    "on a list it closes with 4400",
    "on a message without a type it closes with 4400",
    "on a type that is no text it closes with 4400",
    "on an unknown type it closes with 4400",
    "on the predecessor's start it closes with 4400",
    "on the predecessor's connection_terminate it closes with 4400",
    "on a client's connection_ack it closes with 4400",
    "on a client's next it closes with 4400",
    "on subscribe without an id it closes with 4400",
    "on an id that is no text it closes with 4400",
    "on complete without an id it closes with 4400",
    "on subscribe without a payload it closes with 4400",
    "on subscribe without a query it closes with 4400",
    "on subscribe with a query that is no text it closes with 4400",
    "on variables that are no object it closes with 4400",
    "on an operationName that is no text it closes with 4400",
    "on a ping with a text as its payload it closes with 4400",
    "on a pong with a list as its payload it closes with 4400",
    "on a binary message it closes with 4400",
    "on what is no JSON it closes with 4400 before connection_init too",
    "on connection_init with a text as its payload it closes with 4400",
    "an id that is used again at once is not completed for the old operation",
    "on a subscription under the id of one that runs it closes with 4409",
    "on a query under the id of one that runs it closes with 4409",
    "a document that can't be parsed is answered with error alone",
    "a field that there is not is answered with error alone",
    "a variable that is missing is answered with error alone",
    "an operationName that there is not is answered with error alone",
    "an operation that can't be told among several is answered with error alone",
];

#[derive(Clone)]
struct State {
    said: Arc<AtomicUsize>,
    hears: broadcast::Sender<usize>,
    over: watch::Sender<bool>,
}

#[derive(SimpleObject)]
struct Viewer {
    id: ID,
}

struct Query;
struct Mutation(State);
struct Feed(State);

#[Object]
impl Query {
    async fn viewer(&self) -> Viewer {
        Viewer { id: "1".into() }
    }

    async fn node(&self) -> Result<Option<Viewer>> {
        Err(Error::new("There is no such node."))
    }
}

#[Object]
impl Mutation {
    /// Says how many times it was executed.
    async fn say(&self) -> usize {
        let number = self.0.said.fetch_add(1, Ordering::AcqRel) + 1;
        // Nobody need hear it.
        let _ = self.0.hears.send(number);
        number
    }

    async fn end(&self) -> bool {
        self.0.over.send_replace(true)
    }
}

#[Subscription]
impl Feed {
    async fn said(&self) -> impl Stream<Item = usize> {
        BroadcastStream::new(self.0.hears.subscribe()).filter_map(async |number| number.ok())
    }

    async fn until_the_end(&self) -> impl Stream<Item = bool> {
        let mut over = self.0.over.subscribe();
        stream::once(async move { over.wait_for(|over| *over).await.is_ok() })
    }

    async fn refused(&self) -> Result<stream::Empty<bool>> {
        Err(Error::new("Not for you."))
    }
}

/// A schema for the audits, and the same behind our compiler.
fn executors() -> (impl Executor, impl Executor) {
    let state = State { said: Arc::default(), hears: broadcast::channel(1000).0, over: watch::channel(false).0 };
    let schema = Schema::new(Query, Mutation(state.clone()), Feed(state));
    let most = 1000;
    let limits = Limits {
        tokens: most,
        fields: most,
        directives: most,
        aliases: most,
        root_fields: most,
        depth: most,
        cost: most,
    };
    let traits = Traits { costs: &[], scalar: |_, _| Ok(()), personal: &[], public: true };
    let compiler = Compiler::new(&schema.sdl(), traits, limits).expect("a schema");
    (schema.clone(), Guarded::new(schema, Arc::new(compiler)))
}

/// The stock integration over an executor, as its documentation mounts it.
async fn mount(executor: impl Executor) -> SocketAddr {
    let router = Router::new()
        .route_service("/graphql", GraphQL::new(executor.clone()))
        .route_service("/graphql/ws", GraphQLSubscription::new(executor));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn the_stock_integration_fails_these_audits_of_the_http_specification() {
    let address = mount(executors().1).await;
    let failed = Tools::install().await.audit(&format!("http://{address}/graphql"), "").await;
    let ids: Vec<_> = failed.iter().filter_map(|audit| audit["id"].as_str()).collect();
    assert_eq!(ids, FAILS_OVER_HTTP, "fewer: see decision 0003, maybe take the stock integration\n{failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stock_integration_fails_these_audits_of_the_websocket_protocol() {
    let address = mount(executors().1).await;
    let failed = ws_audit::audit(Subject {
        address,
        hasty: address,
        init: json!({}),
        partial: "{ viewer { id } node { id } }".to_owned(),
        mutation: "mutation { say }".to_owned(),
        subscription: "subscription { said }".to_owned(),
        refused: "subscription { refused }".to_owned(),
        ending: ("subscription { untilTheEnd }".to_owned(), "mutation { end }".to_owned()),
        ender: json!({}),
    });
    let failed = failed.await;
    let names: Vec<_> = failed.iter().map(|failure| failure.name.as_str()).collect();
    assert_eq!(names, FAILS_ON_A_WEBSOCKET, "fewer: see decision 0003, maybe take the stock integration\n{failed:#?}");
}

#[test]
fn the_decision_for_our_own_handlers_names_these_numbers() {
    let file = format!("{}/docs/decisions/0003-own-http-and-websocket-handlers.md", env!("CARGO_MANIFEST_DIR"));
    let decision = std::fs::read_to_string(file).expect("it is there");
    let over_http = format!("{} of {AUDITS}", FAILS_OVER_HTTP.len());
    let on_a_websocket = format!("{} of {}", FAILS_ON_A_WEBSOCKET.len(), ws_audit::checks().len());
    for number in [over_http, on_a_websocket] {
        assert!(decision.contains(&number), "it does not say {number}");
    }
}

#[tokio::test]
async fn under_the_stock_integration_a_mutation_in_two_fragments_is_executed_once() {
    const TWICE: &str = "mutation { ...A ...B } fragment A on Mutation { say } fragment B on Mutation { say }";
    let (bare, guarded) = executors();
    let guarded = Client::new(mount(guarded).await, None);
    for number in 1..=3 {
        assert_eq!(guarded.query(TWICE, json!({})).await.ok().data, json!({ "say": number }));
    }
    // By itself the library executes it for each of the two.
    let bare = Client::new(mount(bare).await, None);
    bare.query(TWICE, json!({})).await.ok();
    assert_eq!(bare.query("mutation { say }", json!({})).await.ok().data, json!({ "say": 6 }));
}

#[tokio::test]
async fn under_the_stock_integration_a_subscription_in_a_fragment_is_executed() {
    const ENDS: &str = "subscription { ...Root } fragment Root on Feed { ended: untilTheEnd }";
    let (bare, guarded) = executors();
    for (address, guards) in [(mount(guarded).await, true), (mount(bare).await, false)] {
        let mut socket = Socket::connect(address, "").await;
        let mut subscription = socket.subscribe(ENDS, json!({})).await;
        Client::new(address, None).query("mutation { end }", json!({})).await.ok();
        // By itself the library finds nothing to execute, and is done.
        let expected = if guards {
            json!({ "id": subscription.id, "type": "next", "payload": { "data": { "ended": true } } })
        } else {
            json!({ "id": subscription.id, "type": "complete" })
        };
        assert_eq!(subscription.event_within(PATIENCE).await, Event::Message(expected));
    }
}
