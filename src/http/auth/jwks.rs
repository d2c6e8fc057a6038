//! The issuer's key set: fetched lazily, cached, refreshed behind the callers' backs, served stale while the issuer
//! is down.

use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::Jwk;
use reqwest::redirect::Policy;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::keys::VerifyingKey;
use super::{AuthError, FETCH_TIMEOUT};
use crate::config::{is_loopback, shown};
use crate::domain::clock::Clock;
use crate::http::observe;
use crate::telemetry::error_chain;

/// A set older than this is fetched anew, in the background.
const MAX_AGE: TimeDelta = TimeDelta::minutes(10);
/// The shortest time between two fetches, so that made-up key ids can't make us hammer the issuer.
const MIN_INTERVAL: TimeDelta = TimeDelta::seconds(10);
/// The same while there is no set at all: nobody can call then, so that it is worth trying more often.
const MIN_INTERVAL_WITHOUT_KEYS: TimeDelta = TimeDelta::seconds(1);
/// The largest document that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// The most keys that are kept.
const MAX_KEYS: usize = 100;

#[derive(Debug)]
pub(super) struct Jwks {
    url: Url,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    current: RwLock<Option<Arc<KeySet>>>,
    /// When the last fetch began; held during a fetch, so that there is one at a time.
    last_try: Mutex<Option<DateTime<Utc>>>,
}

#[derive(Debug)]
struct KeySet {
    keys: Vec<(Option<String>, Arc<VerifyingKey>)>,
    fetched_at: DateTime<Utc>,
}

impl KeySet {
    /// The key of that id; without an id, the only key of that algorithm.
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<VerifyingKey>> {
        if let Some(kid) = kid {
            let with_id: Vec<_> = self.keys.iter().filter(|(id, _)| id.as_deref() == Some(kid)).collect();
            // An id may be given to keys of different types; a wrong algorithm is told apart by the caller.
            let best = with_id.iter().find(|(_, key)| key.algorithms.contains(&algorithm)).or(with_id.first())?;
            return Some(best.1.clone());
        }
        let mut keys = self.keys.iter().filter(|(_, key)| key.algorithms.contains(&algorithm));
        let (_, only) = keys.next()?;
        keys.next().is_none().then(|| only.clone())
    }
}

impl Jwks {
    pub(super) fn new(url: Url, clock: Arc<dyn Clock>) -> reqwest::Result<Self> {
        let mut client = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(Policy::limited(2))
            .user_agent(concat!("cosell/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&url) {
            client = client.no_proxy();
        }
        Ok(Self { url, client: client.build()?, clock, current: RwLock::new(None), last_try: Mutex::new(None) })
    }

    pub(super) async fn warm_up(&self) {
        if self.refresh().await {
            tracing::info!(url = shown(&self.url), "the issuer's keys are loaded");
        } else {
            tracing::warn!(
                url = shown(&self.url),
                "the issuer's keys can't be fetched yet; they will be at a later token"
            );
        }
    }

    /// The key to verify a token with.
    pub(super) async fn key(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<VerifyingKey>, AuthError> {
        if let Some(set) = self.current() {
            if self.clock.now() - set.fetched_at >= MAX_AGE {
                let this = self.clone();
                tokio::spawn(async move { this.refresh().await });
            }
            if let Some(key) = set.find(kid, algorithm) {
                return Ok(key);
            }
        }
        self.refresh().await;
        let set = self.current().ok_or(AuthError::KeySetUnavailable)?;
        set.find(kid, algorithm).ok_or(AuthError::UnknownKey)
    }

    fn current(&self) -> Option<Arc<KeySet>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches the set unless that was just tried; says whether there is a set.
    async fn refresh(&self) -> bool {
        let mut last_try = self.last_try.lock().await;
        let now = self.clock.now();
        let known = self.current().is_some();
        let interval = if known { MIN_INTERVAL } else { MIN_INTERVAL_WITHOUT_KEYS };
        if last_try.is_some_and(|at| now - at < interval) {
            return known;
        }
        *last_try = Some(now);
        match self.fetch().await {
            Ok(keys) => {
                let set = Arc::new(KeySet { keys, fetched_at: now });
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(set);
                true
            }
            Err(cause) => {
                tracing::warn!(url = shown(&self.url), cause = %cause, stale = known, "the issuer's keys can't be fetched");
                known
            }
        }
    }

    async fn fetch(
        &self,
    ) -> Result<Vec<(Option<String>, Arc<VerifyingKey>)>, Box<dyn std::error::Error + Send + Sync>> {
        let request = self.client.get(self.url.clone()).headers(observe::outgoing());
        // What the URL holds may be secret.
        let response = request.send().await.and_then(reqwest::Response::error_for_status);
        let mut response = response.map_err(|error| error_chain(&error.without_url()))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(format!("the key set has more than {MAX_BYTES} bytes").into());
            }
            body.extend_from_slice(&chunk);
        }
        let document: Value = serde_json::from_slice(&body)?;
        let entries = document.get("keys").and_then(Value::as_array).ok_or("the document has no array `keys`")?;
        // A key of a kind that we can't read must not take the others with it.
        let keys: Vec<_> = entries
            .iter()
            .filter_map(|entry| serde_json::from_value::<Jwk>(entry.clone()).ok())
            .filter_map(|jwk| Some((jwk.common.key_id.clone(), Arc::new(VerifyingKey::from_jwk(&jwk)?))))
            .take(MAX_KEYS)
            .collect();
        if keys.is_empty() {
            return Err("the key set has no key that can be used (RS256, PS256, ES256 or EdDSA)".into());
        }
        Ok(keys)
    }
}
