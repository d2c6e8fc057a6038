//! What an operator can set: defaults, then a TOML file, then the environment; see [`SETTINGS`].
//!
//! [`load`] checks everything once and names every fault, each with where it came from. To add a setting, add its
//! row to [`SETTINGS`], its field here and its line in [`load`].

mod bus;
mod door;
mod jwt;
mod otlp;
mod reader;
mod settings;
mod warnings;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::HeaderName;
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use url::Url;

pub use self::bus::{Bus, NatsUrl};
pub use self::door::{Documents, Manifest, Origins, Rate, Shared};
pub use self::jwt::{Claims, Issuer, Jwt, KeySource};
pub use self::otlp::Otlp;
pub use self::reader::Effective;
use self::reader::Reader;
pub(crate) use self::reader::duration as parse_duration;
pub use self::settings::{CONFIG_FILE_ENV, SECRETS, SETTINGS, Setting};

/// The fewest bytes of a shared secret: as many as the hash it is used with, as RFC 7518 section 3.2 asks.
pub const MIN_SECRET_BYTES: usize = 32;

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port of the server.
    pub listen: SocketAddr,
    /// The database.
    pub database: Database,
    /// How tokens are verified.
    pub jwt: Jwt,
    /// What the HTTP server shows.
    pub http: Http,
    /// Which documents may run.
    pub documents: Documents,
    /// What a caller may ask for.
    pub limits: Limits,
    /// The live feed.
    pub feed: Feed,
    /// What tells servers of each other's events.
    pub bus: Bus,
    /// How often leads past their limit are recorded as expired.
    pub expiry_interval: Duration,
    /// How long before its limit a lead's sides are told.
    pub expiring_before: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency_retention: Duration,
    /// The log.
    pub log: Log,
    /// Where metrics are served, where they are.
    pub metrics_listen: Option<SocketAddr>,
    /// Where spans are sent, where they are.
    pub otlp: Option<Otlp>,
    /// What is allowed but probably not meant, one sentence each; for the log at start.
    pub warnings: Vec<String>,
}

/// All that can be said of a configuration without using it.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The settings, or what is wrong with them.
    pub config: Result<Config, ConfigFaults>,
    /// What is allowed but probably not meant, also where something else is wrong.
    pub warnings: Vec<String>,
    /// Every setting as it is in force, without secrets.
    pub effective: Vec<Effective>,
}

/// The database.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its URL; may hold a password.
    pub url: DatabaseUrl,
    /// Most connections in the pool.
    pub max_connections: u32,
    /// Connections kept open while idle.
    pub min_connections: u32,
    /// Longest wait for a free connection.
    pub acquire_timeout: Duration,
}

