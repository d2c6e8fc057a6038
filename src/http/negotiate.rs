//! Which media types a caller sends and takes, by the GraphQL-over-HTTP specification.

use std::cmp::Reverse;

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
///
/// By RFC 9110 the most specific range that matches a type says how much it is liked: `application/json;q=0, */*` is no
/// wish for `application/json`. Among equals the one that is named wins, then the one that is named first; among those
/// that only a wildcard stands for, `application/json`.
pub(super) fn accepted(headers: &HeaderMap) -> Option<Media> {
    let mut ranges = 0;
    // Of each type, the most specific range so far: (how specific, quality, its place).
    let mut json: Option<(u8, u16, usize)> = None;
    let mut graphql: Option<(u8, u16, usize)> = None;
    let texts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in texts.flat_map(|text| text.split(',')).map(str::trim).filter(|range| !range.is_empty()) {
        ranges += 1;
        let mut parts = range.split(';').map(str::trim);
        let (of_json, of_graphql, specific) = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/graphql-response+json" => (false, true, 2),
            "application/json" => (true, false, 2),
            "application/*" => (true, true, 1),
            "*/*" => (true, true, 0),
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
        // Another charset is another type than those that there are.
        if !utf8 {
            continue;
        }
        for (matches, best) in [(of_json, &mut json), (of_graphql, &mut graphql)] {
            if matches && best.is_none_or(|(so_far, ..)| specific > so_far) {
                *best = Some((specific, quality, ranges));
            }
        }
    }
    if ranges == 0 {
        return Some(Media::Json);
    }
    [(json, Media::Json), (graphql, Media::GraphqlResponse)]
        .into_iter()
        .filter_map(|(best, media)| best.filter(|(_, quality, _)| *quality > 0).map(|best| (best, media)))
        .min_by_key(|((specific, quality, place), _)| (Reverse(*quality), Reverse(*specific == 2), *place))
        .map(|(_, media)| media)
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
    use axum::http::HeaderValue;
    use proptest::prelude::*;

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
        assert_eq!(accept("application/json;q=0, */*"), Some(GraphqlResponse));
        assert_eq!(accept("*/*, application/json;q=0.1"), Some(GraphqlResponse));
        assert_eq!(accept("application/json;q=0.1, application/*;q=0.5"), Some(GraphqlResponse));
        assert_eq!(accept("application/graphql-response+json;q=0.5, */*"), Some(Json));
        assert_eq!(accept("application/graphql-response+json;q=0, */*;q=0.1"), Some(Json));
        assert_eq!(accept("application/json, application/graphql-response+json"), Some(Json));
        assert_eq!(accept("application/*, */*;q=0.1"), Some(Json));
        assert_eq!(accept("application/json; charset=latin1, */*;q=0.1"), Some(Json));
        assert_eq!(accept("text/html"), None);
        assert_eq!(accept("*/*;q=0"), None);
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

    proptest! {
        #[test]
        fn no_header_makes_a_reader_panic(values in prop::collection::vec(
            prop_oneof![prop::collection::vec(any::<u8>(), 0..60), "(application/(json|\\*|graphql-response\\+json)|\\*/\\*|text/event-stream)?(;[a-z]{0,7}=?[\"0-9a-z.-]{0,9}){0,3},?"
                .prop_map(String::into_bytes)], 0..4)) {
            let mut headers = HeaderMap::new();
            for value in values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
                headers.append(header::ACCEPT, value.clone());
                headers.append(header::CONTENT_TYPE, value);
            }
            accepted(&headers);
            accepts_events(&headers);
            // More than one label is none.
            prop_assert!(!is_json(&headers) || headers.get_all(header::CONTENT_TYPE).iter().count() == 1);
        }

        #[test]
        fn a_label_that_does_not_begin_with_json_s_name_is_not_json(label in "[a-z]{1,11}/[a-z+.]{1,9}(;[ -~]{0,20})?") {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, label.parse().unwrap());
            prop_assert_eq!(is_json(&headers) && !label.starts_with("application/json"), false);
        }
    }
}
