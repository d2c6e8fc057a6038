//! Operations as event streams, by GraphQL over Server-Sent Events (the protocol of the npm package `graphql-sse`), for
//! clients behind proxies that break websockets.
//!
//! In the "distinct connections mode" each operation is a request of its own; its answer is a stream of events `next` that
//! ends with `complete`. What refuses the caller is answered by its status; what refuses the operation comes as a `next`
//! with errors. A stream that ends without `complete` was cut off: the client starts again after its last cursor, which
//! each result of a subscription carries as its `id`. It is served at `/graphql/stream`, and at `/graphql` for who asks
//! for event streams. In the "single connection mode" ([`single`]), at `/graphql/stream` alone, one stream carries what
//! many requests ask for.

pub(super) mod single;

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Executor, ServerError};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::stream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use self::single::Reservations;
use super::answer::{self, RequestId};
use super::graphql::{self, Early};
use super::live::{self, Over, Recipient};
use super::negotiate::{self, Media};
use super::operation::{self, Ready};
use super::server::{Ending, Seat};
use super::{App, AuthError, Refusal, Viewer, observe};
use crate::domain::actor::Member;
use crate::domain::id::CompanyId;
use crate::error::{Error, ErrorCode, Fault, Reason};
use crate::feed::Feed;
use crate::operation::Kind;
use crate::telemetry::metrics::Present;

/// Events that wait for the client; an operation waits instead of making more.
const QUEUE: usize = 16;
/// A comment, which says that the stream is alive.
const ALIVE: &str = ":\n\n";
/// Where a client was when its stream was cut off: the `id` of the last event that it got.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Answers a request to `/graphql/stream`.
pub(super) async fn handle<E: Executor>(
    State(app): State<Arc<App<E>>>,
    Extension(reservations): Extension<Arc<Reservations>>,
    request: Request,
) -> Response {
    if single::is_meant(&request) {
        return single::handle(&app, &reservations, request).await;
    }
    distinct(&app, request).await
}

/// Answers a request with the stream of its operation.
pub(super) async fn distinct<E: Executor>(app: &Arc<App<E>>, request: Request) -> Response {
    let id = observe::request_id();
    match begin(app, request, id).await {
        Err(early) => early.answer(Media::Json, id),
        Ok((begun, seat)) => {
            let (out, events) = mpsc::channel(QUEUE);
            let (started, begins) = oneshot::channel();
            // On the heap once: each layer around it would hold it again.
            tokio::spawn(observe::detached(Box::pin(serve(app.clone(), begun, out, started, id))));
            // Whoever has the answer's head has not missed anything that happens after it.
            if timeout(app.config.limits.request_timeout, begins).await.is_err() {
                return late().answer(Media::Json, id);
            }
            stream_of(events, seat, app.config.limits.ws_ping_interval, id)
        }
    }
}

fn late() -> Early {
    Fault::new(ErrorCode::Unavailable, "The operation could not be begun in time: try again.").into()
}

/// The answer that streams events, and then holds its seat until the connection has taken them: one that takes nothing
/// still has it.
fn stream_of<S: Send + 'static>(events: mpsc::Receiver<String>, seat: S, every: Duration, id: RequestId) -> Response {
    let chunks = stream::unfold((events, seat), move |(mut events, seat)| async move {
        let chunk = match timeout(every, events.recv()).await {
            Ok(event) => event?,
            Err(_) => ALIVE.to_owned(),
        };
        Some((Ok::<_, Infallible>(chunk), (events, seat)))
    });
    let mut response = plain(StatusCode::OK, Body::from_stream(chunks), id);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    // Proxies of the kind of nginx hold back what they may buffer.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// An answer that is no GraphQL response.
fn plain(status: StatusCode, body: impl Into<Body>, id: RequestId) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer::name(&mut response, id);
    response
}

/// Who calls, with the end of the token; nobody is without one.
async fn caller<E: Executor>(
    app: &App<E>,
    parts: &Parts,
    id: RequestId,
) -> Result<(Viewer, Option<DateTime<Utc>>), Early> {
    let refuse = |refusal| Early::from(answer::refusal_faults(refusal, id));
    match super::auth::bearer(&parts.headers).map_err(Refusal::Token).map_err(refuse)? {
        None => Ok((Viewer::Anonymous, None)),
        Some(token) => {
            let (member, expires_at) = app.member(token).await.map_err(refuse)?;
            Ok((Viewer::Member(member), Some(expires_at)))
        }
    }
}

