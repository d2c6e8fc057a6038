//! Spans on their way to an OpenTelemetry collector: OTLP over HTTP, in protobuf.
//!
//! What is sent is made here, field by field: no span holds what a caller sent but the operation's kind and name. Spans
//! wait in a bounded queue for a thread of their own; where the collector is away or slow they are dropped, and nobody
//! waits for them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{RetryPolicy, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor as _,
};
use prometheus_client::metrics::counter::Counter;
use reqwest::redirect::Policy;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::trace::TraceContext;
use crate::config::{Otlp, is_loopback};

/// How many spans wait at most.
const QUEUE: usize = 4096;
/// How many are sent at once at most.
const BATCH: usize = 512;
/// How long they wait for company.
const DELAY: Duration = Duration::from_secs(1);
/// How long the collector may take with one batch.
const PATIENCE: Duration = Duration::from_secs(5);

/// A piece of work that is over.
pub(crate) struct Finished {
    pub(crate) context: TraceContext,
    /// Whether another process called.
    pub(crate) called: bool,
    pub(crate) name: Cow<'static, str>,
    pub(crate) start: SystemTime,
    pub(crate) took: Duration,
    pub(crate) attributes: Vec<KeyValue>,
    /// What went wrong on the server's side.
    pub(crate) failed: Option<&'static str>,
}

/// How exporting goes; counted for the metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exports {
    pub(crate) sent: Counter,
    pub(crate) failed: Counter,
}

/// Takes spans.
#[derive(Debug)]
pub(crate) struct Spans {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    ratio: f64,
    pub(crate) exports: Exports,
}

impl Spans {
    /// Begins to send what it is given.
    pub(crate) fn start(settings: &Otlp) -> Result<Self, String> {
        let exports = Exports::default();
        let mut client = reqwest::Client::builder()
            .redirect(Policy::none())
            .user_agent(concat!("cosell/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&settings.endpoint) {
            client = client.no_proxy();
        }
        let client = Sender {
            client: client.build().map_err(|fault| fault.to_string())?,
            runtime: Handle::current(),
            name: settings.endpoint.to_string(),
            away: AtomicBool::new(false),
            exports: exports.clone(),
        };
        let headers: HashMap<_, _> =
            settings.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(settings.traces_url())
            .with_headers(headers)
            .with_timeout(PATIENCE)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|fault| fault.to_string())?;
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let mut processor = BatchSpanProcessor::new(exporter, config);
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", settings.service_name.clone()),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", Uuid::now_v7().to_string()),
            ])
            .build();
        processor.set_resource(&resource);
        let scope = InstrumentationScope::builder("cosell").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Self { processor, scope, ratio: settings.sample_ratio, exports })
    }

    /// Whether a trace that begins here is to be recorded.
    pub(crate) fn sample(&self) -> bool {
        self.ratio >= 1.0 || rand::random::<f64>() < self.ratio
    }

    /// Takes a piece of work that is over. Never waits.
    pub(crate) fn take(&self, work: Finished) {
        let Finished { context, called, name, start, took, attributes, failed } = work;
        if !context.is_sampled() {
            return;
        }
        self.processor.on_end(SpanData {
            span_context: SpanContext::new(
                TraceId::from(context.trace_id),
                SpanId::from(context.span_id),
                TraceFlags::SAMPLED,
                false,
                context.state,
            ),
            parent_span_id: SpanId::from(context.parent.unwrap_or(0)),
            parent_span_is_remote: called && context.parent.is_some(),
            span_kind: if called { SpanKind::Server } else { SpanKind::Internal },
            name,
            start_time: start,
            end_time: start + took,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: failed.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// Sends what still waits, for so long at most. Says whether all of it was taken.
    pub(crate) async fn close(self: Arc<Self>, within: Duration) -> bool {
        let closing = tokio::task::spawn_blocking(move || self.processor.shutdown_with_timeout(within).is_ok());
        tokio::time::timeout(within, closing).await.is_ok_and(|closed| closed.unwrap_or(false))
    }
}

/// Sends over the runtime of the server; the thread that sends has none.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
    name: String,
    away: AtomicBool,
    exports: Exports,
}

impl Sender {
    fn note(&self, outcome: Result<(), &str>) {
        match outcome {
            Ok(()) => {
                self.exports.sent.inc();
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the collector {} takes spans again", self.name);
                }
            }
            Err(cause) => {
                self.exports.failed.inc();
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(cause, "the collector {} takes no spans; they are dropped until it does", self.name);
                }
            }
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let request = self
            .client
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .timeout(PATIENCE)
            .body(body);
        let sending = self.runtime.spawn(async move {
            let response = request.send().await.map_err(reqwest::Error::without_url)?;
            // What the collector has to say is of no use here.
            Ok::<_, reqwest::Error>(response.status())
        });
        let status = match sending.await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => {
                self.note(Err(&error_chain(&error)));
                return Err(error.into());
            }
            // The runtime ends.
            Err(error) => return Err(error.into()),
        };
        self.note(if status.is_success() { Ok(()) } else { Err(status.as_str()) });
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        Ok(response)
    }
}

/// An error with its causes.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
