//! The example in `examples/live-feed` prints what happens, once and in order, whatever happens to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::{block_in_place, spawn_blocking};

use crate::support::cli::{Cli, Running};
use crate::support::database::{Database, Kind, OnDatabase as _};
use crate::support::http::Client;
use crate::support::keys::{AUDIENCE, ISSUER, claims, hs256};
use crate::support::node::Project;
use crate::support::proxy::Proxy;
use crate::support::world::{Person, SECRET, World};

const SOON: Duration = Duration::from_mins(1);

/// Companies and people, and the processes of a server on their database.
struct Place {
    world: World,
    cli: Cli,
}

impl Place {
    async fn new() -> Self {
        let world = World::on(Database::fresh(Kind::Postgres).await).await;
        let cli = Cli::new()
            .env("COSELL_DATABASE_URL", &world.database.url)
            .env("COSELL_DATABASE_MAX_CONNECTIONS", "6")
            .env("COSELL_JWT_SECRET", SECRET)
            .env("COSELL_JWT_ISSUER", ISSUER)
            .env("COSELL_JWT_AUDIENCE", AUDIENCE)
            .env("COSELL_BUS", "postgres")
            .env("COSELL_LOG", "warn");
        Self { world, cli }
    }

    /// A server process, at this address.
    fn serve(&self, listen: &str) -> (Running, SocketAddr) {
        let mut running = self.cli.start_with(["serve"], [("COSELL_LISTEN", listen)]);
        let line = block_in_place(|| running.line_with("cosell listens on", SOON));
        let address = line.split("://").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
        (running, address.parse().expect("an address and a port"))
    }

    /// All that is in a person's feed, the oldest first, by id.
    async fn log(&self, at: SocketAddr, person: &Person) -> Vec<String> {
        let client = Client::new(at, Some(&person.token));
        let (mut ids, mut after) = (Vec::new(), Value::Null);
        loop {
            let query =
                "query($after: String) { activity(last: 100, before: $after) { edges { cursor node { id } } } }";
            let page = client.query(query, json!({ "after": after })).await.ok();
            let edges = page.list_at("/activity/edges");
            let Some(newest) = edges.first() else { return ids };
            after = newest["cursor"].clone();
            ids.extend(edges.iter().rev().map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()));
        }
    }
}

/// The example, built.
struct Example(Arc<Project>);

impl Example {
    async fn build() -> Self {
        let build = || {
            let project = Project::of("examples/live-feed");
            project.run("", "npm", &["run", "build"]).ok();
            project
        };
        Self(Arc::new(spawn_blocking(build).await.expect("it is built")))
    }

    /// Starts it, with its token and its cursor in files.
    fn start(&self, url: &str) -> Running {
        let files = ["--token-file", "token", "--cursor-file", "cursor", "--ids"];
        self.0.start("", "node", &[&["dist/main.js", "--url", url], &files[..]].concat())
    }

    /// Puts another token in the place of the old one, at once.
    fn token(&self, token: &str) {
        self.0.write("token.new", token);
        std::fs::rename(self.0.path().join("token.new"), self.0.path().join("token")).expect("it is replaced");
    }
}

/// The ids that the lines begin with.
fn ids(lines: &str) -> Vec<String> {
    lines.lines().map(|line| line.split("  ").next().expect("an id").to_owned()).collect()
}

