//! W3C Trace Context: which trace a request belongs to.
//!
//! `traceparent` and `tracestate` are those of <https://www.w3.org/TR/trace-context-2/>, `traceresponse` that of its
//! editor's draft. What is malformed is passed over, as the specification wants it: the request begins a trace of its
//! own then.

use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::TraceState;

/// Names the trace and the caller's part of it.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What tracing systems on the way add to it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Names the trace and the server's part of it, in an answer.
pub const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The flag of a trace that somebody records.
const SAMPLED: u8 = 0b01;
/// The flag of a trace id that was made at random.
const RANDOM: u8 = 0b10;
/// The length of version 00, in bytes.
const LENGTH: usize = 55;
/// The longest `tracestate` that is handed on, in bytes: as much as the specification asks for.
const MAX_STATE_BYTES: usize = 512;
/// The most entries of a `tracestate`, by the specification.
const MAX_STATE_ENTRIES: usize = 32;

/// The place of a piece of work in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; never zero.
    pub trace_id: u128,
    /// This piece of work; never zero.
    pub span_id: u64,
    /// The caller's; none where the trace begins here.
    pub parent: Option<u64>,
    flags: u8,
    /// What tracing systems on the way have added.
    pub state: TraceState,
}

impl TraceContext {
    /// A trace that begins here, recorded or not.
    pub fn begin(sampled: bool) -> Self {
        let flags = RANDOM | if sampled { SAMPLED } else { 0 };
        Self { trace_id: fresh_trace(), span_id: fresh_span(), parent: None, flags, state: TraceState::NONE }
    }

    /// The next piece of work of the trace that a caller names in its headers; none where it names none, or not well.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
        let mut context = Self::from_parent(parent.to_str().ok()?)?;
        let mut state = String::new();
        for value in headers.get_all(TRACESTATE) {
            // One that can't be read takes all of them with it; the trace goes on.
            let Ok(value) = value.to_str() else { return Some(context) };
            if !state.is_empty() {
                state.push(',');
            }
            state.push_str(value);
        }
        context.state = read_state(&state);
        Some(context)
    }

    /// The next piece of work after that of a `traceparent`.
    pub fn from_parent(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t']);
        let bytes = text.as_bytes();
        let hex = |from: usize, to: usize| {
            let digits = bytes.get(from..to)?;
            digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then(|| &text[from..to])
        };
        let version = hex(0, 2)?;
        let dashes = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        // A later version may be longer, and begins in the same way.
        let ends = bytes.len() == LENGTH || (version != "00" && bytes.get(LENGTH) == Some(&b'-'));
        if version == "ff" || !dashes || !ends {
            return None;
        }
        let trace_id = u128::from_str_radix(hex(3, 35)?, 16).ok().filter(|id| *id != 0)?;
        let parent = u64::from_str_radix(hex(36, 52)?, 16).ok().filter(|id| *id != 0)?;
        let flags = u8::from_str_radix(hex(53, LENGTH)?, 16).ok()? & (SAMPLED | RANDOM);
        Some(Self { trace_id, span_id: fresh_span(), parent: Some(parent), flags, state: TraceState::NONE })
    }

    /// A piece of work within this one.
    pub fn child(&self) -> Self {
        Self { span_id: fresh_span(), parent: Some(self.span_id), ..self.clone() }
    }

    /// Whether somebody records the trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// `traceparent` of a call that this piece of work makes.
    pub fn header(&self) -> HeaderValue {
        self.written(self.flags)
    }

    /// `traceresponse` of the answer to whoever called for it; it says whether this server has recorded it.
    pub fn response(&self, records: bool) -> HeaderValue {
        self.written(if records { self.flags } else { self.flags & !SAMPLED })
    }

    /// Both headers have one form.
    fn written(&self, flags: u8) -> HeaderValue {
        let text = format!("00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id);
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// What a call that this piece of work makes carries.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(TRACEPARENT, self.header())]);
        let state = self.state.header();
        if !state.is_empty()
            && let Ok(state) = HeaderValue::from_str(&state)
        {
            headers.insert(TRACESTATE, state);
        }
        headers
    }
}

