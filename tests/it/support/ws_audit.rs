//! An audit of graphql-transport-ws, as the npm package graphql-ws describes it in its PROTOCOL.md. For HTTP there is one
//! ready-made; for this protocol there is none.
//!
//! A check is a sentence, the words of that document that it holds, and a conversation over a websocket. Each verdict is
//! the same at every run: what must come is awaited, and that nothing comes is shown by a pong that comes instead
//! ([`Line::fence`]). What the document leaves open is not checked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long something may take to come. A server under audit that owes it for good makes a check last as long.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that a check may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How long an event may take before another one is made.
const SOON: Duration = Duration::from_millis(500);

const QUERY: &str = "{ viewer { id } }";

/// The server under audit, and what it can be asked. It has a field `viewer { id }`.
pub struct Subject {
    /// Where it listens; the path is `/graphql/ws`.
    pub address: SocketAddr,
    /// Where it or one like it waits for `connection_init` for a few seconds at most, if it knows such a limit.
    pub hasty: SocketAddr,
    /// The payload of `connection_init` that opens a connection.
    pub init: Value,
    /// A query of which one field fails and another does not.
    pub partial: String,
    /// A mutation that makes an event of `subscription`.
    pub mutation: String,
    /// A subscription that does not end by itself.
    pub subscription: String,
    /// A subscription that its resolver refuses.
    pub refused: String,
    /// A subscription, and a mutation that ends it.
    pub ending: (String, String),
    /// The payload of `connection_init` of who may ask for that mutation.
    pub ender: Value,
}

/// What was expected, and what came instead.
type Verdict<T = ()> = Result<T, String>;

/// One requirement of the protocol.
pub struct Check {
    /// A sentence.
    pub name: String,
    /// The words of PROTOCOL.md.
    pub holds: &'static str,
    run: Box<dyn FnOnce(Arc<Subject>) -> BoxFuture<'static, Verdict> + Send>,
}

/// A check that failed.
#[derive(Debug)]
pub struct Failure {
    /// The check's.
    pub name: String,
    /// The check's.
    pub holds: &'static str,
    /// What was expected, and what came instead.
    pub why: String,
}

/// Makes all checks at once, and says which failed, in their order.
pub async fn audit(subject: Subject) -> Vec<Failure> {
    let subject = Arc::new(subject);
    let mut running = JoinSet::new();
    for (place, check) in checks().into_iter().enumerate() {
        let verdict = (check.run)(Arc::clone(&subject));
        let (name, holds) = (check.name, check.holds);
        running.spawn(async move {
            let verdict = timeout(LIMIT, verdict).await.unwrap_or_else(|_| Err(format!("not done within {LIMIT:?}")));
            (place, verdict.err().map(|why| Failure { name, holds, why }))
        });
    }
    let mut verdicts = running.join_all().await;
    verdicts.sort_by_key(|(place, _)| *place);
    verdicts.into_iter().filter_map(|(_, failure)| failure).collect()
}

/// What a client hears.
#[derive(Debug)]
enum Heard {
    Message(Value),
    Closed(u16, String),
    /// The connection ended without a close frame that has a code.
    Cut,
    /// Nothing, for as long as is waited.
    Silence,
}

/// A client's end of a websocket.
struct Line {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    subject: Arc<Subject>,
    /// All that was heard, for the verdict.
    heard: Vec<String>,
}

impl Line {
    /// Connects with these subprotocols, and says which one the server has chosen.
    async fn offering(
        subject: Arc<Subject>,
        address: SocketAddr,
        protocols: Option<&str>,
    ) -> Result<(Self, Option<String>), Box<tungstenite::Error>> {
        let mut request = format!("ws://{address}/graphql/ws").into_client_request().map_err(Box::new)?;
        if let Some(protocols) = protocols {
            let protocols = protocols.parse().expect("a header's value");
            request.headers_mut().insert("Sec-WebSocket-Protocol", protocols);
        }
        let (stream, response) = connect_async(request).await.map_err(Box::new)?;
        let chosen = response.headers().get("Sec-WebSocket-Protocol").and_then(|it| it.to_str().ok());
        Ok((Self { stream, subject, heard: Vec::new() }, chosen.map(str::to_owned)))
    }

    async fn open_at(subject: Arc<Subject>, address: SocketAddr) -> Verdict<Self> {
        let opened = Self::offering(subject, address, Some("graphql-transport-ws")).await;
        opened.map(|(line, _)| line).map_err(|fault| format!("the handshake failed: {fault}"))
    }

