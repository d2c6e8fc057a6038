//! What a page of leads, one lead and an acceptance cost, beside the same work written by hand.
//!
//! `cargo bench --bench pages`, or `scripts/bench`. docs/performance.md says what is measured and what it means.

#![allow(missing_docs, reason = "a program, not a library")]

#[allow(dead_code, reason = "the other programs need more of it")]
#[path = "../support/client.rs"]
mod client;
#[allow(dead_code, reason = "the other programs need more of it")]
#[path = "../support/figure.rs"]
mod figure;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../../tests/it/support/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "the other programs need more of it")]
#[path = "../support/process.rs"]
mod process;
mod seed;
#[allow(dead_code, reason = "the other programs need more of it")]
#[path = "../support/token.rs"]
mod token;
mod twin;

use std::collections::HashMap;
use std::env;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cosell::clock::SystemClock;
use cosell::domain::global_id::{NodeType, encode};
use cosell::{config, server};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Row as _};
use url::Url;
use uuid::Uuid;

use self::client::{Bytes, Client, graphql, plain, send_all};
use self::figure::{Bound, Figure, report};
use self::process::{Cpu, Server, count, named, settings, until_left_alone};
use self::seed::{COMMENTS_EACH, FEW_LEADS, LARGE, LEADS, PARTNERS, SMALL, TASKS_EACH};
use self::twin::Statements;

const PAGE: &str = "query($first: Int!) { leads(first: $first) { edges { node { \
    id number title stage { key name kind } side expiresAt customer { company } estimatedValue { amount currency } \
    partnership { counterpart { name } } \
    comments(last: 3) { edges { node { id body createdAt author { name } } } } \
    openTaskCount availableActions { key name toStage { key } fields { key required } } version createdAt \
    } } } }";
const LEAD: &str = "query($id: ID!) { lead(id: $id) { \
    id number title stage { key name kind } side expiresAt customer { company } estimatedValue { amount currency } \
    comments(first: 50) { edges { node { id body createdAt visibility author { id name } } } } \
    tasks(first: 50) { edges { node { id title state dueAt createdAt version } } } version createdAt } }";
const ACCEPT: &str = "mutation($input: AcceptLeadInput!) { acceptLead(input: $input) { lead { \
    id number stage { key name kind } acceptedAt expiresAt version } } }";

/// How many connections to the database each server has.
const POOL: u32 = 8;
/// How many requests are under way at a time where CPU is measured.
const CLIENTS: usize = 4;
/// The two servers take turns, so that what else the machine does falls on both.
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["twin", url, statements] => {
            runtime.block_on(twin::serve(url, statements));
            ExitCode::SUCCESS
        }
        _ => runtime.block_on(measure()),
    }
}

async fn measure() -> ExitCode {
    let mut figures = Vec::new();
    on_postgres(&mut figures).await;
    on_sqlite(&mut figures).await;
    report(&figures)
}

async fn on_postgres(figures: &mut Vec<Figure>) {
    let start = Instant::now();
    let url = postgres::fresh_schema().await;
    let members = seed::people(&url).await;
    let database = PgPoolOptions::new().max_connections(1).connect(&url).await.expect("a connection");
    {
        let mut connection = database.acquire().await.expect("a connection");
        seed::leads(&mut connection, &members[0], LEADS).await;
        seed::leads(&mut connection, &members[1], FEW_LEADS).await;
        sqlx::raw_sql("VACUUM ANALYZE").execute(&mut *connection).await.expect("statistics");
    }
    println!("Seeded in {:.0} s.", start.elapsed().as_secs_f64());
    let mut pending = pending_leads(&database, members[2].company.0).await;
    figures.push(statements_of_a_page(&url, &database).await);

    let statements = capture(&url, &mut pending).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("statements.json");
    fs::write(&file, serde_json::to_string(&statements).expect("texts")).expect("a file");
    let cosell = Server::cosell(&url);
    let twin = Server::of_this_program("twin", &[named(&url, "twin").as_ref(), file.as_ref()]);
    let both = Both { database, cosell, twin };

    let vendor = token::of(LARGE);
    let page = graphql(&vendor, PAGE, &json!({ "first": 50 }));
    let twins_page = plain("GET", &vendor, "/leads?first=50");
    both.agree(&page, &twins_page).await;
    let many = vec![(page.clone(), twins_page); 200];
    figures.push(both.compare("a page of 50 leads, CPU against the twin", 2.5, many).await);

    let ids = lead_ids(&both.database, members[0].company.0).await;
    let one_lead = |id: &Uuid| {
        let id = encode(NodeType::Lead, *id);
        (graphql(&vendor, LEAD, &json!({ "id": id })), plain("GET", &vendor, &format!("/leads/{id}")))
    };
    let many: Vec<_> = ids.iter().map(one_lead).collect();
    both.agree(&many[0].0, &many[0].1).await;
    figures.push(both.compare("one lead with its thread and tasks, CPU against the twin", 3.0, many).await);

    let partner = token::of(PARTNERS[0]);
    let many = (0..300).map(|_| {
        let accept = |id: Uuid| {
            let id = encode(NodeType::Lead, id);
            (graphql(&partner, ACCEPT, &json!({ "input": { "leadId": id } })), format!("/leads/{id}/accept"))
        };
        let (ours, _) = accept(pending.pop().expect("enough leads"));
        let (_, path) = accept(pending.pop().expect("enough leads"));
        (ours, plain("POST", &partner, &path))
    });
    let many: Vec<_> = many.collect();
    figures.push(both.accepted(many, &mut pending, &partner).await);

    figures.push(both.among_many(&page, &graphql(&token::of(SMALL), PAGE, &json!({ "first": 50 }))).await);
    println!(
        "Resident after all of it, on PostgreSQL: cosell {:.1} MB, twin {:.1} MB.",
        both.cosell.resident(),
        both.twin.resident()
    );
}

