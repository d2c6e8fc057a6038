//! The bus between servers: with it events cross at once, without it within the poll interval.
//!
//! Where a test is about the bus, the servers poll once an hour: what comes was brought by the bus. The world's own
//! server has no bus, and is there to make companies and people.

use std::time::{Duration, Instant};

use cosell::server::RunningServer;
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use crate::on_both_databases;
use crate::support::cli::{Cli, Output, Running};
use crate::support::database::{Database, Kind, OnDatabase as _};
use crate::support::http::{Answer, Client};
use crate::support::keys::{AUDIENCE, ISSUER};
use crate::support::nats::{Connection, Nats};
use crate::support::proxy::Proxy;
use crate::support::world::{Person, SECRET, World};
use crate::support::ws::{Socket, Subscription};

const FEED: &str = "subscription { activity { __typename lead { title } } }";
const SOON: Duration = Duration::from_secs(20);

/// A server of the world that is told of others' events by that bus, and polls that often.
async fn server(world: &World, bus: &str, poll: &str) -> RunningServer {
    world.another_server_with(&[("COSELL_BUS", Some(bus)), ("COSELL_FEED_POLL_INTERVAL", Some(poll))]).await
}

/// Follows the person's company's feed on a server.
async fn follow(server: &RunningServer, person: &Person) -> (Socket, Subscription) {
    let mut socket = Socket::connect(server.addr, &person.token).await;
    let feed = socket.subscribe(FEED, json!({})).await;
    (socket, feed)
}

async fn write(server: &RunningServer, person: &Person, title: &str) {
    // Of a customer of its own: a duplicate would be an event more.
    let input = json!({ "title": title, "customer": { "company": uuid::Uuid::now_v7().simple().to_string() } });
    Client::new(server.addr, Some(&person.token)).mutate("createLead", input, "lead { id }").await.ok();
}

/// What is written on one server is the next that the follower on the other gets.
async fn crosses(from: &RunningServer, person: &Person, feed: &mut Subscription, title: &str) {
    write(from, person, title).await;
    assert_eq!(feed.next().await["activity"]["lead"]["title"], title);
}

async fn readiness(server: &RunningServer) -> (u16, String) {
    let answer = Answer::of(Client::new(server.addr, None).request(Method::GET, "/readyz")).await;
    (answer.status.as_u16(), answer.text)
}

