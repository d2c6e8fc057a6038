//! A NATS server of a test's own.
//!
//! It is the installed `nats-server` on loopback ports that it chooses itself. A shell holds it: when this process ends,
//! however it ends, the shell's standard input closes, and the shell kills the server.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Runs the server until standard input closes.
const HOLD: &str = r#"
"$@" &
server=$!
trap 'kill -KILL "$server" 2>/dev/null' EXIT
cat >/dev/null
"#;

/// One server, which ends when it is dropped.
pub struct Nats {
    folder: TempDir,
    binary: PathBuf,
    /// Where it listens for clients and for who asks about it; 0 until it has chosen.
    ports: (u16, u16),
    /// The user and password, or the token, that it wants; empty where it wants none.
    credentials: String,
    held: Option<Child>,
}

impl Nats {
    /// A new one, which takes connections.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// One that wants `USER:PASSWORD`, or a token.
    pub async fn start_with(credentials: &str) -> Self {
        let binary = installed().unwrap_or_else(|| {
            panic!(
                "The tests need nats-server in PATH or in /usr/sbin. `scripts/test` installs it; by hand: apt-get \
                 install nats-server."
            )
        });
        let folder = tempfile::Builder::new().prefix("cosell-nats.").tempdir().expect("a temporary folder");
        let mut nats = Self { folder, binary, ports: (0, 0), credentials: credentials.to_owned(), held: None };
        nats.run().await;
        nats
    }

    /// For `COSELL_BUS`.
    pub fn url(&self) -> String {
        let at = if self.credentials.is_empty() { "" } else { "@" };
        format!("nats://{}{at}127.0.0.1:{}", self.credentials, self.ports.0)
    }

    /// Ends it; its clients lose their connections.
    pub fn stop(&mut self) {
        if let Some(mut held) = self.held.take() {
            drop(held.stdin.take());
            held.wait().expect("a child that nobody waited for");
        }
    }

    /// Runs it again, on the same ports.
    pub async fn start_again(&mut self) {
        assert!(self.held.is_none(), "it runs");
        self.run().await;
    }

    /// The connections of its clients, with the subjects that each has subscribed to.
    pub async fn connections(&self) -> Vec<Connection> {
        let url = format!("http://127.0.0.1:{}/connz?subs=1", self.ports.1);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer: Value = client.get(url).send().await.expect("an answer").json().await.expect("JSON");
        let connections = answer["connections"].as_array().expect("a list");
        connections
            .iter()
            .map(|connection| Connection {
                id: connection["cid"].as_u64().expect("a number"),
                received: connection["out_msgs"].as_u64().expect("a number"),
                subjects: connection["subscriptions_list"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|subject| subject.as_str().expect("a text").to_owned())
                    .collect(),
            })
            .collect()
    }

    async fn run(&mut self) {
        let port = |port: u16| if port == 0 { "-1".to_owned() } else { port.to_string() };
        let mut command = Command::new("sh");
        command.args(["-c", HOLD, "cosell-test-nats"]).arg(&self.binary);
        command.args(["--addr", "127.0.0.1", "--port", &port(self.ports.0), "--http_port", &port(self.ports.1)]);
        command.arg("--ports_file_dir").arg(self.folder.path()).arg("--log").arg(self.folder.path().join("log"));
        if let Some((user, password)) = self.credentials.split_once(':') {
            command.args(["--user", user, "--pass", password]);
        } else if !self.credentials.is_empty() {
            command.args(["--auth", &self.credentials]);
        }
        // Ctrl-C in the terminal ends the tests, and the closing pipe then ends the server.
        command.process_group(0).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.held = Some(command.spawn().unwrap_or_else(|e| panic!("{command:?} did not start: {e}")));
        let until = Instant::now() + Duration::from_secs(20);
        while !self.is_there().await {
            assert!(Instant::now() < until, "nats-server did not start:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether it answers, on the ports that it has told.
    async fn is_there(&mut self) -> bool {
        if self.ports.0 == 0 {
            let Some(ports) = told_ports(self.folder.path()) else { return false };
            self.ports = ports;
        }
        tokio::net::TcpStream::connect(("127.0.0.1", self.ports.0)).await.is_ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A client's connection, as the server sees it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The server's number for it.
    pub id: u64,
    /// How many messages the client was sent.
    pub received: u64,
    /// What it has subscribed to.
    pub subjects: Vec<String>,
}

impl Connection {
    /// How many companies' feeds it listens for.
    pub fn feeds(&self) -> usize {
        self.subjects.iter().filter(|subject| subject.contains(".feed.")).count()
    }
}

/// The file holds `{"nats":["nats://127.0.0.1:40001"],"monitoring":["http://127.0.0.1:40002"]}`.
fn told_ports(folder: &Path) -> Option<(u16, u16)> {
    let file = folder.read_dir().ok()?.flatten().find(|file| file.file_name().to_string_lossy().ends_with(".ports"))?;
    let told: Value = serde_json::from_str(&std::fs::read_to_string(file.path()).ok()?).ok()?;
    let port = |name: &str| told[name][0].as_str()?.rsplit(':').next()?.parse().ok();
    Some((port("nats")?, port("monitoring")?))
}

fn installed() -> Option<PathBuf> {
    let in_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let folders = in_path.into_iter().chain(["/usr/sbin".into(), "/usr/local/bin".into()]);
    folders.map(|folder| folder.join("nats-server")).find(|binary| binary.is_file())
}
