//! The task that writes: nothing else waits for a slow client.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio::sync::{mpsc, oneshot};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::Close;

/// How long a close frame may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Writes what is queued until the session says how to close. Ends early when the client is gone or takes nothing
/// for as long as `limit`; the queue is closed then, which is how the session learns of it.
pub(super) async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Message>,
    mut close: oneshot::Receiver<Close>,
    limit: Duration,
) {
    loop {
        let message = tokio::select! {
            biased;
            close = &mut close => {
                // What was said before the end is brought first.
                queue.close();
                let rest = async {
                    while let Some(message) = queue.recv().await {
                        sink.feed(message).await?;
                    }
                    sink.flush().await
                };
                if matches!(timeout(limit, rest).await, Ok(Ok(()))) {
                    good_bye(&mut sink, close.ok()).await;
                }
                return;
            }
            message = queue.recv() => {
                let Some(message) = message else {
                    good_bye(&mut sink, close.await.ok()).await;
                    return;
                };
                message
            }
        };
        match bring(&mut sink, message, &mut queue, limit).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                tracing::info!(?limit, "a websocket takes no data and is closed");
                let close = Close::new(1013, "Too slow: try again later");
                let _ = timeout(CLOSE_TIMEOUT, sink.send(Message::Close(Some(close.frame())))).await;
                return;
            }
        }
    }
}

/// Brings a message and those that wait behind it, which are flushed together. The limit is for each step: a client that
/// is slow but takes data is waited for.
async fn bring(
    sink: &mut SplitSink<WebSocket, Message>,
    message: Message,
    queue: &mut mpsc::Receiver<Message>,
    limit: Duration,
) -> Result<Result<(), axum::Error>, Elapsed> {
    let mut next = Some(message);
    // No more than the queue holds: it fills up while it is emptied.
    for _ in 0..super::session::QUEUE {
        let Some(message) = next.take() else { break };
        if let Err(fault) = timeout(limit, sink.feed(message)).await? {
            return Ok(Err(fault));
        }
        next = queue.try_recv().ok();
    }
    if let Some(message) = next
        && let Err(fault) = timeout(limit, sink.feed(message)).await?
    {
        return Ok(Err(fault));
    }
    timeout(limit, sink.flush()).await
}

/// Ends the connection from this side: with the session's close frame, or with the answer to the client's own, which
/// the library has queued (RFC 6455, section 5.5.1). The client may be gone: then nobody hears it.
async fn good_bye(sink: &mut SplitSink<WebSocket, Message>, close: Option<Close>) {
    let _ = match close {
        Some(close) => timeout(CLOSE_TIMEOUT, sink.send(Message::Close(Some(close.frame())))).await,
        None => timeout(CLOSE_TIMEOUT, sink.close()).await,
    };
}