/// Waits until a server says of itself what it should.
async fn says(server: &RunningServer, expected: &str) {
    let until = Instant::now() + SOON;
    loop {
        let (status, text) = readiness(server).await;
        assert_eq!(status, 200, "the bus does not decide: {text}");
        if text == expected {
            return;
        }
        assert!(Instant::now() < until, "expected {expected:?}, and it says {text:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const READY: &str = "ok\ndatabase: ok\nbus: ok\n";
const AWAY: &str = "ok\ndatabase: ok\nbus: away: events of other servers arrive within feed.poll_interval\n";

on_both_databases! {
    async fn events_cross_from_server_to_server_at_once_over_nats(world: World) {
        let nats = Nats::start().await;
        let (one, other) = (server(&world, &nats.url(), "1h").await, server(&world, &nats.url(), "1h").await);
        let person = world.as_("acme", "SALES");
        let (_one_socket, mut on_one) = follow(&one, &person).await;
        let (_other_socket, mut on_other) = follow(&other, &person).await;
        for round in 0..5 {
            for from in [&one, &other] {
                let title = format!("Lead {round}");
                write(from, &person, &title).await;
                assert_eq!(on_one.next().await["activity"]["lead"]["title"], title);
                assert_eq!(on_other.next().await["activity"]["lead"]["title"], title);
            }
        }
        one.shutdown().await;
        other.shutdown().await;
    }

    async fn without_nats_events_arrive_within_the_poll_interval(world: World) {
        let mut nats = Nats::start().await;
        let (one, other) = (server(&world, &nats.url(), "500ms").await, server(&world, &nats.url(), "500ms").await);
        let person = world.as_("acme", "SALES");
        let (_socket, mut feed) = follow(&one, &person).await;
        crosses(&other, &person, &mut feed, "With the bus").await;
        nats.stop();
        for server in [&one, &other] {
            says(server, AWAY).await;
        }
        for round in 0..3 {
            crosses(&other, &person, &mut feed, &format!("Without the bus {round}")).await;
        }
    }

    async fn when_nats_is_back_what_was_missed_comes_and_the_rest_at_once(world: World) {
        let mut nats = Nats::start().await;
        let (one, other) = (server(&world, &nats.url(), "1h").await, server(&world, &nats.url(), "1h").await);
        let person = world.as_("acme", "SALES");
        let (_socket, mut feed) = follow(&one, &person).await;
        crosses(&other, &person, &mut feed, "Before").await;
        nats.stop();
        for server in [&one, &other] {
            says(server, AWAY).await;
        }
        write(&other, &person, "Meanwhile").await;
        nats.start_again().await;
        assert_eq!(feed.next().await["activity"]["lead"]["title"], "Meanwhile");
        for server in [&one, &other] {
            says(server, READY).await;
        }
        for round in 0..3 {
            crosses(&other, &person, &mut feed, &format!("After {round}")).await;
        }
    }

    async fn a_server_that_starts_while_nats_is_down_works_and_recovers(world: World) {
        let mut nats = Nats::start_with("cosell:hush hush").await;
        nats.stop();
        let url = nats.url().replace(' ', "%20");
        let (one, other) = (server(&world, &url, "1h").await, server(&world, &url, "1h").await);
        for server in [&one, &other] {
            says(server, AWAY).await;
        }
        let person = world.as_("acme", "SALES");
        let (_socket, mut feed) = follow(&one, &person).await;
        crosses(&one, &person, &mut feed, "On the same server").await;
        nats.start_again().await;
        for server in [&one, &other] {
            says(server, READY).await;
        }
        for round in 0..3 {
            crosses(&other, &person, &mut feed, &format!("From the other {round}")).await;
        }
    }

    async fn a_server_hears_only_of_the_companies_that_it_has_subscribers_of(world: World) {
        let nats = Nats::start().await;
        let listening = server(&world, &nats.url(), "1h").await;
        says(&listening, READY).await;
        let writing = server(&world, &nats.url(), "1h").await;
        let (acme, umbrella) = (world.as_("acme", "SALES"), world.as_("umbrella", "SALES"));
        assert!(nats.connections().await.iter().all(|it| it.feeds() == 0), "nobody follows anything yet");

        let (socket, mut feed) = follow(&listening, &acme).await;
        for round in 0..3 {
            crosses(&writing, &acme, &mut feed, &format!("Theirs {round}")).await;
        }
        let connections = nats.connections().await;
        let feeds: Vec<_> = connections.iter().map(Connection::feeds).collect();
        assert_eq!(feeds.iter().sum::<usize>(), 1, "one company on one server: {connections:?}");
        let before = connections.iter().find(|it| it.feeds() == 1).expect("it listens").clone();
        let silent = connections.iter().find(|it| it.feeds() == 0).expect("it has no subscriber").clone();

        // Of what happens elsewhere the listening server is sent nothing, and the other server nothing at all.
        for round in 0..3 {
            write(&writing, &umbrella, &format!("Of nobody's interest {round}")).await;
        }
        crosses(&writing, &acme, &mut feed, "Theirs again").await;
        let connections = nats.connections().await;
        let received = |id| connections.iter().find(|it| it.id == id).expect("it is there").received;
        assert_eq!(received(before.id), before.received + 1, "the one event of its own company");
        assert_eq!(received(silent.id), silent.received, "nothing");

        // When the last subscriber has gone, the server hears of nothing any more.
        feed.complete();
        drop(socket);
        let until = Instant::now() + SOON;
        while nats.connections().await.iter().any(|it| it.feeds() > 0) {
            assert!(Instant::now() < until, "it still listens: {:?}", nats.connections().await);
            // The reader of the log finds out when it next looks; an event makes it look.
            write(&listening, &acme, "For nobody").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn two_installations_on_one_nats_hear_nothing_of_each_other(world: World) {
        let nats = Nats::start().await;
        let other_world = World::on(Database::fresh(world.database.kind).await).await;
        let one = server(&world, &nats.url(), "1h").await;
        let other = server(&other_world, &nats.url(), "1h").await;
        let (_one_socket, _one_feed) = follow(&one, &world.as_("acme", "SALES")).await;
        let (_other_socket, _other_feed) = follow(&other, &other_world.as_("acme", "SALES")).await;
        let names = [&one, &other].map(|server| server.service().cursors().installation());
        assert_ne!(names[0], names[1]);
        let until = Instant::now() + SOON;
        loop {
            let connections = nats.connections().await;
            let apart = |name: &String| {
                let prefix = format!("cosell.{name}.");
                connections.iter().any(|it| it.feeds() == 1 && it.subjects.iter().all(|it| it.starts_with(&prefix)))
            };
            if names.iter().all(apart) {
                return;
            }
            assert!(Instant::now() < until, "{names:?}: {connections:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn what_a_command_writes_comes_at_once_too(world: World) {
        let nats = Nats::start().await;
        let partnership = world.partnership("acme", "globex").await;
        let server = server(&world, &nats.url(), "1h").await;
        let person = world.as_("globex", "SALES");
        let (_socket, mut feed) = follow(&server, &person).await;
        let cli = Cli::new().env("COSELL_DATABASE_URL", &world.database.url).env("COSELL_BUS", nats.url());
        for (n, company) in ["Initrode", "Initech"].into_iter().enumerate() {
            let record = json!({
                "attributes": { "type": "Lead", "referenceId": format!("L{n}") },
                "FirstName": "Ann", "LastName": "Bee", "Company": company, "Title": "Forty seats"
            });
            cli.file("leads.json", json!({ "records": [record] }).to_string());
            cli.run([
                "import", "--format", "salesforce", "--company", "acme", "--partnership", &partnership, "leads.json",
            ]).ok();
            assert_eq!(feed.next().await["activity"]["lead"]["title"], format!("{company}: Forty seats"));
        }
    }
}

async fn on_postgres() -> World {
    World::on(Database::fresh(Kind::Postgres).await).await
}

/// Asks PostgreSQL for a number.
async fn number(world: &World, sql: &str) -> i64 {
    let mut connection = PgConnection::connect(&world.database.url).await.expect("it takes connections");
    let row = connection.fetch_one(AssertSqlSafe(sql.to_owned())).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    row.get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_cross_from_server_to_server_at_once_over_postgresql() {
    let world = on_postgres().await;
    let (one, other) = (server(&world, "postgres", "1h").await, server(&world, "postgres", "1h").await);
    let (acme, umbrella) = (world.as_("acme", "SALES"), world.as_("umbrella", "SALES"));
    let (_one_socket, mut on_one) = follow(&one, &acme).await;
    let (_other_socket, mut on_other) = follow(&other, &acme).await;
    let (_third_socket, mut of_another) = follow(&other, &umbrella).await;
    for round in 0..5 {
        for from in [&one, &other] {
            let title = format!("Lead {round}");
            write(from, &acme, &title).await;
            assert_eq!(on_one.next().await["activity"]["lead"]["title"], title);
            assert_eq!(on_other.next().await["activity"]["lead"]["title"], title);
        }
        crosses(&one, &umbrella, &mut of_another, &format!("Of others {round}")).await;
    }
    one.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listening_connection_that_was_cut_comes_back_with_what_was_missed() {
    let world = on_postgres().await;
    let (one, other) = (server(&world, "postgres", "1h").await, server(&world, "postgres", "1h").await);
    let person = world.as_("acme", "SALES");
    let (_socket, mut feed) = follow(&one, &person).await;
    crosses(&other, &person, &mut feed, "Before").await;
    let installation = world.server().service().cursors().installation();
    let cut = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE application_name = 'cosell bus {installation}'"
    );
    for round in 0..3 {
        let until = Instant::now() + SOON;
        while number(&world, &cut).await == 0 {
            assert!(Instant::now() < until, "nobody listens");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        write(&other, &person, &format!("Meanwhile {round}")).await;
        assert_eq!(feed.next().await["activity"]["lead"]["title"], format!("Meanwhile {round}"));
        says(&one, READY).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_on_postgresql_survives_the_database_going_away() {
    let world = on_postgres().await;
    let mut door = Proxy::shut(&world.database.url);
    door.open();
    let bus = [("COSELL_BUS", Some("postgres")), ("COSELL_FEED_POLL_INTERVAL", Some("500ms"))];
    let one = world.another_server_with(&[&bus[..], &[("COSELL_DATABASE_URL", Some(&door.url))]].concat()).await;
    let other = world.another_server_with(&bus).await;
    let person = world.as_("acme", "SALES");
    let (_socket, mut feed) = follow(&one, &person).await;
    crosses(&other, &person, &mut feed, "Before").await;
    door.close().await;
    let until = Instant::now() + SOON;
    while readiness(&one).await.0 != 503 {
        assert!(Instant::now() < until, "it says that it is ready without a database");
    }
    write(&other, &person, "Meanwhile").await;
    door.open();
    assert_eq!(feed.next().await["activity"]["lead"]["title"], "Meanwhile");
    let until = Instant::now() + SOON;
    while readiness(&one).await != (200, READY.to_owned()) {
        assert!(Instant::now() < until, "{:?}", readiness(&one).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    crosses(&other, &person, &mut feed, "After").await;
}

/// What `cosell serve` needs beside the database.
fn serving() -> Cli {
    Cli::new()
        .env("COSELL_LISTEN", "127.0.0.1:0")
        .env("COSELL_JWT_SECRET", SECRET)
        .env("COSELL_JWT_ISSUER", ISSUER)
        .env("COSELL_JWT_AUDIENCE", AUDIENCE)
}

fn line(running: &mut Running, text: &str) -> String {
    tokio::task::block_in_place(|| running.line_with(text, SOON))
}

fn end(running: Running) -> Output {
    tokio::task::block_in_place(|| running.output())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_says_when_nats_is_away_and_when_it_is_back_and_names_no_secret() {
    for (credentials, shown) in [("cosell:hush", "cosell:***@"), ("hush", "***@"), ("", "")] {
        let mut nats = Nats::start_with(credentials).await;
        nats.stop();
        let cli = serving().env("COSELL_BUS", nats.url());
        let mut running = cli.start(["serve"]);
        let shown = nats.url().replace(&format!("{credentials}@"), shown);
        let said = line(&mut running, " is away ");
        assert!(said.contains(&format!("the bus {shown} is away")), "{said}");
        assert!(said.contains("events of other servers arrive within feed.poll_interval; trying again"), "{said}");
        nats.start_again().await;
        let said = line(&mut running, " is back");
        assert!(said.contains(&format!("the bus {shown} is back")), "{said}");
        running.signal("TERM");
        let output = end(running);
        output.ok();
        assert!(!output.stderr.contains("hush") && !output.stdout.contains("hush"), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_waits_for_a_database_that_is_down_and_starts_when_it_is_there() {
    let world = on_postgres().await;
    let mut door = Proxy::shut(&world.database.url.replace("cosell@", "cosell:hush@"));
    let cli = serving().env("COSELL_DATABASE_URL", &door.url).env("COSELL_BUS", "postgres");
    let mut running = cli.start(["serve"]);
    for _ in 0..2 {
        let said = line(&mut running, " is away ");
        assert!(said.contains("cosell:***@127.0.0.1"), "{said}");
        assert!(said.contains("the server starts when it is there; trying again in"), "{said}");
    }
    door.open();
    let said = line(&mut running, "cosell listens on");
    let address = said.split("://").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
    let client = Client::new(address.parse().expect("an address"), Some(&world.as_("acme", "SALES").token));
    client.query("{ viewer { id } }", json!({})).await.ok();
    running.signal("TERM");
    let output = end(running);
    output.ok();
    assert!(!output.stderr.contains("hush"), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_can_be_ended_while_it_waits_for_the_database() {
    let world = on_postgres().await;
    let door = Proxy::shut(&world.database.url);
    for signal in ["INT", "TERM"] {
        let mut running = serving().env("COSELL_DATABASE_URL", &door.url).start(["serve"]);
        line(&mut running, " is away ");
        running.signal(signal);
        assert_eq!(end(running).ok(), "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_does_not_wait_for_a_database_that_is_wrong() {
    let world = on_postgres().await;
    let url = world.database.url.replace("/postgres?", "/nowhere?");
    assert_ne!(url, world.database.url);
    let output = end(serving().env("COSELL_DATABASE_URL", url).start(["serve"]));
    assert!(output.failed(1).contains("database \"nowhere\" does not exist"), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_s_work_is_done_also_when_the_bus_is_away() {
    let world = on_postgres().await;
    let partnership = world.partnership("acme", "globex").await;
    let mut nats = Nats::start().await;
    nats.stop();
    let cli = Cli::new().env("COSELL_DATABASE_URL", &world.database.url).env("COSELL_BUS", nats.url());
    let record =
        json!({ "attributes": { "type": "Lead", "referenceId": "L1" }, "LastName": "Bee", "Company": "Initrode" });
    cli.file("leads.json", json!({ "records": [record] }).to_string());
    let import = ["import", "--format", "salesforce", "--company", "acme", "--partnership", &partnership, "leads.json"];
    let output = cli.run(import);
    assert!(output.ok().starts_with("1 created"), "{output}");
    assert!(
        output.stderr.contains("could not be told; servers find what is new within feed.poll_interval"),
        "{output}"
    );
    // There is nothing to tell, and so nothing to wait for.
    let output = cli.run(["company", "add", "hooli"]);
    output.ok();
    assert_eq!(output.stderr, "");
}
