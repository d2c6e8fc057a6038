//! What is in `packaging/` fits the server: unit, image and compose file.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cosell::config::SETTINGS;
use regex::Regex;
use serde_json::Value;

use crate::support::cli::Cli;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Of 100; what is known to be unsafe is 90, what a service without any protection has is 96.
const MOST_EXPOSED: &str = "15";

fn text(path: &str) -> String {
    let file = Path::new(ROOT).join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn run(command: &mut Command, hint: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}. {hint}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}:\n{said}");
    said
}

#[test]
fn every_setting_that_is_named_there_exists() {
    let variable = Regex::new(r"\bCOSELL_[A-Z_]*[A-Z]\b").expect("a pattern");
    let files = ["Dockerfile", "compose.yaml", "systemd/cosell.env", "systemd/cosell.service"];
    let mut seen = BTreeSet::new();
    for file in files {
        for found in variable.find_iter(&text(&format!("packaging/{file}"))) {
            let name = found.as_str();
            // Of the build, not of the server.
            let known = name == "COSELL_PLAYGROUND_BUNDLE" || SETTINGS.iter().any(|setting| setting.is_set_by(name));
            assert!(known, "packaging/{file} names {name}, which is no setting");
            seen.insert(name.to_owned());
        }
    }
    assert!(seen.contains("COSELL_JWT_SECRET_FILE") && seen.len() > 6, "{seen:?}");
}

#[test]
fn the_unit_is_sound_and_leaves_an_attacker_little() {
    let hint = "The tests need systemd-analyze. `scripts/test` installs it; by hand: apt-get install systemd.";
    let folder = tempfile::tempdir().expect("a folder");
    let unit = folder.path().join("cosell.service");
    // The binary is where this build left it.
    let here = text("packaging/systemd/cosell.service").replace("/usr/local/bin/cosell", env!("CARGO_BIN_EXE_cosell"));
    fs::write(&unit, here).expect("a file");
    let said = run(Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&unit), hint);
    // Of this unit; others of the machine are not our affair.
    let ours: Vec<_> = said.lines().filter(|line| line.contains("cosell")).collect();
    assert!(ours.is_empty(), "{said}");
    let threshold = format!("--threshold={MOST_EXPOSED}");
    run(Command::new("systemd-analyze").args(["security", "--offline=true", &threshold]).arg(&unit), hint);
}

/// Each `NAME=VALUE` of a file of variables, and of the unit's own.
fn variables(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.trim_start_matches("Environment=").split_once('='))
        .filter(|(name, _)| name.starts_with("COSELL_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_unit_s_settings_are_sound_as_systemd_hands_them_in() {
    let unit = text("packaging/systemd/cosell.service");
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().display().to_string();
    let mut cli = Cli::new();
    for (name, value) in variables(&unit).into_iter().chain(variables(&text("packaging/systemd/cosell.env"))) {
        cli = cli.env(&name, value.replace("%d", &place).replace("/var/lib/cosell", &place));
    }
    // A credential that nobody else can read.
    let credential = folder.path().join("jwt-secret");
    fs::write(&credential, "4f1d0c8e5ab6473f92f0c6a1d7e8b935").expect("a file");
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o400)).expect("a file");
    assert!(unit.contains("ExecStartPre=/usr/local/bin/cosell serve --check-config\n"));
    let output = cli.run(["serve", "--check-config"]);
    output.ok();
    assert_eq!(output.stderr, "", "{output}");
    // A wrong configuration ends with the code that keeps systemd from trying again.
    assert!(unit.contains("RestartPreventExitStatus=2\n"));
    cli.env("COSELL_LISTEN", "nowhere").run(["serve"]).failed(2);
}

/// One instruction, on one line.
fn instructions(dockerfile: &str) -> Vec<(String, String)> {
    let lines = dockerfile.lines().filter(|line| !line.trim_start().starts_with('#'));
    let whole = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let lines = whole.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| line.split_once(' ').unwrap_or_else(|| panic!("{line} is no instruction")))
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect()
}

/// Whether the image's build gets this file, by the patterns of its `.dockerignore`: the last one that fits decides.
fn is_sent(ignore: &str, path: &str) -> bool {
    let mut sent = true;
    for pattern in ignore.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (keeps, pattern) = pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest));
        let fits = match pattern.strip_prefix("**/") {
            Some(name) => path.split('/').any(|part| part == name),
            None if pattern == "*" => true,
            None => path == pattern || path.starts_with(&format!("{pattern}/")),
        };
        if fits {
            sent = keeps;
        }
    }
    sent
}

