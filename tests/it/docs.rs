//! What the documentation says of settings and commands is so.

use cosell::config::SETTINGS;
use regex::Regex;

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
            let known = ["COSELL_CONFIG", "COSELL_TEST_POSTGRES_URL"].contains(&found.as_str())
                || SETTINGS.iter().any(|setting| setting.env == found.as_str());
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
