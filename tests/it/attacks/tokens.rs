//! Tokens that were forged, and tokens of the issuer that say what they must not: over HTTP, websockets and event streams,
//! by every kind of key.

use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use cosell::domain::clock::Clock as _;
use cosell::server::RunningServer;
use futures_util::StreamExt as _;
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::well;
use crate::on_both_databases;
use crate::support::database::{Kind, start};
use crate::support::http::{Answer, Client};
use crate::support::keys::{AUDIENCE, ISSUER, Issuer, Key, claims};
use crate::support::rows::Rows;
use crate::support::sse;
use crate::support::world::{SECRET, World};
use crate::support::ws::Socket;

const PATIENCE: Duration = Duration::from_secs(20);

/// Signs whatever it is given.
struct Signer {
    name: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
    kid: Option<String>,
}

impl Signer {
    fn secret() -> Self {
        Self { name: "HS256", algorithm: Algorithm::HS256, key: EncodingKey::from_secret(SECRET.as_bytes()), kid: None }
    }

    fn of(key: &Key) -> Self {
        let pem = key.private_pem.as_bytes();
        let (name, encoding) = match key.algorithm {
            Algorithm::RS256 => ("RS256", EncodingKey::from_rsa_pem(pem)),
            Algorithm::ES256 => ("ES256", EncodingKey::from_ec_pem(pem)),
            _ => ("EdDSA", EncodingKey::from_ed_pem(pem)),
        };
        Self { name, algorithm: key.algorithm, key: encoding.expect("a key"), kid: Some(key.kid.clone()) }
    }

    fn header(&self) -> Value {
        json!({ "alg": self.name, "typ": "JWT", "kid": self.kid })
    }

    /// A token of this header and payload, whatever they are, with a signature that holds.
    fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        format!("{message}.{}", self.signature(&message))
    }

    fn signature(&self, message: &str) -> String {
        jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).expect("a signature")
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(self.header().to_string().as_bytes(), claims.to_string().as_bytes())
    }

    /// Claims that can't be written as a `Value`.
    fn raw(&self, claims: &str) -> String {
        self.sign(self.header().to_string().as_bytes(), claims.as_bytes())
    }

    fn with_header(&self, header: &Value, claims: &Value) -> String {
        self.sign(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }
}

fn good(world: &World) -> Value {
    claims("ann", "acme", &["ADMIN"], world.clock.now())
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

async fn viewer(address: SocketAddr, token: &str) -> Answer {
    Client::new(address, Some(token)).query("{ viewer { id roles company { slug } } }", json!({})).await
}

/// Refused wherever a token is taken.
async fn refused(server: &RunningServer, token: &str, why: &str) {
    // Clients don't send all of these; the server has to say the same where it gets them.
    if token.bytes().all(|byte| (b' '..127).contains(&byte)) && token.len() < 60_000 {
        let answer = viewer(server.addr, token).await;
        assert_eq!(answer.errors.len(), 1, "{why}: {} for {token:.2000}", answer.text);
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            "{why}: {}",
            answer.text
        );
        assert!(answer.headers.contains_key("www-authenticate"), "{why}");
        let client = Client::new(server.addr, Some(token));
        let stream =
            sse::request(&client, "subscription { activity { id } }", &json!({})).send().await.expect("an answer");
        assert_eq!(stream.status(), StatusCode::UNAUTHORIZED, "{why}");
    }
    let mut socket = Socket::open(server.addr).await;
    socket.init(Some(token));
    let close = socket.closed_within(PATIENCE).await;
    assert_eq!(close.code, 4403, "{why}: {close:?}");
}

