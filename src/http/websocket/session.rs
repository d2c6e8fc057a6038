//! One socket from its first message to its last.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::Executor;
use axum::extract::ws::{Message, WebSocket};
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::message::{Incoming, Outgoing};
use super::{Close, writer};
use crate::domain::actor::Member;
use crate::error::{ErrorCode, Fault};
use crate::http::answer::{self, RequestId};
use crate::http::auth::{AuthError, bare_or_bearer, strip_bearer};
use crate::http::live::{self, Over, Recipient};
use crate::http::operation::{self, Params};
use crate::http::server::{Ending, Seat};
use crate::http::{App, Refusal, Viewer, observe};
use crate::telemetry::metrics::Present;

/// Messages that wait for the writer. Small: operations wait instead, and hold what they have not yet made.
pub(super) const QUEUE: usize = 16;
/// How long a client may take to answer a close frame.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long the end of the server waits for a socket's operations.
const WIND_UP: Duration = Duration::from_secs(6);
/// The longest sleep towards a token's end; it is looked at again then.
const LONGEST_SLEEP: Duration = Duration::from_hours(1);

/// Why a session ends: the server closes it, or the client is gone.
enum End {
    Close(Close),
    Gone,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

/// Serves a socket to its end.
pub(super) async fn run<E: Executor>(
    app: Arc<App<E>>,
    socket: WebSocket,
    spoken: bool,
    bearer: Result<Option<String>, AuthError>,
    ending: Ending,
) {
    let _open = Present::new(&app.observer.counts.websockets);
    let (sink, mut stream) = socket.split();
    let (out, queue) = mpsc::channel(QUEUE);
    let (close, closing) = oneshot::channel();
    let writer = tokio::spawn(writer::write(sink, queue, closing, app.config.limits.ws_send_timeout));
    // The writer ends with its queue: that stays open until the writer has been told how to close.
    let open = out.clone();
    // The end of the server waits for the close frame too.
    let counted = ending.clone();
    let end = if spoken {
        let mut session = Session { app, out, running: Running::default(), tasks: JoinSet::new(), ending, seat: None };
        // Operations end here with the session.
        session.serve(&mut stream, bearer).await
    } else {
        drop(out);
        End::Close(Close::new(4406, "Subprotocol not acceptable: graphql-transport-ws is spoken here"))
    };
    match end {
        End::Close(end) => {
            // The reason may repeat what the client has sent.
            tracing::debug!(code = end.code, "a websocket is closed");
            let _ = close.send(end);
            drop(open);
            // Until the client answers, its last messages are read and left: a connection that is cut off with
            // data unread takes the close frame with it.
            let _ = timeout(GOODBYE, async { while let Some(Ok(_)) = stream.next().await {} }).await;
        }
        End::Gone => drop(close),
    }
    let _ = writer.await;
    drop(counted);
}

struct Session<E> {
    app: Arc<App<E>>,
    out: mpsc::Sender<Message>,
    running: Running,
    tasks: JoinSet<Option<Close>>,
    ending: Ending,
    /// Its place among the member's websockets.
    seat: Option<Seat>,
}

impl<E: Executor> Session<E> {
    async fn serve(&mut self, stream: &mut SplitStream<WebSocket>, bearer: Result<Option<String>, AuthError>) -> End {
        // What the sign-in holds is given back before the socket lives on.
        match Box::pin(self.opened(stream, bearer)).await {
            Ok((viewer, expires_at)) => self.operate(stream, viewer, expires_at).await,
            Err(end) => end,
        }
    }

