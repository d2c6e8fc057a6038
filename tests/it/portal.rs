//! The React project of docs/clients.md, with the files as the page has them: its types hold, it is built, and in a browser
//! it lists leads, changes them and hears of changes, without a word on the console.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::support::browser::{Browser, Window};
use crate::support::cli::{Cli, Running};
use crate::support::http::Client;
use crate::support::node::Project;

const SOON: Duration = Duration::from_mins(2);

/// A demo, with what its tokens' file says.
struct Demo {
    address: String,
    running: Running,
    cli: Cli,
}

impl Demo {
    fn start(cli: Cli) -> Self {
        let cli = cli.env("COSELL_LISTEN", "127.0.0.1:0");
        let mut running = cli.start(["demo"]);
        let line = running.line_with("GraphQL", SOON);
        let address =
            line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
        running.line_with("TESS=", SOON);
        Self { address, running, cli }
    }

    fn token(&self, variable: &str) -> String {
        let file = std::fs::read_to_string(self.cli.folder().join("cosell-demo.db.env")).expect("the tokens");
        let line = format!("export {variable}=");
        file.lines().find_map(|it| it.strip_prefix(&line)).expect("a token").to_owned()
    }

    fn client(&self, variable: &str) -> Client {
        Client::new(self.address.parse().expect("an address"), Some(&self.token(variable)))
    }
}

