//! `cosell serve`.

use std::{io, sync::Arc};

use clap::Args;

use super::{Failure, Outcome, outdated, say, system_clock};
use crate::{
    config::{Config, DatabaseUrl},
    domain::clock::Clock,
    http,
    server::{self, RunningServer, StartError},
    store::away,
    telemetry,
};

/// Run the server until Ctrl-C or SIGTERM
///
/// On SQLite the schema is brought up to date first; on PostgreSQL `cosell migrate` has to be run before.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  \
    COSELL_JWT_SECRET=$(openssl rand -hex 32) COSELL_DATABASE_URL=sqlite://cosell.db cosell serve")]
pub(super) struct Serve {}

/// Starts the server, with people for its playground.
pub(super) async fn start(
    config: Config,
    clock: Arc<dyn Clock>,
    people: Vec<http::Person>,
) -> Result<RunningServer, Failure> {
    let url = config.database.url.clone();
    // What it holds is large, and this is its only use.
    Box::pin(server::start_with(config, clock, people)).await.map_err(|error| failure(error, &url))
}

fn failure(error: StartError, url: &DatabaseUrl) -> Failure {
    match error {
        StartError::Config(faults) => faults.into(),
        StartError::Database(error) => Failure::new(format!("The database {url} can't be used: {error}.")),
        StartError::Schema(missing) => outdated(url, missing.len()),
        StartError::Listen(address, error) => Failure::new(format!("{address} can't be listened on: {error}.")),
        StartError::Other(error) => error.into(),
    }
}

pub(super) async fn run(config: Config) -> Outcome {
    start_log(&config)?;
    let mut end = End::prepare()?;
    let database = config.database.url.clone();
    let server = tokio::select! {
        server = Box::pin(start_when_possible(config)) => server?,
        // Whoever ends it before it could begin has got what was asked for.
        () = end.wait() => return Ok(()),
    };
    say(format_args!("cosell listens on http://{} (database {database})", server.addr))?;
    end.wait().await;
    server.shutdown().await;
    Ok(())
}

/// Starts the server, and waits as long as the database is away.
async fn start_when_possible(config: Config) -> Result<RunningServer, Failure> {
    let url = config.database.url.clone();
    let mut attempt = 0;
    loop {
        // The pool would try in silence for a while, and then not say why.
        let started = match away::probe(url.expose()).await {
            Ok(()) => Box::pin(server::start(config.clone(), system_clock())).await,
            Err(error) => Err(error.into()),
        };
        let error = match started {
            Ok(server) => return Ok(server),
            Err(error) => error,
        };
        let Some(reason) = error.is_wait() else { return Err(failure(error, &url)) };
        attempt += 1;
        let pause = away::pause(attempt);
        tracing::warn!(
            "the database {url} is away ({reason}): the server starts when it is there; trying again in {pause:.1?}"
        );
        tokio::time::sleep(pause).await;
    }
}

pub(super) fn start_log(config: &Config) -> Outcome {
    telemetry::init(config).map_err(|error| Failure::new(format!("The log can't be started: {error}.")))
}

/// What ends a server: Ctrl-C, or SIGTERM as service managers send it.
pub(super) struct End {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl End {
    /// Listens for them from now on.
    pub(super) fn prepare() -> Result<Self, Failure> {
        Self::listen().map_err(|error| Failure::new(format!("Signals can't be received: {error}.")))
    }

    #[cfg(unix)]
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
    fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Returns when one comes.
    #[cfg(unix)]
    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Returns when one comes.
    #[cfg(not(unix))]
    pub(super) async fn wait(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
