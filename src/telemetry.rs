//! The log: one line an event on standard error, as text or as JSON.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{Layer, Registry, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Config, LogFormat};

/// Starts the log for the whole process, and logs the configuration's warnings.
///
/// # Errors
/// When a log was started before.
pub fn init(config: &Config) -> Result<(), TryInitError> {
    // The client of NATS tells each try at `info`; what counts of it is told by the bus. A filter that names the client
    // comes later and wins.
    let filter = format!("async_nats=warn,{}", config.log.filter);
    // The filter was checked when the configuration was read.
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match config.log.format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            fmt::layer().with_writer(std::io::stderr).with_ansi(colours).with_filter(filter).boxed()
        }
        LogFormat::Json => {
            fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).with_filter(filter).boxed()
        }
    };
    tracing_subscriber::registry().with(layer).try_init()?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}
