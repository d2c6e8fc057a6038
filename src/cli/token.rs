//! `cosell token`.

use std::time::Duration;

use chrono::TimeDelta;
use clap::{Args, builder::PossibleValuesParser, builder::TypedValueParser as _};

use super::{Failure, Outcome, company::slug, say, system_clock};
use crate::{
    config::{self, Config, KeySource},
    domain::{actor::Role, email, text},
    http::auth::{NewToken, mint},
};

/// Make a bearer token, for development and for machines
///
/// It is signed with COSELL_JWT_SECRET, names the configured issuer and audience, and is printed alone. Whether the
/// company is registered shows when the token is used.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  \
    export COSELL_JWT_SECRET=$(openssl rand -hex 32)\n  \
    cosell token --company acme --member ann --role SALES,ADMIN --name \"Ann Lee\" --expires 8h")]
pub(super) struct Token {
    /// The company, by its slug
    #[arg(long, value_name = "SLUG", value_parser = slug)]
    company: String,
    /// What identifies the member in its company, such as a user name
    #[arg(long, value_name = "ID", value_parser = line)]
    member: String,
    /// What the member may do; several are parted by commas
    #[arg(long = "role", value_name = "ROLE", required = true, value_delimiter = ',', ignore_case = true,
          value_parser = roles())]
    roles: Vec<Role>,
    /// The member's name; the ID when left out
    #[arg(long, value_parser = line)]
    name: Option<String>,
    /// The member's e-mail address
    #[arg(long, value_name = "ADDR", value_parser = address)]
    email: Option<String>,
    /// How long the token holds, such as 30m, 8h or 7d
    #[arg(long, value_name = "TIME", default_value = "8h", value_parser = time)]
    expires: Duration,
}

pub(super) fn run(token: &Token, config: &Config) -> Outcome {
    if config.jwt.key.is_none() {
        return Err(Failure::usage(
            "COSELL_JWT_SECRET is not set: it is the secret, of at least 32 bytes, that tokens are signed with.",
        ));
    }
    if !matches!(config.jwt.key, Some(KeySource::Secret(_))) {
        return Err(Failure::usage(
            "Tokens are made only with COSELL_JWT_SECRET, and a public key is configured: ask its issuer for one.",
        ));
    }
    let mut roles = token.roles.clone();
    roles.sort_unstable();
    roles.dedup();
    let now = system_clock().now();
    let expires_at = TimeDelta::from_std(token.expires).ok().and_then(|length| now.checked_add_signed(length));
    let new = NewToken {
        company: &token.company,
        subject: &token.member,
        roles: &roles,
        name: token.name.as_deref(),
        email: token.email.as_deref(),
        issued_at: now,
        expires_at: expires_at.ok_or_else(|| Failure::usage("--expires is too long."))?,
    };
    say(mint(&config.jwt, &new).map_err(|error| Failure::new(format!("No token can be made: {error}.")))?)
}

fn roles() -> impl clap::builder::TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str))
        .try_map(|name| Role::parse(&name).ok_or_else(|| format!("{name} is no role")))
}

fn line(typed: &str) -> Result<String, String> {
    text::LINE.clean(typed)?.ok_or_else(|| "must not be blank".to_owned())
}

fn address(typed: &str) -> Result<String, String> {
    email::clean(typed)?.ok_or_else(|| "must not be blank".to_owned())
}

fn time(typed: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_hours(24 * 3650);
    let time = config::parse_duration(typed).ok_or("must be a time such as 30m, 8h or 7d")?;
    if (Duration::from_secs(1)..=LONGEST).contains(&time) {
        return Ok(time);
    }
    Err("must be from 1s to 3650d".to_owned())
}
