//! Whose tokens are taken, and how they are verified.

use std::fmt;
use std::path::PathBuf;

use toml::{Table, Value};
use url::Url;

use super::reader::{Found, Reader, names};
use super::{MIN_SECRET_BYTES, Secret, door, is_loopback, shown};
use crate::domain::actor::Role;
use crate::domain::company::is_slug;

/// The key of the list of issuers, which only the file can hold.
pub(super) const ISSUERS: &str = "jwt.issuers";
/// What an entry of the list can say.
const KEYS: [&str; 9] = [
    "issuer",
    "audience",
    "secret",
    "public_key",
    "jwks_url",
    "claims",
    "companies",
    "default_roles",
    "shared_subjects",
];

/// How tokens are verified.
#[derive(Clone, Debug)]
pub struct Jwt {
    /// Where the key comes from. `serve` needs one, or [`Self::issuers`]; the other commands do not.
    pub key: Option<KeySource>,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must name.
    pub audience: String,
    /// Where the claims are.
    pub claims: Claims,
    /// The slugs of the companies that the issuer may speak for; nothing: every company.
    pub companies: Option<Vec<String>>,
    /// The roles of a token that has no claim for them; nothing: it is refused.
    pub default_roles: Option<Vec<Role>>,
    /// Issuers besides.
    pub issuers: Vec<Issuer>,
}

/// Whose tokens are taken.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// How faults name it, such as `cosell.toml: jwt.issuers[0]`.
    pub place: String,
    /// Where the key comes from.
    pub key: KeySource,
    /// What `iss` is.
    pub issuer: String,
    /// What `aud` must name.
    pub audience: String,
    /// Where the claims are.
    pub claims: Claims,
    /// The slugs of the companies that it may speak for; nothing: every company.
    pub companies: Option<Vec<String>>,
    /// The roles of a token that has no claim for them; nothing: it is refused.
    pub default_roles: Option<Vec<Role>>,
    /// Whether its subjects are those of other issuers that may speak for the same company.
    pub shared_subjects: bool,
}

impl Jwt {
    /// Everybody whose tokens are taken.
    pub fn trusted(&self) -> Vec<Issuer> {
        let own = self.key.clone().map(|key| Issuer {
            place: "jwt".to_owned(),
            key,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            claims: self.claims.clone(),
            companies: self.companies.clone(),
            default_roles: self.default_roles.clone(),
            // What is said of the others decides.
            shared_subjects: true,
        });
        own.into_iter().chain(self.issuers.iter().cloned()).collect()
    }
}

impl Issuer {
    /// How faults name its key source.
    pub fn key_place(&self) -> String {
        let key = match self.key {
            KeySource::Secret(_) => "secret",
            KeySource::PublicKey { .. } => "public_key",
            KeySource::Jwks(_) => "jwks_url",
        };
        format!("{}.{key}", self.place)
    }

    /// Whether a token of it may name this company; compared as it stands.
    pub fn may_speak_for(&self, company: &str) -> bool {
        self.companies.as_ref().is_none_or(|companies| companies.iter().any(|slug| slug == company))
    }

    /// For whom both may speak, where there is such a company.
    fn common(&self, other: &Self) -> Option<String> {
        match (&self.companies, &other.companies) {
            (None, None) => Some("every company".to_owned()),
            (Some(companies), _) => companies.iter().find(|slug| other.may_speak_for(slug)).cloned(),
            (None, Some(companies)) => companies.first().cloned(),
        }
    }
}

/// Where the key comes from that tokens are verified with.
#[derive(Clone)]
pub enum KeySource {
    /// A shared secret: HS256.
    Secret(Secret),
    /// A public key in PEM.
    PublicKey {
        /// The file it was read from.
        path: PathBuf,
        /// The file's content.
        pem: String,
    },
    /// The issuer's JSON Web Key Set.
    Jwks(Url),
}

impl KeySource {
    fn secret(text: &str) -> Result<Self, String> {
        if text.len() < MIN_SECRET_BYTES {
            return Err(format!("must have at least {MIN_SECRET_BYTES} bytes, and has {}", text.len()));
        }
        Ok(Self::Secret(Secret::new(text)))
    }

    fn public_key(text: &str) -> Result<Self, String> {
        let pem = std::fs::read_to_string(text).map_err(|fault| format!("{text} can't be read: {fault}"))?;
        Ok(Self::PublicKey { path: PathBuf::from(text), pem })
    }

    fn jwks(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|fault| format!("is not a URL: {fault}"))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self::Jwks(url)),
            _ => Err("must be an https URL".to_owned()),
        }
    }

    /// Whether keys can be exchanged on their way to us.
    pub(super) fn is_open_to_others(&self) -> bool {
        matches!(self, Self::Jwks(url) if url.scheme() == "http" && !is_loopback(url))
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(secret) => f.debug_tuple("Secret").field(secret).finish(),
            Self::PublicKey { path, .. } => f.debug_struct("PublicKey").field("path", path).finish_non_exhaustive(),
            // Its query may hold a key.
            Self::Jwks(url) => f.debug_tuple("Jwks").field(&shown(url)).finish(),
        }
    }
}

