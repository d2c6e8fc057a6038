//! `--check-config`: what an operator asks before a restart.

use crate::support::cli::Cli;
use crate::support::keys::Key;

const SECRET: &str = "4f1d0c8e5ab6473f92f0c6a1d7e8b935";

#[test]
fn a_sound_configuration_is_shown_without_secrets_and_nothing_is_started() {
    let cli = Cli::new()
        .env("COSELL_JWT_SECRET", SECRET)
        // Nobody is there: no network is used.
        .env("COSELL_DATABASE_URL", "postgres://cosell:hush@192.0.2.1/cosell?sslmode=require&password=hush")
        .env("COSELL_BUS", "nats://hush@192.0.2.1:4222")
        .env("COSELL_CONFIG", "cosell.toml");
    cli.file("cosell.toml", "listen = \"0.0.0.0:9000\"\n[jwt]\nissuer = \"https://id.example.com\"\n");
    for arguments in [vec!["serve", "--check-config"], vec!["--check-config"], vec!["--check-config", "serve"]] {
        let output = cli.run(arguments.iter().copied());
        let said = output.ok();
        assert_eq!(output.stderr, "", "{output}");
        for line in [
            "listen = \"0.0.0.0:9000\"  # cosell.toml: listen",
            "database.url = \"postgres://cosell:***@192.0.2.1/cosell\"  # COSELL_DATABASE_URL",
            "database.max_connections = 16  # default",
            "jwt.secret = \"***\"  # COSELL_JWT_SECRET",
            "# jwt.jwks_url is unset",
            "jwt.issuer = \"https://id.example.com\"  # cosell.toml: jwt.issuer",
            "bus.url = \"nats://***@192.0.2.1:4222\"  # COSELL_BUS",
        ] {
            assert!(said.lines().any(|said| said == line), "{line}\n{output}");
        }
        assert!(!output.to_string().contains("hush") && !output.to_string().contains(SECRET), "{output}");
    }
    let files = std::fs::read_dir(cli.folder()).expect("a folder").count();
    assert_eq!(files, 1, "nothing is made");
}

#[test]
fn every_fault_is_told_with_its_place_and_so_is_what_is_probably_not_meant() {
    let cli = Cli::new()
        .env("COSELL_JWT_SECRET", "short-hush")
        .env("COSELL_DATABASE_URL", "mysql://hush@db/x")
        .env("COSELL_LISTNE", "127.0.0.1:1")
        .env("COSELL_LISTEN", "everywhere");
    cli.file("cosell.toml", "colour = \"red\"\n");
    let output = cli.run(["--config", "cosell.toml", "serve", "--check-config"]);
    let expected = [
        "warning: COSELL_LISTNE: there is no such setting",
        "error: The configuration is wrong:",
        "  - cosell.toml: colour: there is no such setting",
        "  - COSELL_LISTEN: must be an address and a port, such as 127.0.0.1:8080",
        "  - COSELL_DATABASE_URL: must be sqlite://FILE, postgres://... or postgresql://...",
        "  - COSELL_JWT_SECRET: must have at least 32 bytes, and has 10",
    ];
    assert_eq!(output.failed(2).lines().collect::<Vec<_>>(), expected, "{output}");
    assert_eq!(output.stdout, "");
}

#[test]
fn keys_and_databases_that_can_t_be_used_are_found() {
    let named = |cli: Cli| cli.env("COSELL_JWT_ISSUER", "https://id.example.com").env("COSELL_JWT_AUDIENCE", "cosell");
    let fault = |cli: &Cli| cli.run(["--check-config"]).failed(2).to_owned();

    let none = fault(&Cli::new());
    assert!(none.contains("COSELL_JWT_SECRET, COSELL_JWT_PUBLIC_KEY or COSELL_JWKS_URL: one of these"), "{none}");

    let cli = named(Cli::new()).env("COSELL_JWT_PUBLIC_KEY", "key.pem");
    cli.file("key.pem", Key::ed25519("a").private_pem);
    assert!(fault(&cli).contains("COSELL_JWT_PUBLIC_KEY: key.pem"), "{}", fault(&cli));
    cli.file("key.pem", "no key");
    assert!(fault(&cli).contains("COSELL_JWT_PUBLIC_KEY: key.pem"), "{}", fault(&cli));
    cli.file("key.pem", Key::ed25519("a").public_pem);
    cli.run(["--check-config"]).ok();

    for (url, why) in [
        ("sqlite://no/such/cosell.db", "can't be used: there is no folder no/such"),
        ("sqlite://other.db", "is no SQLite database"),
        ("sqlite://cosell.db?mode=sometimes", "can't be used: unknown value"),
        ("postgres://u:hush@db.example.com/x?sslmode=sometimes", "can't be used: unknown value"),
    ] {
        let cli = Cli::new().env("COSELL_JWT_SECRET", SECRET).env("COSELL_DATABASE_URL", url);
        cli.file("other.db", "This is a letter to somebody.");
        let said = fault(&cli);
        assert!(said.contains("COSELL_DATABASE_URL: ") && said.contains(why) && !said.contains("hush"), "{said}");
    }
}

