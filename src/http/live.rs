//! Subscriptions: executed once for all who may see the same and ask the same, and carried to each of them from its own
//! place in the log.
//!
//! Who may see the same: the members of one company with the same roles; where the operation selects what depends on
//! the member itself (`graphql::PERSONAL`), each member alone. What they ask is the operation as it is executed, so that
//! it does not matter how they write it. What they share is a [`Channel`]: one execution that
//! begins when the first of them comes and ends after the last, and whose results are encoded once. A subscriber that
//! is behind, because it resumes after a cursor or because its client is slow, first reads the log by an execution of
//! its own, up to where the log stands, and then goes on with the channel. Each result carries its position in the log,
//! so that between the two nothing is lost and nothing comes twice.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_graphql::{Executor, ServerError, Value};
use futures_util::{FutureExt, StreamExt};
use sha2::{Digest, Sha256};
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;
use tracing::Instrument;

use super::answer::{self, RequestId};
use super::operation::{Broken, Ready};
use super::server::Ending;
use super::{App, Viewer};
use crate::domain::actor::Member;
use crate::domain::id::CompanyId;
use crate::error::{Error, ErrorCode, Fault};
use crate::feed::{Course, End, Feed, Start};
use crate::operation::{Kind, Operation, Refused};
use crate::telemetry::metrics::Present;

/// How many results a subscriber may fall behind its channel before it reads the log.
const BEHIND: usize = 64;
/// How long the end of the server waits for a channel to bring what happened before it.
const DRAIN: Duration = Duration::from_secs(5);

/// The argument of a root field that says where it begins.
const AFTER: &str = "after";
/// How long to wait before the log's end is asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// What brings a subscription's results to its client, or to all of them.
pub(super) trait Recipient: Send {
    /// The start is fixed: what happens from now on will come. May be said again after a catch-up.
    fn started(&mut self);

    /// Brings a result: the JSON of a GraphQL response. `false` when the client is gone.
    fn bring(&mut self, payload: Arc<str>) -> impl Future<Output = bool> + Send;

    /// Brings a result that has a place in the log.
    fn bring_at(&mut self, _position: i64, payload: Arc<str>) -> impl Future<Output = bool> + Send {
        self.bring(payload)
    }

    /// Everything up to this position of the log has been brought, or was not asked for. `false` when the client is gone.
    fn stand_at(&mut self, _position: i64) -> impl Future<Output = bool> + Send {
        std::future::ready(true)
    }

    /// The position of the log after which it goes on, whatever the operation's arguments say.
    fn resumes_after(&self) -> Option<i64> {
        None
    }
}

/// How a subscription is over.
#[derive(Clone, Debug)]
pub(super) enum Over {
    /// Nothing more will come.
    Complete,
    /// It was not executed, or could not go on.
    Refused(Arc<[ServerError]>),
    /// The partnership that it followed has ended.
    PartnershipEnded,
    /// The server ends; what happened before is brought.
    Ending,
    /// The client is gone.
    Gone,
}

impl Over {
    fn refused(errors: &[ServerError]) -> Self {
        Self::Refused(errors.into())
    }

    fn failed(error: Error, id: RequestId) -> Self {
        let faults = answer::refusal_faults(super::Refusal::SignIn(error), id);
        Self::Refused(faults.iter().map(|fault| answer::server_error(fault, id)).collect())
    }

    fn of(course: &Course) -> Self {
        match course.end() {
            Some(End::PartnershipEnded) => Self::PartnershipEnded,
            Some(End::LeadIsOver) | None => Self::Complete,
        }
    }
}

/// What identifies a channel: a digest of who may see it and what they ask.
type Key = [u8; 32];

/// The channels of a server.
pub struct Live {
    feed: Arc<Feed>,
    channels: Mutex<HashMap<Key, Weak<Channel>>>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("channels", &self.channels().len()).finish_non_exhaustive()
    }
}

impl Live {
    /// Channels over a feed.
    pub fn new(feed: Arc<Feed>) -> Arc<Self> {
        Arc::new(Self { feed, channels: Mutex::default() })
    }

