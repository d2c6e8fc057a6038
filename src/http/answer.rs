//! What goes back: one shape for every error, and none without `extensions.code`.

use std::any::Any;
use std::fmt;

use async_graphql::{ErrorExtensionValues, Response as GraphqlResponse, ServerError, Value};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use uuid::Uuid;

use super::guard::Oversize;
use super::negotiate::Media;
use super::nulls::Plan;
use super::{Refusal, internal};
use crate::error::{Error, ErrorCode, Fault};

/// The most errors in one answer.
pub(super) const MAX_ERRORS: usize = 20;
/// The longest message, in bytes; the library repeats names and lines of the document in its own.
const MAX_MESSAGE_BYTES: usize = 500;
/// Carries the request id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names one request in the log, in the answer's header and in `INTERNAL` errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestId(Uuid);

impl RequestId {
    pub(super) fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A response as it is written: without `data` when the request was not executed.
#[derive(Serialize)]
pub(super) struct Wire<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) errors: &'a [ServerError],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<&'a Value>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub(super) extensions: &'a std::collections::BTreeMap<String, Value>,
}

/// A finished response of the library, each error with its code.
pub(super) struct Finished {
    response: GraphqlResponse,
    /// Whether nothing was executed: the document, its variables or the operation's name were at fault.
    pub(super) request_error: bool,
}

impl Finished {
    pub(super) fn wire(&self) -> Wire<'_> {
        Wire {
            errors: &self.response.errors,
            data: (!self.request_error).then_some(&self.response.data),
            extensions: &self.response.extensions,
        }
    }

    pub(super) fn errors(&self) -> &[ServerError] {
        &self.response.errors
    }

    /// Whether there are errors and no data at all.
    pub(super) fn failed(&self) -> bool {
        self.response.data == Value::Null && !self.response.errors.is_empty()
    }
}

/// Gives each error its code, hides what is not the caller's, and bounds their number and size.
pub(super) fn finish(mut response: GraphqlResponse, plan: &Plan, id: RequestId) -> Finished {
    let request_error = response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty());
    if !request_error && !response.errors.is_empty() {
        plan.settle(&mut response.data, &response.errors);
    }
    let omitted = response.errors.len().saturating_sub(MAX_ERRORS);
    if omitted > 0 {
        response.errors.truncate(MAX_ERRORS);
        response.extensions.insert("errorsOmitted".to_owned(), omitted.into());
    }
    for error in &mut response.errors {
        complete(error, request_error, id);
    }
    Finished { response, request_error }
}

fn complete(error: &mut ServerError, request_error: bool, id: RequestId) {
    let extensions = error.extensions.get_or_insert_default();
    let code = match extensions.get("code") {
        Some(Value::String(code)) => {
            if code == ErrorCode::Internal.as_str() {
                extensions.set("requestId", id.to_string());
            }
            None
        }
        _ => Some(code_of(&error.message, request_error)),
    };
    match code {
        Some(ErrorCode::Internal) => {
            tracing::error!(request_id = %id, cause = %error.message, path = ?error.path, "a resolver failed");
            error.message = internal(id).message;
            extensions.set("code", ErrorCode::Internal.as_str());
            extensions.set("requestId", id.to_string());
        }
        Some(code) => extensions.set("code", code.as_str()),
        None => {}
    }
    shorten(&mut error.message);
}

/// The code of an error that the library made, by the text it has: it has nothing else to tell them by.
fn code_of(message: &str, request_error: bool) -> ErrorCode {
    const LIMITS: [&str; 5] = [
        "Query is too complex.",
        "Query is nested too deep.",
        "The recursion depth of the query cannot be greater than",
        "The number of directives on the field",
        "recursion limit exceeded",
    ];
    /// Errors of arguments that are read when their field is reached.
    const INPUT: [&str; 4] = ["Failed to parse ", "Invalid value for ", "Expected input type ", "Variable "];
    if LIMITS.iter().any(|start| message.starts_with(start)) {
        ErrorCode::QueryTooComplex
    } else if request_error || INPUT.iter().any(|start| message.starts_with(start)) {
        ErrorCode::InvalidInput
    } else {
        ErrorCode::Internal
    }
}