/// A database's URL. `Debug` and `Display` leave out the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole URL, password included.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it names an `SQLite` file.
    pub fn is_sqlite(&self) -> bool {
        self.0.starts_with("sqlite:")
    }

    /// The `SQLite` file that it names.
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        let rest = self.0.strip_prefix("sqlite:")?;
        let file = rest.strip_prefix("//").unwrap_or(rest);
        Some(PathBuf::from(file.split('?').next().unwrap_or_default()))
    }

    /// Checks a URL.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        const WANTED: &str = "must be sqlite://FILE, postgres://... or postgresql://...";
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let file = rest.strip_prefix("//").unwrap_or(rest);
            let file = file.split('?').next().unwrap_or_default();
            if file.is_empty() {
                return Err(format!("names no file; {WANTED}"));
            }
            if file == ":memory:" || rest.contains("mode=memory") {
                return Err("a database in memory is lost when a connection is closed; name a file".to_owned());
            }
            return Ok(Self(text.to_owned()));
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") => Ok(Self(text.to_owned())),
            // The text may hold a password, so that it is not repeated.
            Ok(_) => Err(WANTED.to_owned()),
            Err(fault) => Err(format!("is not a URL ({fault}); {WANTED}")),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(&self.0) {
            Ok(mut url) if url.password().is_some() => {
                // A URL with a password has a host, and so takes another password.
                let _ = url.set_password(Some("***"));
                f.write_str(url.as_str().split('?').next().unwrap_or_default())
            }
            _ => f.write_str(self.0.split('?').next().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What the HTTP server shows, and to whom.
#[derive(Clone, Debug)]
pub struct Http {
    /// Whether `/` serves the playground.
    pub playground: bool,
    /// Whether the schema can be read over the API.
    pub introspection: bool,
    /// The browser origins that may call.
    pub allowed_origins: Origins,
    /// What headers pages of other origins may send besides those that are always allowed.
    pub allowed_headers: Vec<HeaderName>,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// What a caller may ask for; [`SETTINGS`] says what each means.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is the setting of its name")]
pub struct Limits {
    pub max_body_bytes: usize,
    pub max_depth: usize,
    pub max_complexity: usize,
    pub max_fields: usize,
    pub max_aliases: usize,
    pub max_root_fields: usize,
    pub max_directives: usize,
    pub max_tokens: usize,
    pub max_variables_bytes: usize,
    pub max_answer_bytes: usize,
    pub max_batch: usize,
    pub member_rate: Option<Rate>,
    pub address_rate: Option<Rate>,
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    pub header_timeout: Duration,
    pub write_timeout: Duration,
    pub request_timeout: Duration,
    pub ws_init_timeout: Duration,
    pub ws_max_message_bytes: usize,
    pub ws_max_operations: usize,
    pub ws_ping_interval: Duration,
    pub ws_send_timeout: Duration,
    pub ws_max_sockets: usize,
}

/// The live feed.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// How often the event logs are looked at when nothing wakes their readers.
    pub poll_interval: Duration,
    /// How far back a subscription can begin.
    pub retention: Duration,
}

/// The log.
#[derive(Clone, Debug)]
pub struct Log {
    /// Directives, as `tracing-subscriber`'s `EnvFilter` reads them.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: an object a line.
    Json,
}

/// Everything that is wrong with the configuration; it displays as one fault a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFaults(pub Vec<String>);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigFaults {}

/// Reads the configuration: the defaults, then `file` (or else the file that `COSELL_CONFIG` names), then `env`.
///
/// Paths are relative to the working directory.
///
/// # Errors
/// All faults, each with where it came from.
pub fn load(file: Option<&Path>, env: impl IntoIterator<Item = (String, String)>) -> Result<Config, ConfigFaults> {
    examine(file, env).config
}

/// Reads the configuration as [`load`] does, and says all there is to say of it.
pub fn examine(file: Option<&Path>, env: impl IntoIterator<Item = (String, String)>) -> Examined {
    let env: BTreeMap<String, String> =
        env.into_iter().filter(|(name, value)| name.starts_with("COSELL_") && !value.trim().is_empty()).collect();
    let mut faults = Vec::new();
    let mut warnings: Vec<String> = env
        .keys()
        .filter(|name| *name != CONFIG_FILE_ENV && SETTINGS.iter().all(|setting| !setting.is_set_by(name)))
        .map(|name| format!("{name}: there is no such setting"))
        .collect();

    let path = file.map(Path::to_owned).or_else(|| env.get(CONFIG_FILE_ENV).map(PathBuf::from));
    let table = path.and_then(|path| {
        let name = path.display().to_string();
        match read_table(&path) {
            Ok(table) => Some((name, table)),
            Err(fault) => {
                faults.push(format!("{name}: {fault}"));
                None
            }
        }
    });

    warnings.extend(warnings::open_files(&env, table.as_ref()));
    let mut reader = Reader::new(env, table, faults);
    let second = Duration::from_secs(1);
    let day = Duration::from_hours(24);
    let address = |text: &str| {
        text.parse::<SocketAddr>().map_err(|_| "must be an address and a port, such as 127.0.0.1:8080".to_owned())
    };
    let listen = reader.parsed("listen", address);
    let database = read_database(&mut reader);
    let jwt = jwt::read(&mut reader);
    let http = read_http(&mut reader);
    let documents = read_documents(&mut reader, &mut warnings);
    let limits = read_limits(&mut reader);
    let bus = read_bus(&mut reader, database.as_ref());
    let poll_interval = reader.duration("feed.poll_interval", Duration::from_millis(10)..=second * 3600);
    let retention = reader.duration("feed.retention", Duration::from_mins(1)..=day * 36_500);
    let expiry_interval = reader.duration("jobs.expiry_interval", Duration::from_millis(50)..=day.min(second * 3600));
    let expiring_before = reader.duration("jobs.expiring_before", second * 60..=day * 365);
    let idempotency_retention = reader.duration("idempotency.retention", second * 60..=day * 365);
    let filter = reader.parsed("log.filter", |text| {
        EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|fault| format!("is no log filter: {fault}"))
    });
    let format = reader.parsed("log.format", |text| match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    });
    let metrics_listen = reader.parsed("metrics.listen", address);
    let otlp = read_otlp(&mut reader, &mut warnings);

    warnings.extend(warnings::of(database.as_ref(), jwt.as_ref(), bus.as_ref(), http.as_ref()));

    // A value is missing only where a fault was noted.
    let config = (|| {
        Some(Config {
            listen: listen?.value,
            database: database?,
            jwt: jwt?,
            http: http?,
            documents: documents?,
            limits: limits?,
            bus: bus?,
            feed: Feed { poll_interval: poll_interval?, retention: retention? },
            expiry_interval: expiry_interval?,
            expiring_before: expiring_before?,
            idempotency_retention: idempotency_retention?,
            log: Log { filter: filter?.value, format: format?.value },
            metrics_listen: metrics_listen.map(|found| found.value),
            otlp: otlp?,
            warnings: warnings.clone(),
        })
    })();
    let effective = reader.effective();
    let config = config.filter(|_| reader.faults.is_empty()).ok_or(ConfigFaults(reader.faults));
    Examined { config, warnings, effective }
}

