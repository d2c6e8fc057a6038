use std::io::Write;

use super::*;
use crate::domain::actor::Role;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn with_env(pairs: &[(&str, &str)]) -> Result<Config, ConfigFaults> {
    load(None, pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn with_file(text: &str, pairs: &[(&str, &str)]) -> Result<Config, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let name = file.path().display().to_string();
    load(Some(file.path()), pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
        .map_err(|faults| faults.to_string().replace(&name, "cosell.toml"))
}

#[test]
fn the_defaults_are_sound() {
    let config = with_env(&[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.database.url.expose(), "sqlite://cosell.db");
    assert!(config.database.url.is_sqlite());
    assert!(config.jwt.key.is_none());
    assert_eq!((config.jwt.issuer.as_str(), config.jwt.audience.as_str()), ("cosell", "cosell"));
    assert_eq!(config.jwt.claims.company, "/company");
    assert_eq!(config.limits.max_body_bytes, 256 * 1024);
    assert_eq!(config.limits.request_timeout, Duration::from_secs(30));
    assert_eq!(config.feed.poll_interval, Duration::from_millis(500));
    assert!(config.http.playground && config.http.introspection);
    assert_eq!(config.log.format, LogFormat::Text);
    assert!(config.warnings.is_empty());
}

#[test]
fn keys_and_variables_are_unique() {
    for (i, one) in SETTINGS.iter().enumerate() {
        assert!(one.env.starts_with("COSELL_"));
        for other in &SETTINGS[i + 1..] {
            assert_ne!(one.key, other.key);
            assert_ne!(one.env, other.env);
        }
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file = r#"
        listen = "0.0.0.0:9000"
        [database]
        url = "postgres://cosell:hush@db/cosell"
        max_connections = 5
        [limits]
        request_timeout = "PT1M30S"
        ws_init_timeout = 3
        [http]
        playground = false
    "#;
    let config = with_file(file, &[("COSELL_LISTEN", "[::1]:1"), ("COSELL_DATABASE_URL", "  ")]).unwrap();
    assert_eq!(config.listen.to_string(), "[::1]:1");
    assert_eq!(config.database.url.expose(), "postgres://cosell:hush@db/cosell");
    assert_eq!(config.database.max_connections, 5);
    assert_eq!(config.limits.request_timeout, Duration::from_secs(90));
    assert_eq!(config.limits.ws_init_timeout, Duration::from_secs(3));
    assert!(!config.http.playground);
}

#[test]
fn every_fault_is_named_at_once_with_its_place() {
    let file = r#"
        listen = 8080
        colour = "red"
        log = "debug"
        [jwt]
        isuer = "https://id.example.com"
        issuer = ["a"]
        [limits]
        max_depth = 0
        request_timeout = "soon"
        [http]
        playground = "perhaps"
    "#;
    let env = [
        ("COSELL_JWT_SECRET", "short"),
        ("COSELL_DATABASE_URL", "mysql://root:hush@db/x"),
        ("COSELL_FEED_POLL_INTERVAL", "2h"),
        ("COSELL_JWT_CLAIM_ROLES", "roles"),
        ("COSELL_LOG_FORMAT", "xml"),
        ("COSELL_DATABASE_MIN_CONNECTIONS", "20"),
    ];
    let faults = with_file(file, &env).unwrap_err();
    let expected = [
        "cosell.toml: colour: there is no such setting",
        "cosell.toml: jwt.isuer: there is no such setting",
        "cosell.toml: log: must be a table, written as [log]",
        "cosell.toml: listen: must be a string",
        "COSELL_DATABASE_URL: must be sqlite://FILE, postgres://... or postgresql://...",
        "database.min_connections: 20 is more than database.max_connections, 16",
        "COSELL_JWT_SECRET: must have at least 32 bytes, and has 5",
        "cosell.toml: jwt.issuer: must be a string",
        "COSELL_JWT_CLAIM_ROLES: must be a JSON pointer such as /company, with ~1 for a slash in a name and ~0 for a tilde",
        "cosell.toml: http.playground: must be true or false",
        "cosell.toml: limits.max_depth: must be a whole number from 1 to 64",
        "cosell.toml: limits.request_timeout: must be a duration such as 500ms, 30s, 10m or PT30S",
        "COSELL_FEED_POLL_INTERVAL: must be from 10ms to 3600s",
        "COSELL_LOG_FORMAT: must be text or json",
    ];
    assert_eq!(faults.lines().collect::<Vec<_>>(), expected);
    assert!(!faults.contains("hush"));
}

#[test]
fn a_file_that_is_no_toml_is_named_with_its_line_and_without_its_content() {
    let faults = with_file("listen = \"127.0.0.1:80\"\n[jwt]\nsecret = hush-hush\n", &[]).unwrap_err();
    assert!(faults.starts_with("cosell.toml: line 3: "), "{faults}");
    assert!(!faults.contains("hush"), "{faults}");
    let missing = load(Some(Path::new("/nonexistent/cosell.toml")), []).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/cosell.toml: can't be read: "), "{missing}");
}

#[test]
fn the_environment_can_name_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"listen = \"127.0.0.1:81\"").unwrap();
    let config = with_env(&[("COSELL_CONFIG", file.path().to_str().unwrap())]).unwrap();
    assert_eq!(config.listen.port(), 81);
}

#[test]
fn there_is_one_key_source_at_most() {
    let faults = with_env(&[("COSELL_JWT_SECRET", SECRET), ("COSELL_JWKS_URL", "https://id.example.com/jwks")]);
    let faults = faults.unwrap_err().to_string();
    assert!(
        faults.contains("COSELL_JWT_SECRET, COSELL_JWKS_URL: only one of these key sources may be set"),
        "{faults}"
    );
}

#[test]
fn a_public_key_needs_an_issuer_and_an_audience() {
    let faults = with_env(&[("COSELL_JWKS_URL", "https://id.example.com/jwks")]).unwrap_err();
    let tail = "must be set with COSELL_JWT_PUBLIC_KEY or COSELL_JWKS_URL";
    assert_eq!(faults.0, [format!("COSELL_JWT_ISSUER: {tail}"), format!("COSELL_JWT_AUDIENCE: {tail}")]);

    let named = [("COSELL_JWT_ISSUER", "https://id.example.com"), ("COSELL_JWT_AUDIENCE", "cosell")];
    let file = [named[0], named[1], ("COSELL_JWT_PUBLIC_KEY", "/nonexistent.pem")];
    let faults = with_env(&file).unwrap_err().to_string();
    assert!(faults.starts_with("COSELL_JWT_PUBLIC_KEY: /nonexistent.pem can't be read: "), "{faults}");

    let config = with_env(&[named[0], named[1], ("COSELL_JWKS_URL", "http://id.example.com/jwks")]).unwrap();
    assert!(matches!(config.jwt.key, Some(KeySource::Jwks(_))));
    assert_eq!(config.warnings.len(), 1);
}

/// Two issuers with companies of their own, the second with all that an entry can say.
const LISTED: &str = r#"
    [jwt]
    default_roles = ["VIEWER"]
    claims.roles = "/realm_access/roles"
    [[jwt.issuers]]
    issuer = "https://id.acme.example"
    audience = "cosell"
    jwks_url = "https://me:quiet@id.acme.example/keys?key=quiet"
    companies = ["acme"]
    [[jwt.issuers]]
    issuer = "machines"
    audience = "leads"
    secret = "hush0123456789abcdef0123456789abcdef"
    companies = "globex, initech"
    default_roles = ["integration", "VIEWER"]
    claims = { subject = "/client_id", roles = "/scopes" }
"#;

#[test]
fn several_issuers_are_listed_in_the_file_and_take_what_they_do_not_say_from_the_settings() {
    let config = with_file(LISTED, &[]).unwrap();
    assert!(config.jwt.key.is_none() && config.warnings.is_empty(), "{:?}", config.warnings);
    let [acme, machines] = &config.jwt.issuers[..] else { panic!("{:?}", config.jwt.issuers) };
    assert!(matches!(&acme.key, KeySource::Jwks(url) if url.host_str() == Some("id.acme.example")));
    assert_eq!((acme.issuer.as_str(), acme.audience.as_str()), ("https://id.acme.example", "cosell"));
    assert_eq!(acme.companies.as_deref(), Some(&["acme".to_owned()][..]));
    assert_eq!((acme.claims.roles.as_str(), acme.claims.subject.as_str()), ("/realm_access/roles", "/sub"));
    assert_eq!(acme.default_roles.as_deref(), Some(&[Role::Viewer][..]));
    assert!(matches!(&machines.key, KeySource::Secret(secret) if secret.expose().starts_with("hush")));
    assert!(machines.may_speak_for("initech") && !machines.may_speak_for("acme"));
    assert_eq!((machines.claims.roles.as_str(), machines.claims.subject.as_str()), ("/scopes", "/client_id"));
    assert_eq!(machines.default_roles.as_deref(), Some(&[Role::Integration, Role::Viewer][..]));
    assert_eq!(config.jwt.trusted().len(), 2);
    // The one issuer of the settings stands beside them.
    let beside = [("COSELL_JWT_SECRET", SECRET), ("COSELL_JWT_COMPANIES", "umbrella,hooli")];
    let config = with_file(LISTED, &beside).unwrap();
    let trusted = config.jwt.trusted();
    assert_eq!(
        trusted.iter().map(|it| it.issuer.as_str()).collect::<Vec<_>>(),
        ["cosell", "https://id.acme.example", "machines"]
    );
    assert!(trusted[0].may_speak_for("hooli") && !trusted[0].may_speak_for("acme"));
}

#[test]
fn what_is_secret_in_the_list_of_issuers_is_not_shown() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(LISTED.as_bytes()).unwrap();
    let examined = examine(Some(file.path()), []);
    let listed = examined.effective.iter().find(|it| it.key == "jwt.issuers").unwrap();
    let shown = format!("{:?} {:?}", examined.config.unwrap(), examined.effective);
    assert!(!shown.contains("hush") && !shown.contains("quiet"), "{shown}");
    let table: toml::Table = format!("jwt.issuers = {}", listed.value.as_ref().unwrap()).parse().unwrap();
    let issuers = &table["jwt"]["issuers"];
    assert_eq!(issuers[0]["jwks_url"].as_str(), Some("https://id.acme.example/keys"));
    assert_eq!(issuers[1]["secret"].as_str(), Some("***"));
    assert_eq!(issuers[1]["claims"]["subject"].as_str(), Some("/client_id"));
    assert_eq!(listed.origin, format!("{}: jwt.issuers", file.path().display()));
}

#[test]
fn every_fault_of_an_issuer_is_named_with_its_place() {
    let file = r#"
        jwt.companies = ["Acme", "globex"]
        jwt.default_roles = "VIEWER, CHEF"
        [[jwt.issuers]]
        isuer = "hush"
        [[jwt.issuers]]
        issuer = " "
        audience = 7
        secret = "hush"
        companies = []
        [[jwt.issuers]]
        issuer = "a"
        audience = "a"
        secret = 1234567890123456789
        public_key = "/nonexistent.pem"
        jwks_url = "ftp://a.example"
        claims = { role = "/x", name = "name", email = 7 }
        default_roles = [7]
        shared_subjects = "yes"
        [[jwt.issuers]]
        issuer = "b"
        audience = "b"
        jwks_url = "https://b.example/keys"
        secret = "0123456789abcdef0123456789abcdef"
        [[jwt.issuers]]
        issuer = "c"
        audience = "c"
        claims = "/company"
    "#;
    let faults = with_file(file, &[]).unwrap_err();
    let expected = [
        r#"jwt.companies: "Acme" is no slug"#,
        r#"jwt.default_roles: "CHEF" is no role: there are ADMIN, "#,
        "jwt.issuers[0].isuer: there is no such setting",
        "jwt.issuers[0].issuer: must be set",
        "jwt.issuers[0].audience: must be set",
        "jwt.issuers[1].issuer: must not be blank",
        "jwt.issuers[1].audience: must be a string",
        "jwt.issuers[1].secret: must have at least 32 bytes, and has 4",
        "jwt.issuers[1].companies: names no company",
        "jwt.issuers[2].secret: must be a string",
        "jwt.issuers[2].public_key: /nonexistent.pem can't be read",
        "jwt.issuers[2].jwks_url: must be an https URL",
        "jwt.issuers[2].claims.role: there is no such setting",
        "jwt.issuers[2].claims.name: must be a JSON pointer",
        "jwt.issuers[2].claims.email: must be a string",
        "jwt.issuers[2].default_roles: must be a string, or a list of strings",
        "jwt.issuers[2].shared_subjects: must be true or false",
        "jwt.issuers[3]: must have one key source: a secret, a public_key or a jwks_url",
        "jwt.issuers[4]: must have one key source: a secret, a public_key or a jwks_url",
        "jwt.issuers[4].claims: must be a table",
    ];
    for expected in expected {
        let expected = format!("cosell.toml: {expected}");
        assert!(faults.lines().any(|fault| fault.starts_with(&expected)), "{expected}\n{faults}");
    }
    assert!(!faults.contains("hush") && !faults.contains("1234567890123456789"), "{faults}");
    for file in ["jwt.issuers = 1", "[jwt.issuers]\nissuer = \"a\"", "jwt.issuers = [1]"] {
        let faults = with_file(file, &[]).unwrap_err();
        let wanted = "must be a list of tables, each written as [[jwt.issuers]]";
        assert_eq!(faults, format!("cosell.toml: jwt.issuers: {wanted}"), "{file}");
    }
    let faults = with_env(&[("COSELL_JWT_COMPANIES", ","), ("COSELL_JWT_DEFAULT_ROLES", "ADMINS")]).unwrap_err();
    assert_eq!(faults.0[0], "COSELL_JWT_COMPANIES: names no company");
    assert!(faults.0[1].starts_with("COSELL_JWT_DEFAULT_ROLES: \"ADMINS\" is no role"), "{faults}");
}

#[test]
fn issuers_that_can_t_be_told_apart_are_refused_unless_that_is_meant() {
    let issuers = |entries: &[(&str, &str)]| {
        let entry = |(at, (issuer, rest)): (usize, &(&str, &str))| {
            format!("[[jwt.issuers]]\nissuer = \"{issuer}\"\naudience = \"x\"\nsecret = \"{SECRET}{at}\"\n{rest}\n")
        };
        entries.iter().enumerate().map(entry).collect::<String>()
    };
    let (shared, acme) = ("shared_subjects = true", "companies = [\"acme\"]");
    let one_of = |company: &str, at: usize, first: &str, second: &str| {
        format!("jwt.issuers[{at}]: \"{second}\" may speak for {company}, and so may \"{first}\"; the same subject")
    };
    let own = &[("COSELL_JWT_SECRET", SECRET)][..];
    let cases = [
        (
            issuers(&[("a", acme), ("a", "companies = [\"globex\"]")]),
            &[][..],
            "jwt.issuers[1].issuer: \"a\" is named already, by cosell.toml: jwt.issuers[0].issuer".to_owned(),
        ),
        (
            issuers(&[("cosell", acme)]),
            own,
            "jwt.issuers[0].issuer: \"cosell\" is named already, by jwt.issuer".to_owned(),
        ),
        (issuers(&[("a", ""), ("b", "")]), &[], one_of("every company", 1, "a", "b")),
        (issuers(&[("a", acme), ("b", "companies = [\"globex\", \"acme\"]")]), &[], one_of("acme", 1, "a", "b")),
        (issuers(&[("a", acme), ("b", "")]), &[], one_of("acme", 1, "a", "b")),
        (issuers(&[("a", acme), ("b", shared)]), &[], one_of("acme", 1, "a", "b")),
        (issuers(&[("a", acme)]), own, one_of("acme", 0, "cosell", "a")),
    ];
    for (file, env, fault) in cases {
        let faults = with_file(&file, env).unwrap_err();
        assert!(faults.starts_with(&format!("cosell.toml: {fault}")), "{fault}\n{faults}");
        assert_eq!(faults.lines().count(), 1, "{faults}");
    }
    for (file, env) in [
        (issuers(&[("a", acme), ("b", "companies = [\"globex\"]")]), &[][..]),
        (issuers(&[("a", shared), ("b", shared)]), &[]),
        (issuers(&[("a", &format!("{acme}\n{shared}")), ("b", shared)]), own),
        (issuers(&[("cosell", "")]), &[]),
    ] {
        with_file(&file, env).unwrap();
    }
    // Two that share a secret are one in truth.
    let config = with_file(&issuers(&[("a", shared)]), &[("COSELL_JWT_SECRET", &format!("{SECRET}0"))]).unwrap();
    let [warning] = &config.warnings[..] else { panic!("{:?}", config.warnings) };
    assert!(
        warning
            .ends_with("jwt.issuers[0].secret: another issuer has the same, so that each can make the other's tokens")
    );
}

#[test]
fn headers_of_other_origins_are_checked_and_warned_of_where_none_may_call() {
    let origins = ("COSELL_ALLOWED_ORIGINS", "https://portal.example");
    let config = with_env(&[origins, ("COSELL_ALLOWED_HEADERS", "X-Client-Version, x-b")]).unwrap();
    assert_eq!(config.http.allowed_headers, ["x-client-version", "x-b"]);
    assert!(config.warnings.is_empty());
    assert_eq!(with_file("http.allowed_headers = [\"x-a\"]", &[origins]).unwrap().http.allowed_headers, ["x-a"]);
    let faults = with_env(&[("COSELL_ALLOWED_HEADERS", "x-a, y:z")]).unwrap_err();
    assert_eq!(faults.0, ["COSELL_ALLOWED_HEADERS: \"y:z\" is no name of a header, such as x-client-version"]);
    let config = with_env(&[("COSELL_ALLOWED_HEADERS", "x-a")]).unwrap();
    assert!(config.warnings.len() == 1 && config.warnings[0].starts_with("http.allowed_headers: "));
}

#[test]
fn unknown_variables_are_warned_of() {
    let config = with_env(&[("COSELL_LISTNE", "x"), ("HOME", "/root")]).unwrap();
    assert_eq!(config.warnings, ["COSELL_LISTNE: there is no such setting"]);
}

#[test]
fn secrets_are_not_shown() {
    let url = "postgres://cosell:hush@db:5432/cosell?password=hush";
    let config = with_env(&[("COSELL_JWT_SECRET", SECRET), ("COSELL_DATABASE_URL", url)]).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains(SECRET) && !shown.contains("hush"), "{shown}");
    assert!(shown.contains("postgres://cosell:***@db:5432/cosell"), "{shown}");
    assert_eq!(config.database.url.expose(), url);
}