/// Refuses what begins while the server ends.
fn check_open<E>(app: &App<E>) -> Result<(), Early> {
    if app.sockets.closing() {
        return Err(Fault::new(ErrorCode::Unavailable, "The server is shutting down: try again.").into());
    }
    Ok(())
}

fn take_seat<E>(app: &App<E>, member: &Member) -> Result<Seat, Early> {
    let max = app.config.limits.ws_max_sockets;
    app.sockets.seat(member.id, max).ok_or_else(|| {
        let message = format!("A member may have {max} websockets and event streams open at a time.");
        Fault::new(ErrorCode::RateLimited, message).into()
    })
}

/// A stream that may begin.
struct Begun<E> {
    viewer: Arc<Viewer>,
    expires_at: Option<DateTime<Utc>>,
    /// What was refused comes through the stream.
    operation: Result<Ready<E>, Over>,
    /// The position of the log that the client has got up to.
    after: Option<i64>,
    ending: Ending,
}

async fn begin<E: Executor>(
    app: &Arc<App<E>>,
    request: Request,
    id: RequestId,
) -> Result<(Begun<E>, Option<Seat>), Early> {
    check_open(app)?;
    if !negotiate::takes(request.headers(), negotiate::EVENTS) {
        let message = "Event streams are served here: accept text/event-stream, or use /graphql.";
        return Err(Early::invalid(StatusCode::NOT_ACCEPTABLE, message));
    }
    let (parts, body) = request.into_parts();
    let get = graphql::is_get(&parts)?;
    app.rates.of_address(&parts)?;
    let (viewer, expires_at) = caller(app, &parts, id).await?;
    let seat = match viewer.member() {
        None => None,
        Some(member) => {
            app.rates.of_member(member.id, NonZeroU32::MIN)?;
            Some(take_seat(app, member)?)
        }
    };
    graphql::check_type(&parts, get)?;
    let params = graphql::params(app, &parts, body, get).await?;
    let viewer = Arc::new(viewer);
    let mut after = None;
    let operation = match operation::ready(app, &viewer, &params) {
        Err(refused) => Err(live::refused(refused, id)),
        Ok(ready) if get && ready.kind() == Kind::Mutation => return Err(Early::mutation_over_get()),
        Ok(ready) => {
            // What has one result begins anew.
            let follows = ready.kind() == Kind::Subscription;
            let resumed = if follows { last_event(app, viewer.member(), &parts.headers).await } else { Ok(None) };
            resumed.map_err(|error| refusal(Refusal::SignIn(error), id)).map(|position| {
                after = position;
                ready
            })
        }
    };
    Ok((Begun { viewer, expires_at, operation, after, ending: app.sockets.enter() }, seat))
}

/// The position of the log that `Last-Event-ID` says.
async fn last_event<E>(app: &App<E>, member: Option<&Member>, headers: &HeaderMap) -> Result<Option<i64>, Error> {
    let invalid = |message: &str| Fault::invalid("Last-Event-ID", message);
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    // Whoever has no feed is told so by the operation.
    let (Some(live), Some(member), Some(value)) = (&app.live, member, values.next()) else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("The header Last-Event-ID is there more than once.").into());
    }
    let cursor = value.to_str().map_err(|_| invalid("The header Last-Event-ID is no cursor: it is not ASCII."))?;
    if cursor.is_empty() {
        return Ok(None);
    }
    match live.feed().position_after(member, None, cursor).await {
        Ok(position) => Ok(Some(position)),
        Err(Error::Faults(faults)) => Err(Error::Faults(faults.into_iter().map(|it| it.at("Last-Event-ID")).collect())),
        Err(error) => Err(error),
    }
}

fn refusal(refusal: Refusal, id: RequestId) -> Over {
    let faults = answer::refusal_faults(refusal, id);
    Over::Refused(faults.iter().map(|fault| answer::server_error(fault, id)).collect())
}