/// Tokens whose signature does not hold, or that only look as if they had one.
async fn forgeries_are_refused(world: &World, server: &RunningServer, signer: &Signer) {
    let claims = good(world);
    let token = signer.token(&claims);
    viewer(server.addr, &token).await.ok();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let admin = URL_SAFE_NO_PAD.encode(with(&claims, "company", json!("globex")).to_string());
    let encode = |header: &Value| URL_SAFE_NO_PAD.encode(header.to_string());
    let other = signer.token(&with(&claims, "sub", json!("bob")));
    let others = other.rsplit('.').next().expect("a signature");
    let mut forged = vec![
        ("a changed payload", format!("{header}.{admin}.{signature}")),
        ("another token's signature", format!("{header}.{payload}.{others}")),
        ("no signature", format!("{header}.{payload}.")),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{token}.{signature}")),
        ("a part before", format!(".{token}")),
        ("half of the signature", format!("{header}.{payload}.{}", &signature[..signature.len() / 2])),
        ("a longer signature", format!("{token}AAAA")),
        ("a signature of zeros", format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
        ("a signature of zeros, as RSA has it", format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode([0; 256]))),
        ("a signature of ones", format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode([255; 64]))),
        ("the payload as signature", format!("{header}.{payload}.{payload}")),
        ("padding", format!("{}.{payload}.{signature}", URL_SAFE.encode(signer.header().to_string() + " "))),
        ("padding at the end", format!("{token}=")),
        ("a line break", format!("{header}.{payload}\n.{signature}")),
        ("a space within", format!("{header}. {payload}.{signature}")),
        ("NUL at the end", format!("{token}\0")),
        ("another alphabet", format!("{header}.{}.{signature}", STANDARD.encode(claims.to_string() + "???>>>"))),
        ("letters of another script", format!("{header}.{payload}.{}", "а".repeat(43))),
        ("JWE", format!("{}.AAAA.AAAA.AAAA.AAAA", encode(&json!({ "alg": "dir", "enc": "A256GCM" })))),
        ("an empty header", format!(".{payload}.{signature}")),
        ("a header that is no object", format!("{}.{payload}.{signature}", encode(&json!(["HS256"])))),
        ("a header without alg", format!("{}.{payload}.{signature}", encode(&json!({ "typ": "JWT" })))),
    ];
    for alg in ["none", "None", "NONE", "nOnE", "none ", "", "null", "HS1", "RS1"] {
        for signature in ["", signature] {
            forged.push(("alg none", format!("{}.{payload}.{signature}", encode(&json!({ "alg": alg })))));
        }
    }
    for alg in [json!(null), json!(7), json!(["none"]), json!({ "none": true }), json!(false)] {
        forged.push(("alg that is no text", format!("{}.{payload}.", encode(&json!({ "alg": alg })))));
    }
    // The same key's other algorithms, and its own by another name: signed well, and not accepted.
    let pss = (signer.name != "RS256").then_some("PS256");
    for alg in ["HS384", "HS512", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512", "Ed25519", "ES256K"]
        .into_iter()
        .chain(pss)
    {
        let message = format!("{}.{payload}", encode(&with(&signer.header(), "alg", json!(alg))));
        let algorithm = alg.parse().unwrap_or(signer.algorithm);
        let made = jsonwebtoken::crypto::sign(message.as_bytes(), &signer.key, algorithm);
        forged.push(("another algorithm", format!("{message}.{}", made.unwrap_or_else(|_| signature.to_owned()))));
    }
    for alg in
        [signer.name.to_lowercase(), format!(" {}", signer.name), format!("{}\0", signer.name), signer.name.repeat(2)]
    {
        if alg != signer.name {
            forged.push((
                "the algorithm's name in another way",
                signer.with_header(&with(&signer.header(), "alg", json!(alg)), &claims),
            ));
        }
    }
    // What a token says of how it is to be checked, signed by the wrong one, and by the right one.
    let evil = Key::rsa("evil");
    let trap = Issuer::start(&[&evil]).await;
    let evil = Signer::of(&evil);
    let mut hints = json!({ "alg": "RS256", "kid": "evil", "jku": trap.url(), "x5u": trap.url() });
    forged.push(("the address of its keys", evil.with_header(&hints, &claims)));
    hints["kid"] = json!(trap.url());
    forged.push(("an address as its key's id", evil.with_header(&hints, &claims)));
    let own = Key::rsa("own");
    let embedded = json!({ "alg": "RS256", "jwk": own.jwk, "kid": "own" });
    forged.push(("its own key", Signer::of(&own).with_header(&embedded, &claims)));
    let hs = Signer { name: "HS256", algorithm: Algorithm::HS256, key: EncodingKey::from_secret(b""), kid: None };
    forged.push(("the empty secret", hs.token(&claims)));
    for crit in [json!(["b64"]), json!([]), json!("exp"), json!(["exp"]), json!(1)] {
        forged.push(("something critical", signer.with_header(&with(&signer.header(), "crit", crit), &claims)));
    }
    forged.push((
        "a header with alg twice",
        signer.sign(
            format!("{{\"alg\":\"none\",\"alg\":\"{}\"}}", signer.name).as_bytes(),
            claims.to_string().as_bytes(),
        ),
    ));
    forged.push((
        "a header with something behind",
        signer.sign(format!("{}x", signer.header()).as_bytes(), claims.to_string().as_bytes()),
    ));
    forged.push((
        "a header that is nested deep",
        signer.sign(
            format!("{{\"alg\":\"{}\",\"x\":{}{}}}", signer.name, "[".repeat(5000), "]".repeat(5000)).as_bytes(),
            claims.to_string().as_bytes(),
        ),
    ));
    for (why, token) in forged {
        refused(server, &token, why).await;
    }
    assert_eq!(trap.requests(), 0, "keys were fetched from where a token said");
}

