//! The playground: what it is served with, whom it tells the demo's people, its examples, and itself in a real browser.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::browser::{Browser, Window};
use crate::support::cli::{Cli, Running};
use crate::support::http::{Answer, Client};
use crate::support::ws::Socket;

const SOON: Duration = Duration::from_secs(30);
const SECRET: &str = "a secret of the tests, long enough for HS256";

fn address(line: &str) -> SocketAddr {
    let rest = line.split("://").nth(1).expect("an address");
    rest.split([' ', '/']).next().expect("an address").parse().expect("address and port")
}

/// A running demo, with what belongs to it.
struct Demo {
    address: SocketAddr,
    _running: Running,
    _cli: Cli,
}

impl Demo {
    fn start() -> Self {
        needs_bundle();
        let cli = Cli::new().env("COSELL_LISTEN", "127.0.0.1:0");
        let mut running = cli.start(["demo"]);
        let address = address(&running.line_with("playground", SOON));
        Self { address, _running: running, _cli: cli }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        get(self.address, path, headers).await
    }

    /// The people's tokens, as the page gets them.
    async fn tokens(&self) -> HashMap<String, String> {
        let answer = self.get("/playground/people.json", &[("sec-fetch-site", "same-origin")]).await;
        let people: Vec<Value> = serde_json::from_str(&answer.text).unwrap_or_else(|_| panic!("{answer:?}"));
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        people.iter().map(|person| (text(&person["id"]), text(&person["token"]))).collect()
    }
}

async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Client::new(address, None).request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

/// A server without people, which lets this token in.
fn serve(cli: &Cli) -> (Running, SocketAddr) {
    let mut running = cli.start(["serve"]);
    let address = address(&running.line_with("cosell listens on", SOON));
    (running, address)
}

fn serving() -> Cli {
    Cli::new().env("COSELL_LISTEN", "127.0.0.1:0").env("COSELL_JWT_SECRET", SECRET)
}

