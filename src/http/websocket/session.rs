//! One socket from its first message to its last.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::{Executor, ServerError};
use axum::extract::ws::{Message, WebSocket};
use chrono::{DateTime, Utc};
use futures_util::stream::SplitStream;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::Instrument;

use super::message::{Incoming, Outgoing};
use super::{Close, writer};
use crate::error::{ErrorCode, Fault};
use crate::feed::Started;
use crate::http::answer::{self, RequestId};
use crate::http::auth::{AuthError, strip_bearer};
use crate::http::nulls::Plan;
use crate::http::operation::{self, Broken, Params};
use crate::http::{App, Refusal, Viewer};

/// Messages that wait for the writer. Small: operations wait instead, and hold what they have not yet made.
const QUEUE: usize = 16;
/// How long a client may take to answer a close frame.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long the next message waits for a subscription to fix its start.
const START: Duration = Duration::from_secs(1);
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
    mut ending: watch::Receiver<bool>,
) {
    let (sink, mut stream) = socket.split();
    let (out, queue) = mpsc::channel(QUEUE);
    let (close, closing) = oneshot::channel();
    let writer = tokio::spawn(writer::write(sink, queue, closing, app.config.limits.ws_send_timeout));
    // The writer ends with its queue: that stays open until the writer has been told how to close.
    let open = out.clone();
    let end = if spoken {
        let mut session = Session { app, out, running: Running::default(), tasks: JoinSet::new() };
        // Operations end here with the session.
        session.serve(&mut stream, &mut ending).await
    } else {
        drop(out);
        End::Close(Close::new(4406, "Subprotocol not acceptable: graphql-transport-ws is spoken here"))
    };
    match end {
        End::Close(end) => {
            tracing::debug!(code = end.code, reason = end.reason, "a websocket is closed");
            let _ = close.send(end);
            drop(open);
            // Until the client answers, its last messages are read and left: a connection that is cut off with
            // data unread takes the close frame with it.
            let _ = timeout(GOODBYE, async { while let Some(Ok(_)) = stream.next().await {} }).await;
        }
        End::Gone => drop(close),
    }
    let _ = writer.await;
}

struct Session<E> {
    app: Arc<App<E>>,
    out: mpsc::Sender<Message>,
    running: Running,
    tasks: JoinSet<()>,
}

impl<E: Executor> Session<E> {
    async fn serve(&mut self, stream: &mut SplitStream<WebSocket>, ending: &mut watch::Receiver<bool>) -> End {
        match self.opened(stream, ending).await {
            Ok((viewer, expires_at)) => self.operate(stream, ending, viewer, expires_at).await,
            Err(end) => end,
        }
    }

    /// Waits for `connection_init` and answers it.
    async fn opened(
        &mut self,
        stream: &mut SplitStream<WebSocket>,
        ending: &mut watch::Receiver<bool>,
    ) -> Result<(Viewer, DateTime<Utc>), End> {
        let deadline = sleep(self.app.config.limits.ws_init_timeout);
        let mut deadline = std::pin::pin!(deadline);
        let late = || End::from(Close::new(4408, "Connection initialisation timeout"));
        loop {
            let message = tokio::select! {
                _ = ending.wait_for(|ending| *ending) => return Err(shutting_down()),
                () = &mut deadline => return Err(late()),
                message = next(stream) => message?,
            };
            match message {
                None | Some(Incoming::Pong | Incoming::Complete(_)) => {}
                Some(Incoming::Ping(payload)) => self.send(&Outgoing::Pong { payload }).await?,
                Some(Incoming::Subscribe(..)) => return Err(Close::new(4401, "Unauthorized").into()),
                Some(Incoming::Init(payload)) => {
                    let member = tokio::select! {
                        _ = ending.wait_for(|ending| *ending) => return Err(shutting_down()),
                        () = &mut deadline => return Err(late()),
                        member = sign_in(&self.app, &payload) => member?,
                    };
                    self.send(&Outgoing::ConnectionAck).await?;
                    return Ok(member);
                }
            }
        }
    }

