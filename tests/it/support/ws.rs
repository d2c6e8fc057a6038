//! A client of the graphql-transport-ws protocol.
//!
//! Nothing here sleeps. What has to come is awaited for a bounded time; that something does *not* come is shown by
//! making a later event happen and finding it to be the next one ([`Subscription::nothing_until`]).

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::http::Answer;

/// How long a client waits for what the server owes it at once. Far above what it takes, for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why the server ended the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Such as 4401; 1005 where the frame had none, 1006 where the connection broke off without one.
    pub code: u16,
    /// What the frame said.
    pub reason: String,
}

/// What came for one operation or, outside of any, for the connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A message of the protocol.
    Message(Value),
    /// The end of the connection; nothing follows.
    Closed(Close),
}

/// One connection.
pub struct Socket {
    out: UnboundedSender<Message>,
    inboxes: Arc<Mutex<Inboxes>>,
    /// What belongs to no operation of [`Self::subscribe`].
    rest: Inbox,
    next_id: u32,
}

/// Where the reader puts what comes.
struct Inboxes {
    of_operations: HashMap<String, UnboundedSender<Event>>,
    rest: UnboundedSender<Event>,
    closed: Option<Close>,
}

/// What came to one place, in order, with all that was read before for the panic's text.
struct Inbox {
    events: UnboundedReceiver<Event>,
    read: Vec<Event>,
}

impl Inbox {
    fn new() -> (UnboundedSender<Event>, Self) {
        let (sender, events) = unbounded_channel();
        (sender, Self { events, read: Vec::new() })
    }

    async fn next_within(&mut self, limit: Duration, expected: &str) -> Event {
        match timeout(limit, self.events.recv()).await {
            Ok(Some(event)) => {
                self.read.push(event.clone());
                event
            }
            Ok(None) => panic!("expected {expected}, but the connection had ended; before that came {:#?}", self.read),
            Err(late) => panic!("expected {expected} within {limit:?}: {late}; before that came {:#?}", self.read),
        }
    }

    fn fail(&self, expected: &str) -> ! {
        panic!("expected {expected}, but the last of these came: {:#?}", self.read)
    }
}

impl Socket {
    /// Connects and says nothing.
    pub async fn open(address: SocketAddr) -> Self {
        Self::open_with(address, Some("graphql-transport-ws")).await.expect("the server upgrades")
    }

    /// Connects, asking for any subprotocol or for none; the error is HTTP's answer to the upgrade.
    pub async fn open_with(address: SocketAddr, protocol: Option<&str>) -> Result<Self, Box<tungstenite::Error>> {
        let mut request = format!("ws://{address}/graphql/ws").into_client_request().map_err(Box::new)?;
        if let Some(protocol) = protocol {
            let protocol = protocol.parse().expect("a header's value");
            request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        }
        let (stream, _) = connect_async(request).await.map_err(Box::new)?;
        let (sink, stream) = stream.split();
        let (out, to_send) = unbounded_channel();
        let (rest_sender, rest) = Inbox::new();
        let inboxes = Arc::new(Mutex::new(Inboxes { of_operations: HashMap::new(), rest: rest_sender, closed: None }));
        tokio::spawn(write(sink, to_send));
        tokio::spawn(read(stream, out.clone(), Arc::clone(&inboxes)));
        Ok(Self { out, inboxes, rest, next_id: 0 })
    }

    /// Connects as the bearer of a token, and is welcome.
    pub async fn connect(address: SocketAddr, token: &str) -> Self {
        let mut socket = Self::open(address).await;
        socket.init(Some(token));
        let event = socket.next_within(PATIENCE).await;
        if !matches!(&event, Event::Message(message) if message["type"] == "connection_ack") {
            socket.rest.fail("connection_ack");
        }
        socket
    }

    /// Says `connection_init`, with a token or without, and waits for nothing.
    pub fn init(&self, token: Option<&str>) {
        match token {
            Some(token) => self.send(&json!({
                "type": "connection_init", "payload": { "Authorization": format!("Bearer {token}") }
            })),
            None => self.send(&json!({ "type": "connection_init" })),
        }
    }

    /// Sends any message.
    pub fn send(&self, message: &Value) {
        self.send_raw(Message::text(message.to_string()));
    }

    /// Sends any frame.
    pub fn send_raw(&self, frame: Message) {
        // A closed connection takes nothing; what the server had to say of it is in the inboxes.
        let _ = self.out.send(frame);
    }

    /// Starts an operation, and returns when the server has taken it up: it answered a ping sent after it.
    pub async fn subscribe(&mut self, document: &str, variables: Value) -> Subscription {
        self.start(json!({ "query": document, "variables": variables })).await
    }

    /// The same with any payload, such as one that names the operation.
    pub async fn start(&mut self, payload: Value) -> Subscription {
        self.next_id += 1;
        let id = self.next_id.to_string();
        let (sender, inbox) = Inbox::new();
        {
            let mut inboxes = self.inboxes.lock().expect("no panic under the lock");
            if let Some(close) = &inboxes.closed {
                panic!("the connection ended before the operation: {close:?}");
            }
            inboxes.of_operations.insert(id.clone(), sender);
        }
        self.send(&json!({ "id": id, "type": "subscribe", "payload": payload }));
        self.send(&json!({ "type": "ping" }));
        let pong = self.rest.next_within(PATIENCE, "pong").await;
        if !matches!(&pong, Event::Message(message) if message["type"] == "pong") {
            self.rest.fail("pong");
        }
        Subscription { id, out: self.out.clone(), inbox }
    }

