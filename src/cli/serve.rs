//! `cosell serve`.

use std::{io, sync::Arc};

use clap::Args;
use sd_notify::NotifyState;

use super::{Failure, Outcome, lock::Lock, outdated, say, system_clock};
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
    COSELL_JWT_SECRET=$(openssl rand -hex 32) COSELL_DATABASE_URL=sqlite://cosell.db cosell serve\n\n\
    The first Ctrl-C or SIGTERM ends the server in order: it finishes what runs, and brings subscribers what happened. A \
    second one ends it at once, with exit code 1.")]
pub(super) struct Serve {
    /// Check the configuration, start nothing, and end: with 0 when it is sound, with 2 when not
    ///
    /// Says all that is wrong and where it came from, or every setting as it is in force, without secrets. No network is
    /// used, so that whether the database answers is not known.
    #[arg(long)]
    pub(super) check_config: bool,
}

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
    raise_open_files(config.limits.max_connections);
    let database = config.database.url.clone();
    let alone = tokio::select! {
        lock = Lock::take(&database) => lock?,
        () = end.wait() => return Ok(()),
    };
    let server = tokio::select! {
        server = Box::pin(start_when_possible(config)) => server?,
        // Whoever ends it before it could begin has got what was asked for.
        () = end.wait() => return Ok(()),
    };
    say(format_args!("cosell listens on http://{} (database {database})", server.addr))?;
    tell_manager(&[NotifyState::Ready]);
    run_until(end, server).await?;
    drop(alone);
    Ok(())
}

/// Waits for the end and ends the server in order, or at once when it is told again.
pub(super) async fn run_until(mut end: End, server: RunningServer) -> Outcome {
    end.wait().await;
    tracing::info!("ending: requests are finished first; a second signal ends at once");
    tell_manager(&[NotifyState::Stopping]);
    tokio::select! {
        () = server.shutdown() => Ok(()),
        () = end.wait() => Err(Failure::new("A second signal came: what still ran was cut off.")),
    }
}

/// Tells systemd, where it asked to be told.
fn tell_manager(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager can't be told");
    }
}

/// What a server has open besides connections: the database's, the bus's, files.
const OTHER_FILES: u64 = 200;

/// Every connection is an open file, and systems start processes with a low limit that they may raise themselves.
fn raise_open_files(max_connections: usize) {
    let wanted = u64::try_from(max_connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    #[cfg(unix)]
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < wanted => tracing::warn!(
            limit,
            "limits.max_connections is {max_connections}, and fewer files than that and {OTHER_FILES} may be open: raise \
             the hard limit (`ulimit -Hn`), or lower the setting"
        ),
        Ok(limit) => tracing::info!(limit, "files that may be open at a time"),
        Err(error) => tracing::warn!(%error, "the limit of open files can't be raised"),
    }
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
        tell_manager(&[NotifyState::Status("waiting for the database")]);
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
