//! Each limit, with its own error.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::over_http::{GRAPHQL, JSON, client, code, post, read};
use super::over_websocket::Client;
use super::toy::Server;
use crate::clock::SystemClock;
use crate::config::{Config, Rate};

/// What a test waits for comes within this.
const BOUND: Duration = Duration::from_secs(10);

async fn with(change: impl FnOnce(&mut Config)) -> Server {
    Server::with(change, Arc::new(SystemClock)).await
}

fn rate(burst: u32, refill: Duration) -> Rate {
    Rate { burst: NonZeroU32::new(burst).unwrap(), refill }
}

fn many(text: &str, times: usize) -> String {
    (0..times).fold(String::new(), |mut all, at| {
        write!(all, "{} ", text.replace('#', &at.to_string())).unwrap();
        all
    })
}

#[tokio::test]
async fn each_limit_of_an_operation_has_its_own_error() {
    let server = with(|config| {
        let limits = &mut config.limits;
        (limits.max_depth, limits.max_fields, limits.max_aliases) = (5, 60, 10);
        (limits.max_root_fields, limits.max_directives, limits.max_tokens) = (3, 12, 300);
        (limits.max_variables_bytes, limits.max_complexity) = (1000, 40);
    })
    .await;
    let deep = |levels: usize| format!("{{ node {{ {} name {} }} }}", "next { ".repeat(levels), "}".repeat(levels));
    let wide = format!("{{ node {{ {} }} }}", "next { name } ".repeat(30));
    let large = |bytes: usize| json!({"query": "{ hello }", "variables": {"x": "y".repeat(bytes - 8)}});
    let of = |query: &str| json!({"query": query});
    let cases = [
        (of(&deep(3)), of(&deep(4)), "limits.max_depth", 5),
        (of("{ hello }"), of(&wide), "limits.max_fields", 60),
        (
            of(&format!("{{ node {{ {} }} }}", many("a#: name", 10))),
            of(&format!("{{ node {{ {} }} }}", many("a#: name", 11))),
            "limits.max_aliases",
            10,
        ),
        (
            // What is selected again is one field.
            of("{ hello a: hello hello __typename ... { a: hello } }"),
            of("{ hello a: hello b: hello __typename }"),
            "limits.max_root_fields",
            3,
        ),
        (
            of(&format!("{{ {} }}", "hello @include(if: true) ".repeat(12))),
            of(&format!("{{ {} }}", "hello @include(if: true) ".repeat(13))),
            "limits.max_directives",
            12,
        ),
        (
            of(&format!("{{ hello {} }}", "# a comment is none\n".repeat(300))),
            of(&format!("query({}) {{ hello }}", many("$v#: Int = 1", 50))),
            "limits.max_tokens",
            300,
        ),
        (large(1000), large(1001), "limits.max_variables_bytes", 1000),
    ];
    for (good, bad, limit, maximum) in cases {
        let (status, value) = read(post(&server, GRAPHQL, &good)).await;
        assert_eq!((status.as_u16(), &value["errors"]), (200, &Value::Null), "{limit}: {good}");
        let (status, value) = read(post(&server, GRAPHQL, &bad)).await;
        assert_eq!((status.as_u16(), code(&value)), (400, "QUERY_TOO_COMPLEX"), "{limit}: {value}");
        let error = &value["errors"][0];
        assert_eq!((&error["extensions"]["limit"], &error["extensions"]["maximum"]), (&json!(limit), &json!(maximum)));
        assert!(error["message"].as_str().unwrap().contains(&maximum.to_string()), "{error}");
        assert!(value.get("data").is_none());
        let mut client = Client::ready(&server).await;
        client.say(json!({"type": "subscribe", "id": "a", "payload": bad})).await;
        let refused = client.message().await;
        assert_eq!((&refused["type"], &refused["payload"][0]["extensions"]["limit"]), (&json!("error"), &json!(limit)));
    }
    // The toy's compiler takes 200.
    let chain = format!("a#: node {{ {} name {} }}", "next { ".repeat(9), "}".repeat(9));
    let costly = format!("{{ {} }}", many(&chain, 18));
    let server = with(|config| config.limits.max_complexity = 200).await;
    assert_eq!(read(post(&server, GRAPHQL, &of(&costly))).await.0, 200);
    let costly = format!("{{ {} }}", many(&chain, 19));
    let (_, value) = read(post(&server, GRAPHQL, &of(&costly))).await;
    assert_eq!(code(&value), "QUERY_TOO_COMPLEX");
    assert_eq!(value["errors"][0]["extensions"]["limit"], "limits.max_complexity");
    assert_eq!(value["errors"][0]["extensions"]["maximum"], 200);
}

