//! The house stays as drawn: which room may use which, and what may be said where.
//!
//! The sources are read as text, without comments, literals and `#[cfg(test)]` modules; `use` trees are spelled out,
//! and `super::` is resolved. What this can't see: names that a macro or a glob brings in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// Which rooms of the crate each room may use beside itself. A room that is not named here stands at the front
/// (`http`, `config`, `main`, …): it may use every room, and no room that is named here may use it.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("domain", &["error"]),
    ("clock", &["domain", "error"]),
    ("store", &["domain", "error"]),
    ("service", &["store", "domain", "error"]),
    ("feed", &["service", "store", "domain", "error"]),
    ("delivery", &["service", "store", "domain", "error"]),
    ("jobs", &["delivery", "service", "store", "domain", "error"]),
    ("import", &["service", "domain", "error"]),
    ("operation", &["error"]),
    ("graphql", &["operation", "feed", "service", "store", "domain", "error"]),
];

/// What must not be said where: the places, the words (a regular expression over the code), and the rule.
/// A place is a path's beginning below the repository's root.
struct Ban {
    within: &'static str,
    except: &'static [&'static str],
    words: &'static str,
    rule: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        within: "src/domain/",
        except: &[],
        words: r"\b(async_graphql|axum|cosell_entity|cosell_migration|rand|reqwest|sea_orm|sqlx|tokio)\b",
        rule: "the domain does no I/O and knows no library that does",
    },
    Ban {
        within: "src/domain/",
        except: &[],
        words: r"\basync\s+(fn|move)\b|\basync\s*(\||\{)|\.\s*await\b|\bstd::(env|fs|net|process|thread)\b",
        rule: "the domain does no I/O",
    },
    Ban {
        within: "src/",
        except: &["src/clock.rs"],
        words: r"\b(Utc|Local|SystemTime)::now\b",
        rule: "the time comes from the Clock that is handed in",
    },
    Ban {
        // Elsewhere it measures how long something took, which is no time of the domain's.
        within: "src/domain/",
        except: &[],
        words: r"\bInstant::now\b",
        rule: "the time comes from the Clock that is handed in",
    },
    Ban { within: "src/domain/", except: &[], words: r"\bUuid::(new_v\d|now_v\d)\b", rule: "ids are handed in" },
    Ban {
        within: "src/",
        except: &["src/service/", "src/service.rs", "src/store/db.rs", "src/store/db/"],
        words: r"\.\s*(begin|begin_with\w*|transaction|transaction_with\w*)\s*(::\s*<[^>]*>\s*)?\(",
        rule: "a transaction is opened by the service and by nothing else",
    },
    Ban {
        within: "src/",
        except: &["src/store/", "src/store.rs"],
        words: r"\bcosell_entity\b|\b(EntityTrait|QuerySelect|QueryFilter)\b|\bsqlx::(query|query_as|query_scalar)\b",
        rule: "every query lives in the store",
    },
    Ban {
        within: "src/store/",
        except: &[],
        words: r"\b(async_graphql|axum|reqwest)\b",
        rule: "the store knows the database and nothing in front of it",
    },
    Ban {
        within: "src/service/",
        except: &[],
        words: r"\b(async_graphql|axum|reqwest)\b",
        rule: "a use case knows no transport, and does no network inside its transaction",
    },
    Ban {
        within: "src/graphql/",
        except: &[],
        words: r"\b(sea_orm|sqlx)\b",
        rule: "a resolver translates; it asks no database",
    },
    Ban {
        within: "entity/",
        except: &[],
        words: r"\b(async_graphql|cosell|cosell_migration)\b",
        rule: "the tables know nothing of what is made of them",
    },
    Ban {
        within: "migration/",
        except: &[],
        words: r"\b(async_graphql|cosell|cosell_entity)\b",
        rule: "a migration says what the tables were then, not what the entities are now",
    },
    Ban { within: "src/", except: &[], words: r"\b(todo|unimplemented)!", rule: "what is called done is done" },
];

/// One source file, by its path below the repository's root.
struct Source {
    path: String,
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), code: without_tests(&code_only(text)) }
    }

    /// Its module, from the crate's root: `["domain", "workflow", "engine"]`.
    fn module(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        if ["lib", "main"].contains(&path) { vec![] } else { path.split('/').collect() }
    }

    fn room(&self) -> &str {
        self.module().first().copied().unwrap_or("main")
    }

    fn line_of(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }
}

