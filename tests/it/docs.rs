//! What the documentation says of settings, commands and workflows is so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use apollo_compiler::{ExecutableDocument, Schema};
use cosell::config::SETTINGS;
use cosell::domain::actor::{Role, Side};
use cosell::domain::workflow::builtin;
use cosell::domain::workflow::definition::{Stage, TrackKey};
use cosell::domain::workflow::diagram::mermaid;
use cosell::domain::workflow::engine::{Caller, Facts, Fields, Form, Limits, decide};
use cosell::domain::workflow::read::read_text;
use cosell::domain::workflow::schema::json_schema;
use cosell::error::{ErrorCode, Fault, Reason};
use regex::Regex;
use serde_json::{Value, json};

use crate::support::cli::{Cli, Running};
use crate::support::node::Project;

fn page(path: &str) -> String {
    let file = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn every_setting_stands_in_the_page_with_its_default_and_no_other_does() {
    let page = page("docs/configuration.md");
    for setting in SETTINGS {
        let default = setting.default.map_or_else(|| "unset".to_owned(), |default| format!("`{default}`"));
        let row = format!("| `{}` | `{}` | {default} | {} |", setting.env, setting.key, setting.meaning);
        assert!(page.lines().any(|line| line == row), "docs/configuration.md lacks the row:\n{row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `COSELL_")).count();
    assert_eq!(rows, SETTINGS.len(), "docs/configuration.md has rows of settings that are not there");
}

/// The pages, by their paths.
fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned(), "examples/live-feed/README.md".to_owned()];
    for entry in std::fs::read_dir(format!("{}/docs", env!("CARGO_MANIFEST_DIR"))).expect("docs").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        if name.to_ascii_lowercase().ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    pages
}

/// Every page names only variables that are settings.
#[test]
fn no_page_names_a_setting_that_is_not_there() {
    let variable = Regex::new(r"\bCOSELL_[A-Z_]*[A-Z]\b").expect("a pattern");
    for path in pages() {
        for found in variable.find_iter(&page(&path)) {
            let known = ["COSELL_CONFIG", "COSELL_PLAYGROUND_BUNDLE", "COSELL_TEST_POSTGRES_URL"]
                .contains(&found.as_str())
                || SETTINGS.iter().any(|setting| setting.is_set_by(found.as_str()));
            assert!(known, "{path} names {}, which is no setting", found.as_str());
        }
    }
}

/// Runs each command that the README names with `--help`, and looks for each option that it is named with.
#[test]
fn the_commands_of_the_readme_exist() {
    let readme = page("README.md");
    // "cosell company add acme --name ..." at a line's beginning, in a block of commands; or after "cargo run ... --".
    let command = Regex::new(r"(?m)^(?:cosell|cargo run --profile demo --) ([a-z][^#\n]*)").expect("a pattern");
    let option = Regex::new(r"--[a-z][a-z-]*").expect("a pattern");
    let cli = Cli::new();
    let mut seen = Vec::new();
    let blocks: String = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    for found in command.captures_iter(&blocks) {
        let line = found[1].trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let help = match words[0] {
            "company" => cli.run(["company", words[1], "--help"]),
            name => cli.run([name, "--help"]),
        };
        assert_eq!(help.code, Some(0), "{line}: {help:?}");
        for option in option.find_iter(line) {
            assert!(help.stdout.contains(option.as_str()), "{line}: there is no option {}", option.as_str());
        }
        seen.push(words[0].to_owned());
    }
    for name in ["demo", "import", "migrate", "company", "token", "serve"] {
        assert!(seen.iter().any(|found| found == name), "the README does not show `cosell {name}`");
    }
    let script = format!("{}/scripts/test", env!("CARGO_MANIFEST_DIR"));
    assert!(readme.contains("scripts/test") && std::path::Path::new(&script).is_file());
}