async fn comment(at: SocketAddr, person: &Person, lead: &str, body: &str) {
    let input = json!({ "leadId": lead, "body": body });
    Client::new(at, Some(&person.token)).mutate("addComment", input, "comment { id }").await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_prints_every_event_once_over_cuts_restarts_expiry_and_its_own_end() {
    let place = Place::new().await;
    let example = Example::build().await;
    let partnership = place.world.partnership("acme", "globex").await;
    let (nora, clara) = (place.world.as_("acme", "SALES"), place.world.as_("globex", "SALES"));
    let (mut server, mut address) = place.serve("127.0.0.1:0");
    let (_other, elsewhere) = place.serve("127.0.0.1:0");
    let mut proxy = Proxy::shut(&format!("http://{address}"));
    proxy.open();
    let before = place.log(address, &nora).await.len();
    assert!(before > 0);

    example.token(&nora.token);
    let mut app = example.start(&proxy.url);
    let waits = |app: &mut Running, text: &str| block_in_place(|| app.line_with(text, SOON));
    waits(&mut app, "following");

    // What happens is told in words.
    let input = json!({ "title": "Forty seats", "customer": { "company": "Initrode" }, "partnershipId": partnership });
    let nora_here = Client::new(address, Some(&nora.token));
    let created = nora_here.mutate("createLead", input, "lead { id number }").await.ok();
    let (lead, number) = (created.text_at("/createLead/lead/id"), created.text_at("/createLead/lead/number"));
    assert!(waits(&mut app, "shared with Globex: “Forty seats”").contains(number));
    let clara_here = Client::new(address, Some(&clara.token));
    clara_here.mutate("acceptLead", json!({ "leadId": lead }), "lead { id }").await.ok();
    assert!(waits(&mut app, "stage: Pending → Accepted").contains(number));
    comment(address, &clara, lead, "Two\nlines,\n\twith tabs").await;
    waits(&mut app, "comment: “Two lines, with tabs”");
    let input = json!({ "leadId": lead, "title": "Call them", "assignTo": "SOURCE" });
    clara_here.mutate("createTask", input, "task { id }").await.ok();
    waits(&mut app, "task created: “Call them” (for Acme)");

    // The connection is cut, without a word.
    proxy.close().await;
    for n in 0..5 {
        comment(address, &clara, lead, &format!("while it was cut: {n}")).await;
    }
    proxy.open();
    waits(&mut app, "while it was cut: 4");

    // The server ends as it should, and says so; others go on meanwhile.
    waits_for_end(server, "TERM");
    for n in 0..3 {
        comment(elsewhere, &clara, lead, &format!("while it was away: {n}")).await;
    }
    (server, address) = place.serve("127.0.0.1:0");
    proxy.lead_to(address);
    waits(&mut app, "closed with 1001");
    waits(&mut app, "while it was away: 2");

    // The server dies. The next token is one that soon ends.
    let mut short = claims("acme-sales", "acme", &["SALES"], Utc::now());
    short["exp"] = json!((Utc::now() + TimeDelta::seconds(4)).timestamp());
    example.token(&hs256(SECRET.as_bytes(), &short));
    waits_for_end(server, "KILL");
    comment(elsewhere, &clara, lead, "while it was dead").await;
    (server, address) = place.serve("127.0.0.1:0");
    proxy.lead_to(address);
    waits(&mut app, "waiting for another token");
    comment(elsewhere, &clara, lead, "while it was shut out").await;
    example.token(&nora.token);
    waits(&mut app, "while it was shut out");

    // It is away for longer than the server replays.
    proxy.close().await;
    for n in 0..120 {
        comment(elsewhere, &clara, lead, &format!("while it was away for long: {n}")).await;
    }
    let mut database = PgConnection::connect(&place.world.database.url).await.expect("it takes connections");
    database.execute("UPDATE event SET at = at - interval '100 days'").await.expect("they are older now");
    proxy.open();
    waits(&mut app, "lies more than 90 days back");
    waits(&mut app, "while it was away for long: 119");

    // It is ended, and started again.
    app.signal("TERM");
    let first = block_in_place(|| app.output());
    first.ok();
    comment(elsewhere, &clara, lead, "while it was off").await;
    let mut app = example.start(&proxy.url);
    waits(&mut app, "while it was off");
    comment(address, &clara, lead, "the last one").await;
    waits(&mut app, "the last one");
    app.signal("INT");
    let second = block_in_place(|| app.output());
    second.ok();

    let log = place.log(elsewhere, &nora).await.split_off(before);
    let printed = [ids(&first.stdout), ids(&second.stdout)].concat();
    assert!(log.len() > 130, "only {} events", log.len());
    assert_eq!(printed, log, "{first}\n{second}");
    drop(server);
}

/// Ends a server, and waits until it is gone.
fn waits_for_end(server: Running, signal: &str) {
    server.signal(signal);
    block_in_place(|| server.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_waits_for_the_first_event_of_all_and_says_what_is_final() {
    let place = Place::new().await;
    let example = Example::build().await;
    let (_server, address) = place.serve("127.0.0.1:0");
    let url = format!("http://{address}");
    let umbrella = place.world.as_("umbrella", "SALES");
    assert_eq!(place.log(address, &umbrella).await, Vec::<String>::new());

    example.token(&umbrella.token);
    let mut app = example.start(&url);
    block_in_place(|| app.line_with("waiting for the first event", SOON));
    let input = json!({ "title": "Their own", "customer": { "company": "Initrode" } });
    Client::new(address, Some(&umbrella.token)).mutate("createLead", input, "lead { id }").await.ok();
    block_in_place(|| app.line_with("created: “Their own”", SOON));
    block_in_place(|| app.line_with("following", SOON));
    app.signal("TERM");
    let said = block_in_place(|| app.output());
    said.ok();
    assert_eq!(ids(&said.stdout), place.log(address, &umbrella).await);

    // The cursor is one of another company's log.
    example.token(&place.world.as_("acme", "SALES").token);
    let said = spawn_blocking({
        let example = Arc::clone(&example.0);
        let url = url.clone();
        move || {
            example.run(
                "",
                "node",
                &["dist/main.js", "--url", &url, "--token-file", "token", "--cursor-file", "cursor"],
            )
        }
    });
    let said = said.await.expect("it runs");
    assert!(said.failed(1).contains("interrupted: "), "{said}");
    // A token from the environment can't be replaced.
    let said = spawn_blocking(move || example.0.run("", "node", &["dist/main.js", "--url", &url]));
    assert!(said.await.expect("it runs").failed(2).contains("give a token"));
}
