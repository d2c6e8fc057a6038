//! Values of settings that say who may call and how often.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use url::{Origin, Url};

/// The browser origins that may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// The server's own pages alone.
    #[default]
    Own,
    /// These besides.
    These(Vec<Shared>),
    /// Every page of the web.
    Any,
}

/// Pages that may call besides the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shared {
    /// Those of this origin, as a browser sends it.
    Origin(HeaderValue),
    /// Those that the machine of the browser itself serves, at any port: servers for development.
    Loopback,
}

impl Shared {
    /// Whether pages of this origin are among them.
    fn covers(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Origin(listed) => listed == origin,
            Self::Loopback => is_loopback(origin),
        }
    }
}

impl Origins {
    /// Whether pages of this origin may call, if they are not the server's own.
    pub fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Own => false,
            Self::These(shared) => shared.iter().any(|shared| shared.covers(origin)),
            Self::Any => true,
        }
    }

    /// Reads `*`, or `loopback` and origins such as `https://portal.example.com` parted by commas or spaces.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let shared = |part: &str| match part {
            "loopback" => Ok(Shared::Loopback),
            _ => origin(part).map(Shared::Origin).ok_or_else(|| wanted(part)),
        };
        let origins = parts(text).map(shared).collect::<Result<Vec<_>, _>>()?;
        Ok(if origins.is_empty() { Self::Own } else { Self::These(origins) })
    }
}

/// Whether it is `http` or `https` at a loopback name or address, at any port.
fn is_loopback(origin: &HeaderValue) -> bool {
    let place = origin.to_str().ok().and_then(|origin| {
        let (scheme, place) = origin.split_once("://")?;
        matches!(scheme, "http" | "https").then_some(place)
    });
    let hosts = ["localhost", "127.0.0.1", "[::1]"];
    place.and_then(|place| hosts.iter().find_map(|host| place.strip_prefix(host))).is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|_| !port.starts_with('+')))
    })
}

fn wanted(part: &str) -> String {
    format!("{part:?} is no origin: write https://HOST or https://HOST:PORT, without a path, or loopback, or * alone")
}

fn origin(text: &str) -> Option<HeaderValue> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && !text.ends_with('/')
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    match url.origin() {
        // A browser leaves out the port that the scheme implies, and so does this.
        origin @ Origin::Tuple(..) if plain => HeaderValue::from_str(&origin.ascii_serialization()).ok(),
        _ => None,
    }
}

/// Networks, as `10.0.0.0/8`, `fd00::/8` or a single address, parted by commas or spaces.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |part: &str| part.parse().ok().or_else(|| Some(IpNet::from(part.parse::<std::net::IpAddr>().ok()?)));
    parts(text)
        .map(|part| network(part).ok_or_else(|| format!("{part:?} is no address and no network such as 10.0.0.0/8")))
        .collect()
}

/// Names of headers, parted by commas or spaces.
pub(super) fn headers(text: &str) -> Result<Vec<HeaderName>, String> {
    // A page can't send a token where `*` alone allows it, so that it would promise too much.
    let header = |part: &str| part.parse().ok().filter(|_| part != "*");
    parts(text)
        .map(|part| header(part).ok_or_else(|| format!("{part:?} is no name of a header, such as x-client-version")))
        .collect()
}

pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty())
}

/// How often something may be done: a bucket of tokens, full at first, that is refilled evenly.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What the bucket holds: so many at once.
    pub burst: NonZeroU32,
    /// In this time an empty bucket is full again.
    pub refill: Duration,
}

impl Rate {
    /// Reads `6000/1m`, or `off`.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, String> {
        if text == "off" {
            return Ok(None);
        }
        let rate = text.split_once('/').and_then(|(burst, refill)| {
            let refill = super::parse_duration(refill)?;
            let burst: NonZeroU32 = burst.trim().parse().ok()?;
            let fits = (Duration::from_millis(1)..=Duration::from_hours(24)).contains(&refill)
                && !(refill / burst.get()).is_zero();
            fits.then_some(Self { burst, refill })
        });
        rate.map(Some).ok_or_else(|| "must be a number and a time, such as 6000/1m or 10/1s, or `off`".to_owned())
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:?}", self.burst, self.refill)
    }
}