    /// Waits for `connection_init` and answers it. `bearer` is the token that came with the request for the upgrade.
    async fn opened(
        &mut self,
        stream: &mut SplitStream<WebSocket>,
        bearer: Result<Option<String>, AuthError>,
    ) -> Result<(Viewer, DateTime<Utc>), End> {
        let mut ending = self.ending.clone();
        let deadline = sleep(self.app.config.limits.ws_init_timeout);
        let mut deadline = std::pin::pin!(deadline);
        let late = || End::from(Close::new(4408, "Connection initialisation timeout"));
        loop {
            let message = tokio::select! {
                () = ending.wait() => return Err(shutting_down()),
                () = &mut deadline => return Err(late()),
                message = next(stream) => message?,
            };
            match message {
                None | Some(Incoming::Pong | Incoming::Complete(_)) => {}
                Some(Incoming::Ping(payload)) => self.send(&Outgoing::Pong { payload }).await?,
                Some(Incoming::Subscribe(..)) => return Err(Close::new(4401, "Unauthorized").into()),
                Some(Incoming::Init(payload)) => {
                    let (member, expires_at) = tokio::select! {
                        () = ending.wait() => return Err(shutting_down()),
                        () = &mut deadline => return Err(late()),
                        member = sign_in(&self.app, bearer, &payload) => member?,
                    };
                    let max = self.app.config.limits.ws_max_sockets;
                    let seat = self.app.sockets.seat(member.id, max);
                    self.seat = Some(seat.ok_or_else(|| {
                        again_later(format!("Too many websockets: a member may have {max} open at a time"))
                    })?);
                    self.send(&Outgoing::ConnectionAck).await?;
                    return Ok((Viewer::Member(member), expires_at));
                }
            }
        }
    }