    /// Connected, without having said anything.
    async fn open(subject: Arc<Subject>) -> Verdict<Self> {
        let address = subject.address;
        Self::open_at(subject, address).await
    }

    /// Past `connection_ack`.
    async fn ready(subject: Arc<Subject>) -> Verdict<Self> {
        let init = subject.init.clone();
        Self::ready_as(subject, init).await
    }

    async fn ready_as(subject: Arc<Subject>, init: Value) -> Verdict<Self> {
        let mut line = Self::open(subject).await?;
        line.say(&json!({ "type": "connection_init", "payload": init })).await;
        line.acknowledged().await?;
        Ok(line)
    }

    /// What is said on a connection that was closed is lost; why it was closed is still to be heard.
    async fn frame(&mut self, frame: Message) {
        let _ = self.stream.send(frame).await;
    }

    async fn say(&mut self, message: &Value) {
        self.frame(Message::text(message.to_string())).await;
    }

    async fn init(&mut self) {
        let message = json!({ "type": "connection_init", "payload": self.subject.init });
        self.say(&message).await;
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(&json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
    }

    async fn complete(&mut self, id: &str) {
        self.say(&json!({ "id": id, "type": "complete" })).await;
    }

    async fn hear_within(&mut self, limit: Duration) -> Heard {
        let deadline = Instant::now() + limit;
        loop {
            let heard = match timeout_at(deadline, self.stream.next()).await {
                Err(_) => Heard::Silence,
                Ok(Some(Ok(Message::Text(text)))) => {
                    Heard::Message(serde_json::from_str(&text).unwrap_or_else(|_| json!({ "not JSON": text.as_str() })))
                }
                Ok(Some(Ok(Message::Close(Some(frame))))) => Heard::Closed(frame.code.into(), frame.reason.to_string()),
                Ok(Some(Ok(Message::Close(None)) | Err(_)) | None) => Heard::Cut,
                // Those of the websocket itself.
                Ok(Some(Ok(_))) => continue,
            };
            if matches!(&heard, Heard::Message(message) if message["type"] == "ping") {
                self.say(&json!({ "type": "pong" })).await;
                continue;
            }
            self.heard.push(match &heard {
                Heard::Message(message) => message.to_string(),
                other => format!("{other:?}"),
            });
            return heard;
        }
    }

    async fn hear(&mut self) -> Heard {
        self.hear_within(PATIENCE).await
    }

    fn fail<T>(&self, expected: &str) -> Verdict<T> {
        Err(format!("expected {expected}, and heard {}", self.heard.join(" then ")))
    }

    /// The next message.
    async fn message(&mut self, expected: &str) -> Verdict<Value> {
        match self.hear().await {
            Heard::Message(message) => Ok(message),
            _ => self.fail(expected),
        }
    }

    /// The next message of an operation.
    async fn of(&mut self, id: &str, expected: &str) -> Verdict<Value> {
        loop {
            let message = self.message(expected).await?;
            if message["id"] == id {
                return Ok(message);
            }
        }
    }

    async fn acknowledged(&mut self) -> Verdict {
        let message = self.message("connection_ack").await?;
        let payload = &message["payload"];
        let well = message["type"] == "connection_ack" && (payload.is_null() || payload.is_object());
        if well { Ok(()) } else { self.fail("connection_ack, whose payload is an object if there is one") }
    }

    async fn ponged(&mut self) -> Verdict {
        let message = self.message("pong").await?;
        let payload = &message["payload"];
        let well = message["type"] == "pong" && (payload.is_null() || payload.is_object());
        if well { Ok(()) } else { self.fail("pong, whose payload is an object if there is one") }
    }

    /// All that comes before the answer to a ping: what was said before it was dealt with then.
    async fn fence(&mut self) -> Verdict<Vec<Value>> {
        self.say(&json!({ "type": "ping" })).await;
        let mut before = Vec::new();
        loop {
            let message = self.message("pong, on an open connection").await?;
            if message["type"] == "pong" {
                return Ok(before);
            }
            before.push(message);
        }
    }

    /// Nothing more comes for an operation.
    async fn silent(&mut self, id: &str) -> Verdict {
        let before = self.fence().await?;
        if before.iter().any(|message| message["id"] == id) {
            return self.fail(&format!("nothing more of the operation {id}"));
        }
        Ok(())
    }

    /// The payload of the `next` that comes next for an operation.
    async fn result(&mut self, id: &str) -> Verdict<Value> {
        let mut message = self.of(id, "next").await?;
        let payload = message["payload"].take();
        let well = message["type"] == "next" && (payload["data"].is_object() || payload["errors"].is_array());
        if well { Ok(payload) } else { self.fail("next, with an execution result") }
    }

    async fn completed(&mut self, id: &str) -> Verdict {
        let message = self.of(id, "complete").await?;
        if message["type"] == "complete" { Ok(()) } else { self.fail("complete") }
    }

    /// One result without errors, then the end. Says the result's data.
    async fn answered(&mut self, id: &str) -> Verdict<Value> {
        let mut result = self.result(id).await?;
        if !result["errors"].is_null() {
            return self.fail("data without errors");
        }
        self.completed(id).await?;
        Ok(result["data"].take())
    }

    /// `error`, and no `complete` after it.
    async fn errs(&mut self, id: &str) -> Verdict {
        let message = self.of(id, "error").await?;
        let errors = message["payload"].as_array().filter(|errors| !errors.is_empty());
        let well =
            message["type"] == "error" && errors.is_some_and(|all| all.iter().all(|it| it["message"].is_string()));
        if !well {
            return self.fail("error, with a list of GraphQL errors");
        }
        self.silent(id).await
    }

    /// Makes events until one has come to the subscription: it may not have begun when the first one was made.
    async fn event(&mut self, id: &str) -> Verdict {
        for attempt in 0..10 {
            let by = format!("{id} is made event {attempt}");
            let mutation = self.subject.mutation.clone();
            self.subscribe(&by, &mutation).await;
            let mut came = false;
            loop {
                // Once the mutation is over its event is as good as here.
                let message = self.message("a mutation's result and its end").await?;
                came |= message["id"] == id && message["type"] == "next";
                if message["id"] == id && message["type"] != "next" {
                    return self.fail("next of a subscription that goes on");
                }
                if message["id"] == by.as_str() && message["type"] != "next" {
                    break;
                }
            }
            let deadline = Instant::now() + SOON;
            while !came {
                match self.hear_within(deadline.saturating_duration_since(Instant::now())).await {
                    Heard::Message(message) if message["id"] == id && message["type"] == "next" => came = true,
                    Heard::Message(message) if message["id"] == id => {
                        return self.fail("next of a subscription that goes on");
                    }
                    Heard::Message(_) => {}
                    Heard::Silence => break,
                    Heard::Closed(..) | Heard::Cut => return self.fail("an event on an open connection"),
                }
            }
            if came {
                return Ok(());
            }
        }
        self.fail("an event")
    }

    /// The close frame, whatever comes before it. Says its reason.
    async fn closed(&mut self, code: u16) -> Verdict<String> {
        loop {
            match self.hear().await {
                Heard::Message(_) => {}
                Heard::Closed(it, reason) if it == code => return Ok(reason),
                _ => return self.fail(&format!("to be closed with {code}")),
            }
        }
    }

    async fn closed_with(&mut self, code: u16, reason: &str) -> Verdict {
        let told = self.closed(code).await?;
        if told == reason { Ok(()) } else { self.fail(&format!("the reason {reason:?}")) }
    }
}

fn check<F>(name: impl Into<String>, holds: &'static str, run: impl FnOnce(Arc<Subject>) -> F + Send + 'static) -> Check
where
    F: Future<Output = Verdict> + Send + 'static,
{
    Check { name: name.into(), holds, run: Box::new(|subject| run(subject).boxed()) }
}

/// On a new connection.
fn opened<F>(name: impl Into<String>, holds: &'static str, run: impl FnOnce(Line) -> F + Send + 'static) -> Check
where
    F: Future<Output = Verdict> + Send + 'static,
{
    check(name, holds, |subject| async { run(Line::open(subject).await?).await })
}

/// After `connection_ack`.
fn ready<F>(name: impl Into<String>, holds: &'static str, run: impl FnOnce(Line) -> F + Send + 'static) -> Check
where
    F: Future<Output = Verdict> + Send + 'static,
{
    check(name, holds, |subject| async { run(Line::ready(subject).await?).await })
}

/// All checks.
pub fn checks() -> Vec<Check> {
    let mut all = handshake();
    all.extend(initialisation());
    all.extend(pings());
    all.extend(invalid_messages());
    all.extend(operations());
    all.extend(side_by_side());
    all.extend(ids());
    all.extend(errors());
    all.extend(completion());
    all
}

fn handshake() -> Vec<Check> {
    const WORDS: &str = "The WebSocket sub-protocol for this specification is: `graphql-transport-ws`.";
    let mut all = Vec::new();
    for (name, offered) in [
        ("graphql-transport-ws is spoken where it is offered", "graphql-transport-ws"),
        ("graphql-transport-ws is spoken where it is offered after an unknown subprotocol", "x, graphql-transport-ws"),
        (
            "graphql-transport-ws is spoken where it is offered after its predecessor",
            "graphql-ws, graphql-transport-ws",
        ),
    ] {
        all.push(check(name, WORDS, async move |subject: Arc<Subject>| {
            let address = subject.address;
            let opened = Line::offering(subject, address, Some(offered)).await;
            let (mut line, chosen) = opened.map_err(|fault| format!("the handshake failed: {fault}"))?;
            if chosen.as_deref() != Some("graphql-transport-ws") {
                return Err(format!("the server chose {chosen:?}"));
            }
            line.init().await;
            line.acknowledged().await?;
            line.subscribe("1", QUERY).await;
            line.answered("1").await.map(drop)
        }));
    }
    for (name, offered) in [
        ("without a subprotocol nothing is spoken", None),
        ("of an unknown subprotocol nothing is spoken", Some("x")),
        ("the predecessor graphql-ws is not spoken", Some("graphql-ws")),
    ] {
        all.push(check(name, WORDS, async move |subject: Arc<Subject>| {
            let address = subject.address;
            // The handshake fails, or the connection is closed before anything is said on it.
            let Ok((mut line, chosen)) = Line::offering(subject, address, offered).await else { return Ok(()) };
            if let Some(chosen) = chosen {
                return Err(format!("the server chose {chosen:?}"));
            }
            line.init().await;
            match line.hear().await {
                Heard::Closed(..) | Heard::Cut => Ok(()),
                Heard::Message(_) | Heard::Silence => line.fail("to be closed"),
            }
        }));
    }
    all
}

fn initialisation() -> Vec<Check> {
    const ACK: &str = "Expected response to the `ConnectionInit` message from the client acknowledging a successful \
                       connection with the server.";
    const PAYLOAD: &str = "  type: 'connection_init';\n  payload?: Record<string, unknown> | null;";
    const TWICE: &str = "If the server receives more than one `ConnectionInit` message at any given time, the server will \
                         close the socket with the event `4429: Too many initialisation requests`.";
    const LATE: &str = "If the client does not request a connection within the allowed timeout, the server will close the \
                        socket with the event: `4408: Connection initialisation timeout`.";
    const EARLY: &str = "Executing operations is allowed **only** after the server has acknowledged the connection \
                         through the `ConnectionAck` message, if the connection is not acknowledged, the socket will be \
                         closed immediately with the event `4401: Unauthorized`.";
    let mut all = vec![
        opened("connection_init is answered with connection_ack", ACK, async |mut line: Line| {
            line.init().await;
            line.acknowledged().await
        }),
        ready("on a second connection_init it closes with 4429", TWICE, async |mut line: Line| {
            line.init().await;
            line.closed(4429).await.map(drop)
        }),
        opened(
            "on a second connection_init right after the first it closes with 4429",
            TWICE,
            async |mut line: Line| {
                line.init().await;
                line.init().await;
                line.closed(4429).await.map(drop)
            },
        ),
        ready("4429 comes with the protocol's reason", TWICE, async |mut line: Line| {
            line.init().await;
            line.closed_with(4429, "Too many initialisation requests").await
        }),
        check("without connection_init in time it closes with 4408", LATE, async |subject: Arc<Subject>| {
            let address = subject.hasty;
            let mut line = Line::open_at(subject, address).await?;
            line.closed_with(4408, "Connection initialisation timeout").await
        }),
        check("a ping does not stand for connection_init", LATE, async |subject: Arc<Subject>| {
            let address = subject.hasty;
            let mut line = Line::open_at(subject, address).await?;
            line.say(&json!({ "type": "ping" })).await;
            line.closed(4408).await.map(drop)
        }),
        opened("on a query before connection_init it closes with 4401", EARLY, async |mut line: Line| {
            line.subscribe("1", QUERY).await;
            line.closed_with(4401, "Unauthorized").await
        }),
    ];
    // The server need not let such a client in; but the message is one.
    for (name, message) in [
        ("connection_init without a payload is valid", json!({ "type": "connection_init" })),
        ("connection_init with the payload null is valid", json!({ "type": "connection_init", "payload": null })),
    ] {
        all.push(opened(name, PAYLOAD, async move |mut line: Line| {
            line.say(&message).await;
            match line.hear().await {
                Heard::Message(message) if message["type"] == "connection_ack" => Ok(()),
                Heard::Closed(4403, _) => Ok(()),
                _ => line.fail("connection_ack, or 4403"),
            }
        }));
    }
    all
}

fn pings() -> Vec<Check> {
    const PONG: &str = "A `Pong` must be sent in response from the receiving party as soon as possible.";
    const ANY_TIME: &str = "The `Ping` message can be sent at any time within the established socket.";
    const PAYLOAD: &str = "  type: 'ping';\n  payload?: Record<string, unknown> | null;";
    const UNASKED: &str = "The `Pong` message can be sent at any time within the established socket. Furthermore, the \
                           `Pong` message may even be sent unsolicited as an unidirectional heartbeat.";
    vec![
        ready("a ping is answered with a pong", PONG, async |mut line: Line| {
            line.say(&json!({ "type": "ping" })).await;
            line.ponged().await
        }),
        ready("a ping with a payload is answered", PAYLOAD, async |mut line: Line| {
            line.say(&json!({ "type": "ping", "payload": { "a": [1] } })).await;
            line.ponged().await
        }),
        opened("a ping before connection_init is answered", ANY_TIME, async |mut line: Line| {
            line.say(&json!({ "type": "ping" })).await;
            line.ponged().await
        }),
        ready("a pong that nobody asked for is taken", UNASKED, async |mut line: Line| {
            line.say(&json!({ "type": "pong" })).await;
            line.say(&json!({ "type": "pong", "payload": { "a": 1 } })).await;
            line.say(&json!({ "type": "pong", "payload": null })).await;
            line.subscribe("1", QUERY).await;
            line.answered("1").await.map(drop)
        }),
    ]
}

fn invalid_messages() -> Vec<Check> {
    const FORMAT: &str = "Receiving a message of a type or format which is not specified in this document will result in an \
                          **immediate** socket closure with the event `4400: <error-message>`.";
    const JSON: &str = "Messages are represented through the JSON structure and are stringified before being sent over \
                        the network.";
    const TYPE: &str = "**All** messages contain the `type` field outlining the action this message describes.";
    const ID: &str = "Messages corresponding to operations must contain the `id` field used for uniquely identifying \
                      server responses and connecting them with the client's requests.";
    const SUBSCRIBE: &str = "  payload: {\n    operationName?: string | null;\n    query: string;\n    variables?: \
                             Record<string, unknown> | null;\n    extensions?: Record<string, unknown> | null;\n  };";
    const PAYLOAD: &str = "  payload?: Record<string, unknown> | null;";
    const TO_CLIENT: &str = "Direction: **Server -> Client**";
    let payload = |payload: Value| json!({ "id": "1", "type": "subscribe", "payload": payload }).to_string();
    let message = |message: Value| message.to_string();
    let cases = [
        ("what is no JSON", JSON, "{ viewer { id } }".to_owned()),
        ("a list", JSON, r#"[{"type":"ping"}]"#.to_owned()),
        ("a message without a type", TYPE, message(json!({ "id": "1", "payload": { "query": QUERY } }))),
        ("a type that is no text", TYPE, message(json!({ "type": 1 }))),
        ("an unknown type", FORMAT, message(json!({ "type": "unknown" }))),
        (
            "the predecessor's start",
            FORMAT,
            message(json!({ "id": "1", "type": "start", "payload": { "query": QUERY } })),
        ),
        ("the predecessor's connection_terminate", FORMAT, message(json!({ "type": "connection_terminate" }))),
        ("a client's connection_ack", TO_CLIENT, message(json!({ "type": "connection_ack" }))),
        ("a client's next", TO_CLIENT, message(json!({ "id": "1", "type": "next", "payload": { "data": {} } }))),
        ("subscribe without an id", ID, message(json!({ "type": "subscribe", "payload": { "query": QUERY } }))),
        ("an id that is no text", ID, message(json!({ "id": 1, "type": "subscribe", "payload": { "query": QUERY } }))),
        ("complete without an id", ID, message(json!({ "type": "complete" }))),
        ("subscribe without a payload", SUBSCRIBE, message(json!({ "id": "1", "type": "subscribe" }))),
        ("subscribe without a query", SUBSCRIBE, payload(json!({ "variables": {} }))),
        ("subscribe with a query that is no text", SUBSCRIBE, payload(json!({ "query": 1 }))),
        ("variables that are no object", SUBSCRIBE, payload(json!({ "query": QUERY, "variables": [1] }))),
        ("an operationName that is no text", SUBSCRIBE, payload(json!({ "query": QUERY, "operationName": 1 }))),
        ("a ping with a text as its payload", PAYLOAD, message(json!({ "type": "ping", "payload": "x" }))),
        ("a pong with a list as its payload", PAYLOAD, message(json!({ "type": "pong", "payload": [1] }))),
    ];
    let mut all: Vec<_> = cases
        .into_iter()
        .map(|(what, holds, text)| {
            ready(format!("on {what} it closes with 4400"), holds, async move |mut line: Line| {
                line.frame(Message::text(text)).await;
                line.closed(4400).await.map(drop)
            })
        })
        .collect();
    all.push(ready("on a binary message it closes with 4400", JSON, async |mut line: Line| {
        line.frame(Message::binary(br#"{"type":"ping"}"#.to_vec())).await;
        line.closed(4400).await.map(drop)
    }));
    all.push(opened(
        "on what is no JSON it closes with 4400 before connection_init too",
        FORMAT,
        async |mut line: Line| {
            line.frame(Message::text("{")).await;
            line.closed(4400).await.map(drop)
        },
    ));
    all.push(opened(
        "on connection_init with a text as its payload it closes with 4400",
        PAYLOAD,
        async |mut line: Line| {
            line.say(&json!({ "type": "connection_init", "payload": "x" })).await;
            line.closed(4400).await.map(drop)
        },
    ));
    all
}

fn operations() -> Vec<Check> {
    const RESULT: &str = "Operation execution result(s) from the source stream created by the binding `Subscribe` \
                          message. After all results have been emitted, the `Complete` message will follow indicating \
                          stream completion.";
    const SINGLE: &str = "A single result operation is identical to a streaming operation except that _at most one_ \
                          `Next` message is sent.";
    const PAYLOAD: &str = "    operationName?: string | null;\n    query: string;\n    variables?: Record<string, unknown> \
                           | null;\n    extensions?: Record<string, unknown> | null;";
    let with = |payload: Value| json!({ "id": "1", "type": "subscribe", "payload": payload });
    let variables = "query($with: Boolean!) { viewer { __typename id @include(if: $with) } }";
    let two = "query One { viewer { id } } query Two { viewer { __typename } }";
    let asked = [
        ("variables are used", with(json!({ "query": variables, "variables": { "with": false } }))),
        ("operationName picks the operation", with(json!({ "query": two, "operationName": "Two" }))),
    ];
    let mut all: Vec<_> = asked
        .into_iter()
        .map(|(name, message)| {
            ready(name, PAYLOAD, async move |mut line: Line| {
                line.say(&message).await;
                let data = line.answered("1").await?;
                let viewer = data["viewer"].as_object().map(|viewer| viewer.keys().cloned().collect::<Vec<_>>());
                if viewer == Some(vec!["__typename".to_owned()]) { Ok(()) } else { line.fail("the type's name alone") }
            })
        })
        .collect();
    all.extend([
        ready("what may be null in a payload may be null", PAYLOAD, async move |mut line: Line| {
            let payload = json!({ "query": QUERY, "operationName": null, "variables": null, "extensions": null });
            line.say(&with(payload)).await;
            line.answered("1").await.map(drop)
        }),
        ready("a query is answered with one next and complete", SINGLE, async |mut line: Line| {
            line.subscribe("1", QUERY).await;
            line.answered("1").await?;
            line.silent("1").await
        }),
        ready("a mutation is answered with one next and complete", SINGLE, async |mut line: Line| {
            let mutation = line.subject.mutation.clone();
            line.subscribe("1", &mutation).await;
            line.answered("1").await?;
            line.silent("1").await
        }),
        ready("a field that fails stands in next, before complete", RESULT, async |mut line: Line| {
            let partial = line.subject.partial.clone();
            line.subscribe("1", &partial).await;
            let result = line.result("1").await?;
            if !result["data"]["viewer"].is_object() || !result["errors"].is_array() {
                return line.fail("data and errors");
            }
            line.completed("1").await
        }),
        ready("a subscription brings a next for its events and goes on", RESULT, async |mut line: Line| {
            let subscription = line.subject.subscription.clone();
            line.subscribe("1", &subscription).await;
            line.event("1").await?;
            line.event("1").await
        }),
        ready("a subscription whose source ends is completed", RESULT, async |mut line: Line| {
            let (subscription, end) = line.subject.ending.clone();
            line.subscribe("1", &subscription).await;
            line.fence().await?;
            let (subject, ender) = (Arc::clone(&line.subject), line.subject.ender.clone());
            let mut other = Line::ready_as(subject, ender).await?;
            other.subscribe("1", &end).await;
            other.answered("1").await?;
            loop {
                let message = line.of("1", "complete").await?;
                match message["type"].as_str() {
                    Some("next") => {}
                    Some("complete") => return line.silent("1").await,
                    _ => return line.fail("complete"),
                }
            }
        }),
    ]);
    all
}

fn side_by_side() -> Vec<Check> {
    const MANY: &str = "Multiple operations identified with separate IDs can be active at any time and their messages can \
                        be interleaved on the connection.";
    vec![
        ready("operations run beside each other", MANY, async |mut line: Line| {
            let subscription = line.subject.subscription.clone();
            line.subscribe("1", &subscription).await;
            line.subscribe("2", &subscription).await;
            line.subscribe("3", QUERY).await;
            line.answered("3").await?;
            line.event("1").await?;
            line.event("2").await
        }),
        ready("many queries at once are answered, each under its id", MANY, async |mut line: Line| {
            let ids: Vec<_> = (0..10).map(|number| format!("q{number}")).collect();
            for id in &ids {
                line.subscribe(id, QUERY).await;
            }
            let mut told = Vec::new();
            while told.len() < 2 * ids.len() {
                let message = line.message("a next and a complete for each").await?;
                told.push(format!("{} {}", message["id"], message["type"]));
            }
            let each = ids.iter().flat_map(|id| ["next", "complete"].map(|kind| format!("{id:?} {kind:?}")));
            let mut each: Vec<_> = each.collect();
            told.sort();
            each.sort();
            if told == each { Ok(()) } else { line.fail("a next and a complete for each") }
        }),
    ]
}

fn ids() -> Vec<Check> {
    const UNIQUE: &str = "If there is already an active subscriber for an operation matching the provided ID, regardless \
                          of the operation type, the server **must** close the socket immediately with the event `4409: \
                          Subscriber for <unique-operation-id> already exists`.";
    const AGAIN: &str = "The server needs only keep track of IDs for as long as the subscription is active. Once a client \
                         completes an operation, it is free to re-use that ID.";
    const ID: &str = "This message provides a unique ID field to connect published messages to the operation requested by \
                      this message.";
    let mut all = vec![
        ready("an id comes back as it was given", ID, async |mut line: Line| {
            let id = "é \"\\ 日本 \u{1f980} 1";
            line.subscribe(id, QUERY).await;
            line.answered(id).await.map(drop)
        }),
        ready("an id may be used again once the server has completed it", AGAIN, async |mut line: Line| {
            for _ in 0..3 {
                line.subscribe("1", QUERY).await;
                line.answered("1").await?;
            }
            Ok(())
        }),
        ready("an id may be used again once the client has completed it", AGAIN, async |mut line: Line| {
            let subscription = line.subject.subscription.clone();
            line.subscribe("1", &subscription).await;
            line.complete("1").await;
            line.fence().await?;
            line.subscribe("1", QUERY).await;
            line.answered("1").await.map(drop)
        }),
        ready(
            "an id that is used again at once is not completed for the old operation",
            AGAIN,
            async |mut line: Line| {
                let subscription = line.subject.subscription.clone();
                line.subscribe("1", &subscription).await;
                line.complete("1").await;
                line.subscribe("1", &subscription).await;
                if line.fence().await?.iter().any(|message| message["id"] == "1" && message["type"] != "next") {
                    return line.fail("no end of an operation that has begun");
                }
                line.event("1").await
            },
        ),
        ready("an id may be used again once its operation has failed", AGAIN, async |mut line: Line| {
            line.subscribe("1", "{").await;
            line.of("1", "error").await?;
            line.fence().await?;
            line.subscribe("1", QUERY).await;
            line.answered("1").await.map(drop)
        }),
    ];
    for (what, subscription) in [("a subscription", true), ("a query", false)] {
        let name = format!("on {what} under the id of one that runs it closes with 4409");
        all.push(ready(name, UNIQUE, async move |mut line: Line| {
            let running = line.subject.subscription.clone();
            line.subscribe("1", &running).await;
            line.subscribe("1", if subscription { &running } else { QUERY }).await;
            line.closed_with(4409, "Subscriber for 1 already exists").await
        }));
    }
    all
}

fn errors() -> Vec<Check> {
    const ERROR: &str = "This can occur _before_ execution starts, usually due to validation errors, or _during_ the \
                         execution of the request. This message terminates the operation and no further messages will be \
                         sent.";
    const NO_COMPLETE: &str = "If the server dispatched the `Error` message relative to the original `Subscribe` message, \
                               no `Complete` message will be emitted.";
    const NOT_VALID: &str = "If **not** valid, the _server_ sends an `Error` message and deems the operation complete.";
    let mut all: Vec<_> = [
        ("a document that can't be parsed", json!({ "query": "{ viewer {" })),
        ("a field that there is not", json!({ "query": "{ nothing }" })),
        ("a variable that is missing", json!({ "query": "query($a: Boolean!) { viewer { id @skip(if: $a) } }" })),
        (
            "an operationName that there is not",
            json!({ "query": "query One { viewer { id } }", "operationName": "Two" }),
        ),
        (
            "an operation that can't be told among several",
            json!({ "query": "query One { viewer { id } } query Two { viewer { id } }" }),
        ),
    ]
    .into_iter()
    .map(|(what, payload)| {
        ready(format!("{what} is answered with error alone"), NOT_VALID, async move |mut line: Line| {
            line.say(&json!({ "id": "1", "type": "subscribe", "payload": payload })).await;
            line.errs("1").await
        })
    })
    .collect();
    all.extend([
        ready("a subscription that its resolver refuses is over", ERROR, async |mut line: Line| {
            let refused = line.subject.refused.clone();
            line.subscribe("1", &refused).await;
            let first = line.of("1", "error, or next with errors").await?;
            match first["type"].as_str() {
                Some("error") => {}
                Some("next") if first["payload"]["errors"].is_array() => line.completed("1").await?,
                _ => return line.fail("error, or next with errors"),
            }
            line.silent("1").await
        }),
        ready("an operation that fails ends no other", NO_COMPLETE, async |mut line: Line| {
            let subscription = line.subject.subscription.clone();
            line.subscribe("1", &subscription).await;
            line.subscribe("2", "{").await;
            line.of("2", "error").await?;
            line.event("1").await
        }),
    ]);
    all
}

fn completion() -> Vec<Check> {
    const STOPS: &str = "indicates that the client has stopped listening and wants to complete the subscription. No \
                         further events, relevant to the original subscription, should be sent through.";
    const SINGLE: &str = "Even if the client sent a `Complete` message for a _single-result-operation_ before it resolved, \
                          the result should not be sent through once it does.";
    const LATE: &str = "Both client and server must therefore be prepared to receive (and ignore) messages for operations \
                        that they consider already completed.";
    const UNKNOWN: &str = "Receiving a message (other than `Subscribe`) with an ID that belongs to an operation that has \
                           been previously completed does not constitute an error. It is permissable to simply ignore all \
                           _unknown_ IDs without closing the connection.";
    const GOODBYE: &str = "The client closes the socket and the connection by dispatching a `1000: Normal Closure` close \
                           event to the server indicating a normal closure.";
    vec![
        ready("complete stops a subscription", STOPS, async |mut line: Line| {
            let subscription = line.subject.subscription.clone();
            line.subscribe("1", &subscription).await;
            line.subscribe("2", &subscription).await;
            line.event("1").await?;
            line.complete("1").await;
            // Until here events may have been under way.
            line.fence().await?;
            let from = line.heard.len();
            line.event("2").await?;
            line.fence().await?;
            let more = line.heard[from..].iter().any(|text| {
                serde_json::from_str::<Value>(text)
                    .is_ok_and(|message| message["id"] == "1" && message["type"] == "next")
            });
            if more { line.fail("no event after complete") } else { Ok(()) }
        }),
        ready("complete withholds the result of a query", SINGLE, async |mut line: Line| {
            line.subscribe("1", QUERY).await;
            line.complete("1").await;
            line.fence().await?;
            line.silent("1").await
        }),
        ready("complete for an operation that was completed is ignored", LATE, async |mut line: Line| {
            line.subscribe("1", QUERY).await;
            line.answered("1").await?;
            line.complete("1").await;
            line.complete("1").await;
            line.silent("1").await
        }),
        ready("complete for an operation that failed is ignored", LATE, async |mut line: Line| {
            line.subscribe("1", "{ nothing }").await;
            line.of("1", "error").await?;
            line.fence().await?;
            line.complete("1").await;
            line.silent("1").await
        }),
        ready("complete for an unknown operation is ignored", UNKNOWN, async |mut line: Line| {
            line.complete("never seen").await;
            line.silent("never seen").await
        }),
        ready("a client's normal closure is answered", GOODBYE, async |mut line: Line| {
            let frame = tungstenite::protocol::CloseFrame { code: 1000.into(), reason: "".into() };
            line.frame(Message::Close(Some(frame))).await;
            line.closed(1000).await.map(drop)
        }),
    ]
}