/// Which documents are known by their hash, and whether others may run.
#[derive(Clone, Debug)]
pub struct Documents {
    /// How much is remembered of documents that clients named by their hash, in bytes; 0: nothing is.
    pub cache_bytes: u64,
    /// Trusted documents.
    pub manifest: Option<Manifest>,
    /// Whether the trusted ones alone may run.
    pub trusted_only: bool,
}

/// A file of trusted documents, as it was read.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The file.
    pub path: PathBuf,
    /// Each document with its id.
    pub documents: Vec<(String, String)>,
}

impl Manifest {
    /// Reads a manifest: an object of ids and documents, as the tools of Relay and GraphQL Code Generator write it, or
    /// the format `apollo-persisted-query-manifest`, version 1.
    pub(super) fn read(path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|fault| format!("{path} can't be read: {fault}"))?;
        let documents = Self::parse(&text).map_err(|fault| format!("{path}: {fault}"))?;
        Ok(Self { path: path.into(), documents })
    }

    fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
        use serde_json::Value;

        const WANTED: &str = "must be an object of ids and documents, or an apollo-persisted-query-manifest";
        let value: Value = serde_json::from_str(text).map_err(|fault| format!("is not JSON: {fault}"))?;
        let Value::Object(object) = value else { return Err(WANTED.to_owned()) };
        if let Some(format) = object.get("format") {
            if format != "apollo-persisted-query-manifest" || object.get("version") != Some(&1.into()) {
                return Err(format!("the format {format} is not known here; it {WANTED} of version 1"));
            }
            let Some(Value::Array(operations)) = object.get("operations") else {
                return Err("`operations` must be a list".to_owned());
            };
            let read = |(at, operation): (usize, &Value)| match (operation["id"].as_str(), operation["body"].as_str()) {
                (Some(id), Some(body)) => Ok((id.to_owned(), body.to_owned())),
                _ => Err(format!("operations[{at}] must have an `id` and a `body`, both strings")),
            };
            return operations.iter().enumerate().map(read).collect();
        }
        let read = |(id, document): (String, Value)| match document {
            Value::String(document) => Ok((id, document)),
            _ => Err(format!("{id:?}: the document must be a string; the file {WANTED}")),
        };
        object.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_value_makes_a_reader_panic(text in "\\PC{0,40}|[0-9]{0,12}/[0-9]{0,12}[a-z]{0,3}|[0-9a-f:./, ]{0,40}|https?://[a-z.:0-9/@?#\\[\\]]{0,30}", number: u32) {
            let _ = Origins::parse(&text);
            let _ = networks(&text);
            let _ = headers(&text);
            let _ = Manifest::parse(&text);
            if let Ok(Some(rate)) = Rate::parse(&text) {
                prop_assert!(!(rate.refill / rate.burst.get()).is_zero());
            }
            if let Some(burst) = NonZeroU32::new(number) {
                let day = Duration::from_hours(24);
                prop_assert_eq!(Rate::parse(&format!("{number}/24h")), Ok(Some(Rate { burst, refill: day })));
            }
        }
    }

    #[test]
    fn origins_are_written_as_a_browser_sends_them() {
        assert_eq!(Origins::parse("*"), Ok(Origins::Any));
        assert_eq!(Origins::parse(" , "), Ok(Origins::Own));
        let expected = ["https://a.example", "http://localhost:3000", "https://b.example", "http://[::1]:1"];
        let read = Origins::parse("https://A.example, http://localhost:3000 https://b.example:443,http://[::1]:1");
        let listed = expected.map(|origin| Shared::Origin(HeaderValue::from_static(origin)));
        assert_eq!(read, Ok(Origins::These(listed.to_vec())));
        let read = Origins::parse("loopback,https://a.example");
        assert_eq!(read, Ok(Origins::These(vec![Shared::Loopback, listed[0].clone()])));
        for wrong in [
            "a.example",
            "https://a.example/",
            "https://a.example/x",
            "https://u@a.example",
            "*,https://a",
            "ftp://a.example",
            "https://a.example?x",
            "null",
            "https://",
            "Loopback",
            "loopback:5173",
            "*,loopback",
        ] {
            assert!(Origins::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn loopback_is_this_machine_at_any_port_and_nothing_that_looks_like_it() {
        let loopback = Origins::These(vec![Shared::Loopback]);
        let allows = |origin: &'static str| loopback.allow(&HeaderValue::from_static(origin));
        for ours in ["localhost", "127.0.0.1", "[::1]", "localhost:5173", "127.0.0.1:1", "[::1]:65535"] {
            for scheme in ["http", "https"] {
                let origin = HeaderValue::from_str(&format!("{scheme}://{ours}")).unwrap();
                assert!(loopback.allow(&origin), "{origin:?}");
                assert!(!Origins::Own.allow(&origin) && Origins::Any.allow(&origin));
            }
        }
        for foreign in [
            "null",
            "localhost:5173",
            "http://localhost.evil.example",
            "http://localhost:5173.evil.example",
            "http://localhost:",
            "http://localhost:+1",
            "http://localhost:65536",
            "http://localhost@evil.example",
            "http://localhost:80@evil.example",
            "http://127.0.0.1.evil.example",
            "http://evil.example/localhost",
            "http://evil-localhost",
            "http://127.0.0.2",
            "http://0.0.0.0",
            "http://[::1",
            "http://[::2]",
            "file://localhost",
            "http://192.168.0.1:5173",
        ] {
            assert!(!allows(foreign), "{foreign}");
        }
    }

    #[test]
    fn networks_and_single_addresses_are_read() {
        let read = networks("10.0.0.0/8, ::1 192.168.1.1").unwrap();
        assert_eq!(
            read.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.0.0.0/8", "::1/128", "192.168.1.1/32"]
        );
        assert!(networks("10.0.0.0/33").is_err());
        assert!(networks("proxy.example").is_err());
    }

    #[test]
    fn names_of_headers_are_read_whatever_their_case() {
        let read = headers("X-Client-Version, apollographql-client-name x_b").unwrap();
        assert_eq!(read, ["x-client-version", "apollographql-client-name", "x_b"]);
        for wrong in ["*", "a:b", "x-client, (y)", "é", "\"a\""] {
            let fault = headers(wrong).unwrap_err();
            assert!(fault.contains("is no name of a header"), "{fault}");
        }
    }

    #[test]
    fn a_rate_is_a_number_and_a_time() {
        let rate = |burst, refill| Ok(Some(Rate { burst: NonZeroU32::new(burst).unwrap(), refill }));
        assert_eq!(Rate::parse("off"), Ok(None));
        assert_eq!(Rate::parse("6000/1m"), rate(6000, Duration::from_mins(1)));
        assert_eq!(Rate::parse("3 / 500ms"), rate(3, Duration::from_millis(500)));
        for wrong in ["", "0/1s", "1", "/1s", "1/", "1/0s", "1/2d", "-1/1s", "4000000000/1ms", "1/1fortnight"] {
            assert!(Rate::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn manifests_of_both_formats_are_read_and_faults_named() {
        let one = vec![("a".to_owned(), "{ b }".to_owned())];
        assert_eq!(Manifest::parse(r#"{"a": "{ b }"}"#), Ok(one.clone()));
        let apollo = r#"{"format": "apollo-persisted-query-manifest", "version": 1,
            "operations": [{"id": "a", "name": "B", "type": "query", "body": "{ b }"}]}"#;
        assert_eq!(Manifest::parse(apollo), Ok(one));
        let fault = |text: &str| Manifest::parse(text).unwrap_err();
        assert!(fault("[]").starts_with("must be an object"));
        assert!(fault("{").starts_with("is not JSON"));
        assert!(fault(r#"{"a": 1}"#).starts_with("\"a\": the document must be a string"));
        assert!(fault(r#"{"format": "x"}"#).starts_with("the format \"x\" is not known here"));
        let nameless = r#"{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"body": ""}]}"#;
        assert_eq!(fault(nameless), "operations[0] must have an `id` and a `body`, both strings");
    }
}
