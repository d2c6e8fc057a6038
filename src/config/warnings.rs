//! What is allowed but probably not meant.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use url::Url;

use super::{Bus, Database, Http, Jwt, KeySource, Origins, SETTINGS};

/// The fewest different bytes of a secret that looks as if it were drawn at random.
const FEWEST_DIFFERENT: usize = 8;

/// Of settings that are sound each by itself.
pub(super) fn of(
    database: Option<&Database>,
    jwt: Option<&Jwt>,
    bus: Option<&Bus>,
    http: Option<&Http>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if http.is_some_and(|http| http.allowed_origins == Origins::Own && !http.allowed_headers.is_empty()) {
        warnings.push("http.allowed_headers: no page of another origin may call: see http.allowed_origins".to_owned());
    }
    if http.is_some_and(|http| http.trusted_proxies.iter().any(|network| network.prefix_len() == 0)) {
        warnings.push(
            "http.trusted_proxies: everybody is trusted, so that every caller can choose the address that limits count it by"
                .to_owned(),
        );
    }
    let trusted = jwt.map(Jwt::trusted).unwrap_or_default();
    for (at, issuer) in trusted.iter().enumerate() {
        let place = issuer.key_place();
        if issuer.key.is_open_to_others() {
            warnings.push(format!("{place}: keys fetched without TLS can be exchanged on the way"));
        }
        let KeySource::Secret(secret) = &issuer.key else { continue };
        if secret.expose().bytes().collect::<BTreeSet<_>>().len() < FEWEST_DIFFERENT {
            warnings.push(format!("{place}: it is easy to guess; make one with `openssl rand -hex 32`"));
        }
        if trusted[..at].iter().any(|other| matches!(&other.key, KeySource::Secret(others) if others == secret)) {
            warnings.push(format!("{place}: another issuer has the same, so that each can make the other's tokens"));
        }
    }
    if let Some(database) = database {
        if may_be_plain(database.url.expose()) {
            warnings.push(
                "database.url: without `sslmode` it is up to the database whether the connection is encrypted: add \
                 `?sslmode=verify-full`, or `?sslmode=disable` where the network is trusted"
                    .to_owned(),
            );
        }
        if database.url.is_sqlite() && matches!(bus, Some(Bus::Nats(_))) {
            warnings.push("bus.url: SQLite is for one server, which needs no bus".to_owned());
        }
    }
    warnings
}

/// Whether a connection to another machine may go without encryption and nobody has said that it may.
fn may_be_plain(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let set = |name: &str| url.query_pairs().any(|(key, _)| key == name);
    // An address of such a scheme is a name to the parser.
    let here = |host: &str| {
        host == "localhost"
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    let remote = url.host_str().is_some_and(|host| !host.is_empty() && !host.starts_with("%2F") && !here(host));
    // A host among the parameters is a socket's folder.
    matches!(url.scheme(), "postgres" | "postgresql") && remote && !set("sslmode") && !set("ssl-mode") && !set("host")
}

/// Files that hold secrets and that anybody on the machine can read.
pub(super) fn open_files(env: &BTreeMap<String, String>, table: Option<&(String, toml::Table)>) -> Vec<String> {
    let secrets = SETTINGS.iter().filter(|setting| setting.is_secret());
    let named = secrets.filter_map(|setting| {
        let name = setting.file_env()?;
        Some((env.get(&name)?.trim().to_owned(), name))
    });
    let config = table.filter(|(_, table)| holds_secrets(table)).map(|(file, _)| (file.clone(), file.clone()));
    // Below /run a manager has put them, into a place that only this service sees.
    let open = named.chain(config).filter(|(path, _)| !path.starts_with("/run/") && others_can_read(Path::new(path)));
    open.map(|(path, origin)| {
        let place = if path == origin { path.clone() } else { format!("{origin} ({path})") };
        format!("{place}: it holds a secret, and every user of this machine can read it: chmod o-r {path}")
    })
    .collect()
}

/// Whether a file of settings holds one that is secret, or an address with a password.
fn holds_secrets(table: &toml::Table) -> bool {
    let at = |section: &str, key: &str| table.get(section)?.as_table()?.get(key)?.as_str();
    let with_password = |text: &str| {
        let named = |url: &Url| url.query_pairs().any(|(key, _)| key == "password");
        Url::parse(text).is_ok_and(|url| url.password().is_some() || named(&url))
    };
    // A token of NATS stands in the place of the user.
    let with_user = |text: &str| Url::parse(text).is_ok_and(|url| !url.username().is_empty());
    let listed = table.get("jwt").and_then(|jwt| jwt.get("issuers")?.as_array());
    at("jwt", "secret").is_some()
        || listed.is_some_and(|issuers| issuers.iter().any(|issuer| issuer.get("secret").is_some()))
        || at("otlp", "headers").is_some()
        || at("database", "url").is_some_and(with_password)
        || at("bus", "url").is_some_and(with_user)
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).is_ok_and(|it| it.mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn others_can_read(_: &Path) -> bool {
    false
}
