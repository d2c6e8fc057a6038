//! Connections that are held, flooded or spoken to in tongues.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::process::Process;
use super::raw::{PATIENCE, Raw, statuses};
use super::well;
use crate::support::database::{Kind, start};
use crate::support::http::Client;
use crate::support::world::World;
use crate::support::ws::{Event, Socket};

/// What is sent, and the codes that the socket may be closed with; none where the connection is cut off.
type Case = (&'static str, Vec<u8>, &'static [Option<u16>]);
/// What is sent again and again, by its number.
type Flood = (&'static str, Box<dyn Fn(usize) -> Vec<u8>>);

/// How many connections are held open at a time.
const MANY: usize = 1000;

/// Asks until it is so.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !so() {
        assert!(started.elapsed() < Duration::from_secs(75), "{what}: not within {:?}", started.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The request that makes a websocket of a connection.
fn upgrade(protocol: &str) -> String {
    format!(
        "GET /graphql/ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: {protocol}\r\n\r\n"
    )
}

/// A websocket below the protocol.
struct Frames(Raw);

impl Frames {
    async fn open(address: SocketAddr) -> Self {
        let mut raw = Raw::open(address).await;
        raw.send(upgrade("graphql-transport-ws")).await;
        let head = raw.until("\r\n\r\n").await;
        assert_eq!(statuses(&head), [101], "{head}");
        Self(raw)
    }

    /// Past its `connection_ack`.
    async fn welcome(address: SocketAddr, token: &str) -> Self {
        let mut frames = Self::open(address).await;
        let init = json!({ "type": "connection_init", "payload": { "token": token } }).to_string();
        frames.0.send(frame(0x81, init.as_bytes())).await;
        frames.0.until("connection_ack").await;
        frames
    }

    /// The code of the close frame; nothing where the connection broke off without one.
    async fn closed(&mut self) -> Option<u16> {
        let mut read = Vec::new();
        loop {
            let bytes = self.0.bytes().await;
            if bytes.is_empty() {
                return None;
            }
            read.extend(bytes);
            // The server's frames are short here: two bytes, and what they hold.
            let mut at = 0;
            while let Some(&[kind, length]) = read.get(at..at + 2) {
                if kind == 0x88 {
                    return read.get(at + 2..at + 4).map(|code| u16::from_be_bytes([code[0], code[1]]));
                }
                let (head, length) = match length {
                    126 => (
                        4,
                        read.get(at + 2..at + 4)
                            .map_or(usize::MAX, |it| usize::from(u16::from_be_bytes([it[0], it[1]]))),
                    ),
                    127 => (10, usize::MAX),
                    length => (2, usize::from(length)),
                };
                let Some(next) = at.checked_add(head).and_then(|at| at.checked_add(length)) else { break };
                at = next;
            }
        }
    }
}

/// A client's frame: the first byte has FIN, the reserved bits and the kind.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | u8::try_from(length).expect("below 126")),
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]); // The mask changes nothing.
    frame.extend(payload);
    frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_that_say_nothing_keep_nobody_out_and_leave_nothing_behind() {
    let process =
        Process::start(&[("COSELL_WS_INIT_TIMEOUT", "2s"), ("COSELL_HEADER_TIMEOUT", "5s"), ("COSELL_LOG", "warn")]);
    let token = process.token("ann", "SALES");
    // A connection of its own each time: one that waits between requests is closed as the silent ones are.
    let serves = async || well(&Client::new(process.address, Some(&token))).await;
    for _ in 0..50 {
        serves().await;
    }
    let hold = async |count: usize, beginning: String| {
        let mut held = Vec::with_capacity(count);
        for _ in 0..count {
            let mut raw = Raw::open(process.address).await;
            raw.send(&beginning).await;
            held.push(raw);
        }
        held
    };
    let files = process.files();
    // Once before the measure: what the first thousand makes the process keep, the second must not add to.
    let mut kept = 0;
    for round in 0..2 {
        // Silent from the first byte, or in the middle of a head; and as websockets without `connection_init`. Together they
        // are nearly as many as one address may have.
        let mut quiet = hold(MANY, String::new()).await;
        let started = Instant::now();
        serves().await;
        assert!(started.elapsed() < PATIENCE / 2, "a client waits while others say nothing");
        let mut sockets = hold(MANY - 100, upgrade("graphql-transport-ws")).await;
        serves().await;
        for socket in &mut sockets {
            let said = socket.rest().await;
            assert!(matches!(statuses(&said).as_slice(), [101 | 503 | 429] | []), "{said:?}");
        }
        drop(sockets);
        if round == 0 {
            for silent in quiet.iter_mut().step_by(2) {
                silent.send("POST /graphql HTTP/1.1\r\nhost: x\r\nx-slow: a").await;
            }
            let said = futures_util::future::join_all(quiet.iter_mut().map(Raw::rest)).await;
            assert!(said.iter().all(|said| !said.contains(" 200 ")), "{said:?}");
        }
        drop(quiet);
        serves().await;
        until("the connections are closed", || process.files() <= files + 20).await;
        if round == 0 {
            kept = process.memory();
        }
    }
    let memory = process.memory();
    assert!(memory < kept + 32 * 1024, "{kept} KiB, and {memory} KiB after a thousand more");
    serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_a_byte_at_a_time_is_cut_off() {
    let world: World = start(Kind::Sqlite).await;
    let server = world.another_server_with(&[("COSELL_HEADER_TIMEOUT", Some("1s"))]).await;
    let caller = world.as_("acme", "SALES").at(server.addr);
    let mut raw = Raw::open(server.addr).await;
    let started = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    let mut rest = "POST /graphql HTTP/1.1\r\nhost: x\r\nx-slow: ".bytes().chain(std::iter::repeat(b'a'));
    while raw.send([rest.next().expect("no end")]).await {
        ticks.tick().await;
        assert!(started.elapsed() < PATIENCE, "a byte now and then keeps a connection open");
    }
    well(&caller).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_break_the_protocol_end_the_connection() {
    let world: World = start(Kind::Sqlite).await;
    let address = world.address();
    let person = world.as_("acme", "SALES");
    let huge = |first: u8, length: u64| {
        let mut frame = vec![first, 0xff];
        frame.extend(length.to_be_bytes());
        frame.extend([0; 4]);
        frame
    };
    let ping = json!({ "type": "ping" }).to_string();
    let mut unmasked = vec![0x81, u8::try_from(ping.len()).expect("a short text")];
    unmasked.extend(ping.as_bytes());
    let cases: Vec<Case> = vec![
        ("an unmasked frame", unmasked, &[None, Some(1002)]),
        ("a compressed frame", frame(0xc1, ping.as_bytes()), &[None, Some(1002)]),
        ("another reserved bit", frame(0xa1, ping.as_bytes()), &[None, Some(1002)]),
        ("a kind that there is not", frame(0x83, b"x"), &[None, Some(1002)]),
        ("a control kind that there is not", frame(0x8b, b"x"), &[None, Some(1002)]),
        ("a frame that goes on from nothing", frame(0x80, b"x"), &[None, Some(1002)]),
        ("a text within a text", [frame(0x01, b"{"), frame(0x81, b"}")].concat(), &[None, Some(1002)]),
        ("a ping in parts", frame(0x09, b"x"), &[None, Some(1002)]),
        ("a ping of 200 bytes", frame(0x89, &[b'x'; 200]), &[None, Some(1002), Some(1009)]),
        ("a close frame of one byte", frame(0x88, b"x"), &[None, Some(1002)]),
        ("invalid UTF-8", frame(0x81, b"{\"type\":\"\xff\"}"), &[Some(1007), None]),
        (
            "invalid UTF-8 over two frames",
            [frame(0x01, b"\"\xed"), frame(0x80, b"\xa0\x80\"")].concat(),
            &[Some(1007), None],
        ),
        ("a frame of exabytes", huge(0x81, 1 << 62), &[Some(1009), None]),
        ("a frame with a length of the wrong sign", huge(0x81, u64::MAX), &[Some(1009), None, Some(1002)]),
        ("a frame over the limit", frame(0x81, &vec![b' '; 70_000]), &[Some(1009), None]),
        ("binary", frame(0x82, ping.as_bytes()), &[Some(4400)]),
        ("no JSON", frame(0x81, b"x"), &[Some(4400)]),
        ("nested deep", frame(0x81, "[".repeat(60_000).as_bytes()), &[Some(4400)]),
        (
            "a subprotocol's older message",
            frame(0x81, br#"{"id":"1","type":"start","payload":{"query":"{__typename}"}}"#),
            &[Some(4400)],
        ),
        ("an older message to end", frame(0x81, br#"{"type":"connection_terminate"}"#), &[Some(4400)]),
        ("a request of HTTP", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[None, Some(1002)]),
    ];
    for (name, bytes, ends) in cases {
        for welcome in [false, true] {
            let mut frames =
                if welcome { Frames::welcome(address, &person.token).await } else { Frames::open(address).await };
            frames.0.send(&bytes).await;
            let end = frames.closed().await;
            assert!(ends.contains(&end), "{name}: {end:?}");
        }
        well(&person).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_parts_without_an_end_is_cut_off() {
    let world: World = start(Kind::Sqlite).await;
    let server = world
        .another_server_with(&[("COSELL_WS_INIT_TIMEOUT", Some("1s")), ("COSELL_WS_PING_INTERVAL", Some("200ms"))])
        .await;
    let person = world.as_("acme", "SALES");
    for (name, part) in
        [("parts of a byte", &b" "[..]), ("parts of nothing", b""), ("parts of a kilobyte", &[b' '; 1024])]
    {
        for welcome in [false, true] {
            let mut frames = if welcome {
                Frames::welcome(server.addr, &person.token).await
            } else {
                Frames::open(server.addr).await
            };
            let started = Instant::now();
            frames.0.send(frame(0x01, b"{")).await;
            // It counts as silent until its message is whole, however many parts come.
            while frames.0.send(frame(0x00, part)).await {
                assert!(started.elapsed() < PATIENCE, "{name}: the parts never end");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    well(&Client::new(server.addr, Some(&person.token))).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_on_a_websocket_stay_on_it() {
    let process = Process::start(&[("COSELL_WS_SEND_TIMEOUT", "1s"), ("COSELL_LOG", "warn")]);
    let token = process.token("ann", "SALES");
    let caller = Client::new(process.address, Some(&token));
    well(&caller).await;
    let before = process.memory();
    // Nothing of what comes back is read: pings of the library's kind and the protocol's, operations that are over, that
    // begin, that are wrong, that have been.
    let subscribe = |n: usize, query: &str| {
        json!({ "id": n.to_string(), "type": "subscribe", "payload": { "query": query } }).to_string()
    };
    let floods: Vec<Flood> = vec![
        ("pings", Box::new(|_| frame(0x89, &[b'x'; 100]))),
        ("pongs", Box::new(|_| frame(0x8a, b"x"))),
        (
            "pings of the protocol",
            Box::new(|_| {
                frame(0x81, json!({ "type": "ping", "payload": { "x": "y".repeat(500) } }).to_string().as_bytes())
            }),
        ),
        (
            "completes",
            Box::new(|n| frame(0x81, json!({ "type": "complete", "id": n.to_string() }).to_string().as_bytes())),
        ),
        ("subscriptions", Box::new(move |n| frame(0x81, subscribe(n, "subscription { activity { id } }").as_bytes()))),
        (
            "subscriptions that are refused",
            Box::new(move |n| frame(0x81, subscribe(n, "subscription { nothing }").as_bytes())),
        ),
        ("queries", Box::new(move |n| frame(0x81, subscribe(n, "{ viewer { id } }").as_bytes()))),
    ];
    for (name, message) in floods {
        let mut frames = Frames::welcome(process.address, &token).await;
        for n in 0..10_000 {
            // A server that stops reading, or closes, is right.
            let sent = timeout(Duration::from_secs(3), frames.0.send(message(n))).await;
            if !matches!(sent, Ok(true)) {
                break;
            }
        }
        let started = Instant::now();
        well(&caller).await;
        assert!(started.elapsed() < PATIENCE / 2, "{name}: others wait {:?}", started.elapsed());
    }
    let after = process.memory();
    assert!(after < before + 64 * 1024, "{before} KiB, and {after} KiB after the floods");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_that_is_none_is_refused() {
    let world: World = start(Kind::Sqlite).await;
    let good = upgrade("graphql-transport-ws");
    for (name, request) in [
        ("no key", good.replace("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "")),
        ("another version", good.replace("version: 13", "version: 8")),
        ("no upgrade", good.replace("upgrade: websocket\r\n", "")),
        ("another upgrade", good.replace("upgrade: websocket", "upgrade: h2c")),
        ("no connection", good.replace("connection: upgrade\r\n", "")),
        ("a POST", good.replace("GET ", "POST ")),
        ("HTTP/1.0", good.replace("HTTP/1.1", "HTTP/1.0")),
    ] {
        let request = request.replace("\r\n\r\n", "\r\ncontent-length: 0\r\n\r\n");
        let mut raw = Raw::open(world.address()).await;
        raw.send(request).await;
        let head = raw.until("\r\n\r\n").await.replace("HTTP/1.0", "HTTP/1.1");
        assert!(matches!(statuses(&head).as_slice(), [400..=499]), "{name}: {head}");
    }
    // Extensions that would compress are not spoken, and the older protocol is another one.
    let mut raw = Raw::open(world.address()).await;
    raw.send(
        good.replace("\r\n\r\n", "\r\nsec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\r\n"),
    )
    .await;
    let head = raw.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101") && !head.to_lowercase().contains("deflate"), "{head}");
    for protocol in ["graphql-ws", "graphql-transport-ws2", "soap", "GRAPHQL-TRANSPORT-WS"] {
        let Ok(mut socket) = Socket::open_with(world.address(), Some(protocol)).await else { continue };
        assert_eq!(socket.closed_within(PATIENCE).await.code, 4406, "{protocol}");
    }
    well(&world.as_("acme", "SALES")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_its_connection_init_a_websocket_may_do_nothing() {
    let world: World = start(Kind::Sqlite).await;
    for (message, code) in [
        (json!({ "id": "1", "type": "subscribe", "payload": { "query": "{ __typename }" } }), 4401),
        (json!({ "id": "1", "type": "next", "payload": {} }), 4400),
        (json!({ "type": "connection_ack" }), 4400),
        (json!({ "type": ["connection_init"] }), 4400),
        (json!({ "id": "x".repeat(1000), "type": "subscribe", "payload": { "query": "{ __typename }" } }), 4400),
        (json!([{ "type": "connection_init" }]), 4400),
    ] {
        let mut socket = Socket::open(world.address()).await;
        socket.send(&message);
        assert_eq!(socket.closed_within(PATIENCE).await.code, code, "{message}");
    }
    let mut socket = Socket::open(world.address()).await;
    for _ in 0..100 {
        socket.send(&json!({ "type": "ping", "payload": { "a": 1 } }));
    }
    for _ in 0..100 {
        assert_eq!(
            socket.next_within(PATIENCE).await,
            Event::Message(json!({ "type": "pong", "payload": { "a": 1 } }))
        );
    }
    socket.send(&Value::Null);
    assert_eq!(socket.closed_within(PATIENCE).await.code, 4400);
    // The connection as such is worth nothing either.
    drop(TcpStream::connect(world.address()).await);
    well(&world.as_("acme", "SALES")).await;
}
