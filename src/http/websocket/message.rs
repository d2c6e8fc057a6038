//! The messages of graphql-transport-ws.

use async_graphql::ServerError;
use axum::extract::ws::Message;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::http::operation::Params;

/// The longest id of an operation, in bytes.
const MAX_ID_BYTES: usize = 128;

/// What a client sends.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Opens the session; with the token.
    Init(Map<String, Value>),
    /// Starts an operation.
    Subscribe(String, Params),
    /// Ends an operation.
    Complete(String),
    /// Wants a pong, with the same payload.
    Ping(Option<Value>),
    /// Answers a ping.
    Pong,
}

impl Incoming {
    /// Reads a message; the error is the reason to close the socket with.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|_| "Invalid message: not JSON".to_owned())?;
        let Value::Object(mut message) = value else { return Err("Invalid message: not an object".to_owned()) };
        let Some(Value::String(kind)) = message.remove("type") else {
            return Err("Invalid message: no type".to_owned());
        };
        let payload = message.remove("payload").filter(|payload| !payload.is_null());
        let id = match message.remove("id") {
            Some(Value::String(id)) if !id.is_empty() && id.len() <= MAX_ID_BYTES => Some(id),
            _ => None,
        };
        let needs_id = || format!("Invalid message: {kind} needs an id of 1 to {MAX_ID_BYTES} bytes");
        let payload_object = |payload: Option<Value>| match payload {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => Err(format!("Invalid message: the payload of {kind} must be an object")),
        };
        match kind.as_str() {
            "connection_init" => Ok(Self::Init(payload_object(payload)?.unwrap_or_default())),
            "ping" => Ok(Self::Ping(payload_object(payload)?.map(Value::Object))),
            "pong" => payload_object(payload).map(|_| Self::Pong),
            "complete" => id.map(Self::Complete).ok_or_else(needs_id),
            "subscribe" => {
                let id = id.ok_or_else(needs_id)?;
                let params = payload.ok_or("Invalid message: subscribe needs a payload")?;
                let params = Params::from_json(params).map_err(|fault| format!("Invalid message: {fault}"))?;
                Ok(Self::Subscribe(id, params))
            }
            _ => Err("Invalid message: there is no such type".to_owned()),
        }
    }
}

/// What the server sends; results are written where they are brought.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Outgoing<'a> {
    /// The session is open.
    ConnectionAck,
    /// The operation was not executed. It is over.
    Error { id: &'a str, payload: &'a [ServerError] },
    /// The operation is over.
    Complete { id: &'a str },
    /// Answers a ping.
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Value>,
    },
}

impl Outgoing<'_> {
    /// The frame; nothing when it can't be written, which is logged.
    pub(super) fn frame(&self) -> Option<Message> {
        match serde_json::to_string(self) {
            Ok(text) => Some(Message::Text(text.into())),
            Err(cause) => {
                tracing::error!(%cause, "a websocket message can't be written");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::arbitrary::{any_json, mutated};

    const WORDS: &[&str] = &[
        "id",
        "type",
        "payload",
        "connection_init",
        "subscribe",
        "complete",
        "ping",
        "pong",
        "query",
        "variables",
        "operationName",
        "extensions",
        "documentId",
    ];

    proptest! {
        #[test]
        fn no_message_makes_the_reader_panic(text in any::<String>(), json in any_json(WORDS)) {
            // A reason has to fit into a close frame, or be cut there; it never repeats what the client wrote at length.
            for text in [text, json.to_string()] {
                if let Err(reason) = Incoming::parse(&text) {
                    prop_assert!(reason.len() < 200, "{}", reason);
                }
            }
        }

        #[test]
        fn a_message_that_was_changed_is_read_or_refused(text in mutated(
            r#"{"id":"1","type":"subscribe","payload":{"query":"{ a }","variables":{"b":[1]},"operationName":null}}"#.to_owned()
        )) {
            if let Ok(Incoming::Subscribe(id, _) | Incoming::Complete(id)) = Incoming::parse(&text) {
                prop_assert!((1..=MAX_ID_BYTES).contains(&id.len()));
            }
        }
    }
}
