//! What is seen of each request: its id, its place in a trace, what it asked for, how it ended.
//!
//! One middleware makes the id and the trace context of a request and has them at hand for all that is done for it
//! ([`request_id`], [`outgoing`]); handlers note what they find out ([`member`], [`operation`], [`code`]). When the last
//! of its work is over, the request is counted, logged in one line, and handed to the exporter of spans. An operation on
//! a websocket is seen in the same way ([`message`]).
//!
//! Nothing here holds what a caller has sent but the operation's kind and name. No address is kept: it is personal data.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::KeyValue;
use serde_json::{Map, Value};
use tracing::Instrument as _;

use super::answer::{REQUEST_ID, RequestId};
use crate::domain::clock::Clock;
use crate::domain::id::MemberId;
use crate::error::ErrorCode;
use crate::operation::Kind;
use crate::store::tally::{Tally, counted};
use crate::telemetry::metrics::{Counts, NONE, OTHER, Present};
use crate::telemetry::spans::{Finished, Spans};
use crate::telemetry::trace::{TRACERESPONSE, TraceContext};

/// The paths that are named; of others only that they are others is kept.
const ROUTES: [&str; 6] = ["/graphql", "/graphql/stream", "/graphql/ws", "/livez", "/readyz", "/"];
/// Stands for the files below it.
const PLAYGROUND: &str = "/playground";
/// Those that nobody wants to read of every few seconds.
const PROBES: [&str; 2] = ["/livez", "/readyz"];
/// The code of what succeeded.
const OK: &str = "OK";
/// The code of what its caller did not wait for.
const GONE: &str = "(gone)";
/// The status that stands for it, as in the logs of nginx.
const CLIENT_CLOSED: u16 = 499;
/// The longest name of an operation in a line, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Where what is seen goes.
pub struct Observer {
    pub(crate) counts: Counts,
    spans: Option<Arc<Spans>>,
    clock: Arc<dyn Clock>,
}

