//! What listens: the router, GraphQL over HTTP and over websockets, who calls, health, and the playground.
//!
//! The schema is handed in as any [`Executor`], members are recorded by a [`SignIn`], and [`App::prepare`] puts into
//! each request what its resolvers need. To add a page, write its handler in a file of its own and its line in
//! [`router`].

mod answer;
pub mod auth;
mod browser;
mod documents;
mod graphql;
mod health;
mod limit;
mod live;
mod negotiate;
pub mod observe;
mod operation;
mod playground;
pub(crate) mod scrape;
mod server;
mod sse;
mod websocket;

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Executor, Request};
use async_trait::async_trait;
use axum::http::StatusCode;
use axum::middleware::{from_fn_with_state, map_request, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;

pub use self::auth::{AuthError, Authenticator, Identity, NewToken, mint};
pub use self::documents::Documents;
pub use self::health::{Component, Health, Ready};
pub use self::limit::Rates;
pub use self::live::Live;
pub use self::observe::Observer;
pub use self::playground::Person;
pub use self::server::{Connections, Sockets, serve};
use crate::config::Config;
use crate::domain::actor::Member;
use crate::domain::clock::Clock;
pub use crate::domain::viewer::Viewer;
use crate::error::{Error, ErrorCode, Fault};

/// Finds the member that an identity stands for, and records it at first sight.
#[async_trait]
pub trait SignIn: Send + Sync + 'static {
    /// The member.
    ///
    /// # Errors
    /// Faults are shown to the caller with the status of their code: `UNAUTHENTICATED` for a company that is not
    /// known here, `FORBIDDEN` for a member that was shut out.
    async fn sign_in(&self, identity: Identity) -> Result<Member, Error>;
}

/// Puts into a request what its resolvers need: the viewer, a data loader. Called once an operation.
pub type Prepare = Arc<dyn Fn(&Viewer, Request) -> Request + Send + Sync>;

/// What the handlers work with.
pub struct App<E> {
    /// Executes operations, in the library's fast mode and without limits: `documents` compiles them.
    pub schema: E,
    /// Shares executions of subscriptions. Without it each subscriber has its own.
    pub live: Option<Arc<Live>>,
    /// Finds and compiles documents.
    pub documents: Documents,
    /// How often each may call.
    pub rates: Rates,
    /// Verifies tokens.
    pub auth: Arc<Authenticator>,
    /// Makes members of identities.
    pub sign_in: Arc<dyn SignIn>,
    /// The settings.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fills each request.
    pub prepare: Prepare,
    /// Answers `/readyz`.
    pub ready: Ready,
    /// The open websockets; give [`serve`] a clone.
    pub sockets: Sockets,
    /// Sees what happens.
    pub observer: Arc<Observer>,
    /// Whom the playground's user can be. Their tokens are given to whoever opens it: only the demo has any.
    pub people: Vec<Person>,
}

/// The shortest wait before a token's end is looked at again: a clock that stands still must not make a busy loop.
const SHORTEST_SLEEP: Duration = Duration::from_millis(10);

/// Why a caller was not let in.
enum Refusal {
    /// The token does not hold.
    Token(AuthError),
    /// The token holds, and its bearer is refused, or the server failed.
    SignIn(Error),
}

impl<E> App<E> {
    /// The member that a token stands for, with the token's identity.
    async fn member(&self, token: &str) -> Result<(Member, chrono::DateTime<chrono::Utc>), Refusal> {
        let identity = self.auth.authenticate(token).await.map_err(Refusal::Token)?;
        let expires_at = identity.expires_at;
        let member = self.sign_in.sign_in(identity).await.map_err(Refusal::SignIn)?;
        observe::member(member.id);
        Ok((member, expires_at))
    }

    /// Comes back when a token has ended.
    async fn expiry(&self, at: chrono::DateTime<chrono::Utc>) {
        loop {
            let left = (at - self.clock.now()).to_std().unwrap_or_default();
            if left.is_zero() {
                return;
            }
            // Looked at again now and then: the clock may be set, and a test moves it.
            tokio::time::sleep(left.clamp(SHORTEST_SLEEP, self.config.limits.ws_ping_interval.max(SHORTEST_SLEEP)))
                .await;
        }
    }
}

impl<E> fmt::Debug for App<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The routes: `/graphql`, `/graphql/stream`, `/graphql/ws`, `/livez`, `/readyz`, and the playground at `/` and below
/// `/playground`.
pub fn router<E: Executor>(app: App<E>) -> Router {
    let app = Arc::new(app);
    let reserved = Extension(Arc::new(sse::single::Reservations::default()));
    let shared = browser::cors(&app.config.http);
    let strangers = Arc::new(browser::Strangers::default());
    let watched = app.clone();
    let noticed = map_request(move |request: axum::extract::Request| {
        // The handlers and the browser itself refuse; the operator hears of it here.
        if let Some(origin) = browser::stranger(request.headers(), &watched.config.http.allowed_origins) {
            strangers.tell(origin, &*watched.clock);
        }
        std::future::ready(request)
    });
    let mut router = Router::new()
        .route("/graphql", any(graphql::handle::<E>).layer(shared.clone()))
        .route("/graphql/stream", any(sse::handle::<E>).layer::<_, Infallible>(reserved).layer(shared))
        .route("/graphql/ws", get(websocket::upgrade::<E>))
        .route_layer(noticed)
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready::<E>));
    if app.config.http.playground {
        router = router.merge(playground::routes());
    }
    let seen = from_fn_with_state(app.observer.clone(), observe::layer);
    router
        .fallback(nothing_here)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(map_response(browser::protect))
        .layer(seen)
        .with_state(app)
}

async fn nothing_here() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "There is nothing here. The API is at /graphql.\n")
}

/// The last net: a handler that panics, which would otherwise drop the connection.
#[allow(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let id = observe::request_id();
    tracing::error!(request_id = %id, cause = answer::panic_text(cause.as_ref()), "a handler panicked");
    answer::refuse(negotiate::Media::Json, id, &[internal(id)]).into_response()
}

fn internal(id: answer::RequestId) -> Fault {
    Fault::new(ErrorCode::Internal, format!("Internal fault; it is in the server's log under the request id {id}."))
}

#[cfg(test)]
mod tests;