/// Tokens with a signature that holds, which say what no token may say.
#[expect(clippy::too_many_lines, reason = "a list of tokens")]
async fn claims_are_held_to_their_types(world: &World, server: &RunningServer, signer: &Signer) {
    let claims = good(world);
    let now = world.clock.now().timestamp();
    let mut wrong = Vec::new();
    for value in [
        json!(null),
        json!(""),
        json!("9999999999"),
        json!(true),
        json!([now + 60]),
        json!({}),
        json!(0),
        json!(-1),
        json!(-1e300),
        json!(1e300),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(now - 3600),
        json!(1e15),
    ] {
        wrong.push(("exp", with(&claims, "exp", value)));
    }
    for value in [json!(now + 3600), json!("0"), json!([0]), json!(i64::MAX), json!(1e300), json!({})] {
        wrong.push(("nbf", with(&claims, "nbf", value)));
    }
    for value in [
        json!(null),
        json!(""),
        json!([ISSUER]),
        json!(7),
        json!({ "iss": ISSUER }),
        json!(format!("{ISSUER}/")),
        json!(ISSUER.to_uppercase()),
        json!(format!(" {ISSUER}")),
        json!(format!("{ISSUER}.evil.example")),
        json!(&ISSUER[..ISSUER.len() - 1]),
    ] {
        wrong.push(("iss", with(&claims, "iss", value)));
    }
    for value in [
        json!(null),
        json!(""),
        json!([]),
        json!([[AUDIENCE]]),
        json!({ AUDIENCE: true }),
        json!("Cosell"),
        json!("cosell2"),
        json!(format!("{AUDIENCE} ")),
        json!(7),
        json!([null, 7]),
        json!("account cosell"),
    ] {
        wrong.push(("aud", with(&claims, "aud", value)));
    }
    for value in [
        json!(null),
        json!(""),
        json!(" "),
        json!(7),
        json!(["ann"]),
        json!({ "ann": 1 }),
        json!(true),
        json!("a".repeat(201)),
        json!("an\nn"),
        json!("an\u{0}n"),
        json!(" ann"),
        json!("ann "),
        json!("\u{a0}ann"),
    ] {
        wrong.push(("sub", with(&claims, "sub", value)));
    }
    for value in [
        json!(null),
        json!(""),
        json!(7),
        json!(["acme"]),
        json!({ "acme": 1 }),
        json!("ACME"),
        json!("Acme"),
        json!(" acme"),
        json!("acme "),
        json!("acme\n"),
        json!("аcme"),
        json!("acme\u{200b}"),
        json!("acme\u{0}"),
        json!("ａｃｍｅ"),
        json!("acmé"),
        json!("acme'--"),
        json!("acme%"),
        json!("_cme"),
        json!("acme,globex"),
        json!("a".repeat(10_000)),
    ] {
        wrong.push(("company", with(&claims, "company", value)));
    }
    for value in [
        json!(null),
        json!(7),
        json!(true),
        json!({ "ADMIN": true }),
        json!([["ADMIN"]]),
        json!([7, "ADMIN"]),
        json!([null]),
    ] {
        wrong.push(("roles", with(&claims, "roles", value)));
    }
    for name in ["exp", "iss", "aud", "sub", "company", "roles"] {
        wrong.push((name, without(&claims, name)));
    }
    for (name, claims) in wrong {
        refused(server, &signer.token(&claims), &format!("{name}: {}", claims[name])).await;
    }
    let text = claims.to_string();
    let exp = format!("\"exp\":{}", claims["exp"]);
    for (why, payload) in [
        ("exp that is infinite", text.replace(&exp, "\"exp\":1e400")),
        ("exp that is no number", text.replace(&exp, "\"exp\":NaN")),
        ("a payload that is no JSON", text.replace('{', "")),
        ("nothing", String::new()),
        ("a text", format!("\"{}\"", signer.token(&claims))),
        ("a token in a token", signer.token(&claims)),
        ("a list", format!("[{text}]")),
        ("null", "null".to_owned()),
        ("two objects", format!("{text}{text}")),
        ("claims nested deep", text.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(4000), "]".repeat(4000)), 1)),
        ("invalid UTF-16", text.replacen("ann", "\\ud800", 1)),
    ] {
        refused(server, &signer.raw(&payload), why).await;
    }
    refused(server, &signer.sign(signer.header().to_string().as_bytes(), b"{\"sub\":\"\xff\"}"), "invalid UTF-8").await;
    // Of a claim that is there twice the last one counts, as in JavaScript (RFC 7519, section 4), and in every place alike.
    let twice = signer.raw(&text.replacen('{', "{\"company\":\"globex\",\"roles\":[],", 1));
    let seen = viewer(server.addr, &twice).await.ok();
    assert_eq!((seen.text_at("/viewer/company/slug"), seen.at("/viewer/roles")), ("acme", &json!(["ADMIN"])));
    // The key's id is a name among the issuer's keys; it is no path, no address and no SQL.
    let kids = [
        json!("../../../../dev/null"),
        json!("' OR 1=1 --"),
        json!("| id"),
        json!("a".repeat(5000)),
        json!("\u{0}"),
        json!("http://127.0.0.1/"),
        json!(""),
    ];
    for kid in kids {
        let token = signer.with_header(&with(&signer.header(), "kid", kid.clone()), &claims);
        if signer.kid.is_none() {
            viewer(server.addr, &token).await.ok();
        } else {
            let answer = viewer(server.addr, &token).await;
            assert!(answer.status == StatusCode::OK || answer.code() == "UNAUTHENTICATED", "{kid}: {}", answer.text);
        }
    }
}

