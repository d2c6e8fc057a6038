//! Who calls: verifies a bearer token and reads from it who its bearer is.
//!
//! `iss` says whose keys a token is held against, and is believed no further: what that issuer may say is checked after
//! the signature. The algorithm is one of the key's, never the token's own choice; `exp`, `iss`, `aud` and `sub` are
//! required; the time comes from the injected clock.

mod jwks;
mod keys;
mod mint;

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde_json::Value;

use self::jwks::Jwks;
use self::keys::VerifyingKey;
pub use self::mint::{MintError, NewToken, mint};
use crate::config::{Config, ConfigFaults, Issuer, KeySource};
use crate::domain::actor::Role;
use crate::domain::clock::Clock;
use crate::domain::text::Rules;
use crate::error::{ErrorCode, Fault};

/// How far the issuer's clock may be off.
const LEEWAY: TimeDelta = TimeDelta::seconds(5);
/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The longest text that is taken from a claim, in characters.
const MAX_CLAIM_CHARS: usize = 200;

/// What a token that holds says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The company's slug, as the token has it.
    pub company_slug: String,
    /// What identifies the member in its company; opaque.
    pub subject: String,
    /// The roles that are known here, each once; may be empty.
    pub roles: Vec<Role>,
    /// The member's name.
    pub name: Option<String>,
    /// The member's e-mail, unchecked.
    pub email: Option<String>,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
}

/// Why a token does not hold; `Display` is meant for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is none where one is needed.
    #[error("A bearer token is required.")]
    Missing,
    /// It is no signed JSON Web Token, or is not sent as one.
    #[error("The bearer token is malformed: {0}.")]
    Malformed(&'static str),
    /// Its `exp` has passed.
    #[error("The bearer token has expired.")]
    Expired,
    /// Its `nbf` has not come.
    #[error("The bearer token is not valid yet.")]
    NotYetValid,
    /// Another issuer's.
    #[error("The bearer token is from another issuer.")]
    WrongIssuer,
    /// Meant for another service.
    #[error("The bearer token is meant for another audience.")]
    WrongAudience,
    /// The signature is not of the key.
    #[error("The bearer token's signature does not hold.")]
    BadSignature,
    /// Signed with an algorithm that is not the key's.
    #[error("The bearer token is signed with an algorithm that is not accepted here.")]
    AlgorithmNotAllowed,
    /// Signed with a key that the issuer does not publish.
    #[error("The bearer token is signed with an unknown key.")]
    UnknownKey,
    /// A claim is not there.
    #[error("The bearer token has no claim {0}.")]
    ClaimMissing(String),
    /// A claim is there and can't be used.
    #[error("The bearer token's claim {0} can't be used.")]
    ClaimInvalid(String),
    /// Names a company that the issuer may not speak for, be it registered or not.
    #[error("The bearer token's issuer may not speak for the company that it names.")]
    CompanyNotAllowed,
    /// The issuer's keys could not be fetched, ever.
    #[error("Tokens can't be verified now, because the issuer's keys can't be fetched. Try again later.")]
    KeySetUnavailable,
}

impl AuthError {
    /// What the caller is told.
    pub fn fault(&self) -> Fault {
        let code = match self {
            Self::KeySetUnavailable => ErrorCode::Unavailable,
            _ => ErrorCode::Unauthenticated,
        };
        Fault::new(code, self.to_string())
    }
}

/// The token of the `Authorization` header; nothing when there is no such header.
///
/// # Errors
/// When the header is there and holds no bearer token.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthError::Malformed("there is more than one Authorization header"));
    }
    let value = value.to_str().map_err(|_| AuthError::Malformed("the Authorization header is not ASCII"))?;
    strip_bearer(value).map(Some)
}

/// The token in `Bearer TOKEN`.
pub(crate) fn strip_bearer(value: &str) -> Result<&str, AuthError> {
    match value.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(token.trim()),
        _ => Err(AuthError::Malformed("the Authorization header must be `Bearer TOKEN`")),
    }
}

/// The token of a text that is one, with or without its `Bearer`.
pub(crate) fn bare_or_bearer(value: &str) -> &str {
    strip_bearer(value).unwrap_or(value.trim())
}

/// Verifies tokens with the keys of the configured issuers.
#[derive(Debug)]
pub struct Authenticator {
    /// No two of the same name.
    trusted: Vec<Trusted>,
    clock: Arc<dyn Clock>,
}

/// An issuer with its keys.
#[derive(Debug)]
struct Trusted {
    keys: Keys,
    issuer: Issuer,
}

#[derive(Debug)]
enum Keys {
    One(Arc<VerifyingKey>),
    Set(Arc<Jwks>),
}

