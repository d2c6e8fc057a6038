//! What browsers are told: whose pages may call, and what may be done with an answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use tower::layer::util::Identity;
use tower::util::{Either, option_layer};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::answer::REQUEST_ID;
use crate::config::{Http, Origins};
use crate::domain::clock::Clock;

/// How long a browser may remember what it was allowed.
const REMEMBERED: Duration = Duration::from_hours(1);

/// Answers browsers that ask whether a page of another origin may call. Without such origins there is no answer, which
/// is a no.
pub(super) fn cors(http: &Http) -> Either<CorsLayer, Identity> {
    let allowed = match &http.allowed_origins {
        Origins::Own => return option_layer(None),
        Origins::Any => AllowOrigin::any(),
        these @ Origins::These(_) => {
            let these = these.clone();
            AllowOrigin::predicate(move |origin, _| these.allow(origin))
        }
    };
    let mut headers = vec![
        header::ACCEPT,
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        HeaderName::from_static("traceparent"),
        HeaderName::from_static("tracestate"),
        HeaderName::from_static("last-event-id"),
        HeaderName::from_static("x-graphql-event-stream-token"),
    ];
    headers.extend(http.allowed_headers.iter().cloned());
    // Tokens are sent in a header, which a page must know: there are no cookies to be had.
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        // The last two are of streams that carry several operations.
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(headers)
        .expose_headers([REQUEST_ID, header::RETRY_AFTER, HeaderName::from_static("traceresponse")])
        .max_age(REMEMBERED);
    option_layer(Some(layer))
}

/// The origin of a page that may not call, if a page calls: programs send none. A websocket is refused by it, for browsers
/// ask for no leave there.
pub(super) fn stranger<'h>(headers: &'h HeaderMap, origins: &Origins) -> Option<&'h HeaderValue> {
    headers.get(header::ORIGIN).filter(|origin| !origins.allow(origin) && !is_own(headers, origin))
}

/// How long an origin that was told of is not told of again.
const TOLD_FOR: TimeDelta = TimeDelta::hours(1);
/// How many origins are told of in that time: whoever calls can name any.
const MOST_TOLD: usize = 20;
/// How much of an origin is told, in characters.
const MOST_OF_ORIGIN: usize = 100;

/// Tells the operator of pages that were refused: their user sees a failure without a cause.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<HashMap<String, DateTime<Utc>>>);

impl Strangers {
    /// One line for each origin in a while, and a bounded number of lines for all.
    pub(super) fn tell(&self, origin: &HeaderValue, clock: &dyn Clock) {
        // What is no visible ASCII is written out.
        let origin: String = origin.as_bytes().escape_ascii().map(char::from).take(MOST_OF_ORIGIN).collect();
        if self.is_news(&origin, clock.now()) {
            tracing::warn!(
                origin,
                "pages of this origin are refused: if they are yours, add it to http.allowed_origins \
                 (COSELL_ALLOWED_ORIGINS)"
            );
        }
    }

    fn is_news(&self, origin: &str, now: DateTime<Utc>) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now - *at < TOLD_FOR);
        let news = told.len() < MOST_TOLD && !told.contains_key(origin);
        if news {
            told.insert(origin.to_owned(), now);
        }
        news
    }
}

/// Whether an origin is that of the server as the browser knows it.
pub(super) fn is_own(headers: &HeaderMap, origin: &HeaderValue) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

/// Puts into each answer what keeps browsers from reading it as something else, unless its handler has said more.
pub(super) async fn protect(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Shared;

    #[test]
    fn a_page_of_another_origin_opens_no_websocket_unless_it_is_listed() {
        let listed = Origins::These(vec![Shared::Origin(HeaderValue::from_static("https://portal.example"))]);
        let may = |origin: Option<&'static str>, origins: &Origins| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("api.example:8080"));
            origin.map(|origin| headers.insert(header::ORIGIN, HeaderValue::from_static(origin)));
            stranger(&headers, origins).is_none()
        };
        assert!(may(None, &Origins::Own));
        assert!(may(Some("https://API.example:8080"), &Origins::Own));
        for foreign in
            ["https://portal.example", "https://api.example", "null", "https://api.example:8080.evil.example"]
        {
            assert!(!may(Some(foreign), &Origins::Own), "{foreign}");
            assert!(may(Some(foreign), &Origins::Any), "{foreign}");
        }
        assert!(may(Some("https://portal.example"), &listed));
        assert!(!may(Some("https://portal.example.evil"), &listed));
    }

    #[test]
    fn each_refused_origin_is_told_of_once_in_a_while_and_a_flood_of_them_is_cut_off() {
        let strangers = Strangers::default();
        let at = |minutes| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        assert!(strangers.is_news("http://localhost:5173", at(0)));
        assert!(!strangers.is_news("http://localhost:5173", at(59)));
        assert!(strangers.is_news("http://localhost:5173", at(60)));
        let told = (0..10_000).filter(|n| strangers.is_news(&format!("http://{n}.example"), at(61))).count();
        assert_eq!(told, MOST_TOLD - 1);
        assert_eq!(strangers.0.lock().unwrap().len(), MOST_TOLD);
        assert!(strangers.is_news("http://localhost:5173", at(200)));
    }
}
