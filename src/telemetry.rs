//! What operators see of a server: the log, metrics, and spans.
//!
//! The log is one line an event on standard error, as text or as JSON (`log`). Metrics are what the rooms count
//! (`metrics`); spans are what a request did, for a collector (`spans`); `trace` is how requests of several servers are
//! told to belong together. None of them holds what a customer or a caller has written.

mod log;
pub(crate) mod metrics;
pub(crate) mod spans;
pub mod trace;

use std::io::IsTerminal;

use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::Config;

pub(crate) use self::spans::error_chain;

/// Starts the log for the whole process, panics included, and logs the configuration's warnings.
///
/// # Errors
/// When a log was started before.
pub fn init(config: &Config) -> Result<(), TryInitError> {
    // The client of NATS tells each try at `info`; what counts of it is told by the bus, and what counts of the exporter
    // by `spans`. A filter that names them comes later and wins.
    let filter = format!("async_nats=warn,opentelemetry=off,opentelemetry_sdk=off,{}", config.log.filter);
    // The filter was checked when the configuration was read.
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let may_say = filter_fn(|metadata| log::may_say(metadata.target(), *metadata.level()))
        .with_max_level_hint(LevelFilter::TRACE);
    let lines = log::Lines { format: config.log.format, colours: std::io::stderr().is_terminal() };
    tracing_subscriber::registry().with(lines.with_filter(filter.and(may_say))).try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let cause = panic.payload_as_str().unwrap_or("a panic without a text");
        tracing::error!(place, cause, "a thread panicked");
    }));
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}
