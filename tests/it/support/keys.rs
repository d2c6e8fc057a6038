//! Keys made while the tests run, tokens signed with them, and an issuer that publishes them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Of the tokens that [`claims`] describes; `COSELL_JWT_ISSUER`.
pub const ISSUER: &str = "https://issuer.example";
/// Of the tokens that [`claims`] describes; `COSELL_JWT_AUDIENCE`.
pub const AUDIENCE: &str = "cosell";

/// A key pair, in every form that it is handed around in.
pub struct Key {
    /// The key's id in the header of its tokens and in the key set.
    pub kid: String,
    /// The algorithm it signs by; an RSA key can sign by PS256, too.
    pub algorithm: Algorithm,
    /// PKCS#8.
    pub private_pem: String,
    /// SPKI, as `COSELL_JWT_PUBLIC_KEY` takes it.
    pub public_pem: String,
    /// The public half, an entry of a JSON Web Key Set.
    pub jwk: Value,
}

impl Key {
    /// RSA of 2048 bits, for RS256.
    pub fn rsa(kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
        let public = pair.public_key();
        let jwk = json!({
            "kty": "RSA",
            "n": base64url(public.modulus().big_endian_without_leading_zero()),
            "e": base64url(public.exponent().big_endian_without_leading_zero()),
        });
        let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).expect("PKCS#8");
        Self::new(kid, Algorithm::RS256, private.as_ref(), public, jwk)
    }

    /// On the curve P-256, for ES256.
    pub fn p256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key");
        let public = pair.public_key();
        // The uncompressed point: 4, then x and y of 32 bytes each.
        let (x, y) = public.as_ref()[1..].split_at(32);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y) });
        let private = pair.to_pkcs8v1().expect("PKCS#8");
        Self::new(kid, Algorithm::ES256, private.as_ref(), public, jwk)
    }

    /// Ed25519, for EdDSA.
    pub fn ed25519(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("an Ed25519 key");
        let public = pair.public_key();
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(public.as_ref()) });
        let private = pair.to_pkcs8().expect("PKCS#8");
        Self::new(kid, Algorithm::EdDSA, private.as_ref(), public, jwk)
    }

    fn new(
        kid: &str,
        algorithm: Algorithm,
        private: &[u8],
        public: &impl AsDer<PublicKeyX509Der<'static>>,
        mut jwk: Value,
    ) -> Self {
        jwk["kid"] = json!(kid);
        jwk["alg"] = json!(algorithm);
        jwk["use"] = json!("sig");
        Self {
            kid: kid.to_owned(),
            algorithm,
            private_pem: pem("PRIVATE KEY", private),
            public_pem: pem("PUBLIC KEY", public.as_der().expect("SPKI").as_ref()),
            jwk,
        }
    }

    /// A token that names this key.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&Header { kid: Some(self.kid.clone()), ..Header::new(self.algorithm) }, claims)
    }

    /// A token with a header of any content. The header's algorithm has to be one of the key's kind.
    pub fn token_with(&self, header: &Header, claims: &Value) -> String {
        let pem = self.private_pem.as_bytes();
        let key = match self.algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem),
            _ => EncodingKey::from_ed_pem(pem),
        };
        jsonwebtoken::encode(header, claims, &key.expect("a PEM of its own making")).expect("a signature")
    }
}

/// What a good token of [`ISSUER`] holds, for an hour from `now`. A test takes away or changes what it is about.
pub fn claims(member: &str, company: &str, roles: &[&str], now: DateTime<Utc>) -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now.timestamp(),
        "exp": now.timestamp() + 3600,
        "sub": member,
        "company": company,
        "roles": roles,
        "name": member,
        "email": format!("{member}@{company}.example"),
    })
}

/// A token by HS256. With a public key's PEM as the secret it is the well-known forgery.
pub fn hs256(secret: &[u8], claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret))
        .expect("a signature")
}

/// A token that claims to need no signature.
pub fn unsigned(claims: &Value) -> String {
    unsigned_with(&json!({ "alg": "none", "typ": "JWT" }), claims)
}

/// A token with any header and an empty signature.
pub fn unsigned_with(header: &Value, claims: &Value) -> String {
    format!("{}.{}.", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()))
}

/// The same token with other claims under the old signature.
pub fn tampered(token: &str, claims: &Value) -> String {
    let parts: Vec<_> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], base64url(claims.to_string().as_bytes()), parts[2])
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// How the issuer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Up,
    Failing,
    Talking,
    Silent,
}

/// An issuer's key set, on a port of its own; it ends with the test's runtime.
pub struct Issuer {
    address: SocketAddr,
    state: Arc<Mutex<IssuerState>>,
}

struct IssuerState {
    keys: Vec<Value>,
    health: Health,
    requests: usize,
    traces: Vec<String>,
}

impl Issuer {
    /// Publishes these keys.
    pub async fn start(keys: &[&Key]) -> Self {
        let state =
            Arc::new(Mutex::new(IssuerState { keys: jwks(keys), health: Health::Up, requests: 0, traces: vec![] }));
        let router = Router::new().route("/jwks.json", get(answer)).with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    /// For `COSELL_JWKS_URL`.
    pub fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    /// Publishes these keys from now on, and no others.
    pub fn rotate(&self, keys: &[&Key]) {
        self.change(|state| state.keys = jwks(keys));
    }

    /// Answers 503 from now on.
    pub fn fail(&self) {
        self.change(|state| state.health = Health::Failing);
    }

    /// Answers 200 with something that is no key set from now on.
    pub fn talk_nonsense(&self) {
        self.change(|state| state.health = Health::Talking);
    }

    /// Takes requests and never answers from now on.
    pub fn hang(&self) {
        self.change(|state| state.health = Health::Silent);
    }

    /// Answers as it should from now on.
    pub fn recover(&self) {
        self.change(|state| state.health = Health::Up);
    }

    /// How often it was asked since it started.
    pub fn requests(&self) -> usize {
        self.state.lock().expect("no panic under the lock").requests
    }

    /// The `traceparent` of each request since it started; empty where it had none.
    pub fn traces(&self) -> Vec<String> {
        self.state.lock().expect("no panic under the lock").traces.clone()
    }

    fn change(&self, change: impl FnOnce(&mut IssuerState)) {
        change(&mut self.state.lock().expect("no panic under the lock"));
    }
}

fn jwks(keys: &[&Key]) -> Vec<Value> {
    keys.iter().map(|key| key.jwk.clone()).collect()
}

async fn answer(State(state): State<Arc<Mutex<IssuerState>>>, headers: HeaderMap) -> Response {
    let trace = headers.get("traceparent").and_then(|trace| trace.to_str().ok()).unwrap_or_default();
    let (health, keys) = {
        let mut state = state.lock().expect("no panic under the lock");
        state.requests += 1;
        state.traces.push(trace.to_owned());
        (state.health, state.keys.clone())
    };
    match health {
        Health::Up => axum::Json(json!({ "keys": keys })).into_response(),
        Health::Failing => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Health::Talking => "<html>Welcome</html>".into_response(),
        Health::Silent => std::future::pending().await,
    }
}
