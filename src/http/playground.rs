//! The page to try queries on, from the bundle in the binary, and the people of the demo for it.
//!
//! The page gets everything from here, and its Content-Security-Policy allows nothing else. The nonce is for the style
//! elements that its editor makes; scripts come as files alone.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use cosell_playground::File;
use serde::Serialize;

use super::{App, browser};
use crate::config::Secret;

/// Somebody whom the playground's user can be. Only the demo has them: whoever opens the page gets their tokens.
#[derive(Clone, Debug)]
pub struct Person {
    /// What the page knows the person by.
    pub id: String,
    /// The name.
    pub name: String,
    /// The company's slug.
    pub company: String,
    /// The company's name.
    pub company_name: String,
    /// The role, as the API calls it.
    pub role: &'static str,
    /// What the company is in the demo's story.
    pub part: String,
    /// The bearer token.
    pub token: Secret,
}

/// A person as the page reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    id: &'a str,
    name: &'a str,
    company: &'a str,
    company_name: &'a str,
    role: &'a str,
    part: &'a str,
    token: &'a str,
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// What everything of the playground is sent with.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];
/// The policy of all but the page; that of a worker's script holds within the worker.
const CLOSED: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `/` and what it is made of.
pub(super) fn routes<E: Send + Sync + 'static>() -> Router<Arc<App<E>>> {
    Router::new()
        .route("/", get(page::<E>))
        .route("/playground/people.json", get(people::<E>))
        .route("/playground/{file}", get(top))
        .route("/playground/assets/{file}", get(asset))
}

async fn page<E>(State(app): State<Arc<App<E>>>) -> Response {
    let nonce = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
    let whole =
        cosell_playground::file(cosell_playground::PAGE).and_then(|page| std::str::from_utf8(page.content).ok());
    let html = match whole {
        Some(page) => page
            .replace("@NONCE@", &nonce)
            .replace("@PEOPLE@", yes_or_no(!app.people.is_empty()))
            .replace("@INTROSPECTION@", yes_or_no(app.config.http.introspection)),
        None => include_str!("playground/missing.html")
            .replace("@NONCE@", &nonce)
            .replace("@REASON@", &escape(cosell_playground::MISSING.unwrap_or("It was built without it."))),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; \
         style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // Each has its own nonce, so that none is kept.
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    send([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, NO_STORE)], &policy, html)
}

fn yes_or_no(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}

/// Text for HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The people, with their tokens, for a page of this very server.
async fn people<E>(State(app): State<Arc<App<E>>>, headers: HeaderMap) -> Response {
    if app.people.is_empty() {
        return StatusCode::NOT_FOUND.into_response();
    }
    if let Some(reason) = foreign(&headers, app.config.listen.ip()) {
        let response = send([(header::CACHE_CONTROL, NO_STORE)], CLOSED, format!("{reason}\n"));
        return (StatusCode::FORBIDDEN, response).into_response();
    }
    let shown: Vec<_> = app
        .people
        .iter()
        .map(|it| Shown {
            id: &it.id,
            name: &it.name,
            company: &it.company,
            company_name: &it.company_name,
            role: it.role,
            part: &it.part,
            token: it.token.expose(),
        })
        .collect();
    send([(header::CACHE_CONTROL, NO_STORE)], CLOSED, Json(shown))
}

/// Why a request may not have come from a page of this server. A page of somebody else's must not get the tokens:
/// neither by asking across origins, nor by a name of its own that was made to lead here (DNS rebinding).
fn foreign(headers: &HeaderMap, listen: std::net::IpAddr) -> Option<&'static str> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text(HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Some("The people of the demo are for its own page.");
    }
    if headers.get(header::ORIGIN).is_some_and(|origin| !browser::is_own(headers, origin)) {
        return Some("The people of the demo are for its own page.");
    }
    let host = text(header::HOST).unwrap_or_default();
    let host = host.parse::<axum::http::uri::Authority>().ok();
    let host = host.as_ref().map_or("", |host| host.host()).trim_end_matches('.').to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let ours = match address {
        // A server for all addresses of its machine has many; none of them is a name.
        Ok(address) => address.is_loopback() || address == listen || listen.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    };
    (!ours).then_some("The people of the demo are told at its own address alone, such as http://localhost:8080/.")
}