/// Everything in these sources that breaks a rule, as `path:line: what, and the rule`.
fn faults(sources: &[Source]) -> Vec<String> {
    let rooms: BTreeSet<&str> =
        sources.iter().filter(|source| source.path.starts_with("src/")).map(Source::room).collect();
    let mut faults = vec![];
    for source in sources {
        if source.path.starts_with("src/")
            && let Some((room, allowed)) = ROOMS.iter().find(|(room, _)| *room == source.room())
        {
            for (offset, used) in used_rooms(source) {
                if used != *room && rooms.contains(used.as_str()) && !allowed.contains(&used.as_str()) {
                    let line = source.line_of(offset);
                    faults.push(format!("{}:{line}: {room} uses {used}: dependencies run one way", source.path));
                }
            }
        }
        for ban in BANS {
            let applies =
                source.path.starts_with(ban.within) && !ban.except.iter().any(|path| source.path.starts_with(path));
            if applies {
                let words = Regex::new(ban.words).expect("a regular expression");
                for found in words.find_iter(&source.code) {
                    let (line, said) = (source.line_of(found.start()), found.as_str().trim());
                    faults.push(format!("{}:{line}: `{said}`: {}", source.path, ban.rule));
                }
            }
        }
    }
    faults
}

/// The crate's rooms that a file names, each with its place, by `crate::…`, by `super::…` and in `use` trees.
fn used_rooms(source: &Source) -> Vec<(usize, String)> {
    static PATH: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?x) \b(crate | super(\s*::\s*super)*) \s* :: \s* (\w+ | \{)").expect("it is one")
    });
    let module = source.module();
    let mut used = vec![];
    for found in PATH.captures_iter(&source.code) {
        let (start, head) = (found.get(0).map_or(0, |whole| whole.start()), &found[1]);
        // The path that the found name is below; a climb out of the crate belongs to a module inside the file.
        let below = if head == "crate" { 0 } else { module.len().saturating_sub(head.matches("super").count()) };
        if below > 0 {
            used.push((start, module[0].to_owned()));
        } else if &found[3] == "{" {
            let tree = &source.code[found.get(3).map_or(0, |brace| brace.end())..];
            used.extend(first_names(tree).into_iter().map(|name| (start, name)));
        } else {
            used.push((start, found[3].to_owned()));
        }
    }
    used
}

/// Of the inside of a `use` tree's braces, `a::{b, c}, d}`, the names at its first level: a and d.
fn first_names(tree: &str) -> Vec<String> {
    let (mut names, mut name, mut depth, mut in_first) = (vec![], String::new(), 0_usize, true);
    for c in tree.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(std::mem::take(&mut name));
                in_first = true;
            }
            ':' if depth == 0 => in_first = false,
            c if depth == 0 && in_first && (c.is_alphanumeric() || c == '_') => name.push(c),
            _ => {}
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty() && name != "self");
    names
}

/// The text with comments and the insides of literals blanked, every line where it was.
fn code_only(text: &str) -> String {
    static NOT_CODE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?sx)
              //[^\n]*
            | b?r"[^"]*" | b?r\#"(?:.*?)"\# | b?r\#\#"(?:.*?)"\#\#
            | b?"(?:[^"\\]|\\.)*"
            | b?'(?:[^'\\\n]|\\[^\n]{1,9}?)'
            "#,
        )
        .expect("it is one")
    });
    let blank = |text: &str| text.chars().map(|c| if c == '\n' { c } else { ' ' }).collect::<String>();
    // Block comments nest, which no regular expression can follow; the house style has none, so a plain one will do.
    let code = NOT_CODE.replace_all(text, |found: &regex::Captures<'_>| blank(&found[0]));
    let block = Regex::new(r"(?s)/\*.*?\*/").expect("it is one");
    block.replace_all(&code, |found: &regex::Captures<'_>| blank(&found[0])).into_owned()
}

/// The code with the insides of `#[cfg(test)] mod … { … }` blanked.
fn without_tests(code: &str) -> String {
    static TESTS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub\s+)?mod\s+\w+\s*\{").expect("it is one")
    });
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(found) = TESTS.find(rest) {
        kept.push_str(&rest[..found.end()]);
        let mut depth = 1;
        let inside = &rest[found.end()..];
        let end = inside.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(at)
        });
        let (tests, after) = inside.split_at(end.unwrap_or(inside.len()));
        kept.extend(tests.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    kept + rest
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a folder's entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn sources() -> Vec<Source> {
    ["src", "entity/src", "migration/src"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        // A `#[cfg(test)] mod tests;` in a file of its own.
        .filter(|path| !path.ends_with("tests.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file");
            let path = path.strip_prefix(root()).expect("it is below the root").to_string_lossy().replace('\\', "/");
            Source::new(&path, &text)
        })
        .collect()
}

