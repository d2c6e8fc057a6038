//! A running server: database, use cases, feed, jobs and HTTP, put together.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Read as _},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chrono::TimeDelta;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    clock::Clock,
    config::{self, Bus, Config, ConfigFaults},
    domain::actor::Member,
    error::Error,
    feed::{Carrier, Feed, FeedSettings, Link, Signals},
    graphql,
    http::{
        self, App, Authenticator, Component, Connections, Health, Identity, Observer, Person, Ready, SignIn, Sockets,
    },
    ids::TimeOrdered,
    jobs,
    operation::Limits,
    service::{Policy, Service, member::Bearer},
    store::{
        away,
        db::{self, Db, PoolSize},
    },
    telemetry::{metrics::Metrics, spans::Spans},
};

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is at fault.
    Config(ConfigFaults),
    /// The database can't be used.
    Database(sea_orm::DbErr),
    /// The database's schema lacks these migrations.
    Schema(Vec<String>),
    /// The address can't be listened on.
    Listen(SocketAddr, io::Error),
    /// Something else.
    Other(Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(faults) => faults.fmt(f),
            Self::Database(error) => write!(f, "the database can't be used: {error}"),
            Self::Schema(missing) => write!(
                f,
                "the database's schema is not current: it lacks {}. Run `cosell migrate` first.",
                missing.join(", ")
            ),
            Self::Listen(address, error) => write!(f, "can't listen on {address}: {error}"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl StartError {
    /// What is wrong, where the database is away and may come back: then the same start may succeed later.
    pub fn is_wait(&self) -> Option<String> {
        let error = match self {
            Self::Database(error) => error,
            Self::Other(Error::Internal(cause)) => cause.downcast_ref()?,
            _ => return None,
        };
        away::may_come_back(error).then(|| away::reason(error))
    }
}

impl From<sea_orm::DbErr> for StartError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Database(error)
    }
}

/// What would keep a server from starting with this configuration, as far as it shows without the network and without
/// changing anything.
///
/// # Errors
/// All faults, each with its setting.
pub fn check(config: &Config, clock: Arc<dyn Clock>) -> Result<(), ConfigFaults> {
    let mut faults = Vec::new();
    if let Err(ConfigFaults(keys)) = Authenticator::new(config, clock) {
        faults.extend(keys);
    }
    if let Err(ConfigFaults(documents)) = documents(config) {
        faults.extend(documents);
    }
    let url = &config.database.url;
    let database = db::check_url(url.expose());
    let file = database.and_then(|()| url.sqlite_file().map_or(Ok(()), |file| check_sqlite_file(&file)));
    faults.extend(file.err().map(|fault| format!("database.url: {url} {fault}")));
    if faults.is_empty() { Ok(()) } else { Err(ConfigFaults(faults)) }
}

/// The documents that are known, with the compiler of all others.
fn documents(config: &Config) -> Result<http::Documents, ConfigFaults> {
    let config::Limits {
        max_tokens,
        max_fields,
        max_directives,
        max_aliases,
        max_root_fields,
        max_depth,
        max_complexity,
        ..
    } = config.limits;
    let limits = Limits {
        tokens: max_tokens,
        fields: max_fields,
        directives: max_directives,
        aliases: max_aliases,
        root_fields: max_root_fields,
        depth: max_depth,
        cost: max_complexity,
    };
    let compiler = graphql::compiler(limits, config.http.introspection);
    let compiler = compiler.map_err(|fault| ConfigFaults(vec![format!("the schema can't be read: {fault}")]))?;
    http::Documents::new(config, Arc::new(compiler))
}

fn check_sqlite_file(file: &Path) -> Result<(), String> {
    const HEADER: &[u8] = b"SQLite format 3\0";
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(format!("can't be used: there is no folder {}", folder.display()));
    }
    match OpenOptions::new().read(true).write(true).open(file) {
        Ok(file) => {
            let mut header = Vec::new();
            let read = file.take(HEADER.len() as u64).read_to_end(&mut header);
            read.map_err(|error| format!("can't be read: {error}"))?;
            if header.is_empty() || header == HEADER { Ok(()) } else { Err("is no SQLite database".to_owned()) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("can't be read and written: {error}")),
    }
}