fn files_below(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            // What was built is large, and never sent.
            if ![".git", "target", "node_modules"].iter().any(|it| name == *it) {
                files_below(&path, into);
            }
        } else {
            into.push(path);
        }
    }
}

/// The files that the build gets, by their paths.
fn context() -> Vec<String> {
    let ignore = text("packaging/Dockerfile.dockerignore");
    let mut files = Vec::new();
    files_below(Path::new(ROOT), &mut files);
    let names =
        files.iter().map(|file| file.strip_prefix(ROOT).expect("below it").to_str().expect("a name").to_owned());
    names.filter(|name| is_sent(&ignore, name)).collect()
}

#[test]
fn the_image_is_small_and_not_root_and_every_file_that_it_needs_is_sent() {
    let all = instructions(&text("packaging/Dockerfile"));
    let known = [
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "VOLUME",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    ];
    let stages: BTreeSet<_> = all
        .iter()
        .filter(|(name, _)| name == "FROM")
        .map(|(_, rest)| rest.rsplit_once(" AS ").map_or_else(|| rest.clone(), |(_, stage)| stage.to_owned()))
        .collect();
    let files = context();
    for (name, rest) in &all {
        assert!(known.contains(&name.as_str()), "{name} is no instruction");
        if name == "FROM" {
            let image = rest.split(' ').next().expect("an image");
            let tag = image.rsplit_once(':').map_or("latest", |(_, tag)| tag);
            assert!(tag != "latest", "{image} is another one tomorrow");
        }
        if name == "COPY" {
            let words: Vec<_> = rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
            if let Some(from) = rest.split_whitespace().find_map(|word| word.strip_prefix("--from=")) {
                assert!(stages.contains(from), "there is no stage {from}");
                continue;
            }
            for source in &words[..words.len() - 1] {
                let below = format!("{source}/");
                let there = *source == "." || files.iter().any(|file| file == source || file.starts_with(&below));
                assert!(there, "COPY {source}: there is no such file, or .dockerignore keeps it back");
            }
        }
    }
    let last = all.iter().rposition(|(name, _)| name == "FROM").expect("a stage");
    let last = &all[last..];
    let one = |wanted: &str| {
        let mut found = last.iter().filter(|(name, _)| name == wanted).map(|(_, rest)| rest.as_str());
        let first = found.next().unwrap_or_else(|| panic!("the image has no {wanted}"));
        assert!(found.next().is_none(), "{wanted} stands there twice");
        first
    };
    let user = one("USER");
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    assert_eq!(one("STOPSIGNAL"), "SIGTERM");
    assert_eq!((one("VOLUME"), one("WORKDIR"), one("EXPOSE")), ("/data", "/data", "8080"));
    assert!(!last.iter().any(|(name, _)| name == "RUN"), "there is no shell to run it");
    // Without a shell only the form of a JSON array works, and what it names is a command of ours.
    let words = |text: &str| -> Vec<String> { serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}")) };
    let binary = words(one("ENTRYPOINT"));
    assert_eq!(binary, ["/usr/local/bin/cosell"]);
    let check = words(one("HEALTHCHECK").split_once("CMD ").expect("a command").1);
    assert_eq!(check[0], binary[0]);
    for command in [&check[1], &words(one("CMD"))[0]] {
        Cli::new().run([command.as_str(), "--help"]).ok();
    }
    for pair in one("ENV").split(' ') {
        let (name, value) = pair.split_once('=').expect("a variable");
        let cli = Cli::new().env("COSELL_JWT_SECRET", "4f1d0c8e5ab6473f92f0c6a1d7e8b935").env(name, value);
        assert_eq!(cli.run(["--check-config"]).ok().matches(name).count(), 1, "{pair}");
    }
}

