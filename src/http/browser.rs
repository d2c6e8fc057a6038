//! What browsers are told: whose pages may call, and what may be done with an answer.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use tower::layer::util::Identity;
use tower::util::{Either, option_layer};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::answer::REQUEST_ID;
use crate::config::{Http, Origins};

/// How long a browser may remember what it was allowed.
const REMEMBERED: Duration = Duration::from_hours(1);

/// Answers browsers that ask whether a page of another origin may call. Without such origins there is no answer, which
/// is a no.
pub(super) fn cors(http: &Http) -> Either<CorsLayer, Identity> {
    let allowed = match &http.allowed_origins {
        Origins::Own => return option_layer(None),
        Origins::These(origins) => AllowOrigin::list(origins.iter().cloned()),
        Origins::Any => AllowOrigin::any(),
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

/// Whether a websocket may be opened: browsers send the page's origin and ask for no leave. Programs send none.
pub(super) fn may_connect(headers: &HeaderMap, origins: &Origins) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    match origins {
        Origins::Any => true,
        Origins::These(origins) if origins.contains(origin) => true,
        _ => is_own(headers, origin),
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

    #[test]
    fn a_page_of_another_origin_opens_no_websocket_unless_it_is_listed() {
        let listed = Origins::These(vec![HeaderValue::from_static("https://portal.example")]);
        let may = |origin: Option<&'static str>, origins: &Origins| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("api.example:8080"));
            origin.map(|origin| headers.insert(header::ORIGIN, HeaderValue::from_static(origin)));
            may_connect(&headers, origins)
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
}
