//! `/graphql/ws`: the graphql-transport-ws protocol, in full.
//!
//! A socket has one task that reads, one that writes, and one for each running operation. What goes out passes a
//! short queue: an operation waits while the client is slow, and a client that takes nothing for
//! `limits.ws_send_timeout` is closed with 1013. It starts again from its last cursor and loses nothing.

mod message;
mod session;
mod writer;

use std::sync::Arc;

use async_graphql::Executor;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Utf8Bytes, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::auth::bearer;
use super::graphql::Early;
use super::negotiate::Media;
use super::server::Peer;
use super::{App, browser, observe};

/// The protocol's name in `Sec-WebSocket-Protocol`. The older `graphql-ws` is another one and is not spoken here.
const PROTOCOL: &str = "graphql-transport-ws";
/// Small, because most sockets are idle most of the time and each holds its buffers.
const BUFFER_BYTES: usize = 4 * 1024;
/// The longest reason of a close frame, in bytes (RFC 6455 section 5.5).
const MAX_REASON_BYTES: usize = 123;

/// Why the server closes a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Close {
    code: u16,
    reason: String,
}

impl Close {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(4400, reason)
    }

    fn forbidden(reason: &str) -> Self {
        Self::new(4403, format!("Forbidden: {reason}"))
    }

    fn frame(mut self) -> CloseFrame {
        self.reason.truncate(self.reason.floor_char_boundary(MAX_REASON_BYTES));
        CloseFrame { code: self.code, reason: Utf8Bytes::from(self.reason) }
    }
}

/// Takes a connection over as a websocket.
pub(super) async fn upgrade<E: Executor>(State(app): State<Arc<App<E>>>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    if let Err(fault) = app.rates.of_address(&parts) {
        return Early::from(fault).answer(Media::Json, observe::request_id());
    }
    if browser::stranger(&parts.headers, &app.config.http.allowed_origins).is_some() {
        return (
            StatusCode::FORBIDDEN,
            "Pages of this origin may not connect: see http.allowed_origins (COSELL_ALLOWED_ORIGINS).\n",
        )
            .into_response();
    }
    let upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection> =
        WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.protocols([PROTOCOL]),
        Err(rejection) => return rejection.into_response(),
    };
    if app.sockets.closing() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n").into_response();
    }
    let limits = &app.config.limits;
    let (max_message, max_frame) = (limits.ws_max_message_bytes, limits.ws_max_message_bytes);
    let spoken = upgrade.selected_protocol().is_some();
    let ending = app.sockets.enter();
    let peer = parts.extensions.remove::<Peer>();
    // It is spoken of once the socket is open, where a client hears why.
    let bearer = bearer(&parts.headers).map(|token| token.map(str::to_owned));
    let mut response = upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(max_message)
        .max_frame_size(max_frame)
        .on_upgrade(async move |socket| {
            session::run(app, socket, spoken, bearer, ending).await;
            // The connection counts until now.
            drop(peer);
        });
    // Among them is how the client wrote the names of its headers, which hyper then writes in the same way: there are
    // clients that look for `Sec-WebSocket-Protocol` and for no other spelling.
    response.extensions_mut().extend(parts.extensions);
    response
}