fn read_table(path: &Path) -> Result<toml::Table, String> {
    let text = std::fs::read_to_string(path).map_err(|fault| format!("can't be read: {fault}"))?;
    text.parse::<toml::Table>().map_err(|fault| {
        // The whole fault shows the line, which may hold a secret.
        let line = fault.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        format!("line {line}: {}", fault.message())
    })
}

fn read_database(reader: &mut Reader) -> Option<Database> {
    let url = reader.parsed("database.url", DatabaseUrl::parse);
    let max = reader.number("database.max_connections", 1..=1000);
    let min = reader.number("database.min_connections", 0..=1000);
    let acquire_timeout =
        reader.duration("database.acquire_timeout", Duration::from_millis(100)..=Duration::from_mins(5));
    if let (Some(max), Some(min)) = (max, min)
        && min > max
    {
        reader.faults.push(format!("database.min_connections: {min} is more than database.max_connections, {max}"));
    }
    Some(Database {
        url: url?.value,
        max_connections: u32::try_from(max?).ok()?,
        min_connections: u32::try_from(min?).ok()?,
        acquire_timeout: acquire_timeout?,
    })
}

/// None where a fault was noted; `Some(None)` where it is off.
#[allow(clippy::option_option, reason = "off is a setting like any other")]
fn read_otlp(reader: &mut Reader, warnings: &mut Vec<String>) -> Option<Option<Otlp>> {
    let before = reader.faults.len();
    let endpoint = reader.parsed("otlp.endpoint", otlp::endpoint);
    let headers = reader.parsed("otlp.headers", otlp::headers);
    let service_name = reader.optional("otlp.service_name");
    let sample_ratio = reader.parsed_number("otlp.sample_ratio", otlp::ratio);
    if reader.faults.len() > before {
        return None;
    }
    let Some(endpoint) = endpoint else { return Some(None) };
    let headers = headers.map(|found| found.value).unwrap_or_default();
    if endpoint.value.scheme() == "http" && !is_loopback(&endpoint.value) && !headers.is_empty() {
        warnings.push("otlp.headers: what is sent without TLS can be read on the way".to_owned());
    }
    Some(Some(Otlp {
        endpoint: endpoint.value,
        headers,
        service_name: service_name?.value,
        sample_ratio: sample_ratio?.value,
    }))
}

fn read_bus(reader: &mut Reader, database: Option<&Database>) -> Option<Bus> {
    let bus = reader.parsed("bus.url", Bus::parse)?;
    if bus.value == Bus::Postgres && database.is_some_and(|database| database.url.is_sqlite()) {
        let fault = "postgres is for a PostgreSQL database, and database.url names an SQLite file";
        reader.faults.push(format!("{}: {fault}", bus.origin));
    }
    Some(bus.value)
}

fn read_http(reader: &mut Reader) -> Option<Http> {
    let playground = reader.flag("http.playground");
    let introspection = reader.flag("http.introspection");
    // Unset is not the same as faulty, which is noted.
    let allowed_origins = reader.parsed("http.allowed_origins", Origins::parse).map(|found| found.value);
    let allowed_headers = reader.parsed_list("http.allowed_headers", door::headers).map(|found| found.value);
    let trusted_proxies = reader.parsed("http.trusted_proxies", door::networks).map(|found| found.value);
    Some(Http {
        playground: playground?,
        introspection: introspection?,
        allowed_origins: allowed_origins.unwrap_or_default(),
        allowed_headers: allowed_headers.unwrap_or_default(),
        trusted_proxies: trusted_proxies.unwrap_or_default(),
    })
}

