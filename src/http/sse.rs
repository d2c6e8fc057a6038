//! `/graphql/stream`: operations as event streams, by the "distinct connections mode" of GraphQL over Server-Sent Events
//! (that of the npm package `graphql-sse`), for clients behind proxies that break websockets.
//!
//! Each operation is a request of its own; its answer is a stream of events `next` that ends with `complete`. What
//! refuses the caller is answered by its status; what refuses the operation comes as a `next` with errors. A stream that
//! ends without `complete` was cut off: the client starts again after its last cursor.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Executor;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::stream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::answer::{self, RequestId};
use super::graphql::{self, Early};
use super::live::{self, Over, Recipient};
use super::negotiate::{self, Media};
use super::operation::{self, Ready};
use super::server::{Ending, Seat};
use super::{App, AuthError, Refusal, Viewer, observe};
use crate::error::{ErrorCode, Fault};
use crate::operation::Kind;
use crate::telemetry::metrics::Present;

/// Events that wait for the client; an operation waits instead of making more.
const QUEUE: usize = 16;
/// A comment, which says that the stream is alive.
const ALIVE: &str = ":\n\n";

/// Answers one request.
pub(super) async fn handle<E: Executor>(State(app): State<Arc<App<E>>>, request: Request) -> Response {
    let id = observe::request_id();
    let answer = begin(&app, request, id).await;
    match answer {
        Err(early) => early.answer(Media::Json, id),
        Ok((begun, seat)) => {
            let (out, events) = mpsc::channel(QUEUE);
            let (started, begins) = oneshot::channel();
            // On the heap once: each layer around it would hold it again.
            tokio::spawn(observe::detached(Box::pin(serve(app.clone(), begun, out, started, id))));
            // Whoever has the answer's head has not missed anything that happens after it.
            if timeout(app.config.limits.request_timeout, begins).await.is_err() {
                let fault = Fault::new(ErrorCode::Unavailable, "The operation could not be begun in time: try again.");
                return Early::from(vec![fault]).answer(Media::Json, id);
            }
            let every = app.config.limits.ws_ping_interval;
            // The seat is given back with the connection: one that takes nothing still has it.
            let chunks = stream::unfold((events, seat), move |(mut events, seat)| async move {
                let chunk = match timeout(every, events.recv()).await {
                    Ok(event) => event?,
                    Err(_) => ALIVE.to_owned(),
                };
                Some((Ok::<_, Infallible>(chunk), (events, seat)))
            });
            let mut response = Response::new(Body::from_stream(chunks));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            // Proxies of the kind of nginx hold back what they may buffer.
            headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
            answer::name(&mut response, id);
            response
        }
    }
}

/// A stream that may begin.
struct Begun<E> {
    viewer: Arc<Viewer>,
    expires_at: Option<DateTime<Utc>>,
    /// What was refused comes through the stream.
    operation: Result<Ready<E>, Over>,
    ending: Ending,
}

async fn begin<E: Executor>(
    app: &Arc<App<E>>,
    request: Request,
    id: RequestId,
) -> Result<(Begun<E>, Option<Seat>), Early> {
    if app.sockets.closing() {
        let fault = Fault::new(ErrorCode::Unavailable, "The server is shutting down: try again.");
        return Err(Early::from(vec![fault]));
    }
    if !negotiate::accepts_events(request.headers()) {
        let message = "Event streams are served here: accept text/event-stream, or use /graphql.";
        return Err(Early::invalid(StatusCode::NOT_ACCEPTABLE, message));
    }
    let (parts, body) = request.into_parts();
    let get = graphql::is_get(&parts)?;
    app.rates.of_address(&parts)?;
    let refuse = |refusal| Early::from(answer::refusal_faults(refusal, id));
    let (viewer, expires_at) = match super::auth::bearer(&parts.headers).map_err(Refusal::Token).map_err(refuse)? {
        None => (Viewer::Anonymous, None),
        Some(token) => {
            let (member, expires_at) = app.member(token).await.map_err(refuse)?;
            (Viewer::Member(member), Some(expires_at))
        }
    };
    let seat = match viewer.member() {
        None => None,
        Some(member) => {
            app.rates.of_member(member.id, NonZeroU32::MIN)?;
            let max = app.config.limits.ws_max_sockets;
            let fault = || {
                let message = format!("A member may have {max} websockets and event streams open at a time.");
                Early::from(vec![Fault::new(ErrorCode::RateLimited, message)])
            };
            Some(app.sockets.seat(member.id, max).ok_or_else(fault)?)
        }
    };
    graphql::check_type(&parts, get)?;
    let params = graphql::params(app, &parts, body, get).await?;
    let viewer = Arc::new(viewer);
    let operation = match operation::ready(app, &viewer, &params) {
        Err(refused) => Err(live::refused(refused, id)),
        Ok(ready) if get && ready.kind() == Kind::Mutation => return Err(Early::mutation_over_get()),
        Ok(ready) => {
            observe::operation(&ready.operation);
            Ok(ready)
        }
    };
    Ok((Begun { viewer, expires_at, operation, ending: app.sockets.enter() }, seat))
}

/// Carries an operation to its end, the token's, the server's or the client's.
async fn serve<E: Executor>(
    app: Arc<App<E>>,
    begun: Begun<E>,
    out: mpsc::Sender<String>,
    started: oneshot::Sender<()>,
    id: RequestId,
) {
    let Begun { viewer, expires_at, operation, ending } = begun;
    let _open = Present::new(&app.observer.counts.streams);
    let mut recipient =
        ToStream { out: out.clone(), started: Some(started), patience: app.config.limits.ws_send_timeout };
    let over = match operation {
        Err(over) => over,
        Ok(ready) => tokio::select! {
            over = live::carry(&app, &viewer, ready, id, ending, &mut recipient) => over,
            () = expiry(&app, expires_at) => {
                let faults = answer::refusal_faults(Refusal::Token(AuthError::Expired), id);
                Over::Refused(faults.iter().map(|fault| answer::server_error(fault, id)).collect())
            }
            () = out.closed() => Over::Gone,
        },
    };
    let errors = match over {
        Over::Complete => None,
        Over::Refused(errors) => Some(errors),
        Over::PartnershipEnded => {
            let fault = Fault::new(ErrorCode::Forbidden, "The partnership has ended.");
            Some([answer::server_error(&fault, id)].into())
        }
        // Without `complete` the client comes again.
        Over::Ending | Over::Gone => return,
    };
    if let Some(errors) = errors {
        let payload = serde_json::json!({ "errors": &errors[..] }).to_string();
        if !recipient.bring(payload.into()).await {
            return;
        }
    }
    // Browsers pass over an event without the field.
    recipient.send("event: complete\ndata:\n\n".to_owned()).await;
}

async fn expiry<E: Executor>(app: &App<E>, at: Option<DateTime<Utc>>) {
    match at {
        Some(at) => app.expiry(at).await,
        None => std::future::pending().await,
    }
}

/// Brings results to an event stream.
struct ToStream {
    out: mpsc::Sender<String>,
    started: Option<oneshot::Sender<()>>,
    /// How long a client may take nothing.
    patience: Duration,
}

impl ToStream {
    async fn send(&self, event: String) -> bool {
        if let Ok(sent) = timeout(self.patience, self.out.send(event)).await {
            return sent.is_ok();
        }
        tracing::info!(patience = ?self.patience, "an event stream takes no data and is ended");
        false
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
}
