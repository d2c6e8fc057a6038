//! How servers and commands start beside each other, and how a server ends.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::block_in_place;

use crate::support::cli::{Cli, Output, Running};
use crate::support::database::{Database, Kind};
use crate::support::http::Client;
use crate::support::world::SECRET;

const SOON: Duration = Duration::from_mins(1);

fn on(url: &str) -> Cli {
    Cli::new().env("COSELL_DATABASE_URL", url).env("COSELL_LISTEN", "127.0.0.1:0").env("COSELL_JWT_SECRET", SECRET)
}

fn address(running: &mut Running) -> SocketAddr {
    let line = running.line_with("cosell listens on", SOON);
    let address = line.split("://").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
    address.parse().expect("an address and a port")
}

fn end(running: Running) -> Output {
    running.signal("TERM");
    running.output()
}

/// Each of them ends well; one has run every migration, and the others none.
fn one_did_all(outputs: &[Output]) {
    let counts: Vec<usize> = outputs
        .iter()
        .map(|output| {
            let said = output.ok();
            let said = said.split(" is up to date: ").nth(1).unwrap_or_else(|| panic!("{output}"));
            said.split(' ').next().expect("a count").parse().expect("a count")
        })
        .collect();
    assert_eq!(counts.iter().filter(|count| **count > 0).count(), 1, "{counts:?}");
}

async fn migrate_at_once(kind: Kind, processes: usize) {
    let database = Database::fresh(kind).await;
    let cli = on(&database.url);
    let running: Vec<_> = (0..processes).map(|_| cli.start(["migrate"])).collect();
    one_did_all(&running.into_iter().map(Running::output).collect::<Vec<_>>());
    assert!(cli.run(["migrate"]).ok().ends_with(": 0 migrations were run."));
}

#[tokio::test]
async fn migrations_that_start_at_once_on_a_new_postgresql_run_once() {
    migrate_at_once(Kind::Postgres, 4).await;
}

#[tokio::test]
async fn migrations_that_start_at_once_on_a_new_sqlite_file_run_once() {
    for _ in 0..3 {
        migrate_at_once(Kind::Sqlite, 6).await;
    }
}

