use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use base64::prelude::BASE64_STANDARD;
use futures_util::FutureExt as _;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header as TokenHeader};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::clock::ManualClock;
use crate::config::{self, Secret, load};
use crate::domain::arbitrary::any_json;

pub(crate) const SECRET: &str = "a secret of the tests, long enough";
const NOW: i64 = 1_800_000_000;

/// A key pair made for one test.
struct Pair {
    algorithm: Algorithm,
    signing: EncodingKey,
    public_pem: String,
    private_pem: String,
}

fn pem(tag: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n", lines.join("\n"))
}

impl Pair {
    fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        let private_pem = pem("PRIVATE KEY", private.as_ref());
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
        Self {
            algorithm: Algorithm::RS256,
            signing: EncodingKey::from_rsa_pem(private_pem.as_bytes()).unwrap(),
            public_pem: pem("PUBLIC KEY", public.as_ref()),
            private_pem,
        }
    }

    fn ec(curve: &'static EcdsaSigningAlgorithm) -> Self {
        let private = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(curve, private.as_ref()).unwrap();
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
        Self {
            algorithm: Algorithm::ES256,
            signing: EncodingKey::from_ec_der(private.as_ref()),
            public_pem: pem("PUBLIC KEY", public.as_ref()),
            private_pem: pem("PRIVATE KEY", private.as_ref()),
        }
    }

    fn ed() -> Self {
        let private = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private.as_ref()).unwrap();
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
        Self {
            algorithm: Algorithm::EdDSA,
            signing: EncodingKey::from_ed_der(private.as_ref()),
            public_pem: pem("PUBLIC KEY", public.as_ref()),
            private_pem: pem("PRIVATE KEY", private.as_ref()),
        }
    }

    fn token(&self, kid: Option<&str>, claims: &Value) -> String {
        self.token_by(self.algorithm, kid, claims)
    }

    fn token_by(&self, algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
        let mut header = TokenHeader::new(algorithm);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.signing).unwrap()
    }

    fn jwk(&self, kid: &str) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.signing, self.algorithm).unwrap();
        jwk.common.key_id = Some(kid.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn key_source(&self) -> KeySource {
        KeySource::PublicKey { path: "key.pem".into(), pem: self.public_pem.clone() }
    }

    fn authenticator(&self) -> Result<Authenticator, ConfigFaults> {
        Authenticator::new(&config(Some(self.key_source())), clock())
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(DateTime::from_timestamp(NOW, 0).unwrap()))
}

fn config(key: Option<KeySource>) -> Config {
    let mut config = load(None, []).unwrap();
    config.jwt.key = key;
    config
}

fn claims() -> Value {
    json!({
        "iss": "cosell", "aud": "cosell", "sub": "ada", "exp": NOW + 60, "company": "acme",
        "roles": ["SALES", "admin", "offline_access"], "name": "Ada", "email": "ada@acme.example",
    })
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn hs256(secret: &[u8], claims: &Value) -> String {
    jsonwebtoken::encode(&TokenHeader::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret)).unwrap()
}

async fn with_secret(claims: &Value) -> Result<Identity, AuthError> {
    let config = config(Some(KeySource::Secret(Secret::new(SECRET))));
    Authenticator::new(&config, clock()).unwrap().authenticate(&hs256(SECRET.as_bytes(), claims)).await
}

#[tokio::test]
async fn a_good_token_says_who_calls() {
    let identity = with_secret(&claims()).await.unwrap();
    assert_eq!(
        identity,
        Identity {
            company_slug: "acme".to_owned(),
            subject: "ada".to_owned(),
            roles: vec![Role::Admin, Role::Sales],
            name: Some("Ada".to_owned()),
            email: Some("ada@acme.example".to_owned()),
            expires_at: DateTime::from_timestamp(NOW + 60, 0).unwrap(),
        }
    );
}