/// The newest leads that wait for the partner's answer, the newest last.
async fn pending_leads(database: &PgPool, company: Uuid) -> Vec<Uuid> {
    let sql = "SELECT lead_id FROM lead_view WHERE company_id = $1 AND stage_key = 'pending' ORDER BY created_at";
    sqlx::query_scalar(sql).bind(company).fetch_all(database).await.expect("leads")
}

/// A thousand leads from all over the list.
async fn lead_ids(database: &PgPool, company: Uuid) -> Vec<Uuid> {
    let sql = "SELECT lead_id FROM lead_view WHERE company_id = $1 AND NOT archived ORDER BY md5(number) LIMIT 1000";
    sqlx::query_scalar(sql).bind(company).fetch_all(database).await.expect("leads")
}

/// Counts the statements of pages of several sizes, on a server in this process, and looks at what they hold.
async fn statements_of_a_page(url: &str, database: &PgPool) -> Figure {
    let variables = settings(url).map(|(name, value)| (name.to_owned(), value));
    let config = config::load(None, variables).expect("sound settings");
    let running = Box::pin(server::start(config, Arc::new(SystemClock))).await.expect("the server starts");
    let mut client = Client::connect(running.addr).await.expect("a connection");
    let vendor = token::of(LARGE);
    let mut counts = Vec::new();
    for size in [100, 10, 50, 100] {
        let request = graphql(&vendor, PAGE, &json!({ "first": size }));
        let mut fewest = u64::MAX;
        // The least of three: a job may have sent one of its own meanwhile.
        for _ in 0..3 {
            let before = running.service().db().statements();
            let data = client.data(&request).await.expect("a page");
            fewest = fewest.min(running.service().db().statements() - before);
            looks_right(&data, size, database).await;
        }
        counts.push(fewest);
    }
    running.shutdown().await;
    // The first request also found the member and the companies, which are kept from then on.
    let counts = &counts[1..];
    println!("Statements of a page of 10, 50, 100 leads: {counts:?}.");
    assert!(counts.iter().all(|count| *count == counts[0]), "the number of statements depends on the page's size");
    Figure {
        name: "SQL statements of a page, whatever its size".to_owned(),
        bound: Bound::AtMost(6.0),
        measured: count(counts[0]),
        unit: "",
        of: format!("10, 50, 100 leads: {counts:?}"),
    }
}