/// Carries an operation to its end, the token's, the server's or the client's.
async fn serve<E: Executor>(
    app: Arc<App<E>>,
    begun: Begun<E>,
    out: mpsc::Sender<String>,
    started: oneshot::Sender<()>,
    id: RequestId,
) {
    let Begun { viewer, expires_at, operation, after, ending } = begun;
    let _open = Present::new(&app.observer.counts.streams);
    let log = app.live.as_ref().zip(viewer.member()).map(|(live, member)| (live.feed().clone(), member.company));
    let patience = app.config.limits.ws_send_timeout;
    let mut recipient = ToStream { out: out.clone(), started: Some(started), patience, log, after };
    let over = match operation {
        Err(over) => over,
        Ok(ready) => tokio::select! {
            over = live::carry(&app, &viewer, ready, id, ending, &mut recipient) => over,
            () = expiry(&app, expires_at) => refusal(Refusal::Token(AuthError::Expired), id),
            () = out.closed() => Over::Gone,
        },
    };
    let Some(errors) = last_errors(over, id) else { return };
    if !errors.is_empty() && !recipient.bring(refused_payload(&errors)).await {
        return;
    }
    // Browsers pass over an event without the field.
    recipient.send("event: complete\ndata:\n\n".to_owned()).await;
}

/// The errors that an operation ends with before its `complete`, if any; nothing where it is not over for the client,
/// which comes again.
fn last_errors(over: Over, id: RequestId) -> Option<Arc<[ServerError]>> {
    match over {
        Over::Complete => Some([].into()),
        Over::Refused(errors) => Some(errors),
        Over::PartnershipEnded => {
            let fault = Fault::because(Reason::PartnershipEnded, "The partnership has ended.");
            Some([answer::server_error(&fault, id)].into())
        }
        Over::Ending | Over::Gone => None,
    }
}

/// A GraphQL response of errors alone.
fn refused_payload(errors: &[ServerError]) -> Arc<str> {
    serde_json::json!({ "errors": errors }).to_string().into()
}

async fn expiry<E: Executor>(app: &App<E>, at: Option<DateTime<Utc>>) {
    match at {
        Some(at) => app.expiry(at).await,
        None => std::future::pending().await,
    }
}

/// Hands an event to a stream; `false` where its client is gone or has taken nothing for so long.
async fn send(out: &mpsc::Sender<String>, event: String, patience: Duration) -> bool {
    if let Ok(sent) = timeout(patience, out.send(event)).await {
        return sent.is_ok();
    }
    tracing::info!(?patience, "an event stream takes no data and is ended");
    false
}

/// Brings results to an event stream.
struct ToStream {
    out: mpsc::Sender<String>,
    started: Option<oneshot::Sender<()>>,
    /// How long a client may take nothing.
    patience: Duration,
    /// The log that the results have their places in.
    log: Option<(Arc<Feed>, CompanyId)>,
    after: Option<i64>,
}

impl ToStream {
    async fn send(&self, event: String) -> bool {
        send(&self.out, event, self.patience).await
    }

    /// The line `id` of a position. A cursor has no signs that would end it.
    fn id(&self, position: i64) -> String {
        let cursor = self.log.as_ref().map(|(feed, company)| feed.cursor_at(*company, position));
        cursor.map(|cursor| format!("id: {cursor}\n")).unwrap_or_default()
    }
}

impl Recipient for ToStream {
    fn started(&mut self) {
        // Nobody may wait any more.
        let _ = self.started.take().map(|started| started.send(()));
    }

    async fn bring(&mut self, payload: Arc<str>) -> bool {
        // A line break in a text is escaped in JSON.
        self.send(format!("event: next\ndata: {payload}\n\n")).await
    }

    async fn bring_at(&mut self, position: i64, payload: Arc<str>) -> bool {
        self.send(format!("event: next\n{}data: {payload}\n\n", self.id(position))).await
    }

    async fn stand_at(&mut self, position: i64) -> bool {
        // No event of its own: who is cut off before the first result goes on from here.
        let id = self.id(position);
        id.is_empty() || self.send(format!("{id}\n")).await
    }

    fn resumes_after(&self) -> Option<i64> {
        self.after
    }
}