async fn top(Path(name): Path<String>, headers: HeaderMap) -> Response {
    // The page is there at `/`, filled in.
    if name == cosell_playground::PAGE {
        return StatusCode::NOT_FOUND.into_response();
    }
    serve(&name, &headers)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&format!("assets/{name}"), &headers)
}

fn serve(path: &str, headers: &HeaderMap) -> Response {
    let Some(file) = cosell_playground::file(path) else { return StatusCode::NOT_FOUND.into_response() };
    let brotli = file.brotli.filter(|_| takes(headers, "br"));
    let tag = tag(file, brotli.is_some());
    let mut common = HeaderMap::new();
    common.insert(header::CACHE_CONTROL, if file.is_immutable() { IMMUTABLE } else { NO_CACHE });
    common.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    if known.flat_map(|value| value.split(',')).any(|it| matches!(it.trim(), "*") || it.trim() == tag) {
        common.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    common.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
    common.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    if brotli.is_some() {
        common.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    let content = brotli.unwrap_or(file.content);
    let mut response = send([], CLOSED, content);
    response.headers_mut().extend(common);
    response
}

/// Of the bytes that are sent: the compressed ones have another.
fn tag(file: &File, brotli: bool) -> String {
    format!("\"{}{}\"", &file.sha256[..32.min(file.sha256.len())], if brotli { "-br" } else { "" })
}

/// Whether a client takes this encoding: it is named, and not with the weight 0.
fn takes(headers: &HeaderMap, encoding: &str) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|offer| {
        let (name, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let weight = weight.trim().trim_start_matches("q=").trim();
        name.trim().eq_ignore_ascii_case(encoding) && weight.parse::<f32>().unwrap_or(1.0) > 0.0
    })
}

fn send<const N: usize>(own: [(HeaderName, HeaderValue); N], policy: &str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.extend(HeaderValue::try_from(policy).ok().map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
    for (name, value) in own {
        headers.insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn people_are_told_at_the_own_address_alone() {
        let listens = |address: &str| address.parse::<std::net::IpAddr>().unwrap();
        let told = |pairs: &[_], listen| foreign(&headers(pairs), listens(listen)).is_none();
        for host in ["localhost", "LOCALHOST:8080", "demo.localhost:1", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080"] {
            assert!(told(&[("host", host)], "127.0.0.1"), "{host}");
        }
        for host in ["", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.5:8080", "\\"]
        {
            assert!(!told(&[("host", host)], "127.0.0.1"), "{host}");
        }
        assert!(!told(&[], "127.0.0.1"));
        // Elsewhere than on loopback, where the operator said so.
        assert!(told(&[("host", "10.0.0.5:8080")], "10.0.0.5"));
        assert!(told(&[("host", "10.0.0.5:8080")], "0.0.0.0"));
        assert!(!told(&[("host", "evil.example:8080")], "0.0.0.0"));

        let host = ("host", "localhost:8080");
        for site in ["cross-site", "same-site", "else"] {
            assert!(!told(&[host, ("sec-fetch-site", site)], "127.0.0.1"), "{site}");
        }
        assert!(told(&[host, ("sec-fetch-site", "same-origin")], "127.0.0.1"));
        assert!(told(&[host, ("sec-fetch-site", "none"), ("origin", "http://localhost:8080")], "127.0.0.1"));
        for origin in ["null", "http://evil.example", "http://localhost:9090"] {
            assert!(!told(&[host, ("origin", origin)], "127.0.0.1"), "{origin}");
        }
    }

    #[test]
    fn an_encoding_is_taken_where_it_is_named_with_a_weight() {
        for accepted in ["br", "gzip, deflate, br", "gzip;q=1.0, BR;q=0.5", "br; q=1"] {
            assert!(takes(&headers(&[("accept-encoding", accepted)]), "br"), "{accepted}");
        }
        for accepted in ["gzip", "br;q=0", "br;q=0.0", "brotli", ""] {
            assert!(!takes(&headers(&[("accept-encoding", accepted)]), "br"), "{accepted}");
        }
    }

    #[test]
    fn text_does_not_become_markup() {
        assert_eq!(escape("<b> & \"c\""), "&lt;b&gt; &amp; \"c\"");
    }
}
