//! docs/security.md names the test of each promise: each is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|it| it == "rs") {
            found.push(entry);
        }
    }
}

/// The tests of the repository as `module::name`, where the module is the file's last one, or the file's folder where
/// tests stand in a file of that name.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "entity/src", "migration/src"] {
        sources(&root.join(folder), &mut files);
    }
    let mut tests = BTreeSet::new();
    for file in files {
        let stem = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
        let module = match stem(&file).as_str() {
            "tests" | "mod" => stem(file.parent().expect("a folder")),
            other => other.to_owned(),
        };
        let text = std::fs::read_to_string(&file).expect("a text");
        let (mut on_both, mut marked) = (false, false);
        for line in text.lines() {
            on_both = line == "on_both_databases! {" || (on_both && line != "}");
            let line = line.trim_start();
            marked |= line == "#[test]" || line.starts_with("#[tokio::test");
            let name = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
            if let Some((name, _)) = name.and_then(|name| name.split_once('(')) {
                if on_both || marked {
                    tests.insert(format!("{module}::{name}"));
                }
                marked = false;
            }
        }
    }
    tests
}

#[test]
fn every_test_that_the_security_document_names_exists() {
    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md")).expect("the document");
    let tests = tests();
    let mut named = 0;
    for part in document.split('`').skip(1).step_by(2).filter(|part| part.contains("::") && !part.contains(' ')) {
        named += 1;
        assert!(tests.contains(part), "docs/security.md names `{part}`, and there is no such test");
    }
    assert!(named > 30, "the document names {named} tests");
    // A promise without a test is none: each row of a table of promises ends with one.
    let promised =
        document.split("## What is promised").nth(1).and_then(|rest| rest.split("## What is not promised").next());
    let promised = promised.expect("what is promised, and what is not");
    let rows = promised.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() >= 2);
    for row in rows.filter(|row| !row.starts_with("| promise") && !row.starts_with("| ---")) {
        assert!(row.contains("::"), "a promise without a test: {row}");
    }
}