    /// What it is fed by.
    pub(super) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<Key, Weak<Channel>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(member: &Member, operation: &Operation) -> Key {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            // With its length, so that no two lists of parts read the same.
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
        };
        part(member.company.0.as_bytes());
        let mut roles: Vec<_> = member.roles.iter().map(|role| role.as_str()).collect();
        roles.sort_unstable();
        part(roles.join(" ").as_bytes());
        part(if operation.is_personal() { member.id.0.as_bytes() } else { &[] });
        part(&operation.digest());
        hash.finalize().into()
    }

    /// The channel of that key, begun where there is none.
    fn channel(&self, key: Key, begin: impl FnOnce() -> Channel) -> Arc<Channel> {
        if let Some(channel) = self.present(key) {
            return channel;
        }
        // Not under the lock: a task is begun here.
        let made = Arc::new(begin());
        // Declared before the lock, to be dropped after it: a channel's end takes it too.
        let other;
        let mut channels = self.channels();
        other = channels.get(&key).and_then(Weak::upgrade);
        if let Some(channel) = other.as_ref().filter(|channel| !channel.is_over()) {
            return channel.clone();
        }
        channels.insert(key, Arc::downgrade(&made));
        made
    }

    /// The channel of that key, unless it is over: then another one follows, as the lead may have come anew.
    fn present(&self, key: Key) -> Option<Arc<Channel>> {
        let channel = self.channels().get(&key).and_then(Weak::upgrade);
        channel.filter(|channel| !channel.is_over())
    }
}

/// One result of a channel.
#[derive(Clone, Debug)]
struct Delivery {
    position: i64,
    payload: Arc<str>,
}

/// How far a channel is.
#[derive(Clone, Debug)]
enum State {
    Starting,
    Live,
    Over(Over),
}

/// One execution of a subscription, for all its subscribers. It ends with the last of them.
struct Channel {
    live: Arc<Live>,
    key: Key,
    /// To ask the same again, from another place.
    operation: Operation,
    viewer: Arc<Viewer>,
    results: broadcast::WeakSender<Delivery>,
    state: watch::Receiver<State>,
    course: Arc<Course>,
    task: AbortHandle,
}

impl Channel {
    /// What comes from now on; nothing where it is over.
    fn join(&self) -> Option<broadcast::Receiver<Delivery>> {
        self.results.upgrade().map(|results| results.subscribe())
    }

    fn is_over(&self) -> bool {
        matches!(*self.state.borrow(), State::Over(_))
    }

    /// How it is over; waits until it is.
    async fn over(&self) -> Over {
        let mut state = self.state.clone();
        let over = state.wait_for(|state| matches!(state, State::Over(_))).await;
        match over.as_deref() {
            Ok(State::Over(over)) => over.clone(),
            // The task is gone without a word: it was aborted with the server.
            _ => Over::Ending,
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.task.abort();
        let mut channels = self.live.channels();
        // Another one may have taken its place.
        if channels.get(&self.key).is_some_and(|channel| channel.strong_count() == 0) {
            channels.remove(&self.key);
        }
    }
}

/// Hands a channel's results to all who listen.
struct ToAll {
    course: Arc<Course>,
    results: broadcast::Sender<Delivery>,
    state: watch::Sender<State>,
}

impl Recipient for ToAll {
    fn started(&mut self) {
        self.state.send_replace(State::Live);
    }

