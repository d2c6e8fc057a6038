//! A GraphQL client that says clearly what came instead of what was expected.

use std::net::SocketAddr;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// One caller of one server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Client {
    /// Calls `/graphql` at that address; without a token, as nobody.
    pub fn new(address: SocketAddr, token: Option<&str>) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { http, url: format!("http://{address}"), token: token.map(str::to_owned) }
    }

    /// The same connections with another token.
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    /// Sends one operation, as every GraphQL client does.
    pub async fn query(&self, document: &str, variables: Value) -> Answer {
        self.send(json!({ "query": document, "variables": variables })).await
    }

    /// Calls a mutation of one `input`, and selects this of its payload.
    pub async fn mutate(&self, mutation: &str, input: Value, payload: &str) -> Answer {
        let ty = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let document = format!("mutation($input: {ty}!) {{ {mutation}(input: $input) {{ {payload} }} }}");
        self.query(&document, json!({ "input": input })).await
    }

    /// Sends any JSON as the request's body.
    pub async fn send(&self, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, "/graphql").json(&body)).await
    }

    /// A request to any path, with this caller's token, for what [`Self::query`] does not do; hand it to
    /// [`Answer::of`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

/// What the server said. Every method that does not find what it is asked for panics with the whole of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Of HTTP. Over a websocket it is always 200.
    pub status: StatusCode,
    /// Of HTTP.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body's `data`; null where there is none.
    pub data: Value,
    /// The body's `errors`; empty where there are none.
    pub errors: Vec<Value>,
}

impl Answer {
    /// Sends a request and reads the answer, whatever it is.
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap_or_else(|e| panic!("the server did not answer: {e:?}"));
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap_or_else(|e| panic!("the answer broke off: {e:?}"));
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, headers, text, ..Self::from_body(&body) }
    }

    /// The answer that a GraphQL response is, however it came.
    pub fn from_body(body: &Value) -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            text: body.to_string(),
            data: body["data"].clone(),
            errors: body["errors"].as_array().cloned().unwrap_or_default(),
        }
    }

    /// The answer itself, which has no errors.
    #[track_caller]
    pub fn ok(self) -> Self {
        if self.status != StatusCode::OK || !self.errors.is_empty() || self.data.is_null() {
            self.fail("expected data without errors");
        }
        self
    }

    /// The value at a JSON pointer into `data`, such as `/lead/stage/key`; it may be null, but it has to be there.
    #[track_caller]
    pub fn at(&self, pointer: &str) -> &Value {
        self.data.pointer(pointer).unwrap_or_else(|| self.fail(&format!("expected something at {pointer}")))
    }

    /// The text at a JSON pointer into `data`.
    #[track_caller]
    pub fn text_at(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_else(|| self.fail(&format!("expected a text at {pointer}")))
    }

    /// The list at a JSON pointer into `data`.
    #[track_caller]
    pub fn list_at(&self, pointer: &str) -> &[Value] {
        self.at(pointer).as_array().unwrap_or_else(|| self.fail(&format!("expected a list at {pointer}")))
    }

    /// `extensions.code` of the only error.
    #[track_caller]
    pub fn code(&self) -> &str {
        let error = self.only_error();
        error["extensions"]["code"].as_str().unwrap_or_else(|| self.fail("expected extensions.code"))
    }

    /// `extensions.field` of the only error.
    #[track_caller]
    pub fn field(&self) -> &str {
        let error = self.only_error();
        error["extensions"]["field"].as_str().unwrap_or_else(|| self.fail("expected extensions.field"))
    }

    /// Any entry of `extensions` of the only error; null where it has none of that name.
    #[track_caller]
    pub fn extension(&self, name: &str) -> &Value {
        &self.only_error()["extensions"][name]
    }

    /// The message of the only error.
    #[track_caller]
    pub fn message(&self) -> &str {
        self.only_error()["message"].as_str().unwrap_or_else(|| self.fail("expected a message"))
    }

    /// `(extensions.code, extensions.field)` of every error, in order; an absent one is empty.
    pub fn faults(&self) -> Vec<(&str, &str)> {
        self.errors
            .iter()
            .map(|error| {
                let of = |name| error["extensions"][name].as_str().unwrap_or_default();
                (of("code"), of("field"))
            })
            .collect()
    }

    #[track_caller]
    fn only_error(&self) -> &Value {
        match self.errors.as_slice() {
            [error] => error,
            _ => self.fail("expected exactly one error"),
        }
    }

    #[track_caller]
    fn fail(&self, expected: &str) -> ! {
        let body = serde_json::from_str::<Value>(&self.text).and_then(|body| serde_json::to_string_pretty(&body));
        panic!("{expected}, but got {}:\n{}", self.status, body.unwrap_or_else(|_| self.text.clone()))
    }
}