#[tokio::test]
async fn each_required_claim_is_missed_by_its_name() {
    for name in ["exp", "iss", "aud", "sub", "company", "roles"] {
        assert_eq!(with_secret(&without(name)).await, Err(AuthError::ClaimMissing(name.to_owned())), "{name}");
        assert_eq!(with_secret(&with(name, Value::Null)).await, Err(AuthError::ClaimMissing(name.to_owned())));
    }
    assert_eq!(with_secret(&with("company", "  ")).await, Err(AuthError::ClaimMissing("company".to_owned())));
    assert_eq!(with_secret(&with("company", 7)).await, Err(AuthError::ClaimInvalid("company".to_owned())));
    for name in ["sub", "company"] {
        // Another one than without the space, for all that is known here.
        for text in [" acme", "acme ", "acme\u{a0}"] {
            assert_eq!(with_secret(&with(name, text)).await, Err(AuthError::ClaimInvalid(name.to_owned())), "{text:?}");
        }
    }
    assert_eq!(with_secret(&with("sub", "a\u{0}b")).await, Err(AuthError::ClaimInvalid("sub".to_owned())));
    assert_eq!(with_secret(&with("roles", json!([1]))).await, Err(AuthError::ClaimInvalid("roles".to_owned())));
    assert_eq!(with_secret(&with("exp", "soon")).await, Err(AuthError::ClaimInvalid("exp".to_owned())));
    assert_eq!(with_secret(&with("exp", -1e300)).await, Err(AuthError::ClaimInvalid("exp".to_owned())));
}

#[tokio::test]
async fn the_injected_clock_decides_with_five_seconds_of_leeway() {
    assert!(with_secret(&with("exp", NOW - 4)).await.is_ok());
    assert_eq!(with_secret(&with("exp", NOW - 5)).await, Err(AuthError::Expired));
    assert!(with_secret(&with("nbf", NOW + 5)).await.is_ok());
    assert_eq!(with_secret(&with("nbf", NOW + 6)).await, Err(AuthError::NotYetValid));
    #[allow(clippy::cast_precision_loss)]
    let fraction = NOW as f64 + 0.5;
    assert!(with_secret(&with("exp", fraction)).await.is_ok());
}

#[tokio::test]
async fn another_issuer_or_audience_is_refused() {
    assert_eq!(with_secret(&with("iss", "https://evil.example")).await, Err(AuthError::WrongIssuer));
    assert_eq!(with_secret(&with("iss", json!(["cosell"]))).await, Err(AuthError::WrongIssuer));
    assert_eq!(with_secret(&with("aud", "other")).await, Err(AuthError::WrongAudience));
    assert_eq!(with_secret(&with("aud", json!([]))).await, Err(AuthError::WrongAudience));
    assert!(with_secret(&with("aud", json!(["other", "cosell"]))).await.is_ok());
}

#[tokio::test]
async fn a_token_that_is_not_signed_with_the_secret_is_refused() {
    let config = config(Some(KeySource::Secret(Secret::new(SECRET))));
    let auth = Authenticator::new(&config, clock()).unwrap();
    let foreign = hs256(b"another secret, which is also long", &claims());
    assert_eq!(auth.authenticate(&foreign).await, Err(AuthError::BadSignature));

    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    for alg in ["none", "None", "HS512", "RS256"] {
        let unsigned = format!("{}.{}.", part(&json!({"alg": alg, "typ": "JWT"})), part(&claims()));
        assert_eq!(auth.authenticate(&unsigned).await, Err(AuthError::AlgorithmNotAllowed), "{alg}");
    }
    let critical = format!("{}.{}.x", part(&json!({"alg": "HS256", "crit": ["b64"]})), part(&claims()));
    let good = hs256(SECRET.as_bytes(), &claims());
    let changed = format!("{}x", &good[..good.len() - 1]);
    for bad in ["", "x", "a.b", "a.b.c", "a.b.c.d", "....", &critical, &"x".repeat(20_000), &changed] {
        let refused = auth.authenticate(bad).await.unwrap_err();
        assert!(matches!(refused, AuthError::Malformed(_) | AuthError::BadSignature), "{bad}: {refused:?}");
    }
}

