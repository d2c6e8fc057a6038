//! The "single connection mode": one event stream carries the results of many operations, for browsers over HTTP/1, which
//! open six connections to a server at most.
//!
//! A member reserves a stream (PUT) and gets a token for it, opens it once (GET or POST for `text/event-stream`), and asks
//! in requests of their own (GET or POST), which are answered 202 once their operations have begun. Operations are told
//! apart by ids of the client's; DELETE stops one. They may be asked for before the stream is open: their results wait. A
//! stream that is not opened in time is gone, and so is one whose connection has ended: a client begins anew.
//!
//! The token says which stream is meant, not who asks: each request has a bearer token of the same member besides. To all
//! others the stream is unknown.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::{Executor, ServerError};
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    ALIVE, QUEUE, caller, check_open, last_errors, late, plain, refusal, refused_payload, send, stream_of, take_seat,
};
use crate::domain::actor::Member;
use crate::domain::id::MemberId;
use crate::error::{ErrorCode, Fault, Reason};
use crate::http::answer::{self, RequestId, Wire};
use crate::http::graphql::{self, Early};
use crate::http::live::{self, Over, Recipient};
use crate::http::negotiate::{self, Media};
use crate::http::operation::{self, Ready};
use crate::http::server::{Ending, Seat};
use crate::http::{App, AuthError, Refusal, Viewer, observe};
use crate::operation::Kind;
use crate::telemetry::metrics::Present;

/// Says which stream is meant. In the URL it is the parameter `token`, for browsers' `EventSource`, which sets no headers.
const TOKEN: HeaderName = HeaderName::from_static("x-graphql-event-stream-token");
/// The longest id of an operation, in bytes: each of its events repeats it.
const MAX_ID_BYTES: usize = 256;
const METHODS: &str = "GET, HEAD, POST, PUT, DELETE";

/// Whether a request to `/graphql/stream` is one of this mode.
pub(super) fn is_meant(request: &Request) -> bool {
    match *request.method() {
        // It must not open what can be opened once.
        Method::HEAD => false,
        Method::GET | Method::POST => token(request.headers().get(TOKEN), request.uri()).is_some(),
        _ => true,
    }
}

fn token<'a>(header: Option<&'a HeaderValue>, uri: &'a Uri) -> Option<Cow<'a, str>> {
    let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()));
    header.filter(|token| !token.is_empty()).or_else(|| parameter(uri, "token"))
}

fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<Cow<'a, str>> {
    let mut all = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    all.find(|(it, value)| it == name && !value.is_empty()).map(|(_, value)| value)
}

/// Answers one request.
pub(super) async fn handle<E: Executor>(
    app: &Arc<App<E>>,
    reservations: &Arc<Reservations>,
    request: Request,
) -> Response {
    let id = observe::request_id();
    let _open = app.sockets.request();
    answer_to(app, reservations, request, id).await.unwrap_or_else(|early| early.answer(Media::Json, id))
}

async fn answer_to<E: Executor>(
    app: &Arc<App<E>>,
    reservations: &Arc<Reservations>,
    request: Request,
    id: RequestId,
) -> Result<Response, Early> {
    let (parts, body) = request.into_parts();
    check_open(app)?;
    app.rates.of_address(&parts)?;
    if !matches!(parts.method, Method::GET | Method::POST | Method::PUT | Method::DELETE) {
        return Err(Early::not_allowed(METHODS, "Use PUT, GET, POST or DELETE."));
    }
    let (Viewer::Member(member), Some(expires_at)) = caller(app, &parts, id).await? else {
        return Err(answer::refusal_faults(Refusal::Token(AuthError::Missing), id).into());
    };
    if parts.method == Method::PUT {
        return reserve(app, reservations, &parts, &member, id);
    }
    let stream = reservations.find(&parts, member.id).ok_or_else(unknown)?;
    if parts.method == Method::DELETE {
        return end_one(&stream, &parts.uri, id);
    }
    if negotiate::prefers_events(&parts.headers) {
        let events = stream.open(expires_at)?;
        return Ok(stream_of(events, stream, app.config.limits.ws_ping_interval, id));
    }
    operate(app, &stream, (parts, body), (member, expires_at), id).await
}

fn unknown() -> Early {
    let message = "You have no such event stream: reserve one with PUT, and open it soon.";
    Early::with(StatusCode::NOT_FOUND, Fault::new(ErrorCode::NotFound, message))
}

fn conflict(message: impl Into<String>) -> Early {
    Early::with(StatusCode::CONFLICT, Fault::because(Reason::StreamTaken, message))
}

