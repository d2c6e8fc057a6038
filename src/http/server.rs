//! Listens: one task a connection, with a limit on how long a client may take with its headers, and an end that waits
//! for requests and says good-bye to websockets.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutWriter;
use tower::ServiceExt;

use super::limit::{Network, is_proxy};
use crate::config::Config;
use crate::domain::id::MemberId;

/// The most bytes of a request's headers; hyper answers 431 to more.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// How many clients are told at a time that they are turned away.
const MAX_FAREWELLS: usize = 100;
/// How long a client that is turned away may take to hear so.
const FAREWELL: Duration = Duration::from_secs(1);
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

/// The connections of a server: how many there may be, in all and of one address, and how long each may stall.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Lines>);

#[derive(Debug)]
struct Lines {
    most: usize,
    most_of_address: usize,
    header_timeout: Duration,
    write_timeout: Duration,
    trusted_proxies: Vec<IpNet>,
    open: Mutex<Lined>,
}

#[derive(Debug, Default)]
struct Lined {
    all: usize,
    of: HashMap<Network, usize>,
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// There are as many as the server takes.
    All,
    /// There are as many of its address as one may have.
    Address,
}

impl Full {
    /// The answer to a request that is not even read.
    const fn answer(self) -> &'static [u8] {
        match self {
            Self::All => {
                b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
                  Content-Type: text/plain\r\nContent-Length: 31\r\n\r\nToo many connections are open.\n"
            }
            Self::Address => {
                b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nConnection: close\r\n\
                  Content-Type: text/plain\r\nContent-Length: 47\r\n\r\nToo many connections of this address are open.\n"
            }
        }
    }
}

impl Connections {
    /// None yet; as many as configured.
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(Lines {
            most: config.limits.max_connections,
            most_of_address: config.limits.max_connections_per_address,
            header_timeout: config.limits.header_timeout,
            write_timeout: config.limits.write_timeout,
            trusted_proxies: config.http.trusted_proxies.clone(),
            open: Mutex::default(),
        }))
    }

    fn open(&self) -> MutexGuard<'_, Lined> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from there.
    fn enter(&self, address: IpAddr) -> Result<Line, Full> {
        // Behind a proxy stand many callers.
        let network = (!is_proxy(address, &self.0.trusted_proxies)).then(|| Network::from(address));
        let mut open = self.open();
        if open.all >= self.0.most {
            return Err(Full::All);
        }
        if let Some(network) = network {
            let taken = open.of.entry(network).or_default();
            // An entry that is new has room.
            if *taken >= self.0.most_of_address {
                return Err(Full::Address);
            }
            *taken += 1;
        }
        open.all += 1;
        Ok(Line { connections: self.clone(), network })
    }
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// The other end of the connection, which may be a proxy.
    pub(super) address: SocketAddr,
    /// The connection's place; what outlives the HTTP connection keeps it.
    _line: Arc<Line>,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    connections: Connections,
    network: Option<Network>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.all -= 1;
        if let Some(network) = self.network
            && let Some(taken) = open.of.get_mut(&network)
        {
            *taken -= 1;
            if *taken == 0 {
                open.of.remove(&network);
            }
        }
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
    connections: Connections,
    sockets: Sockets,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let ending = watch::Sender::new(());
    let farewells = Arc::new(Semaphore::new(MAX_FAREWELLS));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match connections.enter(peer.ip()) {
                    Ok(line) => {
                        tokio::spawn(connection(stream, peer, router.clone(), line, ending.subscribe()));
                    }
                    Err(full) => {
                        tracing::debug!(?full, "a connection is turned away");
                        // They are bounded too; who comes beyond hears nothing.
                        if let Ok(permit) = farewells.clone().try_acquire_owned() {
                            tokio::spawn(async move {
                                turn_away(stream, full).await;
                                drop(permit);
                            });
                        }
                    }
                },
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

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    line: Line,
    mut ending: watch::Receiver<()>,
) {
    // An answer is written at once; waiting for more to send with it only delays it.
    let _ = stream.set_nodelay(true);
    let Lines { header_timeout, write_timeout, .. } = *line.connections.0;
    // A client that takes nothing holds what is written for it; reading has limits of its own, by what is read.
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(write_timeout));
    let peer = Peer { address, _line: Arc::new(line) };
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        request
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(header_timeout).max_header_size(MAX_HEADER_BYTES);
    // For the answer to an upgrade.
    builder.preserve_header_case(true);
    let connection =
        builder.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service)).with_upgrades();
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

/// Tells a client that there is no room for it, whatever it wants.
async fn turn_away(mut stream: TcpStream, full: Full) {
    let told = async {
        stream.write_all(full.answer()).await?;
        stream.shutdown().await?;
        // What it has sent is read and left: a connection that is closed with data unread takes the answer with it.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(FAREWELL, told).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn connections_are_counted_in_all_and_by_address_and_places_are_given_back() {
        let mut config = load(None, []).unwrap();
        (config.limits.max_connections, config.limits.max_connections_per_address) = (5, 2);
        config.http.trusted_proxies = vec!["10.0.0.1".parse::<IpAddr>().unwrap().into()];
        let connections = Connections::new(&config);
        let enter = |address: &str| connections.enter(address.parse().unwrap());
        let first = enter("192.0.2.1").unwrap();
        let second = enter("::ffff:192.0.2.1").unwrap();
        assert_eq!(enter("192.0.2.1").unwrap_err(), Full::Address);
        let proxied: Vec<_> = (0..3).map(|_| enter("10.0.0.1").unwrap()).collect();
        assert_eq!(enter("192.0.2.2").unwrap_err(), Full::All);
        drop(first);
        let third = enter("192.0.2.1").unwrap();
        drop((second, third, proxied));
        let open = connections.open();
        assert_eq!((open.all, open.of.len()), (0, 0));
    }

    #[test]
    fn the_answers_of_a_full_server_are_as_long_as_they_say() {
        for full in [Full::All, Full::Address] {
            let answer = std::str::from_utf8(full.answer()).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{answer}");
            assert!(head.lines().skip(1).all(|line| !line.starts_with(' ')), "{answer}");
        }
    }
}