#[track_caller]
fn needs_bundle() {
    if let Some(reason) = cosell_playground::MISSING {
        panic!("The tests need the playground in the binary. {reason}\n`scripts/test` installs what it is built with.");
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn the_page_and_its_files_come_with_a_strict_policy_and_are_kept_by_their_names() {
    let demo = Demo::start();
    let page = demo.get("/", &[]).await;
    assert_eq!((page.status.as_u16(), header(&page, "content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(header(&page, "cache-control"), "no-store", "its nonce is for one answer");
    let policy = header(&page, "content-security-policy").to_owned();
    for part in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.split("; ").any(|it| it == part), "{policy}");
    }
    for part in ["base-uri 'none'", "form-action 'none'", "worker-src 'self'", "img-src 'self' data:"] {
        assert!(policy.split("; ").any(|it| it == part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("blob:") && !policy.contains('*'), "{policy}");
    let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce").to_owned();
    assert!(nonce.len() >= 22 && page.text.contains(&format!("nonce=\"{nonce}\"")), "{}", page.text);
    let other = demo.get("/", &[]).await;
    assert!(!header(&other, "content-security-policy").contains(&nonce), "a nonce is used once");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(header(&page, name), value, "{name}");
    }
    assert!(header(&page, "permissions-policy").contains("camera=()"), "{:?}", page.headers);

    let script = Regex::new(r#"src="(/playground/assets/[^"]+\.js)""#).expect("a pattern");
    let script = script.captures(&page.text).expect("a script")[1].to_owned();
    let plain = demo.get(&script, &[("accept-encoding", "gzip, br;q=0")]).await;
    assert_eq!((plain.status.as_u16(), header(&plain, "content-encoding")), (200, ""));
    assert_eq!(header(&plain, "content-type"), "text/javascript; charset=utf-8");
    assert!(header(&plain, "cache-control").contains("immutable"), "{:?}", plain.headers);
    assert_eq!(header(&plain, "vary"), "accept-encoding");
    assert!(header(&plain, "content-security-policy").starts_with("default-src 'none'"), "{:?}", plain.headers);
    let packed = Client::new(demo.address, None).request(Method::GET, &script).header("accept-encoding", "gzip, br");
    let packed = packed.send().await.expect("an answer");
    assert_eq!(packed.headers()["content-encoding"], "br");
    assert_ne!(packed.headers()["etag"], plain.headers["etag"], "strong tags are of the bytes that are sent");
    assert!(packed.bytes().await.expect("bytes").len() * 3 < plain.text.len());
    let tag = format!("\"other\", {}", header(&plain, "etag"));
    assert_eq!(demo.get(&script, &[("if-none-match", &tag)]).await.status, 304);
    assert_eq!(demo.get(&script, &[("if-none-match", "\"other\"")]).await.status, 200);

    let licences = demo.get("/playground/licenses.txt", &[]).await;
    assert_eq!(header(&licences, "cache-control"), "no-cache");
    assert!(licences.text.contains("\nmonaco-editor ") && licences.text.contains("Permission is hereby granted"));
    for path in [
        "/playground/index.html",
        "/playground/assets/none.js",
        "/playground/none",
        "/playground/assets/..%2findex.html",
    ] {
        assert_eq!(demo.get(path, &[]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_people_are_for_the_demo_s_own_page_alone() {
    let demo = Demo::start();
    let port = demo.address.port();
    let path = "/playground/people.json";
    assert_eq!(demo.tokens().await.len(), 6);
    let ours = demo.get(path, &[("host", &format!("localhost:{port}"))]).await;
    assert_eq!((ours.status.as_u16(), header(&ours, "cache-control")), (200, "no-store"));
    assert!(ours.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{:?}", ours.headers);
    let rebound = format!("evil.example:{port}");
    let own = format!("http://127.0.0.1:{port}");
    for headers in [
        [("host", rebound.as_str()), ("sec-fetch-site", "same-origin")],
        [("sec-fetch-site", "cross-site"), ("accept", "*/*")],
        [("sec-fetch-site", "same-site"), ("origin", own.as_str())],
        [("origin", "http://evil.example"), ("accept", "*/*")],
        [("origin", "null"), ("accept", "*/*")],
    ] {
        let refused = demo.get(path, &headers).await;
        assert_eq!(refused.status, 403, "{headers:?}");
        assert!(!refused.text.contains("eyJ"), "{headers:?}");
    }

    let cli = serving();
    let (_running, address) = serve(&cli);
    assert_eq!(get(address, path, &[]).await.status, 404, "only the demo has people");
    assert!(get(address, "/", &[]).await.text.contains("data-people=\"false\""));
}

#[tokio::test]
async fn nothing_of_it_is_there_where_it_is_switched_off() {
    let cli = Cli::new().env("COSELL_LISTEN", "127.0.0.1:0").env("COSELL_PLAYGROUND", "false");
    let mut running = cli.start(["demo"]);
    let address = address(&running.line_with("GraphQL", SOON));
    let files = cosell_playground::FILES.iter().map(|file| format!("/playground/{}", file.path));
    for path in ["/".to_owned(), "/playground/people.json".to_owned()].into_iter().chain(files) {
        assert_eq!(get(address, &path, &[]).await.status, 404, "{path}");
    }
}

/// An opening tab of the playground.
struct Example {
    name: String,
    /// Nobody where it is for servers whose data is real.
    person: Option<String>,
    document: String,
}

fn examples() -> Vec<Example> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("playground/web/src/examples");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let story: Value = serde_json::from_str(&read("story.json")).expect("JSON");
    let of = |part: &str| story[part].as_array().expect("a list").clone();
    let (demo, elsewhere) = (of("demo"), of("elsewhere"));
    let files = folder.read_dir().expect("a folder").flatten();
    let documents = files.filter(|file| file.path().extension().is_some_and(|it| it == "graphql")).count();
    assert_eq!(documents, demo.len() + elsewhere.len(), "each document is a tab");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let example = |it: &Value| {
        let name = text(&it["document"]).expect("a name");
        Example { person: text(&it["person"]), document: read(&format!("{name}.graphql")), name }
    };
    demo.iter().chain(&elsewhere).map(example).collect()
}

/// The first `id` of an answer, as `lookups.js` finds it.
fn first_id(value: &Value) -> Option<&str> {
    match value {
        Value::Object(fields) => {
            fields.get("id").and_then(Value::as_str).or_else(|| fields.values().find_map(first_id))
        }
        Value::Array(items) => items.iter().find_map(first_id),
        _ => None,
    }
}

#[tokio::test]
async fn every_example_runs_in_the_demo_as_it_is() {
    let demo = Demo::start();
    let tokens = demo.tokens().await;
    let client = |person: &str| Client::new(demo.address, Some(&tokens[person]));
    let lookup =
        Regex::new(r"(?m)^#:[ \t]*(\w+)(?:[ \t]*\(as (\w+)\))?[ \t]*=[ \t]*(\{.*\})[ \t]*$").expect("a pattern");
    let mut socket = Socket::connect(demo.address, &tokens["clara"]).await;
    let mut seen = vec![];
    let mut watching = vec![];
    for Example { name, person, document } in examples() {
        assert!(person.is_some() || !document.contains("\nmutation "), "{name} writes into data that may be real");
        let person = person.as_deref().unwrap_or("clara");
        let mut variables = json!({});
        for found in lookup.captures_iter(&document) {
            let asking = found.get(2).map_or(person, |it| it.as_str());
            let answer = client(asking).query(&found[3], json!({})).await.ok();
            let id = first_id(&answer.data).unwrap_or_else(|| panic!("{name}: nothing is found: {}", answer.text));
            variables[&found[1]] = json!(id);
        }
        if document.contains("\nsubscription ") {
            assert_eq!(person, "clara", "{name}");
            watching.push(socket.subscribe(&document, variables).await);
        } else {
            let answer = client(person).query(&document, variables).await;
            if person == "tess" {
                assert_eq!(answer.code(), "NOT_FOUND", "{name}");
            } else {
                answer.ok();
            }
        }
        let words = document.lines().take_while(|line| line.is_empty() || line.starts_with('#'));
        assert!(words.filter(|line| line.starts_with("# ")).count() <= 3, "{name} is told at length");
        seen.push(name);
    }
    for name in ["share", "accept", "comment", "watch", "stranger"] {
        assert!(seen.iter().any(|it| it == name), "{name} is part of the story");
    }
    assert_eq!(watching.len(), 2);
    let mut told = vec![];
    while !told.iter().any(|kind| kind == "OpportunityCreated") {
        let event = watching[0].next().await;
        told.push(event["activity"]["__typename"].as_str().unwrap_or_else(|| panic!("{event}")).to_owned());
    }
    for kind in ["LeadShared", "LeadStageChanged", "CommentAdded"] {
        assert!(told.iter().any(|it| it == kind), "{told:?} lacks {kind}");
    }
    // The other one began when the story was over.
    client("nora")
        .query(&examples()[2].document, json!({"partnershipId": partnership(&client("nora")).await}))
        .await
        .ok();
    assert_eq!(watching[1].next().await["activity"]["__typename"], "LeadShared");
}

async fn partnership(client: &Client) -> String {
    let answer = client.query("{ partnerships(first: 1) { edges { node { id } } } }", json!({})).await.ok();
    answer.text_at("/partnerships/edges/0/node/id").to_owned()
}

/// What the tests do in a window.
impl Window {
    /// The window at that address, once its editor is ready and knows the schema.
    async fn playground(browser: &Browser, url: &str) -> Self {
        let window = browser.open(url).await;
        window.wait_for("document.querySelector('.graphiql-query-editor .view-line')").await;
        window
    }

    async fn tab(&self, title: &str) {
        let index = format!(
            "[...document.querySelectorAll('.graphiql-tab-button')].findIndex((it) => it.textContent === {})",
            json!(title)
        );
        let index = self.wait_for(format!("{index} + 1")).await.as_u64().expect("a number") - 1;
        self.click(&format!("#graphiql-session-tab-{index}")).await;
        let open = "document.querySelector('.graphiql-tab-active .graphiql-tab-button').textContent";
        self.wait_for(format!("{open} === {}", json!(title))).await;
    }

    /// Runs what the tab holds, and gives what is answered once it contains this.
    async fn answer(&self, part: &str) -> String {
        self.click(".graphiql-execute-button").await;
        self.shows(part).await
    }

    /// The response pane, once it contains this. The editor draws what is in sight; its model has all.
    async fn shows(&self, part: &str) -> String {
        let text = "__MONACO.editor.getModels().find((it) => it.uri.path.endsWith('response.json')).getValue()";
        let drawn = "document.querySelector('.result-window .view-line')";
        let found = self.wait_for(format!("{drawn} && {text}.includes({}) && {text}", json!(part))).await;
        found.as_str().expect("text").to_owned()
    }

    /// An entry of the panel "Live", once there is one of this watcher that contains this.
    async fn tells(&self, watcher: &str, part: &str) -> String {
        let found = self
            .wait_for(format!(
                "[...document.querySelectorAll('.watcher')].filter((it) => it.ariaLabel === {})
                     .flatMap((it) => [...it.querySelectorAll('li summary')]).map((it) => it.textContent)
                     .find((it) => it.includes({}))",
                json!(watcher),
                json!(part)
            ))
            .await;
        found.as_str().expect("text").to_owned()
    }

    /// Once a watcher listens.
    async fn listens(&self, watcher: &str) {
        let label = json!(watcher);
        self.wait_for(format!(
            "[...document.querySelectorAll('.watcher[data-state=live]')].some((it) => it.ariaLabel === {label})"
        ))
        .await;
    }
}

/// Where pictures are put: below the target folder.
fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("playground-{name}.png"))
}

/// Nothing went wrong in the pages, and they have asked nobody but their server.
#[track_caller]
fn was_quiet(browser: &Browser, address: SocketAddr) {
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "the pages complained:\n{}", complaints.join("\n"));
    let (http, ws) = (format!("http://{address}/"), format!("ws://{address}/"));
    for url in browser.requests() {
        let own = url.starts_with(&http) || url.starts_with(&ws) || url.starts_with("data:");
        assert!(own, "a page asked for {url}");
        assert!(!url.contains("eyJ"), "a token is in an address: {url}");
    }
}

#[tokio::test]
async fn what_one_side_does_arrives_in_the_other_side_s_open_window() {
    let demo = Demo::start();
    let browser = Browser::start().await;
    let partner = Window::playground(&browser, &demo.url()).await;
    partner.tab("Watch").await;
    partner.wait_for("document.querySelector('#person-clara').ariaChecked === 'true'").await;
    partner.click(".graphiql-execute-button").await;
    partner.listens("Watch Clara").await;

    let vendor = Window::playground(&browser, &demo.url()).await;
    vendor.wait_for("document.title === 'Nora - cosell'").await;
    let answer = vendor.answer("\"edges\"").await;
    assert!(answer.contains("L-10"), "{answer}");
    vendor.tab("Share").await;
    vendor.answer("\"Pending\"").await;

    let told = partner.tells("Watch Clara", "LeadShared").await;
    assert!(told.contains("Nora Lindqvist") && told.contains("Tracking of reusable crates"), "{told}");
    partner.shows("LeadShared").await;
    partner.tab("Accept").await;
    partner.answer("\"Accepted\"").await;
    vendor.tab("Comment").await;
    vendor.answer("They decide in March").await;
    partner.tells("Watch Clara", "CommentAdded").await;
    was_quiet(&browser, demo.address);
}

#[tokio::test]
async fn the_whole_story_runs_in_one_window_with_a_person_for_each_tab() {
    let demo = Demo::start();
    let browser = Browser::start().await;
    let window = Window::playground(&browser, &demo.url()).await;
    window.answer("\"edges\"").await;
    window.tab("Watch").await;
    window.click(".graphiql-execute-button").await;
    window.listens("Watch Clara").await;
    window.tab("Share").await;
    window.answer("\"Pending\"").await;
    window.tab("Accept").await;
    window.answer("\"Accepted\"").await;
    // As its text says, it is not for the vendor.
    window.click("#person-nora").await;
    let refused = window.answer("FORBIDDEN").await;
    assert!(refused.contains("the company that received the lead"), "{refused}");
    window.tab("Comment").await;
    window.answer("They decide in March").await;
    window.tells("Watch Clara", "CommentAdded").await;
    window.picture(&picture("story")).await;
    window.tab("Convert").await;
    window.answer("\"Closed - Converted\"").await;
    window.tells("Watch Clara", "OpportunityCreated").await;

    // The same question as the stranger, and then as the partner.
    window.tab("Stranger").await;
    let refused = window.answer("NOT_FOUND").await;
    assert!(refused.contains("There is no such lead."), "{refused}");
    window.click("#person-clara").await;
    window.wait_for("!document.querySelector('.result-window').textContent.includes('There')").await;
    let seen = window.answer("Tracking of reusable crates").await;
    assert!(seen.contains("Clara Mendes"), "{seen}");

    // A subscription begins anew with the new person; the other tabs keep theirs.
    window.tab("Watch").await;
    window.click(".graphiql-execute-button").await;
    window.listens("Watch Clara").await;
    window.click("#person-ben").await;
    window.listens("Watch Ben").await;
    let watchers = "document.querySelectorAll('.watcher').length";
    assert_eq!(window.run(watchers).await, 1, "the earlier one has ended");
    window.tab("Share").await;
    window.wait_for("document.querySelector('#person-nora').ariaChecked === 'true'").await;
    window.answer("\"Pending\"").await;
    window.tells("Watch Ben", "LeadShared").await;

    // Documentation, history, explorer.
    let buttons = "document.querySelectorAll('.graphiql-sidebar button')";
    assert!(window.run(&format!("{buttons}.length")).await.as_u64() >= Some(6));
    window.click(".graphiql-sidebar button:nth-of-type(1)").await;
    window.wait_for("document.querySelector('.graphiql-plugin').textContent.includes('AcceptLeadInput')").await;
    window.picture(&picture("docs")).await;
    window.click(".graphiql-sidebar button:nth-of-type(2)").await;
    window.wait_for("document.querySelector('.graphiql-plugin').textContent.includes('Comment')").await;
    window.click(".graphiql-sidebar button:nth-of-type(3)").await;
    window.wait_for("document.querySelector('.graphiql-plugin').textContent.includes('mutation')").await;

    // Closed again: it complains of lists in arguments, which it does not know.
    window.click(".graphiql-sidebar button:nth-of-type(3)").await;
    window.wait_for("!document.querySelector('.graphiql-plugin').textContent.includes('mutation')").await;

    // The editor knows the schema: its worker runs.
    window.tab("Welcome").await;
    window.click(".graphiql-query-editor .view-line").await;
    window.control("a", 65).await;
    window.write("{ viewer { nme } }").await;
    window.wait_for("document.querySelector('.graphiql-query-editor .squiggly-error')").await;
    was_quiet(&browser, demo.address);
}

#[tokio::test]
async fn a_feed_goes_on_after_its_last_event_when_the_server_is_there_again() {
    needs_bundle();
    let cli = Cli::new();
    let start = |listen: &str| {
        let mut running = cli.start(["demo", "--listen", listen]);
        let address = address(&running.line_with("playground", SOON));
        (running, address)
    };
    let tokens = |address| async move {
        let answer = get(address, "/playground/people.json", &[("sec-fetch-site", "same-origin")]).await;
        let people: Vec<Value> = serde_json::from_str(&answer.text).expect("people");
        people[0]["token"].as_str().expect("a token").to_owned()
    };
    let share = async |address, title: &str| {
        let nora = Client::new(address, Some(&tokens(address).await));
        let across = partnership(&nora).await;
        let lead = json!({ "title": title, "customer": { "company": title }, "partnershipId": across });
        nora.mutate("createLead", lead, "lead { receiver { slug } }").await.ok();
    };
    let (running, first) = start("127.0.0.1:0");
    let browser = Browser::start().await;
    let window = Window::playground(&browser, &format!("http://{first}/")).await;
    window.tab("Watch").await;
    // Both ways of asking: with what is needed to go on, and without.
    for document in ["", "subscription Bare { activity { lead { title } } }"] {
        if !document.is_empty() {
            window.tab("Comment").await;
            window.click("#person-clara").await;
            window.click(".graphiql-query-editor .monaco-editor").await;
            window.control("a", 65).await;
            window.write(document).await;
        }
        window.click(".graphiql-execute-button").await;
        window
            .wait_for(format!(
                "document.querySelectorAll('.watcher[data-state=live]').length === {}",
                if document.is_empty() { 1 } else { 2 }
            ))
            .await;
    }
    share(first, "Before").await;
    let events = "[...document.querySelectorAll('.watcher')].map((it) => [...it.querySelectorAll('li summary')].filter((li) => li.textContent.includes";
    let counts = |title: &str| format!("JSON.stringify({events}({})).length)) ", json!(title));
    window.wait_for(format!("{} === '[1,1]'", counts("Before"))).await;

    running.signal("KILL");
    window.wait_for("document.querySelectorAll('.watcher[data-state=reconnecting]').length === 2").await;
    window.picture(&picture("reconnecting")).await;
    drop(running);
    // The page knows nothing of this server.
    let (elsewhere, second) = start("127.0.0.1:0");
    share(second, "While away").await;
    elsewhere.interrupt();
    tokio::task::spawn_blocking(|| elsewhere.output()).await.expect("it ends").ok();
    let (_running, again) = start(&first.to_string());
    assert_eq!(again, first);
    window.wait_for("document.querySelectorAll('.watcher[data-state=live]').length === 2").await;
    window.wait_for(format!("{} === '[1,1]'", counts("While away"))).await;
    let said = "[...document.querySelectorAll('.watcher-state')].every((it) => it.textContent.includes('resumed after 1 missed event'))";
    window.wait_for(said).await;
    share(first, "After").await;
    window.wait_for(format!("{} === '[1,1]'", counts("After"))).await;
    for title in ["Before", "While away"] {
        assert_eq!(window.run(&counts(title)).await, "[1,1]", "{title} comes once");
    }
    let late = "[...document.querySelectorAll('li[data-missed]')].map((it) => it.textContent.includes('While away'))";
    assert_eq!(window.run(late).await, json!([true, true]));
    let hidden = "document.querySelector('.live').textContent.includes('resumeCursor')";
    assert_eq!(window.run(hidden).await, false);
    window.picture(&picture("resumed")).await;
}

#[tokio::test]
async fn on_a_phone_the_page_goes_up_and_down_alone_and_all_of_it_can_be_reached() {
    // Each control, once it is scrolled to, is what a finger there would touch.
    const OUT_OF_REACH: &str = "(() => {
        const found = [];
        const shown = (it) => it.checkVisibility() && !it.closest('.monaco-editor') && it.getBoundingClientRect().right > 0;
        for (const control of [...document.querySelectorAll('button, input, [role=radio], summary')].filter(shown)) {
            control.scrollIntoView({ block: 'center', inline: 'center' });
            const { left, right, top, width, height } = control.getBoundingClientRect();
            const touched = document.elementFromPoint(left + width / 2, top + height / 2);
            if (!control.contains(touched) || left < 0 || right > innerWidth + 1) found.push(control.ariaLabel ?? control.textContent);
        }
        scrollTo(0, 0);
        return found.join(', ');
    })()";
    let demo = Demo::start();
    let browser = Browser::start().await;
    let window = browser.open("about:blank").await;
    window.phone(390, 844).await;
    window.go(&demo.url()).await;
    window.wait_for("document.querySelector('.graphiql-query-editor .view-line')").await;
    let sideways = "document.documentElement.scrollWidth - innerWidth";
    for step in ["opened", "run", "watching", "documentation"] {
        match step {
            "run" => drop(window.answer("\"edges\"").await),
            "watching" => {
                window.tab("Watch").await;
                window.click(".graphiql-execute-button").await;
                window.listens("Watch Clara").await;
            }
            "documentation" => window.click(".graphiql-sidebar button:nth-of-type(1)").await,
            _ => {}
        }
        assert_eq!(window.run("innerWidth").await, 390, "{step}");
        assert_eq!(window.run(sideways).await, 0, "{step}");
        assert_eq!(window.run(OUT_OF_REACH).await, "", "{step}");
        for part in [".graphiql-query-editor", ".result-window"] {
            let wide = window.run(&format!("document.querySelector('{part}').getBoundingClientRect().width")).await;
            assert!(wide.as_f64() >= Some(250.0), "{step}: {part} is {wide} wide");
        }
    }
    window.picture(&picture("phone")).await;
    was_quiet(&browser, demo.address);
}

#[tokio::test]
async fn a_server_s_own_playground_asks_for_a_token_and_keeps_it_in_the_window() {
    needs_bundle();
    let cli = serving();
    cli.run(["company", "add", "acme", "--name", "Acme Corporation"]).ok();
    let token = ["token", "--company", "acme", "--member", "ann", "--role", "SALES", "--name", "Ann Lee"];
    let token = cli.run(token).ok().lines().last().expect("a token").trim().to_owned();
    let (_running, address) = serve(&cli);
    let browser = Browser::start().await;
    let window = Window::playground(&browser, &format!("http://{address}/")).await;
    assert_eq!(window.run("document.querySelector('.picker')").await, Value::Null);
    window.click("#token").await;
    window.write(&token).await;
    window.click(".token button").await;
    window.wait_for("document.querySelector('.token-who').textContent === 'Ann Lee, Acme Corporation'").await;
    window.answer("Ann Lee").await;
    let kept = "[localStorage, sessionStorage].map((it) => JSON.stringify(Object.entries(it)).includes('eyJ'))";
    assert_eq!(window.run(kept).await, json!([false, true]), "until the browser's tab is closed, and no longer");
    assert_eq!(window.run("location.href").await, format!("http://{address}/"));
    window.picture(&picture("token")).await;
    was_quiet(&browser, address);
}

/// Runs the build script as cargo does.
fn build(folder: &Path, environment: &[(&str, &Path)]) -> (String, String) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("playground");
    let script = folder.join("build-script");
    if !script.exists() {
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(compiler);
        command.args(["--edition", "2024", "-o"]).arg(&script).arg(package.join("build.rs")).current_dir(&package);
        assert!(command.status().expect("rustc").success());
    }
    let out = folder.join("out");
    std::fs::create_dir_all(&out).expect("a folder");
    let mut command = Command::new(&script);
    command.current_dir(&package).env("OUT_DIR", &out).env_remove("COSELL_PLAYGROUND_BUNDLE");
    let output = command.envs(environment.iter().copied()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = std::fs::read_to_string(out.join("files.rs")).expect("a table");
    (String::from_utf8(output.stdout).expect("text"), made)
}

#[test]
fn a_build_without_node_or_with_a_bundle_made_before_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let nothing = folder.path().join("nothing");
    std::fs::create_dir(&nothing).expect("a folder");
    let (said, made) = build(folder.path(), &[("PATH", &nothing)]);
    assert!(said.contains("cargo:warning=cosell is built without its playground: Node was not found"), "{said}");
    assert!(made.contains("MISSING: Option<&str> = Some(\"Node was not found"), "{made}");

    // A Node that is too old, and one whose npm finds no network.
    let fake = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let file = nothing.join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("a file");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("a file");
    };
    fake("node", "echo v16.20.2");
    let (said, _) = build(folder.path(), &[("PATH", &nothing)]);
    assert!(said.contains("Node is version 16, and 18 or newer is needed."), "{said}");
    fake("node", "echo v18.20.4");
    fake("npm", "case $1 in --version) echo 9.2.0;; *) echo 'npm ERR! request to https://r failed' >&2; exit 1;; esac");
    let (said, made) = build(folder.path(), &[("PATH", &nothing)]);
    assert!(said.contains("`npm ci` failed, for want of a network perhaps. npm ERR! request to"), "{said}");
    assert!(made.contains("FILES: &[File] = &[]"), "{made}");

    let bundle = folder.path().join("bundle");
    std::fs::create_dir(&bundle).expect("a folder");
    std::fs::write(bundle.join("index.html"), "<p>made before</p>").expect("a file");
    std::fs::write(bundle.join("files.tsv"), "index.html\ttext/html\t00\n").expect("a file");
    let (said, made) = build(folder.path(), &[("PATH", &nothing), ("COSELL_PLAYGROUND_BUNDLE", &bundle)]);
    assert!(!said.contains("warning"), "{said}");
    assert!(made.contains("path: \"index.html\"") && made.contains("MISSING: Option<&str> = None"), "{made}");
}
