//! The tools of `support` do what the tests rely on.

use std::time::Duration;

use chrono::Utc;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio_tungstenite::tungstenite::Message;

use crate::on_both_databases;
use crate::support::cli::Cli;
use crate::support::database::{Database, Kind};
use crate::support::http::Client;
use crate::support::keys::{AUDIENCE, ISSUER, Issuer, Key, claims, hs256, tampered, unsigned};
use crate::support::postgres::fresh_schema;
use crate::support::ws::{Event, Socket};

on_both_databases! {
    async fn a_test_starts_from_an_empty_database_of_its_own(database: Database) {
        let tables = match database.kind {
            Kind::Sqlite => "SELECT count(*) FROM sqlite_schema",
            Kind::Postgres => "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()",
        };
        let connection = sea_orm::Database::connect(&database.url).await.expect("it takes connections");
        let count = async || {
            let row = sea_orm::ConnectionTrait::query_one_raw(
                &connection,
                sea_orm::Statement::from_string(connection.get_database_backend(), tables),
            );
            row.await.expect("it answers").expect("a count is one row").try_get_by_index::<i64>(0).expect("a number")
        };
        assert_eq!(count().await, 0);
        sea_orm::ConnectionTrait::execute_unprepared(&connection, "CREATE TABLE lead (id integer)").await.expect("it is ours");
        assert_eq!(count().await, 1);
    }
}

#[tokio::test]
async fn two_schemas_of_one_cluster_do_not_see_each_other() {
    let (one, other) = (fresh_schema().await, fresh_schema().await);
    let mut one = PgConnection::connect(&one).await.expect("it takes connections");
    let mut other = PgConnection::connect(&other).await.expect("it takes connections");
    sqlx::query("CREATE TABLE lead (id int)").execute(&mut one).await.expect("a new table");
    sqlx::query("SELECT id FROM lead").fetch_all(&mut one).await.expect("its own table");
    sqlx::query("SELECT id FROM lead").fetch_all(&mut other).await.expect_err("a table that is not its own");
    sqlx::query("CREATE TABLE lead (id int)").execute(&mut other).await.expect("a new table of the same name");
}

