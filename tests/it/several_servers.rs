//! Several server processes over one PostgreSQL: every reader gets each company's log, whole, once and in its order,
//! whatever happens to the servers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cosell::domain::global_id::{NodeType, encode};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::task::{JoinHandle, block_in_place};
use uuid::Uuid;

use crate::support::cli::{Cli, Running};
use crate::support::database::{Database, Kind, OnDatabase as _};
use crate::support::http::Client;
use crate::support::keys::{AUDIENCE, ISSUER};
use crate::support::nats::Nats;
use crate::support::world::{Person, SECRET, World};
use crate::support::ws::{Event, Socket};

const SOON: Duration = Duration::from_secs(30);

/// Compares what a reader has got with the log: nothing is missing, nothing came twice, nothing out of order.
fn compare(log: &[String], got: &[String]) -> Result<(), String> {
    let place: HashMap<&String, usize> = log.iter().enumerate().map(|(n, id)| (id, n)).collect();
    let mut seen = vec![false; log.len()];
    let mut last = None;
    let mut faults = Vec::new();
    for id in got {
        let Some(&n) = place.get(id) else {
            faults.push(format!("{id} is not in the log"));
            continue;
        };
        if std::mem::replace(&mut seen[n], true) {
            faults.push(format!("number {n} came again"));
        } else if last.is_some_and(|last| n < last) {
            faults.push(format!("number {n} came out of order"));
        }
        last = last.max(Some(n));
    }
    faults.extend(seen.iter().enumerate().filter(|(_, seen)| !**seen).map(|(n, _)| format!("number {n} is missing")));
    if faults.is_empty() { Ok(()) } else { Err(faults.join(", ")) }
}

#[test]
fn the_comparison_finds_a_gap_a_repeat_a_swap_and_a_stranger() {
    let texts = |ids: &str| ids.chars().map(String::from).collect::<Vec<_>>();
    let log = texts("abcd");
    for (got, fault) in [
        ("abcd", None),
        ("abd", Some("number 2 is missing")),
        ("bcd", Some("number 0 is missing")),
        ("abc", Some("number 3 is missing")),
        ("abbcd", Some("number 1 came again")),
        ("abcda", Some("number 0 came again")),
        ("acbd", Some("number 1 came out of order")),
        ("abcxd", Some("x is not in the log")),
        ("acb", Some("number 1 came out of order, number 3 is missing")),
        ("", Some("number 0 is missing, number 1 is missing, number 2 is missing, number 3 is missing")),
    ] {
        assert_eq!(compare(&log, &texts(got)).err().as_deref(), fault, "{got}");
    }
}

/// A company's events above a position, by their ids in the API, in the log's order.
async fn log_above(connection: &mut PgConnection, company: &str, position: i64) -> Vec<String> {
    let sql = format!(
        "SELECT e.id FROM event e JOIN company c ON c.id = e.company_id \
         WHERE c.slug = '{company}' AND e.position > {position} ORDER BY e.position"
    );
    let rows = connection.fetch_all(AssertSqlSafe(sql)).await.expect("the log");
    rows.iter().map(|row| encode(NodeType::Activity, row.get::<Uuid, _>(0))).collect()
}

/// Where a company's log ends.
async fn head(connection: &mut PgConnection, company: &str) -> i64 {
    let sql = format!(
        "SELECT coalesce(max(e.position), 0) FROM event e JOIN company c ON c.id = e.company_id WHERE c.slug = '{company}'"
    );
    connection.fetch_one(AssertSqlSafe(sql)).await.expect("the log").get(0)
}

/// The server processes that a client knows of, by their addresses.
#[derive(Clone, Default)]
struct Servers(Arc<Mutex<Vec<SocketAddr>>>);

impl Servers {
    /// One of them, another one for each number.
    fn pick(&self, n: usize) -> SocketAddr {
        let servers = self.0.lock().expect("no panic under the lock");
        servers[n % servers.len()]
    }

    fn add(&self, address: SocketAddr) {
        self.0.lock().expect("no panic under the lock").push(address);
    }

    fn remove(&self, address: SocketAddr) {
        self.0.lock().expect("no panic under the lock").retain(|it| *it != address);
    }
}

/// One `cosell serve`.
struct Process {
    running: Running,
    address: SocketAddr,
}

/// Companies and people, and the processes that serve them. The world's own server only made the companies.
struct Fleet {
    world: World,
    cli: Cli,
    servers: Servers,
    processes: Vec<Process>,
}

