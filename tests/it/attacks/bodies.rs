//! Bodies, heads and paths that no client of good faith sends.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::raw::{PATIENCE, Raw, ask, post, statuses};
use super::{query_of, well};
use crate::on_both_databases;
use crate::support::database::{Kind, start};
use crate::support::http::{Answer, Client};
use crate::support::rows::Rows;
use crate::support::world::World;

const QUERY: &str = r#"{"query":"{ __typename }"}"#;

/// A mutation that would leave a row.
fn mutation() -> String {
    json!({ "query": "mutation { createLead(input: { title: \"Forged\", customer: { company: \"A\" } }) { lead { id } } }" })
        .to_string()
}

async fn status_of(caller: &Client, body: impl Into<Vec<u8>>) -> (u16, String) {
    let request = caller.request(Method::POST, "/graphql").header("content-type", "application/json");
    let answer = Answer::of(request.body(body.into())).await;
    let code = if answer.errors.is_empty() { "none" } else { answer.code() };
    (answer.status.as_u16(), code.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_not_what_it_says_is_refused() {
    let world: World = start(Kind::Sqlite).await;
    let caller = world.as_("acme", "SALES");
    let query = |rest: &str| format!("{{\"query\":\"{{ __typename }}\"{rest}}}").into_bytes();
    let deep = |open: &str, close: &str, times: usize| format!("{}1{}", open.repeat(times), close.repeat(times));
    let refused: Vec<(&str, Vec<u8>)> = vec![
        ("invalid UTF-8", b"{\"query\":\"{ __typename } # \xff\"}".to_vec()),
        ("an overlong form", b"{\"query\":\"{ __typename } # \xc0\xaf\"}".to_vec()),
        ("a surrogate in UTF-8", b"{\"query\":\"{ __typename } # \xed\xa0\x80\"}".to_vec()),
        ("half of a surrogate pair", query(r#","variables":{"a":"\ud800"}"#)),
        ("UTF-16", "{\"query\":\"{ __typename }\"}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("a byte order mark", format!("\u{feff}{QUERY}").into_bytes()),
        ("something behind", format!("{QUERY}x").into_bytes()),
        ("another object behind", format!("{QUERY}{QUERY}").into_bytes()),
        ("NUL behind", format!("{QUERY}\0").into_bytes()),
        ("NUL before", format!("\0{QUERY}").into_bytes()),
        ("the start of an object", b"{\"query\":\"{ __typename }\"".to_vec()),
        ("single quotes", b"{'query':'{ __typename }'}".to_vec()),
        ("a comma at the end", b"{\"query\":\"{ __typename }\",}".to_vec()),
        ("a comment", format!("/* */{QUERY}").into_bytes()),
        ("NaN", query(r#","variables":{"a":NaN}"#)),
        ("infinity", query(r#","variables":{"a":Infinity}"#)),
        ("a number too large", query(r#","variables":{"a":1e999}"#)),
        ("a line break in a string", b"{\"query\":\"{\n__typename }\"}".to_vec()),
        ("nested arrays", query(&format!(r#","variables":{{"a":{}}}"#, deep("[", "]", 100_000)))),
        ("nested objects", query(&format!(r#","variables":{{"a":{}}}"#, deep("{\"a\":", "}", 40_000)))),
        ("nested arrays in what is ignored", query(&format!(r#","other":{}"#, deep("[", "]", 100_000)))),
        ("arrays that are not closed", "[".repeat(200_000).into_bytes()),
        ("many bodies", format!("[{}]", vec![QUERY; 5000].join(",")).into_bytes()),
        ("nothing", Vec::new()),
        ("white space", vec![b' '; 200_000]),
    ];
    for (name, body) in refused {
        assert_eq!(status_of(&caller, body).await, (400, "INVALID_INPUT".to_owned()), "{name}");
        well(&caller).await;
    }
    // Odd, and right: numbers that don't fit are no fault where nobody asks for them.
    for (name, body) in [
        ("a long number", query(&format!(r#","variables":{{"a":{}}}"#, "9".repeat(300)))),
        ("nested as deep as is read", query(&format!(r#","variables":{{"a":{}}}"#, deep("[", "]", 100)))),
        (
            "many keys",
            query(&format!(
                r#","variables":{{{}}}"#,
                (0..5000).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(",")
            )),
        ),
        ("one key, many times", query(&format!(r#","variables":{{{}}}"#, vec!["\"k\":0"; 5000].join(",")))),
        ("white space around", format!("\r\n\t {QUERY} \r\n").into_bytes()),
    ] {
        let (status, code) = status_of(&caller, body).await;
        assert!(matches!((status, code.as_str()), (200, "none") | (400, "INVALID_INPUT")), "{name}: {status} {code}");
        well(&caller).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_key_that_is_there_twice_only_one_is_seen_by_anything() {
    // What a filter in front of the server has read must not be another document than the server executes; the server
    // itself checks and executes the same one.
    let world: World = start(Kind::Sqlite).await;
    let caller = world.as_("acme", "SALES");
    let rows = Rows::of(&world.database).await;
    caller.id().await;
    let before = rows.now().await;
    let body = r#"{"query":"{ viewer { id } }","query":"{ __typename }","operationName":"a","operationName":null}"#;
    let request = caller.request(Method::POST, "/graphql").header("content-type", "application/json").body(body);
    let answer = Answer::of(request).await;
    if answer.errors.is_empty() {
        assert_eq!(answer.data, json!({ "__typename": "Query" }));
    } else {
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "INVALID_INPUT"));
    }
    rows.unchanged_since(&before, "a body with a key twice").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_never_inflated() {
    let world: World = start(Kind::Sqlite).await;
    let caller = world.as_("acme", "SALES");
    // A gigabyte of zeros is a megabyte in gzip; a small one of the same kind shows as well whether it is read at all.
    let gzip = gzip_stored(QUERY.as_bytes());
    for encoding in ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "GZIP", "unknown"] {
        for body in [gzip.clone(), QUERY.as_bytes().to_vec()] {
            let request = caller.request(Method::POST, "/graphql").header("content-type", "application/json");
            let answer = Answer::of(request.header("content-encoding", encoding).body(body.clone())).await;
            // Bytes that are no JSON are refused; JSON that was only labelled so may be read as it is.
            let read = body == QUERY.as_bytes() && answer.status == 200;
            assert!(read || [400, 415].contains(&answer.status.as_u16()), "{encoding}: {}", answer.text);
            if !read {
                assert_eq!(answer.code(), "INVALID_INPUT", "{encoding}");
            }
        }
    }
    let inflated = caller.request(Method::POST, "/graphql").header("content-type", "application/json");
    assert_eq!(Answer::of(inflated.body(gzip)).await.status, 400);
    well(&caller).await;
}

/// A gzip file that holds the bytes as they are.
fn gzip_stored(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short text");
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    file.extend(length.to_le_bytes());
    file.extend((!length).to_le_bytes());
    file.extend(bytes);
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    file.extend((!crc).to_le_bytes());
    file.extend(u32::from(length).to_le_bytes());
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_two_minds_about_its_length_is_refused_and_nothing_behind_it_is_read() {
    let world: World = start(Kind::Sqlite).await;
    let address = world.address();
    let caller = world.as_("acme", "SALES");
    well(&caller).await;
    let smuggled = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
                            content-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
        caller.token,
        mutation().len(),
        mutation()
    );
    let rows = Rows::of(&world.database).await;
    let before = rows.now().await;
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let length = QUERY.len();
    let chunked = format!("{length:x}\r\n{QUERY}\r\n0\r\n\r\n");
    let refused = [
        ("two lengths", format!("{head}content-length: {length}\r\ncontent-length: 0\r\n\r\n{QUERY}{smuggled}")),
        ("two lengths in one", format!("{head}content-length: {length}, 0\r\n\r\n{QUERY}{smuggled}")),
        ("a length with a sign", format!("{head}content-length: +{length}\r\n\r\n{QUERY}{smuggled}")),
        ("a negative length", format!("{head}content-length: -1\r\n\r\n{QUERY}{smuggled}")),
        ("a length in hexadecimal", format!("{head}content-length: 0x10\r\n\r\n{QUERY}{smuggled}")),
        (
            "a length that is too large",
            format!("{head}content-length: 99999999999999999999999\r\n\r\n{QUERY}{smuggled}"),
        ),
        ("no number of a length", format!("{head}content-length: x\r\n\r\n{QUERY}{smuggled}")),
        ("an unknown encoding", format!("{head}transfer-encoding: xchunked\r\n\r\n{chunked}{smuggled}")),
        (
            "an encoding that is not the last",
            format!("{head}transfer-encoding: chunked, identity\r\n\r\n{chunked}{smuggled}"),
        ),
        ("a folded head", format!("{head}x-a: b\r\n c: d\r\ncontent-length: {length}\r\n\r\n{QUERY}{smuggled}")),
        ("a space before the colon", format!("{head}content-length : {length}\r\n\r\n{QUERY}{smuggled}")),
        ("a name that is none", format!("{head}con tent: x\r\ncontent-length: {length}\r\n\r\n{QUERY}{smuggled}")),
        ("NUL in a head", format!("{head}x-a: b\0c\r\ncontent-length: {length}\r\n\r\n{QUERY}{smuggled}")),
        (
            "CR in a head",
            format!("{head}x-a: b\rtransfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n{QUERY}{smuggled}"),
        ),
        (
            "a size of a chunk that is none",
            format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n{QUERY}\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            "a size of a chunk that is too large",
            format!("{head}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{QUERY}\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            "a chunk that is longer than it says",
            format!("{head}transfer-encoding: chunked\r\n\r\n1\r\n{QUERY}\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            "another version",
            format!("POST /graphql HTTP/9.9\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{QUERY}{smuggled}"),
        ),
        ("the start of HTTP/2", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{smuggled}")),
        ("no version", format!("GET /graphql?query={{__typename}}\r\n\r\n{smuggled}")),
        ("a TLS handshake", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\r\n\r\n".to_owned() + &smuggled),
        ("nothing but line ends and letters", format!("{}x\r\n\r\n{smuggled}", "\r\n".repeat(10))),
    ];
    for (name, request) in refused {
        let text = ask(address, &request).await;
        let statuses = statuses(&text);
        assert!(statuses.iter().all(|status| *status >= 400) && statuses.len() <= 1, "{name}: {text}");
        rows.unchanged_since(&before, name).await;
    }
    // Both a length and chunks: RFC 9112 lets the chunks win, if the connection is closed after it.
    let both = format!("{head}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n{chunked}{smuggled}");
    for request in [
        both.clone(),
        both.replace("transfer-encoding", "Transfer-Encoding").replace("content-length: 3", "Content-Length: 60"),
    ] {
        let text = ask(address, &request).await;
        assert!(statuses(&text).len() <= 1, "what stood behind was read: {text}");
        rows.unchanged_since(&before, "a length beside chunks").await;
    }
    // A bare LF ends a line for many; whatever it is here, what follows is not another request's head.
    let bare = format!("{head}content-length: {length}\n\n{QUERY}");
    let text = ask(address, bare.replace("host: x\r\n", "host: x\r\nconnection: close\r\n")).await;
    assert!(statuses(&text).len() <= 1, "{text}");
    well(&caller).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_are_bounded_in_number_and_size() {
    let world: World = start(Kind::Sqlite).await;
    let address = world.address();
    for (name, headers) in [
        ("a head of a megabyte", format!("x-a: {}\r\n", "b".repeat(1 << 20))),
        ("10,000 heads", (0..10_000).map(|n| format!("x-{n}: b\r\n")).collect::<Vec<_>>().concat()),
        ("a head that is there 10,000 times", "x: b\r\n".repeat(10_000)),
        ("a name of a megabyte", format!("x-{}: b\r\n", "a".repeat(1 << 20))),
    ] {
        let text = ask(address, post(&headers, QUERY)).await;
        // Cut off in the middle of its head, a client may see the end of the connection alone.
        assert!(matches!(statuses(&text).as_slice(), [400 | 431] | []), "{name}: {text}");
        well(&world.as_("acme", "SALES")).await;
    }
    let text = ask(
        address,
        format!("GET /graphql?query={} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "a".repeat(1 << 20)),
    )
    .await;
    assert!(matches!(statuses(&text).as_slice(), [400 | 414 | 431] | []), "{text}");
    // What fits is answered, and a head's content is nobody's to see again.
    let text = ask(address, post(&format!("x-forged: {}\r\n", "secret".repeat(1000)), QUERY)).await;
    assert_eq!(statuses(&text), [200]);
    assert!(!text.contains("secretsecret"), "{text}");
    well(&world.as_("acme", "SALES")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_slow_with_a_body_is_shown_out() {
    let world: World = start(Kind::Sqlite).await;
    let server = world.another_server_with(&[("COSELL_REQUEST_TIMEOUT", Some("1s"))]).await;
    let token = world.as_("acme", "SALES").token;
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
    );
    // A byte now and then, which keeps alive what only looks whether something comes.
    for (name, head, piece) in [
        ("a body", format!("{head}content-length: 100000\r\n\r\n"), " "),
        ("a body in chunks", format!("{head}transfer-encoding: chunked\r\n\r\n"), "1\r\n \r\n"),
        ("a chunk's size", format!("{head}transfer-encoding: chunked\r\n\r\n"), "0"),
        ("a chunk's extension", format!("{head}transfer-encoding: chunked\r\n\r\n1;"), "x"),
    ] {
        let mut raw = Raw::open(server.addr).await;
        raw.send(&head).await;
        let started = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let answer = loop {
            ticks.tick().await;
            let sent = raw.send(piece).await;
            if !sent || started.elapsed() > Duration::from_millis(1500) {
                break raw.rest().await;
            }
        };
        let closed = started.elapsed();
        assert!(closed < PATIENCE / 2, "{name}: after {closed:?}");
        assert!(matches!(statuses(&answer).as_slice(), [400 | 408] | []), "{name}: {answer}");
    }
    well(&Client::new(server.addr, Some(&token))).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_at_once_on_a_connection_are_answered_in_their_order() {
    let world: World = start(Kind::Sqlite).await;
    let requests: Vec<String> = (0..200)
        .map(|n| {
            let body = format!(r#"{{"query":"{{ a{n}: __typename }}"}}"#);
            format!("POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        })
        .collect();
    let text = ask(world.address(), requests.concat() + &post("", QUERY)).await;
    assert_eq!(statuses(&text), [200; 201]);
    let places: Vec<_> = (0..200).map(|n| text.find(&format!("\"a{n}\":")).expect("an answer")).collect();
    assert!(places.is_sorted());
    well(&world.as_("acme", "SALES")).await;
}

on_both_databases! {
    async fn nothing_but_a_post_of_json_changes_anything(world: World) {
        let caller = world.as_("acme", "SALES");
        well(&caller).await;
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        let mutation = mutation();
        let text = "mutation { createLead(input: { title: \"Forged\", customer: { company: \"A\" } }) { lead { id } } }";
        for method in ["TRACE", "CONNECT", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW", "post", "PROPFIND"] {
            let request = post("", &mutation).replacen("POST", method, 1);
            let request = request.replacen("host: x", &format!("host: x\r\nauthorization: Bearer {}", caller.token), 1);
            let answer = ask(world.address(), request).await;
            assert!(matches!(statuses(&answer).as_slice(), [204 | 400..=499] | []), "{method}: {answer}");
            assert!(!answer.contains(&caller.token), "{method} tells the token: {answer}");
        }
        for path in ["/graphql", "/graphql/stream"] {
            for method in [Method::GET, Method::HEAD] {
                let get = caller.request(method, &query_of(path, text)).header("accept", "*/*");
                assert_eq!(Answer::of(get).await.status, 405, "{path}");
            }
            // A body of a GET is nobody's.
            let get = caller.request(Method::GET, path).header("content-type", "application/json").body(mutation.clone());
            assert!(Answer::of(get).await.data.is_null());
            let form = format!("query={}", text.replace(' ', "+"));
            let part = format!("--x\r\ncontent-disposition: form-data; name=\"operations\"\r\n\r\n{mutation}\r\n--x--\r\n");
            for (label, body) in [
                ("application/x-www-form-urlencoded", form.as_str()), ("multipart/form-data; boundary=x", part.as_str()),
                ("multipart/form-data; boundary=x", &mutation), ("text/plain", &mutation), ("text/plain; application/json", &mutation),
                ("application/graphql", text), ("", &mutation), ("json", &mutation), ("application/jsonp", &mutation),
                ("application/json, text/plain", &mutation), ("text/plain, application/json", &mutation),
                ("application/json; charset=utf-16", &mutation), ("application/json;charset=utf-7", &mutation),
                ("application/json\u{a0}", &mutation), ("*/*", &mutation), ("application/*", &mutation),
                ("application/vnd.api+json", &mutation), ("text/json", &mutation),
            ] {
                let request = caller.request(Method::POST, path).header("content-type", label).body(body.to_owned());
                assert_eq!(Answer::of(request).await.status, 415, "{path} {label:?}");
            }
            let unlabelled = caller.request(Method::POST, path).body(mutation.clone());
            assert_eq!(Answer::of(unlabelled).await.status, 415);
            let twice = caller.request(Method::POST, path).header("content-type", "application/json")
                .header("content-type", "text/plain").body(mutation.clone());
            assert_eq!(Answer::of(twice).await.status, 415);
        }
        rows.unchanged_since(&before, "what was no POST of JSON").await;
        well(&caller).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_is_what_it_is() {
    let world: World = start(Kind::Sqlite).await;
    let caller = world.as_("acme", "SALES");
    for path in [
        "//graphql",
        "/graphql/",
        "/graphql//",
        "/./graphql",
        "/x/../graphql",
        "/%2e%2e/graphql",
        "/%2fgraphql",
        "/graphql%00",
        "/GRAPHQL",
        "/graphql;a=b",
        "/graphql/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%5c..%5cetc",
        "/graphql/ws/x",
        "/graphql%2fws",
        "*",
        "/\u{7f}",
        "/graphql\u{0}",
        "/ graphql",
        "graphql",
        "/graphql/stream/",
        "/livez/x",
        "/readyz/../graphql",
    ] {
        let request = post("", QUERY).replacen("/graphql", path, 1);
        let answer = ask(world.address(), request).await;
        assert!(matches!(statuses(&answer).as_slice(), [400..=499] | []), "{path:?}: {answer}");
        assert!(!answer.contains("root:"), "{path:?}: {answer}");
    }
    // The absolute form is that of a proxy's request; the host is not looked at, and decides nothing.
    for host in ["evil.example", "127.0.0.1", "", "x\r\nhost: y"] {
        let answer = ask(world.address(), post("", QUERY).replacen("host: x", &format!("host: {host}"), 1)).await;
        assert!(matches!(statuses(&answer).as_slice(), [200 | 400]), "{host:?}: {answer}");
        assert!(!answer.contains("evil.example"), "{answer}");
    }
    well(&caller).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_tells_nothing_of_what_the_server_is_made_of() {
    let world: World = start(Kind::Sqlite).await;
    let caller = world.as_("acme", "SALES");
    for (path, body) in [
        ("/graphql", QUERY),
        ("/graphql", "x"),
        ("/nothing", QUERY),
        ("/graphql/ws", QUERY),
        ("/livez", ""),
        ("/readyz", ""),
    ] {
        let answer =
            Answer::of(caller.request(Method::POST, path).header("content-type", "application/json").body(body)).await;
        for name in ["server", "x-powered-by", "via"] {
            assert!(answer.headers.get(name).is_none(), "{path}: {name}");
        }
        for word in ["sqlx", "sea_orm", "async_graphql", "panicked", ".rs:", env!("CARGO_MANIFEST_DIR"), "SELECT "] {
            assert!(!answer.text.contains(word), "{path}: {}", answer.text);
        }
    }
}
