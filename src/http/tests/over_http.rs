use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::toy::{Server, manual_clock};
use crate::clock::SystemClock;

pub(super) const JSON: &str = "application/json";
pub(super) const GRAPHQL: &str = "application/graphql-response+json";

pub(super) fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

pub(super) fn post(server: &Server, accept: &str, body: &Value) -> RequestBuilder {
    client().post(server.url("/graphql")).header("content-type", JSON).header("accept", accept).body(body.to_string())
}

pub(super) async fn read(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), body(response).await)
}

pub(super) async fn body(response: Response) -> Value {
    let media = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(media.starts_with("application/"), "{media}");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let value: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    for error in value["errors"].as_array().into_iter().flatten() {
        assert!(error["message"].is_string());
        assert!(error["extensions"]["code"].is_string(), "an error without a code: {error}");
        if error["extensions"]["code"] == "INTERNAL" {
            assert_eq!(error["extensions"]["requestId"], id);
        }
        assert!(!error.to_string().contains("hush"), "a cause was shown: {error}");
    }
    value
}

pub(super) fn code(value: &Value) -> &str {
    value["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_query_is_answered_over_post_and_get() {
    let server = Server::start().await;
    for media in [JSON, GRAPHQL] {
        let response = post(&server, media, &json!({"query": "{ hello }"})).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], format!("{media}; charset=utf-8"));
        assert_eq!(body(response).await, json!({"data": {"hello": "nobody"}}));
    }
    let query = json!({
        "query": "query A { hello } query B($p: Pair!) { sum(pair: $p) }", "operationName": "B",
        "variables": {"p": {"left": 1, "right": 2}}, "extensions": {}, "unknown": 1,
    });
    assert_eq!(read(post(&server, "*/*", &query)).await, (StatusCode::OK, json!({"data": {"sum": 3}})));
    let null = json!({"query": "{ hello }", "operationName": null, "variables": null, "extensions": null});
    assert_eq!(read(post(&server, JSON, &null)).await.0, 200);

    let mut url = url::Url::parse(&server.url("/graphql")).unwrap();
    url.query_pairs_mut()
        .append_pair("query", "query A { hello } query B($p: Pair!) { sum(pair: $p) }")
        .append_pair("operationName", "B")
        .append_pair("variables", r#"{"p":{"left":1,"right":2}}"#);
    assert_eq!(read(client().get(url)).await, (StatusCode::OK, json!({"data": {"sum": 3}})));
}

#[tokio::test]
async fn request_errors_have_no_data_and_a_status_by_the_media_type() {
    let server = Server::start().await;
    let cases = [
        (json!({"query": "{"}), "INVALID_INPUT"),
        (json!({"query": ""}), "INVALID_INPUT"),
        (json!({"query": "{ nothing }"}), "INVALID_INPUT"),
        (json!({"query": "query A { hello } query B { hello }"}), "INVALID_INPUT"),
        (json!({"query": "query A { hello }", "operationName": "C"}), "INVALID_INPUT"),
        (json!({"query": "{ hello }", "operationName": "C"}), "INVALID_INPUT"),
        (json!({"query": "query($p: Pair!) { sum(pair: $p) }"}), "INVALID_INPUT"),
        (json!({"query": "query($p: Pair!) { sum(pair: $p) }", "variables": {"p": {"left": "x"}}}), "INVALID_INPUT"),
        (json!({"query": "{ sum(pair: {left: 1, right: 2}, colour: BLUE) }"}), "INVALID_INPUT"),
        (json!({"query": "subscription { count(to: 1) }"}), "INVALID_INPUT"),
        (json!({"query": "{ ...a } fragment a on Query { hello ...a }"}), "INVALID_INPUT"),
        (
            json!({"query": format!("{{ node {{ {} name {} }} }}", "next { ".repeat(20), "}".repeat(20))}),
            "QUERY_TOO_COMPLEX",
        ),
        (
            json!({"query": format!("{{ node {{ {} name {} }} }}", "next { ".repeat(50), "}".repeat(50))}),
            "QUERY_TOO_COMPLEX",
        ),
        (
            json!({"query": format!("{{ node {{ {} name {} }} }}", "next { ".repeat(90), "}".repeat(90))}),
            "QUERY_TOO_COMPLEX",
        ),
        (
            json!({"query": format!("{{ {} }}", (0..300).fold(String::new(), |mut all, i| {
                write!(all, "a{i}: hello ").unwrap();
                all
            }))}),
            "QUERY_TOO_COMPLEX",
        ),
        (json!({"query": format!("{{ {} }}", "hello ".repeat(6000))}), "QUERY_TOO_COMPLEX"),
    ];
    for (request, expected) in cases {
        // Which operation is meant: that the documents are right and do not say it.
        let undetermined = request["query"].as_str().is_some_and(|it| it.starts_with("query A"))
            || request["operationName"].is_string();
        let (status, value) = read(post(&server, GRAPHQL, &request)).await;
        let answered = if undetermined { 422 } else { 400 };
        assert_eq!((status.as_u16(), code(&value)), (answered, expected), "{request}: {value}");
        assert!(value.get("data").is_none());
        let (status, value) = read(post(&server, JSON, &request)).await;
        assert_eq!((status.as_u16(), code(&value)), (200, expected), "{request}: {value}");
        assert!(value.get("data").is_none());
    }
}