#[test]
fn the_issuers_of_the_file_are_checked_and_shown_without_their_secrets() {
    let listed = |rest: &str| {
        format!(
            "[[jwt.issuers]]\nissuer = \"https://id.acme.example\"\naudience = \"cosell\"\ncompanies = [\"acme\"]\n\
             jwks_url = \"https://me:hush@id.acme.example/keys?key=hush\"\n\
             [[jwt.issuers]]\nissuer = \"machines\"\naudience = \"cosell\"\n{rest}\n"
        )
    };
    let checked = |rest: &str| {
        let cli = Cli::new().env("COSELL_CONFIG", "cosell.toml");
        cli.file("cosell.toml", listed(rest)).file("key.pem", "no key");
        cli.run(["--check-config"])
    };
    let output = checked(&format!("companies = [\"globex\"]\nsecret = \"{SECRET}\""));
    let said = output.ok();
    let line = said.lines().find(|line| line.starts_with("jwt.issuers = ")).expect("a line of the issuers");
    assert!(line.contains("https://id.acme.example/keys") && line.contains("\"machines\""), "{line}");
    assert!(line.ends_with("# cosell.toml: jwt.issuers"), "{line}");
    assert!(!output.to_string().contains("hush") && !output.to_string().contains(SECRET), "{output}");

    for (rest, fault) in [
        ("companies = [\"globex\"]", "cosell.toml: jwt.issuers[1]: must have one key source"),
        (
            "companies = [\"globex\"]\nsecret = \"hush\"",
            "cosell.toml: jwt.issuers[1].secret: must have at least 32 bytes",
        ),
        (
            "companies = [\"globex\"]\npublic_key = \"key.pem\"",
            "cosell.toml: jwt.issuers[1].public_key: key.pem: holds no public key",
        ),
        (
            &format!("secret = \"{SECRET}\""),
            "cosell.toml: jwt.issuers[1]: \"machines\" may speak for acme, and so may \"https://id.acme.example\"",
        ),
    ] {
        let output = checked(rest);
        assert!(output.failed(2).contains(fault), "{fault}\n{output}");
        assert!(!output.to_string().contains("hush"), "{output}");
    }
}

#[test]
fn a_check_for_another_command_asks_for_no_key_and_runs_nothing() {
    let cli = Cli::new();
    cli.run(["--check-config", "migrate"]).ok();
    assert_eq!(std::fs::read_dir(cli.folder()).expect("a folder").count(), 0, "nothing was migrated");
    let output = cli.run([] as [&str; 0]);
    assert!(output.failed(2).contains("Usage: cosell"), "{output}");
}

#[test]
fn secrets_come_from_files_as_service_managers_hand_them_out() {
    let cli = Cli::new().env("COSELL_JWT_SECRET_FILE", "secret").env("COSELL_DATABASE_URL_FILE", "url");
    cli.file("secret", format!("{SECRET}\n")).file("url", "sqlite://elsewhere.db\n");
    let output = cli.run(["--check-config"]);
    assert!(
        output.ok().contains("database.url = \"sqlite://elsewhere.db\"  # COSELL_DATABASE_URL_FILE (url)"),
        "{output}"
    );
    assert!(!output.to_string().contains(SECRET), "{output}");
    // They are used, too.
    cli.run(["company", "add", "acme"]).ok();
    assert!(cli.folder().join("elsewhere.db").is_file());
    assert_eq!(
        cli.run(["token", "--company", "acme", "--member", "ann", "--role", "SALES"]).ok().split('.').count(),
        3
    );
}