    async fn operate(
        &mut self,
        stream: &mut SplitStream<WebSocket>,
        ending: &mut watch::Receiver<bool>,
        viewer: Viewer,
        expires_at: DateTime<Utc>,
    ) -> End {
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
                _ = ending.wait_for(|ending| *ending) => return shutting_down(),
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
                Some(_) = self.tasks.join_next() => continue,
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

    async fn start(&mut self, id: String, params: Params, viewer: &Arc<Viewer>) -> Result<(), End> {
        let max = self.app.config.limits.ws_max_operations;
        let (started, begun) = Started::channel();
        let full = {
            let mut running = self.running.lock();
            if running.by_id.contains_key(&id) {
                return Err(Close::new(4409, format!("Subscriber for {id} already exists")).into());
            }
            let full = running.by_id.len() >= max;
            if !full {
                running.count += 1;
                let ticket = Ticket { running: self.running.clone(), id: id.clone(), number: running.count };
                let operation =
                    Operation { app: self.app.clone(), viewer: viewer.clone(), out: self.out.clone(), ticket };
                let request_id = RequestId::new();
                let span = tracing::info_span!("operation", request_id = %request_id);
                // Its end needs the lock that is held here, so that it can't be over before it is entered.
                let handle = self.tasks.spawn(operation.run(params, request_id, started).instrument(span));
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
        let _ = timeout(START, begun).await;
        Ok(())
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

/// The member of the token in `connection_init`'s payload.
async fn sign_in<E: Executor>(app: &App<E>, payload: &Map<String, Value>) -> Result<(Viewer, DateTime<Utc>), Close> {
    let header = payload.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization")).map(|(_, value)| value);
    let token = match (header, payload.get("token")) {
        (Some(Value::String(header)), _) => strip_bearer(header),
        (None, Some(Value::String(token))) => Ok(token.as_str()),
        _ => Err(AuthError::Missing),
    };
    let member = match token {
        Ok(token) => app.member(token).await,
        Err(error) => Err(Refusal::Token(error)),
    };
    member.map(|(member, expires_at)| (Viewer::Member(member), expires_at)).map_err(|refusal| {
        let faults = answer::refusal_faults(refusal, RequestId::new());
        let (code, message) = faults.first().map_or((ErrorCode::Internal, ""), |it| (it.code, it.message.as_str()));
        match code {
            ErrorCode::Unavailable | ErrorCode::RateLimited => Close::new(1013, message),
            ErrorCode::Internal => Close::new(1011, message),
            _ => Close::forbidden(message),
        }
    })
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

/// How an operation ends.
enum Over {
    /// With `complete`.
    Complete,
    /// With `error`.
    Error(Vec<ServerError>),
    /// The socket is gone.
    Gone,
}

struct Operation<E> {
    app: Arc<App<E>>,
    viewer: Arc<Viewer>,
    out: mpsc::Sender<Message>,
    ticket: Ticket,
}

impl<E: Executor> Operation<E> {
    async fn run(self, params: Params, id: RequestId, started: Started) {
        let over = match AssertUnwindSafe(self.execute(params, id, started)).catch_unwind().await {
            Ok(over) => over,
            Err(cause) => {
                tracing::error!(request_id = %id, cause = answer::panic_text(cause.as_ref()), "a resolver panicked");
                Over::Error(vec![Broken::Panicked.error(id)])
            }
        };
        self.ticket.free();
        let name = &self.ticket.id;
        let last = match &over {
            Over::Complete => Outgoing::Complete { id: name },
            Over::Error(errors) => Outgoing::Error { id: name, payload: errors },
            Over::Gone => return,
        };
        if let Some(frame) = last.frame() {
            let _ = self.out.send(frame).await;
        }
    }

    async fn execute(&self, params: Params, id: RequestId, started: Started) -> Over {
        let mut ready = match operation::ready(&self.app, &self.viewer, params, id) {
            Ok(ready) => ready,
            Err(response) => return Over::Error(answer::finish(*response, &Plan::default(), id).errors().to_vec()),
        };
        let plan = std::mem::take(&mut ready.plan);
        if !ready.is_subscription() {
            // Nobody need wait for a query or a mutation.
            drop(started);
            return match ready.execute(self.app.config.limits.request_timeout, id).await {
                Err(broken) => Over::Error(vec![broken.error(id)]),
                Ok(response) => {
                    let finished = answer::finish(response, &plan, id);
                    if finished.request_error {
                        return Over::Error(finished.errors().to_vec());
                    }
                    self.send(&finished).await.unwrap_or(Over::Complete)
                }
            };
        }
        let mut stream = ready.stream(started);
        let mut first = true;
        while let Some(response) = stream.next().await {
            let finished = answer::finish(response, &plan, id);
            if finished.request_error {
                return Over::Error(finished.errors().to_vec());
            }
            // A resolver that refuses to subscribe gives one response without data and ends: the client is told that
            // the operation was not executed, not that an event went wrong.
            if first && finished.failed() && matches!(stream.next().now_or_never(), Some(None)) {
                return Over::Error(finished.errors().to_vec());
            }
            first = false;
            if let Some(over) = self.send(&finished).await {
                return over;
            }
        }
        Over::Complete
    }

    /// Sends one result; something when the socket is gone.
    async fn send(&self, finished: &answer::Finished) -> Option<Over> {
        let frame = Outgoing::Next { id: &self.ticket.id, payload: finished.wire() }.frame()?;
        self.out.send(frame).await.err().map(|_| Over::Gone)
    }
}
