//! `cosell backup`: a copy made under fire holds all that had happened, whole, and nothing that had not.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::support::cli::{Cli, Running};
use crate::support::http::Client;
use crate::support::world::SECRET;

const SOON: Duration = Duration::from_mins(1);
const WRITERS: usize = 4;

fn serve(cli: &Cli) -> (Running, SocketAddr) {
    let mut running = cli.start(["serve"]);
    let line = running.line_with("cosell listens on", SOON);
    let address = line.split("://").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
    (running, address.parse().expect("an address and a port"))
}

fn on(url: &str) -> Cli {
    Cli::new()
        .env("COSELL_DATABASE_URL", url)
        .env("COSELL_LISTEN", "127.0.0.1:0")
        .env("COSELL_JWT_SECRET", SECRET)
        .env("COSELL_LOG", "warn")
}

/// The whole log of a company, the oldest first: the id and hash of each event.
async fn log(person: &Client) -> Vec<(String, String)> {
    const PAGE: &str = "query($after: String) { activity(first: 100, after: $after) \
                        { edges { node { id hash } } pageInfo { hasNextPage endCursor } } }";
    let (mut log, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = person.query(PAGE, json!({ "after": after })).await.ok();
        let text = |node: &Value, name: &str| node[name].as_str().expect("a text").to_owned();
        let nodes = page.list_at("/activity/edges").iter().map(|edge| &edge["node"]);
        log.extend(nodes.map(|node| (text(node, "id"), text(node, "hash"))));
        if page.at("/activity/pageInfo/hasNextPage") == false {
            log.reverse();
            return log;
        }
        after = page.at("/activity/pageInfo/endCursor").clone();
    }
}