/// The trace as the log names it: 32 digits.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.trace_id)
    }
}

/// Those entries that may be handed on; none where it is malformed.
fn read_state(text: &str) -> TraceState {
    let mut entries: Vec<&str> =
        text.split(',').map(|it| it.trim_matches([' ', '\t'])).filter(|it| !it.is_empty()).collect();
    if entries.len() > MAX_STATE_ENTRIES {
        return TraceState::NONE;
    }
    let length = |entries: &[&str]| entries.iter().map(|entry| entry.len() + 1).sum::<usize>();
    if length(&entries) > MAX_STATE_BYTES {
        // By the specification: first the long ones, then the oldest, which stand last.
        entries.retain(|entry| entry.len() <= 128);
        while length(&entries) > MAX_STATE_BYTES {
            entries.pop();
        }
    }
    TraceState::from_str(&entries.join(",")).unwrap_or_default()
}

fn fresh_trace() -> u128 {
    rand::random::<u128>().max(1)
}

fn fresh_span() -> u64 {
    rand::random::<u64>().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_parent_that_is_well_formed_is_taken_and_any_other_is_not() {
        let context = TraceContext::from_parent(PARENT).unwrap();
        assert_eq!(context.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(context.parent, Some(0xb7ad_6b71_6920_3331));
        assert!(context.is_sampled() && context.span_id != 0);
        for (text, taken) in [
            (" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\t", true),
            // A later version is read as far as it is known.
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes", true),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what", false),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false),
            ("00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01", false),
            ("0é-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("", false),
        ] {
            assert_eq!(TraceContext::from_parent(text).is_some(), taken, "{text:?}");
        }
    }

    #[test]
    fn flags_that_are_not_known_are_not_handed_on() {
        let context = TraceContext::from_parent(&PARENT.replace("-01", "-ff")).unwrap();
        assert!(context.header().to_str().unwrap().ends_with("-03"));
        assert!(TraceContext::begin(false).header().to_str().unwrap().ends_with("-02"));
    }

    #[test]
    fn headers_are_read_and_made_again() {
        let headers = |pairs: &[(&HeaderName, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            TraceContext::from_headers(&headers)
        };
        let context = headers(&[(&TRACEPARENT, PARENT), (&TRACESTATE, "a=1, b=2"), (&TRACESTATE, "c@d=3")]).unwrap();
        let made = context.headers();
        assert_eq!(made[TRACESTATE], "a=1,b=2,c@d=3");
        let parent = TraceContext::from_headers(&made).unwrap();
        assert_eq!((parent.trace_id, parent.parent), (context.trace_id, Some(context.span_id)));
        let child = context.child();
        assert_eq!((child.trace_id, child.parent), (context.trace_id, Some(context.span_id)));

        assert_eq!(headers(&[(&TRACEPARENT, PARENT), (&TRACEPARENT, PARENT)]), None);
        assert_eq!(headers(&[(&TRACESTATE, "a=1")]), None);
        let context = headers(&[(&TRACEPARENT, PARENT), (&TRACESTATE, "A B=1")]).unwrap();
        assert_eq!(context.headers().get(TRACESTATE), None);
        let many = (0..33).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
        assert_eq!(headers(&[(&TRACEPARENT, PARENT), (&TRACESTATE, &many)]).unwrap().headers().get(TRACESTATE), None);
        let long = format!("a={},b={},c=1", "x".repeat(200), "y".repeat(255));
        let longer = format!("{long},d={}", "z".repeat(250));
        let context = headers(&[(&TRACEPARENT, PARENT), (&TRACESTATE, &longer)]).unwrap();
        assert_eq!(context.headers()[TRACESTATE], "c=1");
        let context = headers(&[(&TRACEPARENT, PARENT), (&TRACESTATE, &long)]).unwrap();
        assert_eq!(context.headers()[TRACESTATE], long.as_str());
    }
}