/// The shortest time after which the database gives up.
const LEAST_WORK: Duration = Duration::from_secs(5);

/// Connects to the configured database. On SQLite the schema is brought up to date; on PostgreSQL it has to be.
pub async fn open_database(config: &Config) -> Result<Db, StartError> {
    let size = PoolSize {
        connections: config.database.max_connections,
        at_least: config.database.min_connections,
        wait: config.database.acquire_timeout,
        // What has a short time to be answered is not worth less: jobs work on the same connections.
        work: Some(config.limits.request_timeout.max(LEAST_WORK)),
    };
    let url = config.database.url.expose();
    if config.database.url.is_sqlite() {
        // A migration takes as long as it takes.
        let db = Db::connect(url, PoolSize { connections: 1, work: None, ..size }).await?;
        db.migrate().await?;
        db.close().await;
    }
    let db = Db::connect(url, size).await?;
    if !db.is_sqlite() {
        let missing = db.pending_migrations().await?;
        if !missing.is_empty() {
            return Err(StartError::Schema(missing));
        }
    }
    Ok(db)
}

/// What carries the signals of this process to the others, where the configuration names something.
pub(crate) fn carrier(config: &Config) -> Option<Carrier> {
    match &config.bus {
        Bus::Memory => None,
        Bus::Postgres => Some(Carrier::Postgres {
            url: config.database.url.expose().to_owned(),
            shown: config.database.url.to_string(),
        }),
        Bus::Nats(url) => Some(Carrier::Nats { url: url.expose().to_owned(), shown: url.to_string() }),
    }
}

/// How long the end waits for the bus to take what is still to be told.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long the end waits for statements that still run.
const LAST_STATEMENTS: Duration = Duration::from_secs(10);

/// A server that runs until it is shut down.
#[derive(Debug)]
pub struct RunningServer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Where it serves its metrics, where it does.
    pub metrics_addr: Option<SocketAddr>,
    service: Arc<Service>,
    stop: oneshot::Sender<()>,
    http: JoinHandle<io::Result<()>>,
    metrics: Option<JoinHandle<()>>,
    jobs: Vec<JoinHandle<()>>,
    bus: Option<Arc<Link>>,
    spans: Option<Arc<Spans>>,
}

impl RunningServer {
    /// The use cases of the server.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Lets requests finish, closes websockets, stops the jobs, and closes the database.
    pub async fn shutdown(self) {
        // The receiver is gone only when the server has ended by itself.
        let _ = self.stop.send(());
        if let Ok(Err(error)) = self.http.await {
            tracing::warn!(%error, "the server did not end cleanly");
        }
        for job in self.jobs {
            job.abort();
        }
        if let Err(error) = self.service.release_leases().await {
            tracing::warn!(%error, "the leases were not given back");
        }
        if let Some(bus) = self.bus
            && !bus.close(LAST_WORDS).await
        {
            tracing::warn!("the bus did not take the last events; other servers find them by their poll");
        }
        if let Some(spans) = self.spans
            && !spans.close(LAST_WORDS).await
        {
            tracing::warn!("the collector did not take the last spans");
        }
        if let Some(metrics) = self.metrics {
            metrics.abort();
        }
        if tokio::time::timeout(LAST_STATEMENTS, self.service.db().clone().close()).await.is_err() {
            tracing::warn!("statements still run in the database; they are left behind");
        }
    }
}

struct SignInBy(Arc<Service>);

#[async_trait]
impl SignIn for SignInBy {
    async fn sign_in(&self, identity: Identity) -> Result<Member, Error> {
        let bearer = Bearer {
            company: identity.company_slug,
            subject: identity.subject,
            roles: identity.roles,
            name: identity.name,
            email: identity.email,
        };
        self.0.sign_in(bearer).await
    }
}

/// Starts a server.
///
/// # Errors
/// What [`StartError`] says; nothing is left running then.
pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<RunningServer, StartError> {
    Box::pin(start_with(config, clock, vec![])).await
}

