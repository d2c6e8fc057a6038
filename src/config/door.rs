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
    /// These besides, each as a browser sends it.
    These(Vec<HeaderValue>),
    /// Every page of the web.
    Any,
}

impl Origins {
    /// Reads `*`, or origins such as `https://portal.example.com` parted by commas or spaces.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let origins =
            parts(text).map(|part| origin(part).ok_or_else(|| wanted(part))).collect::<Result<Vec<_>, _>>()?;
        Ok(if origins.is_empty() { Self::Own } else { Self::These(origins) })
    }
}

fn wanted(part: &str) -> String {
    format!("{part:?} is no origin: write https://HOST or https://HOST:PORT, without a path, or * alone")
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
        assert_eq!(read, Ok(Origins::These(expected.map(HeaderValue::from_static).to_vec())));
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
        ] {
            assert!(Origins::parse(wrong).is_err(), "{wrong}");
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
