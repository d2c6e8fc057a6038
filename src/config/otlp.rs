//! The settings of the collector that spans are sent to.

use std::fmt;

use axum::http::{HeaderName, HeaderValue};
use url::Url;

use super::Secret;

/// Where spans are sent, by OTLP over HTTP.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// The collector's address, to which `/v1/traces` is added; holds no secret.
    pub endpoint: Url,
    /// What each call to it carries besides, such as a key.
    pub headers: Vec<(String, Secret)>,
    /// As what the spans name this server.
    pub service_name: String,
    /// How many of the traces that begin here are recorded, from 0 to 1.
    pub sample_ratio: f64,
}

impl Otlp {
    /// Where spans are posted to.
    pub fn traces_url(&self) -> String {
        let base = self.endpoint.as_str().trim_end_matches('/');
        if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") }
    }
}

impl fmt::Display for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

/// Reads the collector's address. The fault does not repeat the text, which may hold a secret.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    const WANTED: &str = "must be the collector's http or https URL, such as http://127.0.0.1:4318";
    let url = Url::parse(text).map_err(|_| WANTED.to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(WANTED.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(
            "must hold no user, password, query or fragment: what is secret belongs into otlp.headers".to_owned()
        );
    }
    Ok(url)
}

/// Reads `NAME=VALUE,NAME=VALUE`. The fault does not repeat the values.
pub(super) fn headers(text: &str) -> Result<Vec<(String, Secret)>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .enumerate()
        .map(|(n, pair)| {
            let wrong = || format!("number {} is no header, written as NAME=VALUE", n + 1);
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
            let value = value.trim();
            HeaderValue::from_str(value).map_err(|_| wrong())?;
            Ok((name.to_string(), Secret::new(value)))
        })
        .collect()
}

/// Reads a part of 1.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}