    async fn bring(&mut self, payload: Arc<str>) -> bool {
        // An error only says that nobody listens at this moment.
        let _ = self.results.send(Delivery { position: self.course.position(), payload });
        true
    }
}

impl Channel {
    /// Begins to execute what these ask, from now on.
    fn begin<E: Executor>(
        app: &Arc<App<E>>,
        live: &Arc<Live>,
        key: Key,
        viewer: &Arc<Viewer>,
        operation: Operation,
    ) -> Self {
        let id = RequestId::new();
        let ready = Ready::new(app, viewer, operation.clone());
        let most = app.config.limits.max_answer_bytes;
        let course = Arc::new(Course::new(Start::Now, None));
        let (results, _) = broadcast::channel(BEHIND);
        let (sender, state) = watch::channel(State::Starting);
        let weak = results.downgrade();
        let mut to_all = ToAll { course: course.clone(), results, state: sender };
        let span = tracing::error_span!("channel", request_id = %id);
        let executed = course.clone();
        let task = async move {
            let over = execute(ready, &executed, most, id, &mut to_all).await;
            // Who listens gets the last results first, then hears that there are no more.
            to_all.state.send_replace(State::Over(over));
        };
        let task = tokio::spawn(task.instrument(span)).abort_handle();
        Self { live: live.clone(), key, operation, viewer: viewer.clone(), results: weak, state, course, task }
    }
}

/// An operation that was refused before anything was executed.
pub(super) fn refused(refused: Refused, id: RequestId) -> Over {
    Over::refused(answer::refused(refused, id).errors())
}

/// Executes a subscription to its end.
async fn execute<E: Executor>(
    ready: Ready<E>,
    course: &Arc<Course>,
    most: usize,
    id: RequestId,
    recipient: &mut impl Recipient,
) -> Over {
    let execution = async {
        let mut stream = ready.stream(course.clone());
        let mut started = std::pin::pin!(course.started().fuse());
        loop {
            let response = tokio::select! {
                biased;
                () = &mut started => {
                    recipient.started();
                    continue;
                }
                response = stream.next() => response,
            };
            let Some(response) = response else { return Over::of(course) };
            let finished = answer::finish(response, id);
            // A resolver that refuses to subscribe gives one response without data and ends: the client is told that
            // the operation was not executed, not that an event went wrong.
            if finished.failed() && !course.has_started() {
                return Over::refused(finished.errors());
            }
            if !recipient.bring_at(course.position(), payload(&finished, most, id)).await {
                return Over::Gone;
            }
        }
    };
    AssertUnwindSafe(execution).catch_unwind().await.unwrap_or_else(|cause: Box<dyn Any + Send>| {
        tracing::error!(request_id = %id, cause = answer::panic_text(cause.as_ref()), "a resolver panicked");
        Over::refused(&[Broken::Panicked.error(id)])
    })
}

/// Executes a query or a mutation.
async fn once<E: Executor>(app: &App<E>, ready: Ready<E>, id: RequestId, recipient: &mut impl Recipient) -> Over {
    // Nobody need wait for it.
    recipient.started();
    let limits = &app.config.limits;
    let finished = match ready.execute(limits.request_timeout, id).await {
        Ok(response) => answer::finish(response, id),
        Err(broken) => return Over::refused(&[broken.error(id)]),
    };
    if recipient.bring(payload(&finished, limits.max_answer_bytes, id)).await { Over::Complete } else { Over::Gone }
}

/// The JSON of a result; where that can't be written, an error in its place.
fn payload(finished: &answer::Finished, most: usize, id: RequestId) -> Arc<str> {
    let text = answer::encode(&finished.wire(), most, id).map(String::from_utf8);
    match text {
        Ok(Ok(text)) => text.into(),
        Ok(Err(fault)) => failure(&Fault::new(ErrorCode::Internal, fault.to_string()), id),
        Err(fault) => failure(&fault, id),
    }
}

fn failure(fault: &Fault, id: RequestId) -> Arc<str> {
    serde_json::json!({ "errors": [answer::server_error(fault, id)], "data": null }).to_string().into()
}

/// Carries an operation's results to one client: a subscription's until it is over or the server ends.
pub(super) async fn carry<E: Executor>(
    app: &Arc<App<E>>,
    viewer: &Arc<Viewer>,
    ready: Ready<E>,
    id: RequestId,
    mut ending: Ending,
    recipient: &mut impl Recipient,
) -> Over {
    if ready.kind() != Kind::Subscription {
        return Box::pin(once(app, ready, id, recipient)).await;
    }
    let most = app.config.limits.max_answer_bytes;
    let _running = Present::new(&app.observer.counts.subscriptions);
    let (Some(live), Some(member)) = (&app.live, viewer.member()) else {
        // Nobody's subscription is refused by its resolver, and a schema without a feed has nothing to share.
        let course = Arc::default();
        return until(&mut ending, Box::pin(execute(ready, &course, most, id, recipient))).await;
    };
    let start = recipient.resumes_after().map_or(Start::AsAsked, Start::After);
    let after = ready.operation.root_argument(AFTER).is_some_and(|cursor| *cursor != Value::Null);
    let resumes = start != Start::AsAsked || after;
    // All begin now, from wherever they resume.
    let operation = ready.operation.clone().without(AFTER);
    let key = Live::key(member, &operation);
    let channel = live.channel(key, || Channel::begin(app, live, key, viewer, operation));
    let subscriber = Subscriber { app, channel, company: member.company, position: 0, id };
    subscriber.serve(resumes.then_some((ready, start)), ending, recipient).await
}

/// Does something until the server ends.
async fn until(ending: &mut Ending, work: impl Future<Output = Over>) -> Over {
    tokio::select! {
        over = work => over,
        () = ending.wait() => Over::Ending,
    }
}

/// One subscriber of a channel.
struct Subscriber<'a, E> {
    app: &'a Arc<App<E>>,
    channel: Arc<Channel>,
    company: CompanyId,
    /// Up to where it has got everything.
    position: i64,
    id: RequestId,
}

