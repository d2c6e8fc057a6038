//! A small HTTP client that costs little beside what is measured: one connection, one request at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request as it goes over the wire.
pub(crate) type Bytes = Vec<u8>;

/// A GraphQL operation.
pub(crate) fn graphql(token: &str, query: &str, variables: &Value) -> Bytes {
    let body = json!({ "query": query, "variables": variables }).to_string();
    format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request of the twin's.
pub(crate) fn plain(method: &str, token: &str, path: &str) -> Bytes {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n")
        .into_bytes()
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(256 * 1024) })
    }

    /// The body of an answer, which must have the status 200 and a length.
    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let head = loop {
            self.fill().await?;
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let headers = String::from_utf8_lossy(&self.read[..head]).to_ascii_lowercase();
        let length =
            headers.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let length = length.ok_or_else(|| io::Error::other(format!("an answer without a length: {headers}")))?;
        while self.read.len() < head + length {
            self.fill().await?;
        }
        let body = &self.read[head..];
        if headers.starts_with("http/1.1 200") {
            Ok(body)
        } else {
            Err(io::Error::other(format!("{headers}{}", String::from_utf8_lossy(body))))
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// An answer's `data`, which must have come without errors.
    pub(crate) async fn data(&mut self, request: &[u8]) -> io::Result<Value> {
        let mut answer: Value = serde_json::from_slice(self.send(request).await?)?;
        if answer.get("errors").is_some() {
            return Err(io::Error::other(answer.to_string()));
        }
        Ok(answer["data"].take())
    }
}

/// Sends every request once, over that many connections, and returns how long each took.
pub(crate) async fn send_all(address: SocketAddr, connections: usize, requests: Vec<Bytes>) -> Vec<Duration> {
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..connections)
        .map(|_| {
            let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
            tokio::spawn(async move {
                let mut client = Client::connect(address).await.expect("the server takes connections");
                let mut times = Vec::new();
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    let body = client.send(request).await.expect("an answer");
                    times.push(start.elapsed());
                    let start = String::from_utf8_lossy(&body[..body.len().min(300)]);
                    assert!(!start.contains("\"errors\""), "{start}");
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for sender in senders {
        times.extend(sender.await.expect("no panic"));
    }
    times
}