async fn looks_right(data: &Value, size: usize, database: &PgPool) {
    let edges = data["leads"]["edges"].as_array().expect("edges");
    assert_eq!(edges.len(), size);
    let sql = "SELECT v.number, c.name, (SELECT count(*) FROM task t WHERE t.lead_id = v.lead_id AND t.state = 'OPEN'), \
        (SELECT array_agg(k.body ORDER BY k.created_at) FROM comment k WHERE k.lead_id = v.lead_id), v.stage_key \
        FROM lead_view v JOIN company c ON c.id = v.receiver_id JOIN company own ON own.id = v.company_id \
        WHERE own.slug = $1 AND NOT v.archived ORDER BY v.created_at DESC LIMIT 3";
    let rows = sqlx::query(sql).bind(LARGE).fetch_all(database).await.expect("the same by hand");
    for (edge, row) in edges.iter().zip(rows) {
        let node = &edge["node"];
        assert_eq!(node["number"], row.get::<&str, _>(0));
        assert_eq!(node["partnership"]["counterpart"]["name"], row.get::<&str, _>(1));
        assert_eq!(node["openTaskCount"], row.get::<i64, _>(2));
        let said: Vec<String> = row.get(3);
        assert_eq!(said.len(), COMMENTS_EACH as usize);
        let shown: Vec<_> = node["comments"]["edges"].as_array().expect("edges").iter().collect();
        let shown: Vec<_> = shown.iter().filter_map(|edge| edge["node"]["body"].as_str()).collect();
        assert_eq!(shown, said[2..]);
        let actions = if row.get::<&str, _>(4) == "pending" { 2 } else { 0 };
        assert_eq!(node["availableActions"].as_array().map(Vec::len), Some(actions));
        assert!(node["openTaskCount"].as_u64() <= Some(TASKS_EACH.into()));
    }
}

