//! `cosell healthcheck`.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use clap::Args;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Failure, Outcome, say};
use crate::config::Config;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than any answer to the question.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Ask the server on this machine whether it is ready
///
/// It asks the configured address (COSELL_LISTEN), for containers that hold nothing else to ask with. It ends with 0 when
/// the server is ready, and with 1 when it is not or gives no answer within 5 seconds.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    cosell healthcheck\n  \
    COSELL_LISTEN=127.0.0.1:9000 cosell healthcheck --live")]
pub(super) struct Healthcheck {
    /// Ask only whether the process runs (/livez), not whether it can answer (/readyz)
    #[arg(long)]
    live: bool,
}

pub(super) async fn run(command: &Healthcheck, config: Config) -> Outcome {
    let path = if command.live { "/livez" } else { "/readyz" };
    let address = reachable(config.listen);
    let failed = |why: String| Failure::new(format!("http://{address}{path} does not answer: {why}."));
    let asked = tokio::time::timeout(PATIENCE, ask(address, path)).await;
    let answer = asked.map_err(|_| failed(format!("no answer within {} seconds", PATIENCE.as_secs())))?;
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    let (head, text) = answer.split_once("\r\n\r\n").ok_or_else(|| failed("it speaks no HTTP".to_owned()))?;
    match head.split(' ').nth(1) {
        Some("200") => say(text.trim()),
        status => {
            let status = status.unwrap_or("nothing");
            Err(Failure::new(format!("http://{address}{path} says {status}: {}.", text.trim())))
        }
    }
}

/// What the server answers, head and body. A client of any use beyond this would first read certificates, which a small
/// container may not have.
async fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // Of HTTP/1.0 an answer ends with its connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Where a server is reached that listens there.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_asked_on_the_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:1", "[::1]:1"),
            ("10.1.2.3:80", "10.1.2.3:80"),
            ("127.0.0.1:9", "127.0.0.1:9"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