#[tokio::test]
async fn batches_are_off_unless_allowed_and_then_bounded() {
    let one = json!({"query": "{ hello }"});
    let server = with(|_| {}).await;
    let (status, value) = read(post(&server, JSON, &json!([one]))).await;
    assert_eq!((status.as_u16(), code(&value)), (400, "INVALID_INPUT"));

    let server = with(|config| config.limits.max_batch = 3).await;
    let mixed = json!([{"query": "mutation { hit }"}, {"query": "{ nothing }"}, {"query": "mutation { hit }"}]);
    let (status, value) = read(post(&server, JSON, &mixed)).await;
    assert_eq!(status.as_u16(), 200);
    assert_eq!((&value[0], &value[2]), (&json!({"data": {"hit": 1}}), &json!({"data": {"hit": 2}})));
    assert_eq!(value[1]["errors"][0]["extensions"]["code"], "INVALID_INPUT");
    assert!(value[1].get("data").is_none());
    let (status, value) = read(post(&server, JSON, &json!([one, one, one, one]))).await;
    assert_eq!((status.as_u16(), code(&value)), (400, "QUERY_TOO_COMPLEX"));
    assert_eq!(value["errors"][0]["extensions"]["limit"], "limits.max_batch");
    for wrong in [json!([]), json!([one, 7]), json!([one, {}])] {
        assert_eq!(read(post(&server, JSON, &wrong)).await.0, 400, "{wrong}");
    }
    assert_eq!(read(post(&server, JSON, &one)).await.1, json!({"data": {"hello": "nobody"}}));
    let subscriptions = json!([{"query": "subscription { count(to: 1) }"}]);
    assert_eq!(
        read(post(&server, JSON, &subscriptions)).await.1[0]["errors"][0]["extensions"]["code"],
        "INVALID_INPUT"
    );
}

#[tokio::test]
async fn a_batch_has_the_time_of_one_operation() {
    let server = with(|config| {
        config.limits.max_batch = 10;
        config.limits.request_timeout = Duration::from_millis(50);
    })
    .await;
    let batch = Value::from(vec![json!({"query": "{ slow }"}); 10]);
    let (_, value) = timeout(BOUND, read(post(&server, JSON, &batch))).await.unwrap();
    for answer in value.as_array().unwrap() {
        assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    }
}

/// The status and what is said of when to come again: the header, and the error's extension.
async fn asked(request: RequestBuilder) -> (u16, Option<u64>, Option<u64>) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let header = response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    let value = super::over_http::body(response).await;
    (status, header, value["errors"][0]["extensions"]["retryAfter"].as_u64())
}

#[tokio::test]
async fn a_member_that_comes_too_often_is_told_when_to_come_again() {
    let server = with(|config| {
        config.limits.member_rate = Some(rate(4, Duration::from_hours(1)));
        config.limits.max_batch = 10;
    })
    .await;
    let hello = json!({"query": "{ hello }"});
    let by = |company: &str, body: &Value| post(&server, JSON, body).bearer_auth(server.token(company, &SystemClock));
    assert_eq!(asked(by("acme", &hello)).await, (200, None, None));
    // Each operation counts, however it comes.
    assert_eq!(by("acme", &json!([hello, hello])).send().await.unwrap().status(), 200);
    let mut socket = Client::ready(&server).await;
    socket.subscribe("a", "{ hello }").await;
    assert_eq!(socket.message().await["type"], "next");
    assert_eq!(socket.message().await["type"], "complete");
    let (status, header, extension) = asked(by("acme", &hello)).await;
    assert_eq!((status, header), (429, extension));
    assert!((800..=900).contains(&header.unwrap()), "{header:?}");
    socket.subscribe("b", "{ hello }").await;
    let refused = socket.message().await;
    assert_eq!(refused["payload"][0]["extensions"]["code"], "RATE_LIMITED");
    assert!(refused["payload"][0]["extensions"]["retryAfter"].is_u64());
    // As many at once as there never are: no waiting helps.
    let (status, header, extension) = asked(by("acme", &Value::from(vec![hello.clone(); 5]))).await;
    assert_eq!((status, header, extension), (429, None, None));
    // Nobody is no member.
    assert_eq!(asked(post(&server, JSON, &hello)).await.0, 200);
}

