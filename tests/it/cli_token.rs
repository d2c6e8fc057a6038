//! `cosell token`.

use chrono::Utc;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::support::cli::Cli;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn claims(token: &str, issuer: &str, audience: &str) -> Value {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let key = DecodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::decode::<Value>(token, &key, &validation).expect("a token that verifies").claims
}

#[test]
fn a_token_is_printed_alone_and_verifies() {
    let cli = Cli::new().env("COSELL_JWT_SECRET", SECRET);
    let output = cli.run(["token", "--company", "acme", "--member", "ann", "--role", "sales,ADMIN"]);
    assert_eq!(output.stderr, "");
    let claims = claims(output.ok(), "cosell", "cosell");
    assert_eq!(
        (&claims["sub"], &claims["company"], &claims["roles"]),
        (&json!("ann"), &json!("acme"), &json!(["ADMIN", "SALES"]))
    );
    let left = claims["exp"].as_i64().expect("a time") - Utc::now().timestamp();
    assert!((8 * 3600 - 60..=8 * 3600).contains(&left), "{left}");
    assert!(std::fs::read_dir(cli.folder()).expect("a folder").next().is_none(), "it needs no database");
}

#[test]
fn a_token_says_what_it_is_told_to_and_fits_the_configuration() {
    let cli = Cli::new()
        .env("COSELL_JWT_SECRET", SECRET)
        .env("COSELL_JWT_ISSUER", "https://id.example")
        .env("COSELL_JWT_AUDIENCE", "leads")
        .env("COSELL_JWT_CLAIM_ROLES", "/realm_access/roles");
    let output = cli.run([
        "token",
        "--company",
        "acme",
        "--member",
        "ann",
        "--role",
        "VIEWER",
        "--role",
        "MANAGER",
        "--name",
        "Ann Lee",
        "--email",
        "ann@acme.example",
        "--expires",
        "90m",
    ]);
    let claims = claims(output.ok(), "https://id.example", "leads");
    assert_eq!(claims["realm_access"]["roles"], json!(["MANAGER", "VIEWER"]));
    assert_eq!((&claims["name"], &claims["email"]), (&json!("Ann Lee"), &json!("ann@acme.example")));
    let left = claims["exp"].as_i64().expect("a time") - Utc::now().timestamp();
    assert!((5340..=5400).contains(&left), "{left}");
}

#[test]
fn without_a_secret_there_is_no_token() {
    let output = Cli::new().run(["token", "--company", "acme", "--member", "ann", "--role", "SALES"]);
    assert!(output.failed(2).contains("COSELL_JWT_SECRET"), "{output}");
    assert_eq!(output.stdout, "");
}

#[test]
fn what_is_wrong_with_an_argument_is_told() {
    let cli = Cli::new().env("COSELL_JWT_SECRET", SECRET);
    for (arguments, says) in [
        (
            ["--company", "acme", "--member", "ann", "--role", "BOSS"],
            "ADMIN, SALES, MARKETEER, MANAGER, INTEGRATION, VIEWER",
        ),
        (["--company", "Acme!", "--member", "ann", "--role", "SALES"], "2 to 50 lower-case letters"),
        (["--company", "acme", "--member", " ", "--role", "SALES"], "blank"),
    ] {
        let output = cli.run(["token"].into_iter().chain(arguments));
        assert!(output.failed(2).contains(says), "{output}");
    }
    for (argument, value, says) in
        [("--expires", "soon", "8h"), ("--expires", "0s", "from 1s"), ("--email", "ann", "e-mail address")]
    {
        let output = cli.run(["token", "--company", "acme", "--member", "ann", "--role", "SALES", argument, value]);
        assert!(output.failed(2).contains(says), "{output}");
    }
}