#[test]
fn cargo_finds_all_that_it_needs_in_what_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = context();
    assert!(files.iter().any(|file| file == "src/main.rs") && !files.iter().any(|file| file.starts_with("tests/")));
    for file in &files {
        let to = folder.path().join(file);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(Path::new(ROOT).join(file), to).expect("a copy");
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--locked", "--offline"]).current_dir(folder.path());
    assert!(run(&mut cargo, "").contains("\"default_run\":\"cosell\""));
    // What the sources read into the binary.
    let included = Regex::new(r#"include_(?:str|bytes)!\(\s*"([^"]+)""#).expect("a pattern");
    for file in
        files.iter().filter(|file| file.starts_with("src/") && Path::new(file).extension().is_some_and(|it| it == "rs"))
    {
        let source = fs::read_to_string(folder.path().join(file)).expect("a source");
        for found in included.captures_iter(&source) {
            let target = folder.path().join(file).parent().expect("a folder").join(&found[1]);
            assert!(target.is_file(), "{file} includes {}, which is not sent", &found[1]);
        }
    }
}

fn compose() -> Value {
    serde_saphyr::from_str(&text("packaging/compose.yaml")).expect("YAML")
}

/// A service with what it takes from `<<`.
fn merged(service: &Value) -> Value {
    let mut whole = service.get("<<").cloned().unwrap_or_else(|| serde_json::json!({}));
    let own = service.as_object().expect("a mapping").iter().filter(|(name, _)| *name != "<<");
    whole.as_object_mut().expect("a mapping").extend(own.map(|(name, value)| (name.clone(), value.clone())));
    whole
}

#[test]
fn the_compose_file_starts_things_in_order_and_shows_them_to_this_machine_alone() {
    let compose = compose();
    let services = compose["services"].as_object().expect("services");
    let secrets = compose["secrets"].as_object().expect("secrets");
    for (name, service) in services {
        let service = merged(service);
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:")), "{name}: {port}");
        }
        for secret in service["secrets"].as_array().into_iter().flatten() {
            assert!(secrets.contains_key(secret.as_str().expect("a name")), "{name}: {secret}");
        }
        for (other, how) in service["depends_on"].as_object().into_iter().flatten() {
            let other = merged(services.get(other).unwrap_or_else(|| panic!("{name}: there is no {other}")));
            match how["condition"].as_str() {
                Some("service_healthy") => assert!(other["healthcheck"]["test"].is_array(), "{name}: {how}"),
                Some("service_completed_successfully") => assert_eq!(other["command"][0], "migrate"),
                _ => panic!("{name}: {how}"),
            }
        }
        let image = service["image"].as_str().expect("an image");
        assert!(service["build"].is_object() || image.contains(':'), "{name}: {image} is another one tomorrow");
    }
    let servers = services.keys().filter(|name| name.starts_with("cosell-")).count();
    assert_eq!(servers, 2);
    assert_eq!(merged(&services["cosell-1"])["depends_on"]["migrate"]["condition"], "service_completed_successfully");
    let build = &merged(&services["cosell-1"])["build"];
    let context = Path::new(ROOT).join("packaging").join(build["context"].as_str().expect("a folder"));
    assert!(context.join(build["dockerfile"].as_str().expect("a file")).is_file());
}

#[test]
fn the_secrets_of_the_compose_file_are_made_once_and_are_sound() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("secrets");
    let script = Path::new(ROOT).join("packaging/make-secrets");
    run(Command::new(&script).arg(&place), "");
    assert_eq!(fs::metadata(&place).expect("a folder").permissions().mode() & 0o777, 0o700);
    let compose = compose();
    let read = |name: &str| fs::read_to_string(place.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for (name, secret) in compose["secrets"].as_object().expect("secrets") {
        assert_eq!(secret["file"].as_str(), Some(format!("secrets/{name}").as_str()));
        assert!(read(name).len() >= 64, "{name}");
    }
    assert!(read("database-url").contains(&read("postgres-password")));
    assert!(read("nats.conf").contains(&read("nats-token")) && read("bus-url").contains(&read("nats-token")));
    assert_ne!(read("jwt-secret"), read("postgres-password"));
    let before = read("database-url");
    assert_eq!(run(Command::new(&script).arg(&place), ""), "", "nothing is made twice");
    assert_eq!(read("database-url"), before);

    // The server takes them as its containers get them.
    let mut cli = Cli::new();
    let server = merged(&compose["services"]["cosell-1"]);
    for (name, value) in server["environment"].as_object().expect("variables") {
        let value = value.as_str().expect("a text").replace("/run/secrets", &place.display().to_string());
        cli = cli.env(name, value);
    }
    let output = cli.run(["--check-config"]);
    assert!(output.ok().contains("database.url = \"postgres://cosell:***@postgres/cosell\""), "{output}");
    assert!(output.ok().contains("bus.url = \"nats://***@nats:4222\""), "{output}");
    assert!(!output.to_string().contains(read("jwt-secret").trim()));
}