on_both_databases! {
    async fn no_forged_token_is_taken_where_there_is_a_shared_secret(world: World) {
        let signer = Signer::secret();
        viewer(world.address(), &signer.token(&good(&world))).await.ok();
        let rows = Rows::of(&world.database).await;
        let before = rows.now().await;
        forgeries_are_refused(&world, world.server(), &signer).await;
        claims_are_held_to_their_types(&world, world.server(), &signer).await;
        rows.unchanged_since(&before, "a forged token").await;
        well(&world.as_("acme", "SALES")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_forged_token_is_taken_where_there_is_a_public_key() {
    let world: World = start(Kind::Sqlite).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    for key in [Key::rsa("k"), Key::p256("k"), Key::ed25519("k")] {
        let file = folder.path().join("key.pem");
        std::fs::write(&file, &key.public_pem).expect("the folder can be written to");
        let file = file.to_str().expect("a path of ASCII");
        let server =
            world.another_server_with(&[("COSELL_JWT_SECRET", None), ("COSELL_JWT_PUBLIC_KEY", Some(file))]).await;
        let signer = Signer::of(&key);
        forgeries_are_refused(&world, &server, &signer).await;
        claims_are_held_to_their_types(&world, &server, &signer).await;
        what_everybody_has_is_no_secret(&world, &server, &key).await;
        server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_forged_token_is_taken_where_the_issuer_publishes_its_keys() {
    let world: World = start(Kind::Sqlite).await;
    let keys = [Key::rsa("r"), Key::p256("p"), Key::ed25519("e")];
    let issuer = Issuer::start(&keys.iter().collect::<Vec<_>>()).await;
    let url = issuer.url();
    let server = world.another_server_with(&[("COSELL_JWT_SECRET", None), ("COSELL_JWKS_URL", Some(&url))]).await;
    for key in &keys {
        let signer = Signer::of(key);
        forgeries_are_refused(&world, &server, &signer).await;
        claims_are_held_to_their_types(&world, &server, &signer).await;
        what_everybody_has_is_no_secret(&world, &server, key).await;
        // A key of the set, by the name of another one.
        for other in keys.iter().filter(|other| other.kid != key.kid) {
            let mut header = signer.header();
            header["kid"] = json!(other.kid);
            refused(&server, &signer.with_header(&header, &good(&world)), "another key's name").await;
            header["alg"] = json!(other.algorithm);
            refused(&server, &signer.with_header(&header, &good(&world)), "another key's name and algorithm").await;
        }
    }
    // The clock stands still: whatever keys were asked for, the issuer was asked once or twice.
    assert!(issuer.requests() <= 3, "{} requests", issuer.requests());
    server.shutdown().await;
}

/// HS256 by a public key, in every form that it is handed around in.
async fn what_everybody_has_is_no_secret(world: &World, server: &RunningServer, key: &Key) {
    let base64: String = key.public_pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(&base64).expect("base64");
    let field = |name: &str| URL_SAFE_NO_PAD.decode(key.jwk[name].as_str().unwrap_or_default()).unwrap_or_default();
    let secrets = [
        key.public_pem.clone().into_bytes(),
        key.public_pem.trim().as_bytes().to_vec(),
        key.public_pem.replace('\n', "\r\n").into_bytes(),
        key.public_pem.replace('\n', "").into_bytes(),
        base64.into_bytes(),
        der,
        key.jwk.to_string().into_bytes(),
        field("n"),
        field("x"),
        [field("x"), field("y")].concat(),
        key.kid.clone().into_bytes(),
    ];
    for secret in secrets {
        for (name, algorithm) in [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)]
        {
            let forger = Signer { name, algorithm, key: EncodingKey::from_secret(&secret), kid: Some(key.kid.clone()) };
            refused(server, &forger.token(&good(world)), "a public key as the secret").await;
        }
        // And where the token says the key's own algorithm.
        let forger = Signer {
            name: "HS256",
            algorithm: Algorithm::HS256,
            key: EncodingKey::from_secret(&secret),
            kid: Some(key.kid.clone()),
        };
        let header = json!({ "alg": key.algorithm, "kid": key.kid });
        refused(server, &forger.with_header(&header, &good(world)), "a public key as the secret, by its own algorithm")
            .await;
    }
    if key.algorithm == Algorithm::ES256 {
        // The signature in the form of X.509 is another text for the same: only one form is a token's.
        let signer = Signer::of(key);
        let token = signer.token(&good(world));
        let message = token.rsplit_once('.').expect("parts").0;
        let private: String = key.private_pem.lines().filter(|line| !line.starts_with('-')).collect();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &STANDARD.decode(private).expect("base64"))
                .expect("a key");
        let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), message.as_bytes()).expect("a signature");
        refused(server, &format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())), "a signature in DER")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_read_from_its_one_place() {
    let world: World = start(Kind::Sqlite).await;
    let token = world.as_("acme", "SALES").token;
    let nobody = world.nobody();
    let body = json!({ "query": "{ viewer { id } }", "token": token, "access_token": token, "authorization": format!("Bearer {token}"),
        "extensions": { "authorization": token, "token": token } });
    for path in
        [format!("/graphql?access_token={token}"), format!("/graphql?token={token}&authorization=Bearer+{token}")]
    {
        let request = nobody
            .request(Method::POST, &path)
            .header(
                "cookie",
                format!("token={token}; access_token={token}; Authorization=Bearer {token}; session={token}"),
            )
            .header("x-authorization", format!("Bearer {token}"))
            .header("x-access-token", &token)
            .header("x-forwarded-authorization", format!("Bearer {token}"))
            .header("proxy-authorization", format!("Bearer {token}"));
        let answer = Answer::of(request.json(&body)).await;
        assert_eq!(answer.code(), "UNAUTHENTICATED", "{path}");
    }
    for header in [
        format!("Basic {token}"),
        format!("Token {token}"),
        format!("bearer{token}"),
        token.clone(),
        format!("Bearer,{token}"),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer realm=x {token}"),
        format!("\"Bearer {token}\""),
    ] {
        let request = nobody.request(Method::POST, "/graphql").header("authorization", &header).json(&body);
        assert_eq!(Answer::of(request).await.code(), "UNAUTHENTICATED", "{header}");
    }
    let twice = nobody
        .request(Method::POST, "/graphql")
        .header("authorization", format!("Bearer {token}"))
        .header("authorization", format!("Bearer {}", world.as_("acme", "ADMIN").token))
        .json(&body);
    assert_eq!(Answer::of(twice).await.code(), "UNAUTHENTICATED");
    // A websocket has the token of its connection_init, or of a header that no page can set; not one of what a browser
    // sends of itself.
    let mut request = tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(format!(
        "ws://{}/graphql/ws?token={token}&access_token={token}",
        world.address()
    ))
    .expect("a request");
    for (name, value) in [
        ("sec-websocket-protocol", "graphql-transport-ws".to_owned()),
        ("x-authorization", format!("Bearer {token}")),
        ("proxy-authorization", format!("Bearer {token}")),
        ("cookie", format!("token={token}; authorization=Bearer {token}")),
    ] {
        request.headers_mut().insert(reqwest::header::HeaderName::from_static(name), value.parse().expect("a value"));
    }
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("an upgrade");
    futures_util::SinkExt::send(
        &mut socket,
        tokio_tungstenite::tungstenite::Message::text(r#"{"type":"connection_init"}"#),
    )
    .await
    .expect("it is open");
    let close = loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.expect("an end").expect("an end").expect("a frame") {
            tokio_tungstenite::tungstenite::Message::Close(frame) => break frame.expect("a reason"),
            other => assert!(!other.to_string().contains("connection_ack"), "{other}"),
        }
    };
    assert_eq!(u16::from(close.code), 4403);
    for payload in [
        json!({ "Authorization": [format!("Bearer {token}")] }),
        json!({ "Authorization": { "token": token } }),
        json!({ "token": [token] }),
        json!({ "headers": { "Authorization": token } }),
        json!({ "headers": { "token": token, "authToken": token } }),
        json!({ "headers": [{ "Authorization": format!("Bearer {token}") }] }),
        json!({ "payload": { "Authorization": format!("Bearer {token}") } }),
        json!({ "Authorization": format!("Bearer {token}"), "authorization": format!("Bearer {token}") }),
        json!({ "authToken": { "token": token } }),
        json!({ "authtoken": token }),
        json!({ "access_token": token }),
        json!({ "Authorization": token }),
        json!({ "Authorization": "", "token": token }),
        json!({ "cookie": token }),
        json!({ "Authorization": format!("Basic {token}") }),
    ] {
        let mut socket = Socket::open(world.address()).await;
        socket.send(&json!({ "type": "connection_init", "payload": payload }));
        assert_eq!(socket.closed_within(PATIENCE).await.code, 4403, "{payload}");
    }
    well(&world.as_("acme", "SALES")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_role_gives_no_right_and_a_name_no_disguise() {
    let world: World = start(Kind::Sqlite).await;
    let signer = Signer::secret();
    let create = json!({ "title": "A", "customer": { "company": "B" } });
    for roles in [
        json!([]),
        json!([""]),
        json!("nothing"),
        json!(["SUPERADMIN"]),
        json!(["АDMIN"]),
        json!(["ＡＤＭＩＮ"]),
        json!(["ADMIN\u{0}"]),
        json!(["AD MIN"]),
        json!(["ADMIN;SALES"]),
        json!(["*"]),
        json!(["ADMIN\u{200b}"]),
        json!(["ADMlN"]),
        json!(["SYSTEM"]),
        json!(["system"]),
    ] {
        let token = signer.token(&with(&good(&world), "roles", roles.clone()));
        let caller = world.bearer_of(&token);
        let seen = caller.query("{ viewer { roles } }", json!({})).await.ok();
        assert_eq!(seen.at("/viewer/roles"), &json!([]), "{roles}");
        assert_eq!(caller.mutate("createLead", create.clone(), "lead { id }").await.code(), "FORBIDDEN", "{roles}");
    }
    // A name that would be read as another one is none.
    for name in ["\u{202e}nimdA", "A\u{2066}b", "A\u{0}b", "A\nb", "A\u{1b}[31mb"] {
        let token = signer.token(&with(&good(&world), "name", json!(name)));
        let seen = world.bearer_of(&token).query("{ viewer { name } }", json!({})).await.ok();
        let shown = seen.at("/viewer/name").as_str().unwrap_or_default().to_owned();
        assert!(
            !shown.chars().any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')),
            "{name:?} is shown as {shown:?}"
        );
    }
}