/// Runs each command that the page for operators names with `--help`, and looks for each option.
#[test]
fn the_commands_of_the_page_for_operators_exist() {
    let page = page("docs/operations.md");
    let command =
        Regex::new(r"(?:^|[ /])cosell ([a-z]+(?: add| verify)?|--check-config)\b([^#\n)]*)").expect("a pattern");
    let option = Regex::new(r" (--[a-z][a-z-]*)").expect("a pattern");
    let cli = Cli::new();
    let mut seen = std::collections::BTreeSet::new();
    let lines = blocks(&page, "sh").join("\n").replace("\\\n", " ");
    // Of other programs that take the name as theirs.
    let ours = lines.lines().filter(|line| !line.contains("docker build") && !line.contains("install -"));
    for line in ours {
        for found in command.captures_iter(line) {
            let words = found[1].split(' ').filter(|word| *word != "--check-config").chain(["--help"]);
            let help = cli.run(words);
            assert_eq!(help.code, Some(0), "{line}: {help}");
            for option in option.captures_iter(&found[2]) {
                assert!(help.stdout.contains(&option[1]), "{line}: there is no option {}", &option[1]);
            }
            seen.insert(found[1].to_owned());
        }
    }
    for name in ["serve", "migrate", "backup", "healthcheck", "company add", "audit verify"] {
        assert!(seen.contains(name), "docs/operations.md does not show `cosell {name}`: {seen:?}");
    }
}

/// The blocks of a page in that language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    page.split(&start).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

#[test]
fn the_page_of_workflows_draws_those_that_are_shipped() {
    let drawn = blocks(&page("docs/workflow.md"), "mermaid");
    let made: Vec<_> = builtin::current().map(|definition| mermaid(definition)).collect();
    assert_eq!(drawn, made, "renew the diagrams with `cosell workflow diagram KEY`");
}

#[test]
fn the_page_of_workflows_lists_their_stages_and_actions() {
    let page = page("docs/workflow.md");
    for definition in builtin::current() {
        let (_, section) = page.split_once(&format!("\n## `{}`\n", definition.key)).expect("a section");
        let section = section.split("\n## ").next().expect("its text");
        let two = definition.tracks.len() > 1;
        for stage in &definition.stages {
            let track = if two { format!("| {} ", stage.track.as_str()) } else { String::new() };
            let end = match (stage.terminal, stage.reserved) {
                (true, true) => "yes, reserved",
                (true, false) => "yes",
                _ => "",
            };
            let row = format!("{track}| `{}` | {} | `{}` | {end} |", stage.key, stage.name, stage.kind.as_str());
            assert!(section.lines().any(|line| line == row), "{} lacks the row:\n{row}", definition.key);
        }
        for action in &definition.actions {
            let name = |key: &String| definition.stage(key).map_or("any", |stage| &stage.name);
            let from: Vec<_> = action.from.iter().map(name).collect();
            let to = action.to.as_ref().map_or("", name);
            let row = format!("| `{}` | {} | {to} | ", action.key, from.join(", "));
            let line = section.lines().find(|line| line.starts_with(&row));
            let line = line.unwrap_or_else(|| panic!("{} lacks the row:\n{row}", definition.key));
            for field in &action.fields {
                assert!(line.contains(&field.key), "{line}\nlacks {}", field.key);
            }
        }
        let rows = section.lines().filter(|line| line.starts_with("| `") || line.starts_with("| ST")).count();
        assert_eq!(rows, definition.stages.len() + definition.actions.len(), "{} has rows too many", definition.key);
    }
}

