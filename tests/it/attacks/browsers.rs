//! A page of another site, in the browser of somebody who is signed in: it has no token to send, and what it can make a
//! browser send without asking first is not read.

use reqwest::Method;
use serde_json::json;

use super::{query_of, well};
use crate::support::database::{Kind, start};
use crate::support::http::Answer;
use crate::support::rows::Rows;
use crate::support::world::World;

const EVIL: &str = "https://evil.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_site_reads_nothing_and_changes_nothing() {
    let world: World = start(Kind::Sqlite).await;
    let caller = world.as_("acme", "SALES");
    well(&caller).await;
    let rows = Rows::of(&world.database).await;
    let before = rows.now().await;
    let mutation =
        "mutation { createLead(input: { title: \"Forged\", customer: { company: \"A\" } }) { lead { id } } }";
    let body = json!({ "query": mutation }).to_string();
    for path in ["/graphql", "/graphql/stream"] {
        // A simple request: its label is one of three, and nobody asks the server first. Here it even has the token.
        for label in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/plain;charset=UTF-8",
        ] {
            let request = caller.request(Method::POST, path).header("origin", EVIL).header("content-type", label);
            let answer = Answer::of(request.body(body.clone())).await;
            assert!(answer.status.is_client_error(), "{label}: {}", answer.text);
            assert_ne!(
                answer.headers.get("access-control-allow-origin").map(reqwest::header::HeaderValue::as_bytes),
                Some(EVIL.as_bytes())
            );
        }
        let get = caller.request(Method::GET, &query_of(path, mutation)).header("origin", EVIL);
        assert!(Answer::of(get).await.status.is_client_error());
        // What is not simple is asked for first, and not allowed.
        for method in ["POST", "GET", "PUT"] {
            let asked = caller
                .request(Method::OPTIONS, path)
                .header("origin", EVIL)
                .header("access-control-request-method", method)
                .header("access-control-request-headers", "content-type,authorization");
            let answer = Answer::of(asked).await;
            for name in
                ["access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-headers"]
            {
                let allowed = answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
                assert!(
                    allowed != EVIL && allowed != "*" && allowed != "null" && allowed != "true",
                    "{path} {method}: {name}: {allowed}"
                );
            }
        }
    }
    rows.unchanged_since(&before, "a page of another site").await;
    for origin in [EVIL, "null", "http://127.0.0.1.evil.example", "file://", "https://evil.example\u{e9}", "x"] {
        let request = caller
            .request(Method::POST, "/graphql")
            .header("origin", origin)
            .json(&json!({ "query": "{ viewer { id } }" }));
        let answer = Answer::of(request).await;
        let allowed = answer.headers.get("access-control-allow-origin");
        assert!(allowed.is_none(), "{origin}: {allowed:?}");
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
        assert!(!answer.headers.contains_key("set-cookie"), "there are no cookies");
    }
    well(&caller).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_say_how_a_browser_has_to_take_them() {
    let world: World = start(Kind::Sqlite).await;
    let caller = world.as_("acme", "SALES");
    for (path, body) in [("/graphql", "{\"query\":\"{ viewer { id } }\"}"), ("/graphql", "x"), ("/graphql/stream", "x")]
    {
        let request = caller.request(Method::POST, path).header("content-type", "application/json").body(body);
        let answer = Answer::of(request).await;
        let header =
            |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert!(header("cache-control").contains("no-store"), "{path}: {}", header("cache-control"));
        assert!(header("content-type").starts_with("application/"), "{path}: {}", header("content-type"));
    }
    // What a caller wrote comes back as JSON: no browser takes it for a page.
    let request = caller
        .request(Method::GET, &query_of("/graphql", "{ <script>alert(1)</script> }"))
        .header("accept", "text/html,*/*");
    let answer = Answer::of(request).await;
    assert!(!answer.headers["content-type"].to_str().expect("a text").contains("html"), "{}", answer.text);
}