impl Authenticator {
    /// Takes the keys from the configuration and checks that they can be used. A key set is fetched at the first token,
    /// or by [`Self::warm_up`].
    ///
    /// # Errors
    /// When no key source is set, or a key can't be used.
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, ConfigFaults> {
        let (mut trusted, mut faults) = (Vec::new(), Vec::new());
        for issuer in config.jwt.trusted() {
            match Keys::of(&issuer.key, &clock) {
                Ok(keys) => trusted.push(Trusted { keys, issuer }),
                Err(fault) => faults.push(format!("{}: {fault}", issuer.key_place())),
            }
        }
        if trusted.is_empty() && faults.is_empty() {
            let none = "COSELL_JWT_SECRET, COSELL_JWT_PUBLIC_KEY or COSELL_JWKS_URL: one of these key sources must be \
                        set, or an issuer be listed in the file as [[jwt.issuers]]";
            faults.push(none.to_owned());
        }
        if let Some(KeySource::Secret(_)) = &config.jwt.key {
            // A wrong set of crypto features shows at the first signature: let that be now.
            let token = NewToken {
                company: "check",
                subject: "check",
                roles: &[],
                name: None,
                email: None,
                issued_at: clock.now(),
                expires_at: clock.now(),
            };
            faults.extend(mint(&config.jwt, &token).err().map(|fault| format!("jwt.secret: {fault}")));
        }
        if faults.is_empty() { Ok(Self { trusted, clock }) } else { Err(ConfigFaults(faults)) }
    }

    /// Fetches the key sets, where there are any, and logs how it went; a server starts also while an issuer is down.
    pub async fn warm_up(&self) {
        let sets = self.trusted.iter().filter_map(|trusted| match &trusted.keys {
            Keys::Set(jwks) => Some(jwks.warm_up()),
            Keys::One(_) => None,
        });
        join_all(sets).await;
    }

    /// Verifies a token, without its `Bearer`.
    ///
    /// # Errors
    /// Why the token does not hold.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, AuthError> {
        let header = Header::parse(token)?;
        let trusted = self.named_by(token)?;
        let key = match &trusted.keys {
            Keys::One(key) => key.clone(),
            Keys::Set(jwks) => {
                let algorithm = header.algorithm(&keys::PUBLIC_KEY_ALGORITHMS)?;
                jwks.key(header.kid.as_deref(), algorithm).await?
            }
        };
        let algorithm = header.algorithm(key.algorithms)?;
        let mut validation = Validation::new(algorithm);
        // The claims are checked below: against the injected clock, and with their own errors.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Value>(token, &key.decoding, &validation)
            .map_err(|fault| match fault.kind() {
                ErrorKind::InvalidSignature => AuthError::BadSignature,
                ErrorKind::InvalidAlgorithm => AuthError::AlgorithmNotAllowed,
                _ => UNREADABLE,
            })?
            .claims;
        trusted.read(&claims, self.clock.now())
    }

    /// The issuer that a token claims to be of, which is to be proved by its signature.
    fn named_by(&self, token: &str) -> Result<&Trusted, AuthError> {
        let payload = token.split('.').nth(1).and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload).ok());
        let claims: Value = payload.and_then(|json| serde_json::from_slice(&json).ok()).ok_or(UNREADABLE)?;
        match claims.get("iss") {
            None | Some(Value::Null) => Err(AuthError::ClaimMissing("iss".to_owned())),
            Some(issuer) => {
                self.trusted.iter().find(|it| *issuer == it.issuer.issuer.as_str()).ok_or(AuthError::WrongIssuer)
            }
        }
    }
}

impl Keys {
    fn of(source: &KeySource, clock: &Arc<dyn Clock>) -> Result<Self, String> {
        Ok(match source {
            KeySource::Secret(secret) => Self::One(Arc::new(VerifyingKey::from_secret(secret.expose()))),
            KeySource::PublicKey { path, pem } => {
                let key = VerifyingKey::from_pem(pem).map_err(|fault| format!("{}: {fault}", path.display()))?;
                Self::One(Arc::new(key))
            }
            KeySource::Jwks(url) => {
                let jwks = Jwks::new(url.clone(), clock.clone());
                Self::Set(Arc::new(jwks.map_err(|fault| format!("no client can be made: {fault}"))?))
            }
        })
    }
}

