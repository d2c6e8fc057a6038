//! Which media types a caller sends and takes, by the GraphQL-over-HTTP specification.

use std::cmp::Reverse;

use axum::http::{HeaderMap, header};

const JSON: &str = "application/json";
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

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

/// The type of event streams.
pub(super) const EVENTS: &str = "text/event-stream";

/// One range of `Accept`.
struct Range<'a> {
    name: &'a str,
    quality: u16,
    /// Another charset is another type than those that there are.
    utf8: bool,
}

fn ranges(headers: &HeaderMap) -> impl Iterator<Item = Range<'_>> {
    let texts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).filter(|range| !range.is_empty()).map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let mut range = Range { name: parts.next().unwrap_or_default(), quality: 1000, utf8: true };
        for parameter in parts {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => range.quality = per_mille(value.trim()),
                "charset" => range.utf8 = is_utf8(value),
                _ => {}
            }
        }
        range
    })
}

/// How much a type is liked, by the most specific range that matches it (RFC 9110): `application/json;q=0, */*` is no
/// wish for `application/json`.
#[derive(Clone, Copy)]
struct Liking {
    quality: u16,
    /// 2 for the type by its name, 1 for all of its family, 0 for all there are.
    specific: u8,
    place: usize,
}

impl Liking {
    fn of(headers: &HeaderMap, media: &str) -> Option<Self> {
        let family = media.split('/').next().unwrap_or_default();
        let mut best: Option<Self> = None;
        for (place, Range { name, quality, utf8 }) in ranges(headers).enumerate() {
            let specific = match name.split_once('/') {
                _ if name.eq_ignore_ascii_case(media) => 2,
                Some((of, "*")) if of.eq_ignore_ascii_case(family) => 1,
                Some(("*", "*")) => 0,
                _ => continue,
            };
            if utf8 && best.is_none_or(|best| specific > best.specific) {
                best = Some(Self { quality, specific, place });
            }
        }
        best.filter(|best| best.quality > 0)
    }

    fn is_named(self) -> bool {
        self.specific == 2
    }

    /// Among equals the one that is named comes first, then the one that is named first.
    fn rank(self) -> impl Ord {
        (Reverse(self.quality), !self.is_named(), self.place)
    }
}

/// The media type that the caller likes best; nothing when it takes neither. Among those that only a wildcard stands for
/// it is `application/json`.
pub(super) fn accepted(headers: &HeaderMap) -> Option<Media> {
    if ranges(headers).next().is_none() {
        return Some(Media::Json);
    }
    [(JSON, Media::Json), (GRAPHQL_RESPONSE, Media::GraphqlResponse)]
        .into_iter()
        .filter_map(|(name, media)| Some((Liking::of(headers, name)?, media)))
        .min_by_key(|(liking, _)| liking.rank())
        .map(|(_, media)| media)
}

/// Whether the caller takes an answer of that type.
pub(super) fn takes(headers: &HeaderMap, media: &str) -> bool {
    ranges(headers).next().is_none() || Liking::of(headers, media).is_some()
}

/// Whether the caller asks for an event stream: it names the type, which no wildcard does, and likes JSON no better. The
/// order tells between equals: clients such as urql name event streams with each query, behind JSON.
pub(super) fn prefers_events(headers: &HeaderMap) -> bool {
    let Some(events) = Liking::of(headers, EVENTS).filter(|it| it.is_named()) else { return false };
    [JSON, GRAPHQL_RESPONSE].iter().filter_map(|name| Liking::of(headers, name)).all(|it| events.rank() < it.rank())
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
    let json = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(JSON));
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
    fn an_event_stream_is_for_who_names_it_and_likes_json_no_better() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, value.parse().unwrap());
            prefers_events(&headers)
        };
        for wish in [
            "text/event-stream",
            "Text/Event-Stream; charset=utf-8",
            "text/event-stream, multipart/mixed",
            "text/event-stream, */*",
            "*/*, text/event-stream",
            "text/event-stream;q=0.4, */*;q=0.4",
            "text/event-stream, application/json",
            "text/event-stream, application/graphql-response+json;q=0.9, application/json;q=0.9",
            "application/json;q=0.9, text/event-stream",
            "text/event-stream;q=0.1, application/json;q=0, application/graphql-response+json;q=0",
        ] {
            assert!(of(wish), "{wish}");
        }
        for other in [
            "",
            "*/*",
            "text/*",
            "text/*, application/json;q=0.1",
            "text/event-stream;q=0",
            "text/event-stream; charset=latin1",
            "text/event-stream;q=0.9, */*",
            "application/json, text/event-stream;q=0.9",
            "application/json, text/event-stream",
            "text/event-stream;q=0.5, application/graphql-response+json;q=0.6",
            // That of urql's queries.
            "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed",
        ] {
            assert!(!of(other), "{other}");
        }
        assert!(!prefers_events(&HeaderMap::new()));
    }

    #[test]
    fn a_type_is_taken_by_its_name_or_a_wildcard_and_not_where_it_is_refused() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, value.parse().unwrap());
            takes(&headers, EVENTS)
        };
        assert!(takes(&HeaderMap::new(), EVENTS));
        for wish in ["", "*/*", "text/*;q=0.1", "text/event-stream", "application/json, */*;q=0.1"] {
            assert!(of(wish), "{wish}");
        }
        for other in ["application/json", "text/plain", "text/event-stream;q=0", "text/event-stream;q=0, */*"] {
            assert!(!of(other), "{other}");
        }
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
            takes(&headers, EVENTS);
            // Whoever prefers it takes it.
            prop_assert!(!prefers_events(&headers) || takes(&headers, EVENTS));
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