#[tokio::test]
async fn commands_that_start_at_once_on_a_new_sqlite_file_all_do_their_work() {
    let database = Database::fresh(Kind::Sqlite).await;
    let cli = on(&database.url);
    let names = ["acme", "globex", "initech", "umbrella", "northwind"];
    let running: Vec<_> = names.iter().map(|name| cli.start(["company", "add", name])).collect();
    for running in running {
        running.output().ok();
    }
    assert_eq!(cli.run(["company", "list"]).ok().lines().count(), names.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_on_one_sqlite_file_the_second_waits_for_the_end_of_the_first() {
    let database = Database::fresh(Kind::Sqlite).await;
    let cli = on(&database.url);
    // Both at once, on a file that neither has made. Either may be the first.
    let mut both = [cli.start(["serve"]), cli.start(["serve"])];
    let waits = "another server runs on";
    let told = both.each_mut().map(|it| block_in_place(|| it.line_with_any(&["cosell listens on", waits], SOON)));
    let (listen, wait): (Vec<_>, Vec<_>) = both.into_iter().zip(&told).partition(|(_, line)| !line.contains(waits));
    assert_eq!((listen.len(), wait.len()), (1, 1), "{told:?}");
    for (first, _) in listen {
        block_in_place(|| end(first)).ok();
    }
    let (mut second, _) = wait.into_iter().next().expect("one waits");
    let address = block_in_place(|| address(&mut second));
    assert_eq!(Client::new(address, None).query("{ viewer { id } }", json!({})).await.code(), "UNAUTHENTICATED");

    // Who waits ends at once when told to.
    let mut third = cli.start(["serve"]);
    block_in_place(|| third.line_with(waits, SOON));
    assert_eq!(block_in_place(|| end(third)).ok(), "");
    // The lock dies with its holder, however that ends.
    second.signal("KILL");
    assert_eq!(block_in_place(|| second.output()).code, None);
    let mut fourth = cli.start(["serve"]);
    block_in_place(|| self::address(&mut fourth));
    block_in_place(|| end(fourth)).ok();
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_told_as_such() {
    let database = Database::fresh(Kind::Sqlite).await;
    let cli = on(&database.url);
    cli.run(["migrate"]).ok();
    let connection = sea_orm::Database::connect(&database.url).await.expect("a database");
    let newer = "INSERT INTO seaql_migrations VALUES ('m20990101_000001_newer', 0)";
    sea_orm::ConnectionTrait::execute_unprepared(&connection, newer).await.expect("a row");
    connection.close().await.expect("it closes");
    let output = cli.run(["serve"]);
    let why = "newer than this version of cosell, which does not know m20990101_000001_newer";
    assert!(output.failed(1).contains(why), "{output}");
}

/// A request whose body does not come: it runs until its time is up.
fn hanging_request(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it takes connections");
    let head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).expect("it reads");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_a_server_at_once() {
    let database = Database::fresh(Kind::Sqlite).await;
    let cli = on(&database.url);
    for signal in ["TERM", "INT"] {
        let mut running = cli.start(["serve"]);
        let address = block_in_place(|| address(&mut running));
        let _hanging = hanging_request(address);
        // Answered after the other was taken up.
        Client::new(address, None).query("{ viewer { id } }", json!({})).await;
        running.signal(signal);
        block_in_place(|| running.line_with("a second signal ends at once", SOON));
        let began = Instant::now();
        running.signal(signal);
        let output = block_in_place(|| running.output());
        assert!(output.failed(1).contains("A second signal came"), "{output}");
        assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_under_load_keeps_what_it_answered() {
    let database = Database::fresh(Kind::Sqlite).await;
    let cli = on(&database.url).env("COSELL_LOG", "warn").env("COSELL_MAX_CONNECTIONS", "100");
    cli.run(["company", "add", "acme"]).ok();
    let token = cli.run(["token", "--company", "acme", "--member", "ann", "--role", "SALES,ADMIN"]).ok().to_owned();
    let mut running = cli.start(["serve"]);
    let address = block_in_place(|| self::address(&mut running));
    let count = Arc::new(AtomicUsize::new(0));
    let writers = (0..6).map(|writer| {
        let ann = Client::new(address, Some(&token));
        let all = Arc::clone(&count);
        tokio::spawn(async move {
            let document = "mutation($input: CreateLeadInput!) { createLead(input: $input) { lead { id } } }";
            let mut answered = Vec::new();
            loop {
                let input = json!({ "title": format!("Lead of {writer}"), "customer": { "company": "Initrode" } });
                let body = json!({ "query": document, "variables": { "input": input } });
                let request = ann.request(reqwest::Method::POST, "/graphql").json(&body);
                // Once it is told to end it takes no new connection, and says so to no one.
                let Ok(answer) = request.send().await else { return answered };
                let whole = answer.json::<serde_json::Value>().await.expect("an answer that has begun comes whole");
                let Some(id) = whole["data"]["createLead"]["lead"]["id"].as_str() else {
                    assert_eq!(whole["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{whole}");
                    return answered;
                };
                answered.push(id.to_owned());
                all.fetch_add(1, Ordering::AcqRel);
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let under_load = async {
        while count.load(Ordering::Acquire) < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, under_load).await.expect("writes are answered");
    let output = block_in_place(|| end(running));
    output.ok();
    assert_eq!(output.stderr, "", "an end in order has nothing to tell");
    let mut answered = Vec::new();
    for writer in writers {
        answered.extend(writer.await.expect("no writer was let down"));
    }
    assert!(answered.len() >= 20, "{}", answered.len());

    let mut running = cli.start(["serve"]);
    let ann = Client::new(block_in_place(|| self::address(&mut running)), Some(&token));
    for id in answered {
        let lead = ann.query("query($id: ID!) { lead(id: $id) { id } }", json!({ "id": id })).await.ok();
        assert_eq!(lead.at("/lead/id"), id.as_str(), "an answered write is gone");
    }
    block_in_place(|| end(running)).ok();
    cli.run(["audit", "verify", "--database"]).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_told_when_a_server_is_ready_and_when_it_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(SOON)).expect("a socket");
    let said = || {
        let mut bytes = [0; 200];
        let read = socket.recv(&mut bytes).expect("it is told");
        String::from_utf8_lossy(&bytes[..read]).trim().to_owned()
    };
    let database = Database::fresh(Kind::Sqlite).await;
    let cli = on(&database.url).env("NOTIFY_SOCKET", path.to_str().expect("a path"));
    let mut running = cli.start(["serve"]);
    let address = block_in_place(|| address(&mut running));
    assert_eq!(block_in_place(said), "READY=1");
    TcpStream::connect(address).expect("it is ready");
    running.signal("TERM");
    assert_eq!(block_in_place(said), "STOPPING=1");
    block_in_place(|| running.output()).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthcheck_asks_the_server_of_this_machine() {
    let database = Database::fresh(Kind::Sqlite).await;
    let mut running = on(&database.url).start(["serve"]);
    let address = block_in_place(|| address(&mut running)).to_string();
    let asks = Cli::new().env("COSELL_LISTEN", &address);
    block_in_place(|| {
        assert_eq!(asks.run(["healthcheck"]).ok(), "ok\ndatabase: ok\nbus: ok");
        assert_eq!(asks.run(["healthcheck", "--live"]).ok(), "ok");
        end(running).ok();
        assert!(asks.run(["healthcheck"]).failed(1).contains("/readyz does not answer"));
    });
}

/// A limit of 300 that may be raised to 3000, as systems give it.
#[cfg(target_os = "linux")]
#[test]
fn a_server_raises_its_limit_of_open_files_as_far_as_it_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new("prlimit")
        .args(["--nofile=300:3000", env!("CARGO_BIN_EXE_cosell"), "serve"])
        .current_dir(folder.path())
        .env("COSELL_LISTEN", "127.0.0.1:0")
        .env("COSELL_JWT_SECRET", SECRET)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("prlimit of util-linux");
    let mut line = String::new();
    let mut said = std::io::BufReader::new(child.stdout.take().expect("it is piped"));
    std::io::BufRead::read_line(&mut said, &mut line).expect("a line");
    assert!(line.starts_with("cosell listens on"), "{line}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("its limits");
    child.kill().expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    let row = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit");
    assert_eq!(row.split_whitespace().take(2).collect::<Vec<_>>(), ["3000", "3000"], "{row}");
    // Fewer than the connections that it would take, so that it warns.
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("limits.max_connections is 20000") && log.contains("limit=3000"), "{log}");
}
