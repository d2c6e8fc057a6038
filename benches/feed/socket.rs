//! A client of the graphql-transport-ws protocol that costs little beside what is measured.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// How long the server may take with a step of a subscription's start.
const PATIENCE: Duration = Duration::from_secs(30);
/// Ten thousand sockets hold their buffers at a time.
const BUFFER_BYTES: usize = 4 * 1024;

/// Why a socket is of no use any more.
pub(crate) type Broken = String;

/// What is followed: a document and its variables.
pub(crate) struct Followed<'a> {
    pub(crate) document: &'a str,
    pub(crate) variables: Value,
}

/// One event, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) comment: Option<Comment>,
    pub(crate) cursor: Option<String>,
}

/// A comment, as far as it is looked at.
#[derive(Debug, Deserialize)]
pub(crate) struct Comment {
    pub(crate) id: String,
    pub(crate) body: String,
}

#[derive(Deserialize)]
struct Next {
    #[serde(rename = "type")]
    kind: String,
    payload: Option<Payload>,
}

#[derive(Deserialize)]
struct Payload {
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    comment_added: Option<Comment>,
    activity: Option<Event>,
}

/// A socket with one live subscription.
pub(crate) struct Subscription {
    socket: WebSocketStream<TcpStream>,
}

impl Subscription {
    /// Connects, signs in, subscribes, and returns when the subscription is live: the server has answered a ping that
    /// came after it, and answers none before it has fixed where the subscription starts.
    pub(crate) async fn open(address: SocketAddr, token: &str, followed: &Followed<'_>) -> Result<Self, Broken> {
        let stream = within(TcpStream::connect(address)).await?.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let mut request = format!("ws://{address}/graphql/ws").into_client_request().map_err(text)?;
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().map_err(text)?);
        let config = WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(0);
        let opened = within(Box::pin(client_async_with_config(request, stream, Some(config)))).await?;
        let mut this = Self { socket: opened.map_err(text)?.0 };
        let init = json!({ "type": "connection_init", "payload": { "Authorization": format!("Bearer {token}") } });
        this.send(&init).await?;
        this.expect("connection_ack").await?;
        let Followed { document, variables } = followed;
        let subscribe =
            json!({ "id": "1", "type": "subscribe", "payload": { "query": document, "variables": variables } });
        this.socket.feed(Message::text(subscribe.to_string())).await.map_err(text)?;
        this.send(&json!({ "type": "ping" })).await?;
        this.expect("pong").await?;
        Ok(this)
    }

    async fn send(&mut self, message: &Value) -> Result<(), Broken> {
        self.socket.send(Message::text(message.to_string())).await.map_err(text)
    }

    async fn expect(&mut self, kind: &str) -> Result<(), Broken> {
        let said = within(self.text()).await??;
        let message: Value = serde_json::from_str(&said).map_err(text)?;
        if message["type"] == kind { Ok(()) } else { Err(format!("{kind} was expected, {said} came")) }
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Result<Event, Broken> {
        let said = self.text().await?;
        let event = serde_json::from_str::<Next>(&said).ok().filter(|next| next.kind == "next").and_then(|next| {
            let data = next.payload?.data?;
            data.activity.or_else(|| Some(Event { comment: Some(data.comment_added?), cursor: None }))
        });
        event.ok_or_else(|| format!("an event was expected, {said} came"))
    }

    /// The next message of the protocol; pings of the websocket are answered on the way.
    async fn text(&mut self) -> Result<String, Broken> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(said))) => return Ok(said.as_str().to_owned()),
                Some(Ok(Message::Ping(_))) => self.socket.flush().await.map_err(text)?,
                Some(Ok(Message::Close(frame))) => return Err(format!("closed: {frame:?}")),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("the connection ended".to_owned()),
            }
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn text(error: impl ToString) -> Broken {
    error.to_string()
}

async fn within<T>(step: impl Future<Output = T>) -> Result<T, Broken> {
    timeout(PATIENCE, step).await.map_err(|_| format!("nothing came within {PATIENCE:?}"))
}