fn read_documents(reader: &mut Reader, warnings: &mut Vec<String>) -> Option<Documents> {
    let cache_bytes = reader.number("documents.cache_bytes", 0..=1 << 30);
    let before = reader.faults.len();
    let manifest = reader.parsed("documents.manifest", Manifest::read).map(|found| found.value);
    let trusted_only = reader.flag("documents.trusted_only");
    if trusted_only == Some(true) {
        match &manifest {
            None if reader.faults.len() == before => {
                reader.faults.push("documents.trusted_only: needs documents.manifest, which names them".to_owned());
            }
            Some(manifest) if manifest.documents.is_empty() => {
                warnings.push(format!("documents.manifest: {} is empty: nothing can run", manifest.path.display()));
            }
            _ => {}
        }
    }
    Some(Documents { cache_bytes: cache_bytes?, manifest, trusted_only: trusted_only? })
}

fn read_limits(reader: &mut Reader) -> Option<Limits> {
    const SIZES: std::ops::RangeInclusive<u64> = 1024..=16 * 1024 * 1024;
    let short = Duration::from_millis(10)..=Duration::from_mins(10);
    let max_body_bytes = reader.number("limits.max_body_bytes", SIZES);
    let max_depth = reader.number("limits.max_depth", 1..=64);
    let max_complexity = reader.number("limits.max_complexity", 1..=100_000_000);
    let max_fields = reader.number("limits.max_fields", 1..=1_000_000);
    let max_aliases = reader.number("limits.max_aliases", 0..=1_000_000);
    let max_root_fields = reader.number("limits.max_root_fields", 1..=1_000_000);
    let max_directives = reader.number("limits.max_directives", 0..=1_000_000);
    let max_tokens = reader.number("limits.max_tokens", 1..=10_000_000);
    let max_variables_bytes = reader.number("limits.max_variables_bytes", 2..=16 * 1024 * 1024);
    let max_answer_bytes = reader.number("limits.max_answer_bytes", 64 * 1024..=1024 * 1024 * 1024);
    let max_batch = reader.number("limits.max_batch", 1..=1000);
    let member_rate = reader.parsed("limits.member_rate", Rate::parse);
    let address_rate = reader.parsed("limits.address_rate", Rate::parse);
    let max_connections = reader.number("limits.max_connections", 1..=10_000_000);
    let max_connections_per_address = reader.number("limits.max_connections_per_address", 1..=10_000_000);
    let header_timeout = reader.duration("limits.header_timeout", short.clone());
    let write_timeout = reader.duration("limits.write_timeout", short.clone());
    let request_timeout = reader.duration("limits.request_timeout", short.clone());
    let ws_init_timeout = reader.duration("limits.ws_init_timeout", short.clone());
    let ws_max_message_bytes = reader.number("limits.ws_max_message_bytes", SIZES);
    let ws_max_operations = reader.number("limits.ws_max_operations", 1..=10_000);
    let ws_ping_interval = reader.duration("limits.ws_ping_interval", short.clone());
    let ws_send_timeout = reader.duration("limits.ws_send_timeout", short);
    let ws_max_sockets = reader.number("limits.ws_max_sockets", 1..=1_000_000);
    let size = |number: u64| usize::try_from(number).ok();
    Some(Limits {
        max_body_bytes: size(max_body_bytes?)?,
        max_depth: size(max_depth?)?,
        max_complexity: size(max_complexity?)?,
        max_fields: size(max_fields?)?,
        max_aliases: size(max_aliases?)?,
        max_root_fields: size(max_root_fields?)?,
        max_directives: size(max_directives?)?,
        max_tokens: size(max_tokens?)?,
        max_variables_bytes: size(max_variables_bytes?)?,
        max_answer_bytes: size(max_answer_bytes?)?,
        max_batch: size(max_batch?)?,
        member_rate: member_rate?.value,
        address_rate: address_rate?.value,
        max_connections: size(max_connections?)?,
        max_connections_per_address: size(max_connections_per_address?)?,
        header_timeout: header_timeout?,
        write_timeout: write_timeout?,
        request_timeout: request_timeout?,
        ws_init_timeout: ws_init_timeout?,
        ws_max_message_bytes: size(ws_max_message_bytes?)?,
        ws_max_operations: size(ws_max_operations?)?,
        ws_ping_interval: ws_ping_interval?,
        ws_send_timeout: ws_send_timeout?,
        ws_max_sockets: size(ws_max_sockets?)?,
    })
}

/// A URL as it is shown: without what may be secret in it.
pub(crate) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// Whether the URL's host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests;
