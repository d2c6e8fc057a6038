//! What goes back: one shape for every error, and none without `extensions.code`.

use std::any::Any;
use std::{fmt, io};

use async_graphql::{Response as GraphqlResponse, ServerError, Value};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use uuid::Uuid;

use super::negotiate::Media;
use super::{Refusal, internal, observe};
use crate::error::{Error, ErrorCode, Fault, Hint};
use crate::operation::Refused;

/// The most errors in one answer.
const MAX_ERRORS: usize = Refused::MOST;
/// The longest message, in bytes; the library repeats names and lines of the document in its own.
const MAX_MESSAGE_BYTES: usize = 500;
/// How large most answers are, at most.
const USUAL_BYTES: usize = 4 * 1024;
/// "Partial Success": data and errors, by the GraphQL-over-HTTP specification of September 2026. It is not registered;
/// who does not know it takes it for 200.
const PARTIAL_SUCCESS: StatusCode = match StatusCode::from_u16(294) {
    Ok(status) => status,
    Err(_) => StatusCode::OK,
};
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

/// A response that may be written, each of its errors with its code.
pub(super) struct Finished {
    response: GraphqlResponse,
    /// Whether nothing was executed: the document, its variables or the operation's name were at fault.
    pub(super) request_error: bool,
    /// Whether it could not be told which operation is meant.
    undetermined: bool,
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
        match media {
            Media::Json => StatusCode::OK,
            Media::GraphqlResponse if self.response.errors.is_empty() => StatusCode::OK,
            Media::GraphqlResponse if !self.request_error => PARTIAL_SUCCESS,
            Media::GraphqlResponse if self.undetermined => StatusCode::UNPROCESSABLE_ENTITY,
            Media::GraphqlResponse => StatusCode::BAD_REQUEST,
        }
    }

    /// Says that there are more errors than are told.
    fn omit(&mut self, errors: usize) {
        if errors > 0 {
            self.response.extensions.insert("errorsOmitted".to_owned(), errors.into());
        }
    }

    /// Whether there are errors and no data at all.
    pub(super) fn failed(&self) -> bool {
        self.response.data == Value::Null && !self.response.errors.is_empty()
    }
}

/// An operation that was not executed.
pub(super) fn refused(refused: Refused, id: RequestId) -> Finished {
    let Refused { refusals, omitted, undetermined, .. } = refused;
    let response = GraphqlResponse::from_errors(refusals.into_iter().map(ServerError::from).collect());
    let mut finished = finish(response, id);
    finished.omit(omitted);
    Finished { request_error: true, undetermined, ..finished }
}

/// Gives each error its code, hides what is not the caller's, and bounds their number and size.
pub(super) fn finish(mut response: GraphqlResponse, id: RequestId) -> Finished {
    let omitted = response.errors.len().saturating_sub(MAX_ERRORS);
    response.errors.truncate(MAX_ERRORS);
    for error in &mut response.errors {
        complete(error, id);
    }
    let mut finished = Finished { response, request_error: false, undetermined: false };
    finished.omit(omitted);
    finished
}

/// An error without a code is one that nobody has thought of.
fn complete(error: &mut ServerError, id: RequestId) {
    let extensions = error.extensions.get_or_insert_default();
    if let Some(Value::String(code)) = extensions.get("code") {
        ErrorCode::parse(code).into_iter().for_each(observe::code);
        if code == ErrorCode::Internal.as_str() {
            extensions.set("requestId", id.to_string());
        }
    } else {
        observe::code(ErrorCode::Internal);
        tracing::error!(request_id = %id, cause = %error.message, path = ?error.path, "a resolver failed");
        error.message = internal(id).message;
        extensions.set("code", ErrorCode::Internal.as_str());
        extensions.set("requestId", id.to_string());
    }
    shorten(&mut error.message);
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
    let mut extensions = crate::operation::extensions(fault);
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
    let wire = Wire { errors: &errors, data: None, extensions: &std::collections::BTreeMap::new() };
    // Twenty errors of a bounded size each.
    write(status, media, id, &wire, usize::MAX)
}

/// An answer, of at most so many bytes.
pub(super) fn write(status: StatusCode, media: Media, id: RequestId, wire: &impl Serialize, max: usize) -> Response {
    let (status, body) = match encode(wire, max, id) {
        Ok(body) => (status, body),
        Err(fault) => {
            let error = server_error(&fault, id);
            let null = Value::Null;
            let wire = Wire { errors: &[error], data: Some(&null), extensions: &std::collections::BTreeMap::new() };
            let status = match (fault.code, media) {
                (ErrorCode::Internal, _) => StatusCode::INTERNAL_SERVER_ERROR,
                (_, Media::Json) => StatusCode::OK,
                (_, Media::GraphqlResponse) => PARTIAL_SUCCESS,
            };
            (status, serde_json::to_vec(&wire).unwrap_or_default())
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

/// The JSON of an answer.
///
/// # Errors
/// It would be larger than `max` bytes: then no more than that was made of it. Or it can't be written, which is logged.
pub(super) fn encode(wire: &impl Serialize, max: usize, id: RequestId) -> Result<Vec<u8>, Fault> {
    /// Takes up to so many bytes.
    struct Room {
        bytes: Vec<u8>,
        max: usize,
    }

    impl io::Write for Room {
        fn write(&mut self, more: &[u8]) -> io::Result<usize> {
            if self.bytes.len() + more.len() > self.max {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            self.bytes.extend_from_slice(more);
            Ok(more.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut room = Room { bytes: Vec::with_capacity(USUAL_BYTES.min(max)), max };
    match serde_json::to_writer(&mut room, wire) {
        Ok(()) => Ok(room.bytes),
        Err(cause) if cause.io_error_kind() == Some(io::ErrorKind::FileTooLarge) => {
            let message = format!(
                "The answer is larger than {max} bytes: select fewer fields, or ask for smaller pages. What a mutation \
                 has changed stays changed."
            );
            Err(Fault::new(ErrorCode::QueryTooComplex, message).limit("limits.max_answer_bytes", max))
        }
        Err(cause) => {
            tracing::error!(request_id = %id, %cause, "an answer can't be written");
            Err(internal(id))
        }
    }
}

/// Puts the request's id into the answer's headers.
pub(super) fn name(response: &mut Response, id: RequestId) {
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}