#[test]
fn the_page_of_submitted_leads_lists_their_statuses() {
    let page = page("docs/submitted-leads.md");
    let definition = builtin::builtin("submitted-lead", 2).expect("it is shipped");
    let statuses = || definition.stages.iter().filter(|stage| stage.track == TrackKey::Status);
    for status in statuses() {
        let row = format!("| {} | `{}` | ", status.name, status.key);
        assert!(page.lines().any(|line| line.starts_with(&row)), "docs/submitted-leads.md lacks the row:\n{row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains(" | `")).count();
    assert_eq!(rows, statuses().count(), "docs/submitted-leads.md has rows of statuses that are not there");
}

/// Everything that a definition can hold stands on the page, by its name.
#[test]
fn the_page_of_workflows_names_all_of_the_format() {
    fn names(schema: &Value, into: &mut Vec<String>) {
        match schema {
            Value::Object(map) => {
                into.extend(map.get("const").and_then(Value::as_str).map(str::to_owned));
                into.extend(
                    map.get("properties").and_then(Value::as_object).into_iter().flat_map(|it| it.keys().cloned()),
                );
                map.values().for_each(|value| names(value, into));
            }
            Value::Array(items) => items.iter().for_each(|value| names(value, into)),
            _ => {}
        }
    }
    let page = page("docs/workflow.md");
    let mut all = Vec::new();
    names(&json_schema(), &mut all);
    assert!(all.len() > 100, "{}", all.len());
    for name in all {
        let word = Regex::new(&format!(r"\b{name}\b")).expect("a pattern");
        assert!(word.is_match(&page), "docs/workflow.md does not name {name}");
    }
}

#[test]
fn the_schema_of_workflows_is_current() {
    let file: Value = serde_json::from_str(&page("docs/workflow.schema.json")).expect("JSON");
    let renew = "renew it with `cargo run -- workflow schema --output docs/workflow.schema.json`";
    assert!(file == json_schema(), "docs/workflow.schema.json is stale; {renew}");
}

#[test]
fn the_example_of_a_company_s_own_workflow_is_sound_and_leads_to_dropped_and_back() {
    let text = page("docs/examples/internal-lead-with-drop.json");
    let example = read_text(&text).expect("it is sound");
    let shipped = builtin::builtin("internal-lead", 2).expect("it is shipped");
    // The shipped one and two actions more.
    let own: Vec<_> = example.actions.iter().filter(|action| !shipped.actions.contains(action)).collect();
    let keys: Vec<_> = own.iter().map(|action| (action.key.as_str(), action.to.as_deref())).collect();
    assert_eq!(keys, [("drop", Some("dropped")), ("pick_up", Some("new"))]);
    assert_eq!(example.actions.len(), shipped.actions.len() + 2);
    let same = |a: &Stage, b: &Stage| a == b || (a.key == "dropped" && b.key == "dropped" && b.reserved);
    assert!(example.stages.iter().zip(&shipped.stages).all(|(a, b)| same(a, b)));
    // The page shows the first.
    let shown = blocks(&page("docs/workflow.md"), "json");
    let action: Value = serde_json::from_str(&shown[0]).expect("JSON");
    assert_eq!(action, serde_json::to_value(own[0]).expect("JSON"));

    let now = "2026-11-21T09:30:00Z".parse().expect("a moment");
    let sales =
        Caller::Member { side: Side::Source, vendor: None, moves_stage: false, roles: &[Role::Sales], owner: false };
    let at = |stage| Facts {
        stage,
        status: None,
        stage_locked: false,
        expires_at: None,
        on_expiry: None,
        active: true,
        limits: Limits::default(),
        fields: Fields::None,
        expires_at_override: None,
        orphaned: false,
    };
    let reason = json!({"reason": "No time this year"});
    let none = json!({});
    for (from, action, values, to) in [
        ("new", "drop", &reason, "dropped"),
        ("assigned", "drop", &reason, "dropped"),
        ("dropped", "pick_up", &none, "new"),
    ] {
        let form = Form { values: values.as_object().expect("an object"), prefix: "input.fields" };
        let decision = decide(&example, &at(from), sales, action, &form, now).expect("it is possible");
        assert_eq!(decision.to.key, to);
    }
}

/// Whoever pastes a block into the playground and runs it gets an answer: it is valid, and there is no choosing.
#[test]
fn every_operation_of_the_pages_is_valid_and_runs_as_it_is_pasted() {
    let schema = Schema::parse_and_validate(page("schema.graphql"), "schema.graphql").expect("it is valid");
    let check = |block: &str, path: &str| {
        let document =
            ExecutableDocument::parse_and_validate(&schema, block, path).map_err(|faults| faults.to_string())?;
        match document.operations.len() {
            1 => Ok(()),
            several => Err(format!("it has {several} operations")),
        }
    };
    let mut checked = 0;
    for path in pages() {
        for block in blocks(&page(&path), "graphql") {
            // Of comments alone there is nothing to run.
            if block.lines().all(|line| line.is_empty() || line.starts_with('#')) {
                continue;
            }
            check(&block, &path).unwrap_or_else(|fault| panic!("{path}: {fault}\n{block}"));
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
    for wrong in [
        "{ leads { colour } }",
        "{ viewer { id } } query { viewer { id } }",
        "query A { viewer { id } } query B { viewer { id } }",
    ] {
        assert!(check(wrong, "wrong").is_err(), "{wrong}");
    }
}

#[test]
fn the_page_of_errors_has_all_that_an_error_can_say_and_no_more() {
    let page = page("docs/errors.md");
    let rows = |head: &str| -> Vec<String> {
        let (_, table) = page.split_once(&format!("\n| {head} |")).unwrap_or_else(|| panic!("no table of {head}"));
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        rows.map(str::to_owned).collect()
    };
    let names = |rows: &[String]| -> BTreeSet<String> {
        rows.iter().map(|row| row.split('`').nth(1).expect("a name").to_owned()).collect()
    };
    let codes: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(names(&rows("code | meaning | what to do")), codes);

    let told = rows("reason | code | meaning");
    for reason in Reason::ALL {
        let row = format!("| `{}` | `{}` | ", reason.as_str(), reason.code().as_str());
        assert!(told.iter().any(|it| it.starts_with(&row)), "docs/errors.md lacks the row {row}");
    }
    assert_eq!(told.len(), Reason::ALL.len());

    let fault = || Fault::because(Reason::WrongStage, "No.").at("input.a").action("a").stage("b").version(1);
    let faults =
        [fault().pointer("/a"), fault().start_after("c"), fault().limit("limits.max_depth", 1), fault().retry_after(1)];
    let mut sent: BTreeSet<_> = faults
        .iter()
        .flat_map(|fault| fault.extensions().map(|it| it.0).chain(fault.numbers().map(|it| it.0)))
        .map(str::to_owned)
        .collect();
    // `http::answer` adds it.
    sent.insert("requestId".to_owned());
    assert_eq!(names(&rows("extension | what it is")), sent);
}

/// `Reason` says which of the three it is; whoever makes such a fault by its code alone would leave the reason out.
#[test]
fn what_is_forbidden_not_possible_or_in_conflict_always_has_a_reason() {
    fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in folder.read_dir().expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|it| it == "rs") {
                into.push(path);
            }
        }
    }
    let bare = Regex::new(r"new\(\s*ErrorCode::(Forbidden|InvalidTransition|Conflict)\b").expect("a pattern");
    assert!(bare.is_match("Fault::new(\n    ErrorCode::Conflict, \"No.\")"));
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source");
        assert!(!bare.is_match(&text), "{}: use Fault::because", file.display());
    }
}

