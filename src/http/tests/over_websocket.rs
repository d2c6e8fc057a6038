use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::toy::{Server, manual_clock};
use crate::clock::SystemClock;
use crate::config::Config;

pub(super) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What a client hears.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    Message(Value),
    Closed(u16, String),
    Ended,
}

impl Client {
    async fn connect(server: &Server, protocol: Option<&str>) -> Self {
        let mut request = format!("ws://{}/graphql/ws", server.address).into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        Self(connect_async(request).await.unwrap().0)
    }

    /// Connected and not initialised.
    pub(super) async fn new(server: &Server) -> Self {
        Self::connect(server, Some("graphql-transport-ws")).await
    }

    /// Initialised with a token of `acme`.
    pub(super) async fn ready(server: &Server) -> Self {
        let mut client = Self::new(server).await;
        client.init(&format!("Bearer {}", server.token("acme", &SystemClock))).await;
        client
    }

    async fn init(&mut self, authorization: &str) {
        self.say(json!({"type": "connection_init", "payload": {"Authorization": authorization}})).await;
        assert_eq!(self.hear().await, Heard::Message(json!({"type": "connection_ack"})));
    }

    pub(super) async fn say(&mut self, message: impl ToString) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    pub(super) async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({"type": "subscribe", "id": id, "payload": {"query": query}})).await;
    }

    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(5), self.0.next()).await.expect("nothing is heard");
            match next {
                Some(Ok(Message::Text(text))) => return Heard::Message(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    assert!(frame.reason.len() <= 123);
                    return Heard::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Heard::Ended,
                Some(Ok(_)) => {}
            }
        }
    }

    pub(super) async fn message(&mut self) -> Value {
        match self.hear().await {
            Heard::Message(value) => value,
            other => panic!("{other:?} instead of a message"),
        }
    }

    pub(super) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.hear().await {
                Heard::Message(_) => {}
                Heard::Closed(code, reason) => return (code, reason),
                Heard::Ended => panic!("ended without a close frame"),
            }
        }
    }
}

fn next(id: &str, data: &Value) -> Value {
    json!({"type": "next", "id": id, "payload": {"data": data}})
}

async fn quick(change: impl FnOnce(&mut Config)) -> Server {
    Server::with(change, Arc::new(SystemClock)).await
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come");
}