impl Fleet {
    async fn start(bus: &str, count: usize) -> Self {
        let world = World::on(Database::fresh(Kind::Postgres).await).await;
        let cli = Cli::new()
            .env("COSELL_DATABASE_URL", &world.database.url)
            .env("COSELL_DATABASE_MAX_CONNECTIONS", "10")
            .env("COSELL_LISTEN", "127.0.0.1:0")
            .env("COSELL_JWT_SECRET", SECRET)
            .env("COSELL_JWT_ISSUER", ISSUER)
            .env("COSELL_JWT_AUDIENCE", AUDIENCE)
            .env("COSELL_BUS", bus)
            .env("COSELL_LOG", "warn");
        let mut fleet = Self { world, cli, servers: Servers::default(), processes: Vec::new() };
        for _ in 0..count {
            fleet.add();
        }
        fleet
    }

    /// One process more, on a port of its own.
    fn add(&mut self) {
        let mut running = self.cli.start(["serve"]);
        let line = block_in_place(|| running.line_with("cosell listens on", SOON));
        let address = line.split("://").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
        let address = address.parse().expect("an address and a port");
        self.servers.add(address);
        self.processes.push(Process { running, address });
    }

    async fn database(&self) -> PgConnection {
        PgConnection::connect(&self.world.database.url).await.expect("it takes connections")
    }

    /// What the servers wrote is chained as if one had written it.
    fn audit_trail_is_sound(&self) {
        let said = block_in_place(|| self.cli.run(["audit", "verify", "--database"]));
        let said = said.ok();
        for company in ["acme", "globex"] {
            assert!(said.lines().any(|line| line.starts_with(company) && line.ends_with(": sound.")), "{said}");
        }
    }

    /// The person, at one of the processes.
    fn at(&self, n: usize, person: &Person) -> Client {
        Client::new(self.servers.pick(n), Some(&person.token))
    }

    /// A lead of acme, shared in the partnership where one is given.
    async fn lead(&self, person: &Person, partnership: Option<&str>) -> String {
        let mut input = json!({ "title": "Forty seats", "customer": { "company": "Initrode" } });
        if let Some(partnership) = partnership {
            input["partnershipId"] = json!(partnership);
        }
        let created = self.at(0, person).mutate("createLead", input, "lead { id }").await.ok();
        created.text_at("/createLead/lead/id").to_owned()
    }

    /// The cursor of the newest event of the person's company, and its position.
    async fn newest(&self, person: &Person, company: &str) -> (String, i64) {
        let newest = self.at(0, person).query("{ activity(first: 1) { edges { cursor } } }", json!({})).await.ok();
        let cursor = newest.text_at("/activity/edges/0/cursor").to_owned();
        (cursor, head(&mut self.database().await, company).await)
    }
}

/// What a reader has got so far.
#[derive(Clone, Default)]
struct Got(Arc<Mutex<Vec<String>>>);

impl Got {
    fn add(&self, id: &Value) {
        self.0.lock().expect("no panic under the lock").push(id.as_str().expect("an id").to_owned());
    }

    fn ids(&self) -> Vec<String> {
        self.0.lock().expect("no panic under the lock").clone()
    }

