//! What callers write comes into no line of the log as a line of its own.

use reqwest::Method;
use serde_json::{Value, json};

use super::process::Process;
use super::raw::{ask, post};
use super::well;
use crate::support::http::{Answer, Client};
use crate::support::ws::Socket;

const FORGED: &str = "2026-01-01T00:00:00.000000Z ERROR cosell: forged";

/// Everything of a request that a caller writes, with a forged line in it.
async fn attack(process: &Process) {
    let token = process.token("ann", "SALES");
    let caller = Client::new(process.address, Some(&token));
    for line_end in ["\n", "\r", "\r\n", "\u{2028}", "\u{85}", "\u{1b}[2K\u{1b}[1A", "\u{8}"] {
        let text = format!("x{line_end}{FORGED}{line_end}\u{1b}[31mred");
        let body = json!({
            "query": "query a($v: String) { leads(filter: { text: $v }) { edges { cursor } } }", "operationName": text,
            "variables": { "v": text }, "extensions": { "traceparent": text },
        });
        caller.send(body).await;
        caller
            .query("query($v: String) { leads(filter: { text: $v }) { edges { cursor } } }", json!({ "v": text }))
            .await;
        caller.query(&format!("query a {{ {text} }}"), json!({})).await;
        caller.query(&format!("{{ viewer {{ id }} }} # {text}"), json!({})).await;
        caller.mutate("createLead", json!({ "title": text, "customer": { "company": text } }), "lead { id }").await;
        let claims = json!({ "sub": text, "company": text });
        caller
            .with_token(Some(&crate::support::keys::unsigned_with(&json!({ "alg": text, "kid": text }), &claims)))
            .query("{ viewer { id } }", json!({}))
            .await;
        let path =
            format!("/graphql?query={}", url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
        Answer::of(caller.request(Method::GET, &path)).await;
        // A header's value can't hold a line end; bytes above ASCII and tabs it can.
        let header = format!("x\t{FORGED}\u{e9}");
        for name in [
            "x-request-id",
            "traceparent",
            "tracestate",
            "user-agent",
            "origin",
            "x-forwarded-for",
            "referer",
            "baggage",
        ] {
            let request = post(&format!("{name}: {header}\r\n"), "{}");
            ask(process.address, request).await;
        }
        ask(process.address, format!("GET /x\u{1b}[31m{FORGED} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
            .await;
        let mut socket = Socket::connect(process.address, &token).await;
        let _ = socket.subscribe(&text, json!({ "v": text })).await.refusal().await;
        socket.send(&json!({ "id": text, "type": "subscribe", "payload": { "query": text, "operationName": text } }));
        socket.send(&json!({ "type": text }));
        let _ = socket.next_within(super::raw::PATIENCE).await;
    }
    well(&caller).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_caller_writes_a_line_of_the_log() {
    for format in ["json", "text"] {
        // As much as there is, of all that the server itself says.
        let process = Process::start(&[
            ("COSELL_LOG_FORMAT", format),
            ("COSELL_LOG", "info,cosell=trace,tower_http=trace,async_graphql=trace"),
        ]);
        let token = process.token("ann", "SALES");
        attack(&process).await;
        let named = process.cli().run(["company", "add", "evil", "--name", &format!("x\n{FORGED}")]);
        let said = named.stdout.lines().chain(named.stderr.lines());
        assert!(!said.into_iter().any(|line| line.starts_with(FORGED)), "{named}");
        let output = process.end().await;
        for line in output.stderr.lines() {
            if format == "json" {
                let entry: Value =
                    serde_json::from_str(line).unwrap_or_else(|_| panic!("no line of the server's: {line:?}"));
                assert!(entry["timestamp"].is_string() && entry["level"].is_string(), "{line}");
            } else {
                assert!(!line.starts_with(FORGED), "a forged line: {line:?}");
                assert!(line.get(..2) == Some("20"), "a line begins with the time: {line:?}");
            }
            assert!(!line.contains('\u{1b}') && !line.contains('\u{8}') && !line.contains('\u{85}'), "{line:?}");
            assert!(!line.contains(&token), "a token: {line:?}");
        }
    }
}