    async fn operate(&mut self, stream: &mut SplitStream<WebSocket>, viewer: Viewer, expires_at: DateTime<Utc>) -> End {
        let mut ending = self.ending.clone();
        let viewer = Arc::new(viewer);
        let every = self.app.config.limits.ws_ping_interval;
        let mut pings = interval(every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        let mut heard = Instant::now();
        let expiry = sleep(self.until(expires_at));
        let mut expiry = std::pin::pin!(expiry);
        loop {
            if self.app.clock.now() >= expires_at {
                return Close::new(4403, "Forbidden: token expired").into();
            }
            let message = tokio::select! {
                () = ending.wait() => {
                    self.wind_up().await;
                    return shutting_down();
                }
                () = &mut expiry => {
                    expiry.as_mut().reset(Instant::now() + self.until(expires_at));
                    continue;
                }
                _ = pings.tick() => {
                    if heard.elapsed() > every * 3 {
                        return Close::new(1001, "No sign of life").into();
                    }
                    // A full queue is a sign of life of its own kind: the writer has its own time limit.
                    let _ = self.out.try_send(Message::Ping(Vec::new().into()));
                    continue;
                }
                () = self.out.closed() => return End::Gone,
                Some(over) = self.tasks.join_next() => match over {
                    Ok(Some(close)) => return close.into(),
                    Err(fault) if fault.is_panic() => return again_later("Internal fault").into(),
                    Ok(None) | Err(_) => continue,
                },
                message = next(stream) => match message {
                    Ok(message) => message,
                    Err(end) => return end,
                },
            };
            heard = Instant::now();
            let result = match message {
                None | Some(Incoming::Pong) => Ok(()),
                Some(Incoming::Ping(payload)) => self.send(&Outgoing::Pong { payload }).await,
                Some(Incoming::Complete(id)) => {
                    self.running.stop(&id);
                    Ok(())
                }
                Some(Incoming::Init(_)) => Err(Close::new(4429, "Too many initialisation requests").into()),
                Some(Incoming::Subscribe(id, params)) => self.start(id, params, &viewer).await,
            };
            if let Err(end) = result {
                return end;
            }
        }
    }

    /// Waits for what runs: queries and mutations to their end, subscriptions until they have brought what happened
    /// before the server's end.
    async fn wind_up(&mut self) {
        let _ = timeout(WIND_UP, async { while self.tasks.join_next().await.is_some() {} }).await;
    }

    async fn start(&mut self, id: String, mut params: Params, viewer: &Arc<Viewer>) -> Result<(), End> {
        let max = self.app.config.limits.ws_max_operations;
        let (started, begun) = oneshot::channel();
        let full = {
            let mut running = self.running.lock();
            if running.by_id.contains_key(&id) {
                return Err(Close::new(4409, format!("Subscriber for {id} already exists")).into());
            }
            let full = running.by_id.len() >= max;
            if !full {
                running.count += 1;
                let ticket = Ticket { running: self.running.clone(), id: id.clone(), number: running.count };
                let operation = Operation {
                    app: self.app.clone(),
                    viewer: viewer.clone(),
                    out: self.out.clone(),
                    ending: self.ending.clone(),
                    ticket,
                };
                let request_id = RequestId::new();
                let trace = observe::named_trace(&mut params.extensions);
                // On the heap once: each layer around it would hold it again, for as long as a subscription lasts.
                let run = Box::pin(operation.run(params, request_id, started));
                // Its end needs the lock that is held here, so that it can't be over before it is entered.
                let handle = self.tasks.spawn(observe::message(self.app.observer.clone(), request_id, trace, run));
                let number = running.count;
                running.by_id.insert(id.clone(), (number, handle));
            }
            full
        };
        if full {
            let message = format!("On one websocket at most {max} operations run at a time.");
            let fault = Fault::new(ErrorCode::RateLimited, message);
            let errors = [answer::server_error(&fault, RequestId::new())];
            return self.send(&Outgoing::Error { id: &id, payload: &errors }).await;
        }
        // What the client does after it has subscribed must come to it: the next message waits for the start.
        let mut ending = self.ending.clone();
        tokio::select! {
            _ = begun => Ok(()),
            () = ending.wait() => Ok(()),
            () = sleep(self.app.config.limits.request_timeout) => {
                Err(again_later("A subscription could not be begun in time: try again later").into())
            }
        }
    }

    async fn send(&self, message: &Outgoing<'_>) -> Result<(), End> {
        match message.frame() {
            Some(frame) => self.out.send(frame).await.map_err(|_| End::Gone),
            None => Ok(()),
        }
    }

    /// How long to sleep before the token's end is looked at again.
    fn until(&self, expires_at: DateTime<Utc>) -> Duration {
        let left = (expires_at - self.app.clock.now()).to_std().unwrap_or_default();
        // Never zero: a clock that stands still must not make this a busy loop.
        left.clamp(Duration::from_millis(10), LONGEST_SLEEP)
    }
}

fn shutting_down() -> End {
    Close::new(1001, "The server is shutting down").into()
}

/// The next message of the protocol; nothing for a frame that is none, such as the answer to a ping.
async fn next(stream: &mut SplitStream<WebSocket>) -> Result<Option<Incoming>, End> {
    match stream.next().await {
        None | Some(Ok(Message::Close(_))) => Err(End::Gone),
        Some(Ok(Message::Text(text))) => {
            Incoming::parse(text.as_str()).map(Some).map_err(|reason| Close::bad_request(reason).into())
        }
        Some(Ok(Message::Binary(_))) => Err(Close::bad_request("Invalid message: binary").into()),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Err(fault)) => {
            let text = fault.to_string();
            Err(if text.contains("too long") || text.contains("too big") {
                Close::new(1009, "Message too big").into()
            } else if text.contains("UTF-8") {
                Close::new(1007, "Invalid UTF-8").into()
            } else {
                End::Gone
            })
        }
    }
}

/// Closes a socket of which nothing was wrong. Clients take 1013 for what it is, and the other codes for final: 1011, and
/// 4429 where it is not about `connection_init`.
fn again_later(reason: impl Into<String>) -> Close {
    Close::new(1013, reason)
}

/// The member of the token in `connection_init`'s payload, or else of the one that came with the upgrade.
async fn sign_in<E: Executor>(
    app: &App<E>,
    bearer: Result<Option<String>, AuthError>,
    payload: &Map<String, Value>,
) -> Result<(Member, DateTime<Utc>), Close> {
    let token = bearer.and_then(|bearer| match token(payload)? {
        Some(token) => Ok(token.to_owned()),
        None => bearer.ok_or(AuthError::Missing),
    });
    let member = match token {
        Ok(token) => app.member(&token).await,
        Err(error) => Err(Refusal::Token(error)),
    };
    member.map_err(|refusal| {
        let faults = answer::refusal_faults(refusal, RequestId::new());
        let (code, message) = faults.first().map_or((ErrorCode::Internal, ""), |it| (it.code, it.message.as_str()));
        match code {
            ErrorCode::Unavailable | ErrorCode::RateLimited | ErrorCode::Internal => again_later(message),
            _ => Close::forbidden(message),
        }
    })
}

/// The token of a payload, by the first of its forms that is there. One that can't be read is refused, not passed over.
fn token(payload: &Map<String, Value>) -> Result<Option<&str>, AuthError> {
    let headers = payload.get("headers").and_then(Value::as_object);
    for place in [Some(payload), headers].into_iter().flatten() {
        let mut found = place.iter().filter(|(name, value)| is_authorization(name) && !value.is_null());
        let Some((_, value)) = found.next() else { continue };
        if found.next().is_some() {
            return Err(AuthError::Malformed("there is more than one Authorization"));
        }
        return strip_bearer(value.as_str().ok_or(NO_TEXT)?).map(Some);
    }
    let bare = ["token", "authToken"].into_iter().find_map(|name| payload.get(name).filter(|value| !value.is_null()));
    bare.map(|value| value.as_str().map(bare_or_bearer).ok_or(NO_TEXT)).transpose()
}

const NO_TEXT: AuthError = AuthError::Malformed("it is not a string");

fn is_authorization(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization")
}

/// The operations that run on a socket, by the client's ids.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    /// Each with its number, because an id may be used again once its operation is over.
    by_id: HashMap<String, (u64, AbortHandle)>,
    count: u64,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, id: &str) {
        if let Some((_, handle)) = self.lock().by_id.remove(id) {
            handle.abort();
        }
    }
}