    /// Waits for the last of these to come, and then compares all with what came.
    async fn is(&self, log: &[String], who: &str) {
        let last = log.last().expect("something happened");
        let until = Instant::now() + SOON;
        while !self.ids().contains(last) {
            assert!(Instant::now() < until, "{who} lacks the last event: {:?}", compare(log, &self.ids()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if let Err(fault) = compare(log, &self.ids()) {
            panic!("{who}, of {} events: {fault}", log.len());
        }
    }
}

/// A task that ends with its test.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A client that follows a company's feed as docs/feed.md tells it to: it keeps the cursor of the last event, and goes
/// on with it at the next server when its connection ends.
struct Follower {
    who: String,
    got: Got,
    closes: Arc<Mutex<Vec<u16>>>,
    live: Arc<AtomicUsize>,
    _task: Task,
}

impl Follower {
    /// Follows from a cursor on, or from now on. `first` says which server it begins with.
    fn start(servers: &Servers, first: usize, person: &Person, after: Option<String>) -> Self {
        let got = Got::default();
        let (closes, live): (Arc<Mutex<Vec<u16>>>, Arc<AtomicUsize>) = Default::default();
        let (servers, token, mine) = (servers.clone(), person.token.clone(), got.clone());
        let (ends, lives) = (Arc::clone(&closes), Arc::clone(&live));
        let who = format!("the subscriber of server {first}, after {after:?}");
        let task = tokio::spawn(async move {
            let mut cursor = after;
            for n in first.. {
                let code = Self::follow(servers.pick(n), &token, &mut cursor, &mine, &lives).await;
                if let Some(code) = code {
                    ends.lock().expect("no panic under the lock").push(code);
                } else {
                    // Nobody is at home there: as every client, it does not try again at once.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
        Self { who, got, closes, live, _task: Task(task) }
    }

    /// Follows on one connection, and returns the code that it was closed with, once it was welcome.
    async fn follow(
        server: SocketAddr,
        token: &str,
        cursor: &mut Option<String>,
        got: &Got,
        live: &AtomicUsize,
    ) -> Option<u16> {
        let mut socket = Socket::open_with(server, Some("graphql-transport-ws")).await.ok()?;
        socket.init(Some(token));
        let mut welcome = false;
        loop {
            let message = match socket.next_within(SOON * 2).await {
                Event::Message(message) => message,
                Event::Closed(close) => return welcome.then_some(close.code),
            };
            match message["type"].as_str() {
                Some("connection_ack") => {
                    welcome = true;
                    socket.send(&json!({ "id": "1", "type": "subscribe", "payload": {
                        "query": "subscription($after: String) { activity(after: $after) { id cursor } }",
                        "variables": { "after": cursor },
                    } }));
                    // What is answered after it was taken up after it.
                    socket.send(&json!({ "type": "ping" }));
                }
                Some("pong") => {
                    live.fetch_add(1, Ordering::Relaxed);
                }
                Some("next") if message["payload"]["errors"].is_null() => {
                    let event = &message["payload"]["data"]["activity"];
                    *cursor = Some(event["cursor"].as_str().expect("a cursor").to_owned());
                    got.add(&event["id"]);
                }
                // The server could not go on with it, as when its database was away.
                _ => return Some(0),
            }
        }
    }

    /// Waits until its subscription runs.
    async fn is_live(&self) {
        let until = Instant::now() + SOON;
        while self.live.load(Ordering::Relaxed) == 0 {
            assert!(Instant::now() < until, "{} is not live", self.who);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn closes(&self) -> Vec<u16> {
        self.closes.lock().expect("no panic under the lock").clone()
    }
}

/// Reads a company's feed page by page, forwards from a cursor, again and again.
fn poll(client: Client, mut cursor: String) -> (Got, Task) {
    // The list begins with the newest: what is next after a cursor are the last ones before it.
    const PAGE: &str =
        "query($before: String!) { activity(last: 7, before: $before) { edges { cursor node { id } } } }";
    let got = Got::default();
    let mine = got.clone();
    let task = tokio::spawn(async move {
        loop {
            let page = client.query(PAGE, json!({ "before": cursor })).await.ok();
            let edges = page.list_at("/activity/edges");
            for edge in edges.iter().rev() {
                mine.add(&edge["node"]["id"]);
            }
            match edges.first() {
                Some(newest) => newest["cursor"].as_str().expect("a cursor").clone_into(&mut cursor),
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
    (got, Task(task))
}

/// Holds transactions open for a random time: each event's just before the commit, each comment's before it is written.
const HOLD_OPEN: &str = "
    CREATE FUNCTION hold_open() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(random() * 0.02); RETURN NEW; END $$;
    CREATE CONSTRAINT TRIGGER hold_open AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION hold_open();
    CREATE TRIGGER hold_open BEFORE INSERT ON comment FOR EACH ROW EXECUTE FUNCTION hold_open();
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_company_s_feed_has_one_order_for_all_its_readers_on_all_servers() {
    const WRITERS: usize = 16;
    const EACH: usize = 15;
    let fleet = Fleet::start("postgres", 2).await;
    let world = &fleet.world;
    let (globex, initech) = (world.partnership("acme", "globex").await, world.partnership("acme", "initech").await);
    let (acme, umbrella) = (world.as_("acme", "SALES"), world.as_("umbrella", "SALES"));
    // Of acme with each partner, and of a company that is alone: who writes, and where.
    let mut leads = Vec::new();
    for n in 0..WRITERS {
        let (person, partnership) = match n % 4 {
            0 | 1 => (&acme, Some(globex.as_str())),
            2 => (&acme, Some(initech.as_str())),
            _ => (&umbrella, None),
        };
        leads.push((person, fleet.lead(person, partnership).await));
    }
    let mut database = fleet.database().await;
    database.execute(HOLD_OPEN).await.expect("the triggers");

    let readers = [
        ("acme", world.as_("acme", "VIEWER")),
        ("globex", world.as_("globex", "VIEWER")),
        ("umbrella", world.as_("umbrella", "VIEWER")),
    ];
    let mut starts = Vec::new();
    let mut polling = Vec::new();
    let mut following = Vec::new();
    for (company, reader) in &readers {
        let (cursor, position) = fleet.newest(reader, company).await;
        for server in 0..2 {
            polling.push((*company, server, poll(fleet.at(server, reader), cursor.clone())));
            following.push((*company, Follower::start(&fleet.servers, server, reader, None)));
            following.push((*company, Follower::start(&fleet.servers, server, reader, Some(cursor.clone()))));
        }
        starts.push((*company, reader, cursor, position));
    }
    for (_, follower) in &following {
        follower.is_live().await;
    }

    let written = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = leads
        .iter()
        .enumerate()
        .map(|(n, (person, lead))| {
            let (client, lead, written) = (fleet.at(n, person), lead.clone(), Arc::clone(&written));
            tokio::spawn(async move {
                for round in 0..EACH {
                    let input = json!({ "leadId": lead, "body": format!("{n}: {round}") });
                    client.mutate("addComment", input, "comment { id }").await.ok();
                    written.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // In the middle of it others join, and catch up while the writing goes on.
    while written.load(Ordering::Relaxed) < WRITERS * EACH / 3 {
        assert!(writers.iter().any(|writer| !writer.is_finished()), "the writers have ended before the middle");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (company, reader, cursor, _) in &starts {
        for server in 0..2 {
            following.push((*company, Follower::start(&fleet.servers, server, reader, Some(cursor.clone()))));
        }
    }
    for writer in writers {
        writer.await.expect("a writer without fault");
    }

    for (company, _, _, position) in &starts {
        let log = log_above(&mut database, company, *position).await;
        let quarters = match *company {
            "acme" => 3,
            "globex" => 2,
            _ => 1,
        };
        assert_eq!(log.len(), quarters * WRITERS / 4 * EACH, "the log of {company}");
        for (of, server, (got, _)) in &polling {
            if of == company {
                got.is(&log, &format!("who polls {of} on server {server}")).await;
            }
        }
        for (of, follower) in &following {
            if of == company {
                follower.got.is(&log, &format!("of {of}: {}", follower.who)).await;
            }
        }
    }
    fleet.audit_trail_is_sound();
}

/// Writes comments with keys of their own, each until some server has answered, and says the ids that it was given.
async fn write(servers: Servers, token: String, lead: String, writer: usize, count: usize, written: Arc<AtomicUsize>) {
    let mut n = writer;
    for round in 0..count {
        let name = format!("{writer}: {round}");
        let until = Instant::now() + SOON;
        loop {
            assert!(Instant::now() < until, "no server takes {name}");
            let input = json!({ "leadId": lead, "body": name, "idempotencyKey": name });
            let body = json!({
                "query": "mutation($input: AddCommentInput!) { addComment(input: $input) { comment { body } } }",
                "variables": { "input": input },
            });
            // A connection of its own each time: it goes where somebody listens now.
            let client = Client::new(servers.pick(n), Some(&token));
            let sent = client.request(Method::POST, "/graphql").timeout(Duration::from_secs(10)).json(&body).send();
            let answer: Option<Value> = match sent.await {
                Ok(answer) => answer.json().await.ok(),
                Err(_) => None,
            };
            match answer {
                Some(answer) if answer["data"]["addComment"]["comment"]["body"] == name.as_str() => break,
                Some(answer) => {
                    let code = &answer["errors"][0]["extensions"]["code"];
                    assert_eq!(code, "UNAVAILABLE", "{answer}");
                }
                None => {}
            }
            // With the same key, on another server.
            n += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        written.fetch_add(1, Ordering::Relaxed);
    }
}

/// Followers of both companies on every server, and writers on every server.
struct Run {
    position: [(&'static str, i64); 2],
    followers: Vec<(&'static str, Follower)>,
    writers: Vec<JoinHandle<()>>,
    written: Arc<AtomicUsize>,
}

const WRITERS: usize = 6;

impl Run {
    async fn start(fleet: &Fleet, each: usize) -> Self {
        let partnership = fleet.world.partnership("acme", "globex").await;
        let (acme, globex) = (fleet.world.as_("acme", "SALES"), fleet.world.as_("globex", "SALES"));
        let mut leads = Vec::new();
        for _ in 0..WRITERS {
            leads.push(fleet.lead(&acme, Some(&partnership)).await);
        }
        let mut followers = Vec::new();
        for (company, person) in [("acme", &acme), ("globex", &globex)] {
            for server in 0..6 {
                followers.push((company, Follower::start(&fleet.servers, server, person, None)));
            }
        }
        for (_, follower) in &followers {
            follower.is_live().await;
        }
        let mut database = fleet.database().await;
        let position = [("acme", head(&mut database, "acme").await), ("globex", head(&mut database, "globex").await)];
        let written = Arc::new(AtomicUsize::new(0));
        let writers = leads
            .into_iter()
            .enumerate()
            .map(|(n, lead)| {
                let person = if n % 2 == 0 { &acme } else { &globex };
                let (servers, token) = (fleet.servers.clone(), person.token.clone());
                tokio::spawn(write(servers, token, lead, n, each, Arc::clone(&written)))
            })
            .collect();
        Self { position, followers, writers, written }
    }

    /// Waits until so much was written.
    async fn reaches(&self, count: usize) {
        while self.written.load(Ordering::Relaxed) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// At the end nothing is lost, nothing was repeated, and every write happened once.
    async fn ends_well(&mut self, fleet: &Fleet, each: usize) {
        for writer in self.writers.drain(..) {
            writer.await.expect("a writer without fault");
        }
        let mut database = fleet.database().await;
        let bodies = database.fetch_all("SELECT body FROM comment ORDER BY body").await.expect("the comments");
        let bodies: Vec<String> = bodies.iter().map(|row| row.get(0)).collect();
        let mut expected: Vec<_> =
            (0..WRITERS).flat_map(|n| (0..each).map(move |round| format!("{n}: {round}"))).collect();
        expected.sort();
        let mut sorted = bodies;
        sorted.sort();
        assert_eq!(sorted, expected, "every write happened once");
        for (company, position) in self.position {
            let log = log_above(&mut database, company, position).await;
            assert_eq!(log.len(), WRITERS * each, "the log of {company}");
            for (_, follower) in self.followers.iter().filter(|(of, _)| *of == company) {
                follower.got.is(&log, &format!("of {company}: {}", follower.who)).await;
            }
        }
        fleet.audit_trail_is_sound();
    }

    fn closes(&self) -> Vec<u16> {
        self.followers.iter().flat_map(|(_, follower)| follower.closes()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_repeated_when_one_of_three_servers_is_killed() {
    const EACH: usize = 40;
    let nats = Nats::start().await;
    let mut fleet = Fleet::start(&nats.url(), 3).await;
    let mut run = Run::start(&fleet, EACH).await;
    run.reaches(WRITERS * EACH / 3).await;
    // The others know of it until they find out, as behind a balancer that has not noticed yet.
    fleet.processes[1].running.signal("KILL");
    run.reaches(WRITERS * EACH / 2).await;
    fleet.servers.remove(fleet.processes[1].address);
    run.ends_well(&fleet, EACH).await;
    assert_eq!(run.closes(), [1006; 4], "the subscribers of one server in three lost their connection");
    drop(fleet.processes.drain(..));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_repeated_in_a_rolling_restart() {
    const EACH: usize = 40;
    let nats = Nats::start().await;
    let mut fleet = Fleet::start(&nats.url(), 3).await;
    let mut run = Run::start(&fleet, EACH).await;
    for n in 1..=3 {
        run.reaches(WRITERS * EACH * n / 5).await;
        let old = fleet.processes.remove(0);
        // The new one is there before the old one goes, and gets no more of it.
        fleet.add();
        fleet.servers.remove(old.address);
        old.running.signal("TERM");
        block_in_place(|| old.running.output()).ok();
    }
    run.ends_well(&fleet, EACH).await;
    let closes = run.closes();
    assert!(closes.len() >= 12 && closes.iter().all(|code| *code == 1001), "{closes:?}");
}