#[test]
fn database_urls_are_checked() {
    for good in ["sqlite:cosell.db", "sqlite:///var/lib/cosell.db?mode=rwc", "postgresql://localhost/x"] {
        assert!(DatabaseUrl::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "cosell.db", "sqlite:", "sqlite://", "sqlite::memory:", "sqlite://x?mode=memory", "http://x"] {
        assert!(DatabaseUrl::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn durations_are_read_in_every_form() {
    let cases = [
        ("500ms", Some(500)),
        ("30s", Some(30_000)),
        ("1.5", Some(1500)),
        ("10m", Some(600_000)),
        ("1 h", Some(3_600_000)),
        ("PT0.25S", Some(250)),
        ("P1DT1H", Some(90_000_000)),
        ("P1M", None),
        ("", None),
        ("-1", None),
        ("1.2.3s", None),
        ("5 parsecs", None),
    ];
    for (text, millis) in cases {
        assert_eq!(reader::duration(text), millis.map(Duration::from_millis), "{text}");
    }
}

#[test]
fn the_bus_is_in_memory_postgresql_or_nats() {
    assert_eq!(with_env(&[]).unwrap().bus, Bus::Memory);
    let postgres = ("COSELL_DATABASE_URL", "postgres://db/cosell");
    assert_eq!(with_env(&[("COSELL_BUS", "postgres"), postgres]).unwrap().bus, Bus::Postgres);
    for good in ["nats://127.0.0.1:4222", "nats://nats.example.com", "tls://a:b@[::1]:4222/"] {
        assert!(matches!(with_env(&[("COSELL_BUS", good)]).unwrap().bus, Bus::Nats(_)), "{good}");
    }
    for bad in ["redis://hush@x:1", "nats://", "nats:hush", "nats://hush@x/y", "nats://x?token=hush", "127.0.0.1:4222"]
    {
        let faults = with_env(&[("COSELL_BUS", bad)]).unwrap_err();
        assert_eq!(faults.0, ["COSELL_BUS: must be memory, postgres, or nats://HOST:PORT"], "{bad}");
    }
}

#[test]
fn a_bus_on_postgresql_is_refused_beside_sqlite() {
    let fault = "postgres is for a PostgreSQL database, and database.url names an SQLite file";
    let faults = with_env(&[("COSELL_BUS", "postgres")]).unwrap_err();
    assert_eq!(faults.0, [format!("COSELL_BUS: {fault}")]);
    let faults = with_file("[bus]\nurl = \"postgres\"\n", &[]).unwrap_err();
    assert_eq!(faults, format!("cosell.toml: bus.url: {fault}"));
}

#[test]
fn the_secrets_of_nats_are_not_shown() {
    for (url, shown) in [
        ("nats://cosell:hush@nats:4222", "nats://cosell:***@nats:4222"),
        ("nats://hush@nats:4222", "nats://***@nats:4222"),
        ("nats://nats:4222", "nats://nats:4222"),
    ] {
        let config = with_env(&[("COSELL_BUS", url)]).unwrap();
        let Bus::Nats(nats) = &config.bus else { panic!("{config:?}") };
        assert_eq!((nats.expose(), nats.to_string().as_str()), (url, shown));
        assert!(!format!("{config:?}").contains("hush"));
    }
}

#[test]
fn what_is_secret_of_the_collector_and_the_key_set_is_not_shown() {
    let config = with_env(&[
        ("COSELL_OTLP_ENDPOINT", "http://collector.example.com:4318/"),
        ("COSELL_OTLP_HEADERS", "authorization=Bearer hush, x-tenant = quiet"),
        ("COSELL_OTLP_SAMPLE_RATIO", "0.25"),
        ("COSELL_METRICS_LISTEN", "127.0.0.1:9090"),
        ("COSELL_JWKS_URL", "https://me:hush@id.example.com/keys?key=quiet"),
        ("COSELL_JWT_ISSUER", "x"),
        ("COSELL_JWT_AUDIENCE", "x"),
    ])
    .unwrap();
    let otlp = config.otlp.as_ref().unwrap();
    assert_eq!(otlp.traces_url(), "http://collector.example.com:4318/v1/traces");
    assert_eq!(otlp.headers[0].0, "authorization");
    assert_eq!(otlp.headers[0].1.expose(), "Bearer hush");
    assert_eq!(otlp.headers[1].1.expose(), "quiet");
    assert!((otlp.sample_ratio - 0.25).abs() < f64::EPSILON);
    assert_eq!(config.metrics_listen.unwrap().port(), 9090);
    let shown = format!("{config:?}");
    assert!(!shown.contains("hush") && !shown.contains("quiet"), "{shown}");
    assert!(shown.contains("https://id.example.com/keys"), "{shown}");
    let warned = ["otlp.headers: what is sent without TLS can be read on the way"];
    assert_eq!(config.warnings, warned);
}

#[test]
fn a_collector_that_can_t_be_meant_is_refused_without_its_secrets() {
    for (variable, value) in [
        ("COSELL_OTLP_ENDPOINT", "http://me:hush@collector:4318"),
        ("COSELL_OTLP_ENDPOINT", "https://collector/?key=hush"),
        ("COSELL_OTLP_ENDPOINT", "grpc://hush"),
        ("COSELL_OTLP_ENDPOINT", "hush"),
        ("COSELL_OTLP_HEADERS", "hush"),
        ("COSELL_OTLP_HEADERS", "a=b,c d=hush"),
        ("COSELL_OTLP_HEADERS", "a=hush\nb"),
        ("COSELL_OTLP_SAMPLE_RATIO", "1.5"),
        ("COSELL_OTLP_SAMPLE_RATIO", "NaN"),
        ("COSELL_METRICS_LISTEN", "9090"),
    ] {
        let faults = with_env(&[(variable, value)]).unwrap_err().to_string();
        assert!(faults.starts_with(variable) && !faults.contains("hush"), "{faults}");
    }
}

#[test]
fn a_secret_is_read_from_the_file_that_its_variable_names() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{SECRET}").unwrap();
    let path = file.path().to_str().unwrap();
    let env = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let examined = examine(None, [env("COSELL_JWT_SECRET_FILE", path)]);
    let config = examined.config.unwrap();
    assert!(matches!(config.jwt.key, Some(KeySource::Secret(secret)) if secret.expose() == SECRET));
    let effective = examined.effective.iter().find(|it| it.key == "jwt.secret").unwrap();
    assert_eq!(effective.value.as_deref(), Some("\"***\""));
    assert_eq!(effective.origin, format!("COSELL_JWT_SECRET_FILE ({path})"));

    // Every other fault names the file that it came from.
    std::fs::write(path, "short").unwrap();
    let faults = with_env(&[("COSELL_JWT_SECRET_FILE", path)]).unwrap_err();
    let place = format!("COSELL_JWT_SECRET_FILE ({path})");
    assert_eq!(faults.0, [format!("{place}: must have at least 32 bytes, and has 5")]);
    std::fs::write(path, " \n").unwrap();
    let faults = with_env(&[("COSELL_BUS_FILE", path)]).unwrap_err();
    assert_eq!(faults.0, [format!("COSELL_BUS_FILE: {path} is empty")]);
    let faults = with_env(&[("COSELL_DATABASE_URL_FILE", "/nonexistent")]).unwrap_err();
    assert!(faults.0[0].starts_with("COSELL_DATABASE_URL_FILE: /nonexistent can't be read: "), "{faults}");
    let both = [("COSELL_JWT_SECRET_FILE", path), ("COSELL_JWT_SECRET", SECRET)];
    let faults = with_env(&both).unwrap_err();
    assert_eq!(faults.0, ["COSELL_JWT_SECRET, COSELL_JWT_SECRET_FILE: only one of the two may be set"]);
    // Of what is no secret there is none.
    let config = with_env(&[("COSELL_LISTEN_FILE", path)]).unwrap();
    assert_eq!(config.warnings, ["COSELL_LISTEN_FILE: there is no such setting"]);
}

#[test]
fn whatever_sounds_like_a_secret_is_treated_as_one() {
    for setting in SETTINGS {
        let sounds = ["secret", "password", "token", "headers", "credential"].iter().any(|it| setting.key.contains(it));
        let harmless = ["limits.max_tokens", "http.allowed_headers"].contains(&setting.key);
        assert!(!sounds || setting.is_secret() || harmless, "{}", setting.key);
    }
}

#[test]
fn what_is_probably_not_meant_is_warned_of_also_beside_faults() {
    let warned = |pairs: &[(&str, &str)]| {
        examine(None, pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).warnings
    };
    let of =
        |warnings: Vec<String>| warnings.iter().map(|it| it.split(':').next().unwrap().to_owned()).collect::<Vec<_>>();
    let repeated = "abc".repeat(12);
    assert_eq!(of(warned(&[("COSELL_JWT_SECRET", &repeated), ("COSELL_LISTEN", "no")])), ["jwt.secret"]);
    assert!(warned(&[("COSELL_JWT_SECRET", SECRET)]).is_empty());
    assert_eq!(of(warned(&[("COSELL_BUS", "nats://nats:4222")])), ["bus.url"]);
    assert_eq!(of(warned(&[("COSELL_TRUSTED_PROXIES", "10.0.0.0/8 0.0.0.0/0")])), ["http.trusted_proxies"]);
    assert!(warned(&[("COSELL_TRUSTED_PROXIES", "10.0.0.0/8")]).is_empty());
    for (url, warns) in [
        ("postgres://u@db.example.com/x", true),
        ("postgres://u@db.example.com/x?sslmode=verify-full", false),
        ("postgres://u@db.example.com/x?sslmode=disable", false),
        ("postgres://u@localhost/x", false),
        ("postgres://u@127.0.0.1/x", false),
        ("postgres://u@[::1]:5432/x", false),
        ("postgres://u@10.0.0.1/x", true),
        ("postgres://u@localhost/x?host=/run/postgresql", false),
        ("postgres:///x?host=/run/postgresql", false),
        ("postgres://u@%2Frun%2Fpostgresql/x", false),
    ] {
        assert_eq!(!warned(&[("COSELL_DATABASE_URL", url)]).is_empty(), warns, "{url}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_with_secrets_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "[jwt]\nsecret = \"{SECRET}\"").unwrap();
    for (mode, warnings) in [(0o600, 0), (0o640, 0), (0o644, 1)] {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(load(Some(file.path()), []).unwrap().warnings.len(), warnings, "{mode:o}");
    }
    std::fs::write(file.path(), format!("[[jwt.issuers]]\nissuer = \"a\"\naudience = \"a\"\nsecret = \"{SECRET}\"\n"))
        .unwrap();
    assert_eq!(load(Some(file.path()), []).unwrap().warnings.len(), 1);
    // What is no secret may be read by all.
    std::fs::write(file.path(), "[database]\nurl = \"postgres://localhost/x\"\n").unwrap();
    assert!(load(Some(file.path()), []).unwrap().warnings.is_empty());
    std::fs::write(file.path(), "[database]\nurl = \"postgres://u:p@localhost/x\"\n").unwrap();
    assert_eq!(load(Some(file.path()), []).unwrap().warnings.len(), 1);
    std::fs::write(file.path(), SECRET).unwrap();
    let warnings = with_env(&[("COSELL_JWT_SECRET_FILE", file.path().to_str().unwrap())]).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].starts_with("COSELL_JWT_SECRET_FILE ("), "{warnings:?}");
}

#[test]
fn what_is_in_force_is_a_file_that_says_the_same() {
    let file = r#"
        listen = "0.0.0.0:9000"
        limits.request_timeout = 90
        http.playground = false
        log.filter = "info,cosell=debug"
    "#;
    let mut named = tempfile::NamedTempFile::new().unwrap();
    named.write_all(file.as_bytes()).unwrap();
    let first = examine(Some(named.path()), []).effective;
    let text: String = first.iter().filter_map(|it| Some(format!("{} = {}\n", it.key, it.value.as_ref()?))).collect();
    std::fs::write(named.path(), &text).unwrap();
    let again = examine(Some(named.path()), []);
    again.config.unwrap();
    assert!(first.iter().zip(&again.effective).all(|(a, b)| a.value == b.value), "{text}");
}