#[test]
fn every_room_uses_only_what_it_may() {
    let sources = sources();
    assert!(sources.len() > 5, "the sources were found");
    let faults = faults(&sources);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_migration_is_listed_once_and_does_something() {
    let folder = root().join("migration/src");
    let list = code_only(&fs::read_to_string(folder.join("lib.rs")).expect("the list of migrations"));
    let declared = Regex::new(r"\bmod\s+(m\d\w*)\s*;").expect("it is one");
    let declared: BTreeSet<_> = declared.captures_iter(&list).map(|found| found[1].to_owned()).collect();
    let mut files = BTreeSet::new();
    for path in rust_files(&folder) {
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        if !name.starts_with('m') || !name[1..].starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let code = code_only(&fs::read_to_string(&path).expect("a migration"));
        let up = code.split_once("fn up").unwrap_or_else(|| panic!("{name} has no `up`")).1;
        assert!(up.contains(".await"), "{name} does nothing");
        let uses = Regex::new(&format!(r"\b{name}::")).expect("it is one").find_iter(&list).count();
        assert_eq!(uses, 1, "{name} stands once in the list of migrations");
        files.insert(name);
    }
    assert_eq!(files, declared, "each file is a module, and each module a file");
}

/// What is wrong with one file among the rooms of a small house.
fn faults_of(path: &str, text: &str) -> Vec<String> {
    let mut sources: Vec<_> = ["domain", "error", "store", "service", "graphql", "feed", "http", "config"]
        .iter()
        .map(|room| Source::new(&format!("src/{room}/mod.rs"), ""))
        .collect();
    sources.push(Source::new(path, text));
    faults(&sources)
}

#[test]
fn a_dependency_that_points_the_other_way_is_found_however_it_is_written() {
    for text in [
        "use crate::service::lead;",
        "use crate::{domain::{id, lead}, service};",
        "use crate::{\n    domain::lead,\n    service::{self, accept},\n};",
        "fn f() { crate::service::accept() }",
        "use super::super::service::accept;",
        "use super :: super :: {service, error};",
        "pub(crate) use crate::service as s;",
    ] {
        let found = faults_of("src/store/lead.rs", text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains("store uses service"), "{found:?}");
    }
    assert_eq!(
        faults_of("src/domain/lead.rs", "\nuse crate::config::Config;"),
        ["src/domain/lead.rs:2: domain uses config: dependencies run one way"]
    );
    assert_eq!(faults_of("src/service/lead.rs", "use crate::http::auth;").len(), 1);
    assert_eq!(faults_of("src/feed/tail.rs", "use crate::graphql::Schema;").len(), 1);
}

#[test]
fn a_word_in_the_wrong_place_is_found() {
    for (path, text) in [
        ("src/domain/lead.rs", "use sea_orm::Value;"),
        ("src/domain/lead.rs", "use std::fs;"),
        ("src/domain/lead.rs", "async fn f() {}"),
        ("src/domain/lead.rs", "let id = Uuid::now_v7();"),
        ("src/domain/lead.rs", "let at = Instant::now();"),
        ("src/graphql/lead.rs", "let now = chrono::Utc::now();"),
        ("src/config.rs", "let now = SystemTime::now();"),
        ("src/jobs/expiry.rs", "let t = db.begin().await?;"),
        ("src/store/lead.rs", "db.transaction::<_, (), DbErr>(|t| x).await?;"),
        ("src/store/lead.rs", "db\n    .begin_with_config(None, None)\n    .await?;"),
        ("src/graphql/lead.rs", "let db: sea_orm::DatabaseConnection;"),
        ("src/service/lead.rs", "use cosell_entity::lead;"),
        ("src/service/lead.rs", "use axum::Json;"),
        ("src/http/auth.rs", "sqlx::query(\"SELECT 1\")"),
        ("entity/src/lead.rs", "use async_graphql::SimpleObject;"),
        ("migration/src/m1.rs", "use cosell_entity::lead;"),
        ("src/main.rs", "todo!(\"later\")"),
    ] {
        assert_eq!(faults_of(path, text).len(), 1, "{path}: {text}: {:?}", faults_of(path, text));
    }
}

#[test]
fn what_is_allowed_is_not_complained_of() {
    for (path, text) in [
        ("src/domain/lead.rs", "use crate::error::Fault;\nuse super::id::LeadId;\nuse super::super::error;"),
        ("src/domain/lead.rs", "/// See `sea_orm`, and Utc::now.\nconst S: &str = \"tokio::spawn \\\" sqlx\";"),
        ("src/domain/lead.rs", "const Q: char = '\"'; /* axum */ fn f<'a>(x: &'a str) {} // tokio"),
        ("src/domain/lead.rs", "#[cfg(test)]\nmod tests {\n    fn f() { if x { rand::rng() } }\n}\n"),
        ("src/domain/lead.rs", "let x = r#\"tokio \" axum\"#;"),
        ("src/service/lead.rs", "let t = db.begin().await?; use crate::{store::lead, domain, error};"),
        ("src/store/lead.rs", "use cosell_entity::lead; use super::scope::Scope; use crate::domain;"),
        ("src/http/auth.rs", "use crate::{config::Config, graphql, service, store};"),
        ("src/main.rs", "use cosell::config::Config;"),
        ("src/clock.rs", "Utc::now()"),
    ] {
        assert_eq!(faults_of(path, text), [""; 0], "{path}: {text}");
    }
    let after = "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\nuse tokio::x;";
    assert_eq!(faults_of("src/domain/lead.rs", after).len(), 1, "what follows the tests is code again");
    assert!(faults_of("src/domain/lead.rs", after)[0].contains("lead.rs:5:"));
}
