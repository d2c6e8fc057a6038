//! Bearer tokens of the people who ask.

use cosell::domain::actor::Role;
use serde_json::json;

/// What both servers verify tokens with.
pub(crate) const SECRET: &str = "a secret of the benchmark, long enough for HS256";
/// The issuer of the tokens.
pub(crate) const ISSUER: &str = "https://issuer.example";
/// Whom the tokens are meant for.
pub(crate) const AUDIENCE: &str = "cosell";

/// The `sub` of the company's member.
pub(crate) fn subject(company: &str) -> String {
    format!("{company}-member")
}

/// Its name.
pub(crate) fn name(company: &str) -> String {
    format!("Someone of {company}")
}

/// A token of the company's member.
pub(crate) fn of(company: &str) -> String {
    signed(company, &subject(company), &name(company), &[Role::Admin, Role::Sales])
}

/// A token of anybody.
pub(crate) fn signed(company: &str, subject: &str, name: &str, roles: &[Role]) -> String {
    let claims = json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "company": company,
        "roles": roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
        "name": name,
        "iat": 1_790_000_000,
        "exp": 4_000_000_000_u64,
    });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a signature")
}
