//! What goes back: one shape for every error, and none without `extensions.code`.

use std::any::Any;
use std::fmt;

use async_graphql::{ErrorExtensionValues, Response as GraphqlResponse, ServerError, Value};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use uuid::Uuid;

use super::guard::{Bound, Oversize};
use super::negotiate::Media;
use super::nulls::Plan;
use super::{Refusal, internal, observe};
use crate::error::{Error, ErrorCode, Fault, Hint};

/// The most errors in one answer.
pub(super) const MAX_ERRORS: usize = 20;
/// The longest message, in bytes; the library repeats names and lines of the document in its own.
const MAX_MESSAGE_BYTES: usize = 500;
/// "Partial Success": data and errors, by the GraphQL-over-HTTP specification of September 2026. It is not registered;
/// who does not know it takes it for 200.
const PARTIAL_SUCCESS: StatusCode = match StatusCode::from_u16(294) {
    Ok(status) => status,
    Err(_) => StatusCode::OK,
};
/// The library's whole text for an operation that costs too much.
const TOO_COSTLY: &str = "Query is too complex.";
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

    /// The status that tells how it went. Under `application/json` it can tell nothing, as anybody between may have
    /// answered; what could not be executed is 400 where the specification's audit asks for that, else what its text
    /// says.
    pub(super) fn status(&self, media: Media) -> StatusCode {
        let errors = &self.response.errors;
        match media {
            Media::Json => StatusCode::OK,
            Media::GraphqlResponse if errors.is_empty() => StatusCode::OK,
            Media::GraphqlResponse if !self.request_error => PARTIAL_SUCCESS,
            Media::GraphqlResponse if errors.iter().any(|error| is_undetermined(&error.message)) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Media::GraphqlResponse => StatusCode::BAD_REQUEST,
        }
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
        if error.message == TOO_COSTLY && plan.max_complexity > 0 {
            let most = plan.max_complexity;
            let message = format!(
                "The operation costs more than {most}. A field costs 1, times the size of the page that it is in: \
                 select fewer fields, or ask for smaller pages."
            );
            let fault = Fault::new(ErrorCode::QueryTooComplex, message).limit("limits.max_complexity", most);
            *error = ServerError { locations: std::mem::take(&mut error.locations), ..server_error(&fault, id) };
        }
        complete(error, request_error, id);
    }
    Finished { response, request_error }
}

fn complete(error: &mut ServerError, request_error: bool, id: RequestId) {
    let extensions = error.extensions.get_or_insert_default();
    let code = match extensions.get("code") {
        Some(Value::String(code)) => {
            ErrorCode::parse(code).into_iter().for_each(observe::code);
            if code == ErrorCode::Internal.as_str() {
                extensions.set("requestId", id.to_string());
            }
            None
        }
        _ => Some(code_of(&error.message, request_error)),
    };
    code.into_iter().for_each(observe::code);
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
    const LIMITS: [&str; 4] = [
        TOO_COSTLY,
        "Query is nested too deep.",
        "The recursion depth of the query cannot be greater than",
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

/// Whether the library could not tell which operation is meant, by the text it has.
fn is_undetermined(message: &str) -> bool {
    message.starts_with("Operation name required") || message.starts_with("Unknown operation named")
}

fn shorten(message: &mut String) {
    if message.len() > MAX_MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        message.push('…');
    }
}

/// A fault as an error of the protocol.
pub(super) fn server_error(fault: &Fault, id: RequestId) -> ServerError {
    observe::code(fault.code);
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", fault.code.as_str());
    for (name, value) in fault.extensions() {
        extensions.set(name, value);
    }
    for (name, number) in fault.numbers() {
        extensions.set(name, number);
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
pub(super) fn oversize_fault(oversize: &Oversize) -> Fault {
    let over = |what: &str, key: &'static str, most: usize| {
        Fault::new(ErrorCode::QueryTooComplex, what.replace('#', &most.to_string())).limit(key, most)
    };
    match *oversize {
        Oversize::Over(Bound::Depth, most) => {
            over("The operation is nested deeper than # levels of fields.", "limits.max_depth", most)
        }
        Oversize::Over(Bound::Fields, most) => {
            over("The document selects more than # fields, fragments written out.", "limits.max_fields", most)
        }
        Oversize::Over(Bound::Aliases, most) => {
            over("The document has more than # aliases, fragments written out.", "limits.max_aliases", most)
        }
        Oversize::Over(Bound::RootFields, most) => {
            over("The operation selects more than # fields at its root.", "limits.max_root_fields", most)
        }
        Oversize::Over(Bound::Directives, most) => {
            over("The document has more than # directives, fragments written out.", "limits.max_directives", most)
        }
        Oversize::Over(Bound::Tokens, most) => over("The document has more than # tokens.", "limits.max_tokens", most),
        Oversize::Nesting => Fault::new(ErrorCode::QueryTooComplex, "The document is nested too deep."),
        Oversize::Introspection => Fault::new(
            ErrorCode::QueryTooComplex,
            "Introspection nests its lists too deep, or asks for the schema too often.",
        ),
        Oversize::Circle => Fault::new(ErrorCode::InvalidInput, "A fragment must not contain itself."),
    }
}

/// The text of a panic.
pub(super) fn panic_text(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<&str>().copied();
    text.or_else(|| cause.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a text")
}

/// The status of a request that was refused before it was executed, by its first code.
pub(super) fn status_of(code: Option<ErrorCode>) -> StatusCode {
    match code {
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
    let mut response = refuse_with(status_of(faults.first().map(|fault| fault.code)), media, id, faults);
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"cosell\", error=\"invalid_token\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(Hint::RetryAfter(seconds)) = faults.first().and_then(|fault| fault.hint.as_ref()) {
        response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
    }
    response
}

/// An answer without data.
pub(super) fn refuse_with(status: StatusCode, media: Media, id: RequestId, faults: &[Fault]) -> Response {
    let errors: Vec<_> = faults.iter().take(MAX_ERRORS).map(|fault| server_error(fault, id)).collect();
    write(status, media, id, &Wire { errors: &errors, data: None, extensions: &std::collections::BTreeMap::new() })
}

/// An answer.
pub(super) fn write(status: StatusCode, media: Media, id: RequestId, wire: &impl Serialize) -> Response {
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
    if status == PARTIAL_SUCCESS {
        response.extensions_mut().insert(hyper::ext::ReasonPhrase::from_static(b"Partial Success"));
    }
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
