//! What a supervisor asks: is the process alive, and can it answer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::Executor;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::App;

/// The longest that the question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long an answer holds: whoever asks more often asks the database no more often.
const HOLDS: Duration = Duration::from_millis(100);

/// How one thing is that the server stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// As it should be.
    Ok,
    /// Not as it should be, and the server can answer all the same. What is said of it is said to whoever asks.
    Impaired(&'static str),
    /// The server can't answer without it. What is said of it is said to whoever asks.
    Down(&'static str),
}

/// How all of them are, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health(pub Vec<(&'static str, Component)>);

impl Health {
    fn answer(&self) -> Answer {
        let down = self.0.iter().any(|(_, component)| matches!(component, Component::Down(_)));
        let (status, first) =
            if down { (StatusCode::SERVICE_UNAVAILABLE, "not ready") } else { (StatusCode::OK, "ok") };
        let mut text = format!("{first}\n");
        for (name, component) in &self.0 {
            let state = match component {
                Component::Ok => "ok",
                Component::Impaired(state) | Component::Down(state) => state,
            };
            // Writing to a text can't fail.
            let _ = writeln!(text, "{name}: {state}");
        }
        (status, text)
    }
}

type Answer = (StatusCode, String);

/// Asks how what the server stands on is doing; `/readyz` shows it.
pub struct Ready {
    ask: Box<dyn Fn() -> BoxFuture<'static, Health> + Send + Sync>,
    /// The last answer, and when it was got.
    last: Mutex<Option<(Instant, Answer)>>,
}

impl Ready {
    /// Asks in this way.
    pub fn new(ask: impl Fn() -> BoxFuture<'static, Health> + Send + Sync + 'static) -> Self {
        Self { ask: Box::new(ask), last: Mutex::default() }
    }

    /// Those who ask at the same time get the same answer.
    async fn answer(&self) -> Answer {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < HOLDS
        {
            return answer.clone();
        }
        let answer = (self.ask)().await.answer();
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

/// The process runs.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// The server can answer: it is not shutting down, and what it needs is there.
pub(super) async fn ready<E: Executor>(State(app): State<Arc<App<E>>>) -> Answer {
    if app.sockets.closing() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".to_owned());
    }
    let patience = PATIENCE.min(app.config.limits.request_timeout);
    match tokio::time::timeout(patience, app.ready.answer()).await {
        Ok(answer) => answer,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\ndatabase: no answer in time\n".to_owned()),
    }
}