fn verify(token: &str, key: &Key, decoding: &DecodingKey) -> Result<Value, jsonwebtoken::errors::Error> {
    let mut validation = Validation::new(key.algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    Ok(jsonwebtoken::decode::<Value>(token, decoding, &validation)?.claims)
}

#[test]
fn a_token_of_each_kind_of_key_verifies_by_its_pem_and_by_its_jwk() {
    let claims = claims("ann", "acme", &["SALES"], Utc::now());
    let pairs =
        [(Key::rsa("a"), Key::rsa("b")), (Key::p256("a"), Key::p256("b")), (Key::ed25519("a"), Key::ed25519("b"))];
    for (key, stranger) in pairs {
        let from_pem = match key.algorithm {
            Algorithm::RS256 => DecodingKey::from_rsa_pem,
            Algorithm::ES256 => DecodingKey::from_ec_pem,
            _ => DecodingKey::from_ed_pem,
        };
        let jwk: Jwk = serde_json::from_value(key.jwk.clone()).expect("a JWK");
        let pem = from_pem(key.public_pem.as_bytes()).expect("a public key");
        let by_jwk = DecodingKey::from_jwk(&jwk).expect("a public key");
        let token = key.token(&claims);
        assert_eq!(verify(&token, &key, &pem).expect("a good token"), claims);
        assert_eq!(verify(&token, &key, &by_jwk).expect("a good token"), claims);
        assert_eq!(jsonwebtoken::decode_header(&token).expect("a header").kid.as_deref(), Some("a"));

        let mut others = claims.clone();
        others["company"] = json!("globex");
        verify(&stranger.token(&claims), &key, &pem).expect_err("another's signature");
        verify(&tampered(&token, &others), &key, &pem).expect_err("other claims under an old signature");
        verify(&hs256(key.public_pem.as_bytes(), &claims), &key, &pem).expect_err("a public key used as a secret");
        verify(&unsigned(&claims), &key, &pem).expect_err("no signature");
    }
}

#[tokio::test]
async fn an_issuer_rotates_its_keys_and_counts_who_asks() {
    let (old, new) = (Key::ed25519("old"), Key::ed25519("new"));
    let issuer = Issuer::start(&[&old]).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let kids = async || {
        let answer = client.get(issuer.url()).send().await.expect("an answer").error_for_status()?;
        let set: Value = answer.json().await?;
        let keys = set["keys"].as_array().expect("a key set").iter();
        Ok::<_, reqwest::Error>(keys.map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(kids().await.expect("it is up"), ["old"]);
    issuer.rotate(&[&old, &new]);
    assert_eq!(kids().await.expect("it is up"), ["old", "new"]);
    issuer.fail();
    kids().await.expect_err("it is down");
    issuer.recover();
    assert_eq!(kids().await.expect("it is up again"), ["old", "new"]);
    assert_eq!(issuer.requests(), 4);
    issuer.hang();
    let asked = tokio::time::timeout(Duration::from_millis(50), kids());
    assert!(asked.await.is_err(), "a hanging issuer does not answer");
}

#[test]
fn a_command_s_output_and_exit_code_are_captured() {
    let cli = Cli::new().env("COSELL_DATABASE_URL", "sqlite://cosell.db?mode=rwc");
    let output = cli.run(["--version"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(output.stderr, "", "{output}");
}

/// A GraphQL server of a few lines, for the clients to talk to.
mod toy {
    #![allow(clippy::unused_async, reason = "the library's macros ask for it")]

    use std::net::SocketAddr;

    use async_graphql::{Error, ErrorExtensions as _, Object, Result, Schema, Subscription};
    use async_graphql_axum::{GraphQL, GraphQLSubscription};
    use axum::Router;
    use axum::routing::{get_service, post_service};
    use futures_util::{Stream, StreamExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::broadcast;
    use tokio_stream::wrappers::BroadcastStream;

    pub struct Query;
    pub struct Mutation(broadcast::Sender<i32>);
    pub struct Numbers(broadcast::Sender<i32>);

    #[Object]
    impl Query {
        async fn two(&self) -> i32 {
            2
        }

        async fn refused(&self) -> Result<i32> {
            Err(Error::new("That is no lead.").extend_with(|_, extensions| {
                extensions.set("code", "NOT_FOUND");
                extensions.set("field", "input.leadId");
            }))
        }
    }

    #[Object]
    impl Mutation {
        async fn say(&self, number: i32) -> bool {
            self.0.send(number).is_ok()
        }
    }

    #[Subscription]
    impl Numbers {
        async fn above(&self, limit: i32) -> Result<impl Stream<Item = i32>> {
            if limit < 0 {
                return Err(Error::new("The limit is negative."));
            }
            let numbers = BroadcastStream::new(self.0.subscribe()).filter_map(async |number| number.ok());
            Ok(numbers.filter(move |number| std::future::ready(*number > limit)))
        }
    }

    pub async fn start() -> SocketAddr {
        let (sender, _) = broadcast::channel(100);
        let schema = Schema::new(Query, Mutation(sender.clone()), Numbers(sender));
        let router = Router::new()
            .route("/graphql", post_service(GraphQL::new(schema.clone())))
            .route("/graphql/ws", get_service(GraphQLSubscription::new(schema)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }
}

#[tokio::test]
async fn an_answer_says_what_it_holds_and_what_went_wrong() {
    let client = Client::new(toy::start().await, None);
    let good = client.query("{ two }", json!({})).await.ok();
    assert_eq!(good.at("/two"), 2);

    let bad = client.query("{ refused }", json!({})).await;
    assert_eq!((bad.code(), bad.field(), bad.message()), ("NOT_FOUND", "input.leadId", "That is no lead."));
    assert_eq!(bad.faults(), [("NOT_FOUND", "input.leadId")]);
    let panic = std::panic::catch_unwind(|| bad.ok()).expect_err("it is not ok");
    assert!(panic.downcast_ref::<String>().is_some_and(|text| text.contains("That is no lead.")));
}

#[tokio::test]
async fn a_subscription_gives_what_comes_and_shows_what_does_not() {
    let address = toy::start().await;
    let client = Client::new(address, None);
    let say =
        async |number: i32| client.query("mutation($n: Int!) { say(number: $n) }", json!({ "n": number })).await.ok();
    let mut socket = Socket::connect(address, "a token").await;
    let mut small = socket.subscribe("subscription { above(limit: 0) }", json!({})).await;
    let mut large = socket.subscribe("subscription($l: Int!) { above(limit: $l) }", json!({ "l": 10 })).await;

    for number in 1..=5 {
        say(number).await;
    }
    for number in 1..=5 {
        assert_eq!(small.next().await["above"], number);
    }
    large.nothing_until(say(11), |data| data["above"] == 11).await;
    assert_eq!(small.next_within(Duration::from_secs(1)).await["above"], 11);

    let mut refused = socket.subscribe("subscription { above(limit: -1) }", json!({})).await;
    assert_eq!(refused.refusal().await.message(), "The limit is negative.");

    small.complete();
    socket.send_raw(Message::text("no JSON"));
    let close = socket.closed_within(Duration::from_secs(5)).await;
    assert_eq!(close.code, 1002, "{close:?}");
    assert_eq!(large.event_within(Duration::from_secs(5)).await, Event::Closed(close.clone()));
    assert_eq!(socket.close(), Some(close));
}

#[tokio::test]
#[should_panic(expected = "expected nothing before the event of 12, but this came")]
async fn what_should_not_have_come_is_found() {
    let address = toy::start().await;
    let client = Client::new(address, None);
    let say = async |number: i32| {
        client.query("mutation($n: Int!) { say(number: $n) }", json!({ "n": number })).await.ok();
        number
    };
    let mut socket = Socket::connect(address, "a token").await;
    let mut large = socket.subscribe("subscription { above(limit: 10) }", json!({})).await;
    say(11).await;
    large.nothing_until(say(12), |data| data["above"] == 12).await;
}
