//! `cosell serve`, `cosell demo` and `cosell schema`.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use crate::support::cli::{Cli, Output, Running};
use crate::support::http::Client;

const SOON: Duration = Duration::from_secs(30);

fn address(line: &str) -> SocketAddr {
    let rest = line.split("://").nth(1).expect("an address");
    rest.split([' ', '/']).next().expect("an address").parse().expect("address and port")
}

async fn output(running: Running) -> Output {
    tokio::task::spawn_blocking(|| running.output()).await.expect("it ends")
}

#[tokio::test]
async fn serve_says_where_it_listens_and_ends_cleanly() {
    for signal in ["INT", "TERM"] {
        let cli = Cli::new()
            .env("COSELL_LISTEN", "127.0.0.1:0")
            .env("COSELL_JWT_SECRET", "a secret of the tests, long enough for HS256");
        let mut running = cli.start(["serve"]);
        let line = running.line_with("cosell listens on", SOON);
        assert!(line.ends_with("(database sqlite://cosell.db)"), "{line}");
        let answer = Client::new(address(&line), None).query("{ viewer { id } }", json!({})).await;
        assert_eq!(answer.code(), "UNAUTHENTICATED");
        running.signal(signal);
        assert_eq!(output(running).await.ok(), line);
    }
}

#[test]
fn serve_without_a_key_is_a_wrong_configuration() {
    let output = Cli::new().run(["serve"]);
    assert!(output.failed(2).contains("COSELL_JWT_SECRET, COSELL_JWT_PUBLIC_KEY or COSELL_JWKS_URL"), "{output}");
}

#[tokio::test]
async fn the_demo_prints_tokens_that_work_and_keeps_its_data() {
    let cli = Cli::new().env("COSELL_LISTEN", "127.0.0.1:0");
    let tokens = async |running: &mut Running| {
        let line = running.line_with("playground", SOON);
        let mut seen = vec![];
        for name in ["NORA", "AXEL", "CLARA", "BEN", "FINN"] {
            let token = running.line_with(&format!("{name}="), SOON).split_once('=').expect("a token").1.to_owned();
            let client = Client::new(address(&line), Some(&token));
            let leads = client.query("{ leads(first: 50) { edges { node { number } } } }", json!({})).await.ok();
            seen.push(leads.list_at("/leads/edges").len());
        }
        seen
    };
    let mut running = cli.start(["demo"]);
    let first = tokens(&mut running).await;
    assert!(first[0] >= 12 && first[1] == first[0], "the vendor: {first:?}");
    assert!(first[2] >= 5 && first[3] == first[2], "the partner: {first:?}");
    running.interrupt();
    output(running).await.ok();

    let mut running = cli.start(["demo"]);
    running.line_with("with the data of an earlier start", SOON);
    assert_eq!(tokens(&mut running).await, first);
    running.interrupt();
    output(running).await.ok();
    assert_eq!(cli.run(["company", "list"]).ok(), "", "the demo has a database of its own");
}

#[test]
fn the_demo_leaves_other_people_s_databases_alone() {
    let cli = Cli::new().env("COSELL_DATABASE_URL", "sqlite://mine.db");
    cli.run(["company", "add", "acme"]).ok();
    assert!(cli.run(["demo"]).failed(1).contains("holds other companies"));
    assert_eq!(cli.run(["company", "list"]).ok(), "acme  acme");
    cli.run(["company", "add", "contoso"]).ok();
    assert!(cli.run(["demo"]).failed(1).contains("An earlier start was interrupted"));
}

#[test]
fn the_schema_is_printed_written_and_checked() {
    let cli = Cli::new();
    let sdl = cli.run(["schema"]);
    assert!(sdl.ok().contains("type Query"));
    assert_eq!(cli.run(["schema", "--output", "schema.graphql"]).ok(), "");
    let file = cli.folder().join("schema.graphql");
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), sdl.stdout);
    assert_eq!(cli.run(["schema", "--check", "schema.graphql"]).ok(), "");
    cli.file("schema.graphql", "type Query { a: Int }\n");
    let output = cli.run(["schema", "--check", "schema.graphql"]);
    assert!(output.failed(1).contains("Renew it with `cargo run -- schema --output schema.graphql`."), "{output}");
    assert!(cli.run(["schema", "--check", "none.graphql"]).failed(1).contains("none.graphql can't be read"));
}
