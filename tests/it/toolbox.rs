//! The tools of `support` do what the tests rely on.

use std::time::Duration;

use chrono::Utc;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::on_both_databases;
use crate::support::cli::Cli;
use crate::support::database::{Database, Kind};
use crate::support::keys::{AUDIENCE, ISSUER, Issuer, Key, claims, hs256, tampered, unsigned};
use crate::support::postgres::fresh_schema;

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