#[tokio::test]
async fn each_kind_of_public_key_verifies_its_own_algorithm_only() {
    let pairs = [Pair::rsa(), Pair::ec(&ECDSA_P256_SHA256_FIXED_SIGNING), Pair::ed()];
    for (i, pair) in pairs.iter().enumerate() {
        let auth = pair.authenticator().unwrap();
        assert!(auth.authenticate(&pair.token(None, &claims())).await.is_ok(), "{:?}", pair.algorithm);
        for (j, other) in pairs.iter().enumerate() {
            if i != j {
                let refused = auth.authenticate(&other.token(None, &claims())).await;
                assert_eq!(refused, Err(AuthError::AlgorithmNotAllowed));
            }
        }
        // The classic confusion: HMAC keyed with the public key, which everybody has.
        let confused = hs256(pair.public_pem.as_bytes(), &claims());
        assert_eq!(auth.authenticate(&confused).await, Err(AuthError::AlgorithmNotAllowed));
    }
    let stranger = Pair::ed().token(None, &claims());
    assert_eq!(pairs[2].authenticator().unwrap().authenticate(&stranger).await, Err(AuthError::BadSignature));
}

#[tokio::test]
async fn an_rsa_key_verifies_ps256_as_well_as_rs256_and_nothing_else() {
    let pair = Pair::rsa();
    let auth = pair.authenticator().unwrap();
    for (algorithm, good) in [
        (Algorithm::RS256, true),
        (Algorithm::PS256, true),
        (Algorithm::RS384, false),
        (Algorithm::RS512, false),
        (Algorithm::PS384, false),
        (Algorithm::PS512, false),
    ] {
        let token = pair.token_by(algorithm, None, &claims());
        assert_eq!(auth.authenticate(&token).await.is_ok(), good, "{algorithm:?}");
        // Under the name of the other one the signature is another.
        for name in ["RS256", "PS256"].map(|name| name.parse::<Algorithm>().unwrap()) {
            let header = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&TokenHeader::new(name)).unwrap());
            let renamed = format!("{header}.{}", token.split_once('.').unwrap().1);
            if name != algorithm {
                assert_eq!(
                    auth.authenticate(&renamed).await,
                    Err(AuthError::BadSignature),
                    "{algorithm:?} as {name:?}"
                );
            }
        }
    }
    let stranger = Pair::rsa().token_by(Algorithm::PS256, None, &claims());
    assert_eq!(auth.authenticate(&stranger).await, Err(AuthError::BadSignature));
}

#[test]
fn a_key_of_a_key_set_is_for_the_algorithm_that_it_names_if_its_kind_has_it() {
    let algorithms = |jwk: &Value| {
        VerifyingKey::from_jwk(&serde_json::from_value(jwk.clone()).unwrap()).map(|key| key.algorithms.to_vec())
    };
    let named = |pair: &Pair, alg: Value| {
        let mut jwk = pair.jwk("a");
        jwk["alg"] = alg;
        algorithms(&jwk)
    };
    let (rsa, ec, ed) = (Pair::rsa(), Pair::ec(&ECDSA_P256_SHA256_FIXED_SIGNING), Pair::ed());
    assert_eq!(named(&rsa, Value::Null), Some(vec![Algorithm::RS256, Algorithm::PS256]));
    assert_eq!(named(&rsa, json!("RS256")), Some(vec![Algorithm::RS256]));
    assert_eq!(named(&rsa, json!("PS256")), Some(vec![Algorithm::PS256]));
    for alg in ["HS256", "RS384", "PS512", "ES256", "RSA-OAEP"] {
        assert_eq!(named(&rsa, json!(alg)), None, "{alg}");
    }
    assert_eq!(named(&ec, Value::Null), Some(vec![Algorithm::ES256]));
    assert_eq!(named(&ed, Value::Null), Some(vec![Algorithm::EdDSA]));
    for pair in [&ec, &ed] {
        for alg in ["HS256", "PS256", "RS256"] {
            assert_eq!(named(pair, json!(alg)), None, "{alg}");
        }
    }
    assert_eq!(algorithms(&json!({"kty": "oct", "k": "AAAA", "alg": "HS256", "kid": "a"})), None);
}

const PARTNER: &str = "https://id.partner.example";

/// An issuer besides the configured one.
fn listed(key: KeySource, companies: &[&str]) -> config::Issuer {
    config::Issuer {
        place: "jwt.issuers[0]".to_owned(),
        key,
        issuer: PARTNER.to_owned(),
        audience: "leads".to_owned(),
        claims: config(None).jwt.claims,
        companies: Some(companies.iter().map(|&slug| slug.to_owned()).collect()),
        default_roles: None,
        shared_subjects: false,
    }
}