impl Trusted {
    /// What verified claims say, as far as this issuer may say it.
    fn read(&self, claims: &Value, now: DateTime<Utc>) -> Result<Identity, AuthError> {
        let Issuer { issuer, audience, claims: places, .. } = &self.issuer;
        let expires_at = time(claims, "exp")?.ok_or_else(|| AuthError::ClaimMissing("exp".to_owned()))?;
        // Again, of what was verified.
        match claims.get("iss") {
            None | Some(Value::Null) => return Err(AuthError::ClaimMissing("iss".to_owned())),
            Some(Value::String(named)) if named == issuer => {}
            Some(_) => return Err(AuthError::WrongIssuer),
        }
        match claims.get("aud") {
            None | Some(Value::Null) => return Err(AuthError::ClaimMissing("aud".to_owned())),
            Some(Value::String(named)) if named == audience => {}
            Some(Value::Array(many)) if many.iter().any(|one| one.as_str() == Some(audience)) => {}
            Some(_) => return Err(AuthError::WrongAudience),
        }
        if now >= expires_at.checked_add_signed(LEEWAY).unwrap_or(expires_at) {
            return Err(AuthError::Expired);
        }
        if time(claims, "nbf")?.is_some_and(|start| now + LEEWAY < start) {
            return Err(AuthError::NotYetValid);
        }
        required(claims, "/sub")?;
        let company_slug = required(claims, &places.company)?;
        if !self.issuer.may_speak_for(&company_slug) {
            return Err(AuthError::CompanyNotAllowed);
        }
        let roles = match (roles(claims, &places.roles), &self.issuer.default_roles) {
            (Err(AuthError::ClaimMissing(_)), Some(roles)) => roles.clone(),
            (roles, _) => roles?,
        };
        Ok(Identity {
            company_slug,
            subject: required(claims, &places.subject)?,
            roles,
            name: optional(claims, &places.name),
            // Whether it is one is checked where it is recorded, which tells the operator.
            email: claims.pointer(&places.email).and_then(Value::as_str).map(str::to_owned),
            expires_at,
        })
    }
}

const UNREADABLE: AuthError = AuthError::Malformed("its parts can't be read");

/// What is read of a token's header before its signature is checked.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl Header {
    fn parse(token: &str) -> Result<Self, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Malformed("it is too long"));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(AuthError::Malformed("it does not have three parts"));
        };
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).ok();
        let header: Option<Self> = header.and_then(|json| serde_json::from_slice(&json).ok());
        let header = header.ok_or(AuthError::Malformed("its header can't be read"))?;
        if header.crit.is_some() {
            // RFC 7515 section 4.1.11: what is critical and not understood makes it invalid.
            return Err(AuthError::Malformed("its header has critical parameters that are not understood"));
        }
        Ok(header)
    }

    fn algorithm(&self, allowed: &[Algorithm]) -> Result<Algorithm, AuthError> {
        let named: Option<Algorithm> = self.alg.parse().ok();
        named.filter(|algorithm| allowed.contains(algorithm)).ok_or(AuthError::AlgorithmNotAllowed)
    }
}

/// A claim that is seconds since 1970, perhaps with a fraction.
fn time(claims: &Value, name: &str) -> Result<Option<DateTime<Utc>>, AuthError> {
    let seconds = match claims.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64().or_else(|| {
            let whole = number.as_f64().map(f64::floor).filter(|it| (0.0..1e15).contains(it))?;
            #[allow(clippy::cast_possible_truncation, reason = "whole and below 10^15")]
            Some(whole as i64)
        }),
        Some(_) => None,
    };
    let time = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.map(Some).ok_or_else(|| AuthError::ClaimInvalid(name.to_owned()))
}

/// How a claim is named to the caller: by its name, or by its pointer when it is not at the top.
fn claim_name(pointer: &str) -> String {
    let name = pointer.strip_prefix('/').unwrap_or(pointer);
    if name.contains('/') { pointer.to_owned() } else { name.replace("~1", "/").replace("~0", "~") }
}

/// A name as the issuer has it. White space around it is part of it there, so that ` ann` may be somebody else than `ann`:
/// it is not cut off.
fn required(claims: &Value, pointer: &str) -> Result<String, AuthError> {
    match claims.pointer(pointer) {
        None | Some(Value::Null) => Err(AuthError::ClaimMissing(claim_name(pointer))),
        Some(Value::String(text)) if text.trim().is_empty() => Err(AuthError::ClaimMissing(claim_name(pointer))),
        Some(Value::String(text)) if is_plain(text) && text.trim() == text => Ok(text.clone()),
        Some(_) => Err(AuthError::ClaimInvalid(claim_name(pointer))),
    }
}

/// A name that can't be used is as good as none: it only decorates.
fn optional(claims: &Value, pointer: &str) -> Option<String> {
    Rules::line(MAX_CLAIM_CHARS).clean(claims.pointer(pointer)?.as_str()?).ok().flatten()
}

fn is_plain(text: &str) -> bool {
    text.chars().count() <= MAX_CLAIM_CHARS && !text.chars().any(char::is_control)
}

/// The known roles of the claim; others are another service's, as in Keycloak's `/realm_access/roles`.
fn roles(claims: &Value, pointer: &str) -> Result<Vec<Role>, AuthError> {
    let names: Vec<&str> = match claims.pointer(pointer) {
        None | Some(Value::Null) => return Err(AuthError::ClaimMissing(claim_name(pointer))),
        Some(Value::String(text)) => text.split([' ', ',']).collect(),
        Some(Value::Array(names)) if names.iter().all(Value::is_string) => {
            names.iter().filter_map(Value::as_str).collect()
        }
        Some(_) => return Err(AuthError::ClaimInvalid(claim_name(pointer))),
    };
    Ok(Role::ALL.into_iter().filter(|role| names.iter().any(|name| Role::parse(name.trim()) == Some(*role))).collect())
}

/// How long one fetch of a key set may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
pub(crate) mod tests;