#[tokio::test]
async fn errors_of_fields_come_with_data_and_a_status_of_success() {
    let server = Server::start().await;
    for (media, success) in [(JSON, 200), (GRAPHQL, 294)] {
        let (status, value) = read(post(&server, media, &json!({"query": "{ hello refused }"}))).await;
        assert_eq!(status, success);
        assert_eq!(value["data"], json!({"hello": "nobody", "refused": null}));
        assert_eq!(code(&value), "FORBIDDEN");
        let (status, value) = read(post(&server, media, &json!({"query": "{ hello must }"}))).await;
        assert_eq!((status.as_u16(), code(&value)), (success, "NOT_FOUND"));
        assert_eq!(value.get("data"), Some(&Value::Null));
        let (status, value) = read(post(&server, media, &json!({"query": "{ broken }"}))).await;
        assert_eq!((status.as_u16(), code(&value)), (success, "INTERNAL"));
        let id = json!({"query": "{ sum(pair: {left: 1, right: 2}, id: \"x\") }"});
        assert_eq!(code(&read(post(&server, media, &id)).await.1), "INVALID_INPUT");
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_its_status() {
    let server = Server::start().await;
    let url = server.url("/graphql");
    let raw = |content_type: Option<&str>, body: &str| {
        let request = client().post(&url).body(body.to_owned());
        match content_type {
            Some(it) => request.header("content-type", it),
            None => request,
        }
    };
    let hit = r#"{"query": "mutation { hit }"}"#;
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/json; charset=utf-16"),
        Some("application/graphql"),
    ] {
        let (status, value) = read(raw(content_type, hit)).await;
        assert_eq!((status.as_u16(), code(&value)), (415, "INVALID_INPUT"), "{content_type:?}");
    }
    for bad in [
        "",
        "{",
        "null",
        "7",
        "\"{ hello }\"",
        "{}",
        r#"{"query": 7}"#,
        r#"{"query": null}"#,
        r#"{"query": "{ hello }", "variables": "{}"}"#,
        r#"{"query": "{ hello }", "variables": []}"#,
        r#"{"query": "{ hello }", "operationName": 7}"#,
        r#"{"query": "{ hello }", "extensions": "x"}"#,
        r#"[{"query": "mutation { hit }"}]"#,
        "[]",
        "\u{0}",
    ] {
        for accept in [JSON, GRAPHQL] {
            let (status, value) = read(raw(Some(JSON), bad).header("accept", accept)).await;
            assert_eq!((status.as_u16(), code(&value)), (400, "INVALID_INPUT"), "{bad}");
            assert!(value.get("data").is_none());
        }
    }
    let not_utf8 = client().post(&url).header("content-type", JSON).body(b"{\"query\":\"\xff\"}".to_vec());
    assert_eq!(read(not_utf8).await.0, 400);
    for accept in ["text/html", "image/*", "application/json;q=0"] {
        let (status, value) = read(raw(Some(JSON), hit).header("accept", accept)).await;
        assert_eq!((status.as_u16(), code(&value)), (406, "INVALID_INPUT"), "{accept}");
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let response = client().request(method.clone(), &url).send().await.unwrap();
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.headers()["allow"], "GET, HEAD, POST");
    }
    assert_eq!(server.hits(), 0, "nothing was executed");
    assert_eq!(read(raw(Some("application/json; charset=UTF-8"), hit)).await.0, 200);
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn over_get_only_queries_are_executed() {
    let server = Server::start().await;
    let get = |pairs: &[(&str, &str)]| {
        let mut url = url::Url::parse(&server.url("/graphql")).unwrap();
        url.query_pairs_mut().extend_pairs(pairs);
        client().get(url)
    };
    for query in ["mutation { hit }", "subscription { count(to: 1) }", "mutation A { hit }"] {
        let response = get(&[("query", query)]).send().await.unwrap();
        assert_eq!(response.status(), 405, "{query}");
        assert_eq!(response.headers()["allow"], "POST");
        assert_eq!(code(&body(response).await), "INVALID_INPUT");
    }
    let two = "query A { hello } mutation B { hit }";
    assert_eq!(get(&[("query", two), ("operationName", "B")]).send().await.unwrap().status(), 405);
    assert_eq!(get(&[("query", two), ("operationName", "A")]).send().await.unwrap().status(), 200);
    assert_eq!(read(get(&[("query", two)])).await.1["errors"].as_array().unwrap().len(), 1);
    for bad in [&[][..], &[("query", "{ hello }"), ("variables", "x")], &[("query", "{ a }"), ("query", "{ b }")]] {
        assert_eq!(read(get(bad)).await.0, 400, "{bad:?}");
    }
    let head = client().head(server.url("/graphql?query=%7Bhello%7D")).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(server.hits(), 0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let server = Server::with(|config| config.limits.max_body_bytes = 2048, Arc::new(SystemClock)).await;
    let large = json!({"query": format!("{{ hello }} #{}", "x".repeat(3000))});
    let (status, value) = read(post(&server, JSON, &large)).await;
    assert_eq!((status.as_u16(), code(&value)), (413, "INVALID_INPUT"));
    // The same without an announced length.
    let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head =
        "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(format!("1000\r\n{}\r\n", "x".repeat(4096)).as_bytes()).await.unwrap();
    let mut start = [0; 12];
    socket.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let server =
        Server::with(|config| config.limits.request_timeout = Duration::from_millis(100), Arc::new(SystemClock)).await;
    let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    socket.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_token_says_who_asks_and_a_wrong_one_is_401() {
    let clock = manual_clock();
    let server = Server::with(|_| {}, clock.clone()).await;
    let hello = json!({"query": "{ hello }"});
    let token = server.token("acme", &*clock);
    let (status, value) = read(post(&server, JSON, &hello).bearer_auth(&token)).await;
    assert_eq!((status.as_u16(), &value), (200, &json!({"data": {"hello": "[Sales]"}})));

    clock.advance(chrono::TimeDelta::hours(2));
    for (authorization, reason) in [
        (format!("Bearer {token}"), "The bearer token has expired."),
        ("Bearer x.y".to_owned(), "The bearer token is malformed: it does not have three parts."),
        ("Basic abc".to_owned(), "The bearer token is malformed: the Authorization header must be `Bearer TOKEN`."),
        (format!("Bearer {}", server.token("stranger", &*clock)), "There is no such company."),
    ] {
        for media in [JSON, GRAPHQL] {
            let request = post(&server, media, &hello).header("authorization", &authorization);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 401);
            assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
            let value = body(response).await;
            assert_eq!(code(&value), "UNAUTHENTICATED");
            assert_eq!(value["errors"][0]["message"], reason);
            assert!(value.get("data").is_none());
        }
    }
    let broken = server.token("broken", &*clock);
    let (status, value) = read(post(&server, JSON, &hello).bearer_auth(&broken)).await;
    assert_eq!((status.as_u16(), code(&value)), (500, "INTERNAL"));
}

#[tokio::test]
async fn a_panic_is_internal_and_the_server_goes_on() {
    let server = Server::start().await;
    for media in [JSON, GRAPHQL] {
        let (status, value) = read(post(&server, media, &json!({"query": "{ panics }"}))).await;
        assert_eq!((status.as_u16(), code(&value)), (500, "INTERNAL"));
        assert!(value.get("data").is_none());
    }
    assert_eq!(read(post(&server, JSON, &json!({"query": "{ hello }"}))).await.0, 200);
}

#[tokio::test]
async fn an_operation_that_takes_too_long_is_unavailable() {
    let server =
        Server::with(|config| config.limits.request_timeout = Duration::from_millis(50), Arc::new(SystemClock)).await;
    let (status, value) = read(post(&server, JSON, &json!({"query": "{ slow }"}))).await;
    assert_eq!((status.as_u16(), code(&value)), (503, "UNAVAILABLE"));
}

#[tokio::test]
async fn a_fragment_bomb_is_refused_at_once() {
    let server = Server::start().await;
    let mut bomb = "{ ...f0 }".to_owned();
    for level in 0..7 {
        write!(bomb, " fragment f{level} on Query {{ {} }}", format!("...f{} ", level + 1).repeat(10)).unwrap();
    }
    bomb.push_str(" fragment f7 on Query { hello }");
    let start = std::time::Instant::now();
    let (status, value) = read(post(&server, GRAPHQL, &json!({"query": bomb}))).await;
    assert_eq!((status.as_u16(), code(&value)), (400, "QUERY_TOO_COMPLEX"));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn errors_are_bounded_in_number_and_length() {
    let server = Server::with(|config| config.limits.max_root_fields = 100, Arc::new(SystemClock)).await;
    let many: String = (0..100).fold(String::new(), |mut all, i| {
        write!(all, "nothing{i} ").unwrap();
        all
    });
    let (_, value) = read(post(&server, JSON, &json!({"query": format!("{{ {many} }}")}))).await;
    assert_eq!(value["errors"].as_array().unwrap().len(), 20);
    assert_eq!(value["extensions"]["errorsOmitted"], 80);
    let (_, value) = read(post(&server, JSON, &json!({"query": format!("{{ {} }}", "é".repeat(50_000))}))).await;
    assert!(value["errors"][0]["message"].as_str().unwrap().len() < 600);
    let (_, value) = read(post(&server, JSON, &json!({"query": format!("{{ {} }}", "e".repeat(50_000))}))).await;
    assert!(value["errors"][0]["message"].as_str().unwrap().len() < 600);
}

#[tokio::test]
async fn the_schema_can_be_read_unless_switched_off() {
    // Deeper than the schema allows for data.
    let nested = format!("{} name {}", "ofType { ".repeat(12), "}".repeat(12));
    let query = json!({"query": format!("{{ __schema {{ types {{ fields {{ type {{ {nested} }} }} }} }} }}")});
    let server = Server::start().await;
    let (status, value) = read(post(&server, JSON, &query)).await;
    assert_eq!(status, 200);
    assert!(value["data"]["__schema"]["types"].is_array(), "{value}");
    assert_eq!(client().get(server.url("/")).send().await.unwrap().status(), 200);

    let server = Server::with(
        |config| {
            config.http.introspection = false;
            config.http.playground = false;
        },
        Arc::new(SystemClock),
    )
    .await;
    let (status, value) = read(post(&server, GRAPHQL, &query)).await;
    assert_eq!((status.as_u16(), code(&value)), (400, "INVALID_INPUT"));
    assert_eq!(read(post(&server, JSON, &json!({"query": "{ __typename hello }"}))).await.0, 200);
    assert_eq!(client().get(server.url("/")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn health_is_told_and_the_end_lets_requests_finish() {
    let mut server = Server::start().await;
    assert_eq!(client().get(server.url("/livez")).send().await.unwrap().text().await.unwrap(), "ok\n");
    assert_eq!(client().get(server.url("/readyz")).send().await.unwrap().status(), 200);
    server.stop();
    (&mut server.done).await.unwrap().unwrap();
    assert!(client().get(server.url("/livez")).send().await.is_err());
}