/// JSON pointers (RFC 6901) to what is read from a token's claims.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The company's slug.
    pub company: String,
    /// The roles: an array of strings, or one string parted by spaces or commas.
    pub roles: String,
    /// The member's name.
    pub name: String,
    /// The member's e-mail.
    pub email: String,
    /// What identifies the member in its company.
    pub subject: String,
}

/// Nothing where a fault was noted.
pub(super) fn read(reader: &mut Reader) -> Option<Jwt> {
    let before = reader.faults.len();
    let secret = reader.parsed("jwt.secret", KeySource::secret);
    let public_key = reader.parsed("jwt.public_key", KeySource::public_key);
    let jwks = reader.parsed("jwt.jwks_url", KeySource::jwks);
    let issuer = reader.optional("jwt.issuer");
    let audience = reader.optional("jwt.audience");

    let mut sources: Vec<_> = [secret, public_key, jwks].into_iter().flatten().collect();
    if sources.len() > 1 {
        let origins: Vec<_> = sources.iter().map(|source| source.origin.as_str()).collect();
        reader.faults.push(format!("{}: only one of these key sources may be set", origins.join(", ")));
    }
    let key = sources.pop().map(|source| source.value);
    if matches!(key, Some(KeySource::PublicKey { .. } | KeySource::Jwks(_))) {
        for (it, env) in [(&issuer, "COSELL_JWT_ISSUER"), (&audience, "COSELL_JWT_AUDIENCE")] {
            if it.is_none() && !reader.faults[before..].iter().any(|fault| fault.starts_with(env)) {
                reader.faults.push(format!("{env}: must be set with COSELL_JWT_PUBLIC_KEY or COSELL_JWKS_URL"));
            }
        }
    }
    let company = reader.parsed("jwt.claims.company", pointer);
    let roles = reader.parsed("jwt.claims.roles", pointer);
    let name = reader.parsed("jwt.claims.name", pointer);
    let email = reader.parsed("jwt.claims.email", pointer);
    let subject = reader.parsed("jwt.claims.subject", pointer);
    let companies = reader.parsed_list("jwt.companies", slugs);
    let default_roles = reader.parsed_list("jwt.default_roles", parse_roles);
    let or_own = |found: Option<Found<String>>| found.map_or_else(|| "cosell".to_owned(), |found| found.value);
    let mut jwt = Jwt {
        key,
        issuer: or_own(issuer),
        audience: or_own(audience),
        claims: Claims {
            company: company?.value,
            roles: roles?.value,
            name: name?.value,
            email: email?.value,
            subject: subject?.value,
        },
        companies: companies.map(|found| found.value),
        default_roles: default_roles.map(|found| found.value),
        issuers: Vec::new(),
    };
    for (place, table) in reader.tables(ISSUERS) {
        let entry = Entry { place, table, faults: &mut reader.faults };
        jwt.issuers.extend(entry.read(&jwt.claims, jwt.default_roles.as_deref()));
    }
    reader.faults.extend(ambiguities(&jwt.trusted()));
    Some(jwt)
}

/// Who can't be told from whom.
fn ambiguities(trusted: &[Issuer]) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, one) in trusted.iter().enumerate() {
        for earlier in &trusted[..at] {
            let place = &one.place;
            if one.issuer == earlier.issuer {
                faults.push(format!("{place}.issuer: {:?} is named already, by {}.issuer", one.issuer, earlier.place));
            } else if let Some(company) = one.common(earlier)
                && !(one.shared_subjects && earlier.shared_subjects)
            {
                faults.push(format!(
                    "{place}: {:?} may speak for {company}, and so may {:?}; the same subject from both would be one \
                     member. Give each `companies` of its own, or set `shared_subjects = true` if that is meant",
                    one.issuer, earlier.issuer
                ));
            }
        }
    }
    faults
}

/// An entry of the list.
struct Entry<'a> {
    place: String,
    table: Table,
    faults: &'a mut Vec<String>,
}