impl Observer {
    /// Counts and logs.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { counts: Counts::default(), spans: None, clock }
    }

    /// The same, and hands spans to an exporter.
    pub(crate) fn with_spans(self, spans: Option<Arc<Spans>>) -> Self {
        Self { spans, ..self }
    }

    fn new_trace(&self) -> TraceContext {
        TraceContext::begin(self.spans.as_ref().is_some_and(|spans| spans.sample()))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

tokio::task_local! {
    static SEEN: Arc<Seen>;
}

/// A request, or an operation on a websocket. It is over when the last of its work lets go of this.
struct Seen {
    observer: Arc<Observer>,
    id: RequestId,
    context: TraceContext,
    tally: Arc<Tally>,
    begun: Instant,
    start: SystemTime,
    /// Of HTTP; none for an operation on a websocket.
    request: Option<(&'static str, &'static str)>,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    status: Option<u16>,
    member: Option<MemberId>,
    operation: Option<Operation>,
    code: Option<&'static str>,
}

struct Operation {
    kind: &'static str,
    name: Option<String>,
    begun: Instant,
    start: SystemTime,
    /// What the request had asked the database before.
    before: (u64, Duration),
}

/// Sees a request from its beginning to its end.
pub(super) async fn layer(State(observer): State<Arc<Observer>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let route = route_of(path);
    let method = method_name(request.method());
    let context = TraceContext::from_headers(request.headers()).unwrap_or_else(|| observer.new_trace());
    let seen = Seen::new(observer.clone(), context, RequestId::new(), Some((route, method)));
    let in_flight = Present::new(&observer.counts.in_flight);
    let mut response = within(seen.clone(), next.run(request)).await;
    drop(in_flight);
    seen.noted().status = Some(response.status().as_u16());
    let headers = response.headers_mut();
    if !headers.contains_key(REQUEST_ID)
        && let Ok(id) = HeaderValue::from_str(&seen.id.to_string())
    {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(TRACERESPONSE, seen.context.response(observer.spans.is_some()));
    response
}

/// Sees an operation on a websocket. Its message may name a trace as the headers of a request do:
/// `extensions.traceparent`, which is taken out, so that those who ask the same still share an execution.
pub(super) async fn message<T>(
    observer: Arc<Observer>,
    id: RequestId,
    context: Option<TraceContext>,
    work: impl Future<Output = T>,
) -> T {
    let context = context.unwrap_or_else(|| observer.new_trace());
    within(Seen::new(observer, context, id, None), work).await
}

/// Takes the trace out of the extensions of an operation.
pub(super) fn named_trace(extensions: &mut Map<String, Value>) -> Option<TraceContext> {
    let parent = extensions.remove("traceparent");
    let state = extensions.remove("tracestate");
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).and_then(|it| it.parse().ok());
    let mut headers = HeaderMap::new();
    headers.insert(crate::telemetry::trace::TRACEPARENT, text(&parent)?);
    if let Some(state) = text(&state) {
        headers.insert(crate::telemetry::trace::TRACESTATE, state);
    }
    TraceContext::from_headers(&headers)
}

/// Goes on with the present request in a task of its own: it is over when that is.
pub(super) fn detached<T>(work: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
    let seen = SEEN.try_with(Arc::clone).ok();
    async move {
        match seen {
            Some(seen) => within(seen, work).await,
            None => work.await,
        }
    }
}

async fn within<T>(seen: Arc<Seen>, work: impl Future<Output = T>) -> T {
    // Above all levels: also a warning says of which request it is.
    let span = tracing::error_span!(
        "request",
        request_id = %seen.id,
        trace_id = %seen.context,
        span_id = format_args!("{:016x}", seen.context.span_id),
    );
    let tally = seen.tally.clone();
    SEEN.scope(seen, counted(tally, work)).instrument(span).await
}

/// The id of the present request; one of its own outside of any.
pub(super) fn request_id() -> RequestId {
    SEEN.try_with(|seen| seen.id).unwrap_or_else(|_| RequestId::new())
}

/// What a call that is made for the present request carries.
pub(super) fn outgoing() -> HeaderMap {
    let context = SEEN.try_with(|seen| seen.context.child());
    context.unwrap_or_else(|_| TraceContext::begin(false)).headers()
}

/// Who calls.
pub(super) fn member(id: MemberId) {
    let _ = SEEN.try_with(|seen| seen.noted().member = Some(id));
}

/// What is asked for, once that is known. One that came before, in a batch, is over.
pub(super) fn operation(kind: Kind, name: Option<&str>) {
    let _ = SEEN.try_with(|seen| {
        let kind = kind.as_str();
        let name = name.map(|name| name[..name.floor_char_boundary(MAX_NAME_BYTES)].to_owned());
        let mut noted = seen.noted();
        seen.end_operation(&mut noted);
        noted.operation = Some(Operation {
            kind,
            name,
            begun: Instant::now(),
            start: SystemTime::from(seen.observer.clock.now()),
            before: (seen.tally.statements(), seen.tally.time()),
        });
        noted.code = None;
    });
}

/// How it ends: the first code counts.
pub(super) fn code(code: ErrorCode) {
    let _ = SEEN.try_with(|seen| {
        seen.noted().code.get_or_insert(code.as_str());
    });
}

impl Seen {
    fn new(
        observer: Arc<Observer>,
        context: TraceContext,
        id: RequestId,
        request: Option<(&'static str, &'static str)>,
    ) -> Arc<Self> {
        let start = SystemTime::from(observer.clock.now());
        let (tally, noted) = (Arc::default(), Mutex::default());
        Arc::new(Self { observer, id, context, tally, begun: Instant::now(), start, request, noted })
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation, and makes its span.
    fn end_operation(&self, noted: &mut Noted) {
        let Some(operation) = noted.operation.take() else { return };
        let Operation { kind, name, begun, start, before } = operation;
        let (took, code) = (begun.elapsed(), noted.code.unwrap_or(OK));
        let ends = kind != "subscription";
        let known = noted.member.is_some();
        self.observer.counts.operation(name.as_deref(), known, kind, code, ends.then_some(took));
        let Some(spans) = &self.observer.spans else { return };
        let statements = self.tally.statements() - before.0;
        let time = self.tally.time().saturating_sub(before.1);
        let mut attributes = vec![
            KeyValue::new("graphql.operation.type", kind),
            KeyValue::new("cosell.code", code),
            KeyValue::new("cosell.sql.statements", i64::try_from(statements).unwrap_or(i64::MAX)),
            KeyValue::new("cosell.sql.seconds", time.as_secs_f64()),
        ];
        let title = name.as_ref().map_or_else(|| kind.into(), |name| format!("{kind} {name}").into());
        attributes.extend(name.map(|name| KeyValue::new("graphql.operation.name", name)));
        let called = self.request.is_none();
        if called {
            attributes.push(KeyValue::new("cosell.request_id", self.id.to_string()));
        }
        let context = if called { self.context.clone() } else { self.context.child() };
        spans.take(Finished { context, called, name: title, start, took, attributes, failed: fault(code) });
    }

    fn end_request(&self, noted: &Noted, route: &'static str, method: &'static str, took: Duration) {
        let status = noted.status.unwrap_or(CLIENT_CLOSED);
        self.observer.counts.request(route, method, status);
        let Some(spans) = &self.observer.spans else { return };
        if PROBES.contains(&route) {
            return;
        }
        let attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route),
            KeyValue::new("http.response.status_code", i64::from(status)),
            KeyValue::new("cosell.request_id", self.id.to_string()),
        ];
        spans.take(Finished {
            context: self.context.clone(),
            called: true,
            name: format!("{method} {route}").into(),
            start: self.start,
            took,
            attributes,
            failed: if status >= 500 { Some("the server failed") } else { None },
        });
    }
}