fn reserve<E: Executor>(
    app: &Arc<App<E>>,
    reservations: &Arc<Reservations>,
    parts: &Parts,
    member: &Member,
    id: RequestId,
) -> Result<Response, Early> {
    if !negotiate::takes(&parts.headers, "text/plain") {
        return Err(Early::invalid(StatusCode::NOT_ACCEPTABLE, "The stream's token comes as text/plain: accept that."));
    }
    app.rates.of_member(member.id, NonZeroU32::MIN)?;
    let token = reservations.reserve(app, member.id, take_seat(app, member)?, id);
    let mut response = plain(StatusCode::CREATED, token.to_string(), id);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

fn end_one(stream: &Stream, uri: &Uri, id: RequestId) -> Result<Response, Early> {
    let Some(name) = parameter(uri, "operationId") else {
        let message = "Say which operation to stop: the parameter `operationId` is missing.";
        return Err(Early::invalid(StatusCode::BAD_REQUEST, message));
    };
    // One that is over already is as good as stopped.
    stream.stop(&name);
    Ok(plain(StatusCode::OK, Body::empty(), id))
}

/// Begins an operation whose results come through the stream.
async fn operate<E: Executor>(
    app: &Arc<App<E>>,
    stream: &Arc<Stream>,
    (parts, body): (Parts, Body),
    (member, expires_at): (Member, DateTime<Utc>),
    id: RequestId,
) -> Result<Response, Early> {
    let Some(media) = negotiate::accepted(&parts.headers) else {
        let message = "Accept text/event-stream to open the stream, or application/json to begin an operation.";
        return Err(Early::invalid(StatusCode::NOT_ACCEPTABLE, message));
    };
    let get = graphql::is_get(&parts)?;
    graphql::check_type(&parts, get)?;
    app.rates.of_member(member.id, NonZeroU32::MIN)?;
    let mut params = graphql::params(app, &parts, body, get).await?;
    let name = operation_id(params.extensions.remove("operationId"))?;
    let viewer = Arc::new(Viewer::Member(member));
    let ready = match operation::ready(app, &viewer, &params) {
        Ok(ready) if get && ready.kind() == Kind::Mutation => return Err(Early::mutation_over_get()),
        Ok(ready) => ready,
        Err(why) => {
            let errors = last_errors(live::refused(why, id), id).unwrap_or_default();
            return Ok(refused(&errors, media, id));
        }
    };
    let (begun, begins) = oneshot::channel();
    stream.enter(&name, app.config.limits.ws_max_operations, |ticket, out| {
        let recipient = ToShared {
            head: format!("event: next\ndata: {{\"id\":{},\"payload\":", Value::from(name.as_str())),
            waits: ready.kind() == Kind::Subscription,
            begun: Some(begun),
            patience: app.config.limits.ws_send_timeout,
            stream: stream.clone(),
            out,
        };
        let ending = app.sockets.enter();
        run(Operation { app: app.clone(), viewer, expires_at, ready, ending, recipient, ticket }, id)
    })?;
    match timeout(app.config.limits.request_timeout, begins).await {
        Ok(Ok(Ok(()))) => Ok(plain(StatusCode::ACCEPTED, Body::empty(), id)),
        Ok(Ok(Err(errors))) => Ok(refused(&errors, media, id)),
        // It was stopped before.
        Ok(Err(_)) => check_open(app).map(|()| plain(StatusCode::NO_CONTENT, Body::empty(), id)),
        Err(_) => {
            stream.stop(&name);
            Err(late())
        }
    }
}

fn operation_id(value: Option<Value>) -> Result<String, Early> {
    match value {
        Some(Value::String(name)) if (1..=MAX_ID_BYTES).contains(&name.len()) => Ok(name),
        _ => {
            let message = format!("extensions.operationId must be a string of 1 to {MAX_ID_BYTES} bytes.");
            let fault = Fault::invalid("extensions.operationId", message);
            Err(Early::with(StatusCode::BAD_REQUEST, fault))
        }
    }
}

/// The answer to an operation that was not executed. Its status tells so whatever the caller accepts, as one of success
/// would have other statuses here than at `/graphql`.
fn refused(errors: &[ServerError], media: Media, id: RequestId) -> Response {
    let code = errors.first().and_then(|error| match error.extensions.as_ref()?.get("code")? {
        async_graphql::Value::String(code) => ErrorCode::parse(code),
        _ => None,
    });
    let wire = Wire { errors, data: None, extensions: &std::collections::BTreeMap::new() };
    answer::write(answer::status_of(code), media, id, &wire, usize::MAX)
}

/// The streams that are reserved or open on this server.
#[derive(Default)]
pub(in crate::http) struct Reservations(Mutex<HashMap<Uuid, Arc<Stream>>>);

impl Reservations {
    fn all(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Stream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream that a request means, where it is its member's.
    fn find(&self, parts: &Parts, member: MemberId) -> Option<Arc<Stream>> {
        let token = Uuid::try_parse(&token(parts.headers.get(TOKEN), &parts.uri)?).ok()?;
        self.all().get(&token).filter(|stream| stream.member == member).cloned()
    }

    fn reserve<E: Executor>(self: &Arc<Self>, app: &Arc<App<E>>, member: MemberId, seat: Seat, id: RequestId) -> Uuid {
        let token = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let (out, events) = mpsc::channel(QUEUE);
        // Some browsers tell of an open stream only once something has come.
        let _ = out.try_send(ALIVE.to_owned());
        let (opened, opens) = oneshot::channel();
        let state = State { out: Some(out.clone()), unopened: Some((events, opened)), ..State::default() };
        let stream = Arc::new(Stream { member, _seat: seat, state: Mutex::new(state), stuck: Notify::new() });
        self.all().insert(token, stream.clone());
        let (app, reservations, ending) = (app.clone(), self.clone(), app.sockets.enter());
        tokio::spawn(async move {
            let last = stream.last(&app, &out, opens, ending).await;
            reservations.all().remove(&token);
            stream.end(last, out, app.config.limits.ws_send_timeout, id).await;
        });
        token
    }
}

/// A stream from its reservation to its end.
struct Stream {
    member: MemberId,
    /// Its place among the member's; given back with the connection.
    _seat: Seat,
    state: Mutex<State>,
    /// An operation's client takes nothing.
    stuck: Notify,
}

#[derive(Default)]
struct State {
    /// For operations; nothing once the stream is over.
    out: Option<mpsc::Sender<String>>,
    /// For who opens it; nothing once that is done.
    unopened: Option<(mpsc::Receiver<String>, oneshot::Sender<DateTime<Utc>>)>,
    /// By the client's ids, each with its number, because an id may be used again once its operation is over.
    running: HashMap<String, (u64, JoinHandle<()>)>,
    count: u64,
}

/// Why a stream ends.
enum Last {
    /// It was not opened in time, its connection has ended, or it takes nothing.
    Gone,
    /// The token that it was opened with has ended.
    Expired,
    /// The server ends.
    Ending,
}

impl Stream {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be sent, for the one connection that it is sent to.
    fn open(&self, expires_at: DateTime<Utc>) -> Result<mpsc::Receiver<String>, Early> {
        let mut state = self.state();
        if state.out.is_none() {
            return Err(unknown());
        }
        let Some((events, opened)) = state.unopened.take() else {
            return Err(conflict("The event stream is open already, on one connection at a time."));
        };
        // Whoever keeps the stream waits for it.
        let _ = opened.send(expires_at);
        Ok(events)
    }

    /// Starts an operation.
    fn enter<F>(
        self: &Arc<Self>,
        name: &str,
        max: usize,
        run: impl FnOnce(Ticket, mpsc::Sender<String>) -> F,
    ) -> Result<(), Early>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.state();
        let Some(out) = state.out.clone() else { return Err(unknown()) };
        if state.running.contains_key(name) {
            return Err(conflict(format!("An operation with the id {name} runs already.")));
        }
        if state.running.len() >= max {
            let message = format!("On one event stream at most {max} operations run at a time.");
            return Err(Fault::new(ErrorCode::RateLimited, message).into());
        }
        state.count += 1;
        let number = state.count;
        let ticket = Ticket { stream: self.clone(), name: name.to_owned(), number };
        // On the heap once: each layer around it would hold it again. Its end needs the lock that is held here, so that it
        // can't be over before it is entered.
        let task = tokio::spawn(observe::detached(Box::pin(run(ticket, out))));
        state.running.insert(name.to_owned(), (number, task));
        Ok(())
    }

    /// Stops an operation, where there is one of that name.
    fn stop(&self, name: &str) {
        let stopped = self.state().running.remove(name);
        if let Some((_, task)) = stopped {
            task.abort();
        }
    }

    /// Waits for the stream's end.
    async fn last<E: Executor>(
        &self,
        app: &App<E>,
        out: &mpsc::Sender<String>,
        mut opens: oneshot::Receiver<DateTime<Utc>>,
        mut ending: Ending,
    ) -> Last {
        let opened = tokio::select! {
            opened = timeout(app.config.limits.ws_init_timeout, &mut opens) => opened,
            () = self.stuck.notified() => return Last::Gone,
            () = ending.wait() => return Last::Ending,
        };
        let expires_at = match opened {
            Ok(opened) => opened,
            // Nobody can open it any more, unless somebody just has.
            Err(_) if self.state().unopened.take().is_some() => return Last::Gone,
            Err(_) => opens.await,
        };
        let Ok(expires_at) = expires_at else { return Last::Gone };
        let _open = Present::new(&app.observer.counts.streams);
        tokio::select! {
            () = app.expiry(expires_at) => Last::Expired,
            () = out.closed() => Last::Gone,
            () = self.stuck.notified() => Last::Gone,
            () = ending.wait() => Last::Ending,
        }
    }

    /// Ends it. The connection ends once nobody can send any more.
    async fn end(&self, last: Last, out: mpsc::Sender<String>, patience: Duration, id: RequestId) {
        let stopped = {
            let mut state = self.state();
            state.out = None;
            state.unopened = None;
            match last {
                // They bring what happened before the end, and are over then.
                Last::Ending => return,
                Last::Gone | Last::Expired => std::mem::take(&mut state.running),
            }
        };
        for (_, task) in stopped.values() {
            task.abort();
        }
        if !matches!(last, Last::Expired) {
            return;
        }
        let over = refusal(Refusal::Token(AuthError::Expired), id);
        let payload = refused_payload(&last_errors(over, id).unwrap_or_default());
        for (name, (_, task)) in stopped {
            // What it was about to send comes before its end.
            let _ = task.await;
            let id = Value::from(name);
            for event in [
                format!("event: next\ndata: {{\"id\":{id},\"payload\":{payload}}}\n\n"),
                format!("event: complete\ndata: {{\"id\":{id}}}\n\n"),
            ] {
                if !send(&out, event, patience).await {
                    return;
                }
            }
        }
    }
}

/// An operation's place among those of its stream.
struct Ticket {
    stream: Arc<Stream>,
    name: String,
    number: u64,
}

impl Ticket {
    /// Frees the id; whether it was still this operation's. It is done before the client hears of the end, so that it can
    /// use the id again at once.
    fn free(&self) -> bool {
        let mut state = self.stream.state();
        let ours = state.running.get(&self.name).is_some_and(|(number, _)| *number == self.number);
        if ours {
            state.running.remove(&self.name);
        }
        ours
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.free();
    }
}

struct Operation<E> {
    app: Arc<App<E>>,
    viewer: Arc<Viewer>,
    expires_at: DateTime<Utc>,
    ready: Ready<E>,
    ending: Ending,
    recipient: ToShared,
    ticket: Ticket,
}

/// Carries an operation to its end, its token's, or the server's.
async fn run<E: Executor>(operation: Operation<E>, id: RequestId) {
    let Operation { app, viewer, expires_at, ready, ending, mut recipient, ticket } = operation;
    let over = tokio::select! {
        over = live::carry(&app, &viewer, ready, id, ending, &mut recipient) => over,
        () = app.expiry(expires_at) => refusal(Refusal::Token(AuthError::Expired), id),
    };
    // Who was stopped says no more.
    if !ticket.free() {
        return;
    }
    // What was not executed is answered by its request; what its resolver refused has a path, and comes as a result.
    if let Over::Refused(errors) = &over
        && errors.iter().all(|error| error.path.is_empty())
        && let Some(begun) = recipient.begun.take()
    {
        // The caller may be gone.
        let _ = begun.send(Err(errors.clone()));
        return;
    }
    let Some(errors) = last_errors(over, id) else { return };
    if !errors.is_empty() && !recipient.bring(refused_payload(&errors)).await {
        return;
    }
    recipient.has_begun();
    recipient.send(format!("event: complete\ndata: {{\"id\":{}}}\n\n", Value::from(ticket.name.as_str()))).await;
}

/// Brings an operation's results to a stream.
struct ToShared {
    stream: Arc<Stream>,
    out: mpsc::Sender<String>,
    /// An event up to its payload.
    head: String,
    /// Whether it has begun once its start is fixed, and not with its first result.
    waits: bool,
    /// Its request waits for it to begin, or to be refused.
    begun: Option<oneshot::Sender<Result<(), Arc<[ServerError]>>>>,
    /// How long a client may take nothing.
    patience: Duration,
}

impl ToShared {
    fn has_begun(&mut self) {
        // The caller may be gone.
        let _ = self.begun.take().map(|begun| begun.send(Ok(())));
    }

    async fn send(&self, event: String) -> bool {
        let sent = send(&self.out, event, self.patience).await;
        if !sent {
            self.stream.stuck.notify_one();
        }
        sent
    }
}

impl Recipient for ToShared {
    fn started(&mut self) {
        if self.waits {
            self.has_begun();
        }
    }

    async fn bring(&mut self, payload: Arc<str>) -> bool {
        self.has_begun();
        self.send(format!("{}{payload}}}\n\n", self.head)).await
    }
}
