//! A reader that was away for a hundred thousand events, and a server that does not grow by them.

use std::time::Duration;

use cosell::domain::global_id::{NodeType, encode};
use cosell::domain::id::CompanyId;
use sea_orm::{ConnectionTrait as _, Database as Connect};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::on_both_databases;
use crate::support::cli::Cli;
use crate::support::database::Kind;
use crate::support::http::Client;
use crate::support::keys::{AUDIENCE, ISSUER};
use crate::support::world::{SECRET, World};
use crate::support::ws::Socket;

/// How many events there are to catch up on.
const MISSED: usize = 100_000;
/// How many are written while it does.
const MEANWHILE: usize = 30;
/// How much a server may grow by it, in KiB: a tenth of what these events take as text.
const GROWTH: u64 = 16 * 1024;

/// Repeats the newest event of the company's log `MISSED` times.
fn repeat(kind: Kind, company: &str) -> Vec<String> {
    let (company, numbers, id) = match kind {
        Kind::Sqlite => (
            format!("x'{}'", company.replace('-', "")),
            format!(
                "(WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {MISSED}) SELECT n FROM n)"
            ),
            "randomblob(16)",
        ),
        Kind::Postgres => {
            (format!("'{company}'::uuid"), format!("(SELECT generate_series(1, {MISSED}) AS n)"), "gen_random_uuid()")
        }
    };
    let columns = "at, actor_id, lead_id, subject_id, kind, content, sequence, previous, salt, content_hash, hash";
    vec![
        format!(
            "INSERT INTO event (company_id, position, id, {columns}) \
             SELECT company_id, position + numbers.n, {id}, {columns} FROM event, {numbers} AS numbers \
             WHERE company_id = {company} \
             AND position = (SELECT position FROM company_feed WHERE company_id = {company})"
        ),
        format!("UPDATE company_feed SET position = position + {MISSED} WHERE company_id = {company}"),
    ]
}

/// A line of `/proc/PID/status`, in KiB.
fn memory(process: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let found = status.lines().find_map(|it| it.strip_prefix(line)).expect("a line of that name");
    found.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
}

on_both_databases! {
    async fn a_reader_catches_up_on_a_hundred_thousand_events_at_flat_memory(world: World) {
        let person = world.as_("globex", "SALES");
        // One without a limit: the process goes by the true time.
        let input = json!({ "title": "Forty seats", "customer": { "company": "Initrode" } });
        let lead = person.mutate("createLead", input, "lead { id }").await.ok().at("/createLead/lead/id").clone();
        let newest = person.query("{ activity(first: 1) { edges { cursor } } viewer { company { id } } }", json!({})).await.ok();
        let cursor = newest.text_at("/activity/edges/0/cursor").to_owned();
        let service = world.server().service();
        let company = service.company_by_slug("globex").await.expect("it is read").expect("a company").id;
        let start = service.log_heads(&[company]).await.expect("a head")[0].1;
        let database = Connect::connect(&world.database.url).await.expect("it takes connections");
        for statement in repeat(world.database.kind, &company.0.to_string()) {
            database.execute_unprepared(&statement).await.expect("the log is filled");
        }
        database.close().await.expect("it closes");

        let cli = Cli::new()
            .env("COSELL_DATABASE_URL", &world.database.url)
            .env("COSELL_LISTEN", "127.0.0.1:0")
            .env("COSELL_JWT_SECRET", SECRET)
            .env("COSELL_JWT_ISSUER", ISSUER)
            .env("COSELL_JWT_AUDIENCE", AUDIENCE)
            .env("COSELL_FEED_RETENTION", "36500d")
            .env("COSELL_LOG", "warn");
        let mut process = cli.start(["serve"]);
        let line = block_in_place(|| process.line_with("cosell listens on", Duration::from_secs(30)));
        let address = line.split("://").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
        let address = address.parse().expect("an address and a port");
        let writer = Client::new(address, Some(&person.token));
        let comment = async || {
            writer.mutate("addComment", json!({ "leadId": lead, "body": "meanwhile" }), "comment { id }").await.ok();
        };
        let mut socket = Socket::connect(address, &person.token).await;
        // Whatever is made once is there before it is measured.
        let document = "subscription($after: String) { activity(after: $after) { id } }";
        let mut first = socket.subscribe(document, json!({})).await;
        comment().await;
        first.next().await;
        first.complete();
        let before = memory(process.id(), "VmRSS");
        let mut reader = socket.subscribe(document, json!({ "after": cursor })).await;
        let total = MISSED + 1 + MEANWHILE;
        let mut got = Vec::with_capacity(total);
        let mut most = before;
        while got.len() < total {
            let event: Value = reader.next().await;
            got.push(event["activity"]["id"].as_str().expect("an id").to_owned());
            if got.len() % 2_000 == 0 {
                most = most.max(memory(process.id(), "VmRSS"));
                if got.len() / 2_000 <= MEANWHILE {
                    comment().await;
                }
            }
        }
        let log = log(&world, company, start).await;
        let place = got.iter().zip(&log).position(|(got, logged)| got != logged);
        assert_eq!((place, got.len()), (None, log.len()), "where it differs from the log first");
        let growth = most - before;
        assert!(growth < GROWTH, "it grew by {growth} KiB, from {before} KiB");
    }
}

/// The log above a position, by the ids of the API.
async fn log(world: &World, company: CompanyId, mut position: i64) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let events = world.server().service().log_after(company, None, position, i64::MAX, 5_000).await.expect("a log");
        let Some(last) = events.last() else { return ids };
        position = last.position;
        ids.extend(events.iter().map(|event| encode(NodeType::Activity, event.id.0)));
    }
}
