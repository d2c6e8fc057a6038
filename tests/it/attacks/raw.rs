//! Bytes over TCP, for what no decent client sends.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer or an end is waited for that has to come.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// A connection.
pub struct Raw(TcpStream);

impl Raw {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server takes connections");
        stream.set_nodelay(true).expect("a socket");
        Self(stream)
    }

    /// Sends; `false` where the other side has closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        // The server may stop reading in the middle, having answered.
        matches!(timeout(PATIENCE, self.0.write_all(bytes.as_ref())).await, Ok(Ok(())))
    }

    /// Reads until there is this text, or until the server closes.
    pub async fn until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        let reading = async {
            while !read.windows(text.len().max(1)).any(|it| it == text.as_bytes()) {
                match self.0.read(&mut buffer).await {
                    Ok(count) if count > 0 => read.extend_from_slice(&buffer[..count]),
                    // Cut off with data unread, a connection ends with an error; what came before it counts.
                    _ => break,
                }
            }
        };
        let late = timeout(PATIENCE, reading).await.is_err();
        let read = String::from_utf8_lossy(&read).into_owned();
        assert!(!late, "neither {text:?} nor an end came, but {read:.2000?}");
        read
    }

    /// All that comes until the server closes.
    pub async fn rest(&mut self) -> String {
        self.until("\u{1}never\u{1}").await
    }

    /// Reads some bytes, none at the end.
    pub async fn bytes(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 16 * 1024];
        match timeout(PATIENCE, self.0.read(&mut buffer)).await.expect("bytes, or an end") {
            Ok(count) => {
                buffer.truncate(count);
                buffer
            }
            Err(_) => Vec::new(),
        }
    }
}

/// Sends a request whole, and reads what comes until the server closes.
pub async fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut raw = Raw::open(address).await;
    raw.send(request).await;
    raw.rest().await
}

/// The statuses of the answers in a text, in order.
pub fn statuses(text: &str) -> Vec<u16> {
    let starts = text.match_indices("HTTP/1.1 ").map(|(at, start)| &text[at + start.len()..]);
    starts.filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
}

/// A POST to `/graphql` with this body, after which the server closes; `headers` come with it, each with its line end.
pub fn post(headers: &str, body: &str) -> String {
    format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}
