//! Makes tokens with the shared secret, for development and for machines without an identity provider.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

use crate::config::{Jwt, KeySource};
use crate::domain::actor::Role;

/// What a new token says.
#[derive(Clone, Copy, Debug)]
pub struct NewToken<'a> {
    /// The company's slug.
    pub company: &'a str,
    /// What identifies the member in its company.
    pub subject: &'a str,
    /// What the member may do.
    pub roles: &'a [Role],
    /// The member's name.
    pub name: Option<&'a str>,
    /// The member's e-mail.
    pub email: Option<&'a str>,
    /// Its `iat`, cut to seconds.
    pub issued_at: DateTime<Utc>,
    /// Its `exp`, cut to seconds.
    pub expires_at: DateTime<Utc>,
}

/// Why no token can be made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Only the holder of a private key can sign for a public one.
    #[error("tokens can be made only with COSELL_JWT_SECRET; ask the issuer of the configured public key for one")]
    NoSecret,
    /// The signature failed.
    #[error("the token can't be signed: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

/// Makes a token that this configuration accepts, with the claims where it looks for them.
///
/// # Errors
/// When the key source is not a secret.
pub fn mint(jwt: &Jwt, token: &NewToken<'_>) -> Result<String, MintError> {
    let Some(KeySource::Secret(secret)) = &jwt.key else { return Err(MintError::NoSecret) };
    let mut claims = json!({
        "iss": jwt.issuer,
        "aud": jwt.audience,
        "sub": token.subject,
        "iat": token.issued_at.timestamp(),
        "exp": token.expires_at.timestamp(),
    });
    let roles: Vec<_> = token.roles.iter().map(|role| role.as_str()).collect();
    set(&mut claims, &jwt.claims.subject, token.subject.into());
    set(&mut claims, &jwt.claims.company, token.company.into());
    set(&mut claims, &jwt.claims.roles, roles.into());
    if let Some(name) = token.name {
        set(&mut claims, &jwt.claims.name, name.into());
    }
    if let Some(email) = token.email {
        set(&mut claims, &jwt.claims.email, email.into());
    }
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
}

/// Puts a value where the pointer points, and makes the objects on the way.
fn set(root: &mut Value, pointer: &str, value: Value) {
    let mut place = root;
    for part in pointer.split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[name];
    }
    *place = value;
}
