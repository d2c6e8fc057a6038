//! `/graphql`, by the GraphQL-over-HTTP specification.
//!
//! Stricter than the library's own handler where that one is unsafe: a body is read only as `application/json`
//! (a form could be posted across origins), and over GET nothing but queries is executed.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::Executor;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::{Map, Value};

use super::answer::{self, Finished, RequestId};
use super::negotiate::{self, Media};
use super::operation::{self, Broken, Params};
use super::{App, Refusal, Viewer, auth, observe, sse};
use crate::error::{ErrorCode, Fault};
use crate::operation::Kind;

/// The longest parameters in a URL; what is longer than all headers may be never comes so far and is 431.
const MAX_URL_BYTES: usize = 32 * 1024;

/// Where subscriptions are served.
const SUBSCRIPTIONS: &str = "Subscriptions are served over the websocket at /graphql/ws, and as event streams to clients that \
                             accept text/event-stream.";

/// Answers one request.
pub(super) async fn handle<E: Executor>(State(app): State<Arc<App<E>>>, request: Request) -> Response {
    if negotiate::prefers_events(request.headers()) {
        return sse::distinct(&app, request).await;
    }
    let id = observe::request_id();
    let _open = app.sockets.request();
    let media = negotiate::accepted(request.headers());
    let answered = answer_to(&app, request, media, id).await;
    answered.unwrap_or_else(|early| early.answer(media.unwrap_or(Media::Json), id))
}

/// A request that ends before there is an operation; without a status it is that of the first fault.
pub(super) struct Early {
    status: Option<(StatusCode, Option<&'static str>)>,
    faults: Vec<Fault>,
}

impl Early {
    pub(super) fn answer(self, media: Media, id: RequestId) -> Response {
        let Some((status, allow)) = self.status else { return answer::refuse(media, id, &self.faults) };
        let mut response = answer::refuse_with(status, media, id, &self.faults);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }

    /// The same as one answer among several.
    fn finished(self, id: RequestId) -> Finished {
        answer::refused(self.faults.into(), id)
    }

    pub(super) fn mutation_over_get() -> Self {
        Self::not_allowed("POST", "Over GET no mutations are executed; use POST.")
    }

    pub(super) fn invalid(status: StatusCode, message: impl Into<String>) -> Self {
        Self::with(status, Fault::new(ErrorCode::InvalidInput, message))
    }

    pub(super) fn with(status: StatusCode, fault: Fault) -> Self {
        Self { status: Some((status, None)), faults: vec![fault] }
    }

