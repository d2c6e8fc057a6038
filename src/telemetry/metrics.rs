//! What is measured, for Prometheus.
//!
//! Each room counts what it does; this is where the counts get their names. To add a metric: its field or its room's, its
//! line in [`Metrics::new`], and its row in `docs/signals.md`, which a test compares with what is served.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::Mutex;

use super::spans::Exports;
use crate::feed::{Feed, Signals};
use crate::jobs;
use crate::service::Service;

/// How many names of operations are told apart at most: they come from clients.
const MAX_NAMES: usize = 200;
/// The longest name that is told apart, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// How long the database may take with what is asked of it for one look at the metrics.
const PATIENCE: Duration = Duration::from_secs(2);

/// Stands for names that are not told apart.
pub(crate) const OTHER: &str = "(other)";
/// Stands where there is no name.
pub(crate) const NONE: &str = "(none)";

/// A label's text that many have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name(Arc<str>);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        (&*self.0).encode(encoder)
    }
}

/// The names of operations that are told apart.
#[derive(Debug)]
struct Names {
    known: RwLock<HashSet<Arc<str>>>,
    other: Name,
    none: Name,
}

impl Names {
    fn new() -> Self {
        Self { known: RwLock::default(), other: Name(OTHER.into()), none: Name(NONE.into()) }
    }

    /// The label of a name. Only a caller who is known makes it one that is told apart from now on: others could use up
    /// all there are.
    fn label(&self, name: Option<&str>, trusted: bool) -> Name {
        let Some(name) = name else { return self.none.clone() };
        if name.len() > MAX_NAME_BYTES || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            return self.other.clone();
        }
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Name(known.clone());
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if !trusted || known.len() >= MAX_NAMES {
            return self.other.clone();
        }
        let name: Arc<str> = name.into();
        known.insert(name.clone());
        Name(name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    name: Name,
    kind: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TimeLabels {
    name: Name,
    kind: &'static str,
}

type Label = [(&'static str, &'static str); 1];

/// What is counted in `http`.
#[derive(Debug)]
pub(crate) struct Counts {
    names: Names,
    requests: Family<RequestLabels, Counter>,
    operations: Family<OperationLabels, Counter>,
    seconds: Family<TimeLabels, Histogram>,
    pub(crate) in_flight: Gauge,
    pub(crate) websockets: Gauge,
    pub(crate) streams: Gauge,
    pub(crate) subscriptions: Gauge,
}

impl Default for Counts {
    fn default() -> Self {
        let seconds = || Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0]);
        Self {
            names: Names::new(),
            requests: Family::default(),
            operations: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            in_flight: Gauge::default(),
            websockets: Gauge::default(),
            streams: Gauge::default(),
            subscriptions: Gauge::default(),
        }
    }
}

impl Counts {
    /// A request that has got its answer.
    pub(crate) fn request(&self, route: &'static str, method: &'static str, status: u16) {
        self.requests.get_or_create(&RequestLabels { route, method, status }).inc();
    }

    /// An operation that is over. How long it took counts for one that has an end of its own.
    pub(crate) fn operation(
        &self,
        name: Option<&str>,
        trusted: bool,
        kind: &'static str,
        code: &'static str,
        took: Option<Duration>,
    ) {
        let name = self.names.label(name, trusted);
        if let Some(took) = took {
            self.seconds.get_or_create(&TimeLabels { name: name.clone(), kind }).observe(took.as_secs_f64());
        }
        self.operations.get_or_create(&OperationLabels { name, kind, code }).inc();
    }
}

/// Counts as one until it is dropped.
#[derive(Debug)]
pub(crate) struct Present(Gauge);