    /// The next message that belongs to no operation of [`Self::subscribe`], or the end.
    pub async fn next_within(&mut self, limit: Duration) -> Event {
        self.rest.next_within(limit, "a message of the connection").await
    }

    /// Why the server ended the connection; it does so now or within the limit, and says nothing else before.
    pub async fn closed_within(&mut self, limit: Duration) -> Close {
        match self.rest.next_within(limit, "the connection to be closed").await {
            Event::Closed(close) => close,
            Event::Message(_) => self.rest.fail("the connection to be closed"),
        }
    }

    /// Whether the server has ended the connection already, as far as it was read.
    pub fn close(&self) -> Option<Close> {
        self.inboxes.lock().expect("no panic under the lock").closed.clone()
    }
}

/// One operation on a [`Socket`].
pub struct Subscription {
    /// In the protocol's messages.
    pub id: String,
    out: UnboundedSender<Message>,
    inbox: Inbox,
}

impl Subscription {
    /// The next `data`. It has to be that which comes next, and to have no errors.
    pub async fn next_within(&mut self, limit: Duration) -> Value {
        let expected = "data of the subscription";
        match self.inbox.next_within(limit, expected).await {
            Event::Message(message) if message["type"] == "next" && message["payload"]["errors"].is_null() => {
                message["payload"]["data"].clone()
            }
            _ => self.inbox.fail(expected),
        }
    }

    /// The next `data`, as soon as the mission promises it: within a second. The wait is longer, since a loaded
    /// machine is no fault of the server's; a test of the promise itself uses [`Self::next_within`].
    pub async fn next(&mut self) -> Value {
        self.next_within(PATIENCE).await
    }

    /// Whatever comes next for the operation: `next`, `error`, `complete`, or the connection's end.
    pub async fn event_within(&mut self, limit: Duration) -> Event {
        self.inbox.next_within(limit, "a message of the operation").await
    }

    /// Why the operation was refused or ended, be it by `error` or by a `next` that has errors.
    pub async fn refusal(&mut self) -> Answer {
        let expected = "the operation to be refused";
        match self.inbox.next_within(PATIENCE, expected).await {
            Event::Message(message) if message["type"] == "error" => {
                Answer::from_body(&json!({ "errors": message["payload"] }))
            }
            Event::Message(message) if message["type"] == "next" && message["payload"]["errors"].is_array() => {
                Answer::from_body(&message["payload"])
            }
            _ => self.inbox.fail(expected),
        }
    }

    /// Shows that nothing comes of what happened so far: makes `marker` happen, and the next to come is what
    /// `is_marker` knows it by. Returns it.
    pub async fn nothing_until<M>(&mut self, marker: M, is_marker: impl Fn(&Value) -> bool) -> Value
    where
        M: Future,
        M::Output: Debug,
    {
        let made = marker.await;
        let data = self.next().await;
        assert!(is_marker(&data), "expected nothing before the event of {made:#?}, but this came: {data:#}");
        data
    }

    /// Whether nothing has come yet that was not taken.
    pub fn is_silent(&self) -> bool {
        self.inbox.events.is_empty()
    }

    /// Ends the operation from this side.
    pub fn complete(self) {
        let _ = self.out.send(Message::text(json!({ "id": self.id, "type": "complete" }).to_string()));
    }
}

async fn write(mut sink: SplitSink<Stream, Message>, mut messages: UnboundedReceiver<Message>) {
    while let Some(message) = messages.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
    let _ = sink.close().await;
}

/// Sorts what comes into the inboxes, and answers the server's pings as every client has to.
async fn read(mut stream: SplitStream<Stream>, out: UnboundedSender<Message>, inboxes: Arc<Mutex<Inboxes>>) {
    let out = out.downgrade();
    let close = loop {
        let text = match stream.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(frame))) => {
                break frame.map_or(Close { code: 1005, reason: String::new() }, |frame| Close {
                    code: frame.code.into(),
                    reason: frame.reason.to_string(),
                });
            }
            Some(Ok(_)) => continue,
            Some(Err(error)) => break Close { code: 1006, reason: error.to_string() },
            None => break Close { code: 1006, reason: String::new() },
        };
        let message: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "not JSON": text.as_str() }));
        if message["type"] == "ping" {
            if let Some(out) = out.upgrade() {
                let _ = out.send(Message::text(json!({ "type": "pong" }).to_string()));
            }
            continue;
        }
        let inboxes = inboxes.lock().expect("no panic under the lock");
        let operation = message["id"].as_str().and_then(|id| inboxes.of_operations.get(id));
        let _ = operation.unwrap_or(&inboxes.rest).send(Event::Message(message.clone()));
    };
    {
        let mut inboxes = inboxes.lock().expect("no panic under the lock");
        for inbox in inboxes.of_operations.values().chain([&inboxes.rest]) {
            let _ = inbox.send(Event::Closed(close.clone()));
        }
        inboxes.closed = Some(close);
    }
    // The library answers a close frame when it is read from once more; without that the server waits for it.
    let _ = timeout(PATIENCE, stream.next()).await;
}
