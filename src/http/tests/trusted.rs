//! Documents by their hash, over each way that a client may take.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::over_http::{GRAPHQL, JSON, client, code, post, read};
use super::over_websocket::Client;
use super::toy::Server;
use crate::clock::SystemClock;
use crate::config::Manifest;

const HELLO: &str = "{ hello }";

fn named(text: &str) -> Value {
    json!({"persistedQuery": {"version": 1, "sha256Hash": hex::encode(Sha256::digest(text))}})
}

#[tokio::test]
async fn a_document_sent_once_is_asked_for_by_its_hash() {
    let server = Server::start().await;
    let token = server.token("acme", &SystemClock);
    let by_hash = json!({"extensions": named(HELLO)});
    let whole = json!({"query": HELLO, "extensions": named(HELLO)});
    for (media, expected) in [(JSON, 200), (GRAPHQL, 400)] {
        let (status, value) = read(post(&server, media, &by_hash)).await;
        assert_eq!((status.as_u16(), code(&value)), (expected, "PERSISTED_QUERY_NOT_FOUND"));
        assert_eq!(value["errors"][0]["message"], "PersistedQueryNotFound");
    }
    // Nobody leaves something behind.
    assert_eq!(read(post(&server, JSON, &whole)).await.1["data"]["hello"], "nobody");
    assert_eq!(code(&read(post(&server, JSON, &by_hash)).await.1), "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(read(post(&server, JSON, &whole).bearer_auth(&token)).await.1["data"]["hello"], "[Sales]");
    assert_eq!(read(post(&server, JSON, &by_hash)).await.1["data"]["hello"], "nobody");

    let mut url = url::Url::parse(&server.url("/graphql")).unwrap();
    url.query_pairs_mut().append_pair("extensions", &named(HELLO).to_string());
    assert_eq!(read(client().get(url)).await.1["data"]["hello"], "nobody");

    let mut socket = Client::ready(&server).await;
    let feed = "subscription { count(to: 1) }";
    for (id, payload, first) in [
        ("a", json!({"extensions": named(feed)}), "error"),
        ("b", json!({"query": feed, "extensions": named(feed)}), "next"),
        ("c", json!({"extensions": named(feed)}), "next"),
    ] {
        socket.say(json!({"type": "subscribe", "id": id, "payload": payload})).await;
        let heard = socket.message().await;
        assert_eq!(heard["type"], first, "{heard}");
        if first == "next" {
            assert_eq!(socket.message().await["type"], "complete");
        }
    }
    let stream = client().post(server.url("/graphql/stream")).header("content-type", JSON);
    let text = stream.body(json!({"extensions": named(feed)}).to_string()).send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#"{"data":{"count":1}}"#), "{text}");

    let mutation = "mutation { hit }";
    read(post(&server, JSON, &json!({"query": mutation, "extensions": named(mutation)})).bearer_auth(&token)).await;
    let mut url = url::Url::parse(&server.url("/graphql")).unwrap();
    url.query_pairs_mut().append_pair("extensions", &named(mutation).to_string());
    assert_eq!(read(client().get(url)).await.0, 405, "a hash makes no mutation a query");
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn a_wrong_hash_is_refused_and_a_faulty_document_is_not_remembered() {
    let server = Server::start().await;
    let token = server.token("acme", &SystemClock);
    let wrong = json!({"query": HELLO, "extensions": named("{ other }")});
    let (status, value) = read(post(&server, GRAPHQL, &wrong).bearer_auth(&token)).await;
    assert_eq!((status.as_u16(), code(&value)), (400, "INVALID_INPUT"));
    assert_eq!(value["errors"][0]["extensions"]["field"], "extensions.persistedQuery.sha256Hash");
    for faulty in ["{", "{ ...a } fragment a on Query { ...a }"] {
        let whole = json!({"query": faulty, "extensions": named(faulty)});
        assert_eq!(code(&read(post(&server, JSON, &whole).bearer_auth(&token)).await.1), "INVALID_INPUT");
        let by_hash = json!({"extensions": named(faulty)});
        assert_eq!(code(&read(post(&server, JSON, &by_hash)).await.1), "PERSISTED_QUERY_NOT_FOUND");
    }
    let server = Server::with(|config| config.documents.cache_bytes = 0, Arc::new(SystemClock)).await;
    let (_, value) = read(post(&server, JSON, &json!({"extensions": named(HELLO)}))).await;
    assert_eq!(value["errors"][0]["message"], "PersistedQueryNotSupported");
}

#[tokio::test]
async fn trusted_documents_alone_run_where_that_is_set() {
    let feed = "subscription { count(to: 1) }";
    let server = Server::with(
        |config| {
            config.documents.trusted_only = true;
            let documents = [("Hello", HELLO), ("Feed", feed)].map(|(id, text)| (id.to_owned(), text.to_owned()));
            config.documents.manifest = Some(Manifest { path: "documents.json".into(), documents: documents.into() });
        },
        Arc::new(SystemClock),
    )
    .await;
    let token = server.token("acme", &SystemClock);
    for good in [json!({"documentId": "Hello"}), json!({"query": HELLO}), json!({"extensions": named(HELLO)})] {
        assert_eq!(read(post(&server, JSON, &good)).await.1["data"]["hello"], "nobody", "{good}");
    }
    let get = client().get(format!("{}?documentId=Hello", server.url("/graphql")));
    assert_eq!(read(get).await.1["data"]["hello"], "nobody");
    for bad in [
        json!({"query": "{ hello hello }"}),
        json!({"query": "mutation { hit }", "extensions": named("mutation { hit }")}),
        json!({"query": "{ __schema { types { name } } }"}),
        json!({"documentId": "Other"}),
    ] {
        let (status, value) = read(post(&server, GRAPHQL, &bad).bearer_auth(&token)).await;
        assert_eq!((status.as_u16(), code(&value)), (400, "DOCUMENT_NOT_TRUSTED"), "{bad}");
    }
    assert_eq!(server.hits(), 0);
    let mut socket = Client::ready(&server).await;
    socket.subscribe("a", "subscription { count(to: 2) }").await;
    assert_eq!(socket.message().await["payload"][0]["extensions"]["code"], "DOCUMENT_NOT_TRUSTED");
    socket.say(json!({"type": "subscribe", "id": "b", "payload": {"documentId": "Feed"}})).await;
    assert_eq!(socket.message().await["payload"]["data"]["count"], 1);
}
