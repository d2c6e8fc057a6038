//! A client of event streams, strict about their form: each operation a request, its answer read event by event.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::http::Client;

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// One entry of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A result: a GraphQL response. Where a stream carries many operations, with the operation's `id` around it.
    Next(Value),
    /// The operation is over.
    Complete,
    /// The operation of that id is over, of many that a stream carries.
    CompleteOf(String),
    /// The stream has ended.
    End,
}

/// An open stream.
pub struct EventStream {
    /// The answer's head.
    pub response: Response,
    rest: Vec<u8>,
    entries: VecDeque<(Entry, String)>,
    /// The last `id` that was read, and that which goes with the last entry that was taken.
    read_id: String,
    last_id: String,
}

/// A request for a stream.
pub fn request(client: &Client, document: &str, variables: &Value) -> RequestBuilder {
    request_of(client, &json!({ "query": document, "variables": variables }))
}

/// The same with any body, such as one that names the operation.
pub fn request_of(client: &Client, body: &Value) -> RequestBuilder {
    client.request(Method::POST, "/graphql/stream").header("accept", "text/event-stream").json(body)
}

impl EventStream {
    /// Begins an operation; its answer has to be a stream.
    pub async fn open(client: &Client, document: &str, variables: Value) -> Self {
        Self::of(request(client, document, &variables)).await
    }

    /// The same operation after the `id` of an event, as browsers ask when a stream is cut off.
    pub async fn resume(client: &Client, document: &str, variables: Value, id: &str) -> Self {
        Self::of(request(client, document, &variables).header("last-event-id", id)).await
    }

    /// Sends a request that has to be answered by a stream.
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the server answers");
        assert_eq!(response.status(), StatusCode::OK, "{response:?}");
        let kind = response.headers()["content-type"].to_str().expect("a text").to_owned();
        assert_eq!(kind, "text/event-stream; charset=utf-8");
        let (read_id, last_id) = Default::default();
        Self { response, rest: Vec::new(), entries: VecDeque::new(), read_id, last_id }
    }

    /// What comes next.
    pub async fn entry(&mut self) -> Entry {
        let read = async {
            while self.entries.is_empty() {
                if !self.read().await {
                    return Entry::End;
                }
            }
            let (entry, id) = self.entries.pop_front().expect("there is one");
            self.last_id = id;
            entry
        };
        timeout(PATIENCE, read).await.expect("an entry of the stream, or its end")
    }

    /// What a browser would send as `Last-Event-ID` when it is cut off now. Waits for the one that stands before all
    /// entries.
    pub async fn last_id(&mut self) -> String {
        let read = async { while self.last_id.is_empty() && self.entries.is_empty() && self.read().await {} };
        timeout(PATIENCE, read).await.expect("an id, or the stream's end");
        self.last_id.clone()
    }

    /// The `data` of what comes next, which has to be a result without errors.
    pub async fn next(&mut self) -> Value {
        match self.entry().await {
            Entry::Next(result) if result["errors"].is_null() => result["data"].clone(),
            other => panic!("expected a result, but got {other:?}"),
        }
    }

    /// The code of the error that comes next; then the operation is over.
    pub async fn refusal(&mut self) -> String {
        let error = self.refused().await;
        error["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no code: {error}")).to_owned()
    }

    /// The first error of what comes next, which has no data; then the operation is over.
    pub async fn refused(&mut self) -> Value {
        let Entry::Next(result) = self.entry().await else { panic!("expected a result with errors") };
        assert!(result.get("data").is_none(), "{result}");
        assert_eq!(self.entry().await, Entry::Complete);
        assert_eq!(self.entry().await, Entry::End);
        result["errors"][0].clone()
    }

    /// Reads what has come; `false` at the end, where nothing may be left over.
    async fn read(&mut self) -> bool {
        let bytes = match self.response.chunk().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                assert!(self.rest.is_empty(), "half an event: {:?}", String::from_utf8_lossy(&self.rest));
                return false;
            }
            Err(_) => return false,
        };
        self.rest.extend_from_slice(&bytes);
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            self.take(std::str::from_utf8(&block).expect("event streams are UTF-8"));
        }
        true
    }

    /// Takes a block apart, which ends with an empty line.
    fn take(&mut self, block: &str) {
        assert!(!block.contains('\r') && !block.contains('\0'), "it would be read as more lines: {block:?}");
        if block == ":\n\n" {
            return;
        }
        let (mut event, mut data, mut id) = (None, None, None);
        for line in block.strip_suffix("\n\n").expect("its end").split('\n') {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line:?}"));
            let field = match name {
                "event" => &mut event,
                "data" => &mut data,
                "id" => &mut id,
                _ => panic!("no field of the protocol: {line:?}"),
            };
            let twice = field.replace(value.strip_prefix(' ').unwrap_or(value));
            assert_eq!(twice, None, "one line each: {block:?}");
        }
        if let Some(id) = id {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            assert!(!id.is_empty() && id.bytes().all(is_plain), "no cursor: {id:?}");
            id.clone_into(&mut self.read_id);
            if event.is_none() && data.is_none() {
                // It goes with what came before.
                let before = self.entries.back_mut().map_or(&mut self.last_id, |(_, id)| id);
                id.clone_into(before);
                return;
            }
        }
        let data = data.map(|data| (data, serde_json::from_str::<Value>(data)));
        let entry = match (event, data) {
            (Some("next"), Some((_, Ok(data)))) if data.is_object() => Entry::Next(data),
            // A browser tells nobody of an event without the field.
            (Some("complete"), Some(("", _))) => Entry::Complete,
            (Some("complete"), Some((_, Ok(data)))) => match data.as_object().map(|it| (it.len(), &data["id"])) {
                Some((1, Value::String(id))) => Entry::CompleteOf(id.clone()),
                _ => panic!("no id of an operation alone: {data}"),
            },
            _ => panic!("no event of the protocol: {block:?}"),
        };
        self.entries.push_back((entry, self.read_id.clone()));
    }
}