    pub(super) fn not_allowed(allow: &'static str, message: &str) -> Self {
        Self {
            status: Some((StatusCode::METHOD_NOT_ALLOWED, Some(allow))),
            faults: vec![Fault::new(ErrorCode::InvalidInput, message)],
        }
    }
}

impl From<Fault> for Early {
    fn from(fault: Fault) -> Self {
        vec![fault].into()
    }
}

impl From<Vec<Fault>> for Early {
    fn from(faults: Vec<Fault>) -> Self {
        Self { status: None, faults }
    }
}

async fn answer_to<E: Executor>(
    app: &App<E>,
    request: Request,
    media: Option<Media>,
    id: RequestId,
) -> Result<Response, Early> {
    let (parts, body) = request.into_parts();
    app.rates.of_address(&parts)?;
    let get = is_get(&parts)?;
    let Some(media) = media else {
        let message = "Accept application/json or application/graphql-response+json.";
        return Err(Early::invalid(StatusCode::NOT_ACCEPTABLE, message));
    };
    check_type(&parts, get)?;
    let viewer =
        viewer(app, &parts.headers).await.map_err(|refusal| Early::from(answer::refusal_faults(refusal, id)))?;
    let asked = if get { Asked::One(params(app, &parts, body, get).await?) } else { asked(app, &parts, body).await? };
    if let Some(member) = viewer.member() {
        app.rates.of_member(member.id, asked.operations())?;
    }
    let limit = app.config.limits.request_timeout;
    let most = app.config.limits.max_answer_bytes;
    match asked {
        Asked::One(params) => {
            let finished = execute(app, &viewer, &params, get, limit, id).await?;
            Ok(answer::write(finished.status(media), media, id, &finished.wire(), most))
        }
        Asked::Batch(all) => {
            let until = Instant::now() + limit;
            let mut answers = Vec::with_capacity(all.len());
            for params in all {
                // One after the other, as they stand, and all of them within the time of one.
                let left = until.saturating_duration_since(Instant::now());
                let refused = |early: Early| early.finished(id);
                if left.is_zero() {
                    answers.push(refused(vec![Broken::Late(limit).fault(id)].into()));
                    continue;
                }
                answers.push(execute(app, &viewer, &params, get, left, id).await.unwrap_or_else(refused));
            }
            let wires: Vec<_> = answers.iter().map(Finished::wire).collect();
            Ok(answer::write(StatusCode::OK, media, id, &wires, most))
        }
    }
}

/// What a body asks for.
enum Asked {
    One(Params),
    /// Several operations, at least one.
    Batch(Vec<Params>),
}

impl Asked {
    fn operations(&self) -> NonZeroU32 {
        let operations = match self {
            Self::One(_) => 1,
            Self::Batch(all) => u32::try_from(all.len()).unwrap_or(u32::MAX),
        };
        NonZeroU32::new(operations).unwrap_or(NonZeroU32::MIN)
    }
}

/// Reads a body: an operation, or where batches are taken an array of them.
async fn asked<E: Executor>(app: &App<E>, parts: &Parts, body: Body) -> Result<Asked, Early> {
    let bad = |message: String| Early::invalid(StatusCode::BAD_REQUEST, message);
    let most = app.config.limits.max_batch;
    match body_json(app, parts, body).await? {
        Value::Array(all) if most > 1 => {
            if all.is_empty() {
                return Err(bad("The array of operations is empty.".to_owned()));
            }
            if all.len() > most {
                let message = format!("At most {most} operations are taken in one request.");
                let fault = Fault::new(ErrorCode::QueryTooComplex, message).limit("limits.max_batch", most);
                return Err(vec![fault].into());
            }
            Ok(Asked::Batch(all.into_iter().map(Params::from_json).collect::<Result<_, _>>().map_err(bad)?))
        }
        value => Ok(Asked::One(Params::from_json(value).map_err(bad)?)),
    }
}

/// Executes one operation to its finished response.
async fn execute<E: Executor>(
    app: &App<E>,
    viewer: &Viewer,
    params: &Params,
    get: bool,
    limit: Duration,
    id: RequestId,
) -> Result<Finished, Early> {
    let ready = match operation::ready(app, viewer, params) {
        Err(refused) => return Ok(answer::refused(refused, id)),
        Ok(ready) => ready,
    };
    match ready.kind() {
        Kind::Mutation if get => Err(Early::not_allowed("POST", "Over GET only queries are executed; use POST.")),
        Kind::Subscription if get => Err(Early::not_allowed("POST", SUBSCRIPTIONS)),
        Kind::Subscription => Ok(answer::refused(Fault::new(ErrorCode::InvalidInput, SUBSCRIPTIONS).into(), id)),
        Kind::Query | Kind::Mutation => match ready.execute(limit, id).await {
            Ok(response) => Ok(answer::finish(response, id)),
            Err(broken) => Err(Early::from(vec![broken.fault(id)])),
        },
    }
}

/// Whether the parameters stand in the URL.
pub(super) fn is_get(parts: &Parts) -> Result<bool, Early> {
    match parts.method {
        Method::GET | Method::HEAD => Ok(true),
        Method::POST => Ok(false),
        _ => Err(Early::not_allowed("GET, HEAD, POST", "Use POST, or GET for queries.")),
    }
}

/// Refuses a body that is not labelled as JSON: a browser would send it across origins without asking.
pub(super) fn check_type(parts: &Parts, get: bool) -> Result<(), Early> {
    if get || negotiate::is_json(&parts.headers) {
        return Ok(());
    }
    let message = "The body must be sent as application/json, in UTF-8.";
    Err(Early::invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

/// The parameters, from the URL or the body.
pub(super) async fn params<E: Executor>(app: &App<E>, parts: &Parts, body: Body, get: bool) -> Result<Params, Early> {
    let bad = |message: String| Early::invalid(StatusCode::BAD_REQUEST, message);
    if get {
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > MAX_URL_BYTES {
            let message = format!("The URL must not be longer than {MAX_URL_BYTES} bytes; use POST.");
            return Err(Early::invalid(StatusCode::URI_TOO_LONG, message));
        }
        return from_query(query).map_err(bad);
    }
    Params::from_json(body_json(app, parts, body).await?).map_err(bad)
}

async fn body_json<E: Executor>(app: &App<E>, parts: &Parts, body: Body) -> Result<Value, Early> {
    let bytes = read(app, &parts.headers, body).await?;
    let bad = |fault| Early::invalid(StatusCode::BAD_REQUEST, format!("The body is not JSON: {fault}."));
    serde_json::from_slice(&bytes).map_err(bad)
}

async fn viewer<E: Executor>(app: &App<E>, headers: &HeaderMap) -> Result<Viewer, Refusal> {
    match auth::bearer(headers).map_err(Refusal::Token)? {
        None => Ok(Viewer::Anonymous),
        Some(token) => Ok(Viewer::Member(app.member(token).await?.0)),
    }
}

/// The body, up to the limit, within the time limit.
async fn read<E: Executor>(app: &App<E>, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Early> {
    let limits = &app.config.limits;
    let limit = limits.max_body_bytes;
    let too_large =
        || Early::invalid(StatusCode::PAYLOAD_TOO_LARGE, format!("The body must not be larger than {limit} bytes."));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let reading = async {
        let mut bytes = Vec::with_capacity(announced.unwrap_or(0));
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk =
                chunk.map_err(|_| Early::invalid(StatusCode::BAD_REQUEST, "The body could not be read to its end."))?;
            if bytes.len() + chunk.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    tokio::time::timeout(limits.request_timeout, reading).await.unwrap_or_else(|_| {
        Err(Early {
            status: Some((StatusCode::REQUEST_TIMEOUT, None)),
            faults: vec![Fault::new(ErrorCode::Unavailable, "The body did not arrive in time.")],
        })
    })
}

/// The parameters of a GET; `variables` and `extensions` are JSON in a string.
fn from_query(query: &str) -> Result<Params, String> {
    let mut object = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = match name.as_ref() {
            "query" | "operationName" | "variables" | "extensions" | "documentId" if value.is_empty() => Value::Null,
            "query" | "operationName" | "documentId" => Value::String(value.into_owned()),
            "variables" | "extensions" => {
                serde_json::from_str(&value).map_err(|fault| format!("The parameter `{name}` is not JSON: {fault}."))?
            }
            _ => continue,
        };
        if object.insert(name.clone().into_owned(), value).is_some() {
            return Err(format!("The parameter `{name}` is there more than once."));
        }
    }
    Params::from_json(Value::Object(object))
}
