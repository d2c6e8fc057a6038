//! The listener of the metrics: `/metrics`, and nothing else. It belongs into a network that strangers can't reach.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::telemetry::metrics::Metrics;

/// The content type of `OpenMetrics`, which Prometheus reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How many connections are served at a time: there are few who look.
const MAX_CONNECTIONS: usize = 32;
/// How long a client may take to send a request's headers, and how long an unused connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection is kept at all: one that takes no data is not kept for ever.
const LIFETIME: Duration = Duration::from_mins(10);
/// How long to wait after a failed accept, such as for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

async fn look(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.look().await {
        Ok(text) => ([(header::CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS))], text).into_response(),
        Err(cause) => {
            tracing::error!(%cause, "the metrics can't be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Serves until it is aborted, also while the server winds up.
pub(crate) async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let router = Router::new().route("/metrics", get(look)).with_state(metrics);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(fault) => {
                tracing::warn!(%fault, "a connection to the metrics can't be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            // A client that goes away or sends nonsense is no news.
            let _ = tokio::time::timeout(LIFETIME, connection).await;
            drop(place);
        });
    }
}