impl Present {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What is measured where it counts nothing: how things stand at one moment.
#[derive(Debug, Default)]
struct Gauges {
    uptime: Gauge<f64, std::sync::atomic::AtomicU64>,
    memory: Gauge,
    files: Gauge,
    database: Gauge,
    pool: Family<[(&'static str, &'static str); 2], Gauge>,
    pool_max: Family<Label, Gauge>,
    tails: Gauge,
    behind: Gauge,
    bus_hears: Gauge,
    bus_tells: Gauge,
    outbox: Gauge,
    outbox_age: Gauge<f64, std::sync::atomic::AtomicU64>,
    expiry: Gauge<f64, std::sync::atomic::AtomicU64>,
}

/// All metrics of a server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    gauges: Gauges,
    service: Arc<Service>,
    feed: Arc<Feed>,
    signals: Arc<Signals>,
    begun: Instant,
    /// One look at a time: they would only be in each other's way.
    looking: Mutex<()>,
}

impl Metrics {
    /// Gives all that is counted its name.
    pub(crate) fn new(
        counts: &Counts,
        exports: Option<&Exports>,
        service: Arc<Service>,
        feed: Arc<Feed>,
        signals: Arc<Signals>,
        runs: &jobs::Runs,
    ) -> Self {
        let mut registry = Registry::with_prefix("cosell");
        let it = &mut registry;
        let gauges = Gauges::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        it.register("build", "The version that runs", build);
        it.register_with_unit("uptime", "How long the server has run", Unit::Seconds, gauges.uptime.clone());
        it.register_with_unit("resident_memory", "Memory in use", Unit::Bytes, gauges.memory.clone());
        it.register("open_files", "Files and connections that are open", gauges.files.clone());

        it.register("http_requests", "Requests that were answered", counts.requests.clone());
        it.register("http_requests_in_flight", "Requests that are being answered", counts.in_flight.clone());
        it.register("operations", "GraphQL operations that are over", counts.operations.clone());
        let help = "How long queries and mutations took";
        it.register_with_unit("operation_duration", help, Unit::Seconds, counts.seconds.clone());
        it.register("websockets_open", "Websockets that are open", counts.websockets.clone());
        it.register("event_streams_open", "Event streams that are open", counts.streams.clone());
        it.register("subscriptions_running", "Subscriptions that run, over either", counts.subscriptions.clone());

        let statements = service.db().counted();
        let help = "How long SQL statements took";
        it.register_with_unit("sql_statement_duration", help, Unit::Seconds, statements.seconds.clone());
        it.register("sql_statement_failures", "SQL statements that ended with an error", statements.failed.clone());
        it.register("database_up", "Whether the database answers: 1 or 0", gauges.database.clone());
        it.register("database_connections", "Connections to the database, by pool and state", gauges.pool.clone());
        it.register("database_connections_max", "Most connections to the database, by pool", gauges.pool_max.clone());

        let help = "How long after its time an event was handed to the subscribers";
        it.register_with_unit("feed_delay", help, Unit::Seconds, feed.delay().clone());
        it.register("feed_tails", "Companies whose log is followed", gauges.tails.clone());
        let help = "Events that the tail farthest behind has still to read, as far as is known";
        it.register("feed_behind_events", help, gauges.behind.clone());

        it.register("bus_hears", "Whether other servers are heard: 1 or 0", gauges.bus_hears.clone());
        it.register("bus_tells", "Whether other servers can be told: 1 or 0", gauges.bus_tells.clone());
        let traffic = signals.traffic();
        it.register("bus_signals_told", "Signals that the bus has taken", traffic.told.clone());
        it.register("bus_signals_heard", "Signals that the bus has brought", traffic.heard.clone());
        it.register("bus_failures", "Tries to tell or to listen that failed", traffic.failures.clone());
        it.register("bus_outbox_signals", "Signals that the bus has still to take", gauges.outbox.clone());
        let help = "How long the oldest signal has waited that the bus has still to take";
        it.register_with_unit("bus_outbox_age", help, Unit::Seconds, gauges.outbox_age.clone());

        let help = "How long the lead that is longest past its limit waits to be recorded as expired";
        it.register_with_unit("expiry_lag", help, Unit::Seconds, gauges.expiry.clone());
        it.register("job_runs", "Runs of jobs that were done", runs.done.clone());
        it.register("job_failures", "Runs of jobs that failed", runs.failed.clone());
        it.register_with_unit("job_duration", "How long runs of jobs took", Unit::Seconds, runs.seconds.clone());
        let help = "When a run of the job was last done, since 1970";
        it.register_with_unit("job_last_done_time", help, Unit::Seconds, runs.last_done.clone());

        let exports = exports.cloned().unwrap_or_default();
        it.register("otlp_exports", "Batches of spans that the collector has taken", exports.sent);
        it.register("otlp_export_failures", "Batches of spans that it has not", exports.failed);
        Self { registry, gauges, service, feed, signals, begun: Instant::now(), looking: Mutex::default() }
    }

