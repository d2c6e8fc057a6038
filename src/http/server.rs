//! Listens: one task a connection, with a limit on how long a client may take with its headers, and an end that waits
//! for requests and says good-bye to websockets.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long a client may take to send a request's headers, and how long an unused connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the end waits for what is running.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after a failed accept, such as for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The open websockets, so that the end of the server can close them and wait for them.
#[derive(Clone, Debug)]
pub struct Sockets(Arc<watch::Sender<bool>>);

impl Sockets {
    /// None yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Enters a websocket: it lives as long as what is returned, which tells when the server ends.
    pub(super) fn enter(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }

    /// Whether the server is ending.
    pub(super) fn closing(&self) -> bool {
        *self.0.borrow()
    }

    /// How many websockets are open.
    pub fn count(&self) -> usize {
        self.0.receiver_count()
    }

    async fn close(&self) {
        self.0.send_replace(true);
        self.0.closed().await;
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self::new()
    }
}

/// Serves until `shutdown` comes, then lets requests finish and closes websockets with 1001, for 10 seconds at most.
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
    ending.send_replace(());
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