/// A code that is the server's fault.
fn fault(code: &'static str) -> Option<&'static str> {
    [ErrorCode::Internal, ErrorCode::Unavailable].into_iter().map(ErrorCode::as_str).find(|it| *it == code)
}

impl Drop for Seen {
    fn drop(&mut self) {
        let mut noted = std::mem::take(&mut *self.noted());
        let took = self.begun.elapsed();
        let gone = self.request.is_some() && noted.status.is_none();
        if gone {
            noted.code = Some(GONE);
        }
        let asked = noted.operation.as_ref().map(|operation| (operation.kind, operation.name.clone()));
        let code = noted.code.or(asked.as_ref().map(|_| OK));
        if asked.is_some() {
            self.end_operation(&mut noted);
        } else if let Some(code) = code {
            // It was refused before anybody knew what it was.
            self.observer.counts.operation(None, false, NONE, code, None);
        }
        let (kind, name) = asked.map_or((None, None), |(kind, name)| (Some(kind), name));
        let (operation, member) = (name.as_deref(), noted.member.map(tracing::field::display));
        let (sql, sql_ms) = (self.tally.statements(), millis(self.tally.time()));
        let ms = millis(took);
        let (request_id, trace_id) = (tracing::field::display(self.id), tracing::field::display(&self.context));
        let span_id = tracing::field::display(format!("{:016x}", self.context.span_id));
        macro_rules! line {
            ($level:expr, $($more:tt)*) => {
                tracing::event!(
                    target: "cosell::access", $level, $($more)* kind, operation, code, ms, sql, sql_ms, member,
                    request_id, trace_id, span_id, "request"
                )
            };
        }
        let Some((route, method)) = self.request else {
            line!(tracing::Level::INFO, route = "/graphql/ws",);
            return;
        };
        self.end_request(&noted, route, method, took);
        let status = noted.status.unwrap_or(CLIENT_CLOSED);
        if PROBES.contains(&route) {
            line!(tracing::Level::DEBUG, method, route, status,);
        } else {
            line!(tracing::Level::INFO, method, route, status,);
        }
    }
}

fn millis(time: Duration) -> f64 {
    // To the microsecond.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn route_of(path: &str) -> &'static str {
    if path.strip_prefix(PLAYGROUND).is_some_and(|rest| rest.starts_with('/')) {
        return PLAYGROUND;
    }
    ROUTES.into_iter().find(|route| *route == path).unwrap_or(OTHER)
}

fn method_name(method: &Method) -> &'static str {
    let known = [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE, Method::PATCH];
    let names = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"];
    known.iter().zip(names).find(|(it, _)| *it == method).map_or(OTHER, |(_, name)| name)
}
