use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

/// What a websocket hears that was opened with this header and says this payload.
async fn greeted(server: &Server, header: Option<&str>, payload: &Value) -> Heard {
    let mut request = format!("ws://{}/graphql/ws", server.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    if let Some(header) = header {
        request.headers_mut().insert("authorization", header.parse().unwrap());
    }
    let mut client = Client(connect_async(request).await.unwrap().0);
    client.say(json!({"type": "connection_init", "payload": payload})).await;
    let heard = client.hear().await;
    if heard == ack() {
        client.subscribe("1", "{ hello }").await;
        assert_eq!(client.message().await, next("1", &json!({"hello": "[Sales]"})));
        assert_eq!(client.message().await, json!({"type": "complete", "id": "1"}));
    }
    heard
}

fn ack() -> Heard {
    Heard::Message(json!({"type": "connection_ack"}))
}

#[tokio::test]
async fn the_token_comes_in_connection_init_in_the_forms_that_clients_use() {
    let server = Server::start().await;
    let token = server.token("acme", &SystemClock);
    let bearer = format!("Bearer {token}");
    for payload in [
        json!({"Authorization": bearer}),
        json!({"authorization": format!("bearer {token}")}),
        json!({"token": token}),
        json!({"token": bearer}),
        json!({"authToken": token}),
        json!({"authToken": bearer}),
        json!({"headers": {"Authorization": bearer}}),
        json!({"headers": {"AUTHORIZATION": bearer, "x-client": 7}, "other": [1]}),
        // What is null is not there.
        json!({"Authorization": null, "headers": {"authorization": null}, "token": null, "authToken": token}),
    ] {
        assert_eq!(greeted(&server, None, &payload).await, ack(), "{payload}");
    }
}

#[tokio::test]
async fn the_token_may_come_with_the_upgrade() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", server.token("acme", &SystemClock));
    for payload in [Value::Null, json!({}), json!({"headers": {}, "client": "x"}), json!({"token": null})] {
        assert_eq!(greeted(&server, Some(&bearer), &payload).await, ack(), "{payload}");
    }
    // It holds, or the websocket does not open.
    let expired = format!("Bearer {}", server.token("acme", &*manual_clock()));
    for (header, reason) in [
        (expired.replace("Bearer", "Token"), "malformed"),
        ("Bearer".to_owned(), "malformed"),
        (format!("{bearer}x"), "signature"),
    ] {
        let heard = greeted(&server, Some(&header), &Value::Null).await;
        assert!(matches!(&heard, Heard::Closed(4403, why) if why.contains(reason)), "{header}: {heard:?}");
    }
}

#[tokio::test]
async fn of_several_tokens_the_first_by_their_order_is_taken_and_no_bad_one_is_passed_over() {
    let server = Server::start().await;
    let token = server.token("acme", &SystemClock);
    let (bearer, stranger) = (format!("Bearer {token}"), server.token("stranger", &SystemClock));
    let other = format!("Bearer {stranger}");
    for (header, payload) in [
        (Some(&other), json!({"Authorization": bearer})),
        (Some(&other), json!({"authToken": token})),
        (None, json!({"Authorization": bearer, "headers": {"Authorization": other}, "token": stranger})),
        (None, json!({"headers": {"Authorization": bearer}, "token": stranger, "authToken": stranger})),
        (None, json!({"token": token, "authToken": stranger})),
    ] {
        assert_eq!(greeted(&server, header.map(String::as_str), &payload).await, ack(), "{header:?} {payload}");
    }
    let malformed = "Basic YTpi".to_owned();
    for (header, payload) in [
        (Some(&bearer), json!({"Authorization": other})),
        (Some(&bearer), json!({"token": 7})),
        (Some(&bearer), json!({"authToken": ""})),
        (Some(&bearer), json!({"headers": {"Authorization": token}})),
        (Some(&malformed), json!({"Authorization": bearer})),
        (None, json!({"Authorization": "", "token": token})),
        (None, json!({"headers": {"Authorization": [bearer]}, "token": token})),
        (None, json!({"Authorization": bearer, "authorization": bearer})),
        (None, json!({"headers": {"Authorization": bearer, "authorization": other}})),
        (None, json!({"headers": [bearer]})),
        (None, json!({"headers": {"token": token}})),
    ] {
        let heard = greeted(&server, header.map(String::as_str), &payload).await;
        assert!(matches!(heard, Heard::Closed(4403, _)), "{header:?} {payload}: {heard:?}");
    }
}

#[tokio::test]
async fn the_answer_to_an_upgrade_writes_its_headers_as_the_client_did() {
    let server = Server::start().await;
    // As the clients in Python write it, which look for no other spelling; and as HTTP/2 would.
    for name in ["Sec-WebSocket-Protocol", "sec-websocket-protocol"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!(
            "GET /graphql/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{name}: graphql-transport-ws\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(
                tokio::time::timeout(Duration::from_secs(5), stream.read_u8()).await.expect("an answer").unwrap(),
            );
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.lines().any(|line| line == format!("{name}: graphql-transport-ws")), "{answer}");
        assert_eq!(answer.to_ascii_lowercase().matches("sec-websocket-protocol").count(), 1, "{answer}");
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
        (json!({"token": 7}), "Forbidden: The bearer token is malformed: "),
        (json!({"authorization": "x"}), "Forbidden: The bearer token is malformed: "),
        (json!({"token": "x.y.z"}), "Forbidden: The bearer token is malformed: "),
        (json!({"token": stranger}), "Forbidden: There is no such company."),
        (json!({"token": early}), "Forbidden: The bearer token"),
        (json!({"token": format!("{expired}.x")}), "Forbidden: The bearer token is malformed: "),
    ] {
        let heard = greeted(&server, None, &payload).await;
        assert!(matches!(&heard, Heard::Closed(4403, text) if text.starts_with(reason)), "{payload}: {heard:?}");
    }
}

#[tokio::test]
async fn what_may_go_well_later_is_closed_1013_which_clients_try_again() {
    let server = quick(|config| config.limits.ws_max_sockets = 1).await;
    let broken = server.token("broken", &SystemClock);
    let heard = greeted(&server, None, &json!({"token": broken})).await;
    assert!(matches!(&heard, Heard::Closed(1013, reason) if !reason.contains("hush")), "{heard:?}");
    let first = Client::ready(&server).await;
    let second = greeted(&server, None, &json!({"token": server.token("acme", &SystemClock)})).await;
    let full = "Too many websockets: a member may have 1 open at a time";
    assert_eq!(second, Heard::Closed(1013, full.to_owned()));
    drop(first);
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