fn of_partner(company: &str) -> Value {
    let mut claims = claims();
    (claims["iss"], claims["aud"], claims["company"]) = (PARTNER.into(), "leads".into(), company.into());
    claims
}

#[tokio::test]
async fn each_issuer_has_its_own_key_audience_and_companies() {
    let partner = Pair::ed();
    let mut config = config(Some(KeySource::Secret(Secret::new(SECRET))));
    config.jwt.companies = Some(vec!["acme".to_owned()]);
    config.jwt.issuers = vec![listed(partner.key_source(), &["globex", "initech"])];
    let auth = Authenticator::new(&config, clock()).unwrap();
    assert_eq!(auth.authenticate(&hs256(SECRET.as_bytes(), &claims())).await.unwrap().company_slug, "acme");
    for company in ["globex", "initech"] {
        let identity = auth.authenticate(&partner.token(None, &of_partner(company))).await.unwrap();
        assert_eq!(identity.company_slug, company);
    }
    // The name of one with the key of the other.
    assert_eq!(auth.authenticate(&partner.token(None, &claims())).await, Err(AuthError::AlgorithmNotAllowed));
    let forged = hs256(SECRET.as_bytes(), &of_partner("globex"));
    assert_eq!(auth.authenticate(&forged).await, Err(AuthError::AlgorithmNotAllowed));
    let forged = hs256(partner.public_pem.as_bytes(), &of_partner("globex"));
    assert_eq!(auth.authenticate(&forged).await, Err(AuthError::AlgorithmNotAllowed));
    let forged = Pair::ed().token(None, &of_partner("globex"));
    assert_eq!(auth.authenticate(&forged).await, Err(AuthError::BadSignature));
    // A company of the other, by no spelling; and one that nobody has.
    for company in ["acme", "Globex", "GLOBEX", "globex2", "globe", "nowhere"] {
        let refused = auth.authenticate(&partner.token(None, &of_partner(company))).await;
        assert_eq!(refused, Err(AuthError::CompanyNotAllowed), "{company}");
    }
    let others = hs256(SECRET.as_bytes(), &with("company", "globex"));
    assert_eq!(auth.authenticate(&others).await, Err(AuthError::CompanyNotAllowed));
    // The audience of the other; nobody's issuer; no issuer.
    let mut claims = of_partner("globex");
    claims["aud"] = "cosell".into();
    assert_eq!(auth.authenticate(&partner.token(None, &claims)).await, Err(AuthError::WrongAudience));
    for (iss, error) in [
        (json!("https://id.partner.example/"), AuthError::WrongIssuer),
        (json!(["cosell", PARTNER]), AuthError::WrongIssuer),
        (json!({"iss": PARTNER}), AuthError::WrongIssuer),
        (Value::Null, AuthError::ClaimMissing("iss".to_owned())),
    ] {
        claims["iss"] = iss;
        assert_eq!(auth.authenticate(&partner.token(None, &claims)).await, Err(error), "{claims}");
    }
    // Who says both says neither.
    let twice = format!(r#"{{"iss":"cosell",{}"#, &of_partner("acme").to_string()[1..]);
    let message =
        format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA"}"#), BASE64_URL_SAFE_NO_PAD.encode(twice));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &partner.signing, Algorithm::EdDSA).unwrap();
    assert_eq!(auth.authenticate(&format!("{message}.{signature}")).await, Err(UNREADABLE));
}

#[test]
fn the_keys_of_all_issuers_are_checked_at_once() {
    let unusable = |path: &str| KeySource::PublicKey { path: path.into(), pem: "none".to_owned() };
    let mut config = config(Some(unusable("a.pem")));
    config.jwt.issuers = vec![listed(unusable("b.pem"), &["globex"])];
    let faults = Authenticator::new(&config, clock()).unwrap_err().0;
    assert_eq!(faults.len(), 2);
    assert!(faults[0].starts_with("jwt.public_key: a.pem: holds no public key"), "{}", faults[0]);
    assert!(faults[1].starts_with("jwt.issuers[0].public_key: b.pem: holds no public key"), "{}", faults[1]);
    // One of the list is enough.
    config.jwt.key = None;
    config.jwt.issuers[0].key = Pair::ed().key_source();
    assert!(Authenticator::new(&config, clock()).is_ok());
}

#[tokio::test]
async fn a_token_that_says_nothing_of_roles_has_those_that_are_configured() {
    let mut config = config(Some(KeySource::Secret(Secret::new(SECRET))));
    config.jwt.default_roles = Some(vec![Role::Viewer]);
    let auth = Authenticator::new(&config, clock()).unwrap();
    for (claims, roles) in [
        (without("roles"), vec![Role::Viewer]),
        (with("roles", Value::Null), vec![Role::Viewer]),
        (with("roles", json!([])), vec![]),
        (with("roles", ""), vec![]),
        (with("roles", "offline_access"), vec![]),
        (claims(), vec![Role::Admin, Role::Sales]),
    ] {
        let identity = auth.authenticate(&hs256(SECRET.as_bytes(), &claims)).await.unwrap();
        assert_eq!(identity.roles, roles, "{claims}");
    }
    let refused = auth.authenticate(&hs256(SECRET.as_bytes(), &with("roles", json!([1])))).await;
    assert_eq!(refused, Err(AuthError::ClaimInvalid("roles".to_owned())));
    let refused = auth.authenticate(&hs256(SECRET.as_bytes(), &without("company"))).await;
    assert_eq!(refused, Err(AuthError::ClaimMissing("company".to_owned())));
}

#[test]
fn a_key_that_can_not_be_used_is_a_fault_of_the_configuration() {
    let fault = |pem: &str| {
        let key = KeySource::PublicKey { path: "key.pem".into(), pem: pem.to_owned() };
        Authenticator::new(&config(Some(key)), clock()).unwrap_err().to_string()
    };
    let usable = "jwt.public_key: key.pem: holds no public key that can be used";
    assert!(fault("").starts_with(usable));
    assert!(fault("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").starts_with(usable));
    assert!(fault(&Pair::ec(&ECDSA_P384_SHA384_FIXED_SIGNING).public_pem).starts_with(usable));
    assert!(fault(&Pair::rsa().private_pem).contains("holds a private key"));
    let none = Authenticator::new(&config(None), clock()).unwrap_err().to_string();
    assert!(none.contains("one of these key sources must be set"), "{none}");
}

#[tokio::test]
async fn keycloak_s_and_auth0_s_tokens_fit_by_pointers() {
    let secret = Some(KeySource::Secret(Secret::new(SECRET)));
    let mut keycloak = config(secret.clone());
    keycloak.jwt.claims.roles = "/realm_access/roles".to_owned();
    keycloak.jwt.claims.name = "/preferred_username".to_owned();
    let mut token = without("roles");
    token["realm_access"] = json!({"roles": ["default-roles-cosell", "uma_authorization", "sales"]});
    token["preferred_username"] = "ada".into();
    token["aud"] = json!(["account", "cosell"]);
    let auth = Authenticator::new(&keycloak, clock()).unwrap();
    let identity = auth.authenticate(&hs256(SECRET.as_bytes(), &token)).await.unwrap();
    assert_eq!((identity.roles, identity.name.as_deref()), (vec![Role::Sales], Some("ada")));
    let missing = auth.authenticate(&hs256(SECRET.as_bytes(), &claims())).await;
    assert_eq!(missing, Err(AuthError::ClaimMissing("/realm_access/roles".to_owned())));

    let mut auth0 = config(secret);
    auth0.jwt.claims.company = "/https:~1~1example.com~1company".to_owned();
    auth0.jwt.claims.roles = "/https:~1~1example.com~1roles".to_owned();
    let mut token = without("company");
    token["https://example.com/company"] = "acme".into();
    token["https://example.com/roles"] = "VIEWER, sales read:leads".into();
    let auth = Authenticator::new(&auth0, clock()).unwrap();
    let identity = auth.authenticate(&hs256(SECRET.as_bytes(), &token)).await.unwrap();
    assert_eq!((identity.company_slug.as_str(), identity.roles), ("acme", vec![Role::Sales, Role::Viewer]));
}

#[tokio::test]
async fn a_minted_token_is_accepted_wherever_the_claims_are() {
    let mut config = config(Some(KeySource::Secret(Secret::new(SECRET))));
    config.jwt.claims.roles = "/realm_access/roles".to_owned();
    config.jwt.claims.company = "/https:~1~1example.com~1company".to_owned();
    let now = clock().now();
    let token = NewToken {
        company: "acme",
        subject: "ada",
        roles: &[Role::Manager],
        name: Some("Ada"),
        email: None,
        issued_at: now,
        expires_at: now + TimeDelta::hours(1),
    };
    let minted = mint(&config.jwt, &token).unwrap();
    let identity = Authenticator::new(&config, clock()).unwrap().authenticate(&minted).await.unwrap();
    assert_eq!((identity.company_slug.as_str(), identity.subject.as_str()), ("acme", "ada"));
    assert_eq!((identity.roles, identity.email), (vec![Role::Manager], None));
    config.jwt.key = None;
    assert!(matches!(mint(&config.jwt, &token), Err(MintError::NoSecret)));
}

proptest! {
    #[test]
    fn no_text_is_a_token_and_no_header_makes_the_reader_panic(text in "\\PC{0,80}|[A-Za-z0-9_=-]{0,60}(\\.[A-Za-z0-9_=-]{0,60}){0,4}", json in any_json(WORDS)) {
        let config = config(Some(KeySource::Secret(Secret::new(SECRET))));
        let auth = Authenticator::new(&config, clock()).unwrap();
        let headed = format!("{}.{}.AAAA", BASE64_URL_SAFE_NO_PAD.encode(json.to_string()), BASE64_URL_SAFE_NO_PAD.encode(json.to_string()));
        for token in [&text, &headed] {
            prop_assert!(auth.authenticate(token).now_or_never().expect("one key needs no wait").is_err());
            let _ = strip_bearer(token);
        }
        // Signed or not, claims of any form are read or refused in words.
        if let Ok(identity) = auth.trusted[0].read(&json, auth.clock.now()) {
            prop_assert!(!identity.company_slug.trim().is_empty() && !identity.subject.trim().is_empty());
        }
    }
}

const WORDS: &[&str] = &[
    "alg", "HS256", "none", "kid", "crit", "typ", "exp", "nbf", "iss", "aud", "sub", "company", "roles", "cosell",
    "ADMIN",
];

#[test]
fn the_authorization_header_must_be_a_bearer_token() {
    let read = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        bearer(&headers).map(|token| token.map(str::to_owned))
    };
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&["Bearer a.b.c"]), Ok(Some("a.b.c".to_owned())));
    assert_eq!(read(&["bearer  a.b.c "]), Ok(Some("a.b.c".to_owned())));
    for bad in [&["Basic abc"][..], &["Bearer"], &["Bearer "], &["a.b.c"], &["Bearer a", "Bearer b"]] {
        assert!(matches!(read(bad), Err(AuthError::Malformed(_))), "{bad:?}");
    }
}

