//! What an attacker sends, and that it is worth nothing: each is refused in its way, costs little, and the server is well
//! afterwards. docs/security.md names the test of each promise.

mod bodies;
mod browsers;
mod documents;
mod filters;
mod logs;
mod process;
mod promises;
mod raw;
mod sockets;
mod tenants;
mod tokens;

use serde_json::json;

use crate::support::http::Client;

/// The server answers a plain question.
pub async fn well(client: &Client) {
    client.query("{ viewer { id } }", json!({})).await.ok();
}

/// A path with a document in its query, as a GET has it.
pub fn query_of(path: &str, document: &str) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("query", document).finish();
    format!("{path}?{query}")
}
