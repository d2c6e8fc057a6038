//! The tools that clients are built with take this server and its schema.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::support::database::{Database, Kind, OnDatabase as _};
use crate::support::http::Client;
use crate::support::node::{Project, Tools};
use crate::support::world::World;
use crate::support::ws_audit::{self, Subject};

#[tokio::test]
async fn every_audit_of_the_http_specification_passes_with_a_token_and_without() {
    let world = World::on(Database::fresh(Kind::Sqlite).await).await;
    let url = format!("http://{}/graphql", world.address());
    let token = world.as_("acme", "SALES").token;
    let tools = Tools::install().await;
    for (who, token) in [("nobody", ""), ("a member", token.as_str())] {
        let failed = tools.audit(&url, token).await;
        assert!(failed.is_empty(), "as {who}: {failed:#?}");
    }
}

#[tokio::test]
async fn the_audit_finds_the_faults_of_a_server_that_is_none() {
    let world = World::on(Database::fresh(Kind::Sqlite).await).await;
    let failed = Tools::install().await.audit(&format!("http://{}/livez", world.address()), "").await;
    assert!(failed.iter().any(|audit| audit["status"] == "error"), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_audit_of_the_websocket_protocol_passes() {
    let world = World::on(Database::fresh(Kind::Sqlite).await).await;
    let hasty = world.another_server_with(&[("COSELL_WS_INIT_TIMEOUT", Some("1s"))]).await;
    let partnership = world.partnership("acme", "globex").await;
    let lead = world.shared_lead("acme", &partnership, "Forty seats").await;
    let create = r#"createLead(input: { title: "Ten seats", customer: { company: "Initrode" } }) { lead { id } }"#;
    let failed = ws_audit::audit(Subject {
        address: world.address(),
        hasty: hasty.addr,
        init: json!({ "Authorization": format!("Bearer {}", world.as_("globex", "SALES").token) }),
        partial: r#"{ viewer { id } node(id: "none") { id } }"#.to_owned(),
        mutation: format!("mutation {{ {create} }}"),
        subscription: "subscription { activity { cursor } }".to_owned(),
        refused: r#"subscription { leadChanged(leadId: "none") { id } }"#.to_owned(),
        ending: (
            format!(r#"subscription {{ leadChanged(leadId: "{lead}") {{ id }} }}"#),
            format!(r#"mutation {{ withdrawLead(input: {{ leadId: "{lead}" }}) {{ lead {{ id }} }} }}"#),
        ),
        ender: json!({ "Authorization": format!("Bearer {}", world.as_("acme", "SALES").token) }),
    });
    let failed = failed.await;
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn each_audit_of_the_websocket_protocol_holds_words_of_its_document() {
    let project = spawn_blocking(|| Project::of("examples/live-feed")).await.expect("it is installed");
    let document = project.read("node_modules/graphql-ws/PROTOCOL.md");
    let checks = ws_audit::checks();
    for check in &checks {
        assert!(document.contains(check.holds), "{}: PROTOCOL.md does not say {:?}", check.name, check.holds);
    }
    let names: BTreeSet<_> = checks.iter().map(|check| &check.name).collect();
    assert_eq!(names.len(), checks.len(), "two checks have the same name");
}

#[tokio::test]
async fn graphql_sse_s_client_asks_and_follows_in_both_of_its_modes() {
    let world = World::on(Database::fresh(Kind::Sqlite).await).await;
    let token = world.as_("acme", "SALES").token;
    let tools = Tools::install().await;
    for (path, mode) in [("/graphql/stream", "distinct"), ("/graphql", "distinct"), ("/graphql/stream", "single")] {
        let said = tools.run("node", &["sse.mjs", &format!("http://{}{path}", world.address()), &token, mode]).await;
        let report: Value = serde_json::from_str(said.ok()).expect("a report");
        let lead = json!({ "title": "By graphql-sse" });
        assert_eq!(report["query"], json!({ "data": { "viewer": { "company": { "slug": "acme" } } } }), "{mode}");
        assert_eq!(report["mutation"], json!({ "data": { "createLead": { "lead": lead } } }), "{mode}");
        let event = json!({ "__typename": "LeadCreated", "lead": lead });
        assert_eq!(report["subscription"], json!({ "data": { "activity": event } }), "{mode}");
        assert_eq!(report["refused"]["errors"][0]["extensions"]["code"], "INVALID_INPUT", "{mode}");
        let calls: &[_] = match mode {
            "single" => &["PUT 201", "GET 200", "POST 202", "POST 202", "POST 202", "POST 202", "DELETE 200"],
            _ => &["POST 200"; 4],
        };
        assert_eq!(report["calls"], json!(calls), "{mode} at {path}");
    }
}

#[tokio::test]
async fn graphql_js_takes_the_schema() {
    let tools = Tools::install().await;
    let said = tools.run("node", &["schema.mjs", "../../schema.graphql"]).await;
    assert_eq!((said.ok(), said.stderr.as_str()), ("", ""));
    // It would tell a type that lacks what its interface promises.
    let broken = tools
        .read("../../schema.graphql")
        .replace("type Task implements Node {", "type Task implements Node & Activity {");
    tools.write("broken.graphql", &broken);
    let said = tools.run("node", &["schema.mjs", "broken.graphql"]).await;
    let told = said.failed(1);
    assert!(told.contains("graphql 16.") && told.contains("graphql 17."), "{told}");
    assert!(told.contains("Interface field Activity.cursor expected but Task does not provide it."), "{told}");
}

#[tokio::test]
async fn the_schema_holds_to_the_rules_of_graphql_eslint() {
    const LINT: [&str; 3] = ["--config", "eslint.config.mjs", "schema.graphql"];
    let tools = Tools::install().await;
    let schema = tools.read("../../schema.graphql");
    tools.write("schema.graphql", &schema);
    let said = tools.run("eslint", &LINT).await;
    assert_eq!((said.ok(), said.stderr.as_str()), ("", ""));

    // It would tell each of these, and an exception that is not needed any more.
    let more = "\n\"A barn.\"\ntype barn {\n\tbarnId: ID\n}\nextend type Query {\n\tgetBarn(id: ID!): barn\n}\n";
    let broken =
        schema.replace("node: Lead!", "node: Stage!").replace("\tleadSource: String", "\tcolor: String") + more;
    tools.write("schema.graphql", &broken);
    let said = tools.run("eslint", &LINT).await;
    assert_eq!(said.code, Some(1), "{said}");
    let told = &said.stdout;
    for fault in [
        "@graphql-eslint/naming-convention",
        "@graphql-eslint/no-typename-prefix",
        "@graphql-eslint/relay-edge-types",
        "@graphql-eslint/require-description",
        "@graphql-eslint/strict-id-in-types",
        "not needed: @graphql-eslint/no-typename-prefix for \"leadSource\"",
    ] {
        assert!(told.contains(fault), "{fault} is not told of: {told}");
    }
}

#[tokio::test]
async fn graphql_codegen_makes_types_that_compile() {
    let tools = Tools::install().await;
    let said = tools.run("graphql-codegen", &["--config", "codegen/codegen.mjs"]).await;
    assert_eq!(said.code, Some(0), "{said}");
    // `client.ts` also has what must not compile, marked as such.
    let said = tools.run("tsc", &["--project", "codegen"]).await;
    assert_eq!(said.code, Some(0), "{said}");
    let manifest: Value =
        serde_json::from_str(&tools.read("codegen/src/generated/persisted-documents.json")).expect("a manifest");
    let documents = manifest.as_object().expect("documents by their hash");
    assert_eq!(documents.len(), 5, "{manifest:#}");

    // The manifest is one that a server takes, and then takes nothing else.
    let path = tools.path().join("codegen/src/generated/persisted-documents.json");
    let world = World::on(Database::fresh(Kind::Sqlite).await).await;
    let server = world
        .another_server_with(&[
            ("COSELL_DOCUMENT_MANIFEST", path.to_str()),
            ("COSELL_TRUSTED_DOCUMENTS_ONLY", Some("true")),
        ])
        .await;
    let client = Client::new(server.addr, Some(&world.as_("acme", "SALES").token));
    let is_leads = |text: &Value| text.as_str().is_some_and(|text| text.contains("query Leads"));
    let (hash, _) = documents.iter().find(|(_, text)| is_leads(text)).expect("the document");
    let answer = client.send(json!({ "documentId": hash, "variables": { "first": 2 } })).await.ok();
    assert!(answer.list_at("/leads/edges").is_empty());
    assert_eq!(client.query("{ viewer { id } }", json!({})).await.code(), "DOCUMENT_NOT_TRUSTED");
}

#[tokio::test]
async fn relay_compiler_takes_fragments_connections_and_refetches() {
    let tools = Tools::install().await;
    std::fs::create_dir(tools.path().join("relay/generated")).expect("a folder");
    let said = tools.run_in("relay", "relay-compiler", &["relay.config.json"]).await;
    assert_eq!(said.code, Some(0), "{said}");
    for made in ["LeadRefetchQuery", "ThreadPaginationQuery", "HistoryPaginationQuery"] {
        let artifact = tools.read(&format!("relay/generated/{made}.graphql.ts"));
        assert!(artifact.contains("node(id: $id)"), "{made} does not ask for a node: {artifact}");
    }
    // A connection that is none is refused.
    tools.write(
        "relay/src/Broken.ts",
        "import { graphql } from 'relay-runtime';\nexport const broken = graphql`\n  fragment Broken_lead on Lead { stages @connection(key: \"Broken_stages\") { key } }\n`;\n",
    );
    let said = tools.run_in("relay", "relay-compiler", &["relay.config.json"]).await;
    assert!(said.code == Some(1) && said.stderr.contains("@connection"), "{said}");
}

#[tokio::test]
async fn a_tool_that_reaches_for_the_network_is_stopped() {
    let tools = Tools::install().await;
    for reach in [
        "fetch('http://example.com/')",
        "require('node:net').connect(80, '192.0.2.1')",
        "require('node:dns').promises.resolve4('example.com')",
    ] {
        let said = tools.run("node", &["--eval", reach]).await;
        assert!(said.failed(86).starts_with("the network was asked for: "), "{reach}: {said}");
    }
    assert_eq!(tools.run("node", &["--eval", "console.log(1)"]).await.ok(), "1");
}

#[test]
fn the_page_names_every_scalar_in_each_of_its_examples() {
    let read =
        |file: &str| std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).expect("it is there");
    let (schema, page) = (read("schema.graphql"), read("docs/clients.md"));
    let parts: Vec<_> = ["## Scalars", "## graphql-codegen", "## Relay"]
        .iter()
        .map(|title| page.split(title).nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a part of the page"))
        .collect();
    let scalars: Vec<_> = schema.lines().filter_map(|line| line.strip_prefix("scalar ")?.split(' ').next()).collect();
    assert!(scalars.contains(&"DateTime"), "{scalars:?}");
    for scalar in scalars {
        for part in &parts {
            assert!(part.contains(scalar), "docs/clients.md lacks {scalar} in: {part}");
        }
    }
}
