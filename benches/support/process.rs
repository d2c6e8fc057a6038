//! The servers as processes of their own, so that their CPU and memory can be told apart, and what PostgreSQL spends
//! on each.

use std::collections::HashMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use sqlx::{PgPool, Row as _};

use super::{POOL, token};

/// Returns when the program that started this one has gone.
pub(crate) async fn until_left_alone() {
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
}

/// What each server of the product is given.
pub(crate) fn settings(url: &str) -> [(&'static str, String); 11] {
    [
        ("COSELL_DATABASE_URL", url.to_owned()),
        ("COSELL_DATABASE_MAX_CONNECTIONS", POOL.to_string()),
        ("COSELL_LISTEN", "127.0.0.1:0".to_owned()),
        // All load comes from one address, and few members.
        ("COSELL_ADDRESS_RATE", "off".to_owned()),
        ("COSELL_MEMBER_RATE", "off".to_owned()),
        ("COSELL_MAX_CONNECTIONS", "100000".to_owned()),
        ("COSELL_MAX_CONNECTIONS_PER_ADDRESS", "100000".to_owned()),
        ("COSELL_LOG", "warn".to_owned()),
        ("COSELL_JWT_SECRET", token::SECRET.to_owned()),
        ("COSELL_JWT_ISSUER", token::ISSUER.to_owned()),
        ("COSELL_JWT_AUDIENCE", token::AUDIENCE.to_owned()),
    ]
}

/// A URL whose connections tell whose they are.
pub(crate) fn named(url: &str, name: &str) -> String {
    if url.starts_with("postgres") { format!("{url}&application_name={name}") } else { url.to_owned() }
}

/// A server that ends with this value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    /// As PostgreSQL knows its connections.
    name: &'static str,
}

impl Server {
    /// Starts `cosell serve`, the built binary.
    pub(crate) fn cosell(url: &str) -> Self {
        Self::cosell_with(url, &[])
    }

    /// The same, with more settings.
    pub(crate) fn cosell_with(url: &str, more: &[(&str, &str)]) -> Self {
        const NAME: &str = "cosell";
        let mut command = Command::new(env!("CARGO_BIN_EXE_cosell"));
        command.arg("serve").envs(settings(&named(url, NAME))).envs(more.iter().copied()).current_dir("/");
        Self::start(command, NAME)
    }

    /// Starts this program anew, as the server that its first argument names.
    pub(crate) fn of_this_program(name: &'static str, arguments: &[&OsStr]) -> Self {
        let mut command = Command::new(env::current_exe().expect("a path of this program"));
        command.arg(name).args(arguments);
        Self::start(command, name)
    }

    /// Waits for the line in which the server says its address.
    fn start(mut command: Command, name: &'static str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
        let mut line = String::new();
        let output = child.stdout.take().expect("standard output is piped");
        BufReader::new(output).read_line(&mut line).expect("an address");
        let address = line.split_once("http://").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        Self { address: address.unwrap_or_else(|| panic!("{name} did not start: {line}")), child, name }
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it can be waited for");
    }

    /// Resident memory, in megabytes of 10^6 bytes.
    pub(crate) fn resident(&self) -> f64 {
        self.kibibytes() * 1.024 / 1000.0
    }

    /// Resident memory, in units of 1,024 bytes.
    pub(crate) fn kibibytes(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of /proc");
        line.trim().trim_end_matches("kB").trim().parse().expect("a number")
    }

    /// The CPU that it has taken so far, in microseconds, without its connections' backends.
    pub(crate) fn cpu(&self) -> f64 {
        count(ticks(self.child.id()).expect("it runs")) * 10_000.0
    }

    /// The CPU that it and its connections' backends have taken so far.
    pub(crate) async fn spent(&self, database: &PgPool) -> Spent {
        let rows = sqlx::query("SELECT pid FROM pg_stat_activity WHERE application_name = $1")
            .bind(self.name)
            .fetch_all(database)
            .await
            .expect("the list of backends");
        let backends = rows.iter().map(|row| row.get::<i32, _>(0).cast_unsigned());
        let backends = backends.filter_map(|pid| Some((pid, ticks(pid)?))).collect();
        Spent { server: ticks(self.child.id()).expect("it runs"), backends }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where that fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU of the user and of the system on its behalf, in hundredths of a second.
fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, the second field, may hold spaces: what follows its bracket starts with the third.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// A reading of the CPU meters.
pub(crate) struct Spent {
    server: u64,
    backends: HashMap<u32, u64>,
}

/// CPU in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) server: f64,
    pub(crate) database: f64,
}

impl Cpu {
    pub(crate) fn total(self) -> f64 {
        self.server + self.database
    }

    /// What was spent since a reading, a request.
    pub(crate) fn add(&mut self, before: &Spent, after: &Spent, requests: usize) {
        let each = |hundredths: u64| count(hundredths) * 10_000.0 / count(requests as u64);
        self.server += each(after.server - before.server);
        let backends = after.backends.iter().map(|(pid, now)| now - before.backends.get(pid).copied().unwrap_or(0));
        self.database += each(backends.sum());
    }

    pub(crate) fn over(self, rounds: usize) -> Self {
        let rounds = count(rounds as u64);
        Self { server: self.server / rounds, database: self.database / rounds }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of this benchmark are small")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}
