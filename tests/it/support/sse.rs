//! A client of event streams: each operation a request, its answer read event by event.

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
    /// A result: a GraphQL response.
    Next(Value),
    /// The operation is over.
    Complete,
    /// The stream has ended.
    End,
}

/// An open stream.
pub struct EventStream {
    /// The answer's head.
    pub response: Response,
    rest: Vec<u8>,
    entries: VecDeque<Entry>,
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

    /// The answer to such a request, which has to be a stream.
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the server answers");
        assert_eq!(response.status(), StatusCode::OK, "{response:?}");
        let kind = response.headers()["content-type"].to_str().expect("a text").to_owned();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self { response, rest: Vec::new(), entries: VecDeque::new() }
    }

    /// What comes next.
    pub async fn entry(&mut self) -> Entry {
        let read = async {
            loop {
                if let Some(entry) = self.entries.pop_front() {
                    return entry;
                }
                match self.response.chunk().await {
                    Ok(Some(bytes)) => self.rest.extend_from_slice(&bytes),
                    Ok(None) | Err(_) => return Entry::End,
                }
                self.part();
            }
        };
        timeout(PATIENCE, read).await.expect("an entry of the stream, or its end")
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
        let Entry::Next(result) = self.entry().await else { panic!("expected a result with errors") };
        assert!(result.get("data").is_none(), "{result}");
        assert_eq!(self.entry().await, Entry::Complete);
        assert_eq!(self.entry().await, Entry::End);
        result["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no code: {result}")).to_owned()
    }

    /// Takes apart what has been read: events end with an empty line.
    fn part(&mut self) {
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            let block = String::from_utf8(block).expect("event streams are UTF-8");
            let field = |name: &str| {
                let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>()
            };
            match field("event").as_slice() {
                ["next"] => {
                    let data = field("data").join("\n");
                    self.entries.push_back(Entry::Next(serde_json::from_str(&data).expect("data is JSON")));
                }
                ["complete"] => {
                    assert_eq!(field("data"), [""], "a browser tells nobody of an event without data");
                    self.entries.push_back(Entry::Complete);
                }
                [] => assert!(block.starts_with(':'), "neither an event nor a comment: {block:?}"),
                other => panic!("no event of the protocol: {other:?}"),
            }
        }
    }
}