/// An issuer on loopback, whose answer and count of fetches the test holds.
#[derive(Clone, Default)]
struct Issuer {
    answer: Arc<Mutex<Option<String>>>,
    fetches: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(&self) -> url::Url {
        async fn answer(State(issuer): State<Issuer>) -> Result<String, StatusCode> {
            issuer.fetches.fetch_add(1, Ordering::SeqCst);
            issuer.answer.lock().unwrap().clone().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/jwks", get(answer)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url.parse().unwrap()
    }

    fn publish(&self, keys: &[Value]) {
        *self.answer.lock().unwrap() = Some(json!({ "keys": keys }).to_string());
    }

    fn say(&self, text: Option<String>) {
        *self.answer.lock().unwrap() = text;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_key_set_is_cached_rotated_on_an_unknown_key_and_served_stale() {
    let issuer = Issuer::default();
    let url = issuer.start().await;
    let clock = clock();
    // It starts while the issuer is down.
    let auth = Authenticator::new(&config(Some(KeySource::Jwks(url))), clock.clone()).unwrap();
    auth.warm_up().await;
    assert_eq!(issuer.fetches(), 1);
    let (first, second) = (Pair::ec(&ECDSA_P256_SHA256_FIXED_SIGNING), Pair::ed());
    let long = with("exp", NOW + 86_400);
    let (old, new) = (first.token(Some("one"), &long), second.token(Some("two"), &long));
    assert_eq!(auth.authenticate(&old).await, Err(AuthError::KeySetUnavailable));
    assert_eq!(issuer.fetches(), 1, "not again within a second");

    clock.advance(TimeDelta::seconds(1));
    issuer.publish(&[first.jwk("one")]);
    for _ in 0..3 {
        auth.authenticate(&old).await.unwrap();
    }
    assert_eq!(issuer.fetches(), 2, "cached");

    // An unknown key is looked for at a bounded rate.
    issuer.publish(&[first.jwk("one"), second.jwk("two")]);
    for _ in 0..3 {
        assert_eq!(auth.authenticate(&new).await, Err(AuthError::UnknownKey));
    }
    assert_eq!(issuer.fetches(), 2);
    clock.advance(TimeDelta::seconds(10));
    auth.authenticate(&new).await.unwrap();
    auth.authenticate(&old).await.unwrap();
    assert_eq!(issuer.fetches(), 3);

    // The issuer goes down, or mad: what is known goes on.
    for broken in [None, Some("no json".to_owned()), Some("{\"keys\": []}".to_owned()), Some("x".repeat(300_000))] {
        issuer.say(broken);
        clock.advance(TimeDelta::minutes(11));
        let before = issuer.fetches();
        auth.authenticate(&new).await.unwrap();
        while issuer.fetches() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        auth.authenticate(&new).await.unwrap();
    }

    // A key that was withdrawn ends with the next fetch, which is in the background.
    issuer.publish(&[second.jwk("two")]);
    clock.advance(TimeDelta::minutes(11));
    let mut tries = 0;
    while auth.authenticate(&old).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        tries += 1;
        assert!(tries < 200, "the withdrawn key is still accepted");
    }
    auth.authenticate(&new).await.unwrap();
}

#[tokio::test]
async fn a_key_of_a_set_is_bound_to_its_type_and_use() {
    let issuer = Issuer::default();
    let url = issuer.start().await;
    let (rsa, ec, ed) = (Pair::rsa(), Pair::ec(&ECDSA_P256_SHA256_FIXED_SIGNING), Pair::ed());
    let mut for_encryption = ed.jwk("enc");
    for_encryption["use"] = "enc".into();
    let mut mislabelled = rsa.jwk("es");
    mislabelled["alg"] = "ES256".into();
    let shared = json!({"kty": "oct", "kid": "oct", "alg": "HS256", "k": BASE64_URL_SAFE_NO_PAD.encode(SECRET)});
    let unknown = json!({"kty": "AKP", "kid": "ml", "alg": "ML-DSA-44", "pub": "AAAA"});
    issuer.publish(&[rsa.jwk("rsa"), ec.jwk("ec"), for_encryption, mislabelled, shared, unknown]);
    let auth = Authenticator::new(&config(Some(KeySource::Jwks(url))), clock()).unwrap();

    assert!(auth.authenticate(&rsa.token(Some("rsa"), &claims())).await.is_ok());
    assert!(auth.authenticate(&ec.token(Some("ec"), &claims())).await.is_ok());
    assert!(auth.authenticate(&rsa.token(None, &claims())).await.is_ok(), "the only RSA key needs no id");
    assert_eq!(auth.authenticate(&ed.token(Some("enc"), &claims())).await, Err(AuthError::UnknownKey));
    assert_eq!(auth.authenticate(&rsa.token(Some("es"), &claims())).await, Err(AuthError::UnknownKey));
    assert_eq!(auth.authenticate(&ed.token(Some("rsa"), &claims())).await, Err(AuthError::AlgorithmNotAllowed));
    assert_eq!(auth.authenticate(&ec.token(Some("rsa"), &claims())).await, Err(AuthError::AlgorithmNotAllowed));
    let confused = hs256(SECRET.as_bytes(), &claims());
    assert_eq!(auth.authenticate(&confused).await, Err(AuthError::AlgorithmNotAllowed));
}
