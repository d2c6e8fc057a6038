//! The built server as a process of its own, so that what an attack costs it can be measured.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::cli::{Cli, Output, Running};
use crate::support::http::Client;

const SOON: Duration = Duration::from_secs(30);
const SECRET: &str = "a secret of the tests, long enough for HS256";

/// `cosell serve` on an SQLite file of its own, with the company acme.
pub struct Process {
    cli: Cli,
    running: Running,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Process {
    /// Starts it with these settings besides.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let cli = Cli::new().env("COSELL_LISTEN", "127.0.0.1:0").env("COSELL_JWT_SECRET", SECRET);
        let cli = settings.iter().fold(cli, |cli, (name, value)| cli.env(name, *value));
        cli.run(["company", "add", "acme"]).ok();
        let mut running = cli.start(["serve"]);
        let line = running.line_with("cosell listens on", SOON);
        let rest = line.split("://").nth(1).expect("an address");
        let address = rest.split([' ', '/']).next().expect("an address").parse().expect("address and port");
        Self { cli, running, address }
    }

    /// The folder's commands, for what is done beside the server.
    pub fn cli(&self) -> &Cli {
        &self.cli
    }

    /// A token for a member of acme.
    pub fn token(&self, member: &str, role: &str) -> String {
        self.cli.run(["token", "--company", "acme", "--member", member, "--role", role]).ok().to_owned()
    }

    /// A member of acme.
    pub fn member(&self, role: &str) -> Client {
        Client::new(self.address, Some(&self.token("ann", role)))
    }

    /// The processor time it has used, in user and kernel mode, to 10 ms.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.running.id())).expect("it runs");
        // The name may hold spaces; it ends with the last bracket.
        let rest = stat.rsplit_once(") ").expect("a name").1;
        let ticks: u64 = rest.split(' ').skip(11).take(2).map(|it| it.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Its memory, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().split(' ').next().expect("a number").parse().expect("a number")
    }

    /// How many files and sockets it has open.
    pub fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.running.id())).expect("it runs").count()
    }

    /// Ends it, and returns all that it has said.
    pub async fn end(self) -> Output {
        self.running.interrupt();
        tokio::task::spawn_blocking(|| self.running.output()).await.expect("it ends")
    }
}
