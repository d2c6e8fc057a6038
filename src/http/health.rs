//! What a supervisor asks: is the process alive, and can it answer.

use std::sync::Arc;

use async_graphql::Executor;
use axum::extract::State;
use axum::http::StatusCode;

use super::App;

/// The process runs.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// The server can answer: it is not shutting down, and what it needs is there.
pub(super) async fn ready<E: Executor>(State(app): State<Arc<App<E>>>) -> (StatusCode, String) {
    if app.sockets.closing() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".to_owned());
    }
    match tokio::time::timeout(app.config.limits.request_timeout, (app.ready)()).await {
        Ok(Ok(None)) => (StatusCode::OK, "ok\n".to_owned()),
        Ok(Ok(Some(note))) => (StatusCode::OK, format!("ok\n{note}\n")),
        Ok(Err(reason)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "no answer in time\n".to_owned()),
    }
}