fn shorten(message: &mut String) {
    if message.len() > MAX_MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        message.push('…');
    }
}

/// A fault as an error of the protocol.
pub(super) fn server_error(fault: &Fault, id: RequestId) -> ServerError {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", fault.code.as_str());
    for (name, value) in fault.extensions() {
        extensions.set(name, value);
    }
    if let Some(version) = fault.version {
        extensions.set("version", version);
    }
    if fault.code == ErrorCode::Internal {
        extensions.set("requestId", id.to_string());
    }
    let mut error = ServerError::new(fault.message.clone(), None);
    error.extensions = Some(extensions);
    error
}

/// What a caller is told who was not let in; the server's own causes are logged.
pub(super) fn refusal_faults(refusal: Refusal, id: RequestId) -> Vec<Fault> {
    match refusal {
        Refusal::Token(error) => vec![error.fault()],
        Refusal::SignIn(Error::Faults(faults)) => faults,
        Refusal::SignIn(Error::Internal(cause)) => {
            tracing::error!(request_id = %id, cause = %cause, "the sign-in failed");
            vec![internal(id)]
        }
    }
}

/// What a caller is told whose document is too large.
pub(super) fn oversize_fault(oversize: &Oversize, max_fields: usize) -> Fault {
    let message = match oversize {
        Oversize::Fields => format!("The document selects more than {max_fields} fields, fragments written out."),
        Oversize::Nesting => "The document is nested too deep.".to_owned(),
        Oversize::Introspection => "Introspection nests its lists too deep.".to_owned(),
        Oversize::Circle => {
            return Fault::new(ErrorCode::InvalidInput, "A fragment must not contain itself.");
        }
    };
    Fault::new(ErrorCode::QueryTooComplex, message)
}

/// The text of a panic.
pub(super) fn panic_text(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<&str>().copied();
    text.or_else(|| cause.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a text")
}

/// The status of a request that was refused before it was executed.
fn status_of(faults: &[Fault]) -> StatusCode {
    match faults.first().map(|fault| fault.code) {
        Some(ErrorCode::Unauthenticated) => StatusCode::UNAUTHORIZED,
        Some(ErrorCode::Forbidden) => StatusCode::FORBIDDEN,
        Some(ErrorCode::RateLimited) => StatusCode::TOO_MANY_REQUESTS,
        Some(ErrorCode::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
        Some(ErrorCode::Internal) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// An answer without data, with the status of its first fault.
pub(super) fn refuse(media: Media, id: RequestId, faults: &[Fault]) -> Response {
    let mut response = refuse_with(status_of(faults), media, id, faults);
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"cosell\", error=\"invalid_token\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// An answer without data.
pub(super) fn refuse_with(status: StatusCode, media: Media, id: RequestId, faults: &[Fault]) -> Response {
    let errors: Vec<_> = faults.iter().take(MAX_ERRORS).map(|fault| server_error(fault, id)).collect();
    write(status, media, id, &Wire { errors: &errors, data: None, extensions: &std::collections::BTreeMap::new() })
}

/// An answer.
pub(super) fn write(status: StatusCode, media: Media, id: RequestId, wire: &Wire<'_>) -> Response {
    let (status, body) = match serde_json::to_vec(wire) {
        Ok(body) => (status, body),
        Err(cause) => {
            tracing::error!(request_id = %id, cause = %cause, "an answer can't be written");
            let code = ErrorCode::Internal.as_str();
            let text = format!(
                r#"{{"errors":[{{"message":"Internal fault.","extensions":{{"code":"{code}","requestId":"{id}"}}}}]}}"#
            );
            (StatusCode::INTERNAL_SERVER_ERROR, text.into_bytes())
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media.content_type()));
    // Answers depend on who asks.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    name(&mut response, id);
    response
}

/// Puts the request's id into the answer's headers.
pub(super) fn name(response: &mut Response, id: RequestId) {
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}
