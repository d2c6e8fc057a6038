//! Listens: one task a connection, with a limit on how long a client may take with its headers, and an end that waits
//! for requests and says good-bye to websockets.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::domain::id::MemberId;

/// How long a client may take to send a request's headers, and how long an unused connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the end waits for requests, and again for what they leave behind.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after a failed accept, such as for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is open: requests, and the websockets and event streams that outlive theirs. The end of the server waits for the
/// former before it closes the latter.
#[derive(Clone, Debug)]
pub struct Sockets(Arc<Open>);

#[derive(Debug)]
struct Open {
    closing: AtomicBool,
    requests: watch::Sender<()>,
    /// Says when to close.
    streams: watch::Sender<bool>,
    /// How many each member has.
    seats: Mutex<HashMap<MemberId, usize>>,
}

impl Sockets {
    /// None yet.
    pub fn new() -> Self {
        Self(Arc::new(Open {
            closing: AtomicBool::new(false),
            requests: watch::Sender::new(()),
            streams: watch::Sender::new(false),
            seats: Mutex::default(),
        }))
    }

    /// Enters a request: it lasts as long as what is returned.
    pub(super) fn request(&self) -> watch::Receiver<()> {
        self.0.requests.subscribe()
    }

    /// Enters a websocket or an event stream: it lives as long as what is returned, which tells when to close.
    pub(super) fn enter(&self) -> Ending {
        Ending(self.0.streams.subscribe())
    }

    /// A place for one more websocket or event stream of a member; none where it has as many as it may.
    pub(super) fn seat(&self, member: MemberId, max: usize) -> Option<Seat> {
        let mut seats = self.seats();
        let taken = seats.entry(member).or_default();
        // The entry stays where another one keeps it; one that is new has room.
        if *taken >= max {
            return None;
        }
        *taken += 1;
        Some(Seat { sockets: self.clone(), member })
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<MemberId, usize>> {
        self.0.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server is ending: nothing new is let in.
    pub(super) fn closing(&self) -> bool {
        self.0.closing.load(Ordering::Acquire)
    }

    /// How many websockets and event streams are open.
    pub fn count(&self) -> usize {
        self.0.streams.receiver_count()
    }

    async fn close(&self) {
        self.0.streams.send_replace(true);
        self.0.streams.closed().await;
    }
}

/// Tells a websocket or an event stream when to close; it counts as open until this is dropped.
#[derive(Clone, Debug)]
pub(super) struct Ending(watch::Receiver<bool>);

impl Ending {
    /// Comes back when it is time to close.
    pub(super) async fn wait(&mut self) {
        // A sender that is gone is an end too.
        let _ = self.0.wait_for(|ending| *ending).await;
    }
}

/// A member's place for a websocket or an event stream; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    sockets: Sockets,
    member: MemberId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.sockets.seats();
        if let Some(taken) = seats.get_mut(&self.member) {
            *taken -= 1;
            if *taken == 0 {
                seats.remove(&self.member);
            }
        }
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self::new()
    }
}

/// Serves until `shutdown` comes. Then it lets requests finish, for 10 seconds at most, brings what has happened to the
/// subscribers and closes websockets with 1001, for 10 seconds at most.
///
/// # Errors
/// None at present: a connection that can't be accepted is logged and the next one is waited for.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    sockets: Sockets,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let ending = watch::Sender::new(());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(connection(stream, router.clone(), ending.subscribe()));
                }
                Err(fault) => {
                    tracing::warn!(%fault, "a connection can't be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    sockets.0.closing.store(true, Ordering::Release);
    ending.send_replace(());
    // What they write is still brought to the subscribers.
    if tokio::time::timeout(DRAIN_TIMEOUT, sockets.0.requests.closed()).await.is_err() {
        tracing::warn!(requests = sockets.0.requests.receiver_count(), "requests take too long to be waited for");
    }
    let drained = async { tokio::join!(ending.closed(), sockets.close()) };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!(connections = ending.receiver_count(), sockets = sockets.count(), "connections were cut off");
    }
    Ok(())
}

async fn connection(stream: TcpStream, router: Router, mut ending: watch::Receiver<()>) {
    // An answer is written at once; waiting for more to send with it only delays it.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = ending.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(fault) = result {
        // A client that goes away or sends nonsense is no news.
        tracing::debug!(%fault, "a connection ended");
    }
}
