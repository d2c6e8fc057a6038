//! What browsers are told.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Error};

use super::over_http::{JSON, client, post};
use super::toy::Server;
use crate::clock::SystemClock;
use crate::config::{Config, Origins, Shared};

const PORTAL: &str = "https://portal.example";

async fn with(origins: Origins) -> Server {
    Server::with(|config| config.http.allowed_origins = origins, Arc::new(SystemClock)).await
}

fn portal() -> Origins {
    Origins::These(vec![Shared::Origin(HeaderValue::from_static(PORTAL))])
}

/// What a browser asks before a page of that origin may send JSON with a token.
async fn preflight(server: &Server, path: &str, origin: &str) -> Response {
    let request = client().request(Method::OPTIONS, server.url(path)).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    request.header("access-control-request-headers", "authorization,content-type").send().await.unwrap()
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn pages_of_listed_origins_may_call_and_others_may_not() {
    let server = with(portal()).await;
    for path in ["/graphql", "/graphql/stream"] {
        let answer = preflight(&server, path, PORTAL).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(header(answer.headers(), "access-control-allow-origin"), PORTAL);
        assert_eq!(header(answer.headers(), "access-control-allow-methods"), "GET,POST,PUT,DELETE");
        assert!(header(answer.headers(), "access-control-allow-headers").contains("authorization"));
        assert!(header(answer.headers(), "access-control-allow-credentials").is_empty());
        for foreign in ["https://evil.example", "https://portal.example.evil", "null"] {
            let answer = preflight(&server, path, foreign).await;
            assert_eq!(header(answer.headers(), "access-control-allow-origin"), "", "{foreign}");
        }
    }
    let call = post(&server, JSON, &json!({"query": "{ hello }"})).header("origin", PORTAL).send().await.unwrap();
    assert_eq!(header(call.headers(), "access-control-allow-origin"), PORTAL);
    assert!(header(call.headers(), "access-control-expose-headers").contains("retry-after"));
    assert!(header(call.headers(), "vary").to_ascii_lowercase().contains("origin"));
    // A probe is nobody's business.
    assert_eq!(header(preflight(&server, "/readyz", PORTAL).await.headers(), "access-control-allow-origin"), "");

    let server = with(Origins::These(vec![Shared::Loopback])).await;
    for (origin, allowed) in [
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://localhost.evil.example", ""),
        (PORTAL, ""),
    ] {
        let answer = preflight(&server, "/graphql", origin).await;
        assert_eq!(header(answer.headers(), "access-control-allow-origin"), allowed, "{origin}");
    }

    let server = with(Origins::Own).await;
    let answer = preflight(&server, "/graphql", PORTAL).await;
    assert_eq!((answer.status().as_u16(), header(answer.headers(), "access-control-allow-origin")), (405, ""));
    let server = with(Origins::Any).await;
    assert_eq!(header(preflight(&server, "/graphql", PORTAL).await.headers(), "access-control-allow-origin"), "*");
}

#[tokio::test]
async fn pages_may_send_the_headers_that_are_configured_besides_the_usual() {
    let own = ["x-client-version", "apollographql-client-name"].map(HeaderName::from_static);
    let change = |config: &mut Config| {
        config.http.allowed_origins = portal();
        config.http.allowed_headers = own.to_vec();
    };
    let server = Server::with(change, Arc::new(SystemClock)).await;
    for path in ["/graphql", "/graphql/stream"] {
        let answer = preflight(&server, path, PORTAL).await;
        let allowed: Vec<_> = header(answer.headers(), "access-control-allow-headers").split(',').collect();
        for name in ["authorization", "content-type", "traceparent", own[0].as_str(), own[1].as_str()] {
            assert!(allowed.contains(&name), "{name} {allowed:?}");
        }
        let foreign = preflight(&server, path, "https://evil.example").await;
        assert_eq!(header(foreign.headers(), "access-control-allow-origin"), "");
    }
    let server = with(portal()).await;
    let answer = preflight(&server, "/graphql", PORTAL).await;
    assert!(!header(answer.headers(), "access-control-allow-headers").contains("x-client-version"));
}

#[tokio::test]
async fn nothing_that_a_page_can_send_unasked_changes_anything() {
    let server = with(portal()).await;
    let mutation = json!({"query": "mutation { hit }"}).to_string();
    // The three types of a body that a browser sends without asking, and none at all.
    for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        for path in ["/graphql", "/graphql/stream"] {
            let mut request = client().post(server.url(path)).header("origin", PORTAL).body(mutation.clone());
            if !media.is_empty() {
                request = request.header("content-type", media);
            }
            assert_eq!(request.send().await.unwrap().status(), 415, "{media} {path}");
        }
    }
    for path in ["/graphql", "/graphql/stream"] {
        let url = format!("{}?query=mutation%7Bhit%7D", server.url(path));
        assert_eq!(client().get(url).send().await.unwrap().status(), 405, "{path}");
    }
    assert_eq!(server.hits(), 0);
}

#[tokio::test]
async fn a_page_of_another_origin_opens_no_websocket() {
    async fn open(server: &Server, origin: Option<&str>) -> Result<(), u16> {
        let mut request = format!("ws://{}/graphql/ws", server.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", tungstenite::http::HeaderValue::from_str(origin).unwrap());
        }
        match connect_async(request).await {
            Ok(_) => Ok(()),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }
    let server = with(portal()).await;
    let own = format!("http://{}", server.address);
    assert_eq!(open(&server, None).await, Ok(()));
    assert_eq!(open(&server, Some(&own)).await, Ok(()));
    assert_eq!(open(&server, Some(PORTAL)).await, Ok(()));
    assert_eq!(open(&server, Some("https://evil.example")).await, Err(403));
    assert_eq!(open(&server, Some("null")).await, Err(403));
    let server = with(Origins::These(vec![Shared::Loopback])).await;
    assert_eq!(open(&server, Some("http://127.0.0.1:5173")).await, Ok(()));
    assert_eq!(open(&server, Some("http://127.0.0.1.evil.example")).await, Err(403));
    let server = with(Origins::Any).await;
    assert_eq!(open(&server, Some("https://evil.example")).await, Ok(()));
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let server = with(portal()).await;
    for path in ["/graphql", "/graphql/stream", "/graphql/ws", "/livez", "/readyz", "/", "/nothing", "/graphql/"] {
        let answer = client().get(server.url(path)).send().await.unwrap();
        let headers = answer.headers();
        assert_eq!(header(headers, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(headers, "x-frame-options"), "DENY", "{path}");
        assert_eq!(header(headers, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(headers, "cross-origin-resource-policy"), "same-origin", "{path}");
        let policy = header(headers, "content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(headers.get("server").is_none(), "{path}");
    }
    let nothing = client().get(server.url("/nothing")).send().await.unwrap();
    assert_eq!((nothing.status().as_u16(), nothing.text().await.unwrap().contains("/graphql")), (404, true));
}