/// Starts a server whose playground has people to pick from: whoever opens it gets their tokens.
///
/// # Errors
/// Those of [`start`].
pub async fn start_with(
    config: Config,
    clock: Arc<dyn Clock>,
    people: Vec<Person>,
) -> Result<RunningServer, StartError> {
    let auth = Arc::new(Authenticator::new(&config, clock.clone()).map_err(StartError::Config)?);
    let documents = documents(&config).map_err(StartError::Config)?;
    let db = open_database(&config).await?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| StartError::Listen(config.listen, error))?;
    let addr = listener.local_addr().map_err(|error| StartError::Listen(config.listen, error))?;
    let (metrics, metrics_addr) = listen_for_metrics(config.metrics_listen).await?;
    let spans =
        match &config.otlp {
            None => None,
            Some(otlp) => Some(Arc::new(Spans::start(otlp).map_err(|fault| {
                StartError::Other(Error::internal(format!("spans can't be sent to {otlp}: {fault}")))
            })?)),
        };
    let signals = Arc::new(Signals::default());
    let ids = Arc::new(TimeOrdered::new(clock.clone()));
    let service = Service::new(db, clock.clone(), ids, signals.clone()).await.map_err(StartError::Other)?;
    let span = |time| TimeDelta::from_std(time).map_err(|error| StartError::Other(Error::internal(error)));
    let policy = Policy { keys_kept: span(config.idempotency_retention)?, warn_before: span(config.expiring_before)? };
    let service = Arc::new(service.with_policy(policy));
    let bus = carrier(&config).map(|carrier| Arc::new(signals.connect(carrier, &service.cursors().installation())));
    let settings =
        FeedSettings { poll_interval: config.feed.poll_interval, retention: Some(span(config.feed.retention)?) };
    let feed = Feed::new(service.clone(), signals.clone(), settings);
    let schema = graphql::schema(service.clone(), feed.clone());
    auth.warm_up().await;
    let runs = jobs::Runs::default();
    let observer = Arc::new(Observer::new(clock.clone()).with_spans(spans.clone()));
    let exports = spans.as_ref().map(|spans| &spans.exports);
    let metrics = metrics.map(|listener| {
        let (service, feed) = (service.clone(), feed.clone());
        let metrics = Metrics::new(&observer.counts, exports, service, feed, signals, &runs);
        tokio::spawn(http::scrape::serve(listener, Arc::new(metrics)))
    });
    let jobs = jobs::start(&service, config.expiry_interval, &runs);
    let sockets = Sockets::new();
    let (prepared, ready, told) = (service.clone(), service.clone(), bus.clone());
    let app = App {
        schema,
        live: Some(http::Live::new(feed)),
        documents,
        rates: http::Rates::new(&config),
        auth,
        sign_in: Arc::new(SignInBy(service.clone())),
        config: Arc::new(config),
        clock,
        prepare: Arc::new(move |viewer, request| graphql::prepare(&prepared, viewer, request)),
        ready: Ready::new(move || {
            let (service, told) = (ready.clone(), told.clone());
            Box::pin(async move {
                let database = match service.ping().await {
                    Ok(()) => Component::Ok,
                    Err(_) => Component::Down("does not answer"),
                };
                // Without the bus events come later, but they come.
                let bus = told.and_then(|bus| bus.complaint()).map_or(Component::Ok, Component::Impaired);
                Health(vec![("database", database), ("bus", bus)])
            })
        }),
        sockets: sockets.clone(),
        observer,
        people,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let connections = Connections::new(&app.config);
    let router = http::router(app);
    let http = tokio::spawn(async move {
        let shutdown = async move {
            // A dropped sender means that nobody can stop the server any more: it runs on.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        http::serve(listener, router, connections, sockets, shutdown).await
    });
    Ok(RunningServer { addr, metrics_addr, service, stop, http, metrics, jobs, bus, spans })
}

async fn listen_for_metrics(
    address: Option<SocketAddr>,
) -> Result<(Option<TcpListener>, Option<SocketAddr>), StartError> {
    let Some(address) = address else { return Ok((None, None)) };
    let fault = |error| StartError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    Ok((Some(listener), Some(address)))
}