/// The page's blocks that name the file they are.
fn files() -> Vec<(String, String)> {
    let file = format!("{}/docs/clients.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(file).expect("the page");
    let block = Regex::new(r"(?s)```[a-z]+\n(// (\S+\.[a-z]+)\n.*?)```").expect("a pattern");
    let files: Vec<_> = block.captures_iter(&page).map(|it| (it[2].to_owned(), it[1].to_owned())).collect();
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["codegen.mjs", "vite.config.ts", "src/cosell.ts", "src/documents.ts", "src/urql.tsx", "src/apollo.tsx"]
    {
        assert!(names.contains(&name), "docs/clients.md has no {name}: {names:?}");
    }
    // What it tells to install is what is tried here.
    let manifest: Value = serde_json::from_str(include_str!("../portal/package.json")).expect("JSON");
    let wanted = Regex::new(r" (@?[a-z/-]+)@([0-9]+)\b").expect("a pattern");
    let mut installed = 0;
    for found in wanted.captures_iter(&page) {
        let version = |part: &str| manifest[part][&found[1]].as_str().map(str::to_owned);
        let version = version("dependencies").or_else(|| version("devDependencies"));
        let same = version.as_deref().is_some_and(|it| it.split('.').next() == Some(&found[2]));
        assert!(same, "docs/clients.md installs {}@{}, and tests/portal has {version:?}", &found[1], &found[2]);
        installed += 1;
    }
    assert!(installed >= 10, "{installed}");
    files
}

async fn run(project: &Arc<Project>, tool: &'static str, arguments: &'static [&'static str]) {
    let project = Arc::clone(project);
    let said = spawn_blocking(move || project.run("", tool, arguments)).await.expect("it runs");
    assert_eq!(said.code, Some(0), "{tool} {arguments:?}\n{said}");
}

/// Serves the project as it is developed, at a port that was free.
fn develop(project: &Project) -> (Running, String) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port().to_string();
    let mut running = project.start("", "vite", &["--port", &port, "--strictPort", "--force"]);
    running.line_with("Local:", SOON);
    (running, format!("http://localhost:{port}/"))
}

/// What of a lead is shown.
fn shown(title: &str) -> String {
    format!(
        "[...document.querySelectorAll('main > ul > li')].find((it) => it.querySelector('h2').textContent === {})",
        json!(title)
    )
}

async fn works(window: &Window, demo: &Demo) {
    const FREIGHT: &str = "Slots and handling for air freight";
    let text = |title: &str, part: &str| format!("{}.textContent.includes({})", shown(title), json!(part));
    let status = |part: &str| format!("document.querySelector('[role=status]').textContent.includes({})", json!(part));
    window.wait_for(text(FREIGHT, "Meridian Air Freight")).await;
    window.wait_for(text(FREIGHT, "Pending")).await;
    window.wait_for(text("Planning of a weaving mill", "Nora Lindqvist: She is at the fair in Cologne")).await;

    // The other side's step comes by the feed, once it is followed; and a lead that the list did not have.
    let nora = demo.client("NORA");
    let partnerships = "{ partnerships(first: 9) { edges { node { id counterpart { slug } } } } }";
    let answer = nora.query(partnerships, json!({})).await.ok();
    let contoso =
        answer.list_at("/partnerships/edges").iter().find(|it| it["node"]["counterpart"]["slug"] == "contoso");
    let contoso = contoso.expect("a partnership")["node"]["id"].clone();
    let mut share = 0;
    loop {
        share += 1;
        let title = format!("Crates by the thousand, {share}");
        let lead = json!({ "title": title, "customer": { "company": "Orchard Logistics" }, "partnershipId": contoso });
        nora.mutate("createLead", lead, "lead { id }").await.ok();
        let told = format!("new Promise((done) => setTimeout(() => done({}), 1000))", status("Crates by the thousand"));
        if window.run(&told).await == Value::Bool(true) {
            window.wait_for(text(&title, "Orchard Logistics")).await;
            break;
        }
        assert!(share < 60, "the feed is not followed");
    }

    // Its own steps.
    let id = window.run(&format!("{}.id", shown(FREIGHT))).await;
    let of = |selector: &str| format!("[id=\"{}\"] {selector}", id.as_str().expect("an id"));
    window.click(&of("> button")).await;
    window.wait_for(text(FREIGHT, "Accepted")).await;
    window
        .wait_for(format!(
            "!{}.textContent.includes('Accept') || !document.querySelector({})",
            shown(FREIGHT),
            json!(of("> button"))
        ))
        .await;
    window.wait_for(status("by Clara Mendes: Slots and handling for air freight")).await;
    for comment in ["First", "Second"] {
        window.click(&of("input")).await;
        window.write(comment).await;
        window.click(&of("form button")).await;
        window.wait_for(text(FREIGHT, &format!("Clara Mendes: {comment}"))).await;
    }
    assert_eq!(window.run("document.querySelector('[role=alert]')").await, Value::Null);

    // And what becomes of a lead at the other side's hands.
    let mill = window.run(&format!("{}.id", shown("Planning of a weaving mill"))).await;
    let withdrawn = json!({ "leadId": mill });
    nora.mutate("withdrawLead", withdrawn, "lead { id }").await.ok();
    let gone = text("Planning of a weaving mill", "Withdrawn");
    window.wait_for(gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_the_page_for_clients_make_a_page_that_works_with_urql_and_with_apollo() {
    let project = Arc::new(spawn_blocking(|| Project::of("tests/portal")).await.expect("it is installed"));
    project.write("schema.graphql", &project.read("../../schema.graphql"));
    // A proxy lets the page in anywhere; of its own origin the demo takes it as it is.
    let elsewhere = Demo::start(Cli::new().env("COSELL_ALLOWED_ORIGINS", "https://portal.example.com"));
    let demo = Demo::start(Cli::new());
    let files = files();
    for (name, text) in &files {
        project.write(name, &text.replace("127.0.0.1:8080", &elsewhere.address));
    }
    run(&project, "graphql-codegen", &["--config", "codegen.mjs"]).await;
    let main = project.read("src/main.tsx");
    let browser = Browser::start().await;
    for (app, demo, server) in
        [("./urql", &elsewhere, String::new()), ("./apollo", &demo, format!("VITE_COSELL=http://{}\n", demo.address))]
    {
        project.write("src/main.tsx", &main.replace("./App", app));
        project.write(".env.local", &format!("VITE_COSELL_TOKEN={}\n{server}", demo.token("CLARA")));
        run(&project, "tsc", &["--project", "."]).await;
        run(&project, "vite", &["build", "--logLevel", "warn"]).await;
        let (_vite, url) = develop(&project);
        let window = browser.open(&url).await;
        works(&window, demo).await;
        let complaints = browser.complaints();
        assert!(complaints.is_empty(), "{app}: the page complained:\n{}", complaints.join("\n"));
        let asked = browser.requests();
        let direct = format!("ws://{}/graphql/ws", demo.address);
        assert_eq!(asked.contains(&direct), !server.is_empty(), "{app}: {asked:#?}");
        let (http, ws) = (format!("http://{}/", demo.address), format!("ws://{}/", demo.address));
        let page = url.trim_start_matches("http");
        for request in asked.iter().filter(|it| it.contains("://")) {
            let own = request
                .strip_prefix("http")
                .or_else(|| request.strip_prefix("ws"))
                .is_some_and(|it| it.starts_with(page));
            let known = own || request.starts_with(&http) || request.starts_with(&ws) || !server.is_empty();
            assert!(known, "{app}: the page asked for {request}");
        }
        // It would miss the server that is stopped now.
        window.go("about:blank").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_refused_is_told_of_where_the_server_was_started() {
    let mut demo = Demo::start(Cli::new());
    for origin in ["http://localhost:5173", "http://portal.example.com", "http://portal.example.com"] {
        let request = demo.client("CLARA").request(reqwest::Method::POST, "/graphql").header("origin", origin);
        let answer = request.json(&json!({ "query": "{ viewer { id } }" })).send().await.expect("an answer");
        let allowed = answer.headers().get("access-control-allow-origin").map(reqwest::header::HeaderValue::as_bytes);
        let own = origin.contains("localhost").then_some(origin.as_bytes());
        assert_eq!(allowed, own);
    }
    let line = demo.running.line_with("COSELL_ALLOWED_ORIGINS", SOON);
    assert!(line.contains("http://portal.example.com") && line.contains("WARN"), "{line}");
    demo.running.interrupt();
    let Demo { running, .. } = demo;
    let said = spawn_blocking(|| running.output()).await.expect("it ends");
    assert_eq!(said.stderr.matches("COSELL_ALLOWED_ORIGINS").count(), 1, "{said}");
    assert!(!said.stderr.contains("localhost:5173"), "{said}");
}