impl Entry<'_> {
    fn read(mut self, claims: &Claims, default_roles: Option<&[Role]>) -> Option<Issuer> {
        let before = self.faults.len();
        self.check_keys(&self.table.clone(), "", &KEYS);
        let issuer = self.needed("issuer");
        let audience = self.needed("audience");
        let sources = [
            self.text("secret", KeySource::secret),
            self.text("public_key", KeySource::public_key),
            self.text("jwks_url", KeySource::jwks),
        ];
        let mut sources: Vec<_> = sources.into_iter().flatten().collect();
        if sources.len() != 1 && self.faults.len() == before {
            self.fault("", "must have one key source: a secret, a public_key or a jwks_url");
        }
        let claims = self.claims(claims);
        let companies = self.list("companies", slugs);
        let own_roles = self.list("default_roles", parse_roles);
        let shared_subjects = match self.table.get("shared_subjects") {
            None => false,
            Some(Value::Boolean(shared)) => *shared,
            Some(_) => {
                self.fault(".shared_subjects", "must be true or false");
                false
            }
        };
        if self.faults.len() > before {
            return None;
        }
        Some(Issuer {
            key: sources.pop()?,
            issuer: issuer?,
            audience: audience?,
            claims,
            companies,
            default_roles: own_roles.or_else(|| default_roles.map(<[Role]>::to_vec)),
            shared_subjects,
            place: self.place,
        })
    }

    fn claims(&mut self, defaults: &Claims) -> Claims {
        let mut claims = defaults.clone();
        let table = match self.table.get("claims").cloned() {
            None => return claims,
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.fault(".claims", "must be a table");
                return claims;
            }
        };
        self.check_keys(&table, ".claims", &["company", "roles", "name", "email", "subject"]);
        for (key, place) in [
            ("company", &mut claims.company),
            ("roles", &mut claims.roles),
            ("name", &mut claims.name),
            ("email", &mut claims.email),
            ("subject", &mut claims.subject),
        ] {
            let Some(value) = table.get(key) else { continue };
            match value.as_str().ok_or_else(|| "must be a string".to_owned()).and_then(|text| pointer(text.trim())) {
                Ok(pointer) => *place = pointer,
                Err(fault) => self.fault(&format!(".claims.{key}"), &fault),
            }
        }
        claims
    }

    fn check_keys(&mut self, table: &Table, section: &str, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            self.fault(&format!("{section}.{key}"), "there is no such setting");
        }
    }

    fn fault(&mut self, key: &str, fault: &str) {
        self.faults.push(format!("{}{key}: {fault}", self.place));
    }

    fn needed(&mut self, key: &str) -> Option<String> {
        if !self.table.contains_key(key) {
            self.fault(&format!(".{key}"), "must be set");
        }
        self.text(key, |text| if text.is_empty() { Err("must not be blank".to_owned()) } else { Ok(text.to_owned()) })
    }

    fn text<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.table.get(key)?;
        let parsed = value.as_str().ok_or_else(|| "must be a string".to_owned()).and_then(|text| parse(text.trim()));
        self.noted(key, parsed)
    }

    fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let parsed = names(self.table.get(key)?).and_then(|text| parse(&text));
        self.noted(key, parsed)
    }

    fn noted<T>(&mut self, key: &str, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|fault| self.fault(&format!(".{key}"), &fault)).ok()
    }
}

fn pointer(text: &str) -> Result<String, String> {
    let escapes_are_sound = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if text.len() > 1 && text.starts_with('/') && escapes_are_sound {
        Ok(text.to_owned())
    } else {
        Err("must be a JSON pointer such as /company, with ~1 for a slash in a name and ~0 for a tilde".to_owned())
    }
}

fn slugs(text: &str) -> Result<Vec<String>, String> {
    let slug = |part: &str| {
        let wanted = "is no slug of a company: write lower-case letters, digits and hyphens";
        is_slug(part).then(|| part.to_owned()).ok_or_else(|| format!("{part:?} {wanted}"))
    };
    let slugs = door::parts(text).map(slug).collect::<Result<Vec<_>, _>>()?;
    if slugs.is_empty() { Err("names no company".to_owned()) } else { Ok(slugs) }
}

fn parse_roles(text: &str) -> Result<Vec<Role>, String> {
    let role = |part: &str| {
        let known = || Role::ALL.map(Role::as_str).join(", ");
        Role::parse(part).ok_or_else(|| format!("{part:?} is no role: there are {}", known()))
    };
    let mut roles = door::parts(text).map(role).collect::<Result<Vec<_>, _>>()?;
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { Err("names no role".to_owned()) } else { Ok(roles) }
}

/// The list as TOML writes it in one line, without what is secret in it.
pub(super) fn without_secrets(issuers: &Value) -> String {
    let plain = |entry: &Value| {
        let mut table = entry.as_table().cloned().unwrap_or_default();
        // What is no setting may be a secret with a slip in its name.
        table.retain(|key, _| KEYS.contains(&key));
        if let Some(secret) = table.get_mut("secret") {
            *secret = Value::String("***".to_owned());
        }
        if let Some(url) = table.get_mut("jwks_url") {
            let read = url.as_str().and_then(|url| Url::parse(url.trim()).ok());
            *url = Value::String(read.map_or_else(|| "***".to_owned(), |url| shown(&url)));
        }
        Value::Table(table)
    };
    Value::Array(issuers.as_array().into_iter().flatten().map(plain).collect()).to_string()
}