    /// All of it, in the `OpenMetrics` text format.
    pub(crate) async fn look(&self) -> Result<String, fmt::Error> {
        let _one = self.looking.lock().await;
        let gauges = &self.gauges;
        gauges.uptime.set(self.begun.elapsed().as_secs_f64());
        let (memory, files) = process();
        gauges.memory.set(memory);
        gauges.files.set(files);
        for pool in self.service.db().pools() {
            let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            gauges.pool.get_or_create(&[("pool", pool.name), ("state", "idle")]).set(number(pool.idle));
            gauges.pool.get_or_create(&[("pool", pool.name), ("state", "used")]).set(number(pool.used));
            gauges.pool_max.get_or_create(&[("pool", pool.name)]).set(number(pool.max));
        }
        let progress = self.feed.progress();
        gauges.tails.set(i64::try_from(progress.tails).unwrap_or(i64::MAX));
        gauges.behind.set(progress.behind);
        // Whoever is alone hears and tells all there are.
        let standing = self.signals.standing();
        gauges.bus_hears.set(i64::from(standing.is_none_or(|it| it.hears)));
        gauges.bus_tells.set(i64::from(standing.is_none_or(|it| it.tells)));
        gauges.outbox.set(standing.map_or(0, |it| i64::try_from(it.waiting).unwrap_or(i64::MAX)));
        gauges.outbox_age.set(standing.and_then(|it| it.oldest).map_or(0.0, |oldest| oldest.as_secs_f64()));
        let lag = tokio::time::timeout(PATIENCE, self.service.expiry_lag()).await.ok().and_then(Result::ok);
        gauges.database.set(i64::from(lag.is_some()));
        // Nobody knows it while the database is away.
        let lag = lag.map(|lag| lag.to_std().unwrap_or_default().as_secs_f64());
        gauges.expiry.set(lag.unwrap_or(f64::NAN));
        let mut text = String::with_capacity(16 * 1024);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Memory in bytes and open files of this process; zero where the system does not tell.
fn process() -> (i64, i64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<i64>().ok());
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    (kib.unwrap_or(0) * 1024, i64::try_from(files).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_only_up_to_a_bound_and_only_for_callers_who_are_known() {
        let names = Names::new();
        let label = |name: &str, trusted| names.label(Some(name), trusted).0.to_string();
        assert_eq!(label("Leads", false), OTHER);
        assert_eq!(label("Leads", true), "Leads");
        assert_eq!(label("Leads", false), "Leads");
        assert_eq!(*names.label(None, true).0, *NONE);
        for wrong in ["a b", "é", "a\nb", "a\"b", &"a".repeat(MAX_NAME_BYTES + 1)] {
            assert_eq!(label(wrong, true), OTHER, "{wrong}");
        }
        for n in 1..MAX_NAMES {
            assert_eq!(label(&format!("n{n}"), true), format!("n{n}"));
        }
        assert_eq!(label("one_more", true), OTHER);
        assert_eq!(label("Leads", true), "Leads");
    }
}