/// An operation's entry in the table.
struct Ticket {
    running: Running,
    id: String,
    number: u64,
}

impl Ticket {
    /// Frees the id. It is done before the client hears of the end, so that it can use the id again at once.
    fn free(&self) {
        let mut running = self.running.lock();
        if running.by_id.get(&self.id).is_some_and(|(number, _)| *number == self.number) {
            running.by_id.remove(&self.id);
        }
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
    out: mpsc::Sender<Message>,
    ending: Ending,
    ticket: Ticket,
}

impl<E: Executor> Operation<E> {
    /// Runs it to its end; something where the socket has to be closed with it.
    async fn run(self, params: Params, id: RequestId, started: oneshot::Sender<()>) -> Option<Close> {
        let over = self.execute(params, id, started).await;
        self.ticket.free();
        let name = &self.ticket.id;
        let last = match &over {
            Over::Complete => Outgoing::Complete { id: name },
            Over::Refused(errors) => Outgoing::Error { id: name, payload: errors },
            Over::PartnershipEnded => return Some(Close::forbidden("the partnership has ended")),
            Over::Ending | Over::Gone => return None,
        };
        if let Some(frame) = last.frame() {
            let _ = self.out.send(frame).await;
        }
        None
    }

    async fn execute(&self, params: Params, id: RequestId, started: oneshot::Sender<()>) -> Over {
        if let Some(Err(fault)) = self.viewer.member().map(|it| self.app.rates.of_member(it.id, NonZeroU32::MIN)) {
            return Over::Refused([answer::server_error(&fault, id)].into());
        }
        let ready = match operation::ready(&self.app, &self.viewer, &params) {
            Ok(ready) => ready,
            Err(refused) => return live::refused(refused, id),
        };
        if let Some(member) = self.viewer.member() {
            observe::member(member.id);
        }
        let mut recipient = ToSocket { out: &self.out, head: next_head(&self.ticket.id), started: Some(started) };
        live::carry(&self.app, &self.viewer, ready, id, self.ending.clone(), &mut recipient).await
    }
}

/// A message `next` up to its payload.
fn next_head(id: &str) -> String {
    format!(r#"{{"type":"next","id":{},"payload":"#, Value::from(id))
}

/// Brings a subscription's results to a socket.
struct ToSocket<'a> {
    out: &'a mpsc::Sender<Message>,
    /// The message up to its payload.
    head: String,
    started: Option<oneshot::Sender<()>>,
}

impl Recipient for ToSocket<'_> {
    fn started(&mut self) {
        // The session may not wait any more.
        let _ = self.started.take().map(|started| started.send(()));
    }

    async fn bring(&mut self, payload: Arc<str>) -> bool {
        let mut text = String::with_capacity(self.head.len() + payload.len() + 1);
        text.push_str(&self.head);
        text.push_str(&payload);
        text.push('}');
        self.out.send(Message::Text(text.into())).await.is_ok()
    }
}
