//! Which media types a caller sends and takes, by the GraphQL-over-HTTP specification.

use axum::http::{HeaderMap, header};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json`: well-formed requests are answered 200.
    Json,
    /// `application/graphql-response+json`: the status tells how it went.
    GraphqlResponse,
}

impl Media {
    /// The `Content-Type`.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        }
    }
}

/// The media type that the caller likes best; nothing when it takes neither.
pub(super) fn accepted(headers: &HeaderMap) -> Option<Media> {
    let mut any = false;
    // (quality, explicitly named) of the best so far; the earlier wins among equals.
    let mut best: Option<(Media, u16, bool)> = None;
    for value in headers.get_all(header::ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        for range in value.split(',').map(str::trim).filter(|range| !range.is_empty()) {
            any = true;
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (media, named) = match name.as_str() {
                "application/graphql-response+json" => (Media::GraphqlResponse, true),
                "application/json" => (Media::Json, true),
                "application/*" | "*/*" => (Media::Json, false),
                _ => continue,
            };
            let mut quality = 1000;
            let mut utf8 = true;
            for parameter in parts {
                let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                match key.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = per_mille(value.trim()),
                    "charset" => utf8 = is_utf8(value),
                    _ => {}
                }
            }
            if quality > 0 && utf8 && best.is_none_or(|(_, q, n)| (quality, named) > (q, n)) {
                best = Some((media, quality, named));
            }
        }
    }
    if any { best.map(|(media, ..)| media) } else { Some(Media::Json) }
}

/// Whether the caller takes an event stream.
pub(super) fn accepts_events(headers: &HeaderMap) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|range| !range.is_empty())
        .peekable();
    ranges.peek().is_none()
        || ranges.any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let refused = parts
                .filter_map(|it| it.split_once('='))
                .any(|(key, value)| key.trim().eq_ignore_ascii_case("q") && per_mille(value.trim()) == 0);
            matches!(name.as_str(), "text/event-stream" | "text/*" | "*/*") && !refused
        })
}

/// A quality such as `0.8` in thousandths; what can't be read counts as 1.
fn per_mille(text: &str) -> u16 {
    let quality: f32 = text.parse().unwrap_or(1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1 before")]
    let thousandths = (quality.clamp(0.0, 1.0) * 1000.0) as u16;
    thousandths
}

/// Whether the body is JSON in UTF-8. On anything else a browser would send a form across origins without asking.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next().and_then(|value| value.to_str().ok()), values.next()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let json = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    json && parts.filter(|part| !part.is_empty()).all(|parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !key.trim().eq_ignore_ascii_case("charset") || is_utf8(value)
    })
}

fn is_utf8(charset: &str) -> bool {
    let charset = charset.trim().trim_matches('"');
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        accepted(&headers)
    }

    #[test]
    fn the_best_acceptable_type_wins() {
        use Media::{GraphqlResponse, Json};
        assert_eq!(accepted(&HeaderMap::new()), Some(Json));
        assert_eq!(accept(""), Some(Json));
        assert_eq!(accept("*/*"), Some(Json));
        assert_eq!(accept("application/*"), Some(Json));
        assert_eq!(accept("application/json; charset=utf-8"), Some(Json));
        assert_eq!(accept("application/graphql-response+json"), Some(GraphqlResponse));
        assert_eq!(accept("application/graphql-response+json, application/json;q=0.9"), Some(GraphqlResponse));
        assert_eq!(accept("application/json;q=0.9, application/graphql-response+json"), Some(GraphqlResponse));
        assert_eq!(accept("application/graphql-response+json;q=0.5, application/json"), Some(Json));
        assert_eq!(accept("application/graphql-response+json, application/json"), Some(GraphqlResponse));
        assert_eq!(accept("*/*, application/graphql-response+json"), Some(GraphqlResponse));
        assert_eq!(accept("text/html, */*;q=0.8"), Some(Json));
        assert_eq!(accept("text/html"), None);
        assert_eq!(accept("application/json;q=0"), None);
        assert_eq!(accept("application/json; charset=latin1"), None);
    }

    #[test]
    fn only_json_in_utf_8_is_read() {
        let is = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(is("application/json"));
        assert!(is("application/json; charset=utf-8"));
        assert!(is("Application/JSON;charset=\"UTF-8\""));
        assert!(!is("application/json; charset=utf-16"));
        assert!(!is("text/plain"));
        assert!(!is("multipart/form-data; boundary=x"));
        assert!(!is("application/x-www-form-urlencoded"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