impl<E: Executor> Subscriber<'_, E> {
    async fn serve(
        mut self,
        resumed: Option<(Ready<E>, Start)>,
        mut ending: Ending,
        recipient: &mut impl Recipient,
    ) -> Over {
        // Joined before the log's end is read: what happens after that comes through the channel.
        let mut results = self.channel.join();
        let begun =
            self.channel.state.clone().wait_for(|state| !matches!(state, State::Starting)).await.map(|it| it.clone());
        if let Ok(State::Over(over @ Over::Refused(_))) = begun {
            return over;
        }
        match self.channel.live.feed.head(self.company).await {
            Ok(head) => self.position = head,
            Err(error) => return Over::failed(error, self.id),
        }
        if let Some((ready, start)) = resumed {
            let most = self.app.config.limits.max_answer_bytes;
            let course = Arc::new(Course::new(start, Some(self.position)));
            match until(&mut ending, Box::pin(execute(ready, &course, most, self.id, recipient))).await {
                Over::Complete => {}
                over => return over,
            }
        }
        if !recipient.stand_at(self.position).await {
            return Over::Gone;
        }
        recipient.started();
        loop {
            let Some(live) = &mut results else { return self.channel.over().await };
            tokio::select! {
                biased;
                result = live.recv() => match result {
                    Ok(result) if result.position <= self.position => {}
                    Ok(result) => {
                        self.position = result.position;
                        if !recipient.bring_at(result.position, result.payload).await {
                            return Over::Gone;
                        }
                    }
                    Err(broadcast::error::RecvError::Closed) => return self.channel.over().await,
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        results = self.channel.join();
                        match until(&mut ending, Box::pin(self.catch_up(recipient))).await {
                            Over::Complete => {}
                            over => return over,
                        }
                    }
                },
                () = ending.wait() => return self.drain(live, recipient).await,
            }
        }
    }

    /// Reads from the log what the channel has dropped, up to where the log stands now.
    async fn catch_up(&mut self, recipient: &mut impl Recipient) -> Over {
        let head = loop {
            match self.channel.live.feed.head(self.company).await {
                Ok(head) => break head,
                Err(error) => {
                    tracing::warn!(%error, "a log's end can't be read; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        let ready = Ready::new(self.app, &self.channel.viewer, self.channel.operation.clone());
        let most = self.app.config.limits.max_answer_bytes;
        let course = Arc::new(Course::new(Start::After(self.position), Some(head)));
        let over = execute(ready, &course, most, self.id, recipient).await;
        self.position = head;
        over
    }

    /// Brings what happened before the server's end.
    async fn drain(&self, live: &mut broadcast::Receiver<Delivery>, recipient: &mut impl Recipient) -> Over {
        let dealt = async {
            if let Ok(head) = self.channel.live.feed.head(self.company).await {
                self.channel.course.dealt_with(head).await;
            }
        };
        tokio::select! {
            () = dealt => {}
            _ = self.channel.over() => {}
            () = tokio::time::sleep(DRAIN) => {}
        }
        // One that has fallen behind resumes from its cursor.
        while let Ok(result) = live.try_recv() {
            if result.position > self.position && !recipient.bring_at(result.position, result.payload).await {
                return Over::Gone;
            }
        }
        Over::Ending
    }
}