#[tokio::test]
async fn an_address_that_comes_too_often_waits_as_long_as_it_is_told() {
    let server = with(|config| config.limits.address_rate = Some(rate(2, Duration::from_millis(500)))).await;
    let hello = json!({"query": "{ hello }"});
    let mut refused = 0;
    timeout(BOUND, async {
        loop {
            let (status, header, extension) = asked(post(&server, JSON, &hello)).await;
            if status == 429 {
                assert_eq!((header, extension), (Some(1), Some(1)));
                refused += 1;
            } else if refused > 0 {
                break;
            }
        }
    })
    .await
    .expect("tokens come back");

    let server = with(|config| config.limits.address_rate = Some(rate(2, Duration::from_hours(1)))).await;
    for path in ["/graphql", "/graphql/stream"] {
        client().post(server.url(path)).header("content-type", JSON).body(hello.to_string()).send().await.unwrap();
    }
    let stream = client().post(server.url("/graphql/stream")).header("content-type", JSON).body(hello.to_string());
    assert_eq!(asked(stream).await.0, 429);
    assert_eq!(client().get(server.url("/graphql/ws")).send().await.unwrap().status(), 429);
    // What a supervisor asks is not counted.
    assert_eq!(client().get(server.url("/livez")).send().await.unwrap().status(), 200);
    // Without a trusted proxy the header says nothing.
    assert_eq!(asked(post(&server, JSON, &hello).header("x-forwarded-for", "198.51.100.7")).await.0, 429);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_caller_has_a_bucket_of_its_own() {
    let server = with(|config| {
        config.limits.address_rate = Some(rate(1, Duration::from_hours(1)));
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let hello = json!({"query": "{ hello }"});
    let from = |address: &str| post(&server, JSON, &hello).header("x-forwarded-for", address);
    assert_eq!(asked(from("198.51.100.7")).await.0, 200);
    assert_eq!(asked(from("198.51.100.7")).await.0, 429);
    assert_eq!(asked(from("198.51.100.8")).await.0, 200);
    assert_eq!(asked(from("203.0.113.1, 198.51.100.8")).await.0, 429, "what the caller wrote itself does not count");
}

/// All that a connection says until it is closed.
async fn heard(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    timeout(BOUND, stream.read_to_end(&mut text)).await.expect("it is closed").unwrap_or_default();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn connections_over_the_limit_are_turned_away_and_places_come_free() {
    for (all, address, status) in [(3, 100, "503 "), (100, 3, "429 ")] {
        let server = with(|config| {
            (config.limits.max_connections, config.limits.max_connections_per_address) = (all, address);
        })
        .await;
        // A websocket keeps its place after the upgrade.
        let socket = Client::ready(&server).await;
        let mut open = Vec::new();
        for _ in 0..2 {
            open.push(TcpStream::connect(server.address).await.unwrap());
        }
        let mut late = TcpStream::connect(server.address).await.unwrap();
        let answer = heard(&mut late).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains("Retry-After: 1"), "{answer}");
        drop((socket, open));
        timeout(BOUND, async {
            while client().get(server.url("/livez")).send().await.is_ok_and(|it| it.status() != 200) {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("places come free");
    }
}

#[tokio::test]
async fn headers_that_do_not_come_end_the_connection() {
    let server = with(|config| config.limits.header_timeout = Duration::from_millis(100)).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(heard(&mut silent).await, "", "silent");
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"POST /graphql HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    assert!(!heard(&mut slow).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn headers_that_are_too_large_end_the_connection() {
    let server = with(|_| {}).await;
    let mut large = TcpStream::connect(server.address).await.unwrap();
    let head = format!("GET /livez HTTP/1.1\r\nHost: a\r\nX-Large: {}\r\n\r\n", "x".repeat(100_000));
    let _ = large.write_all(head.as_bytes()).await;
    let answer = heard(&mut large).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(client().get(server.url("/livez")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_its_connection_and_its_seat() {
    let server = with(|config| {
        config.limits.write_timeout = Duration::from_millis(200);
        // Longer than the test: what ends the connection is the other limit.
        config.limits.ws_send_timeout = Duration::from_mins(5);
        config.limits.ws_max_sockets = 1;
    })
    .await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = json!({"query": "subscription { flood }"}).to_string();
    let token = server.token("acme", &SystemClock);
    let head = format!(
        "POST /graphql/stream HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    timeout(BOUND, async {
        while server.sockets.count() == 0 {
            tokio::task::yield_now().await;
        }
        while server.sockets.count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the stream ends");
    let hello = json!({"query": "subscription { count(to: 1) }"});
    let next = client().post(server.url("/graphql/stream")).header("content-type", JSON).bearer_auth(&token);
    assert_eq!(next.body(hello.to_string()).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_answer_is_cut_where_it_grows_too_large_and_what_was_done_stays_done() {
    let server = with(|config| config.limits.max_answer_bytes = 60).await;
    let fits = json!({"query": "{ hello }"});
    assert_eq!(read(post(&server, GRAPHQL, &fits)).await.0, 200);
    let large = json!({"query": "mutation { aVeryLongNameForANumber: hit andAnotherOneOfThem: hit }"});
    let (status, value) = read(post(&server, GRAPHQL, &large)).await;
    assert_eq!((status.as_u16(), code(&value), &value["data"]), (294, "QUERY_TOO_COMPLEX", &Value::Null));
    let extensions = &value["errors"][0]["extensions"];
    assert_eq!((&extensions["limit"], &extensions["maximum"]), (&json!("limits.max_answer_bytes"), &json!(60)));
    assert_eq!(server.hits(), 2);
    assert_eq!(read(post(&server, JSON, &large)).await.0, 200);

    let mut client = Client::ready(&server).await;
    client.say(json!({"type": "subscribe", "id": "a", "payload": large})).await;
    let next = client.message().await;
    assert_eq!((&next["type"], &next["payload"]["errors"][0]["extensions"]["maximum"]), (&json!("next"), &json!(60)));
    assert_eq!(client.message().await, json!({"type": "complete", "id": "a"}));
    client.say(json!({"type": "subscribe", "id": "b", "payload": {"query": "subscription { flood }"}})).await;
    let next = client.message().await;
    assert_eq!((&next["id"], &next["payload"]["data"]), (&json!("b"), &Value::Null));
    assert_eq!(next["payload"]["errors"][0]["extensions"]["limit"], "limits.max_answer_bytes");
}