fn files_of(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|it| it.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_while_others_write_is_served_as_a_whole_beginning_of_the_history() {
    let cli = on("sqlite://cosell.db");
    cli.run(["company", "add", "acme"]).ok();
    let token = cli.run(["token", "--company", "acme", "--member", "ann", "--role", "SALES,ADMIN"]).ok().to_owned();
    let (server, address) = block_in_place(|| serve(&cli));
    let ann = Client::new(address, Some(&token));

    // Each writer makes leads and comments on them; what was answered is counted.
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers = (0..WRITERS).map(|writer| {
        let (ann, over, answered) = (ann.clone(), Arc::clone(&over), Arc::clone(&answered));
        tokio::spawn(async move {
            let mut made = 0;
            while !over.load(Ordering::Acquire) {
                let input =
                    json!({ "title": format!("Lead {made} of {writer}"), "customer": { "company": "Initrode" } });
                let lead = ann.mutate("createLead", input, "lead { id }").await.ok();
                answered.fetch_add(1, Ordering::AcqRel);
                let input = json!({ "leadId": lead.text_at("/createLead/lead/id"), "body": "x".repeat(2000) });
                ann.mutate("addComment", input, "comment { id }").await.ok();
                answered.fetch_add(1, Ordering::AcqRel);
                made += 1;
            }
        })
    });
    let writers: Vec<_> = writers.collect();

    let mut known = Vec::new();
    for name in ["one.db", "two.db", "three.db"] {
        let enough = async {
            while answered.load(Ordering::Acquire) < (known.len() + 1) * 40 {
                assert!(writers.iter().all(|writer| !writer.is_finished()), "a writer has failed");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, enough).await.expect("writes are answered");
        let before = answered.load(Ordering::Acquire);
        let output = block_in_place(|| cli.run(["backup", name]));
        let line = output.ok();
        assert!(
            line.starts_with(&format!("sqlite://cosell.db is in {name}: ")) && line.ends_with("; checked."),
            "{line}"
        );
        let events: usize =
            line.split(", ").find_map(|it| it.strip_suffix(" events")).expect("a count").parse().unwrap();
        known.push((name, before, events));
    }
    assert!(answered.load(Ordering::Acquire) > known[2].1, "the writers did not write on");
    over.store(true, Ordering::Release);
    for writer in join_all(writers).await {
        writer.expect("every write was answered well while copies were made");
    }
    let whole = log(&ann).await;
    server.signal("TERM");
    block_in_place(|| server.output()).ok();
    cli.run(["audit", "verify", "--database"]).ok();

    for (name, before, events) in known {
        let file = cli.folder().join(name);
        assert_eq!(std::fs::metadata(&file).expect("the backup").permissions().mode() & 0o777, 0o600);
        let copy = on(&format!("sqlite://{}", file.display()));
        assert!(copy.run(["audit", "verify", "--database"]).ok().ends_with(": sound."));
        let (server, address) = block_in_place(|| serve(&copy));
        let restored = Client::new(address, Some(&token));
        let copied = log(&restored).await;
        assert!(copied.len() == events && events >= before && events < whole.len(), "{name}: {before}, {events}");
        assert!(whole.starts_with(&copied), "{name} is no beginning of the history");
        // It goes on from there as a database of its own.
        let input = json!({ "title": "After the restore", "customer": { "company": "Initrode" } });
        restored.mutate("createLead", input, "lead { id }").await.ok();
        server.signal("TERM");
        block_in_place(|| server.output()).ok();
        copy.run(["audit", "verify", "--database"]).ok();
    }
    let made: Vec<_> = files_of(cli.folder()).into_iter().filter(|name| name.contains("partial")).collect();
    assert!(made.is_empty(), "{made:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_from_after_the_backup_is_refused_and_told_where_to_begin() {
    let cli = on("sqlite://cosell.db");
    cli.run(["company", "add", "acme"]).ok();
    let token = cli.run(["token", "--company", "acme", "--member", "ann", "--role", "SALES,ADMIN"]).ok().to_owned();
    let lead = async |address: SocketAddr, title: &str| {
        let ann = Client::new(address, Some(&token));
        let input = json!({ "title": title, "customer": { "company": title } });
        ann.mutate("createLead", input, "lead { id }").await.ok();
        let newest = ann.query("{ activity(first: 1) { edges { cursor } } }", json!({})).await.ok();
        newest.text_at("/activity/edges/0/cursor").to_owned()
    };
    let (server, address) = block_in_place(|| serve(&cli));
    let kept = lead(address, "kept").await;
    block_in_place(|| cli.run(["backup", "copy.db"])).ok();
    let lost = lead(address, "lost").await;
    server.signal("TERM");
    block_in_place(|| server.output()).ok();

    let copy = on(&format!("sqlite://{}", cli.folder().join("copy.db").display()));
    let (_server, address) = block_in_place(|| serve(&copy));
    let mut socket = crate::support::ws::Socket::connect(address, &token).await;
    let feed = "subscription($after: String) { activity(after: $after) { cursor } }";
    let mut refused = socket.subscribe(feed, json!({ "after": lost })).await;
    let refused = refused.refusal().await;
    assert_eq!((refused.code(), refused.field()), ("CURSOR_EXPIRED", "after"), "{refused:?}");
    assert_eq!(refused.extension("startAfter"), kept.as_str());
    let mut resumed = socket.subscribe(feed, json!({ "after": kept })).await;
    let new = lead(address, "new").await;
    assert_eq!(resumed.next().await["activity"]["cursor"], new.as_str());
}

#[test]
fn a_backup_takes_nobody_s_place() {
    let cli = Cli::new();
    assert!(cli.run(["backup", "copy.db"]).failed(1).contains("sqlite://cosell.db is not there"));
    assert!(files_of(cli.folder()).is_empty());
    cli.run(["company", "add", "acme"]).ok();

    assert!(cli.run(["backup", "copy.db"]).ok().ends_with("; checked."));
    let first = std::fs::read(cli.folder().join("copy.db")).expect("a copy");
    let refused = cli.run(["backup", "copy.db"]);
    assert!(refused.failed(1).contains("copy.db is there already"), "{refused}");
    cli.run(["company", "add", "globex"]).ok();
    assert_eq!(std::fs::read(cli.folder().join("copy.db")).expect("a copy"), first);
    assert!(cli.run(["backup", "--force", "copy.db"]).ok().contains("2 companies"));

    for (arguments, code, why) in [
        (["backup", "--force", "cosell.db"], 2, "is the database itself"),
        (["backup", "--force", "."], 2, "is a folder"),
        (["backup", "--force", "no/such/copy.db"], 1, "can't be written"),
        (["backup", "--force", "other.db"], 1, "other.db-wal is there"),
    ] {
        cli.file("other.db-wal", "left behind");
        let output = cli.run(arguments);
        assert!(output.failed(code).contains(why), "{output}");
    }
    // A damaged database makes no backup.
    let file = cli.folder().join("cosell.db");
    let mut bytes = std::fs::read(&file).expect("a database");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xff);
    std::fs::write(&file, bytes).expect("a file");
    let output = cli.run(["backup", "damaged.db"]);
    assert_eq!(output.code, Some(1), "{output}");
    let files = files_of(cli.folder());
    assert!(!files.iter().any(|name| name.contains("damaged") || name.contains("partial")), "{files:?}");
}

#[test]
fn on_postgresql_it_says_what_to_use() {
    let cli = Cli::new().env("COSELL_DATABASE_URL", "postgres://cosell:hush@db/cosell");
    let output = cli.run(["backup", "copy.dump"]);
    assert!(output.failed(2).contains("pg_dump --format=custom --file=copy.dump"), "{output}");
    assert!(!output.stderr.contains("hush"));
}
