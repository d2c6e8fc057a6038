//! What the documentation says of settings, commands and workflows is so.

use cosell::config::SETTINGS;
use cosell::domain::actor::{Role, Side};
use cosell::domain::workflow::builtin;
use cosell::domain::workflow::definition::{Stage, TrackKey};
use cosell::domain::workflow::diagram::mermaid;
use cosell::domain::workflow::engine::{Caller, Facts, Fields, Form, Limits, decide};
use cosell::domain::workflow::read::read_text;
use cosell::domain::workflow::schema::json_schema;
use regex::Regex;
use serde_json::{Value, json};

use crate::support::cli::Cli;

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

/// Every page names only variables that are settings.
#[test]
fn no_page_names_a_setting_that_is_not_there() {
    let variable = Regex::new(r"\bCOSELL_[A-Z_]*[A-Z]\b").expect("a pattern");
    let folder = format!("{}/docs", env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec!["README.md".to_owned()];
    for entry in std::fs::read_dir(folder).expect("docs").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        if name.to_ascii_lowercase().ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    for path in pages {
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
    let command = Regex::new(r"(?m)^(?:cosell|cargo run --release --) ([a-z][^#\n]*)").expect("a pattern");
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