/// Runs each operation on a server whose statements PostgreSQL logs, and reads them from its log.
async fn capture(url: &str, pending: &mut Vec<Uuid>) -> Statements {
    let log = Url::parse(url)
        .expect("a URL")
        .query_pairs()
        .find_map(|(name, value)| (name == "host").then(|| format!("{value}/log")));
    let log = log.expect("the folder of the cluster; without COSELL_TEST_POSTGRES_URL it is known");
    let server = Server::cosell(&url.replace("options=-c", "options=-clog_statement%3Dall+-c"));
    let mut client = Client::connect(server.address).await.expect("a connection");
    let vendor = token::of(LARGE);
    let partner = token::of(PARTNERS[0]);
    let id = encode(NodeType::Lead, *pending.first().expect("a lead"));
    let page = graphql(&vendor, PAGE, &json!({ "first": 50 }));
    let lead = graphql(&vendor, LEAD, &json!({ "id": id }));
    let mut accept = || {
        let id = encode(NodeType::Lead, pending.pop().expect("enough leads"));
        graphql(&partner, ACCEPT, &json!({ "input": { "leadId": id } }))
    };
    let mut captured = HashMap::new();
    for what in ["page", "lead", "accept"] {
        let mut last = None;
        // What is kept in memory is found in the first round; a job may send one of its own in another.
        let statements = loop {
            let request = match what {
                "page" => page.clone(),
                "lead" => lead.clone(),
                _ => accept(),
            };
            let before = fs::metadata(&log).expect("the log").len();
            client.data(&request).await.expect("an answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
            let text = fs::read(&log).expect("the log");
            let text = String::from_utf8_lossy(&text[usize::try_from(before).expect("a short log")..]).into_owned();
            let sent: Vec<String> = text.lines().filter_map(statement).collect();
            if last.as_ref() == Some(&sent) {
                break sent;
            }
            last = Some(sent);
        };
        captured.insert(what, statements);
    }
    let mut take = |what| captured.remove(what).unwrap_or_default();
    Statements { page: take("page"), lead: take("lead"), accept: take("accept") }
}

/// The statement of a line of the log, where it is one that was prepared; `BEGIN` and `COMMIT` are not.
fn statement(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("LOG:  execute sqlx_s_")?;
    Some(rest.split_once(": ")?.1.trim_end().to_owned())
}

/// The two servers on one database.
struct Both {
    database: PgPool,
    cosell: Server,
    twin: Server,
}

impl Both {
    /// That both give the same answer.
    async fn agree(&self, ours: &[u8], twins: &[u8]) {
        let mut client = Client::connect(self.cosell.address).await.expect("a connection");
        let data = client.data(ours).await.expect("an answer");
        let mut client = Client::connect(self.twin.address).await.expect("a connection");
        let other = client.data(twins).await.expect("an answer of the twin");
        assert_eq!(data, other, "the twin gives another answer");
    }

    /// CPU of pairs of requests, each sent once in every round.
    async fn compare(&self, name: &str, bound: f64, pairs: Vec<(Bytes, Bytes)>) -> Figure {
        let (ours, twins): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        // The pools fill, statements are prepared, and PostgreSQL settles on a plan at a statement's sixth execution.
        send_all(self.cosell.address, CLIENTS, ours.clone()).await;
        send_all(self.twin.address, CLIENTS, twins.clone()).await;
        let (mut own, mut other) = (Cpu::default(), Cpu::default());
        for _ in 0..ROUNDS {
            self.spend(&self.cosell, CLIENTS, ours.clone(), &mut own).await;
            self.spend(&self.twin, CLIENTS, twins.clone(), &mut other).await;
        }
        figure(name, bound, own.over(ROUNDS), other.over(ROUNDS))
    }

    async fn spend(&self, server: &Server, clients: usize, requests: Vec<Bytes>, cpu: &mut Cpu) {
        let before = server.spent(&self.database).await;
        let number = requests.len();
        send_all(server.address, clients, requests).await;
        cpu.add(&before, &server.spent(&self.database).await, number);
    }

    /// CPU of acceptances, one at a time: they would wait for each other at the companies' logs.
    async fn accepted(&self, warm_up: Vec<(Bytes, Bytes)>, pending: &mut Vec<Uuid>, partner: &str) -> Figure {
        let (ours, twins): (Vec<_>, Vec<_>) = warm_up.into_iter().unzip();
        send_all(self.cosell.address, 1, ours).await;
        send_all(self.twin.address, 1, twins).await;
        let (mut own, mut other) = (Cpu::default(), Cpu::default());
        for _ in 0..ROUNDS {
            let mut next =
                || (0..300).map(|_| encode(NodeType::Lead, pending.pop().expect("enough leads"))).collect::<Vec<_>>();
            let ours = next().into_iter().map(|id| graphql(partner, ACCEPT, &json!({ "input": { "leadId": id } })));
            self.spend(&self.cosell, 1, ours.collect(), &mut own).await;
            let twins = next().into_iter().map(|id| plain("POST", partner, &format!("/leads/{id}/accept")));
            self.spend(&self.twin, 1, twins.collect(), &mut other).await;
        }
        figure("accepting a lead, CPU against the twin", 2.5, own.over(ROUNDS), other.over(ROUNDS))
    }

    /// How long the same page takes in a long list and in a short one.
    async fn among_many(&self, long: &Bytes, short: &Bytes) -> Figure {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..40 {
            for (request, times) in [long, short].into_iter().zip(&mut times) {
                times.extend(send_all(self.cosell.address, 1, vec![request.clone(); 10]).await);
            }
        }
        let [long, short] = times.map(median);
        Figure {
            name: format!("the page among {LEADS} leads against among {FEW_LEADS}, p50"),
            bound: Bound::AtMost(1.5),
            measured: long / short,
            unit: "",
            of: format!("{:.2} ms, {:.2} ms", long * 1e3, short * 1e3),
        }
    }
}

fn figure(name: &str, bound: f64, own: Cpu, other: Cpu) -> Figure {
    let part = |cpu: Cpu| format!("{:.0} + {:.0}", cpu.server, cpu.database);
    let of = format!("server + database, us: {}, twin {}", part(own), part(other));
    println!("{name}: {of}");
    Figure { name: name.to_owned(), bound: Bound::AtMost(bound), measured: own.total() / other.total(), unit: "", of }
}

/// The middle one, in seconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// The start on an existing file, and the memory after a thousand requests.
async fn on_sqlite(figures: &mut Vec<Figure>) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}/cosell.db", folder.path().display());
    let members = seed::people(&url).await;
    seed::few_leads(&url, &members[0], &members[2]).await;
    let page = graphql(&token::of(LARGE), PAGE, &json!({ "first": 50 }));
    let mut starts = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let server = Server::cosell(&url);
        let mut client = Client::connect(server.address).await.expect("a connection");
        client.data(&page).await.expect("a page");
        starts.push(start.elapsed());
        send_all(server.address, CLIENTS, vec![page.clone(); 1000]).await;
        resident.push(server.resident());
    }
    let start = median(starts) * 1e3;
    figures.push(Figure {
        name: "from start to first answer, SQLite".to_owned(),
        bound: Bound::AtMost(300.0),
        measured: start,
        unit: " ms",
        of: "the middle of 5 starts; the answer is a page of 50 leads".to_owned(),
    });
    figures.push(Figure {
        name: "resident after 1,000 pages, SQLite".to_owned(),
        bound: Bound::AtMost(40.0),
        measured: resident.into_iter().fold(0.0, f64::max),
        unit: " MB",
        of: "the largest of 5".to_owned(),
    });
}