#[tokio::test]
async fn only_graphql_transport_ws_is_spoken() {
    let server = Server::start().await;
    assert_eq!(Client::connect(&server, None).await.closed().await.0, 4406);
    let mut request = format!("ws://{}/graphql/ws", server.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-ws, graphql-transport-ws".parse().unwrap());
    let (_, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws");
    let plain = reqwest::Client::builder().no_proxy().build().unwrap().get(server.url("/graphql/ws")).send().await;
    assert!(plain.unwrap().status().is_client_error());
}

#[tokio::test]
async fn the_token_comes_in_connection_init_in_three_spellings() {
    let server = Server::start().await;
    let token = server.token("acme", &SystemClock);
    for payload in [
        json!({"Authorization": format!("Bearer {token}")}),
        json!({"authorization": format!("bearer {token}")}),
        json!({"token": token}),
    ] {
        let mut client = Client::new(&server).await;
        client.say(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(client.message().await, json!({"type": "connection_ack"}));
        client.subscribe("1", "{ hello }").await;
        assert_eq!(client.message().await, next("1", &json!({"hello": "[Sales]"})));
        assert_eq!(client.message().await, json!({"type": "complete", "id": "1"}));
    }
}

#[tokio::test]
async fn without_a_good_token_the_socket_is_closed_4403() {
    let server = Server::start().await;
    let stranger = server.token("stranger", &SystemClock);
    let expired = server.token("acme", &*manual_clock());
    let early = format!("{}x", server.token("acme", &SystemClock));
    for (payload, reason) in [
        (Value::Null, "Forbidden: A bearer token is required."),
        (json!({}), "Forbidden: A bearer token is required."),
        (json!({"token": 7}), "Forbidden: A bearer token is required."),
        (json!({"authorization": "x"}), "Forbidden: The bearer token is malformed: "),
        (json!({"token": "x.y.z"}), "Forbidden: The bearer token is malformed: "),
        (json!({"token": stranger}), "Forbidden: There is no such company."),
        (json!({"token": early}), "Forbidden: The bearer token"),
        (json!({"token": format!("{expired}.x")}), "Forbidden: The bearer token is malformed: "),
    ] {
        let mut client = Client::new(&server).await;
        client.say(json!({"type": "connection_init", "payload": payload})).await;
        let (code, text) = client.closed().await;
        assert_eq!(code, 4403, "{payload}: {text}");
        assert!(text.starts_with(reason), "{payload}: {text}");
    }
    let mut client = Client::new(&server).await;
    let broken = server.token("broken", &SystemClock);
    client.say(json!({"type": "connection_init", "payload": {"token": broken}})).await;
    let (code, reason) = client.closed().await;
    assert_eq!(code, 1011);
    assert!(!reason.contains("hush"));
}

#[tokio::test]
async fn the_deadline_of_connection_init_is_kept() {
    let server = quick(|config| config.limits.ws_init_timeout = Duration::from_millis(50)).await;
    assert_eq!(Client::new(&server).await.closed().await, (4408, "Connection initialisation timeout".to_owned()));
    let mut client = Client::ready(&server).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.say(json!({"type": "ping"})).await;
    assert_eq!(client.message().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn bad_messages_close_4400() {
    let server = Server::start().await;
    for bad in [
        "",
        "x",
        "7",
        "[]",
        "{}",
        r#"{"type": 7}"#,
        r#"{"type": "start", "id": "1", "payload": {"query": "{ hello }"}}"#,
        r#"{"type": "subscribe"}"#,
        r#"{"type": "subscribe", "id": "1"}"#,
        r#"{"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}}"#,
        r#"{"type": "subscribe", "id": 1, "payload": {"query": "{ hello }"}}"#,
        r#"{"type": "subscribe", "id": "1", "payload": {}}"#,
        r#"{"type": "subscribe", "id": "1", "payload": {"query": 7}}"#,
        r#"{"type": "subscribe", "id": "1", "payload": []}"#,
        r#"{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": "x"}}"#,
        r#"{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "operationName": 7}}"#,
        r#"{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "extensions": ""}}"#,
        r#"{"type": "complete"}"#,
        r#"{"type": "connection_init", "payload": "x"}"#,
        r#"{"type": "ping", "payload": 7}"#,
        r#"{"type": "pong", "payload": []}"#,
        r#"{"type": "next", "id": "1", "payload": {}}"#,
    ] {
        let mut client = Client::ready(&server).await;
        client.say(bad).await;
        let (code, reason) = client.closed().await;
        assert_eq!(code, 4400, "{bad}: {reason}");
    }
    let mut client = Client::ready(&server).await;
    client.0.send(Message::binary(b"{}".to_vec())).await.unwrap();
    assert_eq!(client.closed().await.0, 4400);
    let mut client = Client::new(&server).await;
    client.say("x").await;
    assert_eq!(client.closed().await.0, 4400);
}

#[tokio::test]
async fn the_order_of_messages_is_kept() {
    let server = Server::start().await;
    let mut client = Client::new(&server).await;
    client.say(json!({"type": "ping", "payload": {"a": 1}})).await;
    assert_eq!(client.message().await, json!({"type": "pong", "payload": {"a": 1}}));
    client.say(json!({"type": "pong"})).await;
    client.subscribe("1", "{ hello }").await;
    assert_eq!(client.closed().await, (4401, "Unauthorized".to_owned()));

    let mut client = Client::ready(&server).await;
    client.say(json!({"type": "connection_init"})).await;
    assert_eq!(client.closed().await, (4429, "Too many initialisation requests".to_owned()));

    let mut client = Client::ready(&server).await;
    client.subscribe("é".repeat(60).as_str(), "subscription { ever }").await;
    client.message().await;
    client.subscribe("é".repeat(60).as_str(), "{ hello }").await;
    let (code, reason) = client.closed().await;
    assert_eq!(code, 4409);
    assert!(reason.starts_with("Subscriber for é"));
}

#[tokio::test]
async fn a_subscription_gives_each_event_and_its_end() {
    let server = Server::start().await;
    let mut client = Client::ready(&server).await;
    client.subscribe("a", "subscription { count(to: 50) }").await;
    for i in 1..=50 {
        assert_eq!(client.message().await, next("a", &json!({"count": i})));
    }
    assert_eq!(client.message().await, json!({"type": "complete", "id": "a"}));
    // The id is free again.
    client.subscribe("a", "mutation { hit }").await;
    assert_eq!(client.message().await, next("a", &json!({"hit": 1})));
    assert_eq!(client.message().await, json!({"type": "complete", "id": "a"}));
}

#[tokio::test]
async fn complete_ends_an_operation_and_frees_its_id() {
    let server = Server::start().await;
    let mut client = Client::ready(&server).await;
    client.subscribe("a", "subscription { ever }").await;
    assert_eq!(client.message().await, next("a", &json!({"ever": 1})));
    assert_eq!(server.hits(), 1);
    client.say(json!({"type": "complete", "id": "a"})).await;
    client.say(json!({"type": "complete", "id": "never seen"})).await;
    until("the end of the stream", || server.hits() == 0).await;
    client.subscribe("a", "{ hello }").await;
    assert_eq!(client.message().await, next("a", &json!({"hello": "[Sales]"})));
    assert_eq!(client.message().await, json!({"type": "complete", "id": "a"}));
    // A socket that ends takes its operations with it.
    client.subscribe("b", "subscription { ever }").await;
    client.message().await;
    drop(client);
    until("the end of the stream", || server.hits() == 0).await;
    until("the end of the socket", || server.sockets.count() == 0).await;
}

#[tokio::test]
async fn what_is_not_executed_is_answered_with_error() {
    let server = Server::start().await;
    let mut client = Client::ready(&server).await;
    for (query, code) in [
        ("{", "INVALID_INPUT"),
        ("{ nothing }", "INVALID_INPUT"),
        ("subscription { count }", "INVALID_INPUT"),
        ("subscription { a: ever b: ever }", "INVALID_INPUT"),
        ("subscription { closed }", "FORBIDDEN"),
        ("{ panics }", "INTERNAL"),
    ] {
        client.subscribe("1", query).await;
        let message = client.message().await;
        assert_eq!((message["type"].as_str(), message["id"].as_str()), (Some("error"), Some("1")), "{message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{query}");
        assert!(!message.to_string().contains("hush"));
    }
    client.subscribe("1", "{ hello refused }").await;
    let message = client.message().await;
    assert_eq!(message["type"], "next");
    assert_eq!(message["payload"]["errors"][0]["extensions"]["code"], "FORBIDDEN");
    client.message().await;
    client.subscribe("1", "subscription { panics }").await;
    assert_eq!(client.message().await, next("1", &json!({"panics": 1})));
    assert_eq!(client.message().await["payload"][0]["extensions"]["code"], "INTERNAL");
}

#[tokio::test]
async fn operations_of_a_socket_are_bounded() {
    let server = quick(|config| config.limits.ws_max_operations = 2).await;
    let mut client = Client::ready(&server).await;
    for id in ["a", "b"] {
        client.subscribe(id, "subscription { ever }").await;
        client.message().await;
    }
    client.subscribe("c", "{ hello }").await;
    let message = client.message().await;
    assert_eq!((message["type"].as_str(), message["id"].as_str()), (Some("error"), Some("c")));
    assert_eq!(message["payload"][0]["extensions"]["code"], "RATE_LIMITED");
    client.say(json!({"type": "complete", "id": "a"})).await;
    client.subscribe("c", "{ hello }").await;
    assert_eq!(client.message().await["type"], "next");
}

#[tokio::test]
async fn a_message_over_the_limit_closes_1009() {
    let server = quick(|config| config.limits.ws_max_message_bytes = 2048).await;
    let mut client = Client::ready(&server).await;
    client.subscribe("a", &format!("{{ hello }} #{}", "x".repeat(3000))).await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn the_socket_is_closed_when_its_token_ends() {
    let clock = manual_clock();
    let server =
        Server::with(|config| config.limits.ws_ping_interval = Duration::from_millis(500), clock.clone()).await;
    let mut client = Client::new(&server).await;
    client.init(&format!("Bearer {}", server.token("acme", &*clock))).await;
    client.subscribe("a", "subscription { ever }").await;
    client.message().await;
    clock.advance(TimeDelta::minutes(59));
    client.say(json!({"type": "ping"})).await;
    assert_eq!(client.message().await, json!({"type": "pong"}));
    clock.advance(TimeDelta::minutes(1));
    assert_eq!(client.closed().await, (4403, "Forbidden: token expired".to_owned()));
    until("the end of the stream", || server.hits() == 0).await;
}

#[tokio::test]
async fn the_server_pings_and_drops_a_silent_client() {
    let server = quick(|config| config.limits.ws_ping_interval = Duration::from_millis(50)).await;
    let mut client = Client::ready(&server).await;
    let ping = tokio::time::timeout(Duration::from_secs(2), client.0.next()).await.unwrap().unwrap().unwrap();
    assert!(ping.is_ping());
    // A client that reads answers pings, and stays.
    let listening = tokio::time::timeout(Duration::from_millis(500), client.hear()).await;
    assert!(listening.is_err(), "{listening:?}");
    // One that does not read does not.
    until("the end of the socket", || server.sockets.count() == 0).await;
}

#[tokio::test]
async fn a_client_that_takes_no_data_is_closed() {
    let server = quick(|config| config.limits.ws_send_timeout = Duration::from_millis(200)).await;
    let mut client = Client::ready(&server).await;
    client.subscribe("a", "subscription { flood }").await;
    until("the end of the socket", || server.sockets.count() == 0).await;
}

#[tokio::test]
async fn the_end_of_the_server_closes_1001() {
    let mut server = Server::start().await;
    let mut waiting = Client::new(&server).await;
    let mut client = Client::ready(&server).await;
    client.subscribe("a", "subscription { ever }").await;
    client.message().await;
    let start = std::time::Instant::now();
    server.stop();
    assert_eq!(client.closed().await.0, 1001);
    assert_eq!(waiting.closed().await.0, 1001);
    // The client answers the close frame when it reads on.
    assert_eq!(client.hear().await, Heard::Ended);
    assert_eq!(waiting.hear().await, Heard::Ended);
    (&mut server.done).await.unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
}