/// All that the README tells to type, from the demo's start to the import, in its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_readme_work_in_their_order() {
    const SOON: Duration = Duration::from_mins(1);
    let readme = page("README.md");
    let (_, rest) = readme.split_once("\n## First steps\n").expect("a section");
    let (steps, _) = rest.split_once("\n## On PostgreSQL\n").expect("the section after");
    let cli = Cli::new().env("COSELL_LISTEN", "127.0.0.1:0");
    let folder = cli.folder().to_owned();
    let mut demo = cli.start(["demo"]);
    let line = demo.line_with("GraphQL", SOON);
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    demo.line_with("TESS=", SOON);

    // What the repository has at its root, and the binary by its name.
    std::os::unix::fs::symlink(format!("{}/docs", env!("CARGO_MANIFEST_DIR")), folder.join("docs")).expect("a link");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cosell"), folder.join("cosell")).expect("a link");
    let node = tokio::task::spawn_blocking(|| Project::of("examples/live-feed")).await.expect("it is installed");
    std::os::unix::fs::symlink(node.path().join("node_modules"), folder.join("node_modules")).expect("a link");
    let follow = blocks(steps, "js").remove(0);
    std::fs::write(folder.join("follow.mjs"), follow.replace("127.0.0.1:8080", &address)).expect("a file");
    let mut path = folder.clone().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").expect("a path"));

    let mut before = String::from("set -eu\n");
    let mut lead = String::new();
    let mut following: Option<Running> = None;
    let mut said = Vec::new();
    let printed = Regex::new(r"LEAD='[^']+'").expect("a pattern");
    for block in blocks(steps, "sh") {
        // The reader's own id, in the place of the one that is printed.
        let block = printed.replace(&block, format!("LEAD='{lead}'")).replace("127.0.0.1:8080", &address);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{before}{block}")]).current_dir(&folder).env("PATH", &path);
        let running = Running::of(command, block.clone());
        if block.contains("node follow.mjs") {
            following = Some(running);
            continue;
        }
        let output = tokio::task::spawn_blocking(move || running.output());
        let output = output.await.expect("it ends").ok().to_owned();
        if block.contains("pending") {
            let answer: Value = serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}"));
            answer["data"]["leads"]["edges"][0]["node"]["id"].as_str().expect("an id").clone_into(&mut lead);
        }
        // What is set stays set for those that follow.
        if block.contains("cosell-demo.db.env") {
            before.push_str(&block);
        }
        said.push(output);
    }
    let answers: Vec<Value> = said.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    // As the README shows them, but for ids and times.
    let shown: Vec<Value> = blocks(steps, "json").iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    let plain = |value: &Value| {
        let text = Regex::new(r#""(id|acceptedAt|expiresAt)":"[^"]*""#).expect("a pattern");
        text.replace_all(&value.to_string(), "").into_owned()
    };
    assert_eq!(plain(&answers[0]), plain(&shown[0]));
    assert_eq!(plain(&answers[1]), plain(&shown[1]));
    assert_eq!(answers.len(), 2);
    let import = said.last().expect("the import");
    assert!(
        import.contains("Dry run, nothing was written: ") && import.contains(" created, 0 already here, 0 faulty"),
        "{import}"
    );

    // The follower hears of what comes after it began; here that is Clara's next lead.
    let mut following = following.expect("a block that follows");
    let tokens = std::fs::read_to_string(folder.join("cosell-demo.db.env")).expect("tokens");
    let token = |name: &str| {
        tokens.split(&format!("export {name}=")).nth(1).and_then(|it| it.lines().next()).expect("a token").to_owned()
    };
    let clara = crate::support::http::Client::new(address.parse().expect("an address"), Some(&token("CLARA")));
    let comment = json!({ "leadId": lead, "body": "Seen" });
    let mut heard = String::new();
    for _ in 0..60 {
        clara.mutate("addComment", comment.clone(), "comment { id }").await.ok();
        let line = tokio::task::spawn_blocking(move || {
            let line = following.line_within("CommentAdded", Duration::from_secs(1));
            (line, following)
        });
        let (line, back) = line.await.expect("a thread");
        following = back;
        if let Some(line) = line {
            heard = line;
            break;
        }
    }
    let heard: Value = serde_json::from_str(&heard).expect("JSON");
    assert_eq!(heard["lead"]["stage"]["name"], "Accepted");
    assert!(
        cli.folder().join("cosell-demo.db").exists() && !cli.folder().join("cosell.db").exists(),
        "a stray database"
    );
}
